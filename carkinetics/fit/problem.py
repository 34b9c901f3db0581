"""What a fit is asked: rows, subjects, random effects, covariates and residual error, as arrays.

Every engine reads the same `Problem`, so that starting values, the PyMC model, log-likelihoods and
predictive checks cannot differ in which rows count or how a parameter is built.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from carkinetics.dataset.table import Dataset
from carkinetics.errors import ConfigError, DataError, UnitError
from carkinetics.fit.covariate import Covariate, read_covariates
from carkinetics.model.observe import ResidualError, Rows, likelihood_rows, log_likelihood, residual_error
from carkinetics.model.solve import curve
from carkinetics.model.spec import Model


@dataclass(frozen=True, eq=False)
class Problem:
    """A model and the data it is fitted to, as arrays.

    Parameters
    ----------
    model : Model
        With priors in the unit of the data.
    data : Dataset
        One assay.
    observations : pandas.DataFrame
        The rows that count, in the order of ``rows.used``.
    subject_index : ndarray of int, shape (n_obs,)
        Position of each row's subject in ``data.subject_ids``.
    time : ndarray, shape (n_obs,)
        Days since infusion.
    rows : Rows
        What each row means for the likelihood; its index arrays count within ``observations``.
    error : ResidualError
        Residual error model.
    blq : str
        BLQ method.
    random : tuple of str
        Parameters that differ between subjects at random.
    correlated : tuple of str
        Those of them whose random effects are correlated.
    covariates : tuple of Covariate
        Covariate effects.
    inputs : dict of str to ndarray, shape (n_subject,)
        Declared inputs of the model.
    """

    model: Model
    data: Dataset
    observations: pd.DataFrame
    subject_index: NDArray[np.intp]
    time: NDArray[np.float64]
    rows: Rows
    error: ResidualError
    blq: str
    random: tuple[str, ...]
    correlated: tuple[str, ...]
    covariates: tuple[Covariate, ...]
    inputs: dict[str, NDArray[np.float64]]

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
        """Covariate effect on a parameter, free scale, shape (..., n_subject) or 0."""
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
        if self.error.log_scale or name == "sigma_prop" or self.error.name == "proportional":
            return 1.0
        upper = self.observations["upper"].to_numpy(float)
        return float(np.median(upper[upper > 0]))

    def level(self, values: Mapping[str, Any]) -> NDArray[np.float64]:
        """Predicted level of every row.

        Parameters
        ----------
        values : mapping
            Natural-scale values: shape (..., n_subject) for varying parameters, (...) for common ones.

        Returns
        -------
        ndarray, shape (..., n_obs)
            Levels.
        """
        varying = set(self.varying)
        rowwise: dict[str, Any] = {}
        for name, parameter in self.model.parameters.items():
            value = np.asarray(values.get(name, parameter.typical), dtype=float)
            rowwise[name] = value[..., self.subject_index] if name in varying else value[..., None]
        rowwise |= {name: value[self.subject_index] for name, value in self.inputs.items()}
        return curve(self.model, self.time, rowwise)

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
        rowwise = {name: np.asarray(value)[..., None] for name, value in sigmas.items()}
        parts = log_likelihood(self.error, level, self.rows, rowwise)
        total = np.empty(np.shape(level))
        for at, part in zip((self.rows.exact, self.rows.left, self.rows.between), parts, strict=True):
            total[..., at] = part
        return total

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
    error: str | None = None,
    assay: str | None = None,
    correlated: Iterable[str] | bool = (),
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
    error : str, optional
        Residual error model; the model file's if not given.
    assay : str, optional
        Needed when more than one assay has the model's unit.
    correlated : iterable of str or bool
        Random effects with a full correlation matrix; True for all.

    Returns
    -------
    Problem
        Arrays.

    Raises
    ------
    ConfigError
        If a setting names something that does not exist.
    DataError
        If there is nothing to fit.
    UnitError
        If the data are in another unit than the model.
    """
    one = choose_assay(model, data, assay)
    chosen = (
        [n for n in model.free_parameters if model.parameters[n].omega] if random is None else list(random)
    )
    for name in chosen:
        if model.require(name, "random").fixed:
            raise ConfigError(
                f"random: {name} is fixed at {model.parameters[name].typical:g}; it cannot vary"
            )
    together = chosen if correlated is True else list(correlated or ())
    for name in together:
        if name not in chosen:
            raise ConfigError(
                f"correlated: {name} has no random effect; random is {', '.join(chosen) or 'empty'}"
            )
    if len(together) == 1:
        raise ConfigError(
            f"correlated: {together[0]} alone cannot be correlated; name at least two parameters"
        )
    residual = residual_error(error or model.error)
    rows = likelihood_rows(one.observations, blq, residual)
    if not len(rows.used):
        raise DataError(
            f"{one.source or 'the data'}: no observation of {one.assays['assay'].iloc[0]!r} is left to fit"
        )
    used = one.observations.iloc[rows.used].reset_index(drop=True)
    position = {subject: i for i, subject in enumerate(one.subject_ids)}
    order = list(model.parameters)
    return Problem(
        model=model,
        data=one,
        observations=used,
        subject_index=np.asarray(used["subject"].map(position), dtype=np.intp),
        time=used["time"].to_numpy(float),
        rows=rows,
        error=residual,
        blq=blq,
        random=tuple(sorted(set(chosen), key=order.index)),
        correlated=tuple(sorted(set(together), key=order.index)),
        covariates=read_covariates(model, one, covariates),
        inputs=subject_inputs(model, one),
    )


def choose_assay(model: Model, data: Dataset, assay: str | None = None) -> Dataset:
    """The part of the data that the model's level describes.

    Parameters
    ----------
    model : Model
        Whose unit must be met.
    data : Dataset
        One or several assays.
    assay : str, optional
        Which.

    Returns
    -------
    Dataset
        One assay.

    Raises
    ------
    DataError
        If there is none, or a choice is needed.
    UnitError
        If the units differ: levels of different assays are never converted in silence.
    """
    if assay is None:
        fitting = data.assays.loc[data.assays["unit"] == model.value_unit, "assay"].tolist()
        if len(fitting) > 1:
            raise DataError(
                f"assays {', '.join(fitting)} are all in {model.value_unit}; choose one by assay="
            )
        if not fitting:
            units = ", ".join(f"{a.assay} in {a.unit}" for a in data.assays.itertuples())
            raise UnitError(
                f"model {model.name} is in {model.value_unit}, the data hold {units or 'no assay'}; use "
                f'model.in_unit("...", cmax={{"dist": "lognormal", "median": ..., "sigma": ...}}), which asks '
                "for priors in the unit of the data"
            )
        assay = fitting[0]
    if data.unit(assay) != model.value_unit:
        raise UnitError(
            f"assay {assay!r} is in {data.unit(assay)}, model {model.name} in {model.value_unit}; see model.in_unit"
        )
    return data.select(assay=assay)


def subject_inputs(model: Model, data: Dataset) -> dict[str, NDArray[np.float64]]:
    """Declared inputs of the model, one value per subject.

    Parameters
    ----------
    model : Model
        Whose inputs.
    data : Dataset
        Whose events.

    Returns
    -------
    dict of str to ndarray, shape (n_subject,)
        The time of each subject's first such event, or the input's default.
    """
    found = {}
    for name, entry in model.inputs.items():
        events = data.events[data.events["event"] == entry.event]
        first = events.groupby("subject")["time"].min().reindex(data.subject_ids)
        found[name] = np.asarray(first.astype(float).fillna(entry.default), dtype=float)
    return found
