"""Figures of response and survival: what they show is what the tables say."""

import numpy as np
import pandas as pd
import pytest

from carkinetics.dataset.table import DOSE_COLUMNS, OBSERVATION_COLUMNS, Dataset
from carkinetics.errors import ConfigError, DataError
from carkinetics.exposure import Exposure
from carkinetics.plot import event_curves, spider, survival_curves, swimmer, waterfall
from carkinetics.plot.axes import png
from carkinetics.response import derive_event, derive_response, fit_event

LESIONS = pd.DataFrame(
    [(s, day, "T1", "target", size, "") for s, sizes in {"a": (100, 60, 40), "b": (50, 80, 90), "c": (30, 30)}.items()
     for day, size in zip((0, 56, 112), sizes, strict=False)] + [("b", 56, "N", "new", None, "")],
    columns=["subject", "day", "lesion", "kind", "size_mm", "status"],
)  # fmt: skip
RESPONSES = derive_response(LESIONS)
DOSE = {"a": 1e6, "b": 1e5, "c": 1e6}
END = derive_event(
    "os",
    pd.DataFrame({"subject": list("abc"), "death": [np.nan, 150, np.nan], "last_alive": [300, np.nan, 80]}),
)


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_a_waterfall_is_in_order_with_new_lesions_marked():
    ax = waterfall(RESPONSES, DOSE)
    heights = [bar.get_height() for bar in ax.patches]
    assert heights == pytest.approx([60, 0.5, -60])
    assert texts(ax) == ["*"]
    assert png(ax).startswith(b"\x89PNG")
    some = pd.concat([RESPONSES, derive_response(LESIONS.iloc[:1].assign(subject="d"))])
    assert (
        waterfall(some.assign(change_pct=some["change_pct"].where(some["subject"] != "c")))
        .get_title("left")
        .startswith("Without a measured change and not shown: 2")
    )


def test_a_spider_starts_at_the_infusion():
    ax = spider(RESPONSES, DOSE)
    lines = [
        line
        for line in ax.lines
        if len(line.get_xdata()) > 1 and line.get_xdata()[0] == 0 and line.get_marker() != "None"
    ]
    assert [line.get_ydata()[-1] for line in lines] == pytest.approx([-60, 80, 0])
    assert png(ax).startswith(b"\x89PNG")


def crosses(ax):
    marks = [line for line in ax.lines if line.get_marker() == "X" and len(line.get_xdata())]
    return [tuple(line.get_xydata()[0]) for line in marks]


def test_a_cross_is_on_its_day_between_visits_and_after_the_last_one():
    assert crosses(spider(RESPONSES, DOSE)) == [(56, pytest.approx(60))]
    for day, at in ((80, 60), (140, 80), (30, 0)):
        new = pd.DataFrame([("b", day, "N", "new", None, "")], columns=LESIONS.columns)
        responses = derive_response(pd.concat([LESIONS[LESIONS["kind"] == "target"], new]))
        ax = spider(responses, DOSE)
        assert crosses(ax) == [(day, pytest.approx(at))]
        assert "new lesion" in [text.get_text() for text in ax.get_legend().get_texts()]


def test_a_group_looks_alike_whoever_is_drawn():
    by = {"a": 1e6, "b": 1e5, "c": 3e5}
    alone = waterfall(RESPONSES[RESPONSES["subject"] == "a"], by)
    everybody = swimmer(RESPONSES, END, by)
    assert alone.patches[0].get_hatch() == everybody.patches[-1].get_hatch() == "...."
    assert [text.get_text() for text in alone.get_legend().get_texts()] == ["$10^{6}$"]


def test_a_swimmer_has_the_longest_on_top_and_says_who_is_alive():
    ax = swimmer(RESPONSES, END, DOSE)
    assert [bar.get_width() for bar in ax.patches] == [80, 150, 300]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["c", "b", "a"]
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert {"PR", "PD", "SD", "death", "alive at last contact"} <= {*names}
    assert png(ax).startswith(b"\x89PNG")


