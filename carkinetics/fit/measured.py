"""Which output of a fit's model was measured by which assay, with which residual error, in which rows."""

from __future__ import annotations

from typing import Any

import pandas as pd

from carkinetics.dataset.table import Dataset
from carkinetics.errors import ConfigError, did_you_mean
from carkinetics.fit.problem import Measured
from carkinetics.fit.result import Fit
from carkinetics.model.residual import residual_error


def measured_outputs(fit: Fit) -> list[Measured]:
    """The outputs that were fitted, the CAR-T level first.

    Parameters
    ----------
    fit : Fit
        Any fit.

    Returns
    -------
    list of Measured
        Assay and residual error of each.
    """
    settings: dict[str, Any] = fit.settings
    first = fit.model.output().name
    only = settings.get("assay") or str(fit.data.assays["assay"].iloc[0])
    errors = settings.get("errors", {first: settings["error"]})
    found = []
    for output, assay in settings.get("assays", {first: only}).items():
        error = residual_error(errors[output])
        tail = "" if output == first else f"_{output}"
        found.append(Measured(output, assay, error, tuple(f"{name}{tail}" for name in error.parameters)))
    return found


def measured_output(fit: Fit, output: str = "") -> Measured:
    """How one output was measured.

    Parameters
    ----------
    fit : Fit
        Any fit.
    output : str
        Which output; the CAR-T level if empty.

    Returns
    -------
    Measured
        Its assay and residual error.

    Raises
    ------
    ConfigError
        If the output does not exist, or was not fitted.
    """
    wanted = fit.model.output(output).name
    known = {one.output: one for one in measured_outputs(fit)}
    if wanted not in known:
        raise ConfigError(
            f"output {wanted!r} of {fit.model.name} was not fitted, as no assay measures it"
            f"{did_you_mean(wanted, known)}"
        )
    return known[wanted]


def fitted_rows(fit: Fit, output: str = "") -> pd.DataFrame:
    """Fitted observations of one output.

    Parameters
    ----------
    fit : Fit
        Any fit.
    output : str
        Which output; the CAR-T level if empty.

    Returns
    -------
    pandas.DataFrame
        Rows of ``fit.observations``, whose index says which.

    Raises
    ------
    ConfigError
        If the output does not exist, or was not fitted.
    """
    return fit.observations[fit.observations["assay"] == measured_output(fit, output).assay]


def fitted_data(fit: Fit, output: str = "") -> Dataset:
    """The data of one output, with the rows that do not enter a likelihood.

    Parameters
    ----------
    fit : Fit
        Any fit.
    output : str
        Which output; the CAR-T level if empty.

    Returns
    -------
    Dataset
        One assay.

    Raises
    ------
    ConfigError
        If the output does not exist, or was not fitted.
    """
    return fit.data.select(assay=measured_output(fit, output).assay)
