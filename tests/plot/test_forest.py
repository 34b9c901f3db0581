from itertools import pairwise

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from carkinetics.exposure import covariate_forest
from carkinetics.plot import forest
from carkinetics.plot.style import BLUE


@pytest.fixture(scope="module")
def result(dose_fit):
    return covariate_forest(dose_fit)


def test_every_row_has_its_ratio_interval_and_numbers(result, rendered):
    ax = Figure().subplots()
    assert forest(result, ax=ax) is ax
    effects = result.table[result.table["covariate"] == "dose"]
    markers = [line for line in ax.get_lines() if line.get_marker() == "s"]
    drawn = sorted(float(line.get_xdata()[0]) for line in markers)
    assert drawn == pytest.approx(sorted(effects["ratio"]))
    words = [text.get_text() for text in ax.texts]
    for row in effects.itertuples():
        assert f"{row.ratio:.2f} ({row.lower:.2f}–{row.upper:.2f})" in words
    assert {"Cmax", "AUC day 0–28", "ratio (90% CrI)"} <= {*words}
    assert rendered(ax)


def test_the_axis_is_logarithmic_with_the_limits_shaded_and_a_line_at_1(result, rendered):
    ax = forest(result)
    assert ax.get_xscale() == "log"
    (band,) = [p for p in ax.patches if p.get_facecolor() == to_rgba(BLUE, 0.10)]
    assert (band.get_x(), band.get_x() + band.get_width()) == pytest.approx((0.8, 1.25))
    assert any(np.array_equal(line.get_xdata(), [1, 1]) for line in ax.get_lines())
    assert 1.0 in ax.get_xticks()
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names[0] == r"dose: $10^{5}$ (P5) vs $10^{6}$"
    assert names[2::3] == ["between subjects"] * 2
    assert rendered(ax)


def test_numbers_are_beside_their_rows_and_nothing_is_cut(result):
    ax = forest(result)
    figure = ax.figure
    FigureCanvasAgg(figure).draw()
    boxes = [text.get_window_extent() for text in [*ax.texts, *ax.get_yticklabels()]]
    wide, high = figure.get_size_inches() * figure.dpi
    assert all(box.x0 >= 0 and box.x1 <= wide and box.y0 >= 0 and box.y1 <= high for box in boxes)
    column = sorted((box for box in boxes if box.x0 > 0.6 * wide), key=lambda box: box.y0)
    assert all(below.y1 <= above.y0 + 1 for below, above in pairwise(column))  # a pixel of antialiasing
