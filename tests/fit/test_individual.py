"""One subject at a time: the truth comes back, and a failure is a row with a reason."""

import numpy as np
import pandas as pd
import pytest

from carkinetics.dataset import read_nonmem
from carkinetics.diagnostics import diagnose
from carkinetics.errors import ConfigError
from carkinetics.fit import fit_individuals
from carkinetics.model import load_model, predict, simulate

TIMES = (0.5, 1, 2, 4, 6, 8, 10, 12, 14, 18, 21, 28, 45, 60, 90, 120, 180, 270, 365)


def noiseless(name="stein2019", **values):
    model = load_model(name)
    frame = pd.DataFrame({"ID": "a", "TIME": TIMES, "DV": predict(model, TIMES, **values).to_numpy()})
    return model, read_nonmem(frame, value_unit="copies/ug", lloq=1)


@pytest.mark.parametrize("name", ["stein2019", "stein2019_ode"])
def test_a_noiseless_series_gives_its_parameters_back_without_any_guess(name):
    truth = {"foldx": 800.0, "tmax": 11.3, "cmax": 9000.0, "alpha": 0.22, "fb": 0.03, "beta": 0.006}
    model, data = noiseless(name, **truth)
    found = fit_individuals(model, data).parameters.set_index("parameter")
    assert (found["status"] == "converged").all()
    for parameter, value in truth.items():
        assert found.loc[parameter, "median"] == pytest.approx(value, rel=1e-3), parameter
        assert found.loc[parameter, "lower"] < value < found.loc[parameter, "upper"]


def test_blq_values_are_information():
    # A fall below the limit between days 28 and 60, seen only as BLQ, must bring the slow phase down.
    model = load_model("stein2019")
    rows = [
        (3, 90),
        (7, 3000),
        (10, 21000),
        (14, 11000),
        (21, 3900),
        (28, 1300),
        (60, "<50"),
        (90, "<50"),
        (180, "<50"),
    ]
    frame = pd.DataFrame(rows, columns=["TIME", "DV"]).assign(ID="a")
    data = read_nonmem(frame, value_unit="copies/ug", lloq=50)
    level = {}
    for method in ("M1", "M3"):
        fit = fit_individuals(model, data, priors=True, blq=method)
        values = fit.parameters.set_index("parameter")["median"]
        level[method] = predict(model, [90], **values).iloc[0]
    assert level["M3"] < level["M1"]
    assert level["M3"] < 60


@pytest.mark.parametrize("blq", ["M1", "M3", "M4", "M5", "M6"])
def test_the_minimum_is_the_maximum_of_the_likelihood(blq):
    from scipy.optimize import minimize

    from carkinetics.fit.problem import make_problem

    model = load_model("stein2019")
    data = simulate(model, {"times": (2, 5, 7, 9, 11, 14, 21, 28, 60, 90, 180), "lloq": 50}, 1, 5, sigma=0.3)
    problem = make_problem(model, data, random=model.free_parameters, blq=blq)
    fit = fit_individuals(model, data, sigma=0.3, priors=True, blq=blq)
    names = list(problem.random)
    estimate = fit.parameters.set_index("parameter")["median"]

    def minus_log_posterior(free):
        values = {
            n: np.atleast_1d(model.parameters[n].from_free(x)) for n, x in zip(names, free, strict=True)
        }
        fit_term = -problem.log_likelihood(problem.level(values), {"sigma": 0.3}).sum()
        spreads = [np.hypot(model.parameters[n].prior.spread, model.parameters[n].omega) for n in names]
        centres = [model.parameters[n].prior.location for n in names]
        return fit_term + 0.5 * (((free - np.array(centres)) / np.array(spreads)) ** 2).sum()

    start = np.array([float(model.parameters[n].to_free(estimate[n])) for n in names])
    best = minimize(
        minus_log_posterior,
        start,
        method="Nelder-Mead",
        options={"maxiter": 4000, "fatol": 1e-9, "xatol": 1e-7},
    )
    assert minus_log_posterior(start) == pytest.approx(best.fun, abs=1e-3)


def test_a_subject_that_cannot_be_fitted_is_a_row_with_a_reason_and_no_number():
    model = load_model("stein2019")
    full = pd.DataFrame({"ID": "full", "TIME": TIMES, "DV": predict(model, TIMES).to_numpy()})
    frame = pd.concat(
        [
            full,
            pd.DataFrame({"ID": "one", "TIME": [14], "DV": [500]}),
            pd.DataFrame({"ID": "blq", "TIME": [7, 14, 28, 60, 90, 120, 200], "DV": "BLQ"}),
            pd.DataFrame({"ID": "predose", "TIME": [-1], "DV": ["BLQ"]}),
            pd.DataFrame({"ID": "flat", "TIME": [7, 10, 14, 21, 28, 60, 90], "DV": 200.0}),
        ]
    )
    data = read_nonmem(frame, value_unit="copies/ug", lloq=50)
    fit = fit_individuals(model, data)
    status = fit.parameters.drop_duplicates("subject").set_index("subject")
    assert status.loc["full", "status"] == "converged"
    assert "1 values for 6 parameters" in status.loc["one", "message"]
    assert "all 7 values are below" in status.loc["blq", "message"]
    assert "no observation after the infusion" in status.loc["predose", "message"]
    assert status.loc["flat", "status"] != "converged"
    failed = fit.parameters.query("status != 'converged'")
    assert failed[["median", "lower", "upper", "sd"]].isna().all().all()
    verdict = diagnose(fit)
    assert not verdict.attrs["converged"]
    assert verdict.attrs["verdict"] == "1 of 5 subjects converged"
    assert len(verdict) == 4


def test_priors_make_a_short_series_usable():
    model = load_model("stein2019")
    frame = pd.DataFrame({"ID": "one", "TIME": [14, 28], "DV": [5000, 900]})
    found = fit_individuals(
        model, read_nonmem(frame, value_unit="copies/ug", lloq=50), priors=True
    ).parameters
    assert (found["status"] == "converged").all()
    foldx = found.set_index("parameter").loc["foldx"]
    prior = model.parameters["foldx"].prior
    assert foldx["median"] == pytest.approx(prior.centre, rel=0.5), (
        "nothing in the data speaks of the expansion"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"error": "combined1"}, "lognormal, student_t, additive"),
        ({"sigma": -1.0}, "above 0"),
        ({"blq": "M2"}, "no sum of squares"),
        ({"error": "additive"}, "give sigma="),
    ],
)
def test_settings_that_do_not_go_with_least_squares_are_refused(arguments, said):
    model, data = noiseless()
    with pytest.raises(ConfigError, match=said):
        fit_individuals(model, data, **arguments)
