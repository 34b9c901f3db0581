"""The days on which a given number of samples tells most: built up day by day, then exchanged while that helps."""

from __future__ import annotations

import numbers
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from carkinetics.errors import ConfigError
from carkinetics.fit.result import INTERVAL, Fit
from carkinetics.model.spec import Model
from carkinetics.prognosis.schedule import Bench, log_widths, mean_and_error
from carkinetics.prognosis.virtual import refuse_schedule

Days = tuple[float, ...]
MOST_PASSES = 5
STEP_COLUMNS = ("step", "days", "width", "width_error", "gain", "gain_error")
RIVAL_COLUMNS = ("days", "width", "width_error", "wider", "wider_error", "told_apart")


@dataclass(frozen=True, eq=False)
class BestSchedule:
    """Days that leave the narrowest posterior of a metric, and how sure that is.

    Parameters
    ----------
    days : tuple of float
        The schedule.
    steps : pandas.DataFrame
        ``step, days, width, width_error, gain, gain_error``: how it was found. ``width`` is the expected ratio of an interval's upper to
        its lower end; ``gain`` the factor by which the step before was wider, from differences within patients.
    rivals : pandas.DataFrame
        The other schedules of that size that were tried, the narrowest first: ``days, width, width_error``, ``wider`` (than the best,
        a factor) with its Monte-Carlo error, and ``told_apart``: whether it differs by more than two errors.
    statement : str
        The result as a sentence.
    settings : dict
        What was asked.
    """

    days: Days
    steps: pd.DataFrame
    rivals: pd.DataFrame
    statement: str
    settings: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<BestSchedule for {self.settings['metric']}: days {_words(self.days)}>"


def best_schedule(
    population: Model | Fit,
    *,
    budget: int,
    candidates: Iterable[float],
    metric: str = "auc_0_28",
    n: int = 50,
    seed: int = 0,
    lloq: float | None = None,
    draws: int = 500,
    interval: float = INTERVAL,
) -> BestSchedule:
    """Find the days of a given number of samples that leave the narrowest interval of a metric.

    Parameters
    ----------
    population : Model or Fit
        As of `compare_schedules`.
    budget : int
        Samples per patient.
    candidates : iterable of float
        Days on which a sample can be taken.
    metric : str
        What is to be known.
    n : int
        Virtual patients; the same for all schedules.
    seed : int
        Of everything random.
    lloq : float, optional
        Of the assay; that of the fit's data if not given.
    draws : int
        Posterior draws of each patient.
    interval : float
        Probability of the intervals.

    Returns
    -------
    BestSchedule
        Days are added one after another, each the best then, and exchanged for others as long as an exchange gains more than its
        Monte-Carlo error. A better schedule that differs in two days at once may be missed.

    Raises
    ------
    ConfigError
        If a setting makes no sense, or the budget exceeds the candidates.
    """
    try:
        days = tuple(sorted(float(day) for day in candidates))
    except (TypeError, ValueError):
        raise ConfigError(f"candidates is {candidates!r}; expected days since infusion") from None
    refuse_schedule("candidates", days)
    if isinstance(budget, bool) or not isinstance(budget, numbers.Integral) or not 1 <= budget <= len(days):
        raise ConfigError(
            f"budget is {budget!r}; expected a whole number of samples from 1 to the {len(days)} candidates"
        )
    trial = Bench.of(population, n, seed, [metric], lloq, draws, interval)
    trial.simulate(days)
    search = _Search(trial, metric)
    chosen: Days = ()
    for _ in range(budget):
        better = min((_with(chosen, day) for day in days if day not in chosen), key=search.width)
        search.note(f"add day {next(iter(set(better) - set(chosen))):g}", chosen, better)
        chosen = better
    chosen = _exchanged(search, chosen, days)
    rivals = search.rivals(chosen)
    settings = trial.settings | {
        "metric": metric,
        "budget": int(budget),
        "candidates": list(days),
        "tried": len(trial.known),
    }
    steps = pd.DataFrame(search.steps, columns=list(STEP_COLUMNS))
    return BestSchedule(chosen, steps, rivals, _statement(chosen, steps, rivals, metric, interval), settings)


@dataclass(eq=False)
class _Search:
    """Widths of the schedules that were tried."""

    trial: Bench
    metric: str
    steps: list[tuple[Any, ...]] = field(default_factory=list)

    def logs(self, days: Days) -> Any:
        return log_widths(self.trial.forecasts(days), self.metric)

    def width(self, days: Days) -> float:
        """Mean log; a schedule without any value is the widest."""
        return float(np.nan_to_num(mean_and_error(self.logs(days))[0], nan=np.inf))

    def gain(self, before: Days, after: Days) -> tuple[float, float]:
        """By how much the log width falls, within patients."""
        return mean_and_error(self.logs(before) - self.logs(after))

    def note(self, words: str, before: Days, after: Days) -> None:
        mean, error = mean_and_error(self.logs(after))
        gain, gain_error = self.gain(before, after) if before else (np.nan, np.nan)
        width = np.exp(mean)
        self.steps.append(
            (words, _words(after), width, width * error, np.exp(gain), np.exp(gain) * gain_error)
        )

    def rivals(self, best: Days) -> pd.DataFrame:
        rows = []
        for days in self.trial.known:
            if len(days) == len(best) and days != best:
                mean, error = mean_and_error(self.logs(days))
                more, more_error = self.gain(days, best)
                width, wider = np.exp(mean), np.exp(more)
                rows.append(
                    (
                        _words(days),
                        width,
                        width * error,
                        wider,
                        wider * more_error,
                        bool(abs(more) > 2 * more_error),
                    )
                )
        return pd.DataFrame(rows, columns=list(RIVAL_COLUMNS)).sort_values("width", ignore_index=True)


def _exchanged(search: _Search, chosen: Days, days: Days) -> Days:
    """Exchange one day for another while the best exchange gains more than its Monte-Carlo error."""
    for _ in range(MOST_PASSES * len(chosen)):
        swaps = [
            (_with(tuple(d for d in chosen if d != old), new), old, new)
            for old in chosen
            for new in days
            if new not in chosen
        ]
        if not swaps:
            return chosen
        better, old, new = min(swaps, key=lambda swap: search.width(swap[0]))
        gain, error = search.gain(chosen, better)
        if not gain > error:
            return chosen
        search.note(f"day {new:g} for day {old:g}", chosen, better)
        chosen = better
    return chosen


def _with(days: Days, day: float) -> Days:
    return tuple(sorted((*days, day)))


def _words(days: Days) -> str:
    return ", ".join(f"{day:g}" for day in days)


def _statement(best: Days, steps: pd.DataFrame, rivals: pd.DataFrame, metric: str, interval: float) -> str:
    last = steps.iloc[-1]
    text = (
        f"{metric} is known best from days {_words(best)}: its {interval:.0%} interval spans a factor of {last['width']:.3g} "
        f"(Monte-Carlo error {last['width_error']:.2g})."
    )
    same = rivals[~rivals["told_apart"]]
    if len(same):
        text += f" {len(same)} of {len(rivals)} other schedules that were tried cannot be told from it, such as {same['days'].iloc[0]}."
    return text
