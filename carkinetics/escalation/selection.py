"""The MTD of a finished trial, by isotonic regression of its DLT rates."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from carkinetics.errors import DataError
from carkinetics.escalation.arguments import dose_levels, number
from carkinetics.escalation.cohort import Cohorts, tally_of
from carkinetics.escalation.interval import closest_isotonic, overdose_probability


def select_mtd(
    cohorts: Cohorts, doses: int | Iterable[float], target: float, *, cutoff: float | None = 0.95
) -> pd.DataFrame:
    """The dose whose DLT rate, made non-decreasing over doses, is closest to the target.

    Parameters
    ----------
    cohorts : iterable of Cohort, tuple or mapping, or DataFrame
        The whole trial, as for `Design.decide`.
    doses : int or iterable of float
        Doses of the trial: a count, or sizes in increasing order.
    target : float
        DLT probability that is sought.
    cutoff : float or None
        A dose and all above are out where P(DLT probability > target) is above this (prior Beta(1, 1), from 3 patients on);
        None for none.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``dose``: ``n, dlt, rate`` (NaN where nobody was treated), ``eliminated``, ``isotonic`` (NaN where nobody was
        treated or the dose is out) and ``selected``, True for one dose or none. ``attrs["mtd"]`` is that dose, 0 for none.

    Raises
    ------
    ConfigError
        If the target or the doses make no sense.
    DataError
        If a cohort cannot be, or patients are still in their window.

    Notes
    -----
    Rates are (dlt + 0.05) / (n + 0.1) with weights by their inverse variance, as in [1]_. Between doses of one isotonic rate the
    highest is selected where that rate is at most the target, otherwise the lowest.

    References
    ----------
    .. [1] Liu S, Yuan Y. Bayesian optimal interval designs for phase I clinical trials. J R Stat Soc C
       2015;64:507-523.

    Examples
    --------
    >>> select_mtd([(1, 3, 0), (2, 6, 1), (3, 6, 3)], doses=4, target=0.30).attrs["mtd"]
    2
    """
    sizes = dose_levels(doses, "select_mtd")
    number(target, "target", "select_mtd", above=0, below=1)
    if cutoff is not None:
        number(cutoff, "cutoff", "select_mtd", least=0, most=1)
    tally = tally_of(cohorts, sizes)
    if tally.waiting:
        raise DataError(
            f"select_mtd: patients still in their DLT window: {len(tally.waiting)}; expected a finished trial"
        )
    toxic = [
        cutoff is not None and n >= 3 and overdose_probability(n, dlt, target) > cutoff
        for n, dlt in zip(tally.n, tally.dlt, strict=True)
    ]
    dropped = toxic.index(True) if any(toxic) else len(sizes)
    level, isotonic = closest_isotonic(tally.n[:dropped], tally.dlt[:dropped], target)
    n, dlt = np.array(tally.n), np.array(tally.dlt)
    numbers = range(1, len(sizes) + 1)
    table = pd.DataFrame(
        {
            "n": n,
            "dlt": dlt,
            "rate": np.divide(dlt, n, out=np.full(len(sizes), np.nan), where=n > 0),
            "eliminated": [number > dropped for number in numbers],
            "isotonic": [isotonic.get(number, np.nan) for number in numbers],
            "selected": [number == level for number in numbers],
        },
        index=pd.Index(sizes, name="dose"),
    )
    table.attrs = {"mtd": sizes[level - 1] if level else 0, "target": target}
    return table
