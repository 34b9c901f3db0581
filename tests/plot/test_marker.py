"""Figures of a cytokine beside its cells: what they show is what the tables say."""

import numpy as np
import pandas as pd
import pytest

from carkinetics.errors import ConfigError
from carkinetics.plot import marker, marker_lag
from carkinetics.plot.axes import png
from carkinetics.response import MarkerModel


@pytest.fixture(scope="module")
def result() -> MarkerModel:
    """Six subjects whose cytokine peaks one to six days ahead of cells that peak on day 12."""
    ids, time = [f"s{k}" for k in range(6)], np.arange(0, 35, 0.5)
    lag = -1.0 - np.arange(6)
    curves, rows = [], []
    for subject, ahead in zip(ids, lag, strict=True):
        car = 1000 * np.exp(-0.5 * ((time - 12) / 3) ** 2)
        il6 = 5 + 300 * np.exp(-0.5 * ((time - 12 - ahead) / 3) ** 2)
        part = {"subject": subject, "time": time, "marker": il6, "car": car}
        part |= {
            f"{name}_{side}": part[name] * by
            for name in ("marker", "car")
            for side, by in (("lower", 0.5), ("upper", 2))
        }
        curves.append(pd.DataFrame(part))
        for day, value, status in (
            (0, 5.0, "quantified"),
            (7, np.nan, "above_uloq"),
            (28, np.nan, "below_lloq"),
        ):
            low, high = {
                "quantified": (value, value),
                "above_uloq": (250.0, np.inf),
                "below_lloq": (0.0, 3.0),
            }[status]
            rows.append((subject, "il6", float(day), value, status, low, high, np.nan, 3.0))
        rows.append((subject, "qpcr", 14.0, 700.0, "quantified", 700.0, 700.0, np.nan, 50.0))
    columns = ["subject", "assay", "time", "value", "status", "lower", "upper", "lod", "lloq"]
    subjects = pd.DataFrame(
        {"n": 3, "lag": lag, "lag_lower": lag - 1, "lag_upper": lag + 1, "car_peak_day": 12.0, "peak_day": 12 + lag}, index=ids
    )  # fmt: skip
    table = pd.DataFrame({"value": -3.5, "lower": -4.2, "upper": -2.9}, index=["lag"])
    settings = {
        "assay": "il6",
        "car_assay": "qpcr",
        "unit": "pg/mL",
        "car_unit": "copies/ug",
        "interval": "90% equal-tailed",
        "driver": "level",
    }
    return MarkerModel(
        table, subjects, pd.concat(curves), pd.DataFrame(rows, columns=columns), pd.DataFrame(), pd.DataFrame(), (), "", settings
    )  # fmt: skip


def test_cells_stand_above_the_cytokine_and_both_peaks_are_marked(result):
    axes = marker(result, subjects=["s4", "s0"])
    assert axes.shape == (2, 2)
    assert [ax.get_title() for ax in axes[0]] == ["s4: lag -5.0 d", "s0: lag -1.0 d"]
    dotted = sorted(line.get_xdata()[0] for line in axes[0, 0].lines if line.get_linestyle() == ":")
    assert dotted == [7.0, 12.0]
    names = [text.get_text() for text in axes[0, 0].figure.legends[0].get_texts()]
    assert {"BLQ, at the limit", "above the ULOQ, at it"} <= {*names}
    assert axes[1, 0].get_ylim()[0] < 3
    assert axes[1, 0].get_ylim()[1] > 300
    assert png(axes[0, 0]).startswith(b"\x89PNG")


def test_subjects_are_spread_over_the_lags_unless_they_are_named(result):
    axes = marker(result)
    assert [ax.get_title().split(":")[0] for ax in axes[0]] == ["s4", "s3", "s2", "s1"]
    with pytest.raises(ConfigError, match="no subject 's9'"):
        marker(result, subjects=["s9"])


def test_lags_are_in_order_with_the_interval_of_their_median(result):
    ax = marker_lag(result)
    assert [line.get_xdata().tolist() for line in ax.lines if line.get_marker() == "o"] == [
        [-6, -5, -4, -3, -2, -1]
    ]
    assert ax.patches[0].get_x() == -4.2
    assert png(ax).startswith(b"\x89PNG")
