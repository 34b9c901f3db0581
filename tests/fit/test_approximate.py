"""The approximate fit: exact where everything is Gaussian, near the truth elsewhere."""

import numpy as np
import pandas as pd
import pytest

from carkinetics.dataset import read_nonmem
from carkinetics.fit.approximate import (
    approximation_at,
    individual_gaussians,
    laplace_minus_two_log_likelihood,
)
from carkinetics.fit.em import laplace_em
from carkinetics.fit.problem import make_problem
from carkinetics.model import load_model, simulate
from carkinetics.model.library import model_from_text

DECLINE = """
schema = 1
name = "decline"
title = "Decline only"
value_unit = "copies/ug"
[parameters.cmax]
meaning = "level at day 9.3"
unit = "copies/ug"
typical = 24000
omega = 0.65
prior = { dist = "lognormal", median = 24000, sigma = 1 }
[constants]
alpha = "0.16 1/day"
tmax = "9.3 day"
[closed_form]
level = "cmax * exp(-alpha * (t - tmax))"
[observation]
of = "level"
error = "lognormal"
residual = 0.56
"""


def test_one_subject_with_one_effect_gives_the_exact_numbers():
    # Acceptance G5: ln C = ln Cmax + eta - 0.16 (t - 9.3), eta ~ N(0, 0.65²), sigma 0.56.
    frame = pd.DataFrame({"ID": 1, "TIME": [10, 14, 21, 28], "DV": [18000, 9000, 3500, 900]})
    problem = make_problem(model_from_text(DECLINE), read_nonmem(frame, value_unit="copies/ug", lloq=50))
    start = approximation_at(problem, [np.log(24000)], [], [[0.65**2]], [0.56], modes=np.array([[10.0]]))
    found = individual_gaussians(start)
    assert laplace_minus_two_log_likelihood(found) == pytest.approx(4.73534363, abs=1e-7)
    assert found.modes[0, 0] - np.log(24000) == pytest.approx(-0.15798761, abs=1e-7)
    assert found.covariance[0, 0, 0] == pytest.approx(0.06612897, abs=1e-7)


def test_population_values_of_a_simulated_trial_are_near_the_truth():
    model = load_model("stein2019")
    omega = {"foldx": 0.8, "tmax": 0.3, "cmax": 1.0, "alpha": 0.4, "fb": 0.6, "beta": 0.4}
    times = (1, 3, 5, 7, 10, 14, 21, 28, 60, 90, 180, 365)
    design = {"times": times, "lloq": 50, "doses": (1e5, 1e6, 2e6)}
    data = simulate(model, design, 80, 4, omega=omega, sigma=0.5, on_log_dose={"cmax": 0.4})
    problem = make_problem(model, data, covariates={"cmax": "log(dose / 1e6)"})
    found = laplace_em(problem)
    assert found.sigmas["sigma"] == pytest.approx(0.5, rel=0.15)
    assert found.slopes["cmax_on_log_dose_1e6"] == pytest.approx(0.4, abs=3 * 1.0 / np.sqrt(80) / 1.3)
    for name in ("tmax", "cmax", "alpha"):
        # What these 80 subjects can say: their own mean, less what the dose adds to it.
        individual = model.parameters[name].to_free(data.subjects[f"true_{name}"])
        added = 0.4 * np.log(data.first_dose() / 1e6).mean() if name == "cmax" else 0.0
        truth = individual.mean() - added
        assert found.location[name] == pytest.approx(truth, abs=3.5 * omega[name] / np.sqrt(80)), name
        assert found.omega[name] == pytest.approx(omega[name], rel=0.4), name
    information = found.information()
    assert information["cmax"] > information["foldx"]


def test_no_random_effect_at_all_is_a_fit_too():
    model = load_model("stein2019")
    data = simulate(model, {"times": (3, 7, 10, 14, 28, 90), "lloq": 50}, 4, 1)
    found = laplace_em(make_problem(model, data, random=[]))
    assert found.omega == {}
    assert np.isfinite([*found.location.values()]).all()


@pytest.mark.parametrize("error", ["student_t", "additive", "proportional", "combined1", "combined2"])
def test_every_residual_error_gives_finite_starts(error):
    data = simulate(load_model("stein2019"), {"times": (3, 7, 14, 28, 90), "lloq": 50, "lod": 20}, 6, 2)
    found = laplace_em(make_problem(load_model("stein2019"), data, error=error), iterations=5)
    numbers = [*found.location.values(), *found.omega.values(), *found.sigmas.values()]
    assert np.isfinite(numbers).all()
    assert np.isfinite(found.modes).all()


def test_parameters_that_are_common_to_all_are_estimated_too():
    model = load_model("stein2019")
    data = simulate(model, {"times": (1, 4, 7, 10, 14, 21, 28, 60, 120), "lloq": 50}, 30, 3, typical={"alpha": 0.3},
                    omega={"alpha": 0.0, "fb": 0.0, "beta": 0.0, "foldx": 0.3, "tmax": 0.2, "cmax": 0.8}, sigma=0.2)  # fmt: skip
    found = laplace_em(make_problem(model, data, random=["tmax", "cmax"]))
    assert np.exp(found.location["alpha"]) == pytest.approx(0.3, rel=0.1)
