"""Individual weighted residuals in a few numbers: centre, spread, ε-shrinkage, shape, trends."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from carkinetics.diagnostics.residuals import normal_scores, residuals
from carkinetics.fit.measured import measured_output
from carkinetics.fit.result import Fit

FEWEST = 8  # observations for a test of shape or trend
COLUMNS = ("expected", "quantified", "all")


def residual_summary(fit: Fit, *, seed: int = 1, output: str = "") -> pd.DataFrame:
    """Describe the individual weighted residuals (IWRES) of one output.

    Parameters
    ----------
    fit : Fit
        Hierarchical, or individual.
    seed : int
        Seed of the residuals of BLQ rows.
    output : str
        Which output of the model; the CAR-T level if empty.

    Returns
    -------
    pandas.DataFrame
        Index ``n, mean, sd, epsilon_shrinkage`` (per cent, SD type: 100 × (1 − SD(IWRES)) [1]_), ``normality`` (Shapiro-Wilk W),
        ``skewness, trend_time, trend_ipred`` (Spearman's rho), ``spread_ipred`` (the same of absolute residuals). Columns
        ``expected`` of the right model with rich data; ``quantified``, of those samples alone; ``all``, with BLQ rows (and those above the
        ULOQ) at imputed residuals. NaN for what fewer than 8 residuals do not tell.

    Raises
    ------
    ConfigError
        If the output was not fitted.

    Notes
    -----
    Of a Student-t error residuals are first turned into normal scores. Quantified samples alone lie above the limit by selection, so
    that near it their mean is above 0 even for a right model; imputed residuals mend that, and dilute the shrinkage. There are no
    p-values: residuals of fitted subjects are neither independent nor as wide as 1, and what shrinks them bends their trend with the prediction, so
    that tests reject right models. Those of `npde` hold their level.

    References
    ----------
    .. [1] Savic RM, Karlsson MO. AAPS J 2009;11:558-569.
    """
    table = residuals(fit, n_sim=1, seed=seed, output=output)
    table = table.assign(z=normal_scores(table["iwres"], measured_output(fit, output).error))
    table = table[np.isfinite(table["z"])]
    found = pd.DataFrame({"quantified": _statistics(table[~table["imputed"]]), "all": _statistics(table)})
    expected = {"n": np.nan, "sd": 1.0, "normality": 1.0}
    return found.assign(expected=[expected.get(str(name), 0.0) for name in found.index])[list(COLUMNS)]


def _statistics(table: pd.DataFrame) -> pd.Series:
    z = table["z"].to_numpy(float)
    spread = float(z.std(ddof=1)) if len(z) > 1 else np.nan
    enough = len(z) >= FEWEST and spread > 0
    return pd.Series(
        {
            "n": float(len(z)),
            "mean": float(z.mean()) if len(z) else np.nan,
            "sd": spread,
            "epsilon_shrinkage": 100 * (1 - spread),
            "normality": float(stats.shapiro(z).statistic) if enough else np.nan,
            "skewness": float(stats.skew(z)) if enough else np.nan,
            "trend_time": _trend(table["time"], z, enough),
            "trend_ipred": _trend(table["ipred"], z, enough),
            "spread_ipred": _trend(table["ipred"], np.abs(z), enough),
        }
    )


def _trend(x: pd.Series, y: NDArray[np.float64], enough: bool) -> float:
    if not enough or x.nunique() < 2:
        return np.nan
    return float(stats.spearmanr(x.to_numpy(float), y).statistic)
