"""How fast the level falls at the end of sampling: the terminal slope.

Conventions
-----------
Log-linear least squares on the last points after Cmax (Cmax itself is left out), over every number of
points from 3 up. Among the falling lines the one with the largest adjusted R² is taken; of those within
1e-4 of it, the one with the most points. This is the best-fit rule of WinNonlin, and its half-life
mixes contraction and persistence: always read it beside the days it rests on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from carkinetics.exposure.area import Floats, checked_profile

MINIMUM_POINTS = 3
R2_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class TerminalPhase:
    """A line through the last log levels, or the reason why there is none.

    Parameters
    ----------
    lambda_z : float
        Slope in 1/day, above 0; NaN when there is none.
    intercept : float
        Log level that the line has on day 0.
    n : int
        Number of points.
    start, end : float
        First and last day in the regression.
    r2_adjusted : float
        Adjusted R².
    reason : str
        Why there is no slope, else empty.
    """

    lambda_z: float = np.nan
    intercept: float = np.nan
    n: int = 0
    start: float = np.nan
    end: float = np.nan
    r2_adjusted: float = np.nan
    reason: str = ""

    @property
    def half_life(self) -> float:
        """Days in which the line falls by half."""
        return float(np.log(2) / self.lambda_z)

    @property
    def span(self) -> float:
        """Days of the regression in half-lives."""
        return (self.end - self.start) / self.half_life

    def level(self, day: float) -> float:
        """Level of the line on a day."""
        return float(np.exp(self.intercept - self.lambda_z * day))


def _line(time: Floats, log_level: Floats) -> TerminalPhase:
    """Least squares through all points given."""
    n = len(time)
    t, y = time - time.mean(), log_level - log_level.mean()
    slope = float(t @ y / (t @ t))
    residual, total = float(np.sum((y - slope * t) ** 2)), float(y @ y)
    r2 = 1 - residual / total if total > 0 else 0.0
    intercept = float(log_level.mean() - slope * time.mean())
    adjusted = 1 - (1 - r2) * (n - 1) / (n - 2)
    return TerminalPhase(-slope, intercept, n, float(time[0]), float(time[-1]), adjusted)


def terminal_slope(time: ArrayLike, level: ArrayLike) -> TerminalPhase:
    """Terminal slope of one subject by the best adjusted R².

    Parameters
    ----------
    time : array_like, shape (n_obs,)
        Days since infusion of the quantified values, strictly increasing.
    level : array_like, shape (n_obs,)
        Quantified transgene levels. Zeros carry no logarithm and are left out.

    Returns
    -------
    TerminalPhase
        The line, or no line and the reason.

    Raises
    ------
    DataError
        If the arrays are no curve.

    References
    ----------
    .. [1] Gabrielsson J, Weiner D. Pharmacokinetic and Pharmacodynamic Data Analysis. 5th ed. 2016.

    Examples
    --------
    >>> phase = terminal_slope([10, 14, 21, 30, 60, 90], [21500, 15200, 5400, 1900, 610, 420])
    >>> phase.n, round(phase.lambda_z, 8), round(phase.r2_adjusted, 7)
    (3, 0.02515591, 0.8430301)
    >>> terminal_slope([7, 10, 14], [9800, 21500, 15200]).reason
    'needs 3 quantified values after Cmax; has 1'
    """
    times, levels = checked_profile(time, level)
    after = (np.arange(len(levels)) > int(np.argmax(levels))) & (levels > 0)
    x, y = times[after], np.log(levels[after])
    if len(x) < MINIMUM_POINTS:
        return TerminalPhase(reason=f"needs {MINIMUM_POINTS} quantified values after Cmax; has {len(x)}")
    lines = [_line(x[-n:], y[-n:]) for n in range(MINIMUM_POINTS, len(x) + 1)]
    # Equal levels can leave a slope of rounding errors, of either sign.
    falling = [line for line in lines if line.lambda_z * (line.end - line.start) > 1e-10]
    if not falling:
        return TerminalPhase(reason="the level does not fall at the end of sampling")
    best = max(line.r2_adjusted for line in falling)
    # Lines come in order of n, so the last one within the tolerance has the most points.
    return [line for line in falling if best - line.r2_adjusted < R2_TOLERANCE][-1]
