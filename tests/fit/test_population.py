"""The approximate population fit: exact for a linear mixed model, near the truth for Stein's curve."""

import numpy as np
import pandas as pd
import pytest

from carkinetics.dataset import read_nonmem
from carkinetics.fit import fit_population
from carkinetics.fit.approximate import approximation_at, individual_gaussians
from carkinetics.fit.objective import minus_two_log_likelihood
from carkinetics.fit.population import to_vector
from carkinetics.fit.problem import make_problem
from carkinetics.fit.uncertainty import scores
from carkinetics.model import load_model, simulate
from carkinetics.model.library import model_from_text

# Potthoff RF, Roy SN. Biometrika 1964;51:313-326: distance in mm at ages 8, 10, 12 and 14 (R package nlme, Orthodont).
ORTHODONT = """
26 25 29 31;21.5 22.5 23 26.5;23 22.5 24 27.5;25.5 27.5 26.5 27;20 23.5 22.5 26;24.5 25.5 27 28.5;22 22 24.5 26.5;
24 21.5 24.5 25.5;23 20.5 31 26;27.5 28 31 31.5;23 23 23.5 25;21.5 23.5 24 28;17 24.5 26 29.5;22.5 25.5 25.5 26;
23 24.5 26 30;22 21.5 23.5 25;21 20 21.5 23;21 21.5 24 25.5;20.5 24 24.5 26;23.5 24.5 25 26.5;21.5 23 22.5 23.5;
20 21 21 22.5;21.5 22.5 23 25;23 23 23.5 24;20 21 22 21.5;16.5 19 19 19.5;24.5 25 28 28
"""
LINE = """
schema = 1
name = "line"
title = "A straight line"
value_unit = "mm"
[parameters.middle]
meaning = "distance at age 11"
unit = "mm"
typical = 24
omega = 2
prior = { dist = "normal", mean = 24, sd = 10 }
[parameters.slope]
meaning = "growth"
unit = "mm/day"
typical = 0.6
omega = 0.2
prior = { dist = "normal", mean = 0.6, sd = 3 }
[constants]
age = "11 day"
mm = "1 mm"
alpha = "0.16 1/day"
peak = "9.3 day"
[closed_form]
level = "middle + slope * (t - age)"
[observation]
of = "level"
error = "additive"
residual = 1.3
"""


def orthodont():
    series = [[float(x) for x in row.split()] for row in ORTHODONT.replace("\n", "").split(";")]
    rows = [
        (f"S{i}", age, y) for i, s in enumerate(series) for age, y in zip((8, 10, 12, 14), s, strict=True)
    ]
    return read_nonmem(pd.DataFrame(rows, columns=["ID", "TIME", "DV"]), value_unit="mm", lloq=1e-3)


def test_a_linear_mixed_model_is_fitted_exactly():
    # Acceptance G4: R nlme, ML.
    fit = fit_population(model_from_text(LINE), orthodont(), correlated=True, draws=4000)
    assert fit.converged
    estimate, se = fit.parameters["estimate"], fit.parameters["se"]
    assert estimate["middle_typical"] == pytest.approx(24.0231, abs=1e-3)
    assert estimate["slope_typical"] == pytest.approx(0.6602, abs=1e-3)
    assert estimate["middle_omega"] == pytest.approx(2.0906, abs=1e-3)
    assert estimate["slope_omega"] == pytest.approx(0.2149, abs=1e-3)
    assert estimate["corr_middle_slope"] == pytest.approx(0.521, abs=1e-3)
    assert estimate["sigma"] == pytest.approx(1.3100, abs=1e-3)
    # nlme multiplies the standard errors of an ML fit by sqrt(n / (n - p)), 108 values and 2 coefficients.
    widen = np.sqrt(108 / 106)
    assert se["middle_typical"] * widen == pytest.approx(0.4256, abs=1e-3)
    assert se["slope_typical"] * widen == pytest.approx(0.0706, abs=1e-3)
    assert fit.minus_two_ll_laplace / -2 == pytest.approx(-219.6058, abs=1e-3)
    assert fit.minus_two_ll == pytest.approx(2 * 219.6058, abs=4 * fit.minus_two_ll_error)
    assert 0 < fit.minus_two_ll_error < 0.6
    assert "approximate" in repr(fit)


