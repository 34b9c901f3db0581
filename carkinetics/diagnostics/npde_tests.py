"""Whether prediction errors are standard normal and free of trends, at a level that holds for samples of one subject too.

Decorrelated is not independent: where the predictive distribution is not normal, a subject far from the typical one has large
errors all along, and tests that count its samples as independent reject too often (measured with the right model at its true
values, 600 studies of 40 subjects with 7 samples: the test of the variance in 7 to 8 % at a nominal 5 %, in 2 to 3 % at 1 %; with 13
samples and a covariance from 300 replicates, which is not exact either, in 13 %). So the classical p-value, which treats them as independent, is a statistic here, and its p-value is the share of
studies that have one as small, counted among replicates that were treated as the observed study was. That is exact for known
parameters whatever the dependence, and on the safe side for fitted ones.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]
DISTRIBUTION = ("mean", "variance", "normality")
TRENDS = ("trend with time", "trend with PRED", "spread with time")
MOST_FOR_SHAPIRO = 5000  # beyond, SciPy's p-value is not accurate
FEWEST = 3
NAMES = (*DISTRIBUTION, "combined", *TRENDS, "all")
COLUMNS = ["what", "estimate", "expected", "p", "p_independent"]


def npde_tests(
    errors: ArrayLike, time: ArrayLike, pred: ArrayLike, studies: ArrayLike | None = None
) -> pd.DataFrame:
    """Test whether prediction errors are standard normal and free of trends.

    Parameters
    ----------
    errors : array_like, shape (n,)
        NPDE; NaN are left out.
    time, pred : array_like, shape (n,)
        Of the same observations; a trend is not tested with one that is unknown somewhere.
    studies : array_like, shape (1 + n_sim, n), optional
        NPDE of the study and of its replicates, all ranked among each other, as
        `carkinetics.diagnostics.prediction_errors.prediction_errors` returns them. Without them observations are taken to be
        independent.

    Returns
    -------
    pandas.DataFrame
        Indexed by test: ``mean`` (t), ``variance`` (chi-squared, two-sided), ``normality`` (Shapiro and Wilk), ``combined`` (the smallest of
        these three), ``trend with time``, ``trend with PRED`` (Spearman), ``spread with time`` (Spearman, of the size of errors)
        and ``all`` (the smallest of the six). Columns ``what, estimate, expected, p`` and ``p_independent``: the p-value if errors
        were independent, for ``combined`` and ``all`` by Bonferroni. ``p`` is the share of the studies with as small a one;
        ``p_independent`` again where there are none. NaN of fewer than three errors.

    References
    ----------
    .. [1] Brendel K et al. Pharm Res 2006;23:2036-2049.
    .. [2] Besag J, Clifford P. Biometrika 1989;76:633-642 (tests by simulation).

    Examples
    --------
    >>> found = npde_tests([-1.0, 0.0, 1.0, 2.0], [1, 2, 3, 4], [4, 3, 2, 1])
    >>> round(float(found.loc["variance", "p"]), 4)
    0.3436
    """
    x = np.asarray(errors, dtype=float)
    known = np.isfinite(x)
    if known.sum() < FEWEST:
        return pd.DataFrame(np.nan, index=list(NAMES), columns=COLUMNS).assign(what="too few observations")
    rows: dict[str, tuple[str, float, float, float, float]] = {}
    t, f = (np.asarray(one, dtype=float) for one in (time, pred))
    own = _single(x[None, known], t[known], f[known])
    among = own
    if studies is not None:
        every = np.asarray(studies, dtype=float)
        some = known & np.isfinite(every).all(axis=0)
        among = _single(every[:, some], t[some], f[some])
    for name, (what, estimate, expected, p) in own.items():
        rows[name] = (what, estimate, expected, _share(among[name][-1]), float(p[0]))
    for name, parts in (("combined", DISTRIBUTION), ("all", (*DISTRIBUTION, *TRENDS))):
        tested = [part for part in parts if np.isfinite(rows[part][-1])]  # no trend with what does not vary
        smallest = np.fmin.reduce([among[part][-1] for part in tested])
        bonferroni = min(len(tested) * min(rows[part][-1] for part in tested), 1.0)
        rows[name] = ("smallest p", np.nan, np.nan, _share(smallest), bonferroni)
    found = pd.DataFrame.from_dict(rows, orient="index", columns=COLUMNS).loc[list(NAMES)]
    return found.assign(p=found["p_independent"]) if studies is None else found


def _share(p: Floats) -> float:
    """Of studies with a p-value as small as the first one has."""
    return float((p <= p[0] * (1 + 1e-9)).mean()) if np.isfinite(p[0]) else float("nan")


def _single(x: Floats, time: Floats, pred: Floats) -> dict[str, tuple[str, float, float, Floats]]:
    """Name, estimate of the first study and expected value of every test, and p-values of all studies."""
    n, variance = x.shape[1], x.var(axis=1, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = x.mean(axis=1) / np.sqrt(variance / n)
    lower, upper = (tail((n - 1) * variance, n - 1) for tail in (stats.chi2.cdf, stats.chi2.sf))
    some = x if n <= MOST_FOR_SHAPIRO else x[:, np.random.default_rng(n).permutation(n)[:MOST_FOR_SHAPIRO]]
    shape = [stats.shapiro(one) if np.ptp(one) > 0 else (np.nan, np.nan) for one in some]
    return {
        "mean": ("t", float(x[0].mean()), 0.0, 2 * stats.t.sf(np.abs(t), n - 1)),
        "variance": ("chi-squared", float(variance[0]), 1.0, 2 * np.minimum(lower, upper)),
        "normality": ("Shapiro-Wilk W", float(shape[0][0]), 1.0, np.array([p for _, p in shape])),
        "trend with time": _trend(x, time),
        "trend with PRED": _trend(x, pred),
        "spread with time": _trend(np.abs(x), time),
    }


def _trend(x: Floats, against: Floats) -> tuple[str, float, float, Floats]:
    """Spearman's rank correlation of every study, with the p-value of Student's t as SciPy has it."""
    n = x.shape[1]
    if not np.isfinite(against).all() or len(np.unique(against)) < 2:
        return "Spearman rho", np.nan, 0.0, np.full(len(x), np.nan)
    a, b = (stats.rankdata(one, axis=-1) for one in (x, against))
    a, b = (one - one.mean(axis=-1, keepdims=True) for one in (a, b))
    with np.errstate(divide="ignore", invalid="ignore"):
        rho = np.clip((a @ b) / np.sqrt((a**2).sum(axis=1) * (b**2).sum()), -1, 1)
        t = rho * np.sqrt((n - 2) / ((1 - rho) * (1 + rho)))
    return "Spearman rho", float(rho[0]), 0.0, 2 * stats.t.sf(np.abs(t), n - 2)
