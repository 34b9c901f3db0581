from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from carkinetics.diagnostics.vpc import vpc as compute
from carkinetics.errors import ConfigError
from carkinetics.model import load_model, simulate
from carkinetics.plot import vpc, vpc_compared


@pytest.fixture(scope="module")
def check(dose_fit):
    return compute(dose_fit, n_sim=60, by="dose")


def test_levels_above_and_fraction_blq_below_in_a_column_per_stratum(check, rendered):
    axes = vpc(check)
    assert axes.shape == (2, 3)
    assert rendered(axes)
    assert axes[0, 0].get_ylabel() == "CAR transgene (copies/µg DNA)"
    assert axes[1, 0].get_ylabel() == "Fraction BLQ"
    assert all("Days since infusion" in ax.get_xlabel() for ax in axes[1])
    assert axes[0, 2].get_title() == r"dose $2{\times}10^{6}$ cells/kg  (n = 20)"


def test_a_fit_is_checked_on_the_way(dose_fit):
    axes = vpc(dose_fit, n_sim=20)
    assert axes.shape == (2, 1)
    assert not axes[0, 0].get_title()


def test_observed_fractions_are_those_of_the_table(check):
    axes = vpc(check)
    for ax, stratum in zip(axes[1], check.strata, strict=True):
        (line,) = [line for line in ax.get_lines() if line.get_marker() == "o"]
        expected = check.blq.loc[check.blq["stratum"] == stratum, "observed"]
        np.testing.assert_allclose(line.get_ydata(), expected)
        low, high = ax.get_ylim()
        assert low < 0
        assert high > 1


def test_bands_reach_down_to_the_lloq_and_not_below(check):
    axes = vpc(check)
    assert check.percentiles["lower"].isna().any()
    for ax in axes[0]:
        assert len(ax.collections) == 3
        lowest = min(path.vertices[:, 1].min() for band in ax.collections for path in band.get_paths())
        assert lowest == pytest.approx(200.0)


def test_the_axes_given_are_the_axes_returned(check, rendered):
    axes = Figure().subplots(2, 3)
    assert vpc(check, axes=axes) is axes
    assert rendered(axes)
    with pytest.raises(ConfigError, match=r"shape \(2, 1\); expected \(2, 3\)"):
        vpc(check, axes=Figure().subplots(2, 1, squeeze=False))


def test_settings_belong_to_the_computation(check):
    with pytest.raises(ConfigError, match="n_sim belongs to the computation"):
        vpc(check, n_sim=5)


def test_corrected_levels_are_called_so(dose_fit, rendered):
    axes = vpc(dose_fit, n_sim=20, corrected=True)
    assert axes[0, 0].get_ylabel().startswith("Prediction-corrected")
    assert rendered(axes)


@pytest.mark.parametrize(("times", "lloq", "n"), [((7, 14), 1e12, 3), ((7,), 50, 1), ((3, 7), 50, 2)])
def test_thin_data_are_drawn_without_a_warning(around, times, lloq, n, rendered):
    model = load_model("stein2019")
    fit = around(model, simulate(model, {"times": times, "lloq": lloq}, n=n, seed=2))
    assert rendered(vpc(fit, n_sim=20))


def test_checks_of_several_fits_share_their_axes_and_name_the_fit_that_did_not_converge(made_fit):
    check = compute(made_fit, n_sim=50)
    far = replace(check, points=check.points.assign(level=check.points["level"] * 100))
    axes = vpc_compared({"base": check, "far": far}, marked={"far"})
    assert axes.shape == (2, 2)
    for row in axes:
        assert len({ax.get_ylim() for ax in row}) == len({ax.get_xlim() for ax in row}) == 1
    assert axes[0, 0].get_ylim()[1] > far.points["level"].max()
    assert [ax.get_title() for ax in axes[0]] == ["base", "far\nnot converged"]
    assert len(axes[0, 0].figure.legends) == 1
    five = vpc_compared(dict.fromkeys("abcde", check))
    assert five.shape == (2, 5)
    assert len(five[0, 0].figure.axes) == 10


def test_checks_that_cannot_share_axes_are_refused(made_fit):
    check = compute(made_fit, n_sim=50)
    with pytest.raises(ConfigError, match="no check was given"):
        vpc_compared({})
    with pytest.raises(ConfigError, match="the check of b has 2 strata"):
        vpc_compared({"a": check, "b": compute(made_fit, n_sim=50, by="dose_level")})
    with pytest.raises(ConfigError, match="the check of b is of cells"):
        vpc_compared({"a": check, "b": replace(check, unit="cells/uL")})
    with pytest.raises(ConfigError, match=r"expected \(2, 1\)"):
        vpc_compared({"a": check}, axes=np.empty((1, 1), dtype=object))
