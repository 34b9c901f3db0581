"""How well draws predict what was left out: PSIS-LOO, WAIC and stacking from a matrix of log-likelihoods.

Columns are units that are left out, subjects here; rows are posterior draws. Nothing in this file knows of fits.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp

from carkinetics.errors import ConfigError
from carkinetics.fit.pareto import FEWEST, smooth

Floats = NDArray[np.float64]


def psis(left_out: Floats, predicted: Floats) -> tuple[float, float]:
    """Expected log density of one unit without itself, by Pareto-smoothed importance weights.

    Parameters
    ----------
    left_out : ndarray, shape (n_draws,)
        Log-likelihood of all that is left out with the unit.
    predicted : ndarray, shape (n_draws,)
        Log-likelihood of what is predicted of it.

    Returns
    -------
    tuple of float
        Log density and Pareto's k; minus infinity and infinity where fewer than 30 draws are usable.

    References
    ----------
    .. [1] Vehtari A, Gelman A, Gabry J. Stat Comput 2017;27:1413-1432.
    """
    usable = np.isfinite(left_out) & np.isfinite(predicted)
    if usable.sum() < FEWEST:
        return -np.inf, np.inf
    weight, k = smooth(-left_out[usable])
    return float(logsumexp(predicted[usable], b=weight)), k


def monte_carlo_error(left_out: Floats, predicted: Floats) -> float:
    """Standard error of the sum of all units' `psis` that comes from the number of draws.

    Parameters
    ----------
    left_out, predicted : ndarray, shape (n_draws, n_units)
        As of `psis`, of draws that are nearly independent.

    Returns
    -------
    float
        By the influence of each draw on the sum, which its units share. Too small where a Pareto k is large; units without enough
        usable draws do not count.
    """
    influence = np.zeros(len(left_out))
    for one, told in zip(left_out.T, predicted.T, strict=True):
        usable = np.isfinite(one) & np.isfinite(told)
        if usable.sum() >= FEWEST:
            weight, _ = smooth(-one[usable])
            density = np.exp(told[usable] - logsumexp(told[usable], b=weight))
            influence[usable] += weight * (density - 1)
    return float(np.sqrt((influence**2).sum()))


def psis_loo(log_likelihood: ArrayLike) -> pd.DataFrame:
    """Leave-one-out from log-likelihoods alone, one row per unit.

    Parameters
    ----------
    log_likelihood : array_like, shape (n_draws, n_units)
        At every draw; a unit is what is left out: a subject, with the likelihood averaged over its random effects.

    Returns
    -------
    pandas.DataFrame
        ``elpd``, ``p_loo`` (log of the mean density less ``elpd``), Pareto's ``k`` and ``how``, as `carkinetics.loo` has them, so that
        `carkinetics.compare` takes such tables. A draw that makes a unit impossible, or gives no number, does not count for it.

    Raises
    ------
    ConfigError
        If it is no matrix.

    References
    ----------
    .. [1] Vehtari A, Gelman A, Gabry J. Stat Comput 2017;27:1413-1432.

    Examples
    --------
    >>> psis_loo(np.full((100, 1), -2.0)).round(6).iloc[0, :3].tolist()
    [-2.0, 0.0, 0.0]
    """
    values = np.asarray(log_likelihood, dtype=float)
    if values.ndim != 2:
        raise ConfigError(f"psis_loo: log-likelihoods of shape {values.shape}; expected (draws, units)")
    found = pd.DataFrame([psis(one, one) for one in values.T], columns=["elpd", "k"], dtype=float)
    usable = np.isfinite(values)
    lppd = logsumexp(np.where(usable, values, -np.inf), axis=0) - np.log(np.maximum(usable.sum(axis=0), 1))
    with np.errstate(invalid="ignore"):
        found.insert(1, "p_loo", lppd - found["elpd"])
    return found.assign(how="psis")


def waic(log_likelihood: ArrayLike, weights: ArrayLike | None = None) -> pd.DataFrame:
    """Widely applicable information criterion, one row per unit.

    Parameters
    ----------
    log_likelihood : array_like, shape (n_draws, n_units)
        At every draw.
    weights : array_like, shape (n_draws,), optional
        Of the draws; all the same if not given.

    Returns
    -------
    pandas.DataFrame
        ``lppd`` (log of the mean density), ``p_waic`` (variance of the log density) and ``elpd_waic``, their difference.

    Raises
    ------
    ConfigError
        If a log-likelihood is not finite, or there are fewer than two draws.

    Notes
    -----
    A second-order approximation to leaving one out, without a diagnostic of its own but that ``p_waic`` above 0.4 for a unit
    is too much; `psis` is preferred.

    References
    ----------
    .. [1] Watanabe S. J Mach Learn Res 2010;11:3571-3594.
    .. [2] Gelman A, Hwang J, Vehtari A. Stat Comput 2014;24:997-1016 (the variance form).

    Examples
    --------
    >>> waic(np.log([[0.2], [0.4]])).round(4).iloc[0].tolist()
    [-1.204, 0.2402, -1.4442]
    """
    values = np.asarray(log_likelihood, dtype=float)
    if values.ndim != 2 or len(values) < 2 or not np.isfinite(values).all():
        raise ConfigError(
            f"waic: log-likelihoods of shape {values.shape}, {int((~np.isfinite(values)).sum())} of them not finite; "
            "expected finite ones of shape (draws, units), of two draws or more"
        )
    n = len(values)
    given = np.ones(n) if weights is None else np.asarray(weights, dtype=float)
    share = given / given.sum()
    top = values.max(axis=0)
    lppd = np.log(share @ np.exp(values - top)) + top
    spread = share @ (values - share @ values) ** 2 * (n / (n - 1) if weights is None else 1.0)
    return pd.DataFrame({"lppd": lppd, "p_waic": spread, "elpd_waic": lppd - spread})


NO_WEIGHT = 1e-9  # a thousand times the border of the search


def stacking_weights(elpd: pd.DataFrame | ArrayLike) -> pd.Series:
    """Weights of models in the mixture of their predictions that predicts left-out units best.

    Parameters
    ----------
    elpd : pandas.DataFrame or array_like, one row per unit, one column per model
        Log density of each unit when it is left out.

    Returns
    -------
    pandas.Series
        By model, none below 0, sum 1.

    Raises
    ------
    ConfigError
        If a density is not a finite number: a unit that a model finds impossible has no weight to be found.

    Notes
    -----
    The mean of log(sum over models of weight × density) is concave in the weights, so that its maximum is found wherever the
    search starts. Models that predict alike share a weight at random: it is not the probability that a model is true.

    References
    ----------
    .. [1] Yao Y, Vehtari A, Simpson D, Gelman A. Bayesian Anal 2018;13:917-1007.

    Examples
    --------
    >>> stacking_weights(pd.DataFrame({"a": [-1.0, -1.0], "b": [-3.0, -3.0]})).round(3).tolist()
    [1.0, 0.0]
    """
    elpd = elpd if isinstance(elpd, pd.DataFrame) else pd.DataFrame(np.asarray(elpd, dtype=float))
    values = elpd.to_numpy(float)
    if not np.isfinite(values).all():
        bad = elpd.index[~np.isfinite(values).all(axis=1)].astype(str).tolist()
        raise ConfigError(f"stacking: no finite density for {', '.join(bad[:5])}; there are no weights")
    density = np.exp(values - values.max(axis=1, keepdims=True))  # a factor per unit moves no weight
    n_models = density.shape[1]

    def loss(weight: Floats) -> tuple[float, Floats]:
        mixed = density @ weight
        return -float(np.log(mixed).mean()), -(density / mixed[:, None]).mean(axis=0)

    found = minimize(
        loss, np.full(n_models, 1 / n_models), jac=True, bounds=[(1e-12, 1.0)] * n_models, method="SLSQP",
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones_like(w)},
        options={"ftol": 1e-12, "maxiter": 500},
    )  # fmt: skip
    weight = np.where(found.x > NO_WEIGHT, found.x, 0.0)  # the search stays off its border
    return pd.Series(weight / weight.sum(), index=elpd.columns, name="weight")
