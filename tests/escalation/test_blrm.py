"""The BLRM against closed forms, adaptive quadrature, a published trial and what must hold for any data."""

from math import exp, log
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import dblquad, quad
from scipy.stats import norm

from carkinetics.errors import ConfigError, DataError
from carkinetics.escalation import Blrm, BlrmPrior, Cohort, blrm_grid
from carkinetics.escalation.blrm_grid import Grid
from carkinetics.escalation.cohort import Tally, tally_of

SIZES = [0.1, 0.3, 1.0, 2.0]


def logit(p: float) -> float:
    return log(p / (1 - p))


def test_prior_probabilities_of_the_default_prior():
    # log alpha ~ N(ln(1/3), 2^2), log beta ~ N(0, 1), reference 1: quadrature on a grid.
    table = Blrm(SIZES, reference=1.0).probabilities()
    assert table["mean"].tolist() == pytest.approx([0.1145, 0.1757, 0.3385, 0.4906], abs=1e-4)
    assert table["under"].tolist() == pytest.approx([0.7847, 0.6686, 0.3898, 0.2374], abs=1e-4)
    assert table["target"].tolist() == pytest.approx([0.0938, 0.1333, 0.1876, 0.1537], abs=1e-4)
    assert table["over"].tolist() == pytest.approx([0.1215, 0.1981, 0.4226, 0.6089], abs=1e-4)
    assert table["eligible"].tolist() == [True, True, False, False]


@given(
    mean=st.floats(-3, 2),
    sd=st.floats(0.5, 3),
    log_slope=st.floats(-1, 1),
    slope_sd=st.floats(0.2, 1.5),
    t=st.floats(0.05, 0.9),
)
@settings(max_examples=25)
def test_prior_probabilities_are_integrals_of_normal_distribution_functions(
    mean: float, sd: float, log_slope: float, slope_sd: float, t: float
):
    design = Blrm(SIZES, reference=1.0, prior=BlrmPrior((mean, log_slope), (sd, slope_sd)))
    nobody = Tally.empty(4)
    for level, size in enumerate(SIZES, start=1):

        def at(z: float, size: float = size) -> float:
            eta = logit(t) - exp(log_slope + slope_sd * z) * log(size)
            return float(norm.cdf((eta - mean) / sd) * exp(-z * z / 2) / np.sqrt(2 * np.pi))

        exact = quad(at, -8, 8, limit=200)[0]
        assert design.within(nobody, level, 0.0, t) == pytest.approx(exact, abs=1e-5)
    # At the reference the slope has no say: exact.
    assert design.within(nobody, 3, 0.0, t) == pytest.approx(norm.cdf((logit(t) - mean) / sd), abs=1e-6)


@pytest.mark.parametrize("rho", [0.0, -0.5])
def test_posterior_probabilities_are_those_of_adaptive_quadrature(rho: float):
    n, dlt = (3, 6, 9, 2), (0, 1, 3, 2)
    design = Blrm(SIZES, reference=0.5, prior=BlrmPrior((-1.0, 0.2), (1.5, 0.8), rho))
    x = [log(size / 0.5) for size in SIZES]

    def density(la: float, lb: float) -> float:
        za, zb = (la + 1) / 1.5, (lb - 0.2) / 0.8
        value = -0.5 * (za * za - 2 * rho * za * zb + zb * zb) / (1 - rho * rho)
        for at, count, toxic in zip(x, n, dlt, strict=True):
            eta = la + exp(lb) * at
            value += toxic * eta - count * np.logaddexp(0, eta)
        return float(exp(value + 14))

    ends = (0.2 - 5 * 0.8, 0.2 + 5 * 0.8)
    total = dblquad(density, *ends, -9, 6, epsabs=1e-9)[0]
    tally = Tally(n, dlt, (0,) * 4, 4)
    for level, t in ((1, 0.16), (3, 0.33)):
        below = dblquad(
            density, *ends, -9, lambda lb, i=level - 1, t=t: logit(t) - exp(lb) * x[i], epsabs=1e-9
        )
        assert design.within(tally, level, 0.0, t) == pytest.approx(below[0] / total, abs=2e-5)


