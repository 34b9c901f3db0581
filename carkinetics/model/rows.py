"""Which observations enter a likelihood, and as what: a value, an interval, or nothing.

The BLQ methods, by name (Beal SL. J Pharmacokinet Pharmacodyn 2001;28:481-504)
------------------------------------------------------------------------------
``M1``  left out
``M2``  left out, and every quantified value is conditioned on being above its LLOQ
``M3``  censored: the probability of lying below the limit (between LOD and LLOQ where detected)
``M4``  as M3, conditioned on the level being above 0; the same as M3 on the log scale
``M5``  replaced by LLOQ/2
``M6``  the first of a run replaced by LLOQ/2, the rest left out
``M7``  replaced by 0 (needs a residual error on the natural scale)

Pre-dose zeros are never part of a likelihood.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from carkinetics.dataset.table import ABOVE_ULOQ, CENSORED, PREDOSE
from carkinetics.errors import ConfigError, DataError, did_you_mean
from carkinetics.model.residual import ResidualError

BLQ_METHODS = ("M1", "M2", "M3", "M4", "M5", "M6", "M7")


@dataclass(frozen=True, slots=True)
class Rows:
    """Observations as the likelihood sees them; index arrays point into the rows of a table.

    Parameters
    ----------
    used : ndarray of int
        Rows that count at all.
    exact, left, between, right : ndarray of int
        Positions within ``used`` of the exact values, and of those that are left-censored (below a limit),
        interval-censored and right-censored (above the upper limit of quantification).
    value, lower, upper : ndarray of float, shape (n_used,)
        The exact value; the bounds of a censored one.
    above : ndarray of float, shape (n_used,)
        What the observation is conditioned on exceeding; NaN for nothing.
    """

    used: NDArray[np.intp]
    exact: NDArray[np.intp]
    left: NDArray[np.intp]
    between: NDArray[np.intp]
    right: NDArray[np.intp]
    value: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    above: NDArray[np.float64]

    @property
    def kinds(self) -> tuple[NDArray[np.intp], ...]:
        """Exact, left, between, right: in the order in which `log_likelihood` returns them."""
        return self.exact, self.left, self.between, self.right

    def only(self, chosen: NDArray[np.bool_]) -> Rows:
        """The same table with only the chosen rows in the lists of kinds."""
        exact, left, between, right = (at[chosen[at]] for at in self.kinds)
        return replace(self, exact=exact, left=left, between=between, right=right)


def likelihood_rows(observations: pd.DataFrame, method: str, error: ResidualError) -> Rows:
    """Apply a BLQ method.

    Parameters
    ----------
    observations : pandas.DataFrame
        Columns ``subject, time, value, status, lower, upper, lloq``, in order of time within a subject.
    method : str
        ``"M1"`` to ``"M7"``.
    error : ResidualError
        Residual error model.

    Returns
    -------
    Rows
        Which rows count, and as what.

    Raises
    ------
    ConfigError
        If the method is unknown or does not go with the residual error.
    DataError
        If a BLQ row has no limit, or a value cannot stand on the log scale.
    """
    if method not in BLQ_METHODS:
        raise ConfigError(f"blq is {method!r}{did_you_mean(method, BLQ_METHODS)}")
    if method == "M7" and error.log_scale:
        raise ConfigError(
            f"blq='M7' puts zeros into the data, which the {error.name} error cannot hold; use 'M3'"
        )
    status = observations["status"]
    blq = status.isin(CENSORED).to_numpy()
    value, lower, upper = (observations[c].to_numpy(float).copy() for c in ("value", "lower", "upper"))
    _refuse_unusable(observations, blq, method, error)
    # A level is zero before the infusion by definition; what was measured then is for `check` to report.
    keep = (status != PREDOSE).to_numpy() & (observations["time"].to_numpy(float) >= 0)
    above = np.full(len(value), np.nan)
    if method in ("M1", "M2"):
        keep &= ~blq
    if method == "M2":
        above = observations["lloq"].to_numpy(float).copy()
    if method == "M4" and not error.log_scale:
        above = np.zeros(len(value))
    if method in ("M5", "M6", "M7"):
        lloq = observations["lloq"].to_numpy(float)
        half = (
            np.where(lloq > 0, lloq, upper) / 2
        )  # also where the upper bound is the LOD: Beal's M5 is LLOQ/2
        value = np.where(blq, 0.0 if method == "M7" else half, value)
        if method == "M6":
            same = (observations["subject"] == observations["subject"].shift()).to_numpy()
            keep &= ~(blq & np.append(False, blq[:-1]) & same)
        blq = np.zeros_like(blq)
    used = np.flatnonzero(keep)
    high = (status == ABOVE_ULOQ).to_numpy()[used]
    blq, value, lower, upper, above = blq[used], value[used], lower[used], upper[used], above[used]
    if method == "M4" and not error.log_scale:  # between 0 and the limit, given above 0
        is_left = np.zeros_like(blq)
    else:
        is_left = blq & ~(lower > 0)
    return Rows(
        used,
        np.flatnonzero(~blq & ~high),
        np.flatnonzero(is_left),
        np.flatnonzero(blq & ~is_left),
        np.flatnonzero(high),
        value,
        lower,
        upper,
        above,
    )


def joined_rows(parts: Sequence[Rows], order: NDArray[np.intp]) -> Rows:
    """Rows of several tables laid one after another and then put in order.

    Parameters
    ----------
    parts : sequence of Rows
        One per table.
    order : ndarray of int
        Position in the joined tables of each row of the result.

    Returns
    -------
    Rows
        ``used`` counts through the result.
    """
    place = np.empty(len(order), dtype=np.intp)
    place[order] = np.arange(len(order))
    starts = np.cumsum([0, *(len(part.used) for part in parts)])
    kinds = [
        np.sort(
            place[np.concatenate([start + part.kinds[k] for start, part in zip(starts, parts, strict=False)])]
        )
        for k in range(4)
    ]
    columns = [
        np.concatenate([getattr(part, name) for part in parts])[order]
        for name in ("value", "lower", "upper", "above")
    ]
    return Rows(np.arange(len(order)), *kinds, *columns)


def _refuse_unusable(
    observations: pd.DataFrame, blq: NDArray[np.bool_], method: str, error: ResidualError
) -> None:
    if method not in ("M1", "M2"):
        unlimited = blq & ~(observations["upper"].to_numpy(float) > 0)
        if unlimited.any():
            row = observations[unlimited].iloc[0]
            raise DataError(
                f"subject {row['subject']}, day {row['time']:g}: below quantification, but no limit is known; "
                f"give lloq= (and lod=) when reading the data ({int(unlimited.sum())} such rows)"
            )
    if method == "M2":
        unlimited = ~blq & ~(observations["lloq"].to_numpy(float) > 0)
        if unlimited.any():
            row = observations[unlimited].iloc[0]
            raise DataError(
                f"subject {row['subject']}, day {row['time']:g}: M2 conditions every value on its LLOQ, and this one "
                "has none; give lloq= when reading the data, or use M1 or M3"
            )
    if error.log_scale:
        bad = (observations["status"] == "quantified").to_numpy() & ~(
            observations["value"].to_numpy(float) > 0
        )
        if bad.any():
            row = observations[bad].iloc[0]
            raise DataError(
                f"subject {row['subject']}, day {row['time']:g}: value {row['value']!r} is called quantified, "
                f"but the {error.name} error needs values above 0"
            )
