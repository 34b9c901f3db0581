"""The tree of a design: every outcome of every cohort, exactly, with equal counts joined."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import comb

import numpy as np
import pandas as pd

from carkinetics.errors import ConfigError, DataError
from carkinetics.escalation.arguments import probabilities, whole
from carkinetics.escalation.cohort import Cohorts, Tally, tally_of
from carkinetics.escalation.design import Decision, Design

# Counts that a tree may have at once, before enumeration is refused: some 30 s and 1 GB.
MOST_STATES = 400_000
MOST_PATHS = 20_000
MOST_COHORTS = 1_000  # of one trial, before it is said that it has no end

# Probabilities of DLT and of grade 2 without DLT, by dose.
Rates = tuple[tuple[float, ...], tuple[float, ...] | None]


@dataclass(frozen=True)
class Leaves:
    """All ends of a trial with their probabilities.

    Parameters
    ----------
    tallies : tuple of Tally
        Counts at the end.
    decisions : tuple of Decision
        What was decided there.
    probability : ndarray, shape (n_ends,)
        Sums to 1.
    """

    tallies: tuple[Tally, ...]
    decisions: tuple[Decision, ...]
    probability: np.ndarray


def outcomes(n: int, p: float, grade2: float | None) -> Iterator[tuple[int, int, float]]:
    """DLTs, grade 2 without DLT, and their probability, of ``n`` patients.

    Parameters
    ----------
    n : int
        Patients.
    p : float
        DLT probability.
    grade2 : float or None
        Probability of grade 2 in those without a DLT; None where it does not matter.

    Yields
    ------
    dlt, grade2 : int
        Counts.
    probability : float
        Above 0.
    """
    for dlt in range(n + 1):
        chance = comb(n, dlt) * p**dlt * (1 - p) ** (n - dlt)
        if grade2 is None:
            if chance > 0:
                yield dlt, 0, chance
            continue
        for count in range(n - dlt + 1):
            both = chance * comb(n - dlt, count) * grade2**count * (1 - grade2) ** (n - dlt - count)
            if both > 0:
                yield dlt, count, both


def all_ends(design: Design, truth: Rates) -> Leaves:
    """Every end of a trial.

    Parameters
    ----------
    design : Design
        A rule that ends.
    truth : tuple
        What `true_rates` gives.

    Returns
    -------
    Leaves
        Counts at the ends and their probabilities.

    Raises
    ------
    ConfigError
        If the tree is too large.

    Notes
    -----
    A rule sees counts and not the order they came in, so paths that lead to equal counts are one: the tree of 30
    patients in BOIN has thousands of nodes instead of 4 to the power of 10.
    """
    alive = {Tally.empty(len(design.doses)): 1.0}
    ends: list[tuple[Tally, Decision, float]] = []
    for _ in range(MOST_COHORTS):
        if not alive:
            break
        grown: dict[Tally, float] = defaultdict(float)
        for tally, chance in alive.items():
            decision = design.rule(tally)
            if decision.action == "stop":
                ends.append((tally, decision, chance))
                continue
            at = decision.level - 1
            seen = truth[1][at] if truth[1] and design.sees_grade2(tally) else None
            for dlt, count, share in outcomes(decision.n, truth[0][at], seen):
                grown[tally.after(decision.level, decision.n, dlt, count)] += chance * share
        if len(grown) > MOST_STATES:
            raise ConfigError(
                f"{design.name} has more than {MOST_STATES:,} different counts at once; simulate it: exact=False"
            )
        alive = grown
    else:
        raise endless(design)
    tallies, decisions, chances = zip(*ends, strict=True)
    return Leaves(tallies, decisions, np.array(chances))


def endless(design: Design) -> ConfigError:
    """The complaint of a trial that does not end.

    Parameters
    ----------
    design : Design
        Its rule.

    Returns
    -------
    ConfigError
        To raise.
    """
    return ConfigError(
        f"{design.name}: a trial has not ended after {MOST_COHORTS:,} cohorts; put StopAfter(design, n=) round it"
    )


def dose_paths(
    design: Design,
    cohorts: int,
    *,
    truth: Sequence[float] | None = None,
    grade2: Sequence[float] | None = None,
    so_far: Cohorts = (),
) -> pd.DataFrame:
    """Every way the next cohorts can go.

    Parameters
    ----------
    design : Design
        The rule.
    cohorts : int
        How many cohorts to look ahead.
    truth : sequence of float, optional
        DLT probability by dose: gives each path its probability.
    grade2 : sequence of float, optional
        Probability of grade 2 in patients without a DLT, by dose; needed beside ``truth`` where grade 2 matters.
    so_far : iterable of cohorts, optional
        Where the trial stands, as in `Design.decide`.

    Returns
    -------
    pandas.DataFrame
        A row per path: ``dose_k``, ``n_k``, ``dlt_k`` (and ``grade2_k`` where grade 2 matters) of the kth cohort, missing
        after the end; ``action``, ``dose``, ``n``, ``mtd`` and ``reason`` of the decision that follows; ``probability`` if
        ``truth`` is given.

    Raises
    ------
    ConfigError
        If a number makes no sense, or there are more than 20,000 paths.

    Examples
    --------
    >>> from carkinetics.escalation.three_plus_three import ThreePlusThree
    >>> paths = dose_paths(ThreePlusThree(doses=2, variant="A"), cohorts=1)
    >>> paths["action"].tolist()
    ['escalate', 'stay', 'stop', 'stop']
    """
    whole(cohorts, "cohorts", "dose_paths", most=12)
    if not isinstance(design, Design):
        raise ConfigError(
            f"dose_paths: design is {design!r}; expected a design such as Boin(doses=5, target=0.30)"
        )
    if grade2 is not None and truth is None:
        raise ConfigError("dose_paths: grade2 is given without truth; paths have no probability without both")
    tally = tally_of(so_far, design.doses)
    if tally.waiting:
        raise DataError(
            f"dose_paths: patients still in their window: {len(tally.waiting)}; wait for their outcomes"
        )
    half = (0.5,) * len(design.doses)
    p = true_rates(design, truth, grade2) if truth is not None else (half, half)
    paths = [_Path(tally, (), 1.0)]
    ended: list[_Path] = []
    for _ in range(cohorts):
        paths = [longer for path in paths for longer in path.grown(design, p, ended)]
        if len(paths) + len(ended) > MOST_PATHS:
            raise ConfigError(
                f"dose_paths: {cohorts} cohorts have more than {MOST_PATHS:,} paths; ask for fewer"
            )
    rows = [path.row(design) for path in ended + paths]
    table = pd.DataFrame(rows)
    last = ["action", "dose", "n", "mtd", "reason", "probability"]
    table = table[[name for name in table if name not in last] + last]
    return table if truth is not None else table.drop(columns="probability")


@dataclass(frozen=True)
class _Path:
    """Cohorts so far: dose, n, DLTs and, where it matters, grade 2; and the probability of that."""

    tally: Tally
    steps: tuple[tuple[float, int, int, int | None], ...]
    probability: float

    def grown(self, design: Design, truth: Rates, ended: list[_Path]) -> Iterator[_Path]:
        """With each outcome of one more cohort; goes to ``ended`` if the trial has stopped."""
        decision = design.rule(self.tally)
        if decision.action == "stop":
            ended.append(self)
            return
        at, sees = decision.level - 1, design.sees_grade2(self.tally)
        for dlt, count, chance in outcomes(
            decision.n, truth[0][at], truth[1][at] if sees and truth[1] else None
        ):
            step = (design.doses[at], decision.n, dlt, count if sees else None)
            tally = self.tally.after(decision.level, decision.n, dlt, count)
            yield _Path(tally, (*self.steps, step), self.probability * chance)

    def row(self, design: Design) -> dict[str, object]:
        """The path and the decision that follows."""
        decision = design.rule(self.tally)
        row: dict[str, object] = {}
        for k, (dose, n, dlt, grade2) in enumerate(self.steps, start=1):
            row |= {f"dose_{k}": dose, f"n_{k}": n, f"dlt_{k}": dlt}
            row |= {} if grade2 is None else {f"grade2_{k}": grade2}
        return row | {
            "action": decision.action, "dose": decision.dose, "n": decision.n, "mtd": decision.mtd,
            "reason": decision.reason, "probability": self.probability,
        }  # fmt: skip


def true_rates(design: Design, truth: Sequence[float], grade2: Sequence[float] | None) -> Rates:
    """Probabilities of DLT and of grade 2 by dose, checked against a design.

    Parameters
    ----------
    design : Design
        Its doses, and whether grade 2 matters to it.
    truth : sequence of float
        DLT probability by dose.
    grade2 : sequence of float or None
        Probability of grade 2 in patients without a DLT, by dose.

    Returns
    -------
    tuple
        Both, the second None if it was not given.

    Raises
    ------
    ConfigError
        If one is no probability or falls with the dose, there are more or fewer than doses, or grade 2 is missing.
    """
    if not isinstance(design, Design):
        raise ConfigError(f"design is {design!r}; expected a design such as Boin(doses=5, target=0.30)")
    n = len(design.doses)
    p = probabilities(truth, "truth", design.name, n)
    for level, (low, high) in enumerate(pairwise(p), start=1):
        if high < low:
            raise ConfigError(
                f"{design.name}: truth falls from {low:g} at {design.say(level)} to {high:g} at {design.say(level + 1)}; "
                "toxicity is taken to rise with the dose"
            )
    if grade2 is None and design.uses_grade2:
        raise ConfigError(
            f"{design.name}: grade 2 ends its titration; give grade2=, the probability of grade 2 in patients without a DLT, "
            "one for each dose"
        )
    return p, None if grade2 is None else probabilities(grade2, "grade2", design.name, n)
