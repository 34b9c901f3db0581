"""What the picture of sampling schedules shows."""

import numpy as np
import pytest

from carkinetics.model import load_model
from carkinetics.plot import schedules
from carkinetics.plot.style import BLACK
from carkinetics.prognosis import compare_schedules


@pytest.fixture(scope="module")
def comparison():
    days = {"weekly": (7, 14, 21, 28), "early": (1, 3, 7), "late": (28, 90)}
    return compare_schedules(
        load_model("stein2019"), days, n=4, lloq=50, draws=60, metrics=("cmax", "auc_0_28")
    )


def test_days_and_widths_stand_in_the_row_of_their_schedule(comparison, rendered):
    panels = schedules(comparison)
    assert [ax.get_title(loc="left") or ax.get_title() for ax in panels] == [
        "Samples",
        "Cmax",
        "AUC day 0–28",
    ]
    assert [label.get_text() for label in panels[0].get_yticklabels()] == ["weekly", "early", "late"]
    days = [line.get_xdata() for line in panels[0].get_lines()]
    assert [list(one) for one in days] == [[7, 14, 21, 28], [1, 3, 7], [28, 90]]
    for ax, metric in zip(panels[1:], ("cmax", "auc_0_28"), strict=True):
        rows = comparison.table[comparison.table["metric"] == metric]
        dots = [line for line in ax.get_lines() if line.get_marker() == "o"]
        assert [float(line.get_xdata()[0]) for line in dots] == pytest.approx(rows["width"].tolist())
        assert [float(line.get_ydata()[0]) for line in dots] == [0, 1, 2]
        assert ax.get_xscale() == "log"
        assert f"{rows['coverage'].iloc[0]:.0%}" in [text.get_text() for text in ax.texts]
    assert rendered(panels)


def test_the_narrowest_is_black(comparison):
    rows = comparison.table[comparison.table["metric"] == "cmax"]
    dots = [line for line in schedules(comparison)[1].get_lines() if line.get_marker() == "o"]
    black = [line.get_color() == BLACK for line in dots]
    expected = rows["width"].to_numpy() == rows["width"].min()
    assert np.array_equal(black, expected & (rows["not_converged"] == 0).to_numpy())
