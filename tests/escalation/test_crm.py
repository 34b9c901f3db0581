"""The CRM against R package dfcrm, a published trial, quadrature by another road, and what must hold for any data."""

from itertools import pairwise
from math import exp, log
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import brentq

from carkinetics.errors import ConfigError, DataError
from carkinetics.escalation import Crm, skeleton_for
from carkinetics.escalation.cohort import Tally

SKELETON = (0.08, 0.16, 0.30, 0.45, 0.60)


def expit(x: float) -> float:
    return 1 / (1 + exp(min(-x, 700.0)))


def tally(n: list[int], dlt: list[int], current: int) -> Tally:
    return Tally(tuple(n), tuple(dlt), (0,) * len(n), current)


# R package dfcrm 0.2-2.1, crm(): empiric model, b ~ N(0, 1.34), plug-in posterior mean, target 0.30.
DFCRM = [
    ([(1, 3, 0)], 0.57807433, 0.79148749, (0.0110827, 0.0381296, 0.1169271, 0.2408884, 0.4022832), 4, 2),
    ([(1, 3, 1)], -0.7016901, 0.3626631, (0.2858976, 0.4031300, 0.5505345, 0.6731026, 0.7762815), 1, 1),
    (
        [(1, 3, 0), (2, 3, 2)],
        -0.57483525,
        0.23304877,
        (0.2413580, 0.3565173, 0.5078379, 0.6380120, 0.7501430),
        2,
        2,
    ),
]


@pytest.mark.parametrize(("cohorts", "mean", "variance", "p", "closest", "given_next"), DFCRM)
def test_posterior_and_dose_are_those_of_dfcrm(
    cohorts: Any, mean: float, variance: float, p: Any, closest: int, given_next: int
):
    design = Crm(doses=5, skeleton=SKELETON, target=0.30)
    known = design.posterior(cohorts)
    assert (known.mean, known.variance) == pytest.approx((mean, variance), abs=1e-6)
    assert known.p == pytest.approx(p, abs=1e-6)
    decision = design.decide(cohorts)
    assert (known.closest, decision.level) == (closest, given_next)
    assert f"Closest to 0.3 is dose {closest}" in decision.reason
    assert ("no dose is skipped: dose 2" in decision.reason) == (closest != given_next)
    assert Crm(doses=5, skeleton=SKELETON, target=0.30, no_skip=False).decide(cohorts).level == closest


def test_a_published_trial_is_followed_patient_by_patient():
    # Cheung YK. Dose finding by the continual reassessment method. Chapman & Hall/CRC 2011, Table 3.2, page 26:
    # logistic model with intercept 3, b ~ N(0, 1.34), target 0.25; dose, DLT and posterior mean after each of 20 patients.
    doses = [3, 5, 5, 3, 4, 4, 5, 5, 5, 5, 5, 4, 4, 4, 4, 4, 4, 4, 4, 4]
    dlts = [0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1, 1, 0, 0, 0, 0, 0, 1, 0, 0]
    means = [0.60, 0.93, 0.04, 0.18, 0.28, 0.34, 0.41, 0.47, 0.31, 0.35]
    means += [0.25, 0.15, 0.18, 0.21, 0.24, 0.26, 0.28, 0.21, 0.22, 0.24]
    design = Crm(
        doses=5,
        skeleton=[0.05, 0.12, 0.25, 0.40, 0.55],
        target=0.25,
        model="logistic",
        cohort_size=1,
        start=3,
        no_skip=False,
        cutoff=None,
    )
    cohorts: list[tuple[int, int, int]] = []
    for dose, dlt, mean in zip(doses, dlts, means, strict=True):
        assert design.decide(cohorts).level == dose
        cohorts.append((dose, 1, dlt))
        assert design.posterior(cohorts).mean == pytest.approx(mean, abs=0.005)


