"""TITE-BOIN against its published tables, TITE-CRM by another road, and trials in calendar time."""

from itertools import product
from math import exp
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from carkinetics.errors import ConfigError, DataError
from carkinetics.escalation import (
    AcceleratedTitration,
    Boin,
    Cohort,
    Crm,
    Staggered,
    StopAfter,
    ThreePlusThree,
    TiteBoin,
    TiteCrm,
    WaitForWindow,
    tite_trials,
)
from carkinetics.escalation.cohort import Tally
from carkinetics.escalation.tite_trials import _onset

SKELETON = [0.08, 0.16, 0.30, 0.45, 0.60]

# Yuan Y et al. Clin Cancer Res 2018;24:4921-4930, Table 1 (target 0.2) and Table S1 (target 0.3), as R package simFastBOIN
# transcribes them: n; DLTs; in the window; decision (E up, S stay, D down, X drop, W suspend accrual), or the STFT from
# which on it is up (E>=) or up to which it is down (D<=) and stay otherwise. "+" is any number that is possible.
PUBLISHED = {
    0.2: """
        3;0;0-1;E 3;0;2+;W 3;1;0-2;D 3;2+;0+;X
        6;0;0-3;E 6;0;4+;W 6;1;0-3;S 6;1;4+;W 6;2;0+;D 6;3+;0+;X
        9;0;0-4;E 9;0;5+;W 9;1;0-2;E 9;1;3;E>=0.77 9;1;4;E>=2.15 9;1;5+;W
        9;2;0;S 9;2;1;D<=0.52 9;2;2;D<=1.59 9;2;3;D<=2.66 9;2;4;D<=3.73 9;2;5+;W 9;3;0+;D 9;4+;0+;X
        12;0;0-6;E 12;0;7+;W 12;1;0-5;E 12;1;6;E>=1.24 12;1;7+;W 12;2;0-6;S 12;2;7+;W 12;3-4;0+;D 12;5+;0+;X
        15;0;0-7;E 15;0;8+;W 15;1;0-7;E 15;1;8+;W 15;2;0-2;E 15;2;3;E>=1.14 15;2;4;E>=2.31 15;2;5;E>=3.48
        15;2;6;E>=4.65 15;2;7;E>=5.82 15;2;8+;W 15;3;0-2;S 15;3;3;D<=1.16 15;3;4;D<=2.34 15;3;5;D<=3.53
        15;3;6;D<=4.72 15;3;7;D<=5.90 15;3;8+;W 15;4-5;0+;D 15;6+;0+;X""",
    0.3: """
        3;0;0-1;E 3;0;2+;W 3;1;0;S 3;1;1;D<=0.88 3;1;2;W 3;2;0-1;D 3;3;0;X
        6;0;0-3;E 6;0;4+;W 6;1;0-1;E 6;1;2;E>=0.60 6;1;3;E>=1.96 6;1;4+;W 6;2;0;S 6;2;1;D<=0.73 6;2;2;D<=1.80
        6;2;3;D<=2.87 6;2;4;W 6;3;0+;D 6;4+;0+;X
        9;0;0-4;E 9;0;5+;W 9;1;0-4;E 9;1;5+;W 9;2;0;E 9;2;1;E>=0.59 9;2;2;E>=1.65 9;2;3;E>=2.71 9;2;4;E>=3.77
        9;2;5+;W 9;3;0;S 9;3;1;D<=0.58 9;3;2;D<=1.65 9;3;3;D<=2.72 9;3;4;D<=3.79 9;3;5+;W 9;4;0+;D 9;5+;0+;X
        12;0;0-6;E 12;0;7+;W 12;1;0-6;E 12;1;7+;W 12;2;0-3;E 12;2;4;E>=1.33 12;2;5;E>=2.72 12;2;6;E>=4.11 12;2;7+;W
        12;3;0-6;S 12;3;7+;W 12;4;0;S 12;4;1;D<=0.43 12;4;2;D<=1.50 12;4;3;D<=2.57 12;4;4;D<=3.65 12;4;5;D<=4.72
        12;4;6;D<=5.79 12;4;7+;W 12;5-6;0+;D 12;7+;0+;X
        15;0;0-7;E 15;0;8+;W 15;1;0-7;E 15;1;8+;W 15;2;0-5;E 15;2;6;E>=0.35 15;2;7;E>=2.07 15;2;8+;W 15;3;0-1;E
        15;3;2;E>=0.11 15;3;3;E>=1.29 15;3;4;E>=2.46 15;3;5;E>=3.64 15;3;6;E>=4.81 15;3;7;E>=5.98 15;3;8+;W
        15;4;0-7;S 15;4;8+;W 15;5;0;S 15;5;1;D<=0.28 15;5;2;D<=1.35 15;5;3;D<=2.42 15;5;4;D<=3.50 15;5;5;D<=4.57
        15;5;6;D<=5.64 15;5;7;D<=6.72 15;5;8+;W 15;6-7;0+;D 15;8+;0+;X""",
}


