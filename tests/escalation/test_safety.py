"""Rules round a design: what each promises, whatever design is inside and whatever happened."""

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carkinetics.errors import ConfigError, DataError
from carkinetics.escalation import (
    AcceleratedTitration,
    Blrm,
    Boin,
    Cohort,
    Crm,
    EliminateOverdose,
    I3Plus3,
    MaxDose,
    NoSkipping,
    Staggered,
    StopAfter,
    StopAtDose,
    StopForPrecision,
    ThreePlusThree,
    TiteBoin,
    TiteCrm,
    WaitForWindow,
    decision_table,
    operating_characteristics,
)
from carkinetics.escalation.cohort import Tally
from carkinetics.escalation.interval import overdose_probability
from carkinetics.escalation.tree import all_ends

SIZES = [0.1, 0.3, 1.0, 2.0]
BOLD = Crm(4, [0.1, 0.2, 0.3, 0.4], 0.30, no_skip=False, cutoff=None)
INNER = [BOLD, I3Plus3(4, target=0.30, cutoff=None), Blrm(SIZES, reference=1.0, no_skip=False, least=1)]

counts = st.tuples(
    st.lists(st.integers(0, 9), min_size=4, max_size=4),
    st.lists(st.floats(0, 1), min_size=4, max_size=4),
    st.integers(1, 4),
)


def tally(drawn: Any) -> Tally:
    n, share, current = drawn
    n = [count + (level == current) for level, count in enumerate(n, start=1)]
    dlt = tuple(round(s * count) for s, count in zip(share, n, strict=True))
    return Tally(tuple(n), dlt, (0,) * 4, current)


@pytest.mark.parametrize("inner", INNER, ids=lambda design: design.name)
@given(drawn=counts)
def test_no_dose_is_given_or_selected_that_was_dropped(inner: Any, drawn: Any):
    at = tally(drawn)
    design = EliminateOverdose(inner, target=0.30)
    toxic = [
        level
        for level in range(1, 5)
        if at.n[level - 1] >= 3 and overdose_probability(*at.at(level), 0.30) > 0.95
    ]
    for decision, plain in ((design.rule(at), inner.rule(at)), (design.select(at), inner.select(at))):
        if not toxic:
            assert decision == plain
            continue
        assert set(range(min(toxic), 5)) <= set(decision.closed)
        assert max(decision.level, decision.mtd_level or 0) < min(toxic)
        if min(toxic) == 1:
            assert (decision.action, decision.mtd_level) == ("stop", 0)


@pytest.mark.parametrize("inner", INNER, ids=lambda design: design.name)
@given(drawn=counts)
def test_no_dose_is_skipped_and_none_is_above_the_cap(inner: Any, drawn: Any):
    at = tally(drawn)
    plain, careful = inner.rule(at), NoSkipping(inner).rule(at)
    assert careful.level == min(plain.level, at.highest + 1)
    if careful.level < plain.level:
        assert careful.reason.endswith("no dose is skipped")
    capped = MaxDose(inner, level=2)
    assert capped.rule(at).level == min(plain.level, 2)
    end = capped.select(at)
    assert (end.mtd_level or 0) <= 2
    if end.mtd_level:
        assert at.n[end.mtd_level - 1]


def test_actions_are_named_anew_when_a_dose_is_lowered():
    # From dose 2 the model wants dose 4; the cap makes it stay.
    at = Tally((3, 3, 0, 0), (0, 0, 0, 0), (0,) * 4, 2)
    assert BOLD.rule(at).action == "escalate"
    capped = MaxDose(BOLD, level=2).rule(at)
    assert (capped.action, capped.level, capped.n) == ("stay", 2, 3)
    assert MaxDose(BOLD, level=1).rule(at).action == "de-escalate"


def test_a_selection_above_the_cap_becomes_the_highest_dose_given_below_it():
    at = Tally((3, 0, 6, 0), (0, 0, 2, 0), (0,) * 4, 3)
    assert Boin(4, target=0.30).select(at).mtd_level == 3
    end = MaxDose(Boin(4, target=0.30), level=2).select(at)
    assert end.mtd_level == 1
    assert "dose 2 is the cap" in end.reason


@pytest.mark.parametrize(
    "inner", [Boin(4, target=0.30), BOLD, ThreePlusThree(4, variant="B")], ids=lambda d: d.name
)
def test_rules_hold_in_whatever_order_they_are_put_round_a_titration(inner: Any):
    rules: list[Any] = [
        lambda design: StopAfter(design, n=8),
        lambda design: MaxDose(design, level=2),
        lambda design: AcceleratedTitration(design, grade2_trigger=2),
    ]
    for order in permutations(rules):
        design = inner
        for rule in order:
            design = rule(design)
        ends = all_ends(design, ((0.05, 0.15, 0.3, 0.5), (0.1,) * 4))
        assert max(tally.highest for tally in ends.tallies) == 2
        assert max(tally.treated for tally in ends.tallies) <= 8


