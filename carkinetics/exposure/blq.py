"""What a value below the LLOQ counts as when no model is assumed.

A convention is three rules, one per place of the BLQ value in the subject's series:

===========================  =========================  ==============================  ====================
convention                   before the first           between quantifiable            after the last
                             quantifiable value         values                          quantifiable value
===========================  =========================  ==============================  ====================
``zero-before-then-drop``    0                          left out                        left out
``zero``                     0                          0                               0
``half-lloq``                LLOQ/2                     LLOQ/2                          LLOQ/2
``lloq``                     LLOQ                       LLOQ                            LLOQ
``drop``                     left out                   left out                        left out
===========================  =========================  ==============================  ====================

Before the infusion there is no transgene: the curve starts at 0 on day 0 unless a sample was taken then,
and nothing is extrapolated backwards. A value above the upper limit of quantification counts as that limit, so
that a peak and the areas are lower bounds. A BLQ value counts for areas only; Cmax, Tmax, Tlast and the
terminal slope rest on quantified values.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from carkinetics.dataset.table import CENSORED, PREDOSE, is_above
from carkinetics.exposure.area import Floats

LEFT_OUT = math.nan

# Share of the LLOQ that a BLQ value counts as, by place in the series.
BLQ_CONVENTIONS: dict[str, tuple[float, float, float]] = {
    "zero-before-then-drop": (0.0, LEFT_OUT, LEFT_OUT),
    "zero": (0.0, 0.0, 0.0),
    "half-lloq": (0.5, 0.5, 0.5),
    "lloq": (1.0, 1.0, 1.0),
    "drop": (LEFT_OUT, LEFT_OUT, LEFT_OUT),
}
ALL_BLQ = "all values below the LLOQ"
PLACES = (
    "before the first quantifiable value",
    "between quantifiable values",
    "after the last quantifiable value",
)


@dataclass(frozen=True, eq=False)
class Profile:
    """One subject's series, ready for non-compartmental analysis.

    Parameters
    ----------
    time, level : ndarray, shape (n_curve,)
        The curve that areas are taken of: day since infusion and level, BLQ values counted by convention.
    quantified_time, quantified_level : ndarray, shape (n_quantified,)
        Quantified values only.
    blq_time : ndarray, shape (n_blq,)
        Days of the BLQ values.
    lloq : float
        Largest LLOQ of the BLQ values; NaN without any.
    problem : str
        Why nothing can be computed from this series, else empty.
    left_out : collections.Counter
        Number of rows that are not in the curve, by reason.
    n_above : int
        Number of values above the upper limit of quantification, which count as that limit.
    """

    time: Floats
    level: Floats
    quantified_time: Floats
    quantified_level: Floats
    blq_time: Floats
    lloq: float
    problem: str = ""
    left_out: Counter[str] = field(default_factory=Counter)
    n_above: int = 0

    @cached_property
    def sampled(self) -> Floats:
        """Days of all samples after the infusion, BLQ or not."""
        return np.sort(np.concatenate([self.quantified_time, self.blq_time]))


def _usable(rows: pd.DataFrame, left_out: Counter[str]) -> pd.DataFrame:
    """Rows from the infusion on, with a time and, when quantified, a value."""
    # A pre-dose row is the zero on day 0 that the curve starts from, so it is not left out.
    rows = rows[rows["status"] != PREDOSE]
    reasons = {
        "no time": rows["time"].isna(),
        "taken before the infusion": rows["time"] < 0,
        "quantified, but without a value": ~rows["status"].isin(CENSORED) & rows["value"].isna(),
    }
    keep = pd.Series(True, index=rows.index)
    for reason, mask in reasons.items():
        left_out[reason] += int((keep & mask).sum())
        keep &= ~mask
    return rows[keep].sort_values("time", kind="stable")


def _limits(rows: pd.DataFrame) -> pd.Series:
    """LLOQ of each row; one without an LLOQ of its own is known to lie below ``upper``."""
    return rows["lloq"].astype(float).fillna(rows["upper"].astype(float))


def _counted(
    time: Floats, value: Floats, blq: NDArray[np.bool_], limit: Floats, convention: str
) -> tuple[Floats, NDArray[np.intp]]:
    """Level of each row by the convention, NaN for a row that is left out; and its place in the series."""
    days = time[~blq]
    place = (time >= days[0]).astype(np.intp) + (time > days[-1])  # in order of time
    share = np.array(BLQ_CONVENTIONS[convention])[place]
    counted = (
        np.where(share != 0, limit, 0.0) * share
    )  # an unknown limit does not matter where it counts as 0
    return np.where(blq, counted, value), place


def _problem(rows: pd.DataFrame, blq: pd.Series, convention: str) -> str:
    """Why the series cannot be analysed, or nothing."""
    if rows.empty:
        return "no sample after the infusion"
    twice = rows[rows["time"].duplicated(keep=False)]
    if not twice.empty:
        day = twice["time"].iloc[0]
        lines = ", ".join(str(line) for line in twice.loc[twice["time"] == day, "row"])
        return f"more than one value on day {day:g} (rows {lines}); expected one"
    if (rows.loc[~blq, "value"].astype(float) < 0).any():
        return "a quantified level is negative"
    if blq.all():
        return ALL_BLQ
    unknown = rows.loc[blq & _limits(rows).isna(), "row"]
    if len(unknown) and any(share > 0 for share in BLQ_CONVENTIONS[convention]):
        return f"row {unknown.iloc[0]} is BLQ without an LLOQ, which the convention {convention!r} needs"
    return ""


def profile(rows: pd.DataFrame, convention: str) -> Profile:
    """One subject's series under a BLQ convention.

    Parameters
    ----------
    rows : pandas.DataFrame
        Observations of one subject and one assay.
    convention : str
        One of ``BLQ_CONVENTIONS``.

    Returns
    -------
    Profile
        The series; ``problem`` says when there is nothing to analyse.
    """
    left_out: Counter[str] = Counter()
    above = is_above(rows)
    rows = _usable(rows.assign(value=rows["value"].where(~above, rows["lower"])), left_out)
    blq = rows["status"].isin(CENSORED)
    problem = _problem(rows, blq, convention)
    limits = _limits(rows)
    arrays = (rows["time"].to_numpy(float), rows["value"].to_numpy(float), blq.to_numpy(), limits.to_numpy())
    found = series(*arrays, convention, problem)
    if not problem:
        level, place = _counted(*arrays, convention)
        for number, name in enumerate(PLACES):
            left_out[f"BLQ {name}"] += int((arrays[2] & np.isnan(level) & (place == number)).sum())
    return replace(found, left_out=+left_out, n_above=int(is_above(rows).sum()))


def series(
    time: Floats, value: Floats, blq: NDArray[np.bool_], limit: Floats, convention: str, problem: str = ""
) -> Profile:
    """One subject's series from arrays.

    Parameters
    ----------
    time, value, limit : ndarray, shape (n,)
        Days since infusion, strictly increasing and not before it, levels and LLOQ; the level of a BLQ value does not count.
    blq : ndarray of bool, shape (n,)
        Which values are below their LLOQ.
    convention : str
        One of ``BLQ_CONVENTIONS``.
    problem : str
        Why nothing can be computed from it; that all is BLQ is seen here too.

    Returns
    -------
    Profile
        The series.
    """
    problem = problem or (ALL_BLQ if blq.all() else "")
    days, level = np.empty(0), np.empty(0)
    if not problem:
        counted, _ = _counted(time, value, blq, limit, convention)
        kept = ~np.isnan(counted)
        days, level = time[kept], counted[kept]
        if not len(days) or days[0] != 0.0:
            days, level = np.concatenate([[0.0], days]), np.concatenate([[0.0], level])
    exact, known = ~blq, limit[blq & ~np.isnan(limit)]
    return Profile(
        time=days,
        level=level,
        quantified_time=time[exact],
        quantified_level=value[exact],
        blq_time=time[blq],
        lloq=float(known.max()) if len(known) else np.nan,
        problem=problem,
    )
