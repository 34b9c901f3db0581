"""i3+3: the DLT rate against an interval, and what it would be with one DLT less."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, override

from carkinetics.escalation.interval import Letter
from carkinetics.escalation.mtpi import EquivalenceDesign

# A rate such as 3/20 is on a limit such as 0.1 + 0.05 although floating point puts it beside.
_TINY = 1e-9


@dataclass(frozen=True)
class I3Plus3(EquivalenceDesign):
    """Interval 3+3 (i3+3): rules on the observed DLT rate, without a model.

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
        Safety rule: a dose and all above are dropped where P(DLT probability > target) is above this; None for the bare
        rule.
    least : int
        Patients at a dose from whom on it can be dropped.

    Raises
    ------
    ConfigError
        If a number makes no sense.

    Notes
    -----
    With x of n: up where x / n is below the interval, stay where it is within. Above it, stay where (x - 1) / n is below
    the interval, so that one DLT alone decides, and down otherwise.

    References
    ----------
    .. [1] Liu M, Wang SJ, Ji Y. The i3+3 design for phase I clinical trials. J Biopharm Stat 2020;30:294-304.

    Examples
    --------
    >>> [I3Plus3(doses=5, target=0.30).letter(3, dlt) for dlt in range(4)]
    ['E', 'S', 'D', 'DU']
    """

    doses: Any  # a count or sizes on the way in, a tuple of sizes once it exists
    least: int = 3

    @property
    def name(self) -> str:
        """With target and interval."""
        return self._named("i3+3")

    @override
    def unbounded(self, n: int, dlt: int) -> Letter:
        low, high = self.interval
        if dlt / n < low - _TINY:
            return "E"
        if dlt / n <= high + _TINY or (dlt - 1) / n < low - _TINY:
            return "S"
        return "D"
