"""When a sampler may stop: effective sample size and R-hat of every population quantity, or the time is up."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from carkinetics.errors import ConfigError, did_you_mean

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Goal:
    """What a run is to reach, and how long it may take.

    Parameters
    ----------
    ess : float
        Bulk and tail effective sample size of every population quantity.
    rhat : float
        R-hat that each must stay below.
    minutes : float
        Limit, counted from `started`.
    started : float
        `time.monotonic` at the beginning.
    """

    ess: float = 400.0
    rhat: float = 1.01
    minutes: float = np.inf
    started: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, until: Mapping[str, float] | None, max_minutes: float | None) -> Goal:
        """Read ``{"ess": 400, "rhat": 1.01}`` and a limit in minutes.

        Parameters
        ----------
        until : mapping or None
            What differs from the defaults.
        max_minutes : float or None
            No limit if None.

        Returns
        -------
        Goal
            Starting now.

        Raises
        ------
        ConfigError
            If a key is unknown or a number makes no sense.
        """
        asked = dict(until or {})
        for key in asked:
            if key not in ("ess", "rhat"):
                raise ConfigError(f"until has no {key!r}{did_you_mean(key, ('ess', 'rhat'))}")
        goal = cls(
            float(asked.get("ess", cls.ess)), float(asked.get("rhat", cls.rhat)),
            np.inf if max_minutes is None else float(max_minutes),
        )  # fmt: skip
        if not goal.ess > 0 or not goal.rhat > 1 or not goal.minutes > 0:
            raise ConfigError(
                f"until: ess is {goal.ess:g} (above 0), rhat {goal.rhat:g} (above 1), max_minutes {goal.minutes:g} (above 0)"
            )
        return goal

    @property
    def seconds_left(self) -> float:
        """Until the limit."""
        return 60 * self.minutes - (time.monotonic() - self.started)


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Parameters
    ----------
    ess, rhat : float
        The worst of all population quantities.
    """

    ess: float
    rhat: float

    def meets(self, goal: Goal) -> bool:
        """Whether the goal is reached."""
        return self.ess > goal.ess and self.rhat < goal.rhat


def progress_of(draws: Floats) -> Progress:
    """Quality of draws.

    Parameters
    ----------
    draws : ndarray, shape (n_chains, n_draws, n)
        Population quantities.

    Returns
    -------
    Progress
        Of the worst quantity; NaN counts as not reached.
    """
    from arviz_stats.base import array_stats  # takes two seconds to import

    if draws.shape[0] < 2 or draws.shape[1] < 4:
        return Progress(0.0, np.inf)
    ess, rhat = np.inf, 1.0
    for k in range(draws.shape[2]):
        one = draws[:, :, k]
        if np.ptp(one) == 0:
            return Progress(0.0, np.inf)
        with np.errstate(
            invalid="ignore", divide="ignore"
        ):  # chains that do not overlap have variance 0 by rank
            bulk = float(array_stats.ess(one, chain_axis=0, draw_axis=1, method="bulk"))
            tail = float(array_stats.ess(one, chain_axis=0, draw_axis=1, method="tail", prob=(0.05, 0.95)))
            worst = float(array_stats.rhat(one, chain_axis=0, draw_axis=1))
        ess, rhat = min(ess, bulk, tail), max(rhat, worst)
    if not (np.isfinite(ess) and np.isfinite(rhat)):
        return Progress(0.0, np.inf)
    return Progress(ess, rhat)


def how_far(quality: Progress, goal: Goal, seconds: float) -> str:
    """What a user is told while a run goes on: how far it is, and how long it may take still.

    Parameters
    ----------
    quality : Progress
        So far.
    goal : Goal
        What to reach.
    seconds : float
        Since the beginning.

    Returns
    -------
    str
        One line.
    """
    if quality.ess <= 0:
        return f"after {seconds:.0f} s: still too early to say"
    left = seconds * max(goal.ess / quality.ess - 1, 0)
    return f"after {seconds:.0f} s: ESS {quality.ess:.0f} of {goal.ess:.0f}, R-hat {quality.rhat:.3f}; some {left:.0f} s left"
