"""Adverse events, markers and antibodies: small tables by hand, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from carkinetics.dataset import read_nonmem
from carkinetics.errors import DataError
from carkinetics.response import antibody_status, dose_limiting, marker_summary, toxicity_table, worst_grade

EVENTS = pd.DataFrame(
    [("1", "CRS", 1, 2, 3, False), ("1", "CRS", 3, 4, 6, True), ("1", "fever", 1, 2, 9, False), ("2", "CRS", 2, 28, None, True),
     ("3", "fever", 4, 29, 30, True)],
    columns=["subject", "term", "grade", "start", "end", "dlt"],
)  # fmt: skip
DOSES = pd.Series([1, 1, 3, 3], index=["1", "2", "3", "4"])


def test_the_worst_grade_with_onset_and_duration():
    table = worst_grade(EVENTS, DOSES.index, "CRS")
    assert table["grade"].tolist() == [3, 2, 0, 0]
    assert table.loc["1"].tolist() == [3, 2, 4, 6, 5]
    assert np.isnan(table.loc["2", "end"])
    with pytest.raises(DataError, match="no 'CSR'; did you mean 'CRS'"):
        worst_grade(EVENTS, DOSES.index, "CSR")


def test_a_subject_counts_once_at_its_worst():
    table = toxicity_table(EVENTS, DOSES)
    assert table.index.tolist() == ["any event", "CRS", "fever"]
    assert table["all"].to_numpy().tolist() == [[3, 2], [2, 1], [2, 1]]
    assert table[1].to_numpy().tolist() == [[2, 1], [2, 1], [1, 0]]
    assert table.attrs["n"] == {1: 2, 3: 2, "all": 4}
    assert toxicity_table(EVENTS, DOSES, only="dlt", order="term").index.tolist() == [
        "any event",
        "CRS",
        "fever",
    ]
    with pytest.raises(DataError, match="no column 'serius'"):
        toxicity_table(EVENTS, DOSES, only="serius")
    with pytest.raises(
        DataError, match=r"row 4 \(subject 3, fever\): subject is '3'; expected one of the subjects"
    ):
        toxicity_table(EVENTS, DOSES.drop("3"))


def test_dose_limiting_toxicities_have_a_window_of_four_weeks():
    table = dose_limiting(EVENTS, DOSES.index, followed=pd.Series([100, 100, 100, 20], index=DOSES.index))
    assert table["dlt"].tolist() == [True, True, False, False]
    assert table["onset"].tolist()[:2] == [4, 28]
    assert table["evaluable"].tolist() == [True, True, True, False]


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [("grade", 6, "grade is 6.0; expected 1 to 5"), ("start", "soon", "start is 'soon'; expected a number"),
     ("end", 1, "end is 1.0; expected a day not before its start")],
)  # fmt: skip
def test_an_event_that_makes_no_sense_is_named(column, value, said):
    wrong = EVENTS.astype(object)
    wrong.loc[2, column] = value
    with pytest.raises(DataError, match=rf"row 2 \(subject 1, fever\): {said}"):
        worst_grade(wrong, DOSES.index, "CRS")


def cytokine(*rows):
    frame = pd.DataFrame(rows, columns=["ID", "TIME", "DV"]).assign(DVID="il6")
    levels = pd.DataFrame({"ID": frame["ID"].unique(), "TIME": 7, "DV": 500, "DVID": "qpcr"})
    return read_nonmem(
        pd.concat([frame, levels]), value_unit={"il6": "pg/mL", "qpcr": "copies/ug"}, lloq={"il6": 2, "qpcr": 10},
        uloq={"il6": 1000}, markers=["il6"],
    )  # fmt: skip


def test_a_marker_keeps_what_is_not_known_of_it():
    data = cytokine(
        ("1", 0, 4),
        ("1", 3, 40),
        ("1", 7, 400),
        ("1", 14, 8),
        ("1", 40, 900),
        ("2", 0, 0),
        ("2", 3, 20),
        ("2", 7, 1500),
    )
    table = marker_summary(data).set_index("subject")
    one = table.loc["1"]
    assert (one["baseline_lower"], one["peak_lower"], one["peak_upper"], one["peak_day"]) == (4, 400, 400, 7)
    assert (one["fold_lower"], one["fold_upper"], one["n"]) == (100, 100, 4)
    two = table.loc["2"]
    assert (two["baseline_lower"], two["baseline_upper"]) == (0, 2)
    assert (two["peak_lower"], two["peak_upper"]) == (1000, np.inf)
    assert (two["fold_lower"], two["fold_upper"]) == (500, np.inf)
    with pytest.raises(DataError, match="no marker"):
        marker_summary(data.select(assay="qpcr"))


def test_antibodies_have_a_kind_and_a_time():
    titres = pd.DataFrame(
        [("a", 0, 0), ("a", 28, 0), ("b", 0, 0), ("b", 14, 0), ("b", 28, 8), ("b", 56, 0), ("c", 0, 4), ("c", 28, 8), ("d", 0, 4),
         ("d", 28, 16), ("d", 200, 64), ("e", 0, 0), ("e", 28, 8), ("e", 150, 8), ("e", 200, 0), ("f", 28, 8)],
        columns=["subject", "day", "titre"],
    )  # fmt: skip
    table = antibody_status(titres, boost_factor=4, transient_days=112)
    assert table["status"].tolist() == [
        "negative",
        "induced",
        "pre-existing",
        "boosted",
        "induced",
        "unknown",
    ]
    assert table["transient"].tolist() == [None, True, None, False, False, None]
    assert table["onset"].tolist() == [np.inf, 28, np.inf, 28, 28, 28]
    assert table.loc["b", "after"] == 14
    with pytest.raises(DataError, match="row 1: titre is -8; expected a number, 0 where negative"):
        antibody_status(
            pd.DataFrame({"subject": ["a", "a"], "day": [0, 1], "titre": [1, -8]}),
            boost_factor=4,
            transient_days=112,
        )