def test_groups_differ_in_more_than_colour():
    for ax in (waterfall(RESPONSES, DOSE, by_label="Dose"), swimmer(RESPONSES, END, DOSE, by_label="Dose")):
        by_height = {bar.get_hatch() for bar in ax.patches}
        assert by_height == {"", "////"}
        assert ax.get_legend().get_title().get_text() == "Dose"
    lines = [line for line in spider(RESPONSES, DOSE).lines if line.get_linestyle() == "-"][:3]
    assert [line.get_marker() for line in lines] == ["s", "o", "s"]  # 1e6, 1e5, 1e6


def test_who_has_no_group_is_one_of_their_own_and_numbers_come_first():
    ax = waterfall(RESPONSES, {"a": 1e6, "b": np.nan, "c": 1e5})
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["$10^{5}$", "$10^{6}$", "not known", "new lesion"]


def test_a_long_swimmer_goes_on_over_several_figures_with_one_axis():
    end = pd.DataFrame({"time": range(1, 12), "event": 0}, index=[f"s{i:02d}" for i in range(1, 12)])
    figures = [swimmer(RESPONSES, end, page=page, per_page=4) for page in (1, 2, 3)]
    shown = [[label.get_text() for label in ax.get_yticklabels()][::-1] for ax in figures]
    assert [len(names) for names in shown] == [4, 4, 3]
    assert [name for names in shown for name in names] == [f"s{i:02d}" for i in range(11, 0, -1)]
    assert {ax.get_xlim() for ax in figures} == {(0, 11 * 1.03)}
    with pytest.raises(ConfigError, match="page is 4; expected 1 to 3"):
        swimmer(RESPONSES, end, page=4, per_page=4)


def test_survival_curves_have_numbers_at_risk_and_medians():
    time, event, arm = [6, 6, 7, 9, 10, 1, 2, 3, 4, 5], [1, 1, 0, 0, 1, 1, 1, 1, 1, 1], ["x"] * 5 + ["y"] * 5
    ax = survival_curves(time, event, arm)
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend[1].startswith("y: median 3 days (95 % CI 1 to ")
    shown = texts(ax)
    assert shown[0] == "At risk"
    assert shown[shown.index("y") + 1 :][:3] == ["5", "4", "2"]
    assert png(ax).startswith(b"\x89PNG")
    alone = survival_curves([1, 2, 3], [0, 0, 0])
    assert alone.get_legend().get_texts()[0].get_text().startswith("median not reached (95 % CI")
    with pytest.raises(DataError, match="by has 6 groups"):
        survival_curves(range(1, 7), [1] * 6, list("abcdef"))


def test_what_cannot_be_drawn_is_said():
    with pytest.raises(DataError, match="no visit has a change"):
        waterfall(RESPONSES.assign(change_pct=np.nan))
    with pytest.raises(DataError, match="by has no group for subject 'c'"):
        spider(RESPONSES, {"a": 1, "b": 1})


@pytest.mark.parametrize(
    ("label", "axis"),
    [
        ("", "Event-free, probability"),
        ("progression or death", "Free of progression or death, probability"),
        ("cost above 5 US$", r"Free of cost above 5 US\$, probability"),  # no formula begins there
    ],
)
def test_curves_of_an_event_are_called_by_its_label(label, axis):
    n = 12
    days = 40.0 + np.random.default_rng(3).permutation(n)
    subjects = pd.DataFrame({"subject": [f"s{i:02d}" for i in range(n)], "day": days, "event": 1})
    values = pd.Series(np.geomspace(1e3, 1e5, n), index=subjects["subject"])
    observed = pd.DataFrame(
        {"subject": values.index, "metric": "auc_0_28", "value": values.to_numpy(), "lower": np.nan, "upper": np.nan,
         "unit": "copies*day/ug", "method": "test", "excluded": ""}
    )  # fmt: skip
    empty = {"observations": OBSERVATION_COLUMNS, "doses": DOSE_COLUMNS}
    data = Dataset(subjects=subjects, **{name: pd.DataFrame(columns=list(c)) for name, c in empty.items()})
    found = fit_event(
        Exposure(observed), data, duration="day", event="event", on="log(auc_0_28)", landmark=28, label=label
    )
    assert event_curves(found).get_ylabel() == axis
    assert event_curves(found, label="Progression-free").get_ylabel() == "Progression-free, probability"
