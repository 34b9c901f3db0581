"""The path of an escalation: who, which dose, what happened, what was decided; what is not by the rule is said."""

import numpy as np
import pandas as pd
import pytest

import carkinetics as ck
from carkinetics.errors import ConfigError, DataError
from carkinetics.escalation import cohorts_from
from carkinetics.trial.path import escalation_path

RULE = ck.ThreePlusThree(doses=[1, 2, 3], variant="B")


def test_every_decision_of_cohorts_is_the_rules_own():
    cohorts = [(1, 3, 0), (2, 3, 1), (2, 3, 1), (1, 3, 0)]
    path = escalation_path(RULE, cohorts)
    decided = [RULE.decide(cohorts[:k]) for k in range(5)]
    assert path.decisions["action"].tolist() == [one.action for one in decided]
    assert path.decisions["reason"].tolist() == [one.reason for one in decided]
    assert path.mtd == decided[-1].mtd == 1
    assert path.patients["cohort"].value_counts().to_dict() == {1: 3, 2: 3, 3: 3, 4: 3}
    assert not path.named
    assert path.decisions["notes"].tolist() == [""] * 5


def test_outcomes_are_as_many_as_the_cohort_says():
    path = escalation_path(RULE, [ck.Cohort(1, 5, 1, grade2=1, pending=2, not_evaluable=1)])
    found = path.patients["outcome"].value_counts().to_dict()
    assert found == {"no DLT": 1, "grade 2": 1, "DLT": 1, "pending": 2, "not evaluable": 1}


def test_what_was_not_by_the_rule_is_said():
    path = escalation_path(RULE, [(1, 3, 0), (3, 2, 0)])
    assert path.decisions["notes"].iloc[1] == "2 treated at dose 3; the rule said 3 at dose 2."


def test_cohorts_after_the_end_are_an_expansion():
    path = escalation_path(RULE, [(1, 3, 2), (1, 10, 1)])
    assert path.mtd == 0
    assert path.patients["phase"].value_counts().to_dict() == {"expansion": 10, "escalation": 3}
    assert (path.patients.query("phase == 'expansion'")["cohort"] == 0).all()


def test_a_decision_that_waits_for_windows_says_so():
    path = escalation_path(RULE, [(1, 3, 0, 0, 1)])
    last = path.decisions.iloc[-1]
    assert last["action"] == "wait"
    assert "still in their DLT window" in last["reason"]
    assert path.mtd is None


def test_named_patients_keep_their_outcomes_and_are_divided_as_the_rule_treats_them():
    table = pd.DataFrame(
        {"patient": list("abcdefg"), "dose": [1, 2, 0, 2, 2, 3, 0.5], "dlt": [0, 0, 0, 0, 0, 1, 0],
         "grade2": [0, 1, 0, 0, 0, 0, 0], "evaluable": [1, 1, 1, 0, 1, 1, 1], "days": 28}
    )  # fmt: skip
    design = ck.AcceleratedTitration(RULE, grade2_trigger=1)
    path = escalation_path(design, cohorts_from(table, doses=[1, 2, 3]))
    assert path.patients.set_index("patient")["outcome"].to_dict() == {
        "a": "no DLT", "b": "grade 2", "d": "not evaluable", "e": "no DLT", "f": "DLT"
    }  # fmt: skip
    assert path.patients["phase"].tolist() == ["titration"] * 2 + ["escalation"] * 3
    assert path.decisions["subjects"].tolist() == ["a", "b", "d, e", "f", ""]
    assert path.decisions["notes"].iloc[3] == "1 treated at dose 3; the rule said 1 at dose 2."


def test_a_simulated_trial_has_its_own_patients_and_decisions():
    trial = ck.simulate_trial(ck.load_trial("nct05783089"), seed=7)
    path = escalation_path(trial)
    subjects = trial.subjects
    assert path.patients["patient"].tolist() == subjects["ID"].tolist()
    assert (path.patients["outcome"] == "DLT").sum() == subjects["DLT"].sum()
    assert path.patients["dose"].to_numpy() == pytest.approx([float(text) for text in subjects["DOSE_LEVEL"]])
    assert ((path.patients["cohort"] == 0) == (subjects["COHORT"] == "expansion")).all()
    pd.testing.assert_frame_equal(path.decisions, trial.decisions)
    for row in path.decisions.to_dict("records"):
        own = path.patients[path.patients["cohort"] == row["cohort"]]
        assert ", ".join(own["patient"]) == row["subjects"]
    assert path.mtd == trial.selected


def test_a_patient_who_received_less_keeps_both_doses():
    trial = ck.simulate_trial(ck.load_trial("nct05783089"), seed=2)
    path = escalation_path(trial)
    less = path.patients["counted"] < path.patients["level"]
    expected = trial.subjects["COUNTED_AT"] != trial.subjects["DOSE_LEVEL"]
    assert less[path.patients["cohort"] > 0].any()  # by this seed; otherwise the test shows nothing
    assert less.tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("arguments", "error", "part"),
    [
        ((RULE,), ConfigError, "expected a simulated trial, or a design and cohorts"),
        (([(1, 3, 0)], RULE), ConfigError, "found list beside cohorts"),
        ((RULE, [(4, 3, 0)]), DataError, "the doses of the design are 1, 2, 3"),
        ((RULE, [(1, 3, 4)]), DataError, "4 DLTs among 3"),
    ],
)
def test_bad_input_is_named(arguments, error, part):
    with pytest.raises(error, match=part):
        escalation_path(*arguments)


def test_nothing_treated_is_one_decision():
    path = escalation_path(RULE, [])
    assert len(path.patients) == 0
    assert path.decisions["action"].tolist() == ["start"]
    assert np.isnan(path.decisions["day"]).all()
