"""Who counts at which dose: every rule once, and nobody is lost."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carkinetics.errors import ConfigError, DataError
from carkinetics.escalation import Boin, Cohort, cohorts_from
from carkinetics.escalation.cohort import tally_of
from carkinetics.trial.simulate import counted_at

SIZES = [0.1, 0.3, 1.0]


def one(**values: Any) -> pd.DataFrame:
    return pd.DataFrame([{"patient": "101", "dose": 0.3, "dlt": False, **values}])


@pytest.mark.parametrize(
    ("values", "counted_at", "status", "words"),
    [
        ({}, 0.3, "no DLT", "as planned"),
        ({"planned": 0.3}, 0.3, "no DLT", "as planned"),
        ({"planned": 1.0}, 0.3, "no DLT", "received 0.3, planned 1: counts as 0.3"),
        (
            {"dose": 0.7, "planned": 1.0},
            0.3,
            "no DLT",
            "received 0.7, planned 1: counts as 0.3, the highest dose not above it",
        ),
        ({"dose": 0.7, "dlt": True}, 0.3, "DLT", "counts as 0.3"),
        ({"dose": 5.0}, 1.0, "no DLT", "counts as 1"),
        ({"dose": 0.05}, np.nan, "not counted", "says nothing of 0.1"),
        ({"dose": 0.05, "dlt": True}, 0.1, "DLT", "the DLT counts against 0.1"),
        ({"evaluable": False}, np.nan, "not counted", "not evaluable, without a DLT: replaced"),
        ({"evaluable": False, "dlt": True}, 0.3, "DLT", "makes the patient evaluable"),
        ({"days": 27.9}, 0.3, "pending", "day 27.9 of 28"),
        ({"days": 28}, 0.3, "no DLT", "as planned"),
        ({"days": 3, "dlt": True}, 0.3, "DLT", "as planned"),
        ({"days": None, "dlt": True}, 0.3, "DLT", "as planned"),
        ({"days": 3, "evaluable": False}, np.nan, "not counted", "replaced"),
        ({"days": 3, "grade2": True}, 0.3, "pending", "grade 2 counts from then on"),
        ({"dose": None, "planned": 1.0}, np.nan, "not counted", "not infused"),
        ({"dose": 0.0}, np.nan, "not counted", "not infused"),
    ],
)
def test_a_patient_is_counted_by_rule(values: dict[str, Any], counted_at: float, status: str, words: str):
    cohorts, patients = cohorts_from(one(**values), SIZES)
    row = patients.loc["101"]
    assert row["counted_at"] == pytest.approx(counted_at, nan_ok=True)
    assert row["status"] == status
    assert words in row["reason"]
    assert sum(cohort.n for cohort in cohorts) == (status != "not counted")
    assert sum(cohort.dlt for cohort in cohorts) == (status == "DLT")
    assert sum(cohort.pending for cohort in cohorts) == (status == "pending")


def test_patients_in_a_row_at_one_dose_are_a_cohort():
    table = pd.DataFrame(
        {
            "patient": range(1, 8),
            "dose": [0.1, 0.3, 0.3, 0.3, 0.3, 1.0, 0.3],
            "dlt": [0, 0, 1, 0, 0, 0, 0],
            "grade2": [0, 1, 1, 0, 0, 0, 0],
            "evaluable": [1, 1, 1, 0, 1, 0, 1],
            "days": [28, 28, 5, 9, 11, 2, 28],
        }
    )
    cohorts, patients = cohorts_from(table, SIZES)
    assert cohorts == [
        Cohort(0.1, 1, 0),
        # a grade 2 beside a DLT counts as the DLT; patient 4 is replaced, 5 is pending
        Cohort(0.3, 3, 1, grade2=1, pending=1, follow_up=(11.0,), not_evaluable=1),
        Cohort(1.0, 0, 0, not_evaluable=1),
        Cohort(0.3, 1, 0),
    ]
    assert patients.index.tolist() == list(range(1, 8))
    assert tally_of(cohorts, SIZES).n == (1, 3, 0)


def test_who_is_replaced_does_not_move_the_trial():
    cohorts, _ = cohorts_from(
        pd.DataFrame(
            {"patient": list("abcd"), "dose": [0.1] * 3 + [0.3], "dlt": [0] * 4, "evaluable": [1, 1, 1, 0]}
        ),
        SIZES,
    )
    decision = Boin(SIZES, target=0.3).decide(cohorts)
    assert (decision.action, decision.dose, decision.n) == ("escalate", 0.3, 3)


def test_the_protocols_tolerance_keeps_a_dose():
    table = one(dose=0.92, planned=1.0)
    assert cohorts_from(table, SIZES).cohorts[0].dose == 0.3
    cohorts, patients = cohorts_from(table, SIZES, tolerance=0.1)
    assert cohorts[0].dose == 1.0
    assert patients.loc["101", "reason"] == "received 0.92, planned 1: counts as 1"


@given(
    rows=st.lists(
        st.tuples(st.floats(0, 3), st.booleans(), st.booleans(), st.booleans(), st.floats(0, 40)),
        max_size=12,
    )
)
def test_nobody_is_lost_and_a_dlt_never_goes_uncounted(rows: list[Any]):
    table = pd.DataFrame(rows, columns=["dose", "dlt", "grade2", "evaluable", "days"])
    table["patient"] = [f"p{i}" for i in range(len(rows))]
    table["dlt"] &= table["dose"] > 0
    cohorts, patients = cohorts_from(table.astype({"dlt": bool}), SIZES)
    assert patients.index.tolist() == table["patient"].tolist()
    tally = tally_of(cohorts, SIZES)
    assert sum(tally.dlt) == table["dlt"].sum()
    assert tally.treated == (patients["status"] != "not counted").sum()
    within = patients[(patients["dose"] >= 0.1) & patients["counted_at"].notna()]
    assert (within["counted_at"] <= within["dose"]).all()


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (one().drop(columns="dlt"), "column 'dlt' is missing"),
        (one().rename(columns={"patient": "patients"}), "did you mean 'patients'"),
        (pd.concat([one(), one()]), "patient '101' occurs more than once"),
        (one(dlt="yes"), "row 1, patient '101': dlt is 'yes'"),
        (one(dlt=None), "dlt is None"),
        (one(dose="0.3"), "dose is '0.3'"),
        (one(dose=-1.0), "dose is -1.0"),
        (one(dose=np.inf), "dose is inf"),
        (one(days=-3), "days is -3"),
        (one(days=None), "days is missing"),
        (one(dose=None, dlt=True), "a DLT without a dose"),
        (one(patient=None), "the patient is missing"),
        ([(1, 2)], "one row per patient; found list"),
    ],
)
def test_a_table_that_cannot_be_is_refused_with_its_place(table: Any, words: str):
    with pytest.raises(DataError, match=words):
        cohorts_from(table, SIZES)


@settings(max_examples=60)
@given(
    steps=st.lists(st.floats(1.05, 3.0), min_size=1, max_size=4),
    patients=st.lists(
        st.tuples(st.integers(1, 5), st.floats(0.3, 1.5), st.booleans()), min_size=1, max_size=6
    ),
)
def test_a_simulated_trial_counts_patients_by_the_same_rule(steps: list[float], patients: list[Any]):
    """Two roads: the rule for tables of patients, and the one for arrays in `carkinetics.trial`."""
    sizes = tuple(np.cumprod([1e5, *steps]).tolist())
    level = np.array([min(at, len(sizes)) for at, _, _ in patients])
    planned = np.array(sizes)[level - 1]
    received = planned * [share for _, share, _ in patients]
    dlt = np.array([toxic for _, _, toxic in patients])
    table = pd.DataFrame({"patient": range(len(level)), "planned": planned, "dose": received, "dlt": dlt})
    counted = cohorts_from(table, sizes, tolerance=0.2).patients["counted_at"].fillna(0.0)
    found = np.array([0.0, *sizes])[counted_at(sizes, received, level, dlt)]
    assert counted.tolist() == found.tolist()


def test_a_misspelt_column_does_not_make_everybody_followed_to_the_end():
    with pytest.raises(DataError, match="column 'day' is not read; did you mean 'days'"):
        cohorts_from(one().drop(columns="days", errors="ignore").assign(day=3), SIZES)
    with pytest.raises(DataError, match="column 'dlt' occurs more than once"):
        cohorts_from(pd.concat([one(), one()[["dlt"]]], axis=1), SIZES)


def test_settings_that_make_no_sense_are_refused():
    for wrong in ({"window": 0}, {"window": "28"}, {"tolerance": 1.0}, {"tolerance": -0.1}):
        with pytest.raises(ConfigError, match=f"{next(iter(wrong))} is .*; expected a number"):
            cohorts_from(one(), SIZES, **wrong)
    with pytest.raises(ConfigError, match="increasing doses"):
        cohorts_from(one(), [0.3, 0.1])