@pytest.mark.parametrize("variant", ["A", "B", "C"])
def test_the_cap_is_the_top_dose_of_a_3_plus_3(variant: str):
    truth = [0.1, 0.2, 0.3]
    capped = operating_characteristics(MaxDose(ThreePlusThree(3, variant=variant), level=2), truth)
    fewer = operating_characteristics(ThreePlusThree(2, variant=variant), truth[:2])
    assert capped["p_select"].tolist()[:3] == pytest.approx(fewer["p_select"].tolist())
    assert capped["n"].tolist() == pytest.approx([*fewer["n"], 0.0])


def test_a_titration_ends_at_a_cap_below_its_last_dose():
    design = MaxDose(AcceleratedTitration(Staggered(ThreePlusThree(4, variant="A"), days=3), last=3), level=2)
    end = design.decide([(1, 1, 0), (2, 3, 0)])
    assert (end.action, end.mtd_level, design.stagger_days) == ("stop", 2, 3)
    assert "the cap" in end.reason


@pytest.mark.parametrize(
    "caution",
    [lambda d: MaxDose(d, level=2), lambda d: Staggered(MaxDose(Staggered(d, days=1), level=2), days=2)],
)
def test_the_dose_to_be_given_next_is_that_under_the_cap(caution: Any):
    # Boin wants dose 3, which has nobody; under the cap it is dose 2 that is full.
    end = caution(StopAtDose(Boin(3, target=0.30), n=6)).decide([(1, 3, 0), (2, 6, 0)])
    assert (end.action, end.mtd_level) == ("stop", 2)


def test_a_trial_without_an_end_is_refused(monkeypatch: pytest.MonkeyPatch):
    for module in ("tree", "characteristics"):
        monkeypatch.setattr(f"carkinetics.escalation.{module}.MOST_COHORTS", 30)
    design = EliminateOverdose(ThreePlusThree(3, variant="A"), target=0.2, cutoff=0.8)
    for exact in (True, False):
        with pytest.raises(ConfigError, match="put StopAfter"):
            operating_characteristics(design, [0.0, 0.4, 0.5], exact=exact, trials=20)


def test_a_trial_stops_when_the_next_dose_has_its_patients():
    design = StopAtDose(Boin(3, target=0.30), n=6)
    assert design.ends
    assert design.decide([(1, 3, 0), (2, 3, 1)]).action == "stay"
    end = design.decide([(1, 3, 0), (2, 6, 2)])
    assert (end.action, end.mtd_level) == ("stop", 2)
    # going down to a dose with its patients ends it too, going up to a fresh one does not
    assert design.decide([(1, 6, 1), (2, 3, 2)]).action == "stop"
    assert design.decide([(1, 6, 0)]).level == 2


def test_a_trial_stops_when_the_next_dose_is_known_well_enough():
    # Beta(1 + 5, 1 + 15): between 0.16 and 0.33 with probability 0.70 (by integration of the beta density, below).
    from scipy.integrate import quad
    from scipy.special import beta

    inside = quad(lambda p: p**5 * (1 - p) ** 15 / beta(6, 16), 0.16, 0.33)[0]
    cohorts = [(1, 6, 0), (2, 20, 5)]
    boin = Boin(3, target=0.25)
    assert boin.decide(cohorts).level == 2
    end = StopForPrecision(boin, (0.16, 0.33), probability=inside - 1e-6).decide(cohorts)
    assert (end.action, end.mtd_level) == ("stop", 2)
    assert f"probability {inside:.2f}" in end.reason
    assert StopForPrecision(boin, (0.16, 0.33), probability=inside + 1e-6).decide(cohorts) == boin.decide(
        cohorts
    )
    assert StopForPrecision(boin, (0.16, 0.33), least=21).decide(cohorts).action == "stay"
    # a design with a model answers by it
    blrm = Blrm(SIZES, reference=1.0)
    known = [(0.1, 6, 0), (0.3, 20, 4)]
    target = blrm.probabilities(known).at[0.3, "target"]
    assert blrm.decide(known).dose == 0.3
    assert StopForPrecision(blrm, blrm.intervals, target - 1e-6).decide(known).mtd == 0.3
    assert StopForPrecision(blrm, blrm.intervals, target + 1e-6).decide(known).action == "stay"


