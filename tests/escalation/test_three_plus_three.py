"""3+3 and accelerated titration: exact published characteristics, a walk through patient by patient, properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carkinetics.errors import ConfigError, DataError
from carkinetics.escalation import AcceleratedTitration, Boin, Cohort, ThreePlusThree
from carkinetics.escalation.characteristics import operating_characteristics

# Full enumeration; A and B equal to `threep3` of the R package bcrm 0.5.4 (esc.only TRUE and FALSE).
# True probabilities, variant: P(MTD = none, 1, 2, ...), E[n] per dose, E[DLT].
EXACT = [
    ((0.05, 0.1, 0.2, 0.3, 0.5), "A", (0.026558, 0.091360, 0.257032, 0.316111, 0.255840, 0.053099),
     (3.406125, 3.629966, 3.662403, 2.702092, 1.274374), 2.713598),
    ((0.05, 0.1, 0.2, 0.3, 0.5), "B", (0.027182, 0.097126, 0.277277, 0.327825, 0.217491, 0.053099),
     (3.664411, 4.314601, 4.430742, 3.234722, 1.274374), 3.108433),
    ((0.05, 0.1, 0.2, 0.3, 0.5), "C", (0.027182, 0.097131, 0.277490, 0.330501, 0.233905, 0.033790),
     (3.664424, 4.315126, 4.437016, 3.274921, 1.390226), 3.179726),
    ((0.1, 0.2, 0.3, 0.4, 0.5), "A", (0.093853, 0.264044, 0.324735, 0.219202, 0.081293, 0.016872),
     (3.729000, 3.762322, 2.775811, 1.363412, 0.404933), 2.705939),
    ((0.1, 0.2, 0.3, 0.4, 0.5), "B", (0.100411, 0.284582, 0.333492, 0.203332, 0.061311, 0.016872),
     (4.431671, 4.543944, 3.273767, 1.533719, 0.404933), 3.150041),
    ((0.25, 0.35, 0.45, 0.55, 0.65), "B", (0.444171, 0.356599, 0.159119, 0.036099, 0.003651, 0.000360),
     (5.110898, 3.008742, 1.114955, 0.237455, 0.025178), None),
]  # fmt: skip

GRADE2 = (0.1, 0.2, 0.3, 0.4, 0.5)
# Full enumeration; the last row also by 400,000 simulated trials elsewhere. Trigger, variant, as above.
TITRATION = [
    (1, "A", (0.012836, 0.056463, 0.203575, 0.314750, 0.341498, 0.070877),
     (1.452450, 2.117512, 2.843852, 2.671351, 1.701049), 2.505074),
    (2, "A", (0.011311, 0.043540, 0.154385, 0.269772, 0.431448, 0.089546),
     (1.235375, 1.558555, 2.098035, 2.259049, 2.149098), 2.389495),
    (1, "B", (0.014225, 0.070611, 0.252098, 0.339180, 0.253009, 0.070877),
     (1.771923, 3.162245, 4.211138, 3.714224, 1.701049), 3.211840),
    (2, "B", (0.012604, 0.059829, 0.228098, 0.334771, 0.275152, 0.089546),
     (1.521559, 2.655077, 3.887085, 3.972564, 2.149098), 3.385321),
]  # fmt: skip


@pytest.mark.parametrize(("truth", "variant", "selected", "n", "dlt"), EXACT)
def test_characteristics_are_exact(truth, variant, selected, n, dlt):
    table = operating_characteristics(ThreePlusThree(doses=5, variant=variant), truth)
    np.testing.assert_allclose(table["p_select"], selected, atol=5e-7)
    np.testing.assert_allclose(table["n"][1:], n, atol=5e-7)
    assert table.attrs["expected_n"] == pytest.approx(sum(n), abs=3e-6)
    if dlt is not None:
        assert table.attrs["expected_dlt"] == pytest.approx(dlt, abs=5e-7)


@pytest.mark.parametrize(("trigger", "variant", "selected", "n", "dlt"), TITRATION)
def test_a_titration_in_front_is_exact_too(trigger, variant, selected, n, dlt):
    design = AcceleratedTitration(ThreePlusThree(doses=5, variant=variant), grade2_trigger=trigger)
    table = operating_characteristics(design, (0.05, 0.1, 0.2, 0.3, 0.5), GRADE2)
    np.testing.assert_allclose(table["p_select"], selected, atol=5e-7)
    np.testing.assert_allclose(table["n"][1:], n, atol=5e-7)
    assert table.attrs["expected_dlt"] == pytest.approx(dlt, abs=5e-7)
    assert (table.attrs["p_fewer_than_3"] > 0.3) == (variant == "A")


@pytest.mark.parametrize(
    ("p", "passes"),
    [(0.10, 0.90614700), (0.20, 0.70860800), (0.25, 0.59985352), (0.30, 0.49426300), (0.33, 0.43442539), (0.50, 0.17187500)],
)  # fmt: skip
def test_the_chance_to_pass_one_dose(p, passes):
    """(1 - p)^3 + 3 p (1 - p)^5: the top dose of one is accepted where it passes."""
    table = operating_characteristics(ThreePlusThree(doses=1, variant="A"), [p])
    assert table.loc[1, "p_select"] == pytest.approx(passes, abs=5e-9)


def test_a_walk_through_the_protocol():
    """Two grade 2 end the titration at dose 3; dose 4 fails; dose 3 is filled to 6 and selected."""
    design = AcceleratedTitration(ThreePlusThree(doses=5, variant="B"), grade2_trigger=2)
    steps = [
        ((1, 1, 0, 0), "escalate", 2, 1),
        ((2, 1, 0, 1), "escalate", 3, 1),
        ((3, 1, 0, 1), "stay", 3, 2),
        ((3, 2, 0, 0), "escalate", 4, 3),
        ((4, 3, 1, 0), "stay", 4, 3),
        ((4, 3, 1, 0), "de-escalate", 3, 3),
        ((3, 3, 0, 0), "stop", None, 0),
    ]
    cohorts = []
    for cohort, action, dose, n in steps:
        cohorts.append(cohort)
        decision = design.decide(cohorts)
        assert (decision.action, decision.dose, decision.n) == (action, dose, n), cohort
    assert decision.mtd == 3
    assert decision.closed == ()
    assert "0 of 6" in decision.reason


def test_under_variant_a_a_single_patient_can_carry_the_mtd_and_it_is_said():
    design = AcceleratedTitration(ThreePlusThree(doses=4, variant="A"), grade2_trigger=1)
    decision = design.decide([(1, 1, 0), (2, 1, 1), (2, 2, 1)])
    assert (decision.action, decision.mtd) == ("stop", 1)
    assert decision.notes == ("Only 1 patient had this dose.",)


def test_a_variant_has_to_be_chosen_and_the_message_says_what_each_does():
    with pytest.raises(
        ConfigError, match=r"variant is ''; choose one.*'A', no way down.*'B', after.*'C', as B"
    ):
        ThreePlusThree(doses=5)
    with pytest.raises(ConfigError, match="variant is 'D'"):
        ThreePlusThree(doses=5, variant="D")


def test_sizes_of_doses_are_what_the_decision_speaks_of():
    design = ThreePlusThree(doses=[1e5, 3e5, 1e6], variant="B")
    decision = design.decide([(1e5, 3, 0)])
    assert (decision.dose, decision.level) == (3e5, 2)
    assert str(decision) == "escalate: treat 3 at dose 3e5. 0 of 3 with a DLT at dose 1e5."


def test_a_cohort_with_a_patient_who_left_is_completed():
    decision = ThreePlusThree(doses=3, variant="A").decide([Cohort(1, n=2, dlt=0, not_evaluable=1)])
    assert (decision.action, decision.n) == ("stay", 1)


def test_an_open_window_is_waited_for_unless_it_cannot_matter():
    design = ThreePlusThree(doses=3, variant="B")
    with pytest.raises(
        DataError,
        match=r"still in their DLT window: 1 at dose 2;.*to escalate .* or to stay",
    ):
        design.decide([(1, 3, 0), Cohort(2, n=3, dlt=0, pending=1)])
    decision = design.decide([(1, 3, 0), Cohort(2, n=3, dlt=2, pending=1)])
    assert (decision.action, decision.dose) == ("de-escalate", 1)
    assert "whatever their outcomes" in decision.notes[-1]


def test_grade_2_of_those_who_wait_can_matter_too():
    """With two DLTs as the trigger, one DLT or none go on; a grade 2 would end the titration."""
    design = AcceleratedTitration(ThreePlusThree(doses=4, variant="A"), grade2_trigger=1, dlt_trigger=2)
    with pytest.raises(DataError, match=r"to escalate \(2\), or to stay \(1\)"):
        design.decide([Cohort(1, n=1, dlt=0, pending=1)])
    free = AcceleratedTitration(ThreePlusThree(doses=4, variant="A"), grade2_trigger=None, dlt_trigger=2)
    assert free.decide([Cohort(1, n=1, dlt=0, pending=1)]).action == "escalate"


def test_the_top_dose_is_filled_in_variant_c_only():
    top = [(1, 3, 0), (2, 3, 0)]
    assert ThreePlusThree(doses=2, variant="B").decide(top).mtd == 2
    decision = ThreePlusThree(doses=2, variant="C").decide(top)
    assert (decision.action, decision.n) == ("stay", 3)


@given(
    variant=st.sampled_from("ABC"),
    counts=st.lists(st.tuples(st.integers(1, 6), st.integers(0, 6)), min_size=1, max_size=4),
)
def test_one_more_dlt_never_leads_higher(variant, counts):
    design = ThreePlusThree(doses=4, variant=variant)
    cohorts = [(level, n, min(dlt, n)) for level, (n, dlt) in enumerate(counts, start=1)]
    dose, n, dlt = cohorts[-1]
    if dlt == n:
        return
    now, worse = design.decide(cohorts), design.decide([*cohorts[:-1], (dose, n, dlt + 1)])

    def height(decision):
        return decision.mtd_level if decision.action == "stop" else decision.level

    assert height(worse) <= height(now)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"design": 3}, "goes in front of another design; found 3"),
        ({"design": AcceleratedTitration(Boin(doses=3, target=0.3))}, "goes in front of another design"),
        ({"grade2_trigger": 0}, "grade2_trigger is 0; expected a whole number, 1 or more"),
        ({"dlt_trigger": 1.5}, "dlt_trigger is 1.5"),
        ({"last": 4}, "last is 4; expected a whole number from 1 to 3"),
    ],
)
def test_a_titration_that_makes_no_sense_is_refused(change, part):
    with pytest.raises(ConfigError, match=part):
        AcceleratedTitration(**({"design": ThreePlusThree(doses=3, variant="A")} | change))


def test_a_titration_ends_at_its_last_dose_and_fills_it_for_any_design():
    design = AcceleratedTitration(Boin(doses=5, target=0.3), grade2_trigger=None, last=2)
    assert design.decide().n == 1
    decision = design.decide([(1, 1, 0), (2, 1, 0)])
    assert (decision.action, decision.dose, decision.n) == ("stay", 2, 2)
    assert design.decide([(1, 1, 0), (2, 1, 0), (2, 2, 0)]).n == 3
