"""Many comparisons of one study with its replicates, as one p-value."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri
from scipy.stats import rankdata


def omnibus_p(observed: ArrayLike, replicated: ArrayLike) -> float:
    """How often a replicate is as far from all others as the observed study is.

    Every quantity is ranked among the replicates and the observed study, ranks become normal scores, and the sum of their squares
    is compared. Quantities may depend on each other in any way: replicates have the same dependence.

    Parameters
    ----------
    observed : array_like, shape (m,)
        Quantities of the observed study; minus infinity for one that lies below what can be measured.
    replicated : array_like, shape (n, m)
        The same of every replicate.

    Returns
    -------
    float
        Above 0. If the observed study is one more replicate, it is at most p in a share p of studies; a model that was fitted
        to the study comes nearer to it, so that it is then too large rather than too small. NaN without replicates or quantities, or where
        one of them is NaN.

    Examples
    --------
    >>> omnibus_p([3.0, 3.0], [[1, 2], [2, 1], [1, 1]])
    0.25
    """
    all_of_them = np.vstack([np.asarray(observed, float)[None], np.asarray(replicated, float)])
    n, m = all_of_them.shape
    if n < 2 or m == 0 or np.isnan(all_of_them).any():
        return float("nan")
    place = (rankdata(all_of_them, axis=0) - 0.5) / n
    far = (ndtri(place) ** 2).sum(axis=1)
    return float((far >= far[0] * (1 - 1e-12)).mean())
