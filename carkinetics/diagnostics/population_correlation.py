"""Which population quantities the data tell only together: their correlations over posterior draws."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd

from carkinetics.diagnostics.contraction import compared_draws
from carkinetics.fit.result import Fit
from carkinetics.fit.stated_prior import stated_priors


def population_correlations(fit: Fit) -> pd.DataFrame:
    """Correlation matrix of the estimated population quantities, the counterpart of NONMEM's correlation matrix of the estimates.

    Parameters
    ----------
    fit : Fit
        Hierarchical.

    Returns
    -------
    pandas.DataFrame, shape (n, n)
        Pearson's correlation over draws, positive quantities as logs and typical fractions as logits. Quantities that are
        computed from others are left out.

    Raises
    ------
    FitError
        If the fit is not a hierarchical one.
    """
    stated = stated_priors(fit)
    draws = {name: after for name, (_, after) in compared_draws(fit).items() if name in stated}
    return pd.DataFrame(draws).corr().rename_axis("parameter")


def strongest_pairs(correlations: pd.DataFrame) -> pd.DataFrame:
    """Pairs of a correlation matrix, the strongest first.

    Parameters
    ----------
    correlations : pandas.DataFrame
        From `population_correlations`.

    Returns
    -------
    pandas.DataFrame
        ``first, second, correlation``.

    Examples
    --------
    >>> matrix = pd.DataFrame([[1, -0.5], [-0.5, 1]], index=["a", "b"], columns=["a", "b"])
    >>> strongest_pairs(matrix).to_dict("records")
    [{'first': 'a', 'second': 'b', 'correlation': -0.5}]
    """
    pairs = [
        (a, b, float(np.asarray(correlations.loc[a, b]))) for a, b in combinations(correlations.index, 2)
    ]
    table = pd.DataFrame(pairs, columns=["first", "second", "correlation"])
    return table.sort_values("correlation", key=lambda r: -r.abs(), kind="stable", ignore_index=True)
