"""Visual predictive check: whether new subjects of the fitted model look like the observed ones.

Conventions
-----------
A replicate has the observed design (sampling times, covariates, inputs) and new random effects and
residuals. A simulated value below the LLOQ of its row is BLQ. Percentiles rank BLQ values below every
quantifiable one, in the observed and in the simulated data alike; a percentile that falls among them is
NaN, to be read as "below the LLOQ". Values above an upper limit of quantification count as that limit, the simulated
ones too. Nothing is imputed, and ``settings`` counts what is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from carkinetics.dataset.table import is_censored
from carkinetics.diagnostics.binning import ranked_quantile, stratum_order, time_bins
from carkinetics.diagnostics.replicate import ceiling_of, limit_of, measured_level, replicates
from carkinetics.errors import ConfigError, DataError, FitError, did_you_mean
from carkinetics.fit.covariate import covariate_frame
from carkinetics.fit.predictive import Floats
from carkinetics.fit.result import INTERVAL, Fit

PERCENTILES = (5, 50, 95)
ALL = "all"
MOST_STRATA = 8


@dataclass(frozen=True, eq=False)
class Vpc:
    """A visual predictive check.

    Parameters
    ----------
    percentiles : pandas.DataFrame
        One row per bin, stratum and percentile: ``bin, stratum, time`` (median of the bin), ``n,
        percentile, observed, lower, median, upper`` (interval over the replicates), ``lloq`` (median of
        the bin; NaN if prediction-corrected). NaN among the levels means below the LLOQ.
    blq : pandas.DataFrame
        One row per bin and stratum: ``bin, stratum, time, n, observed`` (fraction BLQ), ``lower,
        median, upper``.
    points : pandas.DataFrame
        The observed rows: ``subject, time, bin, stratum, level`` (NaN if BLQ; prediction-corrected if
        asked for), ``blq, lloq``.
    unit : str
        Unit of the levels.
    settings : dict
        Binning, number of replicates, interval, treatment of BLQ, strata, seed, rows left out, and ``output``: the
        name of the output, empty for the CAR-T level.
    """

    percentiles: pd.DataFrame
    blq: pd.DataFrame
    points: pd.DataFrame
    unit: str
    settings: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        strata = self.blq["stratum"].nunique()
        return f"<Vpc: {len(self.points)} observations, {len(self.blq)} bins in {strata} strata, {self.settings['n_sim']} replicates>"

    @property
    def strata(self) -> list[str]:
        """Names of the strata, in order."""
        return list(dict.fromkeys(self.blq["stratum"]))


def prediction_correct(
    value: ArrayLike, pred: ArrayLike, pred_bin_median: ArrayLike, *, log: bool = False
) -> Floats:
    """Normalise a value to the typical prediction of its bin.

    Parameters
    ----------
    value : array_like
        Observed or simulated value.
    pred : array_like
        Prediction without random effects for the same row, above 0 on the natural scale.
    pred_bin_median : array_like
        Median of such predictions over the bin.
    log : bool
        Whether all three are logarithms.

    Returns
    -------
    ndarray
        ``value × median / pred``, or ``value + (median − pred)`` of logarithms.

    References
    ----------
    .. [1] Bergstrand M et al. AAPS J 2011;13:143-151.

    Examples
    --------
    >>> float(prediction_correct(12, 8, 10))
    15.0
    """
    y, f, centre = (np.asarray(x, dtype=float) for x in (value, pred, pred_bin_median))
    return y + (centre - f) if log else y * (centre / f)


def vpc(
    fit: Fit,
    *,
    n_sim: int = 300,
    bins: str | int | Sequence[float] = "nominal",
    by: str | None = None,
    corrected: bool = False,
    seed: int = 1,
    output: str = "",
) -> Vpc:
    """Compare percentiles of the observations with those of replicated studies.

    Parameters
    ----------
    fit : Fit
        Hierarchical.
    n_sim : int
        Number of replicates.
    bins : str, int or sequence of float
        Binning rule, see `carkinetics.diagnostics.binning`; shared by all strata.
    by : str, optional
        Column of ``data.subjects`` whose values are strata; ``"dose"`` and, where there is no such
        column, ``"dose_level"`` mean the first infusion.
    corrected : bool
        Whether observed and simulated values are prediction-corrected, for doses or covariates that
        differ within a bin. Which values are BLQ is decided before the correction.
    seed : int
        Seed of the replicates.
    output : str
        Which output of the model; the CAR-T level if empty.

    Returns
    -------
    Vpc
        Percentiles, BLQ fractions and the observed points.

    Raises
    ------
    FitError
        If the fit has no posterior, or no replicate can be computed.
    ConfigError
        If ``by``, ``bins`` or ``output`` names nothing that exists, or there are too many strata.
    DataError
        If no row can be compared.

    References
    ----------
    .. [1] Bergstrand M, Karlsson MO. AAPS J 2009;11:371-380.
    .. [2] Bergstrand M et al. AAPS J 2011;13:143-151.
    """
    made = replicates(fit, n_draws=n_sim, seed=seed, output=output)
    shown = fit.model.output(output)
    other = "" if shown is fit.model.output() else shown.name
    unlimited = is_censored(made.observations) & np.isnan(limit_of(made.observations))
    # Of CAR-T levels on or before the infusion only the positive ones are left (the others are zero by
    # construction): chosen by their value, they cannot be compared.
    time = made.observations["time"].to_numpy(float)
    before = time < 0 if other else time <= 0
    usable = ~unlimited & ~before
    if not usable.any():
        raise DataError("vpc: no observation after the infusion is quantified or has a known LLOQ")
    computed = np.isfinite(made.value).all(axis=1)
    if not computed.any():
        raise FitError("vpc: no replicate could be computed; the equations give no number for any draw")
    rows = made.observations[usable].reset_index(drop=True)
    limit, value = limit_of(rows), made.value[computed][:, usable]
    stratum = _strata(fit, by)[made.subject_index[usable]]
    number = time_bins(rows["time"].to_numpy(float), bins)
    observed = np.where(is_censored(rows), -np.inf, measured_level(rows))
    simulated = np.where(value < limit, -np.inf, np.minimum(value, ceiling_of(rows, fit.data)))
    if corrected:
        factor = _correction(made.typical[usable], number, stratum)
        observed, simulated, limit = observed * factor, simulated * factor, np.full(len(limit), np.nan)
    points = pd.DataFrame(
        {
            "subject": rows["subject"],
            "time": rows["time"].astype(float),
            "bin": number,
            "stratum": stratum,
            "level": np.where(np.isinf(observed), np.nan, observed),
            "blq": is_censored(rows),
            "lloq": limit,
        }
    )
    percentiles, blq = _tables(points, observed, simulated)
    settings = {
        "n_sim": int(computed.sum()),
        "n_failed": int((~computed).sum()),
        "bins": bins if isinstance(bins, str | int) else [float(edge) for edge in bins],
        "n_bins": int(points["bin"].nunique()),
        "by": by,
        "by_unit": _unit_of(fit, by),
        "corrected": corrected,
        "interval": f"{100 * INTERVAL:g}% equal-tailed over replicates",
        "blq": "simulated values below their row's LLOQ are BLQ; BLQ ranks below every quantifiable value",
        "left_out": {
            "BLQ without a known limit": int((unlimited & ~before).sum()),
            "before the infusion" if other else "day 0 or before": int(before.sum()),
        },
        "seed": seed,
        "output": other,
    }
    return Vpc(percentiles, blq, points, shown.unit, settings)


def _unit_of(fit: Fit, by: str | None) -> str:
    """Unit of the doses where they are the strata."""
    units = fit.data.doses["unit"].dropna().unique()
    return str(units[0]) if by in ("dose", "dose_level") and len(units) == 1 else ""


def _strata(fit: Fit, by: str | None) -> NDArray[np.object_]:
    """Stratum of each subject, in words; numbers sort as numbers."""
    frame = covariate_frame(fit.data)
    if by is None:
        return np.full(len(frame), ALL, dtype=object)
    name = "dose" if by == "dose_level" and by not in frame else by
    if name not in frame or name == "subject":
        raise ConfigError(f"vpc: by is {by!r}{did_you_mean(by, [c for c in frame if c != 'subject'])}")
    values = frame[name]
    if values.nunique() > MOST_STRATA:
        raise ConfigError(
            f"vpc: {by} has {values.nunique()} values; expected at most {MOST_STRATA} strata: group it first"
        )
    words = values.map(lambda x: f"{x:g}" if isinstance(x, float) else str(x)).astype(object)
    return words.where(values.notna(), "missing").to_numpy(dtype=object)


def _correction(typical: Floats, number: NDArray[np.intp], stratum: NDArray[np.object_]) -> Floats:
    """Factor of every row; 1 where the prediction is 0 and nothing can be normalised."""
    groups = pd.Series(typical).groupby([number, stratum])
    median = groups.transform("median").to_numpy(float)
    usable = (typical > 0) & (median > 0)
    return np.where(usable, prediction_correct(1.0, np.where(usable, typical, 1.0), median), 1.0)


def _tables(points: pd.DataFrame, observed: Floats, simulated: Floats) -> tuple[pd.DataFrame, pd.DataFrame]:
    tails = {"lower": (1 - INTERVAL) / 2, "median": 0.5, "upper": (1 + INTERVAL) / 2}
    percentiles, blq = [], []
    for stratum in stratum_order(points["stratum"].tolist()):
        of_stratum = points["stratum"] == stratum
        for number in np.unique(points.loc[of_stratum, "bin"]):
            at = np.flatnonzero(of_stratum & (points["bin"] == number))
            block = points.iloc[at]
            head = {"bin": int(number), "stratum": stratum, "time": block["time"].median(), "n": len(at)}
            fractions = np.isneginf(simulated[:, at]).mean(axis=1)
            over = {name: float(np.quantile(fractions, p)) for name, p in tails.items()}
            blq.append({**head, "observed": float(block["blq"].mean()), **over})
            lloq = block["lloq"].median()
            for percentile in PERCENTILES:
                each = ranked_quantile(simulated[:, at], percentile / 100)
                found = {"observed": ranked_quantile(observed[at], percentile / 100)}
                found |= {name: ranked_quantile(each, p) for name, p in tails.items()}
                numbers = {name: float(v) if np.isfinite(v) else np.nan for name, v in found.items()}
                percentiles.append({**head, "percentile": percentile, **numbers, "lloq": lloq})
    return pd.DataFrame(percentiles), pd.DataFrame(blq)
