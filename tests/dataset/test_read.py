import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carkinetics.dataset import Dataset, read_nonmem
from carkinetics.errors import DataError, UnitError

CONTENT = ("observations", "subjects", "doses", "events", "assays", "excluded")


def content(data: Dataset) -> dict[str, pd.DataFrame]:
    """Tables without the place in the file."""
    return {name: getattr(data, name).drop(columns=["row", "file"], errors="ignore") for name in CONTENT}


def assert_same(one: Dataset, other: Dataset) -> None:
    for name, table in content(one).items():
        pd.testing.assert_frame_equal(table, content(other)[name])


def rules(data: Dataset) -> list[tuple[int, str]]:
    """Line and rule of each excluded row, by line."""
    return sorted(zip(data.excluded["row"].tolist(), data.excluded["rule"].tolist(), strict=True))


def test_the_smallest_table_is_read() -> None:
    data = read_nonmem(pd.DataFrame({"id": [1], "Time": [7], "dv": [900]}), value_unit="copies/µg", lloq=50)
    assert data.observations.drop(columns=["file"]).iloc[0].to_dict() == pytest.approx(
        {"subject": "1", "assay": "car", "time": 7.0, "value": 900.0, "status": "quantified", "lower": 900.0,
         "upper": 900.0, "lod": np.nan, "lloq": 50.0, "unit": "copies/ug", "row": 2, "reported": "900"},
        nan_ok=True,
    )  # fmt: skip
    assert data.subject_ids == ["1"]
    assert (data.source, len(data.doses), len(data.events), len(data.excluded)) == ("table", 0, 0, 0)


def test_cdisc_names_are_mapped(subject_frame, read_frames) -> None:
    renamed = subject_frame().rename(columns={"ID": "USUBJID", "DV": "AVAL", "TIME": "ADY"})
    mapped = read_frames(renamed, columns={"ID": "usubjid", "DV": "AVAL", "time": "ADY"})
    assert_same(mapped, read_frames(subject_frame()))


def test_a_column_that_lost_its_role_is_left_out_and_said(subject_frame, read_frames) -> None:
    frame = subject_frame(AVAL=[None, 1, 2, 3])
    data = read_frames(frame, columns={"DV": "AVAL"}, lloq=None)
    assert data.observations["value"].tolist() == [1.0, 2.0, 3.0]
    assert data.remarks["where"].tolist() == ["column DV"]


@pytest.mark.parametrize("column", ["ID", "TIME", "DV"])
def test_a_missing_column_is_named_with_a_way_out(subject_frame, read_frames, column: str) -> None:
    with pytest.raises(DataError, match=rf"column '{column}' is missing.*columns=\{{'{column}'"):
        read_frames(subject_frame().drop(columns=column))


def test_a_mapped_column_that_does_not_exist_offers_the_near_one(subject_frame, read_frames) -> None:
    frame = subject_frame().rename(columns={"DV": "AVAL"})
    with pytest.raises(DataError, match=r"columns\['DV'\]: column 'AVL' is missing; did you mean 'AVAL'"):
        read_frames(frame, columns={"DV": "AVL"})


def test_one_column_cannot_play_two_parts(subject_frame, read_frames) -> None:
    with pytest.raises(DataError, match="'TIME' is mapped to both TIME and DV"):
        read_frames(subject_frame(), columns={"TIME": "TIME", "DV": "TIME"})


def test_a_wide_table_gives_one_row_per_filled_value() -> None:
    frame = pd.DataFrame({"ID": [1, 1, 1, 1], "TIME": [0, 7, 14, 21], "AMT": [1e6, None, None, None],
                          "COPIES": [0, 900, None, None], "CELLS": [0, 6, 40, None]})  # fmt: skip
    data = read_nonmem(
        frame,
        columns={"DV": {"qpcr": "copies", "flow": "cells"}},
        value_unit={"qpcr": "copies/ug", "flow": "cells/uL"},
    )
    assert len(data.doses) == 1
    assert data.observations[["assay", "time", "value"]].to_numpy().tolist() == [
        ["flow", 7.0, 6.0], ["qpcr", 7.0, 900.0], ["flow", 14.0, 40.0],
    ]  # fmt: skip
    assert rules(data) == [(5, "value-missing")]


