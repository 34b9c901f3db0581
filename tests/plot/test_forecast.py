"""What a forecast's pictures show."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_rgba

from carkinetics.errors import ConfigError
from carkinetics.model import load_model, simulate
from carkinetics.plot import forecast, forecast_metric
from carkinetics.plot.style import BLACK, GREY, VERMILION
from carkinetics.prognosis import forecast_updates, known_population


@pytest.fixture(scope="module")
def updates():
    model = load_model("stein2019")
    data = simulate(model, {"times": (1, 3, 7, 14, 28, 60), "lloq": 60}, n=1, seed=5)
    return forecast_updates(known_population(model), data, upto=(-1, 3, 14, 60), draws=200)


def marks(ax, marker):
    """Points of every line with this marker: x, y, colour, and whether they are filled."""
    found = []
    for line in ax.get_lines():
        if line.get_marker() == marker and len(line.get_xdata()):
            open_ = str(line.get_markerfacecolor()) in ("none", "white")
            found += [
                (float(x), float(y), to_rgba(line.get_color()), not open_)
                for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
            ]
    return sorted(found)


def test_used_samples_are_filled_later_ones_hollow_and_blq_stand_at_the_lloq(updates, rendered):
    panels = forecast(updates)
    assert len(panels) == 4
    rows = updates.forecasts[2].observed
    points = marks(panels[2], "o") + marks(panels[2], "v")
    assert len(points) == len(rows) == 6
    for x, y, colour, filled in points:
        row = rows[rows["time"] == x].iloc[0]
        blq = row["status"] != "quantified"
        assert y == pytest.approx(60.0 if blq else row["value"])
        assert filled == (row["used"] and not blq)
        assert colour == to_rgba(VERMILION if blq and row["used"] else BLACK if row["used"] else GREY)
    assert rendered(panels)


def test_panels_say_how_many_samples_and_share_a_log_axis_with_the_lloq(updates, rendered):
    panels = forecast(updates)
    assert [ax.get_title() for ax in panels][1:] == [
        "2 samples, to day 3",
        "4 samples, to day 14",
        "6 samples, to day 60",
    ]
    assert panels[0].get_title() == "S001: no sample"
    assert all(ax.get_yscale() == "log" for ax in panels)
    assert len({ax.get_ylim() for ax in panels}) == 1
    for ax in panels:
        assert any(np.array_equal(line.get_ydata(), [60, 60]) for line in ax.get_lines())
    assert rendered(panels)


def test_the_band_is_that_of_the_forecast(updates):
    (band,) = forecast(updates.forecasts[3])[0].collections
    curve = updates.forecasts[3].curve
    drawn = band.get_paths()[0].vertices
    at = drawn[np.isclose(drawn[:, 0], curve["day"].iloc[60])][:, 1]
    assert {*np.round(at, 6)} == {*np.round(curve.loc[60, ["lower", "upper"]].to_numpy(float), 6)}


def test_fewer_panels_keep_the_first_and_the_last(updates):
    assert [ax.get_title() for ax in forecast(updates, panels=2)] == [
        "S001: no sample",
        "6 samples, to day 60",
    ]
    with pytest.raises(ConfigError, match="panels is 0"):
        forecast(updates, panels=0)


def test_what_did_not_converge_is_said(updates, rendered):
    doubtful = replace(updates.forecasts[1], converged=False)
    ax = forecast(doubtful)[0]
    assert "not converged" in [text.get_text() for text in ax.texts]
    ax = forecast_metric(replace(updates, forecasts=(updates.forecasts[0], doubtful)))
    colours = [line.get_color() for line in ax.get_lines() if line.get_marker() == "s"]
    assert colours[1] == VERMILION != colours[0]
    assert rendered(ax)


def test_intervals_stand_over_the_number_of_samples(updates, rendered):
    ax = forecast_metric(updates, metric="auc_0_28")
    rows = updates.table[updates.table["metric"] == "auc_0_28"]
    points = [
        (line.get_xdata()[0], line.get_ydata()[0]) for line in ax.get_lines() if line.get_marker() == "s"
    ]
    assert points == list(zip(rows["n_samples"], rows["value"], strict=True))
    assert ax.get_yscale() == "log"
    assert "AUC day 0–28" in ax.get_ylabel()
    assert forecast_metric(updates, metric="tmax").get_yscale() == "linear"
    assert rendered(ax)


def test_an_interval_without_end_has_an_arrow(updates, rendered):
    last = updates.forecasts[-1]
    table = last.table.assign(
        upper=np.where(last.table["metric"] == "time_to_blq", np.inf, last.table["upper"])
    )
    ax = forecast_metric(
        replace(updates, forecasts=(updates.forecasts[0], replace(last, table=table))), metric="time_to_blq"
    )
    assert [line.get_xdata()[0] for line in ax.get_lines() if line.get_marker() == "^"] == [6]
    assert rendered(ax)


def test_a_metric_that_was_not_forecast_is_refused(updates):
    with pytest.raises(ConfigError, match="no value of 'aucc'"):
        forecast_metric(updates, metric="aucc")
