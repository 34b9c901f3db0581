"""How dose level, product or patient move a parameter.

A covariate is written as text over the columns of ``data.subjects`` (and ``dose``, the first infusion):
``"log(dose / 1e6)"``, ``"age"``, ``"sex == 'F'"``. Its effect adds to the parameter on the free scale, so for a
log parameter a slope on a log is an exponent. A covariate whose values do not include 0 is centred at its
mean over the subjects, which is stated as ``centre``; one that does is used as written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from carkinetics.dataset.table import Dataset
from carkinetics.errors import ConfigError, DataError
from carkinetics.model.expression import NUMPY, evaluate, parse
from carkinetics.model.prior import Prior
from carkinetics.model.spec import Model


@dataclass(frozen=True, eq=False)
class Covariate:
    """One covariate effect on one parameter.

    Parameters
    ----------
    parameter : str
        What it moves.
    text : str
        As written by the user.
    centred : ndarray, shape (n_subject,)
        Its values, less the centre.
    centre : float
        What was subtracted.
    prior : Prior
        For the slope, on the free scale of the parameter; always normal.
    """

    parameter: str
    text: str
    centred: NDArray[np.float64]
    centre: float
    prior: Prior

    @property
    def name(self) -> str:
        """Name of the slope, such as ``cmax_on_log_dose``."""
        return f"{self.parameter}_on_{re.sub(r'[^0-9A-Za-z]+', '_', self.text).strip('_')}"


def read_covariates(
    model: Model, data: Dataset, requested: Mapping[str, Any] | None
) -> tuple[Covariate, ...]:
    """Evaluate the covariates that a fit asks for.

    Parameters
    ----------
    model : Model
        Whose parameters they move.
    data : Dataset
        Whose subjects carry them.
    requested : mapping or None
        By parameter: a text, a list of texts, or a mapping of text to prior of the slope,
        ``{"cmax": {"log(dose)": {"dist": "normal", "mean": 0.3, "sd": 0.4}}}``.

    Returns
    -------
    tuple of Covariate
        In the order of the request.

    Raises
    ------
    ConfigError
        If a parameter or a column does not exist, or the text is not an expression.
    DataError
        If a subject has no value: nothing is imputed in silence.
    """
    found = []
    frame = covariate_frame(data)
    for parameter, entry in (requested or {}).items():
        if model.require(parameter, "covariates").fixed:
            raise ConfigError(f"covariates: {parameter} is fixed; a covariate cannot move it")
        texts = (
            {entry: None}
            if isinstance(entry, str)
            else dict.fromkeys(entry)
            if not isinstance(entry, Mapping)
            else entry
        )
        for text, prior in texts.items():
            values = covariate_values(frame, text, f"covariates of {parameter}")
            centre = 0.0 if values.min() <= 0 <= values.max() else float(values.mean())
            chosen = (
                _default_prior(values)
                if prior is None
                else Prior.of(prior, f"prior of {parameter} on {text}")
            )
            if chosen.dist != "normal":
                raise ConfigError(
                    f"the slope of {parameter} on {text} may be negative: its prior must be normal, not {chosen.dist}"
                )
            found.append(Covariate(parameter, text, values - centre, centre, chosen))
    names = [covariate.name for covariate in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(
                f"covariates: two effects would both be called {name}; write one of them differently"
            )
    return tuple(found)


def _default_prior(values: NDArray[np.float64]) -> Prior:
    """A slope of some 1 on the free scale per unit of the covariate, or per SD where that is larger (age in years)."""
    return Prior(
        "normal",
        0.0,
        float(1 / max(1.0, values.std())),
        "default: a unit or an SD moves the parameter by less than e²",
    )


def covariate_frame(data: Dataset) -> pd.DataFrame:
    """Subject columns with the dose of the first infusion as ``dose``.

    Parameters
    ----------
    data : Dataset
        Whose subjects.

    Returns
    -------
    pandas.DataFrame
        One row per subject, in the order of ``data.subject_ids``.
    """
    dose = {} if "dose" in data.subjects else {"dose": data.first_dose().to_numpy()}
    return data.subjects.assign(**dose)


def covariate_values(frame: pd.DataFrame, text: str, where: str) -> NDArray[np.float64]:
    """Values of a covariate text, one per subject.

    Parameters
    ----------
    frame : pandas.DataFrame
        From `covariate_frame`.
    text : str
        For instance ``"log(dose)"``.
    where : str
        Place for error messages.

    Returns
    -------
    ndarray, shape (n_subject,)
        Finite numbers.

    Raises
    ------
    ConfigError
        If the text names no column, or compares what cannot be computed with.
    DataError
        If some subjects have no value.
    """
    columns: Iterable[str] = [c for c in frame.columns if c != "subject"]
    try:
        expression = parse(text, columns, where=where, words=True)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    known = {}
    missing = np.zeros(len(frame), dtype=bool)
    for name in expression.names():
        column = frame[name]
        missing |= column.isna().to_numpy()
        numeric = pd.api.types.is_numeric_dtype(column)
        known[name] = column.to_numpy(float) if numeric else column.astype(object).to_numpy()
    try:
        with np.errstate(all="ignore"):
            values = np.broadcast_to(
                np.asarray(evaluate(expression, known, NUMPY)).astype(float), len(frame)
            ).copy()
    except (TypeError, ValueError):
        raise ConfigError(
            f"{where} = {text!r} computes with text; compare it, as in \"sex == 'F'\""
        ) from None
    missing |= ~np.isfinite(values)
    if missing.any():
        named = (
            frame["subject"] if "subject" in frame else frame.index.to_series()
        )  # virtual patients have no names
        subjects = named[missing].astype(str).tolist()
        raise DataError(
            f"{where}: {text!r} has no value for {len(subjects)} subjects ({', '.join(subjects[:5])}); "
            "give the values or leave these subjects out by data.select(subjects=...)"
        )
    return values
