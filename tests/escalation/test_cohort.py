"""Cohorts as a user writes them: every form, and every mistake with its place."""

import pandas as pd
import pytest

from carkinetics.errors import ConfigError, DataError
from carkinetics.escalation import Boin, Cohort, ThreePlusThree
from carkinetics.escalation.cohort import Tally, tally_of
from carkinetics.escalation.design import dose_levels

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
    ],
)
def test_what_cannot_be_is_refused_with_its_place(cohorts, part):
    with pytest.raises(DataError, match=part):
        ThreePlusThree(doses=3, variant="A").decide(cohorts)


@pytest.mark.parametrize(
    ("doses", "part"),
    [
        (0, "doses is 0; expected a whole number, 1 or more"),
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
