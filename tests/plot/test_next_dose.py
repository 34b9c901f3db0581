"""What the picture of candidate doses shows."""

from dataclasses import replace

import pytest
from matplotlib.colors import to_rgba

from carkinetics.plot import next_dose
from carkinetics.plot.style import GREY
from carkinetics.prognosis import predict_doses


@pytest.fixture(scope="module")
def result(dose_fit):
    return predict_doses(dose_fit, (1e5, 1e6, 6e6), draws=200)


def test_every_dose_has_its_estimate_and_extrapolated_ones_are_hollow(result, rendered):
    panels = next_dose(result)
    assert len(panels) == 2
    for ax, metric in zip(panels, ("cmax", "auc_0_28"), strict=True):
        rows = result.table[result.table["metric"] == metric]
        dots = [line for line in ax.get_lines() if line.get_marker() == "o"]
        assert sorted(float(dot.get_ydata()[0]) for dot in dots) == pytest.approx(sorted(rows["value"]))
        hollow = [dot for dot in dots if dot.get_markerfacecolor() == "white"]
        assert sorted(float(dot.get_ydata()[0]) for dot in hollow) == pytest.approx(
            sorted(rows.loc[rows["studied"] == "above", "value"])
        )
        assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert rendered(panels)


def test_the_studied_range_is_shaded(result):
    for ax in next_dose(result):
        (band,) = [patch for patch in ax.patches if patch.get_facecolor() == to_rgba(GREY, 0.18)]
        assert (band.get_x(), band.get_x() + band.get_width()) == pytest.approx((1e5 / 1.04, 2e6 * 1.04))


def test_outcomes_share_a_panel_from_0_to_1(result, rendered):
    risks = result.table[result.table["metric"] == "cmax"].drop_duplicates("dose")[
        ["dose", "studied", "ratio"]
    ]
    risks = risks.assign(
        outcome="dlt", probability=[0.1, 0.2, 0.5], lower=[0, 0.1, 0.2], upper=[0.3, 0.4, 0.9]
    )
    panels = next_dose(replace(result, risks=risks))
    assert len(panels) == 3
    assert panels[2].get_ylim() == (0, 1)
    dots = [line for line in panels[2].get_lines() if line.get_marker() == "o"]
    assert [float(dot.get_ydata()[0]) for dot in dots] == [0.1, 0.2, 0.5]
    assert panels[2].get_legend().get_texts()[0].get_text() == "dlt"
    assert rendered(panels)


def test_a_fit_in_which_dose_cannot_act_is_labelled(made_fit, rendered):
    panels = next_dose(predict_doses(made_fit, (3e5, 1e6), draws=100))
    assert all(ax.get_title() == "dose cannot act in this fit" for ax in panels)
    assert rendered(panels)
