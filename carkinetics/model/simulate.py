"""Virtual subjects: a model and a design → a Dataset, with the truth beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from carkinetics.dataset.table import (
    BELOW_LLOQ,
    CAR,
    EVENT_COLUMNS,
    MARKER,
    NOT_DETECTED,
    PREDOSE,
    QUANTIFIED,
    Dataset,
    typed_table,
)
from carkinetics.errors import ConfigError, did_you_mean
from carkinetics.model.observe import draw_values
from carkinetics.model.residual import residual_error
from carkinetics.model.series import Series
from carkinetics.model.solve import FEW_SETS, complete_values, curve
from carkinetics.model.spec import Model


@dataclass(frozen=True)
class SamplingDesign:
    """When and how a virtual subject is measured.

    Parameters
    ----------
    times : tuple of float
        Days since infusion.
    lloq, lod : float
        Limits of the assay in the output's unit; without a LOD every BLQ value is just below the LLOQ.
    doses : tuple of float
        Dose per subject, recycled; only the design of the CAR-T level is asked.
    dose_unit : str
        ``"cells/kg"`` or ``"cells"``.
    assay : str
        Name of the assay.
    jitter : float
        Relative standard deviation of the actual around the nominal times.
    every : int
        Only every k-th subject is measured, from the first on.
    """

    times: tuple[float, ...]
    lloq: float
    lod: float = np.nan
    doses: tuple[float, ...] = (1e6,)
    dose_unit: str = "cells/kg"
    assay: str = "qpcr"
    jitter: float = 0.0
    every: int = 1


def simulate(
    model: Model,
    design: SamplingDesign | Mapping[str, Any],
    n: int,
    seed: int,
    *,
    typical: Mapping[str, float] | None = None,
    omega: Mapping[str, float] | None = None,
    sigma: float | Mapping[str, float] | None = None,
    on_log_dose: Mapping[str, float] | None = None,
    others: Mapping[str, SamplingDesign | Mapping[str, Any]] | None = None,
    inputs: Mapping[str, Any] | None = None,
) -> Dataset:
    """Simulate subjects and measure them.

    Parameters
    ----------
    model : Model
        Kinetics; its residual error models are used.
    design : SamplingDesign or mapping
        When and how the CAR-T level, the model's first output, is measured; a mapping gives the fields of
        `SamplingDesign`. The dose is what is infused on day 0. Where the model has two classes of patients, each
        subject's is drawn, and ``subjects`` says which (``true_NAME``).
    n : int
        Number of subjects.
    seed : int
        Seed of the random numbers.
    typical : mapping, optional
        Typical values that differ from the model's, by parameter.
    omega : mapping, optional
        Between-subject standard deviations on the free scale that differ from the model's.
    sigma : float or mapping, optional
        Residual standard deviation of all outputs, or by output; the model's typical ones if not given.
    on_log_dose : mapping, optional
        Slope on the log of dose / 1e6 by parameter, on the free scale.
    others : mapping, optional
        When and how other outputs are measured, by output; their assays are named for them if nothing
        else is said.
    inputs : mapping, optional
        Values of inputs that differ from the model's defaults, by input: a number or one per subject, infinite for an
        event that never came; for an input that changes with time ``(times, values)``, values of shape (n_times,) or
        (n, n_times), which are reported as that assay's measurements.

    Returns
    -------
    Dataset
        One assay per measured output, of which all but the first are markers; ``subjects`` holds the dose
        level and, in columns named ``true_*``, the parameters.

    Raises
    ------
    ConfigError
        If a parameter, an input or an output is unknown, or ``n`` or a design makes no sense.

    Examples
    --------
    >>> from carkinetics.model.library import load_model
    >>> data = simulate(load_model("stein2019"), {"times": (7, 14, 28), "lloq": 50}, n=2, seed=1)
    >>> len(data.observations)
    6
    """
    plans = _plans(model, design, others or {})
    if n < 1:
        raise ConfigError(f"simulate: n is {n}; expected 1 or more subjects")
    sigmas = _residuals(model, sigma)
    first = next(iter(plans.values()))
    rng = np.random.default_rng(seed)
    dose = np.resize(np.asarray(first.doses, dtype=float), n)
    shift: dict[str, Any] = {name: slope * np.log(dose / 1e6) for name, slope in (on_log_dose or {}).items()}
    member = rng.random(n) < model.mixture.share.centre if model.mixture else np.zeros(n, dtype=bool)
    for name, prior in model.mixture.shifts.items() if model.mixture else ():
        shift[name] = shift.get(name, 0.0) + prior.centre * member
    truth = draw_parameters(model, n, rng, typical=typical, omega=omega, shift=shift)
    constant, series = _inputs(model, inputs or {}, n)
    truth |= constant
    measured = [
        _measure(model, name, plan, truth, dose, series, sigmas[name], rng) for name, plan in plans.items()
    ]
    measured += [_measured_input(model, name, series) for name in (series[0] if series else ())]
    observations = pd.concat(measured, ignore_index=True)
    if len(measured) > 1:
        observations["row"] = np.arange(1, len(observations) + 1)
    observations = observations.sort_values(["subject", "time"], kind="stable")
    subjects = [_subject(i) for i in range(n)]
    return Dataset(
        observations=observations.reset_index(drop=True),
        subjects=pd.DataFrame(
            {"subject": subjects, "dose_level": [f"{d:.3g}" for d in dose]}
            | {f"true_{name}": value for name, value in truth.items() if name in model.parameters}
            | ({f"true_{model.mixture.name}": member} if model.mixture else {})
            | {entry.column: truth[name] for name, entry in model.inputs.items() if entry.column}
        ),
        doses=pd.DataFrame(
            {"subject": subjects, "time": 0.0, "amount": dose, "unit": first.dose_unit, "row": np.arange(n)}
        ),
        events=_events(model, truth, subjects),
        assays=_assays(model, plans, list(series[0]) if series else []),
        source=f"simulated from {model.name}, seed {seed}",
    )


def _plans(
    model: Model, design: SamplingDesign | Mapping[str, Any], others: Mapping[str, Any]
) -> dict[str, SamplingDesign]:
    """Designs by output, the CAR-T level first."""
    first = model.output().name
    plans = {first: design if isinstance(design, SamplingDesign) else SamplingDesign(**design)}
    for name, other in others.items():
        if model.output(name).name in plans:
            raise ConfigError(f"simulate: others has {name!r}, which is the CAR-T level; design is about it")
        if isinstance(other, SamplingDesign):
            plans[name] = other
        elif {"doses", "dose_unit"} & set(other):
            raise ConfigError(f"simulate: others {name!r} has doses; they belong to design")
        else:
            plans[name] = SamplingDesign(**{"assay": name, **other})
    for name, plan in plans.items():
        if not plan.times or not plan.lloq > 0 or plan.every < 1:
            raise ConfigError(
                f"simulate: {name} has {len(plan.times)} times, LLOQ {plan.lloq:g}, every {plan.every}; "
                "all must be above 0"
            )
    assays = [plan.assay for plan in plans.values()]
    if len(set(assays)) < len(assays):
        raise ConfigError(f"simulate: assays are {', '.join(assays)}; every output needs an assay of its own")
    return plans


def _residuals(model: Model, sigma: float | Mapping[str, float] | None) -> dict[str, float]:
    """Residual standard deviation by output."""
    given = (
        sigma if isinstance(sigma, Mapping) else {} if sigma is None else dict.fromkeys(model.outputs, sigma)
    )
    for name in given:
        if name not in model.outputs:
            raise ConfigError(
                f"simulate: sigma names {name!r}, which is no output of {model.name}{did_you_mean(name, model.outputs)}"
            )
    return {name: float(given.get(name, output.residual)) for name, output in model.outputs.items()}


def _measure(
    model: Model,
    name: str,
    plan: SamplingDesign,
    truth: Mapping[str, np.ndarray],
    dose: np.ndarray,
    series: list[dict[str, Series]],
    sigma: float,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """What the laboratory reports of one output."""
    output, seen = model.output(name), np.arange(0, len(dose), plan.every)
    nominal = np.asarray(plan.times, dtype=float)
    time = nominal * np.exp(plan.jitter * rng.standard_normal((len(seen), len(nominal))))
    own = {key: value[seen] for key, value in truth.items()}
    level = _levels(model, name, time, own, dose[seen], [series[i] for i in seen] if series else [])
    error = residual_error(output.error)
    table = pd.DataFrame(
        {
            "subject": np.repeat([_subject(i) for i in seen.tolist()], len(nominal)),
            "assay": plan.assay,
            "time": time.ravel(),
            "value": draw_values(error, level, dict.fromkeys(error.parameters, sigma), rng).ravel(),
        }
    )
    kind = CAR if output is model.output() else MARKER
    return report_measurements(table, plan.lloq, plan.lod, output.unit, kind)


def _inputs(
    model: Model, given: Mapping[str, Any], n: int
) -> tuple[dict[str, np.ndarray], list[dict[str, Series]]]:
    """Inputs that stay, by name and subject, and the courses of those that do not, by subject and name."""
    constant, series = {}, [dict[str, Series]() for _ in range(n)]
    for name, value in given.items():
        if name not in model.inputs:
            raise ConfigError(
                f"simulate: {model.name} has no input {name!r}{did_you_mean(name, model.inputs)}"
            )
        entry = model.inputs[name]
        if not entry.varying:
            constant[name] = np.broadcast_to(np.asarray(value, dtype=float), (n,)).copy()
            continue
        time, levels = value
        for i, level in enumerate(np.broadcast_to(np.asarray(levels, dtype=float), (n, len(time)))):
            series[i][name] = Series.of(time, level, entry.interpolation)
    return constant, series if any(series) else []


def _measured_input(model: Model, name: str, series: list[dict[str, Series]]) -> pd.DataFrame:
    """The measurements of an input that changes with time, without error."""
    entry = model.inputs[name]
    rows = [
        {"subject": _subject(i), "assay": entry.assay, "time": time, "value": value}
        for i, own in enumerate(series)
        for time, value in zip(own[name].time.tolist(), own[name].value.tolist(), strict=True)
    ]
    table = pd.DataFrame(rows)
    return report_measurements(table, float(table["value"].min()), np.nan, entry.unit, MARKER)


def _events(model: Model, truth: Mapping[str, np.ndarray], subjects: list[str]) -> pd.DataFrame:
    rows = [
        {"subject": subject, "time": float(time), "event": entry.event, "value": np.nan, "row": i}
        for name, entry in model.inputs.items()
        if entry.event
        for i, (subject, time) in enumerate(zip(subjects, truth[name], strict=True))
        if np.isfinite(time) and time != entry.default
    ]
    return typed_table(rows, EVENT_COLUMNS)


def _levels(
    model: Model,
    name: str,
    time: np.ndarray,
    values: Mapping[str, np.ndarray],
    dose: np.ndarray,
    series: list[dict[str, Series]],
) -> np.ndarray:
    """Output of every subject, each after its own dose where the dose is infused into a state."""
    if not (model.infused or series):
        return curve(model, time, {key: value[:, None] for key, value in values.items()}, name)
    solver = "compiled" if len(dose) > FEW_SETS else "scipy"
    return np.stack(
        [
            curve(
                model,
                time[i],
                {key: value[i] for key, value in values.items()},
                name,
                infusions=[(0.0, dose[i])],
                series=series[i] if series else None,
                solver=solver,
            )
            for i in range(len(dose))
        ]
    )


def _assays(model: Model, plans: Mapping[str, SamplingDesign], read: list[str]) -> pd.DataFrame:
    table = pd.DataFrame(
        [
            {"assay": plan.assay, "unit": model.output(name).unit, "lloq": plan.lloq, "lod": plan.lod}
            for name, plan in plans.items()
        ]
        + [
            {
                "assay": model.inputs[name].assay,
                "unit": model.inputs[name].unit,
                "lloq": np.nan,
                "lod": np.nan,
            }
            for name in read
        ]
    )
    return table if len(table) == 1 else table.assign(kind=[CAR, *[MARKER] * (len(table) - 1)])


def _subject(position: int) -> str:
    return f"S{position + 1:03d}"


def draw_parameters(
    model: Model,
    n: int,
    rng: np.random.Generator,
    *,
    typical: Mapping[str, float] | None = None,
    omega: Mapping[str, float] | None = None,
    shift: Mapping[str, Any] | None = None,
) -> dict[str, np.ndarray]:
    """Parameters of virtual subjects.

    Parameters
    ----------
    model : Model
        Whose parameters.
    n : int
        Number of subjects.
    rng : numpy.random.Generator
        Source of randomness.
    typical, omega : mapping, optional
        What differs from the model's typical values and between-subject standard deviations.
    shift : mapping, optional
        Added on the free scale, by parameter: covariate effects, shape (n,).

    Returns
    -------
    dict of str to ndarray, shape (n,)
        A value for every parameter and input.

    Raises
    ------
    ConfigError
        If a name is unknown.
    """
    centre = complete_values(model, typical or {})
    complete_values(model, {**(omega or {}), **(shift or {})})  # refuses names the model does not have
    drawn = {}
    for name, parameter in model.parameters.items():
        own = 0.0 if parameter.fixed else parameter.omega or 0.0
        spread = (omega or {}).get(name, own)
        free = parameter.to_free(float(centre[name])) + spread * rng.standard_normal(n)
        drawn[name] = np.asarray(parameter.from_free(free + (shift or {}).get(name, 0.0)), dtype=float)
    return drawn | {name: np.full(n, float(centre[name])) for name in model.inputs}


def report_measurements(
    table: pd.DataFrame, lloq: float, lod: float, unit: str, kind: str = CAR
) -> pd.DataFrame:
    """What a laboratory would report of measured values: BLQ below the LLOQ, not detected below the LOD.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns ``subject, assay, time, value`` with uncensored values.
    lloq, lod : float
        Limits of the assay; ``lod`` may be NaN.
    unit : str
        Unit of the values.
    kind : {"car", "marker"}
        Only CAR-T levels are zero by construction before the infusion.

    Returns
    -------
    pandas.DataFrame
        Observations as a `Dataset` holds them.
    """
    value = table["value"].to_numpy(float)
    before = (table["time"].to_numpy(float) <= 0) & (kind == CAR)
    status = np.select(
        [before & (value < lloq), value >= lloq, value < (lod if lod > 0 else -np.inf)],
        [PREDOSE, QUANTIFIED, NOT_DETECTED],
        BELOW_LLOQ,
    )
    quantified = status == QUANTIFIED
    floor = lod if lod > 0 else 0.0
    lower = np.select([quantified, status == BELOW_LLOQ], [value, floor], 0.0)
    upper = np.select([quantified, status == BELOW_LLOQ, status == NOT_DETECTED], [value, lloq, lod], 0.0)
    reported = table.assign(
        value=np.where(quantified, value, np.nan), status=status, lower=lower, upper=upper,
        lod=lod, lloq=lloq, unit=unit, row=np.arange(1, len(table) + 1),
    )  # fmt: skip
    return reported.sort_values(["subject", "time"], kind="stable").reset_index(drop=True)
