"""What the fit says of levels and parameters: of the fitted subjects, the typical one, new ones.

Conventions
-----------
A *curve* is the latent level, without residual error; a *measurement* has it. Draws are a random choice
of the posterior's (all chains), in one dimension ``draw``. An individual fit has one draw: its estimates.
A new subject has its own random effects, drawn from the same posterior draw as everything else about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from carkinetics.dataset.table import Dataset
from carkinetics.errors import ConfigError, did_you_mean
from carkinetics.fit.chosen import Draws, stacked_posterior, take_draws
from carkinetics.fit.course import subject_courses, typical_course
from carkinetics.fit.covariate import covariate_frame, covariate_values
from carkinetics.fit.inputs import known_inputs
from carkinetics.fit.result import Fit
from carkinetics.model.course import Course
from carkinetics.model.solve import FEW_SETS, curve
from carkinetics.model.spec import Model

Floats = NDArray[np.float64]


def individual_parameters(fit: Fit, n_draws: int | None = 200, seed: int = 1) -> dict[str, Floats]:
    """Parameters of the fitted subjects.

    Parameters
    ----------
    fit : Fit
        Hierarchical, or individual.
    n_draws : int or None
        Number of posterior draws; no more than there are, and None for all. An individual fit has one.
    seed : int
        Seed of the choice of draws.

    Returns
    -------
    dict of str to ndarray, shape (n_draws, n_subject)
        Every parameter of the model; NaN for a subject that an individual fit has no estimate of.
    """
    subjects = fit.data.subject_ids
    if fit.method == "individual":
        values = {}
        for name, parameter in fit.model.parameters.items():
            rows = fit.individual(name).set_index("subject")["median"].astype(float).reindex(subjects)
            values[name] = (
                np.full((1, len(subjects)), parameter.typical) if parameter.fixed else rows.to_numpy()[None]
            )
        return values
    draws = take_draws(fit, _at_most(fit, n_draws), seed)
    return _spread(draws.typical | draws.individual, len(subjects))


def _at_most(fit: Fit, n_draws: int | None) -> int | None:
    return n_draws if n_draws is None else min(n_draws, stacked_posterior(fit).sizes["sample"])


def _spread(values: Mapping[str, Floats], n_subjects: int) -> dict[str, Floats]:
    """Give parameters that are common to all subjects a subject axis."""
    return {
        name: value if value.ndim == 2 else np.repeat(value[:, None], n_subjects, axis=1)
        for name, value in values.items()
    }


def subject_levels(
    model: Model,
    data: Dataset,
    index: ArrayLike,
    time: ArrayLike,
    values: Mapping[str, Floats],
    output: str = "",
) -> Floats:
    """Latent levels of subjects, each with its own inputs and infusions.

    Parameters
    ----------
    model : Model
        What to predict with.
    data : Dataset
        Whose subjects, with their doses, events and measured inputs.
    index : array_like of int, shape (n,)
        Position of the subject among ``data.subjects`` for each level.
    time : array_like, shape (n,)
        Days since infusion of each level.
    values : mapping of str to ndarray, shape (n_draws or 1, n_subject)
        A value for every parameter.
    output : str
        Which output; the CAR-T level if empty.

    Returns
    -------
    ndarray, shape (n_draws, n)
        Levels.

    Raises
    ------
    DataError
        If the model needs the infused amount and a subject has none.
    """
    at, whose = np.asarray(time, dtype=float), np.asarray(index, dtype=np.intp)
    known = {**values, **{name: value[None] for name, value in known_inputs(model, data).items()}}
    if model.level is not None and not model.varying_inputs:
        return curve(model, at, {name: value[:, whose] for name, value in known.items()}, output)
    n_draws = max(len(value) for value in values.values())
    found = np.full((n_draws, len(at)), np.nan)
    solver = "compiled" if n_draws * len(data.subjects) > FEW_SETS else "scipy"
    courses = subject_courses(model, data)
    for members in _alike(courses, known):
        rows = np.flatnonzero(np.isin(whose, members))
        if len(rows):
            first, course = members[0], courses[members[0]]
            one = {name: value[:, first, None] for name, value in known.items()}
            days, place = np.unique(at[rows], return_inverse=True)
            levels = curve(
                model, days, one, output, infusions=course.infusions, series=course.series, solver=solver
            )
            found[:, rows] = levels[:, place]
    return found


def _alike(courses: Sequence[Course], values: Mapping[str, Floats]) -> list[list[int]]:
    """Subjects with the same values and infusions, for whom equations are solved once: without covariates all typical ones."""
    groups: dict[object, list[int]] = {}
    for i, course in enumerate(courses):
        own = b"".join(value[:, i].tobytes() for value in values.values())
        key = i if course.series else (course.infusions, own)
        groups.setdefault(key, []).append(i)
    return list(groups.values())


def individual_curves(
    fit: Fit,
    times: ArrayLike,
    n_draws: int | None = 200,
    seed: int = 1,
    *,
    subjects: Iterable[str] | None = None,
    output: str = "",
) -> xr.DataArray:
    """Latent level of fitted subjects.

    Parameters
    ----------
    fit : Fit
        Hierarchical, or individual (one draw: the estimates).
    times : array_like, shape (n_times,)
        Days since infusion.
    n_draws : int or None
        Number of posterior draws; no more than there are, and None for all.
    seed : int
        Seed of the choice of draws.
    subjects : iterable of str, optional
        Which, in this order; all if not given. Their curves are those that they have among all.
    output : str
        Which output of the model; the CAR-T level if empty.

    Returns
    -------
    xarray.DataArray, dims (draw, subject, time)
        Levels in the unit of the output.

    Raises
    ------
    ConfigError
        If there is no such subject.
    """
    return _subject_curves(fit, times, individual_parameters(fit, n_draws, seed), subjects, output)


def _subject_curves(
    fit: Fit, times: ArrayLike, values: Mapping[str, Floats], subjects: Iterable[str] | None, output: str
) -> xr.DataArray:
    time, known = np.atleast_1d(np.asarray(times, dtype=float)), fit.data.subject_ids
    ids = known if subjects is None else list(subjects)
    for subject in ids:
        if subject not in known:
            raise ConfigError(f"no subject {subject!r} in the fit{did_you_mean(subject, known)}")
    index = np.repeat([known.index(subject) for subject in ids], len(time))
    level = subject_levels(fit.model, fit.data, index, np.tile(time, len(ids)), values, output)
    coords = {"subject": ids, "time": time}
    shaped = level.reshape(-1, len(ids), len(time))
    return xr.DataArray(shaped, dims=("draw", "subject", "time"), coords=coords, name="level")


def typical_curve(
    fit: Fit,
    times: ArrayLike,
    n_draws: int | None = 200,
    seed: int = 1,
    *,
    by_subject: bool = False,
    subjects: Iterable[str] | None = None,
    output: str = "",
) -> xr.DataArray:
    """Latent level of a subject without random effects.

    Parameters
    ----------
    fit : Fit
        Hierarchical.
    times : array_like, shape (n_times,)
        Days since infusion.
    n_draws : int or None
        Number of posterior draws; no more than there are, and None for all.
    seed : int
        Seed of the choice of draws.
    by_subject : bool
        With each subject's covariates, inputs and infusions, instead of centred covariates, default inputs and
        one infusion of the median dose.
    subjects : iterable of str, optional
        Whose, ``by_subject``; all if not given.
    output : str
        Which output of the model; the CAR-T level if empty.

    Returns
    -------
    xarray.DataArray, dims (draw, time) or (draw, subject, time)
        Levels in the unit of the output.

    Raises
    ------
    FitError
        If the fit has no posterior.
    ConfigError
        If there is no such subject.
    """
    draws = take_draws(fit, _at_most(fit, n_draws), seed)
    if by_subject:
        return _subject_curves(fit, times, typical_parameters(fit, draws, fit.data), subjects, output)
    time = np.atleast_1d(np.asarray(times, dtype=float))
    values = {name: value[:, None] for name, value in draws.typical.items()}
    values |= {name: np.full((1, 1), entry.default) for name, entry in fit.model.inputs.items()}
    infusions = typical_course(fit.model, fit.data).infusions
    level = curve(fit.model, time, values, output, infusions=infusions)
    return xr.DataArray(level, dims=("draw", "time"), coords={"time": time}, name="level")


def new_subjects(
    fit: Fit, n: int | None = None, *, data: Dataset | None = None, n_draws: int | None = 300, seed: int = 1
) -> xr.Dataset:
    """Parameters of subjects that were not in the fit.

    Parameters
    ----------
    fit : Fit
        Hierarchical.
    n : int, optional
        Number of subjects, with centred covariates. If not given: one for each subject of ``data``,
        with its covariates.
    data : Dataset, optional
        Whose covariates; the fitted data if not given.
    n_draws : int or None
        Number of posterior draws; beyond what the posterior holds, draws are used again with new
        random effects. None for all.
    seed : int
        Seed of the choice of draws and of the random effects.

    Returns
    -------
    xarray.Dataset
        One variable per parameter, dims (draw, subject), on the natural scale.

    Raises
    ------
    FitError
        If the fit has no posterior.
    ConfigError
        If ``n`` and ``data`` are both given, or ``n`` is below 1.
    """
    if n is not None and (data is not None or n < 1):
        raise ConfigError(f"new_subjects: n is {n}; expected 1 or more, or data= instead of n=")
    draws = take_draws(fit, n_draws, seed)
    rng = np.random.default_rng([seed, 1])
    if n is None:
        source = data or fit.data
        subjects, centre = source.subject_ids, typical_parameters(fit, draws, source)
    else:
        subjects, centre = [f"new {i + 1}" for i in range(n)], _spread(draws.typical, n)
    values = add_random_effects(fit.model, draws, centre, rng)
    return xr.Dataset(
        {name: (("draw", "subject"), value) for name, value in values.items()}, coords={"subject": subjects}
    )


def typical_parameters(fit: Fit, draws: Draws, data: Dataset) -> dict[str, Floats]:
    """Parameters without random effects, at each subject's covariates; those of the first class where there are two.

    Parameters
    ----------
    fit : Fit
        Hierarchical.
    draws : Draws
        Of this fit.
    data : Dataset
        Whose subjects.

    Returns
    -------
    dict of str to ndarray, shape (n_draws, n_subject)
        Every parameter of the model.

    Raises
    ------
    DataError
        If the data lack a covariate of the fit.
    """
    values = _spread(draws.typical, len(data.subjects))
    for covariate in fit.settings.get("covariates", []):
        parameter = fit.model.parameters[covariate["parameter"]]
        if data is fit.data:
            x = fit.tree["constant_data"][covariate["name"]].to_numpy()
        else:
            where = f"covariates of {parameter.name}"
            x = covariate_values(covariate_frame(data), covariate["text"], where) - covariate["centre"]
        free = parameter.to_free(values[parameter.name]) + draws.slopes[covariate["name"]][:, None] * x
        values[parameter.name] = parameter.from_free(free)
    return values


def add_random_effects(
    model: Model, draws: Draws, centre: Mapping[str, Floats], rng: np.random.Generator
) -> dict[str, Floats]:
    """Parameters with new random effects, and new classes where there are two.

    Parameters
    ----------
    model : Model
        Whose free scales.
    draws : Draws
        With the spread and the correlation of the effects.
    centre : mapping of str to ndarray, shape (n_draws, n_subject)
        Parameters without random effects.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    dict of str to ndarray, shape (n_draws, n_subject)
        The same parameters, on the natural scale.
    """
    values = dict(centre)
    shape = next(iter(values.values())).shape
    normal = {name: rng.standard_normal(shape) for name in draws.omega}
    if draws.correlated:
        independent = np.stack([normal[name] for name in draws.correlated], axis=-1)
        together = np.einsum("dij,dsj->dsi", np.linalg.cholesky(draws.correlation), independent)
        normal |= {name: together[..., i] for i, name in enumerate(draws.correlated)}
    mixture = draws.mixture
    member = rng.random(shape) < draws.share[:, None] if mixture else np.zeros(shape, dtype=bool)
    for name, omega in draws.omega.items():
        parameter, away = model.parameters[name], omega[:, None] * normal[name]
        if mixture and name in mixture.shifts:
            away = away + draws.slopes[mixture.shift_name(name)][:, None] * member
        values[name] = parameter.from_free(parameter.to_free(values[name]) + away)
    return values
