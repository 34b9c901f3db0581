"""Real patients: CD22 CAR-T cells in B-ALL, flow cytometry, 59 patients (Blood 2021;138:2469-2484).

The limit of detection is not given with these data. Where one is needed, 0.04 cells/µL is taken, the
smallest positive value.
"""

from pathlib import Path

import pandas as pd
import pytest

from carkinetics.dataset import Dataset, blq_table, check, read_nonmem

LOD = 0.04


def read(folder: Path, **limits: float) -> Dataset:
    return read_nonmem(
        folder / "car22-nci" / "tidy_car_kinetics.csv",
        columns={"TIME": "TIME_DAY", "DV": "ABS_CAR_PER_UL"},
        value_unit="cells/µL",
        subjects=folder / "car22-nci" / "tidy_patients.csv",
        event_columns={"hlh": "HLH_DAY"},
        default_assay="flow",
        **limits,
    )


@pytest.fixture(scope="module")
def raw(external_data: Path) -> Dataset:
    """Read without any limit."""
    return read(external_data)


@pytest.fixture(scope="module")
def data(external_data: Path) -> Dataset:
    """Read with the assumed limit."""
    return read(external_data, lloq=LOD, lod=LOD)


@pytest.fixture(scope="module")
def findings(raw: Dataset) -> pd.DataFrame:
    return check(raw).set_index("rule")


def test_every_row_is_used_or_listed(data: Dataset) -> None:
    # 195 rows of 56 patients, 13 without an absolute count; 59 patients in the patient table.
    assert (len(data.observations), len(data.excluded), len(data.subjects)) == (182, 13, 59)
    assert set(data.excluded["rule"]) == {"value-missing"}
    assert data.observations["subject"].nunique() + 1 == 56  # 4413 has percentages only


def test_zeros_after_the_infusion_are_blq_and_those_before_are_not(data: Dataset) -> None:
    # Zeros by nominal day 0, 7, 14, 21, 28: 10, 14, 1, 3, 6; four of day 0 were drawn a day before.
    counts = data.observations["status"].value_counts().to_dict()
    assert counts == {"quantified": 148, "not_detected": 30, "predose": 4}
    after = data.observations[data.observations["status"] == "not_detected"]
    assert set(zip(after["lower"], after["upper"], strict=True)) == {(0.0, LOD)}


def test_levels_lie_in_the_published_range(data: Dataset) -> None:
    levels = data.observations["value"].dropna()
    assert levels.min() == pytest.approx(0.04, abs=0.005)
    assert levels.max() == pytest.approx(13653, abs=1)


def test_zeros_without_a_limit_are_an_error_that_names_the_remedy(
    findings: pd.DataFrame, data: Dataset
) -> None:
    row = findings.loc["lloq-given"]
    assert row["severity"] == "error"
    assert row["message"].startswith("30 values are BLQ (30 of them zero")
    assert "lod={'flow': ...}" in row["message"]
    assert "error" not in set(check(data)["severity"])


def test_the_design_is_said_to_leave_expansion_and_persistence_open(findings: pd.DataFrame) -> None:
    assert "expansion rate is weakly informed" in findings.loc["late-first-sample", "message"]
    assert "7 d apart" in findings.loc["sampling-sparse", "message"]
    assert "no information on persistence" in findings.loc["follow-up-short", "message"]
    assert set(findings.loc[["late-first-sample", "sampling-sparse", "follow-up-short"], "severity"]) == {
        "note"
    }


def test_dose_is_said_to_be_confounded_with_manufacturing(findings: pd.DataFrame) -> None:
    assert findings.loc["covariate-confounded", "where"] == "dose_level, tcs_manufacturing"
    assert findings.loc["covariate-confounded", "severity"] == "warning"


def test_missing_doses_and_covariates_are_listed(findings: pd.DataFrame) -> None:
    assert findings.loc["dose-missing", "where"] == "all subjects"
    missing = findings.loc["covariate-missing", "message"].str.split().str[0]
    assert set(missing) == {"crs_day", "marrow_burden_pct", "response", "steroid", "toci"}


def test_patients_without_expansion_are_kept(findings: pd.DataFrame, data: Dataset) -> None:
    assert findings.loc["subject-all-blq", "where"].tolist() == [
        "subject 1056, rows 24-26",
        "subject 1639, rows 32-34",
    ]
    assert {"1056", "1639"} <= set(data.observations["subject"])


def test_patients_have_their_published_outcomes(data: Dataset) -> None:
    assert data.subjects["crs_max_grade"].value_counts().to_dict() == {0: 7, 1: 26, 2: 21, 3: 3, 4: 2}
    assert data.subjects["response"].value_counts().to_dict() == {0: 37, 1: 5, 2: 1, 3: 10, 4: 5}
    assert data.subjects["dose_level"].value_counts().to_dict() == {1: 33, 2: 24, 3: 2}
    assert (data.events["event"].unique().tolist(), len(data.events)) == (
        ["hlh"],
        int(data.subjects["hlh"].sum()),
    )


def test_the_share_of_blq_by_week_is_that_of_the_source(data: Dataset) -> None:
    # Windows of the source: day 7 5-9, day 14 10-18, day 21 19-23, day 28 24-32.
    table = blq_table(data, edges=[4, 9.5, 18.5, 23.5, 32])
    assert table[["n", "n_blq"]].to_numpy().tolist()[1:] == [[29, 14], [46, 1], [45, 3], [50, 6]]


def test_percent_and_count_can_be_read_side_by_side(external_data: Path) -> None:
    both = read_nonmem(
        external_data / "car22-nci" / "tidy_car_kinetics.csv",
        columns={"TIME": "TIME_DAY", "DV": {"count": "ABS_CAR_PER_UL", "percent": "PCT_CAR_OF_T"}},
        value_unit={"count": "cells/µL", "percent": "%"},
    )
    assert both.observations["assay"].value_counts().to_dict() == {"percent": 195, "count": 182}
    assert "percent-range" not in set(check(both)["rule"])
    remark = both.remarks.set_index("rule").loc["value-missing"]
    assert remark["message"] == "13 rows have no ABS_CAR_PER_UL but a value of another assay"
