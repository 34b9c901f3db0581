import pandas as pd
import pytest

from carkinetics.dataset.subjects import column_name
from carkinetics.errors import DataError


def test_constant_columns_are_covariates_with_clean_names(subject_frame, read_frames) -> None:
    frames = [
        subject_frame(
            s, **{"CRS grade": [g] * 4, "SEX": [x] * 4, "WT": [64.5, None, None, None], "2nd": ["a"] * 4}
        )
        for s, g, x in (("1", 0, "F"), ("2", 3, "M"))
    ]
    subjects = read_frames(*frames).subjects
    assert list(subjects) == ["subject", "crs_grade", "sex", "wt", "x2nd", "dose_level"]
    assert subjects["crs_grade"].tolist() == [0, 3]
    assert subjects["crs_grade"].dtype == "int64"
    assert subjects["wt"].tolist() == [64.5, 64.5]


def test_a_column_with_one_text_stays_text_and_dashes_are_missing(subject_frame, read_frames) -> None:
    frames = [subject_frame(s, RESPONSE=[r] * 4) for s, r in (("1", "0"), ("2", "CR"), ("3", "-"))]
    response = read_frames(*frames).subjects["response"]
    assert response.isna().tolist() == [False, False, True]
    assert response.tolist()[:2] == ["0", "CR"]


def test_a_covariate_that_varies_keeps_its_first_value_in_time(subject_frame, read_frames) -> None:
    frames = [subject_frame(s, AGE=[50] * 4) for s in ("1", "2", "3")]
    frames[1]["AGE"] = [51, 51.0, 52, 52]
    data = read_frames(frames[0], frames[1].iloc[::-1], frames[2])
    assert data.subjects["age"].tolist() == [50, 51, 50]
    remark = data.remarks[data.remarks["rule"] == "covariate-constant"].iloc[0]
    assert remark["subject"] == "2"
    assert "'51', is kept" in remark["message"]


def test_a_column_that_changes_with_every_sample_is_left_out_and_said(subject_frame, read_frames) -> None:
    data = read_frames(*[subject_frame(s, VISIT=["D0", "D7", "D14", "D28"]) for s in ("1", "2")])
    assert "visit" not in data.subjects
    assert data.remarks[["rule", "where"]].to_numpy().tolist() == [["column-ignored", "columns VISIT"]]


def test_a_subject_table_is_merged_by_identifier(subject_frame, read_frames) -> None:
    table = pd.DataFrame({"id": ["2", "1", "3"], "Response": ["CR", "PD", "SD"]})
    data = read_frames(subject_frame("1", AGE=[50] * 4), subject_frame("2", AGE=[60] * 4), subjects=table)
    assert data.subjects[["subject", "response"]].to_numpy().tolist() == [
        ["1", "PD"],
        ["2", "CR"],
        ["3", "SD"],
    ]
    assert data.subjects["age"].isna().tolist() == [False, False, True]


def test_the_subject_table_wins_and_the_conflict_is_said(subject_frame, read_frames) -> None:
    table = pd.DataFrame({"USUBJID": ["1", "1"], "AGE": [55, 56]})
    frame = subject_frame("1", AGE=[50] * 4).rename(columns={"ID": "USUBJID"})
    data = read_frames(frame, subjects=table, columns={"ID": "USUBJID"})
    assert data.subjects["age"].tolist() == [55]
    assert data.remarks["rule"].tolist() == ["covariate-constant"]
    assert data.excluded["rule"].tolist() == ["subject-once"]


def test_a_subject_table_without_identifier_is_refused(subject_frame, read_frames) -> None:
    with pytest.raises(DataError, match="column 'ID' is missing"):
        read_frames(subject_frame(), subjects=pd.DataFrame({"AGE": [50]}))


def test_two_columns_cannot_share_a_name(subject_frame, read_frames) -> None:
    with pytest.raises(DataError, match="'CRS GRADE' and 'crs-grade' would both be called 'crs_grade'"):
        read_frames(subject_frame(**{"CRS GRADE": [1] * 4, "crs-grade": [1] * 4}))


def test_days_of_comedication_become_events(subject_frame, read_frames) -> None:
    frames = [subject_frame(s, TOCI_DAY=[d] * 4) for s, d in (("1", 5), ("2", None), ("3", "unknown"))]
    data = read_frames(*frames, event_columns={"tocilizumab": "toci_day"})
    assert data.events[["subject", "time", "event", "value"]].to_numpy().tolist() == [
        ["1", 5.0, "tocilizumab", 1.0]
    ]
    assert "toci_day" not in data.subjects
    assert data.remarks["rule"].tolist() == ["event-time"]
    with pytest.raises(DataError, match="no subject-level column 'TOCI'; did you mean 'TOCI_DAY'"):
        read_frames(*frames, event_columns={"tocilizumab": "TOCI"})


def test_dose_levels_are_named_after_the_first_dose(subject_frame, read_frames) -> None:
    frames = [subject_frame(s, AMT=[a, None, None, None]) for s, a in (("1", 3e5), ("2", 1e6), ("3", 1e6))]
    undosed = pd.DataFrame({"ID": ["4"], "TIME": [7], "DV": [900]})
    levels = read_frames(*frames, undosed).subjects["dose_level"]
    assert levels.tolist()[:3] == ["3.0e5", "1.0e6", "1.0e6"]
    assert pd.isna(levels.iloc[3])


def test_dose_levels_get_as_many_digits_as_tell_them_apart(subject_frame, read_frames) -> None:
    frames = [subject_frame(s, AMT=[a, None, None, None]) for s, a in (("1", 1.02e6), ("2", 1.04e6))]
    assert read_frames(*frames).subjects["dose_level"].tolist() == ["1.02e6", "1.04e6"]


def test_a_dose_level_of_the_table_is_kept(subject_frame, read_frames) -> None:
    data = read_frames(subject_frame(COHORT=["DL2"] * 4), columns={"DOSE_LEVEL": "COHORT"})
    assert data.subjects["dose_level"].tolist() == ["DL2"]


def test_names_can_be_used_in_a_formula() -> None:
    assert [column_name(text) for text in ("SUBJECT", "LDH (U/L)", "lambda", "%", "µg")] == [
        "subject_", "ldh_u_l", "lambda_", "x", "µg",
    ]  # fmt: skip
