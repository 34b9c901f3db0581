"""Regression of an outcome with two or more grades on columns of a table, by maximum likelihood.

For point values. Exposure from a fit is a distribution: `carkinetics.fit_grade` takes its posterior draws.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype

from carkinetics.errors import DataError, FitError
from carkinetics.exposure.area import Floats
from carkinetics.response.binary import logistic_firth, logistic_ml
from carkinetics.response.terms import (
    RUNAWAY,
    coefficient_table,
    design_matrix,
    standardised,
    usable_rows,
    with_intercept,
)


def logistic(
    table: pd.DataFrame,
    *,
    outcome: str,
    on: str | Iterable[str],
    trials: str = "",
    firth: bool = False,
    level: float = 0.95,
) -> pd.DataFrame:
    """Logistic regression.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per subject, or per group if ``trials`` is given.
    outcome : str
        Column with 1 or 0, True or False; the number of events of a group.
    on : str or iterable of str
        Predictors. Text becomes an indicator of every level but the first.
    trials : str
        Column with the size of a group.
    firth : bool
        Firth's penalised likelihood, whose estimate is finite also where predictors separate events from the others.
    level : float
        Probability of the intervals.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``term``, ``(intercept)`` first: ``coef, se, lower, upper, z, p, odds_ratio``. In ``.attrs``:
        ``covariance, log_likelihood`` (of single events, without penalty), ``deviance, n, events, separated, message, level``.

    Raises
    ------
    DataError
        If columns or values are missing or make no sense.
    FitError
        If predictors separate events from the others, so that no finite estimate exists; ask for ``firth=True``.

    References
    ----------
    .. [1] Firth D. Biometrika 1993;80:27-38.
    """
    names = [on] if isinstance(on, str) else list(on)
    rows = usable_rows(table, [outcome, *([trials] if trials else [])], names)
    design = design_matrix(rows, names)
    events = _counts(rows[outcome])
    sizes = _counts(rows[trials]) if trials else np.ones(len(rows))
    found = (logistic_firth if firth else logistic_ml)(design.to_numpy(float), events, trials=sizes)
    if found.separated and not firth:
        raise FitError(
            f"logistic: {found.message}: {outcome} on {', '.join(names)}, logistic(..., firth=True)"
        )
    result = coefficient_table(["(intercept)", *design.columns], found.coefficients, found.covariance, level)
    result["odds_ratio"] = np.exp(result["coef"]).where(result.index != "(intercept)")
    result.attrs |= {
        "log_likelihood": -found.minus_two_ll / 2, "deviance": found.deviance, "n": int(sizes.sum()), "events": int(events.sum()),
        "separated": found.separated, "message": found.message, "level": level,
    }  # fmt: skip
    return result


def _counts(column: pd.Series) -> Floats:
    values = pd.to_numeric(column, errors="coerce")
    bad = values.isna() | (values < 0)
    if bad.any():
        raise DataError(
            f"row {column.index[bad][0]!r}: {column.name} is {column[bad].iloc[0]!r}; expected 1 or 0, or a number"
        )
    return np.asarray(values, dtype=float)


def ordinal(
    table: pd.DataFrame, *, outcome: str, on: str | Iterable[str], level: float = 0.95
) -> pd.DataFrame:
    """Proportional odds: logit P(grade <= k) = theta_k - x b.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per subject.
    outcome : str
        Column with grades: numbers, or an ordered category.
    on : str or iterable of str
        Predictors. Text becomes an indicator of every level but the first.
    level : float
        Probability of the intervals.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``term``: the predictors, then thresholds, named ``0|1``; ``coef, se, lower, upper, z, p, odds_ratio`` (of a
        higher grade; none for thresholds). In ``.attrs``: ``covariance, log_likelihood, n, grades, cuts, level``; ``cuts`` has a logistic
        regression for every cut alone: where its coefficients differ beyond their standard errors, odds are not proportional.

    Raises
    ------
    DataError
        If columns or values are missing or make no sense, or there are fewer than two grades.
    FitError
        If it does not converge, or predictors put the grades in order, so that no finite estimate exists.

    References
    ----------
    .. [1] McCullagh P. J R Stat Soc B 1980;42:109-142.
    """
    from statsmodels.miscmodels.ordinal_model import OrderedModel

    names = [on] if isinstance(on, str) else list(on)
    rows = usable_rows(table, [outcome], names)
    design, grades = design_matrix(rows, names), _grades(rows[outcome])
    scaled, back = (part[:, 1:] for part in standardised(with_intercept(design)))
    codes = np.unique(grades.cat.codes, return_inverse=True)[1]
    shown = [grades.cat.categories[k] for k in np.unique(grades.cat.codes)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they say is checked below
        found = OrderedModel(codes, scaled, distr="logit").fit(method="bfgs", disp=0, maxiter=2000, gtol=1e-8)
        found = OrderedModel(codes, scaled, distr="logit").fit(
            start_params=found.params, method="newton", disp=0
        )
    params, n = np.asarray(found.params), design.shape[1]
    if np.abs(params[:n]).max() > RUNAWAY:
        raise FitError(
            f"ordinal: {', '.join(names)} puts the grades of {outcome} in order: no finite estimate; see fit_grade"
        )
    if np.abs(found.model.score(params)).max() > 1e-4:
        raise FitError(
            f"ordinal: not converged: the slope of the likelihood is {np.abs(found.model.score(params)).max():.2g}"
        )
    thresholds = found.model.transform_threshold_params(params)[1:-1]
    # Thresholds are the first one and the logs of the steps to the next; scaled predictors are centred.
    jacobian = np.zeros((len(params), len(params)))
    jacobian[:n, :n] = back[1:]
    jacobian[n:, :n] = -back[0]
    steps = np.exp(params[n + 1 :])
    jacobian[n:, n] = 1.0
    for k in range(len(steps)):
        jacobian[n + 1 + k :, n + 1 + k] = steps[k]
    values = np.concatenate([back[1:] @ params[:n], thresholds - back[0] @ params[:n]])
    terms = [*design.columns, *(f"{one}|{other}" for one, other in itertools.pairwise(shown))]
    result = coefficient_table(terms, values, jacobian @ np.asarray(found.cov_params()) @ jacobian.T, level)
    result["odds_ratio"] = np.exp(result["coef"]).where(result.index.isin(design.columns))
    result.attrs |= {
        "log_likelihood": float(found.llf), "n": len(rows), "grades": shown, "cuts": _cuts(codes, shown, design), "level": level,
    }  # fmt: skip
    return result


def _grades(column: pd.Series) -> pd.Series:
    if isinstance(column.dtype, pd.CategoricalDtype):
        if not column.cat.ordered:
            raise DataError(
                f"{column.name} is a category without an order; say which by pd.Categorical(..., ordered=True)"
            )
        grades = column
    elif is_numeric_dtype(column):
        grades = column.astype(pd.CategoricalDtype(sorted(column.unique()), ordered=True))
    else:
        raise DataError(
            f"{column.name} holds text ({column.iloc[0]!r}); make it an ordered category, or numbers"
        )
    if grades.nunique() < 2:
        raise DataError(
            f"{column.name} is {column.iloc[0]!r} in all {len(column)} rows; there is nothing to explain"
        )
    return grades


def _cuts(codes: NDArray[np.int64], shown: list[object], design: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Coefficients of the logistic regression of each cut alone; NaN where it separates."""
    found = {}
    for k in range(1, len(shown)):
        fit = logistic_ml(design.to_numpy(float), (codes >= k).astype(float))
        found[f">= {shown[k]}"] = dict(zip(design.columns, fit.coefficients[1:].tolist(), strict=True))
    return found
