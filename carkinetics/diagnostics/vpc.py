"""Visual predictive check: whether new subjects of the fitted model look like the observed ones.

Conventions
-----------
A replicate has the observed design (sampling times, covariates, inputs) and new random effects and
residuals. A simulated value below the LLOQ of its row is BLQ. A prediction-corrected check multiplies observed values,
simulated ones *and the LLOQ of every row* by the row's factor, so that a BLQ value is one that is known to lie below its
corrected limit: among values that were multiplied by different factors, it need not lie below those that were quantified.
Percentiles are those of the product-limit distribution of left-censored values with these limits (reverse
Kaplan-Meier), in the observed and in the simulated data alike. Where all limits of a bin are the same, that ranks BLQ values
below every quantifiable one. A percentile that lies below all quantified values is NaN, to be read as "below the LLOQ".
Values above an upper limit of quantification count as that limit, the simulated
ones too. Nothing is imputed, and ``settings`` counts what is left out.

The product-limit estimate takes a limit to say nothing of the value below it. That holds within a bin of equal predictions
and, after the correction, as far as the correction explains why the rows differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from carkinetics.dataset.table import Dataset, is_censored
from carkinetics.diagnostics.binning import censored_quantile, ranked_quantile, stratum_order, time_bins
from carkinetics.diagnostics.omnibus import omnibus_p
from carkinetics.diagnostics.replicate import Replicates, ceiling_of, limit_of, measured_level, replicates
from carkinetics.diagnostics.unconverged import RestsOnFit, convergence_of
from carkinetics.errors import ConfigError, DataError, FitError, did_you_mean
from carkinetics.exposure.by_dose import dose_unit
from carkinetics.fit.covariate import covariate_frame
from carkinetics.fit.predictive import Floats
from carkinetics.fit.result import INTERVAL, Fit
from carkinetics.model.spec import Model

PERCENTILES = (5, 50, 95)
ALL = "all"
MOST_STRATA = 8
BLQ_WORDS = {
    False: "simulated values below their row's LLOQ are BLQ; percentiles by reverse Kaplan-Meier, which ranks BLQ below every "
    "quantifiable value where the LLOQ is the same",
    True: "values, simulated values and each row's LLOQ are corrected, values below the row's LLOQ are censored at the corrected "
    "one; percentiles by reverse Kaplan-Meier",
}


@dataclass(frozen=True, eq=False)
class Vpc(RestsOnFit):
    """A visual predictive check.

    Parameters
    ----------
    percentiles : pandas.DataFrame
        One row per bin, stratum and percentile: ``bin, stratum, time`` (median of the bin), ``n,
        percentile, observed, lower, median, upper`` (interval over the replicates), ``lloq`` (median of
        the bin; NaN if prediction-corrected by factors that differ). NaN among the levels means below the LLOQ.
    blq : pandas.DataFrame
        One row per bin and stratum: ``bin, stratum, time, n, observed`` (fraction BLQ), ``lower,
        median, upper``.
    points : pandas.DataFrame
        The observed rows: ``subject, time, bin, stratum, level`` (NaN if BLQ; prediction-corrected if
        asked for), ``blq, lloq``.
    unit : str
        Unit of the levels.
    settings : dict
        Binning, number of replicates, interval, treatment of BLQ, strata, ``factors`` of the correction (smallest and
        largest), seed, rows left out, ``output``: the
        name of the output, empty for the CAR-T level, ``converged`` (whether the fit did) and ``p``: of all percentiles and of all fractions BLQ together, see
        `carkinetics.diagnostics.omnibus`.
    """

    percentiles: pd.DataFrame
    blq: pd.DataFrame
    points: pd.DataFrame
    unit: str
    settings: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        strata = self.blq["stratum"].nunique()
        return f"<{self._kind}: {len(self.points)} observations, {len(self.blq)} bins in {strata} strata, {self.settings['n_sim']} replicates>"

    @property
    def statement(self) -> str:
        """What the check found, in a sentence."""
        low, seen, high = (self.percentiles[name].fillna(0.0) for name in ("lower", "observed", "upper"))
        inside, blq = (low <= seen) & (seen <= high), self.blq
        fractions = (blq["lower"] <= blq["observed"]) & (blq["observed"] <= blq["upper"])
        return self._told(
            f"Observed percentiles lie inside their simulated intervals {int(inside.sum())} of {len(inside)} times, "
            f"observed fractions BLQ {int(fractions.sum())} of {len(fractions)} times; all together p = "
            f"{self.settings['p']['percentiles']:.2g} and {self.settings['p']['blq']:.2g}."
        )

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
        Whether observed and simulated values and their LLOQ are prediction-corrected, for doses or covariates that
        differ within a bin; see the module for BLQ values.
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
    found = check_replicates(
        made, fit.model, fit.data, bins=bins, by=by, corrected=corrected, seed=seed, output=output
    )
    return replace(found, settings=found.settings | {"converged": convergence_of(fit)})


def check_replicates(
    made: Replicates,
    model: Model,
    data: Dataset,
    *,
    bins: str | int | Sequence[float] = "nominal",
    by: str | None = None,
    corrected: bool = False,
    seed: int = 1,
    output: str = "",
) -> Vpc:
    """Compare percentiles of the observations with those of given replicates.

    Parameters
    ----------
    made : Replicates
        Of the rows to compare.
    model, data : Model, Dataset
        Of which they are replicates.
    bins, by, corrected, seed, output
        As of `vpc`; the seed is only written down.

    Returns
    -------
    Vpc
        As `vpc` returns it.

    Raises
    ------
    FitError
        If no replicate can be computed.
    ConfigError
        If ``by``, ``bins`` or ``output`` names nothing that exists, or there are too many strata.
    DataError
        If no row can be compared.
    """
    shown = model.output(output)
    other = "" if shown is model.output() else shown.name
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
    stratum = _strata(data, by)[made.subject_index[usable]]
    number = time_bins(rows["time"].to_numpy(float), bins)
    blq = is_censored(rows)
    factor = _correction(made.typical[usable], number, stratum) if corrected else np.ones(len(rows))
    observed = np.where(blq, -np.inf, measured_level(rows) * factor)
    simulated = np.where(value < limit, -np.inf, np.minimum(value, ceiling_of(rows, data)) * factor)
    points = pd.DataFrame(
        {
            "subject": rows["subject"],
            "time": rows["time"].astype(float),
            "bin": number,
            "stratum": stratum,
            "level": np.where(blq, np.nan, observed),
            "blq": blq,
            "lloq": limit * factor,
        }
    )
    percentiles, fractions, p = _tables(points, observed, simulated, factor)
    left_out = {
        "BLQ without a known limit": int((unlimited & ~before).sum()),
        "before the infusion" if other else "day 0 or before": int(before.sum()),
    }
    settings = {
        "n_sim": int(computed.sum()), "n_failed": int((~computed).sum()),
        "bins": bins if isinstance(bins, str | int) else [float(edge) for edge in bins],
        "n_bins": int(points["bin"].nunique()), "by": by, "by_unit": dose_unit(data, by), "corrected": corrected,
        "factors": (float(factor.min()), float(factor.max())),
        "interval": f"{100 * INTERVAL:g}% equal-tailed over replicates", "blq": BLQ_WORDS[corrected],
        "left_out": left_out, "seed": seed, "output": other, "p": p,
    }  # fmt: skip
    return Vpc(percentiles, fractions, points, shown.unit, settings)


def _strata(data: Dataset, by: str | None) -> NDArray[np.object_]:
    """Stratum of each subject, in words; numbers sort as numbers."""
    frame = covariate_frame(data)
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


def _tables(
    points: pd.DataFrame, observed: Floats, simulated: Floats, factor: Floats
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, float]]:
    tails = {"lower": (1 - INTERVAL) / 2, "median": 0.5, "upper": (1 + INTERVAL) / 2}
    percentiles, blq = [], []
    seen: dict[str, list[tuple[float, Floats]]] = {"percentiles": [], "blq": []}
    for stratum in stratum_order(points["stratum"].tolist()):
        of_stratum = points["stratum"] == stratum
        for number in np.unique(points.loc[of_stratum, "bin"]):
            at = np.flatnonzero(of_stratum & (points["bin"] == number))
            block = points.iloc[at]
            head = {"bin": int(number), "stratum": stratum, "time": block["time"].median(), "n": len(at)}
            fractions = np.isneginf(simulated[:, at]).mean(axis=1)
            over = {name: float(np.quantile(fractions, p)) for name, p in tails.items()}
            blq.append({**head, "observed": float(block["blq"].mean()), **over})
            seen["blq"].append((blq[-1]["observed"], fractions))
            lloq = block["lloq"].median()
            if len(np.unique(factor[at])) > 1:
                lloq = np.nan  # every row has a corrected limit of its own
            # A quantified row without an LLOQ is never censored: its limit is not asked for.
            limits = block["lloq"].fillna(0.0).to_numpy()
            for percentile in PERCENTILES:
                each = censored_quantile(simulated[:, at], limits, percentile / 100)
                found = {"observed": censored_quantile(observed[at], limits, percentile / 100)}
                seen["percentiles"].append((float(found["observed"]), each))
                found |= {name: ranked_quantile(each, p) for name, p in tails.items()}
                numbers = {name: float(v) if np.isfinite(v) else np.nan for name, v in found.items()}
                percentiles.append({**head, "percentile": percentile, **numbers, "lloq": lloq})
    together = {
        name: omnibus_p([one for one, _ in pairs], np.column_stack([each for _, each in pairs]))
        for name, pairs in seen.items()
    }
    return pd.DataFrame(percentiles), pd.DataFrame(blq), together