def span(text: str, most: int) -> range:
    first, _, last = text.rstrip("+").partition("-")
    return range(int(first), 1 + (most if text.endswith("+") else min(int(last or first), most)))


def decided(design: TiteBoin, n: int, dlt: int, pending: int, stft: float) -> str:
    days = 28 * stft / pending if pending else 0.0
    decision = design.rule(Tally((0, n - pending, 0), (0, dlt, 0), (0, 0, 0), 2, ((2, days),) * pending))
    if 2 in decision.closed:
        return "X"
    return {"escalate": "E", "stay": "S", "de-escalate": "D", "wait": "W"}[decision.action]


@pytest.mark.parametrize("target", [0.2, 0.3])
def test_tite_boin_decides_as_published_in_every_cell(target: float):
    design = TiteBoin(doses=3, target=target)
    wrong, cells, limits = [], 0, 0
    for entry in PUBLISHED[target].split():
        count, dlts, pendings, letter = entry.split(";")
        n = int(count)
        for dlt in span(dlts, n):
            for pending in span(pendings, n - dlt):
                cells += 1
                where = (n, dlt, pending)
                if "=" in letter:
                    limits += 1
                    limit = float(letter[3:])
                    # limits are printed with two decimals
                    either = ("S", "E") if letter[0] == "E" else ("D", "S")
                    found = tuple(decided(design, *where, limit + off) for off in (-0.0051, 0.0051))
                    wrong += [where] if found != either else []
                else:
                    found = tuple(decided(design, *where, share * pending) for share in (0.0, 0.5, 0.99))
                    wrong += [where] if set(found) != {letter} else []
    assert wrong == []
    # every state at the end of a cohort of three, and every limit of the two tables
    assert (cells, limits) == (320, {0.2: 17, 0.3: 38}[target])


@given(n=st.integers(1, 15), dlt=st.integers(0, 15), pending=st.integers(1, 15), target=st.floats(0.1, 0.4))
def test_longer_follow_up_never_lowers_the_dose(n: int, dlt: int, pending: int, target: float):
    dlt, pending = min(dlt, n), min(pending, n - min(dlt, n))
    design = TiteBoin(doses=3, target=target)
    order = [
        "XDSE".find(decided(design, n, dlt, pending, pending * share)) for share in (0.0, 0.3, 0.6, 0.99)
    ]
    assert order == sorted(order)
    # with nobody in the window it is BOIN
    tally = Tally((0, n, 0), (0, dlt, 0), (0, 0, 0), 2)
    assert design.rule(tally) == Boin(doses=3, target=target).rule(tally)


def test_tite_crm_is_the_crm_at_both_ends_of_the_window():
    crm = Crm(5, SKELETON, 0.30)
    tite = TiteCrm(5, SKELETON, 0.30)
    known = Tally((3, 3, 0, 0, 0), (0, 1, 0, 0, 0), (0,) * 5, 2)
    new = Tally(known.n, known.dlt, known.grade2, 2, ((2, 0.0), (2, 0.0)))
    over = Tally(known.n, known.dlt, known.grade2, 2, ((2, 28.0), (2, 31.0)))
    assert tite._posterior(new).p == pytest.approx(crm._posterior(known).p, abs=1e-12)
    later = Tally((3, 5, 0, 0, 0), known.dlt, known.grade2, 2)
    assert tite._posterior(over) == tite._posterior(later)
    assert tite._posterior(later).p == crm._posterior(later).p
    assert tite.rule(over).reason == crm.rule(later).reason
    assert tite.within(over, 2, 0.2, 0.4) == pytest.approx(crm.within(later, 2, 0.2, 0.4), abs=1e-12)


