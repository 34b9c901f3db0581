"""A population that is taken for known: the typical values, omegas and residual errors of a model file."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from carkinetics.dataset.table import ASSAY_COLUMNS, OBSERVATION_COLUMNS, Dataset, typed_table
from carkinetics.errors import ConfigError
from carkinetics.escalation.arguments import number
from carkinetics.fit.result import PARAMETER_COLUMNS, Fit
from carkinetics.model.residual import residual_error
from carkinetics.model.spec import Model
from carkinetics.prognosis.asked import refuse_other


def known_population(model: Model, *, assay: str = "qpcr", lloq: float = np.nan) -> Fit:
    """A population without uncertainty, in the form of a fit.

    Parameters
    ----------
    model : Model
        Its typical values, omegas and residual standard deviation are taken as they are; a class of patients as the centre of its
        priors.
    assay : str
        How the assay of the CAR-T level is called in the data.
    lloq : float
        Of the assay, in the model's unit.

    Returns
    -------
    Fit
        Without subjects; its posterior is one point. Only what predicts new patients makes sense with it.

    Raises
    ------
    ConfigError
        If no parameter of the model has an omega.

    Examples
    --------
    >>> from carkinetics.model.library import load_model
    >>> known_population(load_model("stein2019")).method
    'hierarchical'
    """
    refuse_other(model, Model, "known_population")
    if not (isinstance(lloq, float) and np.isnan(lloq)):  # NaN: there is none
        number(lloq, "lloq", "known_population", above=0)
    if not isinstance(assay, str):
        raise ConfigError(f"known_population: assay is {assay!r}; expected a name")
    random = [name for name in model.free_parameters if model.parameters[name].omega]
    if not random:
        raise ConfigError(
            f"model {model.name} has no omega, so all its patients are alike; give omegas in its file, or use a fit"
        )
    output, error = model.output(), residual_error(model.error)
    point: dict[str, float] = {
        f"{name}_typical": model.parameters[name].typical for name in model.free_parameters
    }
    point |= {f"{name}_omega": float(model.parameters[name].omega or 0.0) for name in random}
    point |= dict.fromkeys(error.parameters, model.residual)
    if model.mixture:
        point[model.mixture.share_name] = model.mixture.share.centre
        point |= {
            model.mixture.shift_name(name): prior.centre for name, prior in model.mixture.shifts.items()
        }
    variables = {name: (("chain", "draw"), [[value]]) for name, value in point.items()}
    assays = typed_table([{"assay": assay, "unit": output.unit, "lloq": lloq, "lod": np.nan}], ASSAY_COLUMNS)
    data = Dataset(
        typed_table([], OBSERVATION_COLUMNS), pd.DataFrame({"subject": pd.Series(dtype="str")}), assays=assays,
        source=f"known population of {model.name}",
    )  # fmt: skip
    settings = {
        "method": "hierarchical", "known": True, "random": random, "correlated": [], "covariates": [],
        "requested_covariates": {}, "mixture": model.mixture.as_entry() if model.mixture else None, "blq": "M3",
        "assay": assay, "assays": {output.name: assay}, "error": error.name, "errors": {output.name: error.name},
    }  # fmt: skip
    parameters = pd.DataFrame(
        [{"subject": "", "parameter": name, "median": value} for name, value in point.items()],
        columns=list(PARAMETER_COLUMNS),
    )
    tree = xr.DataTree.from_dict({"posterior": xr.Dataset(variables)})
    return Fit(model, data, data.observations, parameters, tree, settings)
