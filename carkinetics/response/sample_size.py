"""How many subjects it takes to show that exposure is proportional to dose.

Proportionality is shown when the interval of the power model's slope lies within the equivalence region. If the true slope is
1, the estimate is normal with variance sigma² / Sxx, the residual variance is an independent chi-square, and the probability
of success is a one-dimensional integral over the residual standard deviation: exact, as for two one-sided tests in one
regression, without a noncentral distribution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special, stats

from carkinetics.errors import ConfigError
from carkinetics.exposure.area import Floats
from carkinetics.response.power import equivalence_region

if TYPE_CHECKING:
    from carkinetics.response.dose import DoseExposure

NODES, WEIGHTS = np.polynomial.legendre.leggauss(200)
OUTERMOST = 1e-13  # probability of a residual SD beyond what is integrated over, on either side


@dataclass(frozen=True, eq=False)
class SampleSize:
    """Smallest balanced design that shows a proportional exposure to be so.

    Parameters
    ----------
    n : int
        Number of subjects.
    per_level : int
        Number at each dose level.
    power : float
        Probability that this number shows it.
    statement : str
        The number as a sentence.
    settings : dict
        Dose levels, residual SD, limits, wanted power, level of the interval.
    """

    n: int
    per_level: int
    power: float
    statement: str
    settings: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<SampleSize: {self.n} subjects, {self.per_level} at each of {len(self.settings['doses'])} dose levels>"


def proportionality_power(
    per_level: int,
    doses: Sequence[float],
    residual_sd: float,
    *,
    limits: tuple[float, float] = (0.8, 1.25),
    level: float = 0.9,
) -> float:
    """Probability that the interval of the slope lies in the equivalence region, if the true slope is 1.

    Parameters
    ----------
    per_level : int
        Subjects at each dose level.
    doses : sequence of float
        Dose levels, two or more different ones, above 0.
    residual_sd : float
        Of the log exposure around the line.
    limits : tuple of float
        Of the dose-normalised ratio between the highest and the lowest dose.
    level : float
        Probability of the interval (t distribution).

    Returns
    -------
    float
        Between 0 and 1; 0 for fewer than three subjects.

    References
    ----------
    .. [1] Smith BP et al. Pharm Res 2000;17:1278-1283.
    .. [2] Phillips KF. J Pharmacokinet Biopharm 1990;18:137-144: power of two one-sided tests.

    Examples
    --------
    >>> round(proportionality_power(10, [1, 3, 10], 0.3), 3)
    0.063
    """
    logs = np.log(_levels(doses))
    _check(residual_sd, 0.5, level)
    region = equivalence_region(float(np.exp(np.ptp(logs))), limits)
    return _power(per_level, logs, residual_sd, region, level)


def _power(
    per_level: int, logs: Floats, residual_sd: float, region: tuple[float, float], level: float
) -> float:
    degrees = per_level * len(logs) - 2
    if degrees < 1:
        return 0.0
    error = residual_sd / np.sqrt(per_level * ((logs - logs.mean()) ** 2).sum())
    low, high = (region[0] - 1) / error, (region[1] - 1) / error
    t = float(stats.t.ppf((1 + level) / 2, degrees))
    # s: estimated over true residual SD. Beyond the widest one the interval is longer than the region.
    first, last = np.sqrt(stats.chi2.ppf([OUTERMOST, 1 - OUTERMOST], degrees) / degrees)
    last = min(last, (high - low) / (2 * t))
    if last <= first:
        return 0.0
    s = first + (last - first) * (NODES + 1) / 2
    density = 2 * degrees * s * stats.chi2.pdf(degrees * s**2, degrees)
    inside = special.ndtr(high - t * s) - special.ndtr(low + t * s)
    return float((WEIGHTS * density * inside).sum() * (last - first) / 2)


def sample_size_for_proportionality(
    result: DoseExposure | None = None,
    *,
    residual_sd: float | None = None,
    doses: Sequence[float] | None = None,
    limits: tuple[float, float] | None = None,
    power: float = 0.8,
    level: float | None = None,
) -> SampleSize:
    """Smallest number of subjects with which a proportional exposure would be shown to be so.

    Parameters
    ----------
    result : DoseExposure, optional
        An analysis whose doses, residual SD, limits and interval are taken where they are not given.
    residual_sd : float, optional
        Standard deviation of the log exposure around the line.
    doses : sequence of float, optional
        Dose levels, two or more different ones, with the same number of subjects at each.
    limits : tuple of float, optional
        Of the dose-normalised ratio between the highest and the lowest dose; 0.8 and 1.25 if not given.
    power : float
        Wanted probability of success if the true slope is 1.
    level : float, optional
        Probability of the interval; 0.9 if not given.

    Returns
    -------
    SampleSize
        The number, the number at each level, and its power.

    Raises
    ------
    ConfigError
        If neither a result nor both of residual SD and doses are given, or a number does not make sense.

    Notes
    -----
    The residual SD of a result is the one that gives its interval of the slope by least squares: it holds the uncertainty of
    posterior exposures, too. Where slopes of groups were pooled, it is that of subjects within a group, and the number is for
    one group.

    Examples
    --------
    >>> sample_size_for_proportionality(residual_sd=0.3, doses=[1, 3, 10])
    <SampleSize: 96 subjects, 32 at each of 3 dose levels>
    """
    given = {} if result is None else result.settings
    if doses is None and result is not None:
        doses = sorted(set(result.observed["dose"].astype(float)))
    if residual_sd is None and result is not None:
        residual_sd = float(given["design_sd"])
    if residual_sd is None or doses is None:
        raise ConfigError(
            "sample_size_for_proportionality: give a result of dose_exposure, or residual_sd= and doses="
        )
    limits = limits or given.get("limits", (0.8, 1.25))
    level = given.get("level", 0.9) if level is None else level
    _check(residual_sd, power, level)
    logs = np.log(_levels(doses))
    region = equivalence_region(float(np.exp(np.ptp(logs))), limits)
    per_level, attained = smallest_per_level(logs, residual_sd, region, power, level)
    n, levels = per_level * len(logs), [float(dose) for dose in np.exp(logs)]
    return SampleSize(
        n,
        per_level,
        attained,
        f"{n:,} subjects, {per_level:,} at each of {len(logs)} dose levels, would show a proportional exposure to be so with "
        f"a probability of {attained:.0%}, at a residual SD of {residual_sd:.2f} of the log exposure.",
        settings={
            "doses": levels,
            "residual_sd": residual_sd,
            "limits": limits,
            "power": power,
            "level": level,
        },
    )


def smallest_per_level(
    logs: Floats, residual_sd: float, region: tuple[float, float], power: float, level: float
) -> tuple[int, float]:
    """Smallest number at each dose level, by doubling and halving, as the power rises with it.

    Parameters
    ----------
    logs : ndarray, shape (n_levels,)
        Log dose levels.
    residual_sd : float
        Of the log exposure.
    region : tuple of float
        Slopes that count as proportional.
    power, level : float
        Wanted probability; probability of the interval.

    Returns
    -------
    tuple of (int, float)
        The number and its power.
    """
    high = 1
    while _power(high, logs, residual_sd, region, level) < power:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        if _power(middle, logs, residual_sd, region, level) < power:
            low = middle
        else:
            high = middle
    return high, _power(high, logs, residual_sd, region, level)


def _levels(doses: Sequence[float]) -> Floats:
    levels = np.unique(np.asarray(doses, dtype=float))
    if len(levels) < 2 or not (np.isfinite(levels) & (levels > 0)).all():
        raise ConfigError(f"doses are {list(doses)!r}; expected two or more different ones, above 0")
    return levels


def _check(residual_sd: float, power: float, level: float) -> None:
    if not 0 < residual_sd < np.inf:
        raise ConfigError(f"residual_sd is {residual_sd!r}; expected a standard deviation above 0")
    for name, value in (("power", power), ("level", level)):
        if not 0 < value < 1:
            raise ConfigError(f"{name} is {value!r}; expected a probability between 0 and 1")
