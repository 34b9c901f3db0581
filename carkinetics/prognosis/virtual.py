"""Virtual patients of a population, densely sampled, of whom a schedule takes some samples: the same for every schedule."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from carkinetics.dataset.table import DOSE_COLUMNS, Dataset, typed_table
from carkinetics.errors import ConfigError
from carkinetics.exposure.curve_metrics import levels
from carkinetics.fit.chosen import take_draws
from carkinetics.fit.measured import measured_output
from carkinetics.fit.predictive import add_random_effects, typical_parameters
from carkinetics.fit.result import Fit
from carkinetics.model.observe import draw_values
from carkinetics.model.simulate import report_measurements
from carkinetics.prognosis.new_patient import Patient, PopulationDraws, make_patient, population_at
from carkinetics.prognosis.predicted import course_of, metric_draws, natural_values

Floats = NDArray[np.float64]
DOSE = 1e6  # cells/kg, where the population has no subjects to take a dose from
ROWS = 500  # draws of the population that a virtual patient's posterior is drawn from


@dataclass(frozen=True, eq=False)
class VirtualPatient:
    """One virtual patient.

    Parameters
    ----------
    data : Dataset
        One subject with samples on all days of all schedules.
    truth : dict of str to float
        Its metrics.
    population : PopulationDraws
        At its covariates.
    """

    data: Dataset
    truth: dict[str, float]
    population: PopulationDraws

    def sampled_on(self, fit: Fit, days: tuple[float, ...]) -> Patient:
        """The same patient with the samples of some days.

        Parameters
        ----------
        fit : Fit
            The population.
        days : tuple of float
            Which.

        Returns
        -------
        Patient
            As `carkinetics.prognosis.condition.condition` takes it.
        """
        assay = measured_output(fit).assay
        rows = self.data.observations
        keep = (rows["assay"] != assay) | rows["time"].isin(days)
        return make_patient(fit, self.data.select(observations=keep))


def virtual_patients(
    fit: Fit, n: int, days: tuple[float, ...], metrics: list[str], lloq: float, seed: int
) -> list[VirtualPatient]:
    """Draw patients of a population, each from another posterior draw, and measure them.

    Parameters
    ----------
    fit : Fit
        The population; covariates, doses and measured inputs are those of subjects drawn from its own.
    n : int
        How many.
    days : tuple of float
        On which they are sampled.
    metrics : list of str
        Whose true values are computed.
    lloq : float
        Of the assay.
    seed : int
        Of everything random.

    Returns
    -------
    list of VirtualPatient
        With residual error, and BLQ values below the LLOQ.
    """
    rng = np.random.default_rng([seed, 3])
    draws = take_draws(fit, n, seed)
    bodies = [_body(fit, i, rng) for i in range(n)]
    together = _joined(bodies)
    drawn = add_random_effects(fit.model, draws, typical_parameters(fit, draws, together), rng)
    one, model = measured_output(fit), fit.model
    population_draws = take_draws(fit, ROWS, seed + 1)
    found = []
    for i, body in enumerate(bodies):
        theta = np.array(
            [[float(model.parameters[p].to_free(drawn[p][i, i])) for p in model.free_parameters]]
        )
        values, course = natural_values(fit, theta, body), course_of(fit, body)
        level = levels(model, np.array([days]), values, course)[0]
        sigmas = {
            own: float(draws.sigmas[name][i])
            for own, name in zip(one.error.parameters, one.sigmas, strict=True)
        }
        value = draw_values(one.error, level, sigmas, rng)
        table = pd.DataFrame(
            {"subject": body.subject_ids[0], "assay": one.assay, "time": days, "value": value}
        )
        rows = report_measurements(table, lloq, np.nan, model.output().unit)
        data = replace(body, observations=pd.concat([rows, body.observations], ignore_index=True))
        truth = metric_draws(fit, values, metrics, lloq, course)
        found.append(
            VirtualPatient(
                data, {k: float(v[0]) for k, v in truth.items()}, population_at(fit, population_draws, data)
            )
        )
    return found


def _body(fit: Fit, i: int, rng: np.random.Generator) -> Dataset:
    """Covariates, doses, events and measured inputs of a subject of the fit, under a new name."""
    name, assays = f"virtual {i + 1}", fit.data.assays
    if not fit.data.subject_ids:
        dose = typed_table(
            [{"subject": name, "time": 0.0, "amount": DOSE, "unit": "cells/kg", "row": i}], DOSE_COLUMNS
        )
        return replace(fit.data, subjects=pd.DataFrame({"subject": [name]}), doses=dose, assays=assays)
    chosen = fit.data.select(subjects=[fit.data.subject_ids[rng.integers(len(fit.data.subject_ids))]])
    read = {entry.assay for entry in fit.model.inputs.values() if entry.varying}
    inputs = chosen.observations[chosen.observations["assay"].isin(read)]
    tables = {"observations": inputs, **{t: getattr(chosen, t) for t in ("subjects", "doses", "events")}}
    return replace(
        chosen, **{t: table.assign(subject=name).reset_index(drop=True) for t, table in tables.items()}
    )


def _joined(bodies: list[Dataset]) -> Dataset:
    names = ("observations", "subjects", "doses", "events")
    tables = {}
    for t in names:
        parts = [getattr(body, t) for body in bodies]
        filled = [part for part in parts if len(part)]
        tables[t] = pd.concat(filled, ignore_index=True) if filled else parts[0]
    return replace(bodies[0], **tables)


def refuse_schedule(name: str, days: tuple[float, ...]) -> None:
    """Refuse days that cannot be sampled on.

    Parameters
    ----------
    name : str
        Of the schedule.
    days : tuple of float
        Days since infusion.

    Raises
    ------
    ConfigError
        If they are not different numbers above 0: a sample of day 0 is taken before the infusion, and would tell nothing.
    """
    wrong = [day for day in days if not 0 < day < np.inf]
    if wrong or not days or len(set(days)) < len(days):
        raise ConfigError(
            f"schedule {name}: days are {list(days)}; expected different days after the infusion, above 0"
        )
