"""RECIST 1.1: acceptance E4, table 3, and what is refused; E5 for times to an event."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carkinetics.errors import ConfigError, DataError
from carkinetics.response import derive_event, derive_response
from carkinetics.response.best import best_so_far

COLUMNS = ["subject", "day", "lesion", "kind", "size_mm", "status"]


def lesions(*rows):
    return pd.DataFrame([("P1", *row) for row in rows], columns=COLUMNS)


def of_sums(*sums, days=None):
    days = days or [56 * k for k in range(len(sums))]
    return lesions(*((day, "T1", "target", size, "") for day, size in zip(days, sums, strict=True)))


def last(table):
    return derive_response(table)["response"].iloc[-1]


@pytest.mark.parametrize(
    ("sums", "expected"),
    [
        ((100, 70), "PR"), ((100, 71), "SD"), ((100, 50, 60), "PD"), ((20, 15, 18), "SD"), ((20, 15, 20), "PD"), ((80, 0), "CR"),
        ((100, 0, 4), "PD"), ((100, 50, 59), "PR"), ((10.1, 7.07), "PR"),
    ],
)  # fmt: skip
def test_the_sum_of_diameters(sums, expected):
    assert last(of_sums(*sums)) == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [("absent", "CR"), ("present", "PR"), ("not assessed", "PR"), ("progressed", "PD")],
)
def test_non_target_lesions(status, expected):
    rows = [(0, "T1", "target", 80, ""), (0, "N1", "nontarget", None, "present"), (56, "T1", "target", 0, ""),
            (56, "N1", "nontarget", None, status)]  # fmt: skip
    assert last(lesions(*rows)) == expected
    alone = {"absent": "CR", "present": "non-CR/non-PD", "not assessed": "NE", "progressed": "PD"}
    assert last(lesions(rows[1], rows[3])) == alone[status]


def test_nodes_new_lesions_and_lesions_that_were_not_assessed():
    assert last(lesions((0, "L1", "node", 22, ""), (56, "L1", "node", 9, ""))) == "CR"
    assert last(lesions((0, "L1", "node", 22, ""), (56, "L1", "node", 10, ""))) == "PR"
    shrunk = [(0, "T1", "target", 100, ""), (56, "T1", "target", 60, "")]
    assert last(lesions(*shrunk, (56, "X", "new", None, ""))) == "PD"
    assert last(lesions(*shrunk, (56, "X", "new", None, "equivocal"))) == "PR"
    three = [(0, name, "target", size, "") for name, size in (("A", 20), ("B", 20), ("C", 60))]
    assert last(lesions(*three, (56, "A", "target", 20, ""), (56, "B", "target", 20, ""))) == "NE"
    grown = [
        (56, "A", "target", 60, ""),
        (56, "B", "target", 60, ""),
        (56, "C", "target", None, "not assessed"),
    ]
    assert last(lesions(*three, *grown)) == "PD"
    small = lesions((0, "T1", "target", 40, ""), (56, "T1", "target", None, "too small to measure"))
    assert derive_response(small)["sum_mm"].tolist() == [5]


def test_the_table_has_what_a_spider_plot_needs():
    table = derive_response(of_sums(100, 60, 80, days=[-7, 49, 105]))
    assert table["day"].tolist() == [49, 105]
    assert table["change_pct"].tolist() == pytest.approx([-40, -20])
    assert table["nadir_mm"].tolist() == [100, 60]
    assert table["response"].tolist() == ["PR", "PD"]
    assert table["best"].tolist() == ["PR", "PR"]
    nobody = derive_response(of_sums(100))
    assert nobody[["response", "best"]].to_numpy().tolist() == [["NE", "NE"]]
    assert nobody["change_pct"].isna().all()


TABLE_3 = [
    ("CR CR", "CR", "CR"), ("CR PR", "SD", "PD"), ("CR SD", "SD", "PD"), ("CR PD", "SD", "PD"), ("CR NE", "SD", "NE"),
    ("PR CR", "PR", "PR"), ("PR PR", "PR", "PR"), ("PR SD", "SD", "PD"), ("PR PD", "SD", "PD"), ("PR NE", "SD", "NE"),
    ("NE NE", "NE", "NE"), ("NE CR", "SD", "NE"), ("NE PR", "SD", "NE"), ("NE SD", "SD", "NE"), ("NE PD", "PD", "PD"),
]  # fmt: skip


@pytest.mark.parametrize(("pair", "met", "not_met"), TABLE_3)
def test_confirmed_best_response(pair, met, not_met):
    settings = {"confirm": True, "confirm_days": 28}
    assert best_so_far([56, 112], pair.split(), minimum_sd_days=42, **settings)[-1] == met
    assert best_so_far([56, 112], pair.split(), minimum_sd_days=200, **settings)[-1] == not_met


def test_a_response_is_confirmed_after_four_weeks_and_not_by_a_worse_visit_between():
    def best(days, responses):
        return best_so_far(days, responses.split(), confirm=True, confirm_days=28, minimum_sd_days=42)[-1]

    assert best([56, 70], "PR PR") == "SD"
    assert best([56, 70, 90], "PR PR PR") == "PR"
    assert best([56, 112, 168], "PR NE PR") == "PR"
    assert best([56, 112, 168], "PR SD PR") == "SD"
    assert best([56, 112, 168, 224], "SD PR PD PR") == "SD"
    assert derive_response(of_sums(100, 60, 90))["best"].iloc[-1] == "PR"
    assert derive_response(of_sums(100, 60, 90), confirm=True)["best"].iloc[-1] == "SD"


@given(st.lists(st.sampled_from(["CR", "PR", "SD", "PD", "NE"]), min_size=1, max_size=6))
def test_a_confirmed_response_is_an_unconfirmed_one(responses):
    days = np.arange(1, len(responses) + 1) * 56.0
    order = ["CR", "PR", "SD", "PD", "NE"]
    plain, confirmed = (
        best_so_far(days, responses, confirm=c, confirm_days=28, minimum_sd_days=42) for c in (False, True)
    )
    assert all(order.index(a) <= order.index(b) for a, b in zip(plain, confirmed, strict=True))
    until = responses.index("PD") + 1 if "PD" in responses else len(responses)
    assert len({*plain[until - 1 :]}) == 1  # what follows progression changes nothing


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            (56, "T1", "targt", 3, ""),
            r"row 1 \(subject P1, day 56.0, lesion T1\): kind is 'targt'; expected one of",
        ),
        ((56, "T1", "target", -3, ""), "size_mm is -3.0; expected 0 or more"),
        (
            (56, "T1", "target", None, ""),
            "size_mm is nan; expected a size in mm, or the status 'not assessed'",
        ),
        ((56, "T1", "target", 3, "absnt"), "status is 'absnt'.*did you mean 'absent'"),
        ((56, "T1", "node", 3, ""), "expected the same kind at every visit"),
        ((0, "T1", "target", 3, ""), "expected one row per visit"),
        ((56, "T2", "target", 3, ""), "'T2' was not there at the baseline .*is of the kind 'new'"),
        (("soon", "T1", "target", 3, ""), "day is 'soon'; expected a number"),
    ],
)
def test_what_makes_no_sense_is_refused(row, said):
    with pytest.raises(DataError, match=said):
        derive_response(lesions((0, "T1", "target", 100, ""), row))


def test_a_missing_column_is_named():
    with pytest.raises(DataError, match="column 'status' is missing"):
        derive_response(of_sums(100, 50).drop(columns="status"))


INFUSION = pd.Timestamp("2024-01-10")
HISTORY = pd.DataFrame(
    {
        "subject": list("abcde"), "infusion": INFUSION,
        "death": pd.to_datetime([None, None, None, "2024-03-01", None]),
        "last_alive": pd.to_datetime(["2024-06-01"] * 3 + [None, "2024-06-01"]),
        "new_therapy": pd.to_datetime([None] * 4 + ["2024-03-15"]),
    }
)  # fmt: skip
VISITS = pd.DataFrame(
    [("a", "2024-03-05", "SD"), ("a", "2024-04-09", "PD"), ("b", "2024-06-01", "SD"), ("e", "2024-03-05", "SD"),
     ("e", "2024-05-01", "PD")], columns=["subject", "day", "response"],
).assign(day=lambda table: pd.to_datetime(table["day"]))  # fmt: skip


def test_progression_free_survival_of_five_patients():
    # Acceptance E5.
    found = derive_event("pfs", HISTORY, VISITS)
    assert found["time"].tolist() == [90, 143, 0, 51, 55]
    assert found["event"].tolist() == [1, 0, 0, 1, 0]
    assert found.loc["e", "reason"] == "last adequate assessment before new anticancer therapy"
    assert found.loc["c", "reason"] == "no assessment after baseline"
    ignored = derive_event("pfs", HISTORY, VISITS, new_therapy="ignore").loc["e"]
    assert ignored.tolist() == [112, 1, "progressive disease"]
    as_event = derive_event("pfs", HISTORY, VISITS, new_therapy="event").loc["e"]
    assert as_event.tolist() == [65, 1, "new anticancer therapy"]
    assert derive_event("ttp", HISTORY, VISITS).loc["d"].tolist() == [0, 0, "no assessment after baseline"]
    missed = derive_event("pfs", HISTORY, VISITS, missed_days=30)
    assert missed.loc[["a", "d"], ["time", "event"]].to_numpy().tolist() == [[55, 0], [0, 0]]


def test_survival_and_duration_of_response():
    survival = derive_event("os", HISTORY)
    assert survival["time"].tolist() == [143, 143, 143, 51, 143]
    assert survival["event"].tolist() == [0, 0, 0, 1, 0]
    subjects = pd.DataFrame({"subject": ["P1"], "death": [np.nan], "last_alive": [300]})
    sums = of_sums(100, 60, 50, 90)
    found = derive_event("dor", subjects, derive_response(sums))
    assert found.loc["P1"].tolist() == [56, 112, 1, "progressive disease"]
    assert derive_event(
        "dor", subjects, derive_response(of_sums(100, 60, 90), confirm=True), confirmed=True
    ).empty
    assert derive_event("dor", subjects, derive_response(of_sums(100, 80))).empty


def test_what_shrinks_after_progression_is_no_response():
    subjects = pd.DataFrame({"subject": ["P1"], "last_alive": [300]})
    responses = derive_response(of_sums(100, 130, 60))
    assert responses["response"].tolist() == ["PD", "PR"]
    assert derive_event("dor", subjects, responses).empty
    again = derive_event("dor", subjects, derive_response(of_sums(100, 60, 90, 40)))
    assert again.loc["P1", ["start", "time", "event"]].tolist() == [56, 56, 1]


def test_a_response_counts_before_new_therapy_and_death_only():
    visits = derive_response(of_sums(100, 60, 50))
    subjects = pd.DataFrame({"subject": ["P1"], "new_therapy": [30.0], "last_alive": [300]})
    assert derive_event("dor", subjects, visits).empty
    assert derive_event("dor", subjects, visits, new_therapy="event").empty
    ignored = derive_event("dor", subjects, visits, new_therapy="ignore")
    assert ignored.loc["P1", ["start", "time", "event"]].tolist() == [56, 56, 0]
    same_day = derive_event("dor", subjects.assign(new_therapy=56.0), visits)
    assert same_day.loc["P1", ["start", "time"]].tolist() == [56, 0]
    assert derive_event("dor", pd.DataFrame({"subject": ["P1"], "death": [30.0]}), visits).empty


def test_duration_begins_at_the_response_that_was_confirmed():
    # PR on day 28 is lost again on day 56; that of day 84 is confirmed on day 112.
    visits = derive_response(of_sums(100, 70, 80, 65, 60, 60, days=[0, 28, 56, 84, 112, 140]), confirm=True)
    assert visits["response"].tolist() == ["PR", "SD", "PR", "PR", "PR"]
    subjects = pd.DataFrame({"subject": ["P1"], "last_alive": [300]})
    found = derive_event("dor", subjects, visits, confirmed=True)
    assert found.loc["P1", ["start", "time", "event"]].tolist() == [84, 56, 0]
    assert derive_event("dor", subjects, visits).loc["P1", "start"] == 28
    late = derive_response(of_sums(100, 60, 60, days=[0, 28, 60]), confirm=True, confirm_days=35)
    assert derive_event("dor", subjects, late, confirmed=True).empty


def test_the_table_knows_its_settings():
    found = derive_response(of_sums(100, 60), confirm=True, minimum_sd_days=49)
    assert found.attrs == {
        "criteria": "recist 1.1", "confirm": True, "confirm_days": 28.0, "minimum_sd_days": 49.0
    }  # fmt: skip


def test_what_is_missing_for_an_event_is_said():
    with pytest.raises(ConfigError, match="endpoint is 'psf'; did you mean 'pfs'"):
        derive_event("psf", HISTORY, VISITS)
    with pytest.raises(ConfigError, match="pfs needs responses"):
        derive_event("pfs", HISTORY)
    with pytest.raises(DataError, match="subject 'z' is not in subjects"):
        derive_event("pfs", HISTORY, VISITS.assign(subject="z"))
    with pytest.raises(DataError, match="subject a: death is day -9, before the infusion"):
        derive_event("os", HISTORY.assign(death=pd.Timestamp("2024-01-01")))
    with pytest.raises(DataError, match="subject c has neither death nor last_alive"):
        derive_event("os", HISTORY.assign(last_alive=HISTORY["last_alive"].where(HISTORY["subject"] != "c")))
    with pytest.raises(DataError, match="'soon' is neither a day nor a date"):
        derive_event("os", HISTORY.assign(death="soon"))
    with pytest.raises(DataError, match="subjects needs a column 'infusion'"):
        derive_event("os", HISTORY.drop(columns="infusion"))


def pleural(*visits: list[float]) -> pd.DataFrame:
    """Thickness at six places of one subject on days 0, 42, 84, ..."""
    rows = [
        ("p", 42 * k, f"level {i}", "pleural", size, "")
        for k, sizes in enumerate(visits)
        for i, size in enumerate(sizes)
    ]
    return pd.DataFrame(rows, columns=["subject", "day", "lesion", "kind", "size_mm", "status"])


def test_pleural_thickness_counts_by_the_modified_criteria_only():
    # Sums 72, 50.4 (-30 % exactly), 50.4, then 60.48: +20 % over the nadir.
    table = pleural([12.0] * 6, [8.4] * 6, [8.4] * 6, [10.08] * 6)
    found = derive_response(table, criteria="mesothelioma", confirm=True)
    assert found["sum_mm"].tolist() == pytest.approx([50.4, 50.4, 60.48])
    assert found["response"].tolist() == ["PR", "PR", "PD"]
    assert found["best"].tolist()[-1] == "PR"
    with pytest.raises(DataError, match="thickness goes with criteria='mesothelioma'"):
        derive_response(table)
    with pytest.raises(DataError, match="at most 6 measurements"):
        derive_response(pleural([5.0] * 7), criteria="mesothelioma")
    with pytest.raises(ConfigError, match="did you mean 'mesothelioma'"):
        derive_response(table, criteria="mesotheliom")


def test_a_thin_rind_progresses_by_a_fifth_without_five_millimetres():
    table = pleural([3.0] * 6, [3.7] * 6)  # +23 %, 4.2 mm
    assert derive_response(table, criteria="mesothelioma")["response"].tolist() == ["PD"]
    as_targets = table.assign(kind="target")
    assert derive_response(as_targets)["response"].tolist() == ["SD"]
    assert derive_response(pleural([0.0] * 6, [0.0] * 6), criteria="mesothelioma")["response"].tolist() != [
        "PD"
    ]