def test_tite_crm_weighs_those_in_the_window_by_its_share():
    # The data of dfcrm's example of titecrm(), window 180 days; the posterior mean by adaptive quadrature.
    skeleton, target = [0.05, 0.10, 0.20, 0.35, 0.50, 0.70], 0.2
    level = [3, 3, 3, 4, 4, 3, 2, 2, 2, 3]
    toxic = [0, 0, 1, 0, 1, 0, 0, 0, 0, 0]
    days = [178, 181, 168, 181, 24, 181, 179, 102, 42, 3]
    cohorts = [
        Cohort(at, 1, y) if y or u >= 180 else Cohort(at, 1, 0, pending=1, follow_up=(u,))
        for at, y, u in zip(level, toxic, days, strict=True)
    ]
    design = TiteCrm(6, skeleton, target, window=180)

    def density(b: float) -> float:
        value = exp(-b * b / 2 / 1.34)
        for at, y, u in zip(level, toxic, days, strict=True):
            p = skeleton[at - 1] ** exp(b)
            value *= p if y else 1 - min(u / 180, 1) * p
        return value

    total = quad(density, -9, 9, points=[0.0])[0]
    mean = quad(lambda b: b * density(b), -9, 9, points=[0.0])[0] / total
    known = design.posterior(cohorts)
    assert known.mean == pytest.approx(mean, abs=1e-7)
    assert known.p == pytest.approx([s ** exp(mean) for s in skeleton], abs=1e-7)


@given(days=st.lists(st.floats(0, 27), min_size=1, max_size=4), extra=st.floats(0, 1))
def test_the_longer_nothing_happens_the_safer_a_dose_looks(days: list[float], extra: float):
    design = TiteCrm(5, SKELETON, 0.30)
    before = Tally((3, 0, 0, 0, 0), (1, 0, 0, 0, 0), (0,) * 5, 2, tuple((2, day) for day in days))
    after = Tally(before.n, before.dlt, before.grade2, 2, tuple((2, day + extra) for day in days))
    earlier, later = design._posterior(before).p, design._posterior(after).p
    assert all(b <= a + 1e-12 for a, b in zip(earlier, later, strict=True))


@pytest.mark.parametrize("design", [TiteBoin(3, target=0.2), TiteCrm(3, [0.1, 0.2, 0.3], 0.2)])
def test_days_that_are_not_given_are_asked_for(design: Any):
    with pytest.raises(DataError, match="days followed are not given; expected follow_up="):
        design.decide([Cohort(1, 3, 0, pending=1)])


@pytest.mark.parametrize("design", [TiteBoin(3, target=0.2), TiteCrm(3, [0.1, 0.2, 0.3], 0.2)])
def test_a_dose_is_selected_when_all_windows_have_ended(design: Any):
    stopped = StopAfter(design, n=6)
    waiting = stopped.decide([(1, 3, 0), Cohort(2, 3, 0, pending=2, follow_up=(5, 9))])
    assert (waiting.action, waiting.n, waiting.mtd_level) == ("wait", 0, None)
    assert "windows of 2 patients" in str(waiting)
    assert stopped.decide([(1, 3, 0), (2, 3, 0)]).action == "stop"


def test_a_titration_waits_for_its_patient_whatever_is_behind_it():
    design = AcceleratedTitration(TiteBoin(3, target=0.3))
    waiting = design.decide([Cohort(1, 1, 0, pending=1, follow_up=(20,))])
    assert waiting.action == "wait"
    assert "dose 1 is in the DLT window" in waiting.reason
    assert design.decide([Cohort(1, 1, 0)]).level == 2


def test_three_plus_three_in_calendar_time_selects_as_its_enumeration_says():
    # Exact probabilities: full enumeration, identical to R package bcrm 0.5.4 threep3.
    exact = np.array([0.026558, 0.091360, 0.257032, 0.316111, 0.255840, 0.053099])
    n_exact = np.array([3.406125, 3.629966, 3.662403, 2.702092, 1.274374])
    trials = 1500
    found = tite_trials(
        ThreePlusThree(5, variant="A"), [0.05, 0.1, 0.2, 0.3, 0.5], accrual_days=5, trials=trials, seed=3
    )
    share = np.bincount(found.selected, minlength=6) / trials
    assert np.abs(share - exact).max() < 4 * np.sqrt(0.25 / trials)
    np.testing.assert_allclose(found.n.mean(axis=0), n_exact, atol=4 * 1.6 / np.sqrt(trials))


