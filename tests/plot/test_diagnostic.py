from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from carkinetics.diagnostics.residuals import residuals
from carkinetics.errors import ConfigError, FitError
from carkinetics.model import load_model, simulate
from carkinetics.plot import gof, prior_posterior, ranks, trace


@pytest.fixture(scope="module")
def individual(made_fit, alone):
    return alone(made_fit)


def points(ax, marker):
    return np.concatenate([line.get_xydata() for line in ax.get_lines() if line.get_marker() == marker])


def test_panels_of_the_goodness_of_fit(dose_fit, rendered):
    axes = gof(dose_fit)
    assert axes.shape == (2, 3)
    assert rendered(axes)
    assert "copies/µg DNA" in axes[0, 0].get_xlabel()
    assert [ax.get_ylabel() for ax in axes[1]] == ["IWRES", "IWRES", "NPD"]
    assert axes[0, 0].get_xlim() == axes[0, 0].get_ylim()
    words = [text.get_text() for text in axes[0, 0].figure.legends[0].get_texts()]
    assert "BLQ, imputed" in words


def test_no_row_is_missing_and_blq_rows_are_open(dose_fit):
    axes, table = gof(dose_fit), residuals(dose_fit)
    for ax in axes.ravel():
        assert len(points(ax, "o")) == (~table["imputed"]).sum()
        assert len(points(ax, "v")) == table["imputed"].sum()
        assert all(
            line.get_markerfacecolor() == "none" for line in ax.get_lines() if line.get_marker() == "v"
        )
    np.testing.assert_allclose(points(axes[0, 1], "o"), table.loc[~table["imputed"], ["ipred", "dv"]])


def test_the_axes_given_are_the_axes_returned(made_fit, rendered):
    axes = Figure().subplots(2, 3)
    assert gof(made_fit, axes=axes) is axes
    assert rendered(axes)
    with pytest.raises(ConfigError, match=r"expected \(2, 3\)"):
        gof(made_fit, axes=Figure().subplots(1, 3))


def test_individual_fit_says_what_it_lacks(individual, rendered):
    axes = gof(individual)
    assert "no population prediction" in axes[0, 0].texts[0].get_text()
    assert "no population prediction" in axes[1, 2].texts[0].get_text()
    assert rendered(axes)
    for function in (prior_posterior, trace, ranks):
        with pytest.raises(FitError, match="an individual fit has no posterior"):
            function(individual)


def test_rows_without_an_estimate_are_counted_and_not_part_of_the_quantiles(
    made_fit, alone, individual, rendered
):
    axes = gof(alone(made_fit, failed="S002"))
    assert rendered(axes)
    without = int((individual.observations["subject"] == "S002").sum())
    words = [text.get_text() for text in axes[0, 0].figure.legends[0].get_texts()]
    assert f"not drawn: {without} rows of subjects without an estimate" in words
    drawn = np.concatenate([points(axes[0, 2], marker) for marker in "ov"])
    n = len(individual.observations) - without
    expected = np.sort(drawn[:, 0])
    assert len(expected) == n
    np.testing.assert_allclose(expected, -expected[::-1], atol=1e-9)  # symmetric: ranks among the drawn rows
    nobody = replace(individual, parameters=individual.parameters.assign(median=np.nan))
    assert rendered(gof(nobody))


def test_one_panel_per_population_parameter(dose_fit, rendered):
    n = 6 + 6 + 1 + 1  # typical values, omegas, slope, sigma
    for function in (prior_posterior, trace, ranks):
        panels = function(dose_fit)
        assert len(panels) == len(panels[0].figure.axes) == n
        assert rendered(panels)


def test_title_says_parameter_unit_and_contraction(dose_fit):
    (panel,) = prior_posterior(dose_fit, parameters=["cmax_typical"])
    first, second = panel.get_title().split("\n")
    assert first == "cmax_typical (copies/µg DNA)"
    # 2 % against a prior of 1.5 on the log scale.
    assert second == "contraction 1.00"
    assert panel.get_xscale() == "log"


def test_ranks_are_flat_on_average_and_show_a_chain_that_is_elsewhere(made_fit):
    posterior = made_fit.tree["posterior"].to_dataset()
    moved = posterior["tmax_typical"].copy(data=posterior["tmax_typical"] * np.array([[1.0], [5.0]]))
    tree = xr.DataTree.from_dict({"posterior": posterior.assign(tmax_typical=moved)})
    (panel,) = ranks(replace(made_fit, tree=tree), parameters=["tmax_typical"])
    heights = [patch.get_data().values for patch in panel.patches]
    assert [np.mean(height) for height in heights] == pytest.approx([1.0, 1.0])
    assert heights[0].tolist() == [2.0] * 5 + [0.0] * 5
    assert heights[1].tolist() == [0.0] * 5 + [2.0] * 5


def test_trace_has_a_line_per_chain_with_all_its_draws(made_fit):
    (panel,) = trace(made_fit, parameters=["sigma"])
    drawn = [line.get_ydata() for line in panel.get_lines()]
    np.testing.assert_array_equal(drawn, made_fit.tree["posterior"]["sigma"])


def test_unknown_parameter_is_refused(made_fit):
    with pytest.raises(ConfigError, match="did you mean 'cmax_omega'"):
        trace(made_fit, parameters=["cmax_omga"])


@pytest.mark.parametrize(("times", "lloq", "n"), [((7, 14), 1e12, 3), ((7,), 50, 1), ((3, 7), 50, 2)])
def test_thin_data_are_drawn_without_a_warning(around, times, lloq, n, rendered):
    model = load_model("stein2019")
    fit = around(model, simulate(model, {"times": times, "lloq": lloq}, n=n, seed=2))
    assert rendered(gof(fit))


def test_a_posterior_without_spread_is_drawn(around, rendered):
    model = load_model("stein2019")
    fit = around(model, simulate(model, {"times": (7, 14), "lloq": 50}, n=3, seed=2), noise=0.0)
    assert rendered(prior_posterior(fit))
