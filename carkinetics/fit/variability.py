"""How much subjects differ, and how much of it the data show: CV %, shrinkage.

An omega is a standard deviation between subjects on the free scale of the parameter, never a variance.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from carkinetics.errors import ConfigError
from carkinetics.fit.chosen import take_draws
from carkinetics.fit.result import Fit

# Above this, plots of individual estimates against covariates hide or invent relations.
# Savic RM, Karlsson MO. AAPS J 2009;11:558-569.
SHRINKAGE_WARNING = 30.0


def cv_percent(omega: ArrayLike) -> NDArray[np.float64]:
    """Coefficient of variation of a log-normal parameter.

    Parameters
    ----------
    omega : array_like
        Standard deviation of the natural logarithm.

    Returns
    -------
    ndarray
        100 × sqrt(exp(omega²) − 1), in %.

    Examples
    --------
    >>> cv_percent([0.2, 1.0]).round(4).tolist()
    [20.2017, 131.0832]
    """
    return np.asarray(100 * np.sqrt(np.expm1(np.asarray(omega, dtype=float) ** 2)))


def omega_from_cv(cv: ArrayLike) -> NDArray[np.float64]:
    """Standard deviation of the logarithm that gives a coefficient of variation.

    Parameters
    ----------
    cv : array_like
        Coefficient of variation in %.

    Returns
    -------
    ndarray
        sqrt(ln(1 + (cv / 100)²)).

    Examples
    --------
    >>> omega_from_cv([20, 100]).round(6).tolist()
    [0.198042, 0.832555]
    """
    return np.asarray(np.sqrt(np.log1p((np.asarray(cv, dtype=float) / 100) ** 2)))


def shrinkage(eta: ArrayLike, omega: float) -> dict[str, float]:
    """How far individual estimates have moved towards the typical value.

    Parameters
    ----------
    eta : array_like, shape (n_subject,)
        Individual estimates of the random effect, free scale.
    omega : float
        Between-subject standard deviation.

    Returns
    -------
    dict of str to float
        ``sd_percent``: 100 (1 − SD(eta) / omega); ``variance_percent``: 100 (1 − Var(eta) / omega²). The
        two are not the same number, so a report names the type. NaN for fewer than two subjects, or with an eta that is NaN.

    Raises
    ------
    ConfigError
        If omega is not above 0, or there is more than one random effect.

    Notes
    -----
    SD and variance of the estimates have n − 1 in the denominator.

    References
    ----------
    .. [1] Savic RM, Karlsson MO. AAPS J 2009;11:558-569.

    Examples
    --------
    >>> {name: round(value, 4) for name, value in shrinkage([0.3, -0.3], 0.5).items()}
    {'sd_percent': 15.1472, 'variance_percent': 28.0}
    """
    if not omega > 0:
        raise ConfigError(f"omega is {omega!r}; expected a standard deviation above 0")
    values = np.asarray(eta, dtype=float)
    if values.ndim != 1:
        raise ConfigError(f"eta has shape {values.shape}; expected (n_subject,), one random effect at a time")
    variance = float(values.var(ddof=1)) if len(values) > 1 else float("nan")
    return {
        "sd_percent": 100 * (1 - variance**0.5 / omega),
        "variance_percent": 100 * (1 - variance / omega**2),
    }


def effect_draws(fit: Fit) -> dict[str, NDArray[np.float64]]:
    """Random effects of every subject in every posterior draw.

    Parameters
    ----------
    fit : Fit
        Hierarchical.

    Returns
    -------
    dict of str to ndarray, shape (n_draws, n_subject)
        By random parameter: deviation from the typical value at the subject's covariates and in its class, free scale.

    Raises
    ------
    FitError
        If the fit has no posterior.
    """
    draws = take_draws(fit, None, 0)
    found = {}
    for name in draws.omega:
        parameter = fit.model.parameters[name]
        eta = parameter.to_free(draws.individual[name]) - parameter.to_free(draws.typical[name])[:, None]
        for covariate in fit.settings.get("covariates", []):
            if covariate["parameter"] == name:
                x = fit.tree["constant_data"][covariate["name"]].to_numpy()
                eta = eta - draws.slopes[covariate["name"]][:, None] * x
        if draws.mixture and name in draws.mixture.shifts:
            eta = eta - draws.slopes[draws.mixture.shift_name(name)][:, None] * draws.member
        found[name] = np.asarray(eta, dtype=float)
    return found


def random_effects(fit: Fit) -> pd.DataFrame:
    """Individual random effects.

    Parameters
    ----------
    fit : Fit
        Hierarchical.

    Returns
    -------
    pandas.DataFrame, one row per subject, one column per random parameter
        Posterior mean of the deviation from the typical value at the subject's covariates and in its class, free scale.

    Raises
    ------
    FitError
        If the fit has no posterior.
    """
    means = {name: eta.mean(axis=0) for name, eta in effect_draws(fit).items()}
    return pd.DataFrame(means, index=pd.Index(fit.data.subject_ids, name="subject"))


def shrinkage_table(fit: Fit) -> pd.DataFrame:
    """Shrinkage of every random parameter.

    Parameters
    ----------
    fit : Fit
        Hierarchical.

    Returns
    -------
    pandas.DataFrame
        ``parameter, omega`` (posterior median), ``sd_percent, variance_percent, warning`` (SD type above 30 %).

    Raises
    ------
    FitError
        If the fit has no posterior.

    Notes
    -----
    The individual estimate is the posterior mean of the random effect. A negative value can happen with few
    subjects and means no shrinkage.
    """
    effects = random_effects(fit)
    posterior = fit.tree["posterior"]
    rows = []
    for name in effects.columns:
        omega = float(posterior[f"{name}_omega"].median())
        shrunk = shrinkage(effects[name], omega)
        warning = shrunk["sd_percent"] > SHRINKAGE_WARNING
        rows.append({"parameter": name, "omega": omega, **shrunk, "warning": warning})
    return pd.DataFrame(rows, columns=["parameter", "omega", "sd_percent", "variance_percent", "warning"])
