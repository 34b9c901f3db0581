"""What the random effects say: how far they are shrunk, whether they still follow a covariate, which go together.

Everything here is computed in every posterior draw and summarised then. Posterior means (empirical Bayes estimates) are
drawn towards zero where a subject's data say little, all together, and so hide a relation, or invent one through the
covariance of their errors; draws carry that uncertainty.

References
----------
.. [1] Savic RM, Karlsson MO. AAPS J 2009;11:558-569.
.. [2] Lavielle M, Ribba B. Pharm Res 2016;33:2979-2988 (draws instead of modes).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from carkinetics.errors import ConfigError, FitError, did_you_mean
from carkinetics.findings import Finding
from carkinetics.fit.covariate import covariate_frame
from carkinetics.fit.result import INTERVAL, Fit
from carkinetics.fit.variability import SHRINKAGE_WARNING, effect_draws, shrinkage_table

Floats = NDArray[np.float64]
# Two values are groups, and so are words; a number with more values is a scale.
FEWEST_NUMBERS = 3


def shrinkage_findings(fit: Fit) -> Iterator[Finding]:
    """Random effects of which single subjects say too little.

    Parameters
    ----------
    fit : Fit
        Hierarchical.

    Yields
    ------
    Finding
        A warning for all parameters whose shrinkage of the SD type exceeds 30 %.
    """
    table = shrinkage_table(fit)
    if not table["warning"].any():  # also without any random effect, where the table has no rows
        return
    high = table[table["warning"]].sort_values("sd_percent", ascending=False)
    said = [
        f"{row.parameter} {row.sd_percent:.0f} % (variance type {row.variance_percent:.0f} %)"
        for row in high.itertuples()
    ]
    yield Finding(
        "warning", "shrinkage", ", ".join(high["parameter"]),
        f"shrinkage of the SD type is over {SHRINKAGE_WARNING:.0f} %: {', '.join(said)}. Do not read a distribution, a "
        "correlation or a covariate's effect off these posterior means; use draws, or put the covariate in the fit",
    )  # fmt: skip


def subject_covariates(fit: Fit, covariates: Iterable[str] | None = None) -> pd.DataFrame:
    """Columns of the subjects that random effects can be held against.

    Parameters
    ----------
    fit : Fit
        Whose subjects.
    covariates : iterable of str, optional
        Which; all with more than one value if not given, without the truth of simulated subjects (``true_*``).

    Returns
    -------
    pandas.DataFrame
        Indexed by subject, numbers or words. A dose of more than one size is ``log10(dose)``.

    Raises
    ------
    ConfigError
        If there is no such column.
    """
    frame = covariate_frame(fit.data).set_index("subject")
    dose = pd.to_numeric(frame["dose"], errors="coerce")
    if len(dose.dropna().unique()) > 1 and (dose.dropna() > 0).all():
        frame = frame.assign(**{"log10(dose)": np.log10(dose)})
    if covariates is None:
        hidden = {"dose", "dose_level"} if "log10(dose)" in frame else set()
        names = [str(c) for c in frame if not str(c).startswith("true_") and c not in hidden]
        return frame[
            [name for name in names if len(frame[name].dropna().unique()) > 1 and _usable(frame[name])]
        ]
    asked = list(covariates)
    for name in asked:
        if name not in frame:
            raise ConfigError(f"no column {name!r} among the subjects{did_you_mean(name, map(str, frame))}")
    return frame[asked]


def _usable(values: pd.Series) -> bool:
    """Not an identifier, which has another word for everybody."""
    return is_numeric(values) or values.nunique() <= max(2, values.notna().sum() // 2)


def is_numeric(values: pd.Series) -> bool:
    """Whether a covariate is a scale rather than groups.

    Parameters
    ----------
    values : pandas.Series
        One per subject.

    Returns
    -------
    bool
        False for words and truth values, and for numbers of fewer than three kinds.
    """
    numbers = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    return bool(numbers and values.nunique() >= FEWEST_NUMBERS)


def effect_trends(fit: Fit, covariates: Iterable[str] | None = None) -> pd.DataFrame:
    """How strongly each random effect still follows each covariate of the subjects.

    Parameters
    ----------
    fit : Fit
        Hierarchical, with random effects.
    covariates : iterable of str, optional
        Columns of the subjects, as in `subject_covariates`.

    Returns
    -------
    pandas.DataFrame
        ``parameter, covariate, kind, n, strength, lower, upper, p``: for a ``"numeric"`` covariate Pearson's
        correlation over the subjects that have a value, for ``"groups"`` the square root of the share of the variance
        between them (the correlation ratio, never negative); posterior median and 90 % interval over draws.
        ``p`` is the p-value of the F test of no relation, averaged over draws.

    Raises
    ------
    FitError
        If the fit has no random effects.
    ConfigError
        If there is no such column.

    Notes
    -----
    The interval says how well the effects of these subjects are known, not how far the strength varies from one sample of
    n subjects to another; that is what ``p`` is for. A relation of strength 0.3 in truth looks weaker here: the fit believed that there was none. It is a reason to put the
    covariate into `carkinetics.fit_hierarchical`, and no estimate of its effect.
    """
    effects, table = _effects(fit), subject_covariates(fit, covariates)
    rows = []
    for covariate in table.columns:
        values = table[covariate]
        known, scale = values.notna().to_numpy(), is_numeric(values)
        for name, eta in effects.items():
            each = (
                correlation(eta[:, known], values[known].to_numpy(float))
                if scale
                else _correlation_ratio(eta[:, known], pd.factorize(values[known].astype(str))[0])
            )
            low, middle, high = _interval(each)
            kind, n = "numeric" if scale else "groups", int(known.sum())
            p = _no_relation(each, 2 if scale else int(values.nunique()), n)
            rows.append((name, str(covariate), kind, n, middle, low, high, p))
    columns = ["parameter", "covariate", "kind", "n", "strength", "lower", "upper", "p"]
    return pd.DataFrame(rows, columns=columns)


def effect_correlations(fit: Fit) -> pd.DataFrame:
    """Correlation of every pair of random effects over the subjects.

    Parameters
    ----------
    fit : Fit
        Hierarchical, with random effects.

    Returns
    -------
    pandas.DataFrame
        ``first, second, correlation, lower, upper, p`` as in `effect_trends`, and ``of_means``, the correlation of posterior
        means, which shrinkage distorts: where data tell a combination of two parameters only, it is near 1 or -1.

    Raises
    ------
    FitError
        If the fit has no random effects.

    Notes
    -----
    It is the correlation in this sample of subjects, computed whether the fit has a correlation matrix or not. Without one
    the draws are pulled towards none.
    """
    rows = []
    for (first, one), (second, other) in combinations(_effects(fit).items(), 2):
        each = correlation(one, other)
        low, middle, high = _interval(each)
        means = correlation(one.mean(axis=0)[None], other.mean(axis=0)[None])
        rows.append((first, second, middle, low, high, _no_relation(each, 2, one.shape[1]), float(means[0])))
    columns = ["first", "second", "correlation", "lower", "upper", "p", "of_means"]
    return pd.DataFrame(rows, columns=columns)


def _effects(fit: Fit) -> dict[str, Floats]:
    found = effect_draws(fit)
    if not found:
        raise FitError(f"the fit of {fit.model.name} has no random effects")
    return found


def _no_relation(strength: Floats, n_means: int, n: int) -> float:
    """Mean p-value of the F test; ``n_means`` counts coefficients: two of a straight line, one per group."""
    if n <= n_means or not np.isfinite(strength).all():
        return np.nan
    share = np.minimum(strength**2, 1 - 1e-12)
    f = share / (n_means - 1) / ((1 - share) / (n - n_means))
    return float(special.fdtrc(n_means - 1, n - n_means, f).mean())


def _interval(each: Floats) -> tuple[float, float, float]:
    tail = (1 - INTERVAL) / 2
    if not np.isfinite(each).all():  # no spread between subjects, or fewer than two of them
        return np.nan, np.nan, np.nan
    low, middle, high = np.quantile(each, [tail, 0.5, 1 - tail])
    return float(low), float(middle), float(high)


def correlation(y: Floats, x: Floats) -> Floats:
    """Pearson's correlation along the last axis.

    Parameters
    ----------
    y, x : ndarray, shapes (n_draws, n) and (n_draws, n) or (n,)
        Values.

    Returns
    -------
    ndarray, shape (n_draws,)
        NaN where one of them does not vary.

    Examples
    --------
    >>> correlation(np.array([[1.0, 2.0, 3.0]]), np.array([2.0, 4.0, 6.0])).round(6).tolist()
    [1.0]
    """
    a, b = (v - v.mean(axis=-1, keepdims=True) for v in (y, x))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((a * b).sum(axis=-1) / np.sqrt((a**2).sum(axis=-1) * (b**2).sum(axis=-1)))


def _correlation_ratio(y: Floats, group: NDArray[np.intp]) -> Floats:
    """Square root of the variance between groups over all of it."""
    centred = y - y.mean(axis=1, keepdims=True)
    between = sum(
        ((group == g).sum() * centred[:, group == g].mean(axis=1) ** 2 for g in np.unique(group)),
        start=np.zeros(len(y)),
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.sqrt(between / (centred**2).sum(axis=1)))