def test_every_row_ends_somewhere(read_frames) -> None:
    frame = pd.DataFrame(
        [
            ("1", 0, None, 1e6, 1, None),  # 2 dose
            ("1", 7, 900, None, 0, None),  # 3 observation
            ("1", 9, None, None, 2, "tocilizumab"),  # 4 event
            ("1", 10, None, None, 2, None),  # 5 event without a name
            ("", 10, 5, None, 0, None),  # 6 no subject
            ("1", "day 3", 5, None, 0, None),  # 7 no time
            ("1", None, 5, None, 0, None),  # 8 no time
            ("1", 11, 100, 2e6, 0, None),  # 9 a sample with a dose
            ("1", 12, None, 0, 1, None),  # 10 a dose of zero
            ("1", 12, None, -5, 1, None),  # 11 a negative dose
            ("1", 12, None, None, 1, None),  # 12 a dose without an amount
            ("1", 13, 100, None, 3, None),  # 13 reset
            ("1", 14, "inf", None, 0, None),  # 14
            ("1", 14, "NaN", None, 0, None),  # 15
            ("1", 14, "hemolysed", None, 0, None),  # 16
            ("1", 14, -3, None, 0, None),  # 17
            ("1", 14, ">ULOQ", None, 0, None),  # 18, without an ULOQ
        ],
        columns=["ID", "TIME", "DV", "AMT", "EVID", "EVENT"],
    )
    data = read_frames(frame)
    assert rules(data) == [
        (5, "event-named"), (6, "id-given"), (7, "time-given"), (8, "time-given"), (9, "evid-amt"),
        (10, "dose-positive"), (11, "dose-positive"), (12, "dose-amount"), (13, "evid-known"),
        (14, "value-is-number"), (15, "value-missing"), (16, "value-is-number"), (17, "value-not-negative"),
        (18, "right-censored"),
    ]  # fmt: skip
    used = [*data.observations["row"], *data.doses["row"], *data.events["row"], *data.excluded["row"]]
    assert sorted(used) == list(range(2, len(frame) + 2))
    assert data.excluded["found"].tolist()[-1] != ""


def test_mdv_decides_whether_there_is_a_value(read_frames) -> None:
    frame = pd.DataFrame({"ID": [1] * 5, "TIME": [1, 2, 3, 4, 5], "DV": [900, None, 800, None, 700],
                          "MDV": [0, 1, 1, 0, 7]})  # fmt: skip
    data = read_frames(frame)
    assert data.observations["row"].tolist() == [2]
    assert rules(data) == [(3, "value-not-taken"), (4, "evid-mdv"), (5, "value-missing"), (6, "evid-known")]


def test_without_evid_a_row_with_an_amount_is_a_dose_and_amt_0_is_a_sample(read_frames) -> None:
    frame = pd.DataFrame({"ID": [1, 1, 1], "TIME": [0, 7, 8], "DV": [None, 900, None], "AMT": [1e6, 0, 0]})
    data = read_frames(frame)
    assert (data.doses["amount"].tolist(), data.observations["value"].tolist()) == ([1e6], [900.0])
    assert rules(data) == [(4, "dose-positive")]


def test_a_file_where_nothing_can_be_used_says_why(read_frames) -> None:
    frame = pd.DataFrame({"ID": [1, 1, 2], "TIME": [1, 2, 3], "DV": ["high", "low", None]})
    with pytest.raises(
        DataError, match=r"no observation is left; rows 2-3, value-is-number.*row 4, value-missing"
    ):
        read_frames(frame)
    with pytest.raises(DataError, match="only doses and events"):
        read_frames(pd.DataFrame({"ID": [1], "TIME": [0], "DV": [None], "AMT": [1e6]}))


@pytest.mark.parametrize("subject", ["x" * 300, "<script>alert('1')</script> & co", "001", "é-日本"])
def test_identifiers_are_kept_as_they_are(subject_frame, read_frames, subject: str) -> None:
    data = read_frames(subject_frame(subject))
    assert data.subject_ids == [subject]
    assert set(data.observations["subject"]) == {subject}


def test_subjects_with_blq_only_or_one_sample_are_kept(subject_frame, read_frames) -> None:
    low = subject_frame("low", DV=[None, "BLQ", "<50", 12])
    single = pd.DataFrame({"ID": ["single"], "TIME": [7], "DV": [900]})
    data = read_frames(low, single)
    assert data.observations["status"].tolist() == ["below_lloq"] * 3 + ["quantified"]


def test_the_reported_text_is_kept(subject_frame, read_frames) -> None:
    data = read_frames(subject_frame(DV=[None, "12", "< 50", "ND"]))
    assert data.observations["reported"].tolist() == ["12", "< 50", "ND"]
    assert data.observations["value"].isna().all()


def test_the_clock_starts_at_the_first_infusion(subject_frame, read_frames) -> None:
    days = pd.DataFrame({"ID": ["101"], "TOCI_DAY": [10]})
    shifted = subject_frame(TIME=[5, 12, 19, 33])
    data = read_frames(shifted, subjects=days, event_columns={"tocilizumab": "TOCI_DAY"})
    assert data.observations["time"].tolist() == [7.0, 14.0, 28.0]
    assert (data.doses["time"].tolist(), data.events["time"].tolist()) == ([0.0], [5.0])
    assert data.remarks["rule"].tolist() == ["time-shifted"]


def test_a_second_infusion_does_not_move_the_clock(subject_frame, read_frames) -> None:
    again = pd.DataFrame({"ID": ["101"], "TIME": [60], "DV": [None], "AMT": [2e6], "EVID": [1]})
    data = read_frames(again, subject_frame())
    assert data.doses["time"].tolist() == [0.0, 60.0]
    assert data.first_dose()["101"] == 1e6


