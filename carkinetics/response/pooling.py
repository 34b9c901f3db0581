"""Rubin's rules: one estimate from several data sets in which what is not known was drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from carkinetics.exposure.area import Floats


def pool(
    coefficients: Sequence[Floats] | Floats,
    variances: Sequence[Floats] | Floats,
    *,
    complete_df: float = np.inf,
    level: float = 0.90,
) -> pd.DataFrame:
    """Pool estimates over imputations.

    Parameters
    ----------
    coefficients, variances : array_like, shape (n_imputations, n_terms)
        Estimates and their squared standard errors.
    complete_df : float
        Degrees of freedom if everything were known.
    level : float
        Probability of the intervals.

    Returns
    -------
    pandas.DataFrame
        A row per term: ``coef, se, lower, upper, df`` and ``missing``, the share of the variance that comes from what is not known.

    References
    ----------
    .. [1] Rubin DB. Multiple imputation for nonresponse in surveys. Wiley 1987.
    .. [2] Barnard J, Rubin DB. Biometrika 1999;86:948-955.

    Examples
    --------
    >>> pool([[1.0], [2.0], [3.0]], [[1.0], [1.0], [1.0]]).round(3).loc[0, ["coef", "se", "missing"]].tolist()
    [2.0, 1.528, 0.571]
    """
    estimates, within = np.asarray(coefficients, dtype=float), np.asarray(variances, dtype=float).mean(axis=0)
    m = len(estimates)
    between = estimates.var(axis=0, ddof=1) * (1 + 1 / m) if m > 1 else np.zeros_like(within)
    total = within + between
    share = between / total
    with np.errstate(divide="ignore", invalid="ignore"):
        old = (m - 1) / share**2
        seen = (complete_df + 1) / (complete_df + 3) * complete_df if np.isfinite(complete_df) else np.inf
        df = 1 / (1 / old + 1 / (seen * (1 - share)))
    df = np.where(share == 0, complete_df, df)
    width = stats.t.ppf((1 + level) / 2, df) * np.sqrt(total)
    centre = estimates.mean(axis=0)
    return pd.DataFrame(
        {
            "coef": centre,
            "se": np.sqrt(total),
            "lower": centre - width,
            "upper": centre + width,
            "df": df,
            "missing": share,
        }
    )
