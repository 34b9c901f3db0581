"""Curves at draws of the kinetics, and the draws of a cytokine that was fitted at each of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from carkinetics.dataset.table import Dataset, is_above, is_censored
from carkinetics.errors import FitError
from carkinetics.fit import Fit
from carkinetics.fit.chosen import Draws, take_draws
from carkinetics.fit.predictive import individual_curves
from carkinetics.model.spec import Model
from carkinetics.response.turnover import N_KNOTS, place_knots

Floats = NDArray[np.float64]
BAND_DRAWS = 200  # of the kinetics, for the curve that is shown
GRID = 0.05  # days, of the kinetic curve
PEAK_GRID = 0.1
BEYOND = 7.0  # days after the last sample of the cytokine, for a cytokine that is ahead of its driver


@dataclass(frozen=True, eq=False)
class KineticDraws:
    """What the kinetic posterior says of the subjects' curves.

    Parameters
    ----------
    time, peak_time : ndarray, shape (n_time,), (n_peak_time,)
        Days, fine for the driver and less so for what is shown.
    level : ndarray, shape (n_draws, n_subject, n_peak_time)
        CAR-T level.
    driver : ndarray, shape (n_draws, n_subject, n_time)
        What releases the cytokine.
    band : ndarray, shape (n_band, n_subject, n_peak_time)
        Levels at more draws, for a smooth band.
    """

    time: Floats
    peak_time: Floats
    level: Floats
    driver: Floats
    band: Floats

    @classmethod
    def of(cls, fit: Fit, data: Dataset, driver: str, n_draws: int, seed: int) -> KineticDraws:
        """Curves of the subjects of ``data`` at draws of a kinetic fit.

        Parameters
        ----------
        fit : Fit
            Of the CAR-T level.
        data : Dataset
            The cytokine, of subjects of the fit.
        driver : {"level", "expansion"}
            The level, or how fast it rises.
        n_draws, seed : int
            How many draws, and the seed of their choice.

        Returns
        -------
        KineticDraws
            To some days after the last sample of the cytokine.

        Raises
        ------
        FitError
            If a curve cannot be computed.
        """
        last = np.ceil(float(data.observations["time"].max())) + BEYOND
        time = np.arange(0.0, last + GRID / 2, GRID)
        curves = individual_curves(fit, time, n_draws, seed).sel(subject=data.subject_ids)
        level = curves.to_numpy()
        if not np.isfinite(level).all():
            bad = data.subject_ids[int(np.flatnonzero(~np.isfinite(level).all(axis=(0, 2)))[0])]
            raise FitError(
                f"fit_marker: the CAR-T level of subject {bad} cannot be computed at a posterior draw"
            )
        moves = level if driver == "level" else np.maximum(np.gradient(level, time, axis=2), 0.0)
        every = round(PEAK_GRID / GRID)
        band = (
            individual_curves(fit, time[::every], BAND_DRAWS, seed).sel(subject=data.subject_ids).to_numpy()
        )
        return cls(time, time[::every], level[..., ::every], moves, band)

    def datasets(self, data: Dataset, half: float) -> list[Dataset]:
        """Give the subjects one draw's curves as inputs of the turnover model.

        Parameters
        ----------
        data : Dataset
            The cytokine.
        half : float
            See `carkinetics.response.turnover.place_knots`.

        Returns
        -------
        list of Dataset
            One per draw.
        """
        knots, levels = place_knots(self.time, self.driver, half)
        found = []
        for knot, level in zip(knots, levels, strict=True):
            columns = {f"knot_{j}": knot[:, j] for j in range(N_KNOTS)}
            columns |= {f"driver_{j}": level[:, j] for j in range(N_KNOTS)}
            found.append(replace(data, subjects=data.subjects.assign(**columns)))
        return found


class PooledDraws:
    """Draws of all the cytokine's fits, together.

    Parameters
    ----------
    fits : tuple of Fit
        One per kinetic draw.
    kinetics : KineticDraws
        The curves that they were fitted on.
    draws, seed : int
        Draws to take of each, and the seed of their choice.
    interval : float
        Probability of the intervals.
    """

    def __init__(
        self, fits: tuple[Fit, ...], kinetics: KineticDraws, draws: int, seed: int, interval: float
    ) -> None:
        self.interval, self.time, self.ids = interval, kinetics.peak_time, fits[0].data.subject_ids
        courses = [individual_curves(one, self.time, draws, seed).to_numpy() for one in fits]
        # The same seed takes the draws of the curves.
        taken = [take_draws(one, len(course), seed) for one, course in zip(fits, courses, strict=True)]
        self.marker, self.band = np.concatenate(courses), kinetics.band
        car = np.repeat(self.time[kinetics.level.argmax(axis=2)], [len(course) for course in courses], axis=0)
        peak = self.time[self.marker.argmax(axis=2)]
        self.values = {
            "car_peak_day": car,
            "peak_day": peak,
            "lag": peak - car,
            "peak": self.marker.max(axis=2),
        }
        self.values["fold"] = self.values["peak"] / np.concatenate([one.individual["base"] for one in taken])
        parts = [_population(one, fits[0].model).assign(kinetic_draw=k) for k, one in enumerate(taken)]
        middle = {name: np.median(self.values[name], axis=1) for name in ("lag", "fold")}
        self.population = pd.concat(parts, ignore_index=True).assign(**middle)

    def summary(self, draws: Floats) -> Floats:
        """Median and equal-tailed interval over draws, shape (3, ...)."""
        return np.quantile(draws, [0.5, (1 - self.interval) / 2, (1 + self.interval) / 2], axis=0)

    def table(self, model: Model) -> pd.DataFrame:
        """Values of the population, and how much of their variance lies between kinetic draws."""
        rows = {}
        for name in self.population.columns.drop("kinetic_draw"):
            groups = self.population.groupby("kinetic_draw")[name]
            between, within = groups.mean().var(ddof=1), groups.var(ddof=1).mean()
            missing = between / (between + within) if between + within > 0 else 0.0
            rows[name] = (*self.summary(self.population[name].to_numpy()), _unit(name, model), missing)
        columns = ["value", "lower", "upper", "unit", "missing"]
        return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("parameter")

    def subjects(self, data: Dataset) -> pd.DataFrame:
        """Samples, days of the peaks, lag and fold rise of each subject."""
        rows = data.observations.assign(
            below=is_censored(data.observations), above=is_above(data.observations)
        )
        counts = rows.groupby("subject").agg(
            n=("time", "size"), n_blq=("below", "sum"), n_above=("above", "sum")
        )
        found = counts.reindex(self.ids, fill_value=0)
        for name, draws in self.values.items():
            found[name], found[f"{name}_lower"], found[f"{name}_upper"] = self.summary(draws)
        return found.rename_axis("subject")

    def curve(self) -> pd.DataFrame:
        """Median and interval of level and cytokine over time."""
        columns = {
            f"{name}{tail}": part.ravel()
            for name, draws in (("marker", self.marker), ("car", self.band))
            for tail, part in zip(("", "_lower", "_upper"), self.summary(draws), strict=True)
        }
        index = {"subject": np.repeat(self.ids, len(self.time)), "time": np.tile(self.time, len(self.ids))}
        return pd.DataFrame(index | columns)


def _population(draws: Draws, model: Model) -> pd.DataFrame:
    omegas = {f"{name}_omega": values for name, values in draws.omega.items()}
    return pd.DataFrame({name: draws.typical[name] for name in model.free_parameters} | omegas | draws.sigmas)


def _unit(name: str, model: Model) -> str:
    """Unit of a population value; a standard deviation is on the free scale of its parameter."""
    if name == "lag":
        return "day"
    of = model.parameters.get(name.removesuffix("_omega"))
    return of.unit if of and (of.name == name or of.transform == "identity") else "1"