def test_both_forms_of_a_dose_are_given_where_the_weight_is_known(subject_frame, read_frames) -> None:
    # 1.0e6 cells/kg at 64 kg are 6.4e7 cells (acceptance H4).
    frames = subject_frame("1", WT=[64] * 4), subject_frame("2", WT=[None] * 4)
    per_kg = read_frames(*frames).doses
    assert per_kg["cells"].tolist() == pytest.approx([6.4e7, np.nan], nan_ok=True)
    assert per_kg["cells_per_kg"].tolist() == [1e6, 1e6]
    total = read_frames(*frames, dose_unit="cells").doses
    assert total["cells_per_kg"].tolist() == pytest.approx([15625.0, np.nan], nan_ok=True)
    with pytest.raises(UnitError, match="dose_unit is 'mg'"):
        read_frames(*frames, dose_unit="mg")


def test_the_unit_of_a_dose_row_goes_before_the_argument(subject_frame, read_frames) -> None:
    data = read_frames(subject_frame(UNIT=["cells", None, None, "copies/µg"]))
    assert data.doses["unit"].tolist() == ["cells"]


def test_events_have_the_value_that_was_given(read_frames) -> None:
    frame = pd.DataFrame({"ID": [1] * 3, "TIME": [3, 5, 7], "DV": [None, None, 900], "EVID": [2, 2, 0],
                          "AMT": [8, None, None], "CMT": ["", "steroid", 1],
                          "EVENT": ["tocilizumab", None, None]})  # fmt: skip
    events = read_frames(frame).events
    assert events[["time", "event", "value"]].to_numpy().tolist() == [
        [3.0, "tocilizumab", 8.0],
        [5.0, "steroid", 1.0],
    ]


def test_several_files_keep_file_and_line(subject_frame, tmp_path) -> None:
    subject_frame("1").to_csv(tmp_path / "a.csv", index=False)
    subject_frame("2").to_csv(tmp_path / "b.csv", index=False)
    data = read_nonmem([tmp_path / "a.csv", tmp_path / "b.csv"], value_unit="copies/ug")
    assert data.source == "a.csv, b.csv"
    assert data.observations[["subject", "file", "row"]].drop_duplicates("file").to_numpy().tolist() == [
        ["1", "a.csv", 3], ["2", "b.csv", 3],
    ]  # fmt: skip
    with pytest.raises(DataError, match="no file was given"):
        read_nonmem([])


def test_dvid_is_empty_on_one_row_only(read_frames) -> None:
    frame = pd.DataFrame({"ID": [1, 1], "TIME": [7, 14], "DV": [900, 800], "DVID": ["qpcr", None]})
    assert rules(read_frames(frame)) == [(3, "assay-given")]


ROWS = pd.concat(
    [
        pd.DataFrame(
            {"ID": s, "TIME": [0, 0, 7, 7, 14, 28, 30], "DV": [None, "BLQ", 900 + s, 1e3, "<50", "ND", "bad"],
             "AMT": [1e6 * s] + [None] * 6, "AGE": 30 + s, "SEX": "FM"[s % 2]}
        )
        for s in (1, 2, 10)
    ],
    ignore_index=True,
)  # fmt: skip


@settings(deadline=None, max_examples=15)
@given(rows=st.permutations(range(len(ROWS))), columns=st.permutations(list(ROWS)))
def test_the_order_of_rows_columns_and_subjects_does_not_matter(rows, columns) -> None:
    given_order = read_nonmem(ROWS, value_unit="copies/ug", lloq=50)
    shuffled = read_nonmem(ROWS.iloc[list(rows)][list(columns)], value_unit="copies/ug", lloq=50)
    assert_same(shuffled, given_order)
    assert shuffled.sha256 == given_order.sha256
    assert shuffled.subject_ids == ["1", "2", "10"]


@settings(deadline=None, max_examples=25)
@given(
    days=st.lists(st.integers(0, 400_000), min_size=1, max_size=8, unique=True),
    unit=st.sampled_from([("hour", 24.0), ("minute", 1440.0), ("week", 1 / 7)]),
)
def test_the_unit_of_time_does_not_matter(days, unit) -> None:
    time = np.array(days) / 1000
    frame = pd.DataFrame({"ID": 1, "TIME": time, "DV": 900.0})
    other = frame.assign(TIME=time * unit[1])
    here = read_nonmem(frame, value_unit="copies/ug").observations["time"]
    there = read_nonmem(other, value_unit="copies/ug", time_unit=unit[0]).observations["time"]
    np.testing.assert_array_equal(here, there)


def test_an_unknown_unit_of_time_is_refused(subject_frame, read_frames) -> None:
    with pytest.raises(UnitError, match="time unit is 'hourz'; did you mean 'hour'"):
        read_frames(subject_frame(), time_unit="hourz")


def test_a_decimal_comma_is_shown_where_nothing_could_be_read() -> None:
    frame = pd.DataFrame({"ID": [1], "TIME": [7], "DV": ["2400,5"]})
    with pytest.raises(DataError, match=r"row 2, value-is-number: .*; found '2400,5'"):
        read_nonmem(frame, value_unit="copies/ug")


def test_an_identifier_of_300_characters_is_kept(subject_frame, read_frames) -> None:
    assert read_frames(subject_frame("x" * 300)).subject_ids == ["x" * 300]
