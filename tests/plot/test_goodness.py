from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from carkinetics.diagnostics.residuals import residuals
from carkinetics.errors import ConfigError
from carkinetics.model import load_model, simulate
from carkinetics.plot import gof, observed_predicted


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
    low, high = axes[0, 0].get_xlim()
    ticks = [tick for tick in axes[0, 0].get_xticks() if low <= tick <= high]
    assert 2 <= len(ticks) <= 6, "labels of a narrow panel touch"


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


def test_linear_axes_hold_every_row_at_the_same_place(dose_fit, rendered):
    axes, table = observed_predicted(dose_fit), residuals(dose_fit)
    assert rendered(axes)
    for ax, column in zip(axes, ("pred", "ipred"), strict=True):
        assert ax.get_xscale() == ax.get_yscale() == "linear"
        assert ax.get_xlim() == ax.get_ylim()
        assert ax.get_xlim()[0] == 0.0
        drawn = ~table["imputed"]
        np.testing.assert_allclose(points(ax, "o"), table.loc[drawn, [column, "dv"]])
        assert len(points(ax, "v")) == table["imputed"].sum()


def test_log_axes_are_those_of_the_goodness_of_fit(dose_fit):
    ours, theirs = observed_predicted(dose_fit, scale="log"), gof(dose_fit)[0]
    for one, other in zip(ours, theirs, strict=False):
        assert one.get_xlim() == other.get_xlim()
        np.testing.assert_allclose(points(one, "o"), points(other, "o"))


def test_linear_axes_refuse_what_they_cannot_do(made_fit, individual):
    with pytest.raises(ConfigError, match="scale is 'sqrt'; expected 'linear' or 'log'"):
        observed_predicted(made_fit, scale="sqrt")
    with pytest.raises(ConfigError, match=r"expected \(2,\)"):
        observed_predicted(made_fit, axes=Figure().subplots(1, 3))
    assert "no population prediction" in observed_predicted(individual)[0].texts[0].get_text()


@pytest.mark.parametrize(("times", "lloq", "n"), [((7, 14), 1e12, 3), ((7,), 50, 1), ((3, 7), 50, 2)])
def test_thin_data_are_drawn_without_a_warning(around, times, lloq, n, rendered):
    model = load_model("stein2019")
    fit = around(model, simulate(model, {"times": times, "lloq": lloq}, n=n, seed=2))
    assert rendered(gof(fit))
