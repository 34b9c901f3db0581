"""Normalised prediction distribution errors: observations in standard normal units of what the model predicts.

Conventions
-----------
The predictive distribution of a subject's samples is that of replicates with new random effects and residuals, drawn
over the posterior. Everything is computed on the scale of the residual error: the log for a log-normal one, where samples
of a subject are nearer to jointly normal than on the natural scale.

A BLQ value is drawn from the simulated ones of its row that lie below the row's LLOQ (a uniform rank below the probability of
being BLQ [2]_), and so is every *simulated* BLQ value: a draw by itself, it has lost what it had to do with the other samples of its
subject, in the data and in the replicates alike. Likewise above an upper limit of quantification.

``npd`` is the normal quantile of an observation's rank among the replicates of its row. For ``npde`` observed and simulated
samples of a subject are first decorrelated, in the order of time: L⁻¹ (y − mean), with mean and covariance LLᵀ of the
replicates [1]_. The decorrelated observation itself is ``pwres``, the population weighted residual.

Decorrelated is not independent where the predictive distribution is not normal, so that the tests are a little too ready to
reject; how ready was measured for a library model, see the tests of this file.

References
----------
.. [1] Brendel K et al. Pharm Res 2006;23:2036-2049.
.. [2] Nguyen THT, Comets E, Mentré F. J Pharmacokinet Pharmacodyn 2012;39:499-518.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from scipy.linalg import solve_triangular
from scipy.special import ndtri

from carkinetics.dataset.table import is_above, is_censored
from carkinetics.diagnostics.replicate import ceiling_of, limit_of, measured_level, replicates
from carkinetics.errors import ConfigError, FitError
from carkinetics.fit.measured import fitted_rows, measured_output
from carkinetics.fit.result import Fit
from carkinetics.model.observe import TINY

Floats = NDArray[np.float64]
COMBINED = ("mean", "variance", "normality")
MOST_FOR_SHAPIRO = 5000  # beyond, SciPy's p-value is not accurate
FEWEST = 3


@dataclass(frozen=True, eq=False)
class Npde:
    """Prediction distribution errors of every fitted observation, and their tests.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per observation: ``subject, time, status, imputed, dv`` (imputed for a BLQ row), ``pred, npd, pwres, npde``.
    tests : pandas.DataFrame
        Indexed by test: ``mean, variance, normality, combined, trend with time, trend with PRED, spread with time``;
        columns ``what`` (name of the test), ``estimate, expected, p``.
    settings : dict
        Number of replicates, those that failed, observations left out, scale, BLQ, seed, output.
    """

    table: pd.DataFrame
    tests: pd.DataFrame
    settings: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Npde: {len(self.table)} observations, combined p = {self.tests.loc['combined', 'p']:.3g}>"

    @property
    def statement(self) -> str:
        """What the tests found, in words."""
        p = self.tests["p"]
        if np.isnan(p["combined"]):
            return f"Too few observations for a test of NPDE: {int(self.table['npde'].notna().sum())}."
        found = [_WORDS[name] for name in (*COMBINED, *_TRENDS) if p[name] < _threshold(name)]
        many = int(self.table["npde"].notna().sum())
        head = (
            f"NPDE of {many} observations: mean {self.tests.loc['mean', 'estimate']:.2f} (expected 0), variance "
            f"{self.tests.loc['variance', 'estimate']:.2f} (expected 1), combined p = {p['combined']:.2g}."
        )
        if not found:
            return f"{head} No departure from the model was found."
        return f"{head} Departures: {'; '.join(found)}."


_TRENDS = ("trend with time", "trend with PRED", "spread with time")
_WORDS = {
    "mean": "levels are predicted too high or too low",
    "variance": "variability is predicted too large or too small",
    "normality": "the distribution has another shape than predicted",
    "trend with time": "errors change with time",
    "trend with PRED": "errors change with the predicted level",
    "spread with time": "variability changes with time otherwise than predicted",
}


def _threshold(name: str) -> float:
    """5 % shared among the tests of a group."""
    return 0.05 / len(COMBINED if name in COMBINED else _TRENDS)


def npde(fit: Fit, *, n_sim: int = 1000, seed: int = 1, output: str = "") -> Npde:
    """Compare every observation with its predictive distribution, samples of a subject decorrelated.

    Parameters
    ----------
    fit : Fit
        Hierarchical.
    n_sim : int
        Number of replicates; more than any subject has samples, and better ten times as many.
    seed : int
        Seed of the replicates and of the imputed ranks.
    output : str
        Which output of the model; the CAR-T level if empty.

    Returns
    -------
    Npde
        Errors and tests; see the module for definitions.

    Raises
    ------
    FitError
        If the fit has no posterior, or too few replicates can be computed.
    ConfigError
        If the output does not exist, or there are too few replicates for a covariance.

    Notes
    -----
    ``mean`` is a t-test, ``variance`` a two-sided chi-squared test, ``normality`` Shapiro and Wilk's; ``combined`` is three
    times the smallest of their p-values, at most 1 (Bonferroni). Trends are rank correlations of ``npde`` with time and PRED, and of its
    size with time.

    References
    ----------
    .. [1] Brendel K et al. Pharm Res 2006;23:2036-2049.
    .. [2] Nguyen THT, Comets E, Mentré F. J Pharmacokinet Pharmacodyn 2012;39:499-518.
    """
    rows = fitted_rows(fit, output).reset_index(drop=True)
    most = int(rows.groupby("subject").size().max()) if len(rows) else 0
    if n_sim <= most:
        raise ConfigError(f"npde: n_sim is {n_sim}; a subject has {most} samples: expected more replicates")
    made = replicates(fit, rows=rows, n_draws=n_sim, seed=seed, output=output)
    error, rng = measured_output(fit, output).error, np.random.default_rng([seed, 3])

    def scaled(value: Floats) -> Floats:
        return np.log(np.maximum(value, TINY)) if error.log_scale else value

    computed = np.isfinite(made.value).all(axis=1)
    if computed.sum() <= most:
        raise FitError(
            f"npde: only {int(computed.sum())} of {n_sim} replicates could be computed; too few for a covariance"
        )
    simulated = scaled(made.value[computed])
    observed, simulated, npd = _imputed(rows, fit, scaled, simulated, rng)
    pwres, rank = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    for at in rows.groupby("subject", sort=False).indices.values():
        own, others, kept = decorrelate(observed[at], simulated[:, at])
        pwres[at[kept]] = own
        rank[at[kept]] = _rank(own, others, rng.uniform(size=len(own)))
    table = pd.DataFrame(
        {
            "subject": rows["subject"], "time": rows["time"].astype(float), "status": rows["status"],
            "imputed": is_censored(rows) | is_above(rows),
            "dv": np.exp(observed) if error.log_scale else observed,
            "pred": made.typical, "npd": npd, "pwres": pwres, "npde": ndtri(rank),
        }
    )  # fmt: skip
    settings = {
        "n_sim": int(computed.sum()), "n_failed": int((~computed).sum()),
        "left_out": {"no variance in the replicates": int(np.isnan(rank).sum())},
        "scale": "log" if error.log_scale else "natural",
        "blq": "drawn from the simulated values below the row's LLOQ, in the data and in every replicate",
        "seed": seed, "output": output,
    }  # fmt: skip
    return Npde(table, npde_tests(table["npde"], table["time"], table["pred"]), settings)


def _imputed(
    rows: pd.DataFrame, fit: Fit, scaled: Any, simulated: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    """Observed and simulated values, those outside the limits drawn anew; and npd."""
    blq, above = is_censored(rows), is_above(rows)
    floor = np.where(np.isnan(limit_of(rows)), -np.inf, scaled(limit_of(rows)))
    ceiling = scaled(ceiling_of(rows, fit.data))
    observed = scaled(np.where(blq, 1.0, measured_level(rows)))
    filled, n = simulated.copy(), len(simulated) + 1
    rank = np.empty(len(rows))
    for j in range(len(rows)):
        ordered, u = np.sort(simulated[:, j]), rng.uniform()
        below, up_to = (int(np.searchsorted(ordered, x, "left")) for x in (floor[j], ceiling[j]))
        low, high = simulated[:, j] < floor[j], simulated[:, j] > ceiling[j]
        if low.any():
            filled[low, j] = rng.choice(ordered[:below], int(low.sum()))
        if high.any():
            filled[high, j] = rng.choice(ordered[up_to:], int(high.sum()))
        if blq[j]:
            rank[j] = u * (below + 1) / n
            observed[j] = rng.choice(ordered[:below]) if below else floor[j]
        elif above[j]:
            rank[j] = (up_to + u * (n - up_to)) / n
            observed[j] = rng.choice(ordered[up_to:]) if up_to < len(ordered) else ceiling[j]
        else:
            rank[j] = (int(np.searchsorted(ordered, observed[j], "left")) + u) / n
    return observed, filled, ndtri(rank)


def decorrelate(observed: Floats, simulated: Floats) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Take the correlation out of a vector and of draws from its predictive distribution.

    Parameters
    ----------
    observed : ndarray, shape (n,)
        One subject's samples in order of time.
    simulated : ndarray, shape (n_sim, n)
        Replicates of them; more than n.

    Returns
    -------
    own : ndarray, shape (n_kept,)
        L⁻¹ (observed − mean).
    others : ndarray, shape (n_sim, n_kept)
        The same of the replicates: mean 0 and covariance the identity.
    kept : ndarray of int, shape (n_kept,)
        Samples whose replicates vary by more than the others explain; the rest has no decorrelated value.

    Examples
    --------
    >>> sims = np.array([[0.0, 0.0], [2.0, 2.0], [0.0, 2.0], [2.0, 4.0]])
    >>> own, others, kept = decorrelate(np.array([1.0, 5.0]), sims)
    >>> own.round(6).tolist()
    [0.0, 2.598076]
    """
    mean, covariance = simulated.mean(axis=0), np.atleast_2d(np.cov(simulated, rowvar=False))
    kept: list[int] = []
    for j in range(len(observed)):  # a pivot of 0 is a sample that the earlier ones determine
        block = covariance[np.ix_([*kept, j], [*kept, j])]
        before = np.linalg.solve(block[:-1, :-1], block[:-1, -1]) if kept else np.empty(0)
        if block[-1, -1] - block[-1, :-1] @ before > 1e-10 * max(block[-1, -1], TINY):
            kept.append(j)
    at = np.array(kept, dtype=np.intp)
    if not len(at):
        return np.empty(0), np.empty((len(simulated), 0)), at
    root = np.linalg.cholesky(covariance[np.ix_(at, at)])
    own = solve_triangular(root, observed[at] - mean[at], lower=True)
    others = solve_triangular(root, (simulated[:, at] - mean[at]).T, lower=True).T
    return own, others, at


