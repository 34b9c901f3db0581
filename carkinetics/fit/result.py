"""Fit: the model, the data and what was learnt, whatever the engine.

Groups of ``fit.tree`` after a hierarchical fit
-----------------------------------------------
``posterior``             ``cmax_typical, cmax_omega, cmax_on_log_dose, sigma`` and, per subject, ``cmax``
``prior``                 the same population quantities, drawn from the prior
``posterior_predictive``  ``level``: new measurements of the fitted subjects, before censoring
``prior_predictive``      ``level``: the same from the prior
``log_likelihood``        ``obs`` per observation and ``subject`` summed per subject (given its parameters)
``sample_stats``          from the sampler, plus ``lp`` per draw
``observed_data``         ``value, lower, upper``
``constant_data``         ``time, lloq, subject_index`` and the covariates used

Dimensions are ``chain, draw, subject, obs``. All levels are in the unit of the data.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from carkinetics.dataset.table import TABLES, Dataset
from carkinetics.errors import DataError, FitError
from carkinetics.model.library import model_from_text
from carkinetics.model.mixture import Mixture
from carkinetics.model.spec import Model

INTERVAL = 0.90
PARAMETER_COLUMNS = (
    "subject", "parameter", "median", "lower", "upper", "sd", "rhat", "ess_bulk", "ess_tail", "unit",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Fit:
    """What was learnt from a dataset with a model.

    Parameters
    ----------
    model : Model
        As fitted, with its priors.
    data : Dataset
        As fitted: one assay.
    observations : pandas.DataFrame
        The rows that entered the likelihood, in the order of the dimension ``obs``.
    parameters : pandas.DataFrame
        Long: ``subject`` (empty for the population), ``parameter, median, lower, upper, sd, rhat,
        ess_bulk, ess_tail, unit``; an individual fit adds ``status, message, n_obs``.
    tree : xarray.DataTree
        Draws in ArviZ's groups; empty after an individual fit.
    settings : dict
        What was asked for and with which versions: everything that `load_fit` needs, as JSON values.
    """

    model: Model
    data: Dataset
    observations: pd.DataFrame
    parameters: pd.DataFrame
    tree: xr.DataTree = field(default_factory=xr.DataTree)
    settings: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        made = self.settings.get("method", "individual")
        return f"<Fit of {self.model.name}, {made}: {len(self.data.subjects)} subjects, {len(self.observations)} observations>"

    @property
    def method(self) -> str:
        """``"individual"`` or ``"hierarchical"``."""
        return str(self.settings["method"])

    @property
    def name(self) -> str:
        """What tells this fit from others: its name in a study, if it has one, and its model."""
        given = self.settings.get("name")
        return f"{given} ({self.model.name})" if given else self.model.name

    @property
    def pymc_model(self) -> Any:
        """The `pymc.Model` of a hierarchical fit, built anew.

        Raises
        ------
        FitError
            If the fit is not a hierarchical one.
        """
        if self.method != "hierarchical":
            raise FitError("an individual fit has no PyMC model; use fit_hierarchical")
        from carkinetics.fit.hierarchical import (
            rebuild_pymc_model,
        )  # the verb knows the noun, not the other way

        return rebuild_pymc_model(self)

    @property
    def mixture(self) -> Mixture | None:
        """The two classes of subjects that were fitted; None without."""
        asked = self.settings.get("mixture")
        return Mixture.of(asked) if asked else None

    def classes(self) -> pd.Series:
        """How probable it is that a subject is of the second class, where two were fitted.

        Returns
        -------
        pandas.Series
            By subject, named like the class.

        Raises
        ------
        FitError
            If the fit has no classes.
        """
        if self.mixture is None:
            raise FitError("this fit has no classes of subjects; fit with mixture=")
        name = self.mixture.name
        return self.tree["posterior"][name].mean(("chain", "draw")).to_series().rename(name)

    def population(self) -> pd.DataFrame:
        """Rows of `parameters` that belong to the population.

        Returns
        -------
        pandas.DataFrame
            Indexed by parameter.
        """
        rows = self.parameters[self.parameters["subject"] == ""]
        return rows.drop(columns="subject").set_index("parameter")

    def individual(self, parameter: str = "") -> pd.DataFrame:
        """Rows of `parameters` that belong to subjects.

        Parameters
        ----------
        parameter : str
            Only this one; all if empty.

        Returns
        -------
        pandas.DataFrame
            One row per subject and parameter.
        """
        rows = self.parameters[self.parameters["subject"] != ""]
        return rows[rows["parameter"] == parameter] if parameter else rows

    def save(self, path: str | Path) -> Path:
        """Write everything to one NetCDF file, which appears whole or not at all.

        Parameters
        ----------
        path : str or pathlib.Path
            For instance ``"runs/base.nc"``; its folder is made.

        Returns
        -------
        pathlib.Path
            The file.
        """
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=target.parent, suffix=".part")
        os.close(handle)
        try:
            tree = self.tree.copy()
            tree["carkinetics"] = xr.DataTree(_packed(self))
            encoding = {
                node.path: {
                    name: {"zlib": True, "complevel": 1}
                    for name, v in node.data_vars.items()
                    if v.dtype.kind == "f"
                }
                for node in tree.subtree
            }
            tree.to_netcdf(draft, engine="h5netcdf", encoding=encoding)
            os.chmod(draft, 0o644)  # a temporary file is its owner's alone; a fit is passed on
            os.replace(draft, target)
        finally:
            Path(draft).unlink(missing_ok=True)
        return target


def load_fit(path: str | Path) -> Fit:
    """Read what `Fit.save` wrote.

    Parameters
    ----------
    path : str or pathlib.Path
        A NetCDF file.

    Returns
    -------
    Fit
        Equal to the one that was saved.

    Raises
    ------
    DataError
        If the file is not a saved fit.
    """
    source = Path(path)
    if not source.is_file():
        raise DataError(f"no fit at {source}")
    try:
        tree = xr.load_datatree(source, engine="h5netcdf")
        packed = tree["carkinetics"].to_dataset()
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"{source} is not a fit saved by carkinetics: {error}") from None
    del tree["carkinetics"]
    tables = {name: _unpack(packed[name]) for name in (*TABLES, "fit_observations", "fit_parameters")}
    attrs = packed.attrs
    model = model_from_text(attrs["model_text"], attrs["model_name"], json.loads(attrs["model_changes"]))
    data = Dataset(**{name: tables[name] for name in TABLES}, source=attrs["data_source"])
    return Fit(
        model, data, tables["fit_observations"], tables["fit_parameters"], tree, json.loads(attrs["settings"])
    )


def _packed(fit: Fit) -> xr.Dataset:
    """Tables as Parquet bytes and the rest as JSON: exact, whatever their column types."""
    tables = {name: getattr(fit.data, name) for name in TABLES}
    tables |= {"fit_observations": fit.observations, "fit_parameters": fit.parameters}
    variables = {name: ((f"byte_{name}",), _pack(table)) for name, table in tables.items()}
    attrs = {
        "model_text": fit.model.text,
        "model_name": fit.model.name,
        "model_changes": json.dumps(fit.model.changes),
        "data_source": fit.data.source,
        "settings": json.dumps(fit.settings),
    }
    return xr.Dataset(variables, attrs=attrs)


def _pack(table: pd.DataFrame) -> np.ndarray:
    buffer = BytesIO()
    table.to_parquet(buffer)
    return np.frombuffer(buffer.getvalue(), dtype=np.uint8)


def _unpack(variable: xr.DataArray) -> pd.DataFrame:
    return pd.read_parquet(BytesIO(variable.to_numpy().tobytes()))
