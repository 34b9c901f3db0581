"""Pictures of calibrations: uniform ranks inside the band, others outside and red."""

import numpy as np
import pandas as pd
import pytest

import carkinetics as ck
from carkinetics.errors import ConfigError
from carkinetics.plot.calibration import _band
from carkinetics.plot.style import BLUE, VERMILION


@pytest.fixture
def result():
    ranks = {"right": np.arange(100), "narrow": np.where(np.arange(100) < 50, 0, 99)}
    about = {
        "replicate": np.arange(100),
        "status": "done",
        "message": "",
        "ess": 200,
        "rhat": 1.0,
        "blq": 0.1,
        "seconds": 1.0,
    }
    return ck.Calibration(pd.DataFrame(about | ranks), {"model": "m", "subjects": 3})


@pytest.mark.parametrize("kind", ["ecdf", "histogram"])
def test_what_is_not_uniform_is_red_and_titles_have_the_coverage(result, kind):
    right, narrow = ck.plot.calibration(result, kind=kind)
    assert right.get_title().endswith("90 %: 90 %")
    assert narrow.get_title().endswith("90 %: 0 %")
    colours = [
        {line.get_color() for line in ax.lines} | {tuple(p.get_edgecolor()) for p in ax.patches}
        for ax in (right, narrow)
    ]
    if kind == "ecdf":
        assert BLUE in colours[0]
        assert VERMILION in colours[1]


def test_the_band_holds_the_whole_curve_of_uniform_numbers_as_often_as_it_says():
    n, inside, rng = 60, 0, np.random.default_rng(5)
    at, lower, upper = _band(n)
    for _ in range(1000):
        found = np.searchsorted(np.sort(rng.uniform(size=n)), at, side="right") / n - at
        inside += bool(((found >= lower - 1e-12) & (found <= upper + 1e-12)).all())
    # 950 are expected with a standard deviation of 7; the band itself is simulated, with an error of about 5.
    assert 915 < inside < 985


def test_what_does_not_exist_is_refused(result):
    with pytest.raises(ConfigError, match="kind is 'ecfd'; did you mean 'ecdf'"):
        ck.plot.calibration(result, kind="ecfd")
    with pytest.raises(ConfigError, match="no quantity 'rigth'"):
        ck.plot.calibration(result, quantities=["rigth"])
    with pytest.raises(ConfigError, match="no replicate has ranks"):
        ck.plot.calibration(ck.Calibration(result.ranks.assign(status="failed"), {}), quantities=["right"])
