"""What kind of outcome a column is, and the regression that goes with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from carkinetics.errors import ConfigError, DataError
from carkinetics.response.bayes import Regression, Scale
from carkinetics.response.case import Case
from carkinetics.response.family import Binary, Continuous, Count, Family, Ordinal

MOST_GRADES = 7
FAMILIES = ("auto", "binary", "ordinal", "continuous", "count")


def kind_of(case: Case, family: str, intercept_sd: float) -> Family:
    """Family of an outcome.

    Parameters
    ----------
    case : Case
        With its outcome.
    family : str
        As of `fit_grade`.
    intercept_sd : float
        Prior standard deviation of an intercept on the log odds.

    Returns
    -------
    Family
        With the outcome's values.

    Raises
    ------
    DataError
        If the outcome is not of that kind.
    """
    column, label = case.answer["outcome"].infer_objects(), case.question.outcome
    ordered = isinstance(column.dtype, pd.CategoricalDtype) and column.cat.ordered
    if not (is_numeric_dtype(column) or is_bool_dtype(column) or ordered):
        raise DataError(
            f"{label} holds {column.iloc[0]!r}; write a comparison, such as \"{label} == '{column.iloc[0]}'\", or make it an ordered category"
        )
    found = _guess(column) if family == "auto" else family
    if found == "ordinal":
        shown = column.cat.remove_unused_categories() if ordered else column.astype(float).astype("category")
        names = [f"{level:g}" if isinstance(level, float) else str(level) for level in shown.cat.categories]
        if len(set(names)) < len(names):
            names = [repr(level) for level in shown.cat.categories]
        levels = tuple(names)
        if len(levels) < 2:
            raise DataError(
                f"{label} is {levels[0]} in all {len(column)} subjects; there is nothing to explain"
            )
        return Ordinal(shown.cat.codes.to_numpy(np.int64), levels, intercept_sd)
    y = (column.cat.codes if ordered else column).to_numpy(float)
    if not np.isfinite(y).all():
        raise DataError(f"{label} holds {y[~np.isfinite(y)][0]:g}; expected finite numbers")
    if found in ("continuous", "count") and len(np.unique(y)) < 2:
        raise DataError(f"{label} is {y[0]:g} in all {len(y)} subjects; there is nothing to explain")
    if found == "binary":
        if not np.isin(y, [0.0, 1.0]).all():
            raise DataError(
                f"{label} holds {y[~np.isin(y, [0, 1])][0]:g}; family 'binary' expects 0 or 1, or a comparison"
            )
        return Binary(y, intercept_sd)
    if found == "count" and ((y < 0) | (y != np.round(y))).any():
        raise DataError(f"{label} holds {y[(y < 0) | (y != np.round(y))][0]:g}; a count is a whole number from 0")  # fmt: skip
    return Count(y) if found == "count" else Continuous(y)


def _guess(column: pd.Series) -> str:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return "ordinal"
    y = column.to_numpy(float)
    if np.isin(y, [0.0, 1.0]).all():
        return "binary"
    return "ordinal" if np.isin(y, np.arange(MOST_GRADES)).all() else "continuous"


def regression_of(
    case: Case, family: Family, *, shape: str = "linear", slope_sd: float = 2.5, rows: Any = None
) -> Regression:
    """The regression of a case.

    Parameters
    ----------
    case : Case
        Exposures and what is adjusted for.
    family : Family
        With the outcome.
    shape : str
        ``"linear"`` or ``"emax"``.
    slope_sd : float
        Prior standard deviation of slopes.
    rows : ndarray of int, optional
        Position of the subject of each row of the family; one row each if not given.

    Returns
    -------
    Regression
        With priors.

    Raises
    ------
    ConfigError
        If an Emax shape is asked for without a logarithm.
    DataError
        If exposure, or something to adjust for, is the same in all.
    """
    if shape == "emax" and not case.question.log:
        raise ConfigError(f"shape='emax' is a sigmoid of log exposure: on='log({case.question.metric})'")
    known = {case.question.metric: np.exp(case.points) if case.question.log else case.points}
    for name, values in (known | {str(k): v.to_numpy() for k, v in case.others.items()}).items():
        if len(np.unique(values)) < 2:
            raise DataError(
                f"{name} is {values[0]:g} in all {len(values)} subjects; a slope needs two values"
            )
    others = case.others.to_numpy(float)
    others_scaled = (others - others.mean(axis=0)) / others.std(axis=0) if others.size else others
    if others.shape[1] > len(others) - 2:
        raise DataError(f"adjust: {others.shape[1]} columns for {len(others)} subjects are too many")
    if others.size and np.linalg.matrix_rank(others_scaled) < others.shape[1]:  # fmt: skip
        raise DataError(f"adjust: one of {', '.join(case.question.adjust)} is a combination of the others")
    unit = 1.0 if family.name != "continuous" else float(np.std(family.y)) or 1.0  # type: ignore[attr-defined]
    return Regression(
        family, Scale.of(case.points if case.samples is None else case.samples), others if rows is None else others[rows], case.question.adjust, shape, slope_sd, unit,
    )  # fmt: skip
