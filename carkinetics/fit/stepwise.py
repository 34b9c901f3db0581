"""Stepwise covariates on -2LL: forward while it falls by enough, then backward while it rises by little.

It is here because readers ask for it. What it selects looks better than it is: p-values and intervals after a search take no
account of the search, effects that were lucky are the ones that stay, and another sample would select others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from carkinetics.errors import ConfigError, FitError
from carkinetics.fit.candidates import candidate_pairs, population_settings
from carkinetics.fit.population import PopulationFit, fit_population
from carkinetics.fit.problem import make_problem
from carkinetics.fit.result import Fit

# Chi-squared with one degree of freedom exceeds these in 5 % and in 1 %.
FORWARD, BACKWARD = 3.84, 6.63
WARNING = (
    "Selected stepwise: p-values and intervals of what stayed are too optimistic, its effects too large, and another sample "
    "would select others. Confirm in new data, or by fit_hierarchical(covariates=...) with all candidates that were meant "
    "beforehand"
)
STEP_COLUMNS = (
    "step", "direction", "parameter", "covariate", "minus_two_ll", "change", "converged", "taken",
)  # fmt: skip
EFFORT = ("draws", "iterations", "seed")
Pair = tuple[str, str]


@dataclass(frozen=True, eq=False)
class StepwiseSearch:
    """Every fit of a stepwise search.

    Parameters
    ----------
    steps : pandas.DataFrame
        One row per fit: ``step, direction`` (``"start"``, ``"forward"``, ``"backward"``), the pair that was added or removed,
        ``minus_two_ll``, its ``change`` from the fit before, ``converged`` and ``taken``. A fit that did not converge is never
        taken.
    covariates : dict of str to list of str
        What was left, as `carkinetics.fit_hierarchical` takes it, those of the start included.
    fit : PopulationFit
        With them.
    warning : str
        What a reader must know beside any of its numbers.
    settings : dict
        What was asked.
    """

    steps: pd.DataFrame
    covariates: dict[str, list[str]]
    fit: PopulationFit
    warning: str = WARNING
    settings: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        kept = [f"{name} on {text}" for name, texts in self.covariates.items() for text in texts]
        return (
            f"<StepwiseSearch: {', '.join(kept) or 'no covariate'}; {len(self.steps)} fits. {self.warning}>"
        )


def stepwise_covariates(
    fit: Fit | PopulationFit,
    candidates: Iterable[str] | Mapping[str, Iterable[str]],
    *,
    forward: float = FORWARD,
    backward: float = BACKWARD,
    most_steps: int = 10,
    draws: int = 1000,
    iterations: int = 300,
    seed: int = 1,
    say: Callable[[str], None] | None = None,
) -> StepwiseSearch:
    """Select covariates by forward inclusion and backward elimination on -2LL.

    Parameters
    ----------
    fit : Fit or PopulationFit
        Hierarchical, or of a population, where the search starts; its model, data, random effects and covariates count, not its
        draws. Its covariates stay, without priors.
    candidates : iterable of str, or mapping of str to iterable of str
        As of `screen_covariates`.
    forward : float
        Smallest fall of -2LL at which a pair comes in; 3.84 is p = 0.05 with one degree of freedom.
    backward : float
        Smallest rise of -2LL at which a pair stays; 6.63 is p = 0.01.
    most_steps : int
        Pairs that may come in.
    draws, iterations, seed : int
        Of every fit; see `fit_population`.
    say : callable, optional
        Is told each step.

    Returns
    -------
    StepwiseSearch
        All fits, and the last.

    Raises
    ------
    ConfigError
        If a limit is not above 0, a candidate cannot be one, or the model has two classes of subjects.
    FitError
        If the fit is an individual one, or that without candidates does not converge by maximum likelihood.

    Notes
    -----
    -2LL is by importance sampling with the same random numbers in every fit, so that its Monte-Carlo error, which the fits
    state, largely cancels in changes.
    """
    if not (forward > 0 and backward > 0 and most_steps >= 1):
        raise ConfigError(
            f"stepwise_covariates: forward {forward!r}, backward {backward!r}, most_steps {most_steps!r}; all above 0"
        )
    asked = population_settings(fit, "stepwise_covariates")
    problem = make_problem(fit.model, fit.data, **asked)
    pairs = [(pair.parameter, pair.text) for pair in candidate_pairs(problem, candidates)]
    effort = dict(zip(EFFORT, (draws, iterations, seed), strict=True))
    search = _Search(fit, asked | effort, say or (lambda _: None))
    first = search.fit([])
    if not first.converged:
        raise FitError(
            "stepwise_covariates: the fit without candidates did not converge; nothing can be compared with it"
        )
    search.record("start", ("", ""), first, 0.0)
    search.taken(len(search.rows) - 1)
    now, chosen = search.forward(first, pairs, forward, most_steps)
    now, chosen = search.backward(now, chosen, backward)
    return StepwiseSearch(
        pd.DataFrame(search.rows, columns=list(STEP_COLUMNS)), search.covariates(chosen), now,
        settings={"forward": forward, "backward": backward, "candidates": len(pairs), "model": fit.model.name} | effort,
    )  # fmt: skip


def refit(
    fit: Fit | PopulationFit, covariates: Mapping[str, list[str]], settings: Mapping[str, Any]
) -> PopulationFit:
    """The last fit of a search, again.

    Parameters
    ----------
    fit : Fit or PopulationFit
        Where the search started.
    covariates, settings : mapping
        Of the `StepwiseSearch`.

    Returns
    -------
    PopulationFit
        The same numbers.
    """
    asked = population_settings(fit, "stepwise_covariates") | {"covariates": covariates}
    return fit_population(fit.model, fit.data, **asked, **{key: settings[key] for key in EFFORT})


class _Search:
    """Fits and their record; the only thing here that changes as the search goes on."""

    def __init__(
        self, start: Fit | PopulationFit, asked: Mapping[str, Any], say: Callable[[str], None]
    ) -> None:
        self.start, self.asked, self.say = start, asked, say
        self.rows: list[list[Any]] = []
        self.step = 0

    def covariates(self, chosen: Iterable[Pair]) -> dict[str, list[str]]:
        """Those of the start and the chosen ones, by parameter."""
        found = {name: list(texts) for name, texts in self.asked["covariates"].items()}
        for name, text in chosen:
            found.setdefault(name, []).append(text)
        return found

    def fit(self, chosen: Iterable[Pair]) -> PopulationFit:
        asked = {**self.asked, "covariates": self.covariates(chosen)}
        return fit_population(self.start.model, self.start.data, **asked)

    def record(self, direction: str, pair: Pair, found: PopulationFit, change: float) -> None:
        self.rows.append([self.step, direction, *pair, found.minus_two_ll, change, found.converged, False])

    def taken(self, row: int) -> None:
        self.rows[row][-1] = True

    def try_each(
        self, direction: str, tried: Mapping[Pair, list[Pair]], now: PopulationFit
    ) -> list[tuple[float, int, Pair, PopulationFit]]:
        """Change of -2LL, row of the record, pair and fit of every way that converged; least change first."""
        self.step += 1
        found = []
        for pair, chosen in tried.items():
            one = self.fit(chosen)
            change = one.minus_two_ll - now.minus_two_ll
            self.record(direction, pair, one, change)
            if one.converged:
                found.append((change, len(self.rows) - 1, pair, one))
        return sorted(found, key=lambda entry: entry[0])

    def forward(
        self, now: PopulationFit, pairs: list[Pair], limit: float, most: int
    ) -> tuple[PopulationFit, list[Pair]]:
        """Add the pair that lowers -2LL most, while that is by more than the limit."""
        chosen: list[Pair] = []
        while len(chosen) < min(most, len(pairs)):
            ways = {pair: [*chosen, pair] for pair in pairs if pair not in chosen}
            tried = self.try_each("forward", ways, now)
            if not tried or tried[0][0] > -limit:
                break
            change, row, pair, now = tried[0]
            chosen = [*chosen, pair]
            self.taken(row)
            self.say(f"in: {pair[0]} on {pair[1]}, -2LL falls by {-change:.2f}")
        return now, chosen

    def backward(
        self, now: PopulationFit, chosen: list[Pair], limit: float
    ) -> tuple[PopulationFit, list[Pair]]:
        """Remove the pair whose loss raises -2LL least, while that is by less than the limit."""
        while chosen:
            ways = {pair: [other for other in chosen if other != pair] for pair in chosen}
            tried = self.try_each("backward", ways, now)
            if not tried or tried[0][0] >= limit:
                break
            change, row, pair, now = tried[0]
            chosen = ways[pair]
            self.taken(row)
            self.say(f"out: {pair[0]} on {pair[1]}, -2LL rises by {change:.2f}")
        return now, chosen
