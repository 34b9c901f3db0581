import numpy as np
import pytest
from hypothesis import given
from hypothesis.strategies import floats

from carkinetics.errors import ConfigError, FitError
from carkinetics.fit.variability import (
    cv_percent,
    omega_from_cv,
    random_effects,
    shrinkage,
    shrinkage_table,
)
from carkinetics.model import load_model, simulate

# Formula 100 sqrt(exp(omega²) - 1), evaluated independently (acceptance case G6).
CV = {0.2: 20.2017, 0.38: 39.4140, 0.56: 60.6912, 0.65: 72.5101, 1.0: 131.0832}
# Its inverse (acceptance case G7).
OMEGA = {20: 0.198042, 50: 0.472381, 100: 0.832555}


@pytest.mark.parametrize(("omega", "cv"), CV.items())
def test_cv_of_a_log_normal_parameter(omega, cv):
    assert cv_percent(omega) == pytest.approx(cv, abs=5e-5)


@pytest.mark.parametrize(("cv", "omega"), OMEGA.items())
def test_omega_that_gives_a_cv(cv, omega):
    assert omega_from_cv(cv) == pytest.approx(omega, abs=1e-6)


@given(omega=floats(0.01, 3.0))
def test_cv_and_omega_are_inverse(omega):
    assert omega_from_cv(cv_percent(omega)) == pytest.approx(omega, rel=1e-9)


def test_shrinkage_of_both_types():
    # By hand: variance of the etas (n - 1) is 0.10625, omega² is 0.25 (acceptance case G8).
    found = shrinkage([0.3, -0.2, 0.5, -0.4, 0.1, -0.1, 0.25, -0.35], 0.5)
    assert found["sd_percent"] == pytest.approx(34.8080, abs=5e-5)
    assert found["variance_percent"] == pytest.approx(57.5, abs=1e-6)


def test_shrinkage_of_one_subject_is_unknown():
    assert np.isnan(shrinkage([0.3], 0.5)["sd_percent"])


def test_shrinkage_is_of_one_random_effect_and_of_known_values():
    with pytest.raises(ConfigError, match=r"eta has shape \(2, 2\)"):
        shrinkage([[0.1, 0.2], [0.3, 0.1]], 0.5)
    assert np.isnan(shrinkage([0.1, np.nan, 0.3], 0.5)["sd_percent"])
    assert shrinkage([0.2, 0.2], 0.5) == {"sd_percent": 100.0, "variance_percent": 100.0}


def test_shrinkage_needs_an_omega():
    with pytest.raises(ConfigError, match="omega is 0"):
        shrinkage([0.1, 0.2], 0.0)


def test_random_effects_are_what_the_covariate_does_not_explain(around):
    model = load_model("stein2019")
    slope = {"cmax": 0.8}
    data = simulate(
        model, {"times": (7, 14), "lloq": 50, "doses": (1e5, 2e6)}, n=10, seed=2, on_log_dose=slope
    )
    effects = random_effects(around(model, data, on_log_dose=slope, noise=0.0))
    dose = data.first_dose().to_numpy()
    expected = np.log(data.subjects["true_cmax"] / 24000) - 0.8 * np.log(dose / 1e6)
    np.testing.assert_allclose(effects["cmax"], expected, atol=1e-9)
    assert effects.index.tolist() == data.subject_ids


def test_shrinkage_table_compares_the_effects_with_omega(around):
    model = load_model("stein2019")
    data = simulate(model, {"times": (7, 14), "lloq": 50}, n=30, seed=2, omega={"beta": 0.1})
    fit = around(model, data, noise=0.0)
    table = shrinkage_table(fit).set_index("parameter")
    assert table.index.tolist() == fit.settings["random"]
    truth = np.log(data.subjects["true_tmax"]).std(ddof=1)
    assert table.loc["tmax", "sd_percent"] == pytest.approx(100 * (1 - truth / 0.38), abs=1e-6)
    # Simulated with an omega of 0.1 where the fit says 0.86: 88 % shrinkage.
    assert table.loc["beta", "warning"]
    assert not table.loc["tmax", "warning"]


def test_individual_fit_has_no_shrinkage(made_fit, alone):
    with pytest.raises(FitError, match="an individual fit has no posterior"):
        shrinkage_table(alone(made_fit))
