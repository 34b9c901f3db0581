"""Columns of a table as the terms of a regression, and the regression's result as a table."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype
from scipy import stats

from carkinetics.errors import DataError, did_you_mean
from carkinetics.exposure.area import Floats

# A coefficient beyond this, per standard deviation of its predictor, runs to infinity.
RUNAWAY = 20.0


def usable_rows(table: pd.DataFrame, needed: Iterable[str], on: str | Iterable[str]) -> pd.DataFrame:
    """The columns that a regression needs, complete.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per subject.
    needed : iterable of str
        The outcome's columns.
    on : str or iterable of str
        The predictors.

    Returns
    -------
    pandas.DataFrame
        These columns, in that order.

    Raises
    ------
    DataError
        If a column is missing, or a value in it.
    """
    names = [*needed, *([on] if isinstance(on, str) else on)]
    known = [str(column) for column in table.columns]
    for name in names:
        if name not in known:
            raise DataError(f"the table has no column {name!r}{did_you_mean(name, known)}")
    rows = table[names]
    missing = rows.isna().any(axis=1)
    if missing.any():
        where = rows.index[missing][0]
        column = rows.columns[rows[missing].iloc[0].isna()][0]
        raise DataError(
            f"{int(missing.sum())} of {len(rows)} rows lack a value, the first is {where!r} in {column!r}: fill them in, or leave "
            "them out by table.dropna() and say so"
        )
    return rows


def design_matrix(rows: pd.DataFrame, on: str | Iterable[str]) -> pd.DataFrame:
    """Predictors as numbers: text and categories become an indicator of every level but the first.

    Parameters
    ----------
    rows : pandas.DataFrame
        Complete.
    on : str or iterable of str
        The predictors.

    Returns
    -------
    pandas.DataFrame
        A column per term, named ``column`` or ``column[level]``, without an intercept.

    Raises
    ------
    DataError
        If a predictor is constant, or a combination of others.
    """
    terms: dict[str, Floats] = {}
    for name in [on] if isinstance(on, str) else list(on):
        column = rows[name]
        if is_numeric_dtype(column) or is_bool_dtype(column):
            terms[name] = column.to_numpy(float)
            continue
        levels = (
            list(column.cat.categories)
            if isinstance(column.dtype, pd.CategoricalDtype)
            else sorted(column.unique())
        )
        for level in levels[1:]:
            terms[f"{name}[{level}]"] = (column == level).to_numpy(float)
    design = pd.DataFrame(terms, index=rows.index)
    for name in design:
        if design[name].nunique() < 2:
            raise DataError(
                f"{name} is {design[name].iloc[0]:g} in all {len(design)} rows; it can explain nothing"
            )
    full = with_intercept(design)
    scaled = full / np.abs(full).max(axis=0)
    if np.linalg.matrix_rank(scaled) < full.shape[1]:
        raise DataError(f"{', '.join(design)}: one is a combination of the others; leave one out")
    return design


def with_intercept(design: pd.DataFrame) -> Floats:
    """A design with a column of ones first.

    Parameters
    ----------
    design : pandas.DataFrame, shape (n, n_columns)
        Terms.

    Returns
    -------
    ndarray, shape (n, n_columns + 1)
        As numbers.
    """
    return np.column_stack([np.ones(len(design)), design.to_numpy(float)])


def standardised(design: Floats) -> tuple[Floats, Floats]:
    """Design with centred and scaled columns, and the matrix that takes its coefficients back.

    Parameters
    ----------
    design : ndarray, shape (n, n_columns + 1)
        The intercept's column of ones first.

    Returns
    -------
    scaled, back : ndarray
        ``scaled = design @ back``; coefficients of the scaled columns, times ``back``, are those of the design.
    """
    centre, scale = design[:, 1:].mean(axis=0), design[:, 1:].std(axis=0)
    back = np.diag(np.concatenate([[1.0], 1 / scale]))
    back[0, 1:] = -centre / scale
    return design @ back, back


def coefficient_table(
    names: Iterable[str], coefficients: Floats, covariance: Floats, level: float
) -> pd.DataFrame:
    """Estimates with Wald intervals.

    Parameters
    ----------
    names : iterable of str
        Of the terms.
    coefficients : ndarray, shape (n,)
        Estimates.
    covariance : ndarray, shape (n, n)
        Of the estimates.
    level : float
        Probability of the intervals.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``term``: ``coef, se, lower, upper, z, p``; ``.attrs["covariance"]`` by term and term, as mappings.
    """
    se = np.sqrt(np.diag(covariance))
    width = stats.norm.ppf((1 + level) / 2) * se
    z = coefficients / se
    terms = pd.Index(list(names), name="term")
    table = pd.DataFrame(
        {"coef": coefficients, "se": se, "lower": coefficients - width, "upper": coefficients + width, "z": z,
         "p": 2 * stats.norm.sf(np.abs(z))},
        index=terms,
    )  # fmt: skip
    table.attrs["covariance"] = pd.DataFrame(
        covariance, terms, terms
    ).to_dict()  # attrs of tables must be comparable
    return table