@pytest.mark.parametrize("instead", ["wait", "stay"])
def test_no_escalation_while_a_window_is_open(instead: Any):
    tite = TiteCrm(4, [0.1, 0.2, 0.3, 0.4], 0.30)
    open_window = [Cohort(1, 3, 0, pending=1, follow_up=(20,))]
    assert tite.decide(open_window).action == "escalate"
    held = WaitForWindow(tite, instead=instead).decide(open_window)
    assert (held.action, held.level, held.n) == (instead, 1, 0 if instead == "wait" else 3)
    assert "1 are in their DLT window" in held.reason
    assert WaitForWindow(tite, instead=instead).decide([(1, 3, 0)]) == tite.decide([(1, 3, 0)])
    toxic = [Cohort(1, 3, 0), Cohort(2, 3, 2, pending=1, follow_up=(20,))]
    assert WaitForWindow(tite, instead=instead).decide(toxic) == tite.decide(toxic)


def test_rules_go_round_rules_and_forward_what_is_inside():
    design = StopAfter(Staggered(NoSkipping(Staggered(BOLD, days=3)), days=7), n=12)
    assert (design.stagger_days, BOLD.stagger_days) == (7, 0)
    assert (design.doses, design.cohort_size, design.uses_waiting) == (BOLD.doses, 3, False)
    assert design.decide([(1, 3, 0)]).level == 2


def test_decision_tables_see_the_drop_rule():
    plain = decision_table(I3Plus3(4, target=0.30, cutoff=None), n_max=6)
    dropped = decision_table(EliminateOverdose(I3Plus3(4, target=0.30, cutoff=None)), n_max=6)
    assert plain.at[3, 3] == "D"
    assert dropped.at[3, 3] == "DU"
    assert dropped.equals(decision_table(I3Plus3(4, target=0.30), n_max=6))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: StopAtDose(BOLD, n=0), "n is 0"),
        (lambda: StopForPrecision(BOLD, (0.4, 0.2)), "low below high"),
        (lambda: StopForPrecision(BOLD, (0.2, 0.4), probability=1.2), "probability is 1.2"),
        (lambda: EliminateOverdose(BOLD, target=0), "target is 0"),
        (lambda: EliminateOverdose(BOLD, least=0), "least is 0"),
        (lambda: MaxDose(BOLD, level=5), "level is 5; expected a whole number from 1 to 4"),
        (lambda: MaxDose(BOLD), "level is 0"),
        (lambda: Staggered(BOLD, days=-1), "days is -1"),
        (lambda: WaitForWindow(BOLD, instead="waits"), "did you mean 'wait'"),  # type: ignore[arg-type]
        (lambda: NoSkipping(3), "goes round a design; found 3"),  # type: ignore[arg-type]
    ],
)
def test_what_makes_no_sense_is_refused(make: Any, words: str):
    with pytest.raises(ConfigError, match=words):
        make()


DESIGNS = [
    Boin(4, target=0.30, start=2),
    TiteBoin(4, target=0.30, start=2),
    Crm(4, [0.1, 0.2, 0.3, 0.4], 0.30, start=2),
    Blrm(SIZES, reference=10.0, start=2, max_ratio=4.0),
]


@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.name)
def test_a_dose_whose_patients_are_all_replaced_is_given_again_or_a_lower_one(design: Any):
    nobody = Tally((0,) * 4, (0,) * 4, (0,) * 4, 2)
    assert design.rule(nobody).action in ("stay", "de-escalate")
    below = Tally((3, 0, 0, 0), (0,) * 4, (0,) * 4, 2)
    assert design.rule(below).level == 2
    toxic = Tally((6, 0, 0, 0), (5, 0, 0, 0), (0,) * 4, 2)
    assert design.rule(toxic).mtd_level == 0


@pytest.mark.parametrize("design", [BOLD, Blrm(SIZES, reference=10.0)], ids=lambda design: design.name)
def test_a_model_without_time_waits_for_windows_that_matter(design: Any):
    first = design.doses[0]
    with pytest.raises(DataError, match="still in their DLT window"):
        design.decide([(first, 3, 0), Cohort(design.doses[1], 3, 0, pending=2)])
    decided = design.decide([Cohort(first, 6, 5, pending=1)])
    assert "whatever their outcomes" in decided.notes[-1]


def test_a_vague_prior_ends_a_trial_at_one_dlt_of_three_as_the_notes_say():
    assert Blrm(SIZES, reference=1.0).decide([(0.1, 3, 1)]).action == "stop"
    assert Blrm(SIZES, reference=1.0).decide([(0.1, 3, 0)]).action == "escalate"
