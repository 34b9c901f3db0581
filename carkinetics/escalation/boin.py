"""BOIN: two boundaries on the observed DLT rate, found before the trial."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import log
from typing import Any, NamedTuple, override

from carkinetics.errors import ConfigError
from carkinetics.escalation.arguments import number
from carkinetics.escalation.interval import IntervalDesign, Letter, overdose_probability


class Boundaries(NamedTuple):
    """Observed DLT rates at or below which to escalate, and at or above which to de-escalate."""

    escalate: float
    deescalate: float


def boin_boundaries(target: float, *, low: float | None = None, high: float | None = None) -> Boundaries:
    """Boundaries that make the fewest wrong decisions between three rates.

    Parameters
    ----------
    target : float
        DLT probability that is sought.
    low, high : float, optional
        Highest probability that is too low and lowest that is too high; 0.6 and 1.4 times the target if not given.

    Returns
    -------
    Boundaries
        Where to go up and where to go down.

    Raises
    ------
    ConfigError
        If they are not in order within (0, 1).

    References
    ----------
    .. [1] Liu S, Yuan Y. Bayesian optimal interval designs for phase I clinical trials. J R Stat Soc C
       2015;64:507-523.

    Examples
    --------
    >>> [round(rate, 4) for rate in boin_boundaries(0.30)]
    [0.2365, 0.3585]
    """
    number(target, "target", "BOIN", above=0, below=1)
    safe = 0.6 * target if low is None else number(low, "low", "BOIN")
    toxic = 1.4 * target if high is None else number(high, "high", "BOIN")
    if not 0 < safe < target < toxic < 1:
        raise ConfigError(
            f"BOIN: low {safe:g}, target {target:g}, high {toxic:g}; expected 0 < low < target < high < 1"
        )
    up = log((1 - safe) / (1 - target)) / log(target * (1 - safe) / (safe * (1 - target)))
    down = log((1 - target) / (1 - toxic)) / log(toxic * (1 - target) / (target * (1 - toxic)))
    return Boundaries(up, down)


@dataclass(frozen=True)
class Boin(IntervalDesign):
    """Bayesian optimal interval design.

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
    low, high : float, optional
        Probabilities that are too low and too high; 0.6 and 1.4 times the target if not given.
    cutoff : float
        A dose and all above are dropped where P(DLT probability > target) is above this, from 3 patients on.

    Raises
    ------
    ConfigError
        If a number makes no sense.

    References
    ----------
    .. [1] Liu S, Yuan Y. Bayesian optimal interval designs for phase I clinical trials. J R Stat Soc C
       2015;64:507-523.

    Examples
    --------
    >>> print(Boin(doses=5, target=0.30).decide([(1, 3, 0), (2, 3, 2)]))
    de-escalate: treat 3 at dose 1. 2 of 3 with a DLT at dose 2: de-escalate.
    """

    doses: Any  # a count or sizes on the way in, a tuple of sizes once it exists
    low: float | None = None
    high: float | None = None
    cutoff: float = 0.95

    def __post_init__(self) -> None:
        super().__post_init__()
        number(self.cutoff, "cutoff", type(self).__name__, least=0, most=1)
        boin_boundaries(self.target, low=self.low, high=self.high)

    @property
    def name(self) -> str:
        """With its target."""
        return f"BOIN ({self.target:g})"

    @cached_property
    def boundaries(self) -> Boundaries:
        """Observed DLT rates at or below which to escalate, and at or above which to de-escalate."""
        return boin_boundaries(self.target, low=self.low, high=self.high)

    @override
    def letter(self, n: int, dlt: int) -> Letter:
        if n >= 3 and overdose_probability(n, dlt, self.target) > self.cutoff:
            return "DU"
        rate, (up, down) = dlt / n, self.boundaries
        return "E" if rate <= up else "D" if rate >= down else "S"