@settings(max_examples=10)
@given(
    n=st.lists(st.integers(0, 12), min_size=5, max_size=5),
    share=st.lists(st.floats(0, 1), min_size=5, max_size=5),
    model=st.sampled_from(["empiric", "logistic"]),
    prior_sd=st.sampled_from([0.6, 1.157583690, 2.0]),
)
def test_panels_give_what_adaptive_quadrature_gives(
    n: list[int], share: list[float], model: Any, prior_sd: float
):
    dlt = [round(s * count) for s, count in zip(share, n, strict=True)]
    design = Crm(doses=5, skeleton=SKELETON, target=0.30, model=model, prior_sd=prior_sd)
    known = design._posterior(tally(n, dlt, 1))

    def p(b: float, s: float) -> float:
        if model == "empiric":
            return float(s ** exp(b))
        return expit(3 + exp(b) * (log(s / (1 - s)) - 3))

    def density(b: float) -> float:
        value = exp(-0.5 * (b / prior_sd) ** 2)
        for s, count, toxic in zip(SKELETON, n, dlt, strict=True):
            value *= p(b, s) ** toxic * (1 - p(b, s)) ** (count - toxic)
        return value

    top = max(np.linspace(-4 * prior_sd, 4 * prior_sd, 60), key=density)
    scale = density(top)
    ends = (-8 * prior_sd, 8 * prior_sd)

    def integral(f: Any, start: float, stop: float) -> float:
        points = [top] if start < top < stop else None
        return float(quad(lambda b: f(b) * density(b) / scale, start, stop, points=points, epsabs=1e-10)[0])

    total = integral(lambda b: 1.0, *ends)
    assert known.mean == pytest.approx(integral(lambda b: b, *ends) / total, abs=1e-7)
    crossing = brentq(lambda b: p(b, SKELETON[0]) - 0.30, -20, 20)
    assert known.too_toxic == pytest.approx(integral(lambda b: 1.0, ends[0], crossing) / total, abs=1e-7)
    assert design.within(tally(n, dlt, 1), 1, 0.30, 1.0) == pytest.approx(known.too_toxic, abs=1e-9)


@given(
    n=st.lists(st.integers(0, 9), min_size=5, max_size=5),
    share=st.lists(st.floats(0, 1), min_size=5, max_size=5),
    at=st.integers(0, 4),
    model=st.sampled_from(["empiric", "logistic"]),
)
def test_one_more_dlt_never_leads_to_a_higher_dose(n: list[int], share: list[float], at: int, model: Any):
    n[at] += 1
    dlt = [int(s * (count - (i == at))) for i, (s, count) in enumerate(zip(share, n, strict=True))]
    design = Crm(doses=5, skeleton=SKELETON, target=0.30, model=model)
    without = design.rule(tally(n, dlt, at + 1))
    dlt[at] += 1
    with_one_more = design.rule(tally(n, dlt, at + 1))
    assert with_one_more.level <= without.level
    assert design.select(tally(n, dlt, at + 1)).mtd_level in [0, *(i + 1 for i in range(5) if n[i])]


def test_the_order_of_cohorts_and_the_size_of_doses_do_not_matter():
    by_number = Crm(doses=3, skeleton=[0.1, 0.2, 0.3], target=0.2)
    by_size = Crm(doses=[0.1, 0.5, 2.0], skeleton=[0.1, 0.2, 0.3], target=0.2)
    first = by_number.posterior([(1, 3, 0), (2, 3, 1), (1, 3, 1)])
    assert first == by_size.posterior([(0.1, 6, 1), (0.5, 3, 1)])
    assert by_size.decide([(0.1, 6, 1), (0.5, 3, 1)]).dose in (0.1, 0.5, 2.0)


def test_a_trial_stops_where_the_lowest_dose_is_too_toxic():
    decision = Crm(doses=5, skeleton=SKELETON, target=0.30).decide([(1, 6, 6)])
    assert (decision.action, decision.mtd_level, decision.closed) == ("stop", 0, (1, 2, 3, 4, 5))
    assert "dose 1, the lowest, is too toxic" in decision.reason.lower()
    assert Crm(doses=5, skeleton=SKELETON, target=0.30, cutoff=None).decide([(1, 6, 6)]).level == 1