@pytest.mark.parametrize(("reference", "sd"), [(1.0, (2.0, 1.0)), (40.0, (2.0, 1.0)), (1.0, (4.0, 1.5))])
def test_a_grid_four_times_as_fine_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, reference: float, sd: tuple[float, float], rng: np.random.Generator
):
    x = tuple(log(size / reference) for size in SIZES)
    coarse = Grid.of(x, (0.0, 0.0), sd, -0.2)
    steps = blrm_grid._steps
    monkeypatch.setattr(blrm_grid, "_steps", lambda spread, step: 4 * (steps(spread, step) - 1) + 1)
    fine = Grid.of(x, (0.0, 0.0), sd, -0.2)
    for _ in range(3):  # some 60 patients
        n = tuple(rng.integers(5, 25, 4).tolist())
        dlt = tuple(rng.binomial(n, np.sort(rng.random(4)) / 2).tolist())
        below = [grid.below(grid.posterior(n, dlt), (0.16, 0.33), (0, 1, 2, 3)) for grid in (coarse, fine)]
        np.testing.assert_allclose(*below, atol=1e-4)


def test_a_published_trial_gives_the_published_curve():
    # Neuenschwander B et al. Stat Med 2008;27:2420-2439: 18 patients, prior and reference of their section 3. Posterior
    # means read off their Figure 1 (to 0.04), and those of R package bcrm's MCMC (to its error), both as R package
    # escalation quotes them in its tests.
    sizes = [1, 2.5, 5, 10, 15, 20, 25, 30, 40, 50, 75, 100, 150, 200, 250]
    figure = [0.01, 0.02, 0.05, 0.13, 0.19, 0.25, 0.30, 0.35, 0.47, 0.53, 0.68, 0.74, 0.85, 0.89, 0.92]
    bcrm = [0.0128, 0.0317, 0.0645, 0.1310, 0.1951, 0.2549, 0.3099, 0.3602]
    bcrm += [0.4472, 0.5185, 0.6463, 0.7271, 0.8180, 0.8657, 0.8942]
    prior = BlrmPrior((2.15, 0.52), (0.84, 0.80), 0.134 / (0.84 * 0.80))
    design = Blrm(sizes, reference=250, prior=prior, intervals=(0.20, 0.35))
    cohorts = [(1, 3, 0), (2.5, 4, 0), (5, 5, 0), (10, 4, 0), (25, 2, 2)]
    table = design.probabilities(cohorts)
    assert table["mean"].tolist() == pytest.approx(figure, abs=0.04)
    assert table["mean"].tolist() == pytest.approx(bcrm, abs=0.005)
    assert abs(table["mean"] - 0.30).idxmin() == 25  # the dose bcrm recommends, without overdose control
    # With it, 25 is an overdose with probability 0.37, and the trial goes down.
    assert not table.at[25, "eligible"]
    assert design.decide(cohorts).dose == 20


@given(
    n=st.lists(st.integers(0, 9), min_size=4, max_size=4),
    share=st.lists(st.floats(0, 1), min_size=4, max_size=4),
    current=st.integers(1, 4),
)
def test_the_dose_recommended_is_eligible_and_never_skips(n: list[int], share: list[float], current: int):
    n[current - 1] += 1
    dlt = tuple(round(s * count) for s, count in zip(share, n, strict=True))
    tally = Tally(tuple(n), dlt, (0,) * 4, current)
    design = Blrm(SIZES, reference=1.0, max_ratio=3.0)
    decision = design.rule(tally)
    over = [design.within(tally, level, 0.33, 1.0) for level in range(1, 5)]
    assert min(np.diff(over)) > -1e-9
    if decision.action == "stop":
        assert decision.mtd_level == 0
        assert over[0] >= 0.25
    else:
        assert over[decision.level - 1] < 0.25
        assert decision.level <= tally.highest + 1
        assert decision.dose is not None
        assert decision.dose <= 3.0 * SIZES[tally.highest - 1] * (1 + 1e-9)
    end = design.select(tally)
    if end.mtd_level:
        assert n[end.mtd_level - 1] >= 6
        assert over[end.mtd_level - 1] < 0.25


