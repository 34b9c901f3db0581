"""Remarks that say the same of several subjects are one row with all of them."""

import pandas as pd

from carkinetics.report.remarks import merged

COLUMNS = ["severity", "about", "rule", "where", "message"]


def found(*rows) -> pd.DataFrame:
    return pd.DataFrame([("note", "NCA", *row) for row in rows], columns=COLUMNS)


def test_the_same_sentence_is_one_row_and_another_day_is_another_one():
    rows = merged(
        found(
            ("late", "subject 3", "day 5"), ("late", "subject 1", "day 6"), ("late", "subject 2", "day 5"),
            ("early", "subject 9", "day 5"),
        )
    )  # fmt: skip
    assert rows == [
        ("note", "NCA", "late", "subject 3, 2", "day 5"), ("note", "NCA", "late", "subject 1", "day 6"),
        ("note", "NCA", "early", "subject 9", "day 5"),
    ]  # fmt: skip


def test_no_place_is_lost_where_places_are_not_single_subjects():
    rows = merged(
        found(("late", "subject 3, rows 1-2", "x"), ("late", "subject 4", "x"), ("late", "assay car", "x"))
    )
    assert [row[3] for row in rows] == ["subject 3, rows 1-2; subject 4; assay car"]
