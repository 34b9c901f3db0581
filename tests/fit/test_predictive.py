from dataclasses import replace

import numpy as np
import pytest

from carkinetics.errors import ConfigError, FitError
from carkinetics.fit.predictive import individual_curves, new_subjects, subject_levels, typical_curve
from carkinetics.model import load_model, predict, simulate

TIMES = [0.0, 3.0, 9.3, 28.0, 200.0]


@pytest.fixture(scope="module")
def exact(around):
    """A fit whose every draw is the truth."""
    model = load_model("stein2019")
    data = simulate(
        model, {"times": (3, 7, 10, 14, 28, 90), "lloq": 200, "lod": 50, "doses": (1e5, 2e6)},
        n=80, seed=3, on_log_dose={"cmax": 0.8},
    )  # fmt: skip
    return around(model, data, on_log_dose={"cmax": 0.8}, noise=0.0)


def test_individual_curve_is_the_models_at_the_subjects_parameters(exact):
    curves = individual_curves(exact, TIMES, n_draws=3)
    assert curves.sizes == {"draw": 3, "subject": 80, "time": 5}
    truth = exact.data.subjects.iloc[7]
    expected = predict(exact.model, TIMES, **{p: truth[f"true_{p}"] for p in exact.model.parameters})
    np.testing.assert_allclose(curves.sel(subject=truth["subject"]).isel(draw=1), expected, rtol=1e-9)


def test_individual_fit_has_one_draw_and_nan_where_it_failed(exact, alone):
    fit = alone(exact, failed="S002")
    curves = individual_curves(fit, TIMES)
    assert curves.sizes["draw"] == 1
    assert np.isnan(curves.sel(subject="S002")).all()
    np.testing.assert_allclose(
        curves.sel(subject="S003"), individual_curves(exact, TIMES, 1).sel(subject="S003")
    )
    with pytest.raises(FitError, match="an individual fit has no posterior"):
        typical_curve(fit, TIMES)


@pytest.mark.parametrize("name", ["stein2019", "stein2019_ode"])
def test_curves_of_some_subjects_are_those_that_they_have_among_all(made_fit, name):
    fit, some = replace(made_fit, model=load_model(name)), ["S005", "S002"]
    own, typical = individual_curves(fit, TIMES, 3), typical_curve(fit, TIMES, 3, by_subject=True)
    for every, few in (
        (own, individual_curves(fit, TIMES, 3, subjects=some)),
        (typical, typical_curve(fit, TIMES, 3, by_subject=True, subjects=some)),
    ):
        assert few["subject"].to_numpy().tolist() == some
        np.testing.assert_allclose(few, every.sel(subject=some), rtol=1e-12)


def test_subjects_that_differ_in_nothing_have_the_curves_that_each_has_alone(made_fit):
    """Equations are solved once for all of them, on the days of all."""
    model = load_model("stein2019_ode")
    values = {name: np.full((9, 8), entry.typical) for name, entry in model.parameters.items()}
    values["cmax"][:, 2] *= 3.0
    whose, days = np.array([0, 0, 1, 2, 2, 7]), np.array([10.0, 3.0, 14.0, 3.0, 10.0, 3.0])
    found = subject_levels(model, made_fit.data, whose, days, values)
    for row, (subject, day) in enumerate(zip(whose, days, strict=True)):
        alone = subject_levels(model, made_fit.data, [subject], [day], values)
        np.testing.assert_allclose(found[:, [row]], alone, rtol=1e-6)
    np.testing.assert_array_equal(found[:, 1], found[:, 5])
    np.testing.assert_allclose(found[:, 3] / found[:, 1], 3.0, rtol=1e-5)


def test_individual_fit_without_any_estimate_has_no_curve(exact, alone):
    fit = alone(exact)
    nothing = replace(fit, parameters=fit.parameters.assign(median=np.nan))
    assert np.isnan(individual_curves(nothing, TIMES)).all()


def test_typical_curve_is_the_models_and_covariates_move_it_by_their_power(exact):
    np.testing.assert_allclose(typical_curve(exact, TIMES)[0], predict(exact.model, TIMES), rtol=1e-9)
    by_subject = typical_curve(exact, TIMES, by_subject=True).isel(draw=0)
    low, high = by_subject.sel(subject="S001"), by_subject.sel(subject="S002")
    # cmax scales the whole curve of this model: 20-fold dose, exponent 0.8.
    np.testing.assert_allclose(high / low, 20**0.8, rtol=1e-9)


def test_draws_are_not_more_than_the_posterior_has_for_curves_but_are_reused_for_new_subjects(made_fit):
    assert individual_curves(made_fit, TIMES, n_draws=1000).sizes["draw"] == 100
    assert new_subjects(made_fit, 2, n_draws=1000).sizes["draw"] == 1000


def test_new_subjects_spread_by_omega_around_the_typical_value(exact):
    new = new_subjects(exact, 400, n_draws=50)
    for name, parameter in exact.model.parameters.items():
        free = parameter.to_free(new[name].to_numpy())
        # 20 000 draws: four standard errors of a mean and of a standard deviation.
        assert free.mean() == pytest.approx(
            parameter.to_free(parameter.typical), abs=4 * parameter.omega / 141
        )
        assert free.std() == pytest.approx(parameter.omega, rel=4 / 200)


def test_new_subjects_of_a_design_have_its_covariates(exact):
    new = new_subjects(exact, n_draws=2000)
    mean = np.log(new["cmax"]).mean("draw")
    difference = float(mean.sel(subject="S002") - mean.sel(subject="S001"))
    assert difference == pytest.approx(0.8 * np.log(20), abs=4 * 0.65 * np.sqrt(2 / 2000))


def test_correlated_random_effects_stay_correlated(around):
    model = load_model("stein2019")
    correlation = np.full((6, 6), 0.5) + 0.5 * np.eye(6)
    correlation[0, 2] = correlation[2, 0] = 0.8
    data = simulate(model, {"times": (7, 14), "lloq": 50}, n=3, seed=1)
    fit = around(model, data, correlation=correlation, noise=0.0)
    new = new_subjects(fit, 200, n_draws=100)
    free = [p.to_free(new[name].to_numpy()).ravel() for name, p in model.parameters.items()]
    np.testing.assert_allclose(np.corrcoef(free), correlation, atol=0.03)


def test_requests_that_make_no_sense_are_refused(made_fit):
    with pytest.raises(ConfigError, match="expected 1 or more"):
        new_subjects(made_fit, 0)
    with pytest.raises(ConfigError, match="data= instead of n="):
        new_subjects(made_fit, 2, data=made_fit.data)
    with pytest.raises(ConfigError, match="number of draws is 0"):
        individual_curves(made_fit, TIMES, n_draws=0)
    with pytest.raises(ConfigError, match="no subject 'S0002' in the fit; did you mean 'S002'"):
        individual_curves(made_fit, TIMES, subjects=["S0002"])


def test_models_of_differential_equations_give_the_same_curves(exact):
    ode = replace(exact, model=load_model("stein2019_ode"))
    few = individual_curves(ode, [5.0, 20.0], n_draws=2)[:, :3]
    np.testing.assert_allclose(few, individual_curves(exact, [5.0, 20.0], n_draws=2)[:, :3], rtol=1e-6)
