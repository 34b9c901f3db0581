"""Cohorts as a user writes them: every form, and every mistake with its place."""

import numpy as np
import pandas as pd
import pytest

from carkinetics.errors import ConfigError, DataError
from carkinetics.escalation import AcceleratedTitration, Boin, Cohort, ThreePlusThree
from carkinetics.escalation.arguments import dose_levels
from carkinetics.escalation.cohort import Tally, tally_of

FORMS = [
    [(1, 3, 0), (2, 3, 1)],
    [[1, 3, 0], [2, 3, 1]],
    [{"dose": 1, "n": 3, "dlt": 0}, {"dose": 2, "n": 3, "dlt": 1}],
    [Cohort(1, 3, 0), Cohort(2, 3, 1)],
    pd.DataFrame({"dose": [1, 2], "n": [3, 3], "dlt": [0, 1]}),
    [(1, 1, 0), (1, 2, 0), (2, 2, 1), (2, 1, 0)],
]


@pytest.mark.parametrize("cohorts", FORMS)
def test_all_forms_are_the_same_counts(cohorts):
    assert tally_of(cohorts, (1, 2, 3)) == Tally((3, 3, 0), (0, 1, 0), (0, 0, 0), 2)


@pytest.mark.parametrize(
    ("cohorts", "part"),
    [
        ([(4, 3, 0)], r"cohort 1: dose is 4; the doses of the design are 1, 2, 3.*cohorts_from"),
        ([(1, 3, 0), ("2", 3, 0)], "cohort 2: dose is '2'"),
        ([(1, 3, 4)], "cohort 1 at dose 1: 4 DLTs among 3 patients; expected at most 3"),
        ([(1, -3, 0)], "cohort 1: n is -3; expected a whole number"),
        ([(1, 3, 0.5)], "cohort 1: dlt is 0.5"),
        ([(1, 3, float("nan"))], "cohort 1: dlt is nan"),
        ([(1, 3, 2, 2)], "2 with a DLT, 2 with grade 2 and no DLT and 0 pending are more than its 3"),
        ([Cohort(1, 3, 0, pending=2, follow_up=(3.0,))], "1 follow_up days for 2 pending"),
        ([Cohort(1, 3, 0, pending=1, follow_up=(-3.0,))], "follow_up is"),
        ([(1, 3)], r"cohort 1 is \(1, 3\); expected \(dose, n, dlt\)"),
        ([{"dose": 1, "n": 3}], "cohort 1: dlt not given"),
        ([{"dose": 1, "n": 3, "dlts": 0}], "'dlts' is no field of a cohort; did you mean 'dlt'"),
        ({"dose": 1, "n": 3, "dlt": 0}, "expected a list of"),
        (7, "cohorts is 7; expected a list"),
        ([Cohort(1, 3, 0, pending=1, follow_up=14)], "follow_up is 14; expected a list of days"),  # type: ignore[arg-type]
        ([Cohort(1, 3, 0, pending=2, follow_up="14")], "follow_up is '14'; expected a list"),  # type: ignore[arg-type]
        ([(1, 10**9, 0)], "n is 1000000000; expected a whole number from 0 to 100,000"),
        ([(level, 40, 0, 0, 40) for level in (1, 2, 3)], "too many to look at every outcome"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(cohorts, part):
    with pytest.raises(DataError, match=part):
        ThreePlusThree(doses=3, variant="A").decide(cohorts)


def test_a_table_may_have_numbers_with_a_point_and_empty_cells():
    table = pd.DataFrame({"dose": [1, 2], "n": [3.0, 3.0], "dlt": [0.0, 1.0], "pending": [0.0, 1.0]})
    found = tally_of(table.assign(follow_up=[float("nan"), [14]]), (1, 2, 3))
    assert found.waiting == ((2, 14.0),)
    assert "1 of 3 with" in Boin(3).decide(table.drop(columns="pending")).reason
    array = Cohort(1, 3, 0, pending=2, follow_up=np.array([14.0, 3.0]))  # type: ignore[arg-type]
    assert tally_of([array], (1, 2, 3)).waiting == ((1, 14.0), (1, 3.0))


def test_a_grade_2_of_somebody_in_the_window_can_decide_too():
    # One DLT does not end this titration, one grade 2 does: what the patient in the window comes to matters.
    design = AcceleratedTitration(ThreePlusThree(4, variant="B"), grade2_trigger=1, dlt_trigger=2)
    assert design.decide([(1, 1, 1)]).level == design.decide([(1, 1, 0)]).level == 2
    assert design.decide([(1, 1, 0, 1)]).level == 1
    with pytest.raises(DataError, match=r"to escalate \(2\), or to stay \(1\)"):
        design.decide([Cohort(1, 1, 0, pending=1)])


@pytest.mark.parametrize(
    ("doses", "part"),
    [
        (0, "doses is 0; expected a whole number from 1 to 100"),
        (True, "doses is True"),
        ("3", "doses is '3'"),
        ([], "there is no dose"),
        ([1.0, 0.5], "dose 0.5 comes after 1; expected increasing doses"),
        ([1.0, 1.0], "dose 1 comes after 1"),
        ([-1.0, 1.0], "a dose is -1.0; expected a number above 0"),
        ([1.0, float("nan")], "a dose is nan"),
    ],
)
def test_doses_that_do_not_increase_are_refused(doses, part):
    with pytest.raises(ConfigError, match=part):
        dose_levels(doses, "BOIN")
    with pytest.raises(ConfigError, match=part):
        Boin(doses=doses, target=0.3)


def test_an_off_plan_dose_is_never_rounded_to_a_dose_of_the_design():
    with pytest.raises(DataError, match=r"dose is 310000\.0"):
        ThreePlusThree(doses=[1e5, 3e5], variant="A").decide([(3.1e5, 1, 0)])