def test_history_counts_by_its_weight():
    cohorts = [(0.3, 3, 0), (1.0, 3, 1)]
    history = [(0.3, 6, 1), Cohort(1.0, 4, 2)]
    plain = Blrm(SIZES, reference=1.0)
    full = Blrm(SIZES, reference=1.0, historical=history)
    columns = ["mean", "under", "target", "over"]
    together = plain.probabilities([*history, *cohorts])[columns]
    np.testing.assert_allclose(full.probabilities(cohorts)[columns], together, rtol=1e-9)
    none = Blrm(SIZES, reference=1.0, historical=history, weight=0.0)
    np.testing.assert_allclose(
        none.probabilities(cohorts)[columns], plain.probabilities(cohorts)[columns], rtol=1e-9
    )
    twice = Blrm(SIZES, reference=1.0, historical=[*history, *history], weight=0.5)
    np.testing.assert_allclose(
        twice.probabilities(cohorts)[columns], full.probabilities(cohorts)[columns], rtol=1e-9
    )
    # A dose that is none of this trial's is welcome, and counts patients of this trial only.
    other = Blrm(SIZES, reference=1.0, historical=[(0.7, 20, 8)]).probabilities(cohorts)
    assert other["over"].gt(plain.probabilities(cohorts)["over"]).all()
    assert other["n"].tolist() == [0, 3, 3, 0]


def test_units_of_dose_cancel():
    by_million = Blrm(SIZES, reference=1.0).probabilities([(0.3, 3, 1)])
    by_cell = Blrm([1e6 * size for size in SIZES], reference=1e6).probabilities([(0.3e6, 3, 1)])
    np.testing.assert_allclose(by_million[["mean", "over"]], by_cell[["mean", "over"]], rtol=1e-9)


def test_steps_that_are_held_back_are_said():
    held = Blrm(SIZES, reference=1.0, prior=BlrmPrior((-3.0, 0.0), (1.0, 0.5))).decide([(0.1, 3, 0)])
    assert (held.level, held.dose) == (2, 0.3)
    assert "dose 2 is eligible and skips one" in held.reason
    ratio = Blrm(SIZES, reference=1.0, prior=BlrmPrior((-3.0, 0.0), (1.0, 0.5)), max_ratio=2.0, no_skip=False)
    assert ratio.decide([(0.1, 3, 0)]).level == 1
    assert "dose 2 is eligible and is more than 2 times" in ratio.decide([(0.1, 3, 0)]).reason


def test_a_dose_needs_its_patients_to_be_selected():
    design = Blrm(SIZES, reference=1.0)
    assert design.select(tally_of([(0.1, 3, 0)], SIZES)).mtd_level == 0
    assert design.select(tally_of([(0.1, 6, 0)], SIZES)).mtd_level == 1
    assert design.select(tally_of([(0.1, 6, 6)], SIZES)).closed == (1, 2, 3, 4)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Blrm(4, reference=1.0), "expected the sizes of the doses"),
        (lambda: Blrm([1.0, 0.5], reference=1.0), "increasing doses"),
        (lambda: Blrm(SIZES, reference=0), "reference is 0"),
        (lambda: Blrm(SIZES, reference=1, prior=(0, 1)), "expected a BlrmPrior"),  # type: ignore[arg-type]
        (lambda: Blrm(SIZES, reference=1, intervals=(0.33, 0.16)), "target begins < overdose begins"),
        (lambda: Blrm(SIZES, reference=1, intervals=(0.16, 0.33, 0.6)), "3 values"),
        (lambda: Blrm(SIZES, reference=1, overdose=25), "overdose is 25"),
        (lambda: Blrm(SIZES, reference=1, weight=2), "weight is 2"),
        (lambda: Blrm(SIZES, reference=1, max_ratio=1.0), r"max_ratio \(2 for steps of 100 %\) is 1.0"),
        (lambda: BlrmPrior(sd=(2.0, 0.0)), "sd is 0.0; expected a number above 0"),
        (lambda: BlrmPrior(mean=0.0), "expected two numbers"),  # type: ignore[arg-type]
        (lambda: BlrmPrior(rho=1.0), "rho is 1.0"),
    ],
)
def test_what_makes_no_sense_is_refused(make: Any, words: str):
    with pytest.raises(ConfigError, match=words):
        make()


@pytest.mark.parametrize("history", [[(0.3, 3, 4)], [(0.3, 3)], [Cohort(0.3, 3, 0, pending=1)], 3])
def test_history_that_cannot_be_is_refused(history: Any):
    with pytest.raises(DataError, match="historical"):
        Blrm(SIZES, reference=1.0, historical=history)