def test_a_design_for_times_to_an_event_is_faster_and_the_same_without_a_hurry():
    truth = [0.05, 0.2, 0.45]
    boin, tite = (StopAfter(kind(3, target=0.25), n=15) for kind in (Boin, TiteBoin))
    settings: dict[str, Any] = {"trials": 60, "seed": 2}
    hurry = [tite_trials(design, truth, accrual_days=7, **settings) for design in (boin, tite)]
    assert hurry[1].duration.mean() < hurry[0].duration.mean() - 28
    assert hurry[1].waited.mean() < hurry[0].waited.mean()
    # with a patient every 100 days there is nobody in a window of 28 when the next one comes
    slow = [
        tite_trials(design, truth, accrual_days=100, arrivals="fixed", **settings) for design in (boin, tite)
    ]
    for name in ("n", "dlt", "selected", "duration", "waited"):
        np.testing.assert_array_equal(getattr(slow[0], name), getattr(slow[1], name))
    assert not slow[1].waited.any()


def test_trials_are_the_same_for_a_seed_and_patients_for_any_number_of_trials():
    design = StopAfter(TiteCrm(5, SKELETON, 0.30, cohort_size=1), n=9)
    truth = [0.05, 0.1, 0.3, 0.5, 0.6]
    few = tite_trials(design, truth, accrual_days=9, trials=3, seed=8, onset="weibull", late=0.8)
    more = tite_trials(design, truth, accrual_days=9, trials=6, seed=8, onset="weibull", late=0.8)
    np.testing.assert_array_equal(few.duration, more.duration[:3])
    assert (few.n.sum(axis=1) <= 9).all()
    assert (few.dlt <= few.n).all()


def test_days_between_patients_and_open_windows_lengthen_a_trial():
    truth = [0.05, 0.1, 0.2, 0.3, 0.5]
    plain = TiteCrm(5, SKELETON, 0.30)
    settings: dict[str, Any] = {"accrual_days": 3, "arrivals": "fixed", "trials": 30, "seed": 4}
    fast, staggered, waiting = (
        tite_trials(StopAfter(design, n=12), truth, **settings)
        for design in (plain, Staggered(plain, days=7), WaitForWindow(plain))
    )
    assert fast.duration.max() <= 11 * 3 + 28
    assert (staggered.duration >= np.where(staggered.n.sum(axis=1) == 12, 11 * 7, 0)).all()
    assert waiting.duration.mean() > fast.duration.mean() + 14


@pytest.mark.parametrize(("p", "late"), list(product([0.05, 0.3, 0.6], [0.2, 0.5, 0.8])))
def test_days_of_dlts_have_the_share_asked_for_in_the_second_half(p: float, late: float):
    day = _onset("weibull", p, 28.0, late)
    # P(T <= t) = u: the last to have one has it at the window's end, and (1 - late) p are in the first half.
    assert day(p) == pytest.approx(28.0)
    assert day((1 - late) * p) == pytest.approx(14.0)
    assert _onset("uniform", p, 28.0, late)(p / 4) == pytest.approx(7.0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: TiteBoin(3, target=0.2, window=0), "window is 0"),
        (lambda: TiteBoin(3, target=0.2, max_pending=2), "max_pending is 2"),
        (lambda: TiteCrm(3, [0.1, 0.2, 0.3], 0.2, window=-1), "window is -1"),
        (lambda: tite_trials(TiteBoin(3, target=0.2), [0.1, 0.2, 0.3], accrual_days=5), "StopAfter"),
        (
            lambda: tite_trials(StopAfter(TiteBoin(3, target=0.2), 9), [0.1, 0.2], accrual_days=5),
            "one for each of 3 doses",
        ),
        (
            lambda: tite_trials(StopAfter(TiteBoin(3, target=0.2), 9), [0.1, 0.2, 0.3], accrual_days=0),
            "accrual_days is 0",
        ),
        (
            lambda: tite_trials(
                StopAfter(TiteBoin(3, target=0.2, window=90), 9), [0.1, 0.2, 0.3], accrual_days=5
            ),
            "window is 28 days, and that of TITE-BOIN",
        ),
        (
            lambda: tite_trials(
                ThreePlusThree(3, variant="A"),
                [0.1, 0.2, 0.3],
                accrual_days=5,
                onset="wei",  # type: ignore[arg-type]
            ),
            "onset is 'wei'",
        ),
        (
            lambda: tite_trials(ThreePlusThree(3, variant="A"), [0.1, 0.2, 0.3], accrual_days=5, late=1.0),
            "late is 1.0",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(make: Any, words: str):
    with pytest.raises(ConfigError, match=words):
        make()


def test_days_have_a_distribution_where_everybody_has_a_dlt():
    # The Weibull distribution has no shape at a probability of 1; days are uniform then.
    assert _onset("weibull", 1.0, 28.0, 0.8)(0.5) == pytest.approx(14.0)