def test_importance_sampling_gives_the_exact_objective_of_one_subject():
    # Acceptance G5: marginal -2LL 4.73534363.
    text = LINE.replace('"middle + slope * (t - age)"', '"mm * exp(middle / mm - alpha * (t - peak))"')
    text = text.replace('error = "additive"', 'error = "lognormal"').replace(
        "typical = 0.6", "typical = 0.6\nfixed = true"
    )
    frame = pd.DataFrame({"ID": 1, "TIME": [10, 14, 21, 28], "DV": [18000, 9000, 3500, 900]})
    problem = make_problem(model_from_text(text), read_nonmem(frame, value_unit="mm", lloq=50))
    state = approximation_at(problem, [np.log(24000)], [], [[0.65**2]], [0.56], np.array([[10.0]]))
    value, error = minus_two_log_likelihood(individual_gaussians(state), 4000, 1)
    assert error < 0.05
    assert value == pytest.approx(4.73534363, abs=4 * error)


def test_the_scores_are_zero_at_the_maximum_and_of_the_right_length():
    from carkinetics.fit.em import laplace_em
    from carkinetics.fit.population import maximise

    problem = make_problem(model_from_text(LINE), orthodont(), correlated=True)
    state, _ = maximise(laplace_em(problem, priors=False), 200)
    each = scores(state)
    assert each.shape == (27, len(to_vector(state)))
    assert np.abs(each.sum(axis=0)).max() < 1e-3 * np.abs(each).sum(axis=0).max()


@pytest.mark.slow
def test_population_values_of_a_simulated_trial_are_near_the_truth():
    model = load_model("stein2019")
    omega = {"foldx": 0.8, "tmax": 0.3, "cmax": 1.0, "alpha": 0.4, "fb": 0.6, "beta": 0.4}
    design = {"times": (1, 3, 5, 7, 10, 14, 21, 28, 60, 90, 180, 365), "lloq": 50, "doses": (1e5, 1e6, 2e6)}
    data = simulate(model, design, 80, 4, omega=omega, sigma=0.5, on_log_dose={"cmax": 0.4})
    fit = fit_population(model, data, covariates={"cmax": "log(dose / 1e6)"}, draws=300, iterations=60)
    found = fit.parameters
    assert found.loc["sigma", "estimate"] == pytest.approx(0.5, rel=0.1)
    slope = found.loc["cmax_on_log_dose_1e6"]
    assert abs(slope["estimate"] - 0.4) < 3.5 * slope["se"]
    for name in ("tmax", "cmax", "alpha"):
        row, parameter = found.loc[f"{name}_typical"], model.parameters[name]
        assert (
            abs(parameter.to_free(row["estimate"]) - parameter.to_free(parameter.typical)) < 3.5 * row["se"]
        ), name
    assert fit.shrinkage.loc["cmax", "sd_percent"] < 20
    assert len(fit.individual) == 80 * 6
    assert fit.aic > fit.minus_two_ll


def test_what_a_small_study_does_not_tell_has_an_interval_without_an_end():
    """An omega that goes to 0 has no standard error on the log scale; the whole fit ended in an OverflowError."""
    design = {"times": (3, 7, 10, 14, 21, 28, 60, 90), "lloq": 25}
    data = simulate(load_model("stein2019"), design, 6, 1, omega={"cmax": 1.0, "tmax": 0.0}, sigma=0.4)
    fit = fit_population(load_model("stein2019"), data, random=["tmax", "cmax", "alpha"])
    table = fit.parameters
    assert np.isinf(table["upper"]).any()
    assert not table[["estimate", "lower", "upper"]].isna().any(axis=None)
    assert (table["lower"] <= table["estimate"]).all()
    assert (table["estimate"] <= table["upper"]).all()
