from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis.strategies import floats

from carkinetics.plot.axes import NotebookAxes, log_limits, log_ticks, new_axes, new_grid, png, time_axis


@pytest.mark.parametrize(("low", "high"), [(50, 2e5), (100, 900), (1e-3, 1e9), (3, 40), (1, 1e4)])
def test_a_log_axis_has_a_few_labelled_ticks(low, high):
    ax = new_axes()
    ax.set_yscale("log")
    ax.set_ylim(low, high)
    log_ticks(ax.yaxis)
    shown = [t for t in ax.yaxis.get_majorticklocs() if low <= t <= high]
    assert 2 <= len(shown) <= 10
    assert all(ax.yaxis.get_major_formatter()(t) for t in shown)


@pytest.mark.parametrize(("low", "high"), [(4e-4, 2e4), (0.02, 3e4), (1e-3, 1e9), (3, 40), (60, 9000)])
@pytest.mark.parametrize("columns", [3, 6])
def test_labels_of_a_narrow_log_axis_do_not_touch_and_are_all_written_alike(low, high, columns):
    ax = new_grid(2, columns, 10.4, 6.6)[0, 0]
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    log_ticks(ax.xaxis)
    ax.figure.canvas.draw()
    labels = [label for label in ax.get_xticklabels() if low <= label.get_position()[0] <= high]
    assert len(labels) >= 2 if columns == 3 else labels
    boxes = [label.get_window_extent() for label in labels]
    assert all(right.x0 - left.x1 > 2 for left, right in pairwise(boxes))
    powers = {"^" in label.get_text() for label in labels}
    assert len(powers) == 1


@given(values=floats(1e-6, 1e12), floor=floats(1e-6, 1e6))
def test_limits_hold_the_values_and_the_lloq_and_at_least_a_decade(values, floor):
    low, high = log_limits([values, np.nan, 0.0, -1.0], floor)
    assert low < min(values, floor)
    assert max(values, floor) < high
    assert high / low >= 10 * (1 - 1e-9)


def test_limits_of_nothing_are_usable():
    assert log_limits([np.nan, 0.0]) == (1.0, 1e4)


@pytest.mark.parametrize("last", [0.0, 1.0, 4.0, 28.0, 60.0, 61.0, 365.0, 1825.0, 5000.0])
@pytest.mark.parametrize("columns", [1, 5])
def test_time_ticks_start_at_the_infusion_and_do_not_touch(last, columns, rendered):
    ax = new_grid(1, columns, 2.3 * columns + 2, 3)[0, 0]
    time_axis(ax, last, first=-3.0)
    assert rendered(ax)
    assert "Days since infusion" in ax.get_xlabel()
    assert ("square-root" in ax.get_xlabel()) == (last > 60)
    boxes = [label.get_window_extent() for label in ax.get_xticklabels() if label.get_text()]
    boxes = [box for box in boxes if ax.bbox.x0 - 1 <= (box.x0 + box.x1) / 2 <= ax.bbox.x1 + 1]
    assert len(boxes) >= 2
    assert all(a.x1 < b.x0 for a, b in pairwise(boxes))
    low, high = ax.get_xlim()
    assert low <= -3.0
    assert high >= last


def test_a_notebook_shows_an_axes_as_its_figure():
    ax = new_axes()
    assert isinstance(ax, NotebookAxes)
    assert ax._repr_png_()[:8] == b"\x89PNG\r\n\x1a\n"
    assert png(ax, dpi=30) != png(ax, dpi=60)
