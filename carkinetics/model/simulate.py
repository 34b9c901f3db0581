"""Virtual subjects: a model and a design → a Dataset, with the truth beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from carkinetics.dataset.table import BELOW_LLOQ, NOT_DETECTED, PREDOSE, QUANTIFIED, Dataset
from carkinetics.errors import ConfigError
from carkinetics.model.observe import draw_values, residual_error
from carkinetics.model.solve import complete_values, curve
from carkinetics.model.spec import Model


@dataclass(frozen=True)
class SamplingDesign:
    """When and how a virtual subject is measured.

    Parameters
    ----------
    times : tuple of float
        Days since infusion.
    lloq, lod : float
        Limits of the assay in the model's unit; without a LOD every BLQ value is just below the LLOQ.
    doses : tuple of float
        Dose per subject, recycled.
    dose_unit : str
        ``"cells/kg"`` or ``"cells"``.
    assay : str
        Name of the assay.
    jitter : float
        Relative standard deviation of the actual around the nominal times.
    """

    times: tuple[float, ...]
    lloq: float
    lod: float = np.nan
    doses: tuple[float, ...] = (1e6,)
    dose_unit: str = "cells/kg"
    assay: str = "qpcr"
    jitter: float = 0.0


def simulate(
    model: Model,
    design: SamplingDesign | Mapping[str, Any],
    n: int,
    seed: int,
    *,
    typical: Mapping[str, float] | None = None,
    omega: Mapping[str, float] | None = None,
    sigma: float | None = None,
    on_log_dose: Mapping[str, float] | None = None,
) -> Dataset:
    """Simulate subjects and measure them.

    Parameters
    ----------
    model : Model
        Kinetics; its residual error model is used.
    design : SamplingDesign or mapping
        When and how subjects are measured; a mapping gives the fields of `SamplingDesign`.
    n : int
        Number of subjects.
    seed : int
        Seed of the random numbers.
    typical : mapping, optional
        Typical values that differ from the model's, by parameter.
    omega : mapping, optional
        Between-subject standard deviations on the free scale that differ from the model's.
    sigma : float, optional
        Residual standard deviation; the model's typical one if not given.
    on_log_dose : mapping, optional
        Slope on the log of dose / 1e6 by parameter, on the free scale.

    Returns
    -------
    Dataset
        One assay; ``subjects`` holds the dose level and, in columns named ``true_*``, the parameters.

    Raises
    ------
    ConfigError
        If a parameter is unknown, or ``n`` or the design makes no sense.

    Examples
    --------
    >>> from carkinetics.model.library import load_model
    >>> data = simulate(load_model("stein2019"), {"times": (7, 14, 28), "lloq": 50}, n=2, seed=1)
    >>> len(data.observations)
    6
    """
    plan = design if isinstance(design, SamplingDesign) else SamplingDesign(**design)
    if n < 1 or not plan.times or not plan.lloq > 0:
        raise ConfigError(
            f"simulate: n is {n}, {len(plan.times)} times, LLOQ {plan.lloq:g}; all must be above 0"
        )
    rng = np.random.default_rng(seed)
    dose = np.resize(np.asarray(plan.doses, dtype=float), n)
    truth = draw_parameters(model, n, rng, typical=typical, omega=omega, shift={
        name: slope * np.log(dose / 1e6) for name, slope in (on_log_dose or {}).items()
    })  # fmt: skip
    nominal = np.asarray(plan.times, dtype=float)
    time = nominal * np.exp(plan.jitter * rng.standard_normal((n, len(nominal))))
    level = curve(model, time, {name: value[:, None] for name, value in truth.items()})
    error = residual_error(model.error)
    sigmas = dict.fromkeys(error.parameters, model.residual if sigma is None else sigma)
    measured = draw_values(error, level, sigmas, rng)
    subjects = [f"S{i + 1:03d}" for i in range(n)]
    table = pd.DataFrame(
        {
            "subject": np.repeat(subjects, len(nominal)),
            "assay": plan.assay,
            "time": time.ravel(),
            "value": measured.ravel(),
        }
    )
    return Dataset(
        observations=report_measurements(table, plan.lloq, plan.lod, model.value_unit),
        subjects=pd.DataFrame(
            {"subject": subjects, "dose_level": [f"{d:.3g}" for d in dose]}
            | {f"true_{name}": value for name, value in truth.items() if name in model.parameters}
        ),
        doses=pd.DataFrame(
            {"subject": subjects, "time": 0.0, "amount": dose, "unit": plan.dose_unit, "row": np.arange(n)}
        ),
        assays=pd.DataFrame(
            [{"assay": plan.assay, "unit": model.value_unit, "lloq": plan.lloq, "lod": plan.lod}]
        ),
        source=f"simulated from {model.name}, seed {seed}",
    )


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


def report_measurements(table: pd.DataFrame, lloq: float, lod: float, unit: str) -> pd.DataFrame:
    """What a laboratory would report of measured values: BLQ below the LLOQ, not detected below the LOD.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns ``subject, assay, time, value`` with uncensored values.
    lloq, lod : float
        Limits of the assay; ``lod`` may be NaN.
    unit : str
        Unit of the values.

    Returns
    -------
    pandas.DataFrame
        Observations as a `Dataset` holds them.
    """
    value = table["value"].to_numpy(float)
    before = table["time"].to_numpy(float) <= 0
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
