from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from carkinetics.diagnostics import check_exposure, loo_pit, prior_check
from carkinetics.diagnostics import npde as compute
from carkinetics.diagnostics.vpc import vpc as compute_vpc
from carkinetics.errors import ConfigError
from carkinetics.model import load_model, simulate
from carkinetics.plot import exposure_check, npde, pit, vpc


@pytest.fixture(scope="module")
def check(made_fit):
    return check_exposure(made_fit, n_sim=20)


@pytest.fixture(scope="module")
def errors(dose_fit):
    return compute(dose_fit, n_sim=60)


def test_new_and_fitted_subjects_in_rows_and_metrics_in_columns(check, rendered):
    axes = exposure_check(check)
    assert axes.shape == (2, 4)
    assert axes[0, 0].get_title().startswith("New subjects\ngeometric mean: p = ")
    assert axes[1, 3].get_title().startswith("Fitted subjects\nmedian: p = ")
    assert axes[0, 0].get_ylabel() == "Cmax\n(copies/µg DNA)"
    assert axes[0, 0].get_yscale() == "log"
    assert axes[0, 1].get_yscale() == "linear"
    assert rendered(axes)


def test_observed_values_are_drawn_in_order_and_marked_outside(check):
    ax = exposure_check(check)[1, 0]
    rows = check.individual.query("subjects == 'fitted' and metric == 'cmax'")
    inside, outside = (
        next(line for line in ax.get_lines() if line.get_marker() == mark).get_ydata() for mark in ("o", "D")
    )
    drawn = np.sort(np.concatenate([inside, outside]))
    np.testing.assert_allclose(drawn, np.sort(rows["observed"]))
    lies = (rows["lower"] <= rows["observed"]) & (rows["observed"] <= rows["upper"])
    assert len(inside) == lies.sum()


def test_subjects_without_a_value_are_counted(around, rendered):
    model = load_model("stein2019")
    fit = around(model, simulate(model, {"times": (7, 14, 28), "lloq": 20_000}, n=12, seed=1))
    axes = exposure_check(check_exposure(fit, metrics=["cmax"], subjects=["new"], n_sim=10))
    assert any(" of 12 subjects" in text.get_text() for text in axes[0, 0].texts)
    none = around(model, simulate(model, {"times": (7, 14), "lloq": 1e12}, n=3, seed=1))
    assert rendered(exposure_check(check_exposure(none, metrics=["cmax"], n_sim=5)))


def test_npde_panels_carry_their_tests(errors, rendered):
    axes = npde(errors)
    assert axes[0, 0].get_title().startswith("normality p")
    assert "mean 0: p" in axes[0, 1].get_title()
    points = np.concatenate(
        [line.get_ydata() for line in axes[0, 0].get_lines() if line.get_marker() in ("o", "v")]
    )
    np.testing.assert_allclose(np.sort(points), np.sort(errors.table["npde"]))
    assert axes[1, 1].get_xscale() == "log"
    assert rendered(axes)


def test_a_fit_is_computed_on_the_way_and_settings_belong_to_it(made_fit, errors):
    assert npde(made_fit, n_sim=30).shape == (2, 2)
    with pytest.raises(ConfigError, match="n_sim belongs to the computation"):
        npde(errors, n_sim=5)


@pytest.mark.parametrize(("times", "n"), [((7,), 1), ((7,), 2), ((7, 14), 3)])
def test_thin_data_are_drawn_without_a_warning(around, times, n, rendered):
    model = load_model("stein2019")
    fit = around(model, simulate(model, {"times": times, "lloq": 50}, n=n, seed=2))
    assert rendered(npde(fit, n_sim=20))
    assert rendered(exposure_check(check_exposure(fit, ["auc_0_28"], n_sim=5)))


def test_difference_from_uniform_over_the_band(made_fit, rendered):
    fit = replace(made_fit, settings=made_fit.settings | {"requested_covariates": {}})
    found = loo_pit(fit, n_draws=40, n_inner=20)
    ax = pit(found)
    blue = ax.get_lines()[-1]
    np.testing.assert_allclose(blue.get_ydata(), found.curve["loo_pit"] - found.curve["x"])
    assert "Pareto's k" in ax.get_title()
    assert rendered(ax)


def test_the_axes_given_are_the_axes_returned(check, errors):
    axes = Figure().subplots(2, 4)
    assert exposure_check(check, axes=axes) is axes
    grid = Figure().subplots(2, 2)
    assert npde(errors, axes=grid) is grid
    for draw, result in ((exposure_check, check), (npde, errors)):
        with pytest.raises(ConfigError, match="expected"):
            draw(result, axes=Figure().subplots(1, 3, squeeze=False))


def test_corrected_limits_are_drawn_by_row_where_they_differ(dose_fit, rendered):
    corrected = compute_vpc(dose_fit, n_sim=20, corrected=True)
    axes = vpc(corrected)
    (marks,) = [line for line in axes[0, 0].get_lines() if line.get_marker() == "v"]
    below = corrected.points[corrected.points["blq"]]
    np.testing.assert_allclose(marks.get_ydata(), below["lloq"])
    words = [text.get_text() for text in axes[0, 0].figure.legends[0].get_texts()]
    assert "BLQ, at its corrected LLOQ" in words
    assert rendered(axes)


def test_a_prior_check_says_that_it_is_one(made_fit, rendered):
    axes = vpc(prior_check(made_fit.model, made_fit.data, n_sim=30))
    words = [text.get_text() for text in axes[0, 0].figure.legends[0].get_texts()]
    assert any(word.startswith("from the prior: median") for word in words)
    assert rendered(axes)
