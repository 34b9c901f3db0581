"""mTPI, mTPI-2 and keyboard: the part of (0, 1) where the posterior of the DLT probability stands highest decides."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import floor
from typing import Any, override

import numpy as np
from scipy.special import betainc

from carkinetics.errors import ConfigError
from carkinetics.escalation.arguments import number, probabilities, whole
from carkinetics.escalation.interval import IntervalDesign, Letter, overdose_probability

# Limits such as 0.3 - 0.05 and their multiples are exact to about this.
_TINY = 1e-9


@dataclass(frozen=True)
class EquivalenceDesign(IntervalDesign):
    """What designs share that take DLT probabilities within an interval round the target for equal.

    Parameters
    ----------
    doses : int or sequence of float
        How many there are, or their sizes in increasing order.
    target : float
        DLT probability that is sought.
    cohort_size : int
        Patients in a cohort.
    start : int
        Number of the first dose.
    interval : (float, float), optional
        DLT probabilities that count as the target; the target ± 0.05 if not given.
    cutoff : float or None
        A dose and all above are dropped where P(DLT probability > target) is above this; None drops none.
    least : int
        Patients at a dose from whom on it can be dropped.
    """

    doses: Any  # a count or sizes on the way in, a tuple of sizes once it exists
    interval: Any = None  # a pair on the way in or None, a tuple once it exists
    cutoff: float | None = 0.95
    least: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "interval", _interval(self.interval, self.target, type(self).__name__))
        if self.cutoff is not None:
            number(self.cutoff, "cutoff", type(self).__name__, least=0, most=1)
        whole(self.least, "least", type(self).__name__)

    @override
    def letter(self, n: int, dlt: int) -> Letter:
        if (
            self.cutoff is not None
            and n >= self.least
            and overdose_probability(n, dlt, self.target) > self.cutoff
        ):
            return "DU"
        return self.unbounded(n, dlt)

    @abstractmethod
    def unbounded(self, n: int, dlt: int) -> Letter:
        """``"E"``, ``"S"`` or ``"D"``, before the rule that drops doses."""

    def _named(self, name: str) -> str:
        low, high = self.interval
        return f"{name} ({self.target:g}, {low:g} to {high:g})"


@dataclass(frozen=True)
class Mtpi(EquivalenceDesign):
    """Modified toxicity probability interval design: the interval with the highest posterior density on average decides.

    Parameters
    ----------
    doses : int or sequence of float
        How many there are, or their sizes in increasing order.
    target : float
        DLT probability that is sought.
    cohort_size : int
        Patients in a cohort.
    start : int
        Number of the first dose.
    interval : (float, float), optional
        DLT probabilities that count as the target; the target ± 0.05 if not given.
    cutoff : float or None
        A dose and all above are dropped where P(DLT probability > target) is above this; None drops none.
    least : int
        Patients at a dose from whom on it can be dropped.

    Raises
    ------
    ConfigError
        If a number makes no sense.

    Notes
    -----
    The prior is Beta(1, 1). Below, within and above the interval, the posterior probability is divided by the width;
    the largest of the three says up, stay or down. Wide intervals are at a disadvantage: at target 0.3 it stays at 3
    DLTs of 6, which `Mtpi2` was made to avoid.

    References
    ----------
    .. [1] Ji Y, Liu P, Li Y, Bekele BN. A modified toxicity probability interval method for dose-finding trials. Clin
       Trials 2010;7:653-663.

    Examples
    --------
    >>> [Mtpi(doses=5, target=0.30).letter(6, dlt) for dlt in range(5)]
    ['E', 'E', 'S', 'S', 'DU']
    """

    doses: Any

    @property
    def name(self) -> str:
        """With target and interval."""
        return self._named("mTPI")

    @override
    def unbounded(self, n: int, dlt: int) -> Letter:
        low, high = self.interval
        return _densest(n, dlt, (0.0, low, high, 1.0), 1)


@dataclass(frozen=True)
class Mtpi2(EquivalenceDesign):
    """Modified toxicity probability interval design, second version: all intervals have one width.

    Parameters
    ----------
    doses : int or sequence of float
        How many there are, or their sizes in increasing order.
    target : float
        DLT probability that is sought.
    cohort_size : int
        Patients in a cohort.
    start : int
        Number of the first dose.
    interval : (float, float), optional
        DLT probabilities that count as the target; the target ± 0.05 if not given.
    cutoff : float or None
        A dose and all above are dropped where P(DLT probability > target) is above this; None drops none.
    least : int
        Patients at a dose from whom on it can be dropped.

    Raises
    ------
    ConfigError
        If a number makes no sense.

    Notes
    -----
    What is below and above the target is divided as well; the prior is Beta(1, 1). What remains at 0 and at 1 is an interval
    of its own, narrower than the others.

    References
    ----------
    .. [1] Guo W, Wang SJ, Yang S, Lynn H, Ji Y. A Bayesian interval dose-finding design addressing Ockham's razor:
       mTPI-2. Contemp Clin Trials 2017;58:23-33.

    Examples
    --------
    >>> [Mtpi2(doses=5, target=0.30).letter(6, dlt) for dlt in range(5)]
    ['E', 'E', 'S', 'D', 'DU']
    """

    doses: Any

    @property
    def name(self) -> str:
        """With target and interval."""
        return self._named("mTPI-2")

    @override
    def unbounded(self, n: int, dlt: int) -> Letter:
        edges, at = equal_keys(*self.interval)
        ends = ((0.0,) if edges[0] > _TINY else ()), ((1.0,) if edges[-1] < 1 - _TINY else ())
        return _densest(n, dlt, (*ends[0], *edges, *ends[1]), at + len(ends[0]))


@dataclass(frozen=True)
class Keyboard(EquivalenceDesign):
    """Keyboard design: (0, 1) is divided into keys as wide as the target key, and the strongest key decides.

    Parameters
    ----------
    doses : int or sequence of float
        How many there are, or their sizes in increasing order.
    target : float
        DLT probability that is sought.
    cohort_size : int
        Patients in a cohort.
    start : int
        Number of the first dose.
    interval : (float, float), optional
        The target key; the target ± 0.05 if not given.
    cutoff : float or None
        A dose and all above are dropped where P(DLT probability > target) is above this; None drops none.
    least : int
        Patients at a dose from whom on it can be dropped.

    Raises
    ------
    ConfigError
        If a number makes no sense, or no key fits below or above the target key.

    Notes
    -----
    The prior is Beta(1, 1). What remains at 0 and at 1, too narrow for a key, is left out. As a beta posterior has one
    peak, decisions are those of `Mtpi2`, which keeps the remainders.

    References
    ----------
    .. [1] Yan F, Mandrekar SJ, Yuan Y. Keyboard: a novel Bayesian toxicity probability interval design for phase I
       clinical trials. Clin Cancer Res 2017;23:3994-4003.

    Examples
    --------
    >>> [Keyboard(doses=5, target=0.30).letter(6, dlt) for dlt in range(5)]
    ['E', 'E', 'S', 'D', 'DU']
    """

    doses: Any
    least: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        edges, at = equal_keys(*self.interval)
        if not 0 < at < len(edges) - 2:
            low, high = self.interval
            raise ConfigError(
                f"Keyboard: the target key is {low:g} to {high:g}, and no key of that width fits "
                f"{'below' if not at else 'above'} it, so that the rule could never go "
                f"{'up' if not at else 'down'}; expected a narrower interval"
            )

    @property
    def name(self) -> str:
        """With target and interval."""
        return self._named("keyboard")

    @override
    def unbounded(self, n: int, dlt: int) -> Letter:
        return _densest(n, dlt, *equal_keys(*self.interval))


def _interval(given: Sequence[float] | None, target: float, design: str) -> tuple[float, float]:
    """Limits in order round the target, rounded so that 0.1 + 0.05 is 0.15."""
    if given is None:
        low, high = round(target - 0.05, 12), round(target + 0.05, 12)
        hint = "; give interval=(low, high)"
    elif isinstance(given, str) or not isinstance(given, Sequence) or len(given) != 2:
        raise ConfigError(f"{design}: interval is {given!r}; expected (low, high) round the target")
    else:
        low, high = probabilities(given, "interval", design, 2)
        hint = ""
    if not 0 < low < target < high < 1:
        raise ConfigError(
            f"{design}: interval {low:g} to {high:g} at target {target:g}; expected 0 < low < target < high < 1{hint}"
        )
    return low, high


@lru_cache(maxsize=1_000)
def equal_keys(low: float, high: float) -> tuple[tuple[float, ...], int]:
    """Limits of adjoining intervals as wide as one of them, as many as fit within (0, 1).

    Parameters
    ----------
    low, high : float
        Limits of that one.

    Returns
    -------
    edges : tuple of float
        Limits, in increasing order.
    at : int
        Position of ``low`` among them.

    Examples
    --------
    >>> equal_keys(0.15, 0.35)
    ((0.15, 0.35, 0.55, 0.75, 0.95), 0)
    """
    width = high - low
    below, above = floor(low / width + _TINY), floor((1 - high) / width + _TINY)
    edges = [round(low + i * width, 12) for i in range(-below, above + 2)]
    return tuple(edges), below


@lru_cache(maxsize=100_000)
def _densest(n: int, dlt: int, edges: tuple[float, ...], at: int) -> Letter:
    """Whether the interval with the highest posterior density on average is below, at or above the one at ``at``."""
    limits = np.array(edges)
    mass = np.diff(betainc(1 + dlt, 1 + n - dlt, limits)) / np.diff(limits)
    best = int(np.argmax(mass))
    return "E" if best < at else "S" if best == at else "D"