def test_only_doses_that_were_given_are_selected_and_the_model_is_quoted():
    end = Crm(doses=5, skeleton=SKELETON, target=0.30).select(tally([3, 0, 0, 0, 0], [0] * 5, 1))
    assert end.mtd_level == 1
    assert "closest dose is dose 4, which nobody was given" in end.notes[0]


@pytest.mark.parametrize("model", ["empiric", "logistic"])
@given(
    target=st.floats(0.15, 0.4), share=st.floats(0.1, 0.6), nu=st.integers(1, 6), n_doses=st.integers(6, 8)
)
def test_neighbours_of_a_skeleton_are_the_halfwidth_from_the_target(
    model: Any, target: float, share: float, nu: int, n_doses: int
):
    """The definition of Lee and Cheung: where neighbours are equally far from the target, they are the halfwidth from it."""
    halfwidth = share * target
    skeleton = skeleton_for(target, halfwidth, nu, n_doses, model=model)
    assert skeleton[nu - 1] == pytest.approx(target, rel=1e-12)

    def p(b: float, s: float) -> float:
        if model == "empiric":
            return float(s ** exp(b))
        return expit(3 + exp(b) * (log(s / (1 - s)) - 3))

    for lower, upper in pairwise(skeleton):
        if lower < 1e-12:  # far below the target floating point ends
            continue
        between = brentq(lambda b, s=(lower, upper): p(b, s[0]) + p(b, s[1]) - 2 * target, -12, 12)
        assert p(between, upper) - p(between, lower) == pytest.approx(2 * halfwidth, rel=1e-6)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Crm(3, [0.1, 0.3, 0.2], 0.3), "skeleton goes from 0.3 to 0.2"),
        (lambda: Crm(3, [0.1, 0.2, 0.2], 0.3), "increase with dose"),
        (lambda: Crm(3, [0.1, 0.2], 0.3), "2 values; expected one for each of 3 doses"),
        (lambda: Crm(3, [0.1, 0.2, 1.2], 0.3), "from 0 to 1"),
        (lambda: Crm(3, [0.0, 0.2, 0.3], 0.3), "above 0"),
        (lambda: Crm(3, [0.1, 0.2, 0.97], 0.3, model="logistic"), "below 0.9526, the limit"),
        (lambda: Crm(3, [0.1, 0.2, 0.3], 1.0), "target is 1"),
        (lambda: Crm(3, [0.1, 0.2, 0.3], 0.3, model="empirical"), "did you mean 'empiric'"),  # type: ignore[arg-type]
        (lambda: Crm(3, [0.1, 0.2, 0.3], 0.3, prior_sd=0), "prior_sd is 0"),
        (lambda: Crm(3, [0.1, 0.2, 0.3], 0.3, start=4), "start is 4"),
        (lambda: skeleton_for(0.25, 0.3, 3, 5), "0.25 ± halfwidth 0.3"),
        (lambda: skeleton_for(0.25, 0.05, 6, 5), "nu is 6"),
        (lambda: skeleton_for(0.25, 0.05, 3, 5, model="logit"), "model is 'logit'"),  # type: ignore[arg-type]
    ],
)
def test_what_makes_no_sense_is_refused(make: Any, words: str):
    with pytest.raises(ConfigError, match=words):
        make()


def test_a_dose_between_levels_is_refused_with_the_way_out():
    design = Crm(doses=[0.1, 0.5, 2.0], skeleton=[0.1, 0.2, 0.3], target=0.2)
    with pytest.raises(DataError, match=r"doses of the design are 0\.1, 0\.5, 2.*cohorts_from"):
        design.decide([(0.3, 3, 0)])