def _rank(own: Floats, others: Floats, u: Floats) -> Floats:
    """Place among the others, between 0 and 1; uniform if it is one of them."""
    below, equal = (others < own).sum(axis=0), (others == own).sum(axis=0)
    return np.asarray((below + u * (equal + 1)) / (len(others) + 1))


def npde_tests(errors: pd.Series, time: pd.Series, pred: pd.Series) -> pd.DataFrame:
    """Test whether prediction errors are standard normal and free of trends.

    Parameters
    ----------
    errors : pandas.Series
        NPDE; NaN are left out.
    time, pred : pandas.Series
        Of the same observations.

    Returns
    -------
    pandas.DataFrame
        As ``Npde.tests``; p is NaN where there are fewer than three errors.
    """
    known = errors.notna()
    x, t, f = (s[known].to_numpy(float) for s in (errors, time, pred))
    n = len(x)
    rows: dict[str, tuple[str, float, float, float]] = {}
    if n < FEWEST:
        names = ("mean", "variance", "normality", "combined", *_TRENDS)
        rows = dict.fromkeys(names, ("too few observations", np.nan, np.nan, np.nan))
    else:
        variance = float(x.var(ddof=1))
        lower = float(stats.chi2.cdf((n - 1) * variance, n - 1))
        some = (
            x
            if n <= MOST_FOR_SHAPIRO
            else np.random.default_rng(n).choice(x, MOST_FOR_SHAPIRO, replace=False)
        )
        shape = stats.shapiro(some)
        rows["mean"] = ("t", float(x.mean()), 0.0, float(stats.ttest_1samp(x, 0.0).pvalue))
        rows["variance"] = ("chi-squared", variance, 1.0, 2 * min(lower, 1 - lower))
        rows["normality"] = ("Shapiro-Wilk W", float(shape.statistic), 1.0, float(shape.pvalue))
        rows["combined"] = ("Bonferroni", np.nan, np.nan, min(3 * min(rows[k][3] for k in COMBINED), 1.0))
        rows["trend with time"] = _trend(x, t)
        rows["trend with PRED"] = _trend(x, f)
        rows["spread with time"] = _trend(np.abs(x), t)
    return pd.DataFrame.from_dict(rows, orient="index", columns=["what", "estimate", "expected", "p"])


def _trend(x: Floats, against: Floats) -> tuple[str, float, float, float]:
    if len(np.unique(against)) < 2 or len(np.unique(x)) < 2:
        return "Spearman rho", np.nan, 0.0, np.nan
    found = stats.spearmanr(x, against)
    return "Spearman rho", float(found.statistic), 0.0, float(found.pvalue)
