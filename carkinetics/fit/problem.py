"""What a fit is asked: rows, subjects, random effects, covariates and residual error, as arrays.

Every engine reads the same `Problem`, so that starting values, the PyMC model, log-likelihoods and
predictive checks cannot differ in which rows count or how a parameter is built.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from carkinetics.dataset.table import Dataset
from carkinetics.errors import ConfigError, DataError, did_you_mean
from carkinetics.fit.assays import choose_assays
from carkinetics.fit.between import read_mixture, read_random
from carkinetics.fit.covariate import Covariate, read_covariates
from carkinetics.fit.inputs import subject_inputs
from carkinetics.fit.layout import Layout, make_layout
from carkinetics.model.mixture import Mixture
from carkinetics.model.observe import log_likelihood, scaled_level
from carkinetics.model.residual import ResidualError, residual_error
from carkinetics.model.rows import Rows, joined_rows, likelihood_rows
from carkinetics.model.spec import Model


@dataclass(frozen=True, slots=True)
class Measured:
    """One output of the model, as one assay measures it.

    Parameters
    ----------
    output, assay : str
        Which output, and which assay of the data.
    error : ResidualError
        Residual error model.
    sigmas : tuple of str
        Names of its standard deviations in the fit: ``sigma`` for the first output, ``sigma_tumour`` for others.
    """

    output: str
    assay: str
    error: ResidualError
    sigmas: tuple[str, ...]

    def is_relative(self, sigma: str) -> bool:
        """Whether one of its standard deviations is that of a log or a share of the level, and has no unit.

        Parameters
        ----------
        sigma : str
            One of ``sigmas``.

        Returns
        -------
        bool
            False for an additive one.
        """
        relative = sigma.startswith("sigma_prop") or self.error.name == "proportional"
        return self.error.log_scale or relative


@dataclass(frozen=True, eq=False)
class Problem:
    """A model and the data it is fitted to, as arrays.

    Parameters
    ----------
    model : Model
        With priors in the unit of the data.
    data : Dataset
        The assays that are fitted, the first output's first.
    observations : pandas.DataFrame
        The rows that count, by subject and time.
    subject_index : ndarray of int, shape (n_obs,)
        Position of each row's subject in ``data.subject_ids``.
    output_index : ndarray of int, shape (n_obs,)
        Position of each row's output in ``measured``.
    time : ndarray, shape (n_obs,)
        Days since infusion.
    rows : Rows
        What each row means for the likelihood; its index arrays count within ``observations``.
    measured : tuple of Measured
        The outputs that are fitted.
    blq : str
        BLQ method.
    random : tuple of str
        Parameters that differ between subjects at random.
    correlated : tuple of str
        Those of them whose random effects are correlated.
    covariates : tuple of Covariate
        Covariate effects.
    mixture : Mixture or None
        Two classes of subjects; its shifts are of random parameters.
    inputs : dict of str to ndarray, shape (n_subject,)
        Declared inputs of the model that have one value per subject.
    """

    model: Model
    data: Dataset
    observations: pd.DataFrame
    subject_index: NDArray[np.intp]
    output_index: NDArray[np.intp]
    time: NDArray[np.float64]
    rows: Rows
    measured: tuple[Measured, ...]
    blq: str
    random: tuple[str, ...]
    correlated: tuple[str, ...]
    covariates: tuple[Covariate, ...]
    mixture: Mixture | None
    inputs: dict[str, NDArray[np.float64]]

    @cached_property
    def layout(self) -> Layout:
        """The same as arrays for compiled loops."""
        return make_layout(self)

    @property
    def error(self) -> ResidualError:
        """Residual error of the first output."""
        return self.measured[0].error

    @property
    def sigma_names(self) -> list[str]:
        """Names of all residual standard deviations."""
        return [name for one in self.measured for name in one.sigmas]

    @property
    def slope_names(self) -> list[str]:
        """Names of the covariates' slopes and of a class's shifts."""
        return [*(c.name for c in self.covariates), *self.shift_names.values()]

    @property
    def shift_names(self) -> dict[str, str]:
        """Name of a class's shift by parameter; empty without classes."""
        mixture = self.mixture
        return {name: mixture.shift_name(name) for name in mixture.shifts} if mixture else {}

    @property
    def n_subjects(self) -> int:
        """Number of subjects."""
        return len(self.data.subjects)

    @property
    def varying(self) -> list[str]:
        """Parameters that differ between subjects, at random or by a covariate, in model order."""
        moved = {*self.random, *(c.parameter for c in self.covariates)}
        return [name for name in self.model.parameters if name in moved]

    @property
    def common(self) -> list[str]:
        """Estimated parameters that are the same for everyone."""
        return [name for name in self.model.free_parameters if name not in self.varying]

    def shift(self, parameter: str, slopes: Mapping[str, Any]) -> Any:
        """Covariate effect on a parameter, free scale, shape (..., n_subject) or 0; without the class's."""
        effects = (
            np.asarray(slopes[c.name])[..., None] * c.centred
            for c in self.covariates
            if c.parameter == parameter
        )
        return sum(effects, start=np.float64(0.0))

    def sigma_scale(self, name: str) -> float:
        """Scale of the half-normal prior of a residual standard deviation.

        1 on the log scale and for a proportional error. For an additive one, which is in the unit of the data
        and has no natural scale, the median of the values.
        """
        number, one = next((k, m) for k, m in enumerate(self.measured) if name in m.sigmas)
        if one.is_relative(name):
            return 1.0
        upper = self.observations["upper"].to_numpy(float)[self.output_index == number]
        return float(np.median(upper[(upper > 0) & np.isfinite(upper)]))

    def level(self, values: Mapping[str, Any]) -> NDArray[np.float64]:
        """Predicted level of every row.

        Parameters
        ----------
        values : mapping
            Natural-scale values: shape (..., n_subject) for varying parameters, (...) for common ones.

        Returns
        -------
        ndarray, shape (..., n_obs)
            Levels; NaN where the equations could not be solved.
        """
        arrays = []
        for name in self.model.free_parameters:
            parameter = self.model.parameters[name]
            value = np.asarray(values.get(name, parameter.typical), dtype=float)
            value = value if name in self.varying else value[..., None]
            with np.errstate(divide="ignore"):
                arrays.append(np.asarray(parameter.to_free(value), dtype=float))
        shape = np.broadcast_shapes(*(a.shape for a in arrays), (self.n_subjects,))
        theta = np.stack([np.broadcast_to(a, shape) for a in arrays], axis=-1)
        predicted = self.layout.predict(theta.reshape(-1, self.n_subjects, len(arrays)))
        return self.natural(predicted).reshape(*shape[:-1], len(self.time))

    def natural(self, predicted: NDArray[np.float64]) -> NDArray[np.float64]:
        """Levels from predictions on the scales of the residual errors, in place; last axis over rows."""
        for number, one in enumerate(self.measured):
            if one.error.log_scale:
                at = self.output_index == number
                predicted[..., at] = np.exp(predicted[..., at])
        return predicted

    def log_likelihood(self, level: NDArray[np.float64], sigmas: Mapping[str, Any]) -> NDArray[np.float64]:
        """Log-likelihood of every row.

        Parameters
        ----------
        level : ndarray, shape (..., n_obs)
            Predicted levels.
        sigmas : mapping
            Residual standard deviations, shape (...).

        Returns
        -------
        ndarray, shape (..., n_obs)
            In the order of ``observations``.
        """
        total = np.empty(np.shape(level))
        for one, rows in self.parts():
            rowwise = {
                own: np.asarray(sigmas[name])[..., None]
                for own, name in zip(one.error.parameters, one.sigmas, strict=True)
            }
            scaled = scaled_level(one.error, level)
            found = log_likelihood(one.error, scaled, rows, rowwise)
            for at, part in zip(rows.kinds, found, strict=True):
                total[..., at] = part
        return total

    def parts(self) -> list[tuple[Measured, Rows]]:
        """Each output with its rows, whose index arrays count within ``observations``."""
        return [
            (one, self.rows.only(self.output_index == number)) for number, one in enumerate(self.measured)
        ]

    def by_subject(self, per_row: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum of a per-row quantity over each subject's rows, shape (..., n_subject)."""
        flat = per_row.reshape(-1, per_row.shape[-1])
        summed = np.array(
            [np.bincount(self.subject_index, weights=row, minlength=self.n_subjects) for row in flat]
        )
        return summed.reshape(*per_row.shape[:-1], self.n_subjects)


def make_problem(
    model: Model,
    data: Dataset,
    *,
    random: Iterable[str] | None = None,
    covariates: Mapping[str, Any] | None = None,
    blq: str = "M3",
    error: str | Mapping[str, str] | None = None,
    assay: str | Mapping[str, str] | None = None,
    correlated: Iterable[str] | bool = (),
    mixture: Mixture | Mapping[str, Any] | bool | None = None,
) -> Problem:
    """Check what a fit is asked and turn it into arrays.

    Parameters
    ----------
    model : Model
        What to fit.
    data : Dataset
        To what.
    random : iterable of str, optional
        Parameters with random effects; those with an omega in the model file if not given.
    covariates : mapping, optional
        See `carkinetics.fit.covariate.read_covariates`.
    blq : str
        BLQ method, ``"M1"`` to ``"M7"``.
    error : str or mapping, optional
        Residual error model, of the first output or by output; the model file's if not given.
    assay : str or mapping, optional
        Which assay measures the first output, or one by output; see `choose_assays`.
    correlated : iterable of str or bool
        Random effects with a full correlation matrix; True for all.
    mixture : Mixture, mapping or bool, optional
        Two classes of subjects (`carkinetics.model.mixture.Mixture.of`); the model file's if not given, none if False.

    Returns
    -------
    Problem
        Arrays.

    Raises
    ------
    ConfigError
        If a setting names something that does not exist, or the model is for simulation only.
    DataError
        If there is nothing to fit.
    UnitError
        If the data are in another unit than the model.
    """
    if model.simulation_only:
        raise ConfigError(
            f"model {model.name} is for simulation only: {model.simulation_only} To fit it all the same, remove "
            "simulation_only in a copy of its file"
        )
    measured = _measured(model, choose_assays(model, data, assay), error)
    chosen = _select(model, data, measured)
    effects, together = read_random(model, random, correlated)
    used, rows = used_rows(chosen, measured, blq)
    slopes = read_covariates(model, data, covariates)
    position = {subject: i for i, subject in enumerate(chosen.subject_ids)}
    number = {one.assay: k for k, one in enumerate(measured)}
    return Problem(
        model=model,
        data=chosen,
        observations=used,
        subject_index=np.asarray(used["subject"].map(position), dtype=np.intp),
        output_index=np.asarray(used["assay"].map(number), dtype=np.intp),
        time=used["time"].to_numpy(float),
        rows=rows,
        measured=measured,
        blq=blq,
        random=effects,
        correlated=together,
        covariates=slopes,
        mixture=read_mixture(model, effects, together, slopes, mixture),
        inputs=subject_inputs(model, data),
    )


def _select(model: Model, data: Dataset, measured: Iterable[Measured]) -> Dataset:
    """The fitted assays, the first output's first, and those that measure an input of the model."""
    fitted = [one.assay for one in measured]
    series = [e.assay for e in model.inputs.values() if e.assay in set(data.assays["assay"]) - set(fitted)]
    names = list(dict.fromkeys([*fitted, *series]))
    chosen = data.select(assay=names)
    ordered = chosen.assays.set_index("assay").loc[names].reset_index()[list(chosen.assays.columns)]
    return replace(chosen, assays=ordered)


def _measured(
    model: Model, assays: Mapping[str, str], error: str | Mapping[str, str] | None
) -> tuple[Measured, ...]:
    first = next(iter(model.outputs))
    asked = {first: error} if isinstance(error, str) else dict(error or {})
    for name in asked:
        if name not in assays:
            raise ConfigError(f"error: {name!r} is not a fitted output{did_you_mean(name, assays)}")
    found = []
    for output, assay in assays.items():
        residual = residual_error(asked.get(output, model.outputs[output].error))
        tail = "" if output == first else f"_{output}"
        found.append(
            Measured(output, assay, residual, tuple(f"{name}{tail}" for name in residual.parameters))
        )
    return tuple(found)


def used_rows(data: Dataset, measured: tuple[Measured, ...], blq: str) -> tuple[pd.DataFrame, Rows]:
    """Rows that enter the likelihood, each assay's BLQ values treated by themselves, by subject and time.

    Parameters
    ----------
    data : Dataset
        With the assays of ``measured``.
    measured : tuple of Measured
        The outputs, each with at least one row that counts.
    blq : str
        BLQ method.

    Returns
    -------
    tuple of (pandas.DataFrame, Rows)
        The observations, and what each means.

    Raises
    ------
    DataError
        If an output has none.
    """
    tables, parts = [], []
    for one in measured:
        table = data.observations[data.observations["assay"] == one.assay]
        rows = likelihood_rows(table, blq, one.error)
        if not len(rows.used):
            raise DataError(
                f"{data.source or 'the data'}: no observation of {one.assay!r} is left to fit the output "
                f"{one.output!r}; leave it out, or check its values and limits"
            )
        tables.append(table.iloc[rows.used])
        parts.append(rows)
    together = pd.concat(tables, ignore_index=True)
    place = {subject: i for i, subject in enumerate(data.subject_ids)}
    keys = together["time"].to_numpy(float), together["subject"].map(place).to_numpy()
    order = np.lexsort(keys)  # by subject, then time; stable, so that outputs keep their order
    return together.iloc[order].reset_index(drop=True), joined_rows(parts, order)
