"""What all rooms share: seeded randomness, the real data, and fits made by hand.

A made fit has the simulated truth with a little noise as its posterior, so no sampler is needed.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import settings

from carkinetics.dataset import read_nonmem
from carkinetics.dataset.table import PREDOSE, Dataset
from carkinetics.fit.hierarchical import problem_of
from carkinetics.fit.result import PARAMETER_COLUMNS, Fit
from carkinetics.fit.summary import summarise
from carkinetics.model import Model, load_model, simulate
from carkinetics.model.observe import draw_values
from carkinetics.model.residual import residual_error
from carkinetics.model.solve import curve

# A loaded machine is no reason for a property to fail.
settings.register_profile("carkinetics", deadline=None)
settings.load_profile("carkinetics")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest file first, so that one worker is not left alone with it at the end (with ``--no-loadscope-reorder``)."""
    items.sort(key=lambda item: item.path.name != "test_notebooks.py")


TIMES = (1, 3, 7, 10, 14, 21, 28, 60, 90, 180)


def fit_around(
    model: Model,
    data: Dataset,
    *,
    on_log_dose: Mapping[str, float] | None = None,
    sigma: float | None = None,
    correlation: np.ndarray | None = None,
    shape: tuple[int, int] = (2, 50),
    noise: float = 0.02,
) -> Fit:
    """Fit whose draws are the simulated parameters, multiplied by exp(noise × normal)."""
    rng = np.random.default_rng(5)
    subjects, rows = data.subjects, data.observations
    used = rows[rows["status"] != PREDOSE].reset_index(drop=True)
    index = used["subject"].map({s: i for i, s in enumerate(data.subject_ids)}).to_numpy()
    random = [name for name in model.free_parameters if model.parameters[name].omega]
    x = np.log(data.first_dose().to_numpy() / 1e6)
    variables: dict[str, Any] = {}
    prior: dict[str, Any] = {}
    dims = ("chain", "draw")

    def jittered(value: Any, *extra: int) -> np.ndarray:
        return np.asarray(value) * np.exp(noise * rng.standard_normal((*shape, *extra)))

    for name in model.free_parameters:
        parameter = model.parameters[name]
        variables[f"{name}_typical"] = (dims, jittered(parameter.typical))
        free = rng.normal(parameter.prior.location, parameter.prior.spread, (1, 500))
        prior[f"{name}_typical"] = (dims, parameter.from_free(free))
        if name in random:
            variables[f"{name}_omega"] = (dims, jittered(parameter.omega))
            prior[f"{name}_omega"] = (dims, np.abs(rng.normal(0, parameter.omega_prior, (1, 500))))
            truth = subjects[f"true_{name}"].to_numpy(float)
            individual = parameter.to_free(truth) + noise * rng.standard_normal((*shape, len(subjects)))
            variables[name] = ((*dims, "subject"), parameter.from_free(individual))
    error = residual_error(model.error)
    for name in error.parameters:
        variables[name] = (dims, jittered(model.residual if sigma is None else sigma))
        prior[name] = (dims, np.abs(rng.normal(0, 1.0, (1, 500))))
    covariates, constant = [], {}
    for name, slope in (on_log_dose or {}).items():
        label = f"{name}_on_log_dose_1e6"
        variables[label] = (dims, slope + noise * rng.standard_normal(shape))
        flat = {"dist": "normal", "mean": 0.0, "sd": 1.0, "source": "default"}
        covariates.append(
            {"parameter": name, "name": label, "text": "log(dose / 1e6)", "centre": 0.0, "prior": flat}
        )
        constant[label] = ("subject", x)
        prior[label] = (dims, rng.normal(0, 1, (1, 500)))
    coords: dict[str, Any] = {
        "chain": np.arange(shape[0]), "draw": np.arange(shape[1]), "subject": data.subject_ids
    }  # fmt: skip
    if correlation is not None:
        full = np.broadcast_to(correlation, (*shape, *correlation.shape))
        variables["effect_correlation"] = ((*dims, "effect", "effect_aux"), full)
        coords |= {"effect": random, "effect_aux": random}
    posterior = xr.Dataset(variables, coords)
    values = {
        name: posterior[name].to_numpy()[..., index]
        if name in posterior
        else posterior[f"{name}_typical"].to_numpy()[..., None]
        for name in model.free_parameters
    }
    level = curve(model, used["time"].to_numpy(), values)
    sigmas = {name: posterior[name].to_numpy()[..., None] for name in error.parameters}
    tree = xr.DataTree.from_dict(
        {
            "posterior": posterior,
            "prior": xr.Dataset(prior),
            "posterior_predictive": xr.Dataset(
                {"level": ((*dims, "obs"), draw_values(error, level, sigmas, rng))}
            ),
            "constant_data": xr.Dataset(
                {
                    "time": ("obs", used["time"].to_numpy()),
                    "lloq": ("obs", used["lloq"].to_numpy()),
                    "subject_index": ("obs", index),
                    **constant,
                },
                {"subject": data.subject_ids},
            ),
        }
    )
    settings = {
        "method": "hierarchical",
        "random": random,
        "correlated": random if correlation is not None else [],
        "covariates": covariates,
        "error": model.error,
        "blq": "M3",
        "seed": 1,
        "assay": str(data.assays["assay"].iloc[0]),
        "interval": 0.9,
    }
    scalars = posterior[[str(name) for name in posterior.data_vars if posterior[name].dims == dims]]
    table = pd.DataFrame(
        [
            {"subject": "", "parameter": name, "median": float(scalars[name].median())}
            for name in scalars.data_vars
        ],
        columns=list(PARAMETER_COLUMNS),
    )
    return Fit(model, data, used, table, tree, settings)


def complete(fit: Fit, *, diverging: int = 0) -> Fit:
    """The fit with a parameter table, sampler statistics and settings, as the sampler leaves them."""
    rng = np.random.default_rng(3)
    tree = fit.tree.copy()
    shape = (4, 250)  # independent draws in four chains: they agree, and 1000 are effective
    posterior = tree["posterior"].to_dataset()
    short = posterior.isel(chain=rng.integers(0, posterior.sizes["chain"], shape[0]))
    long = short.isel(draw=rng.integers(0, posterior.sizes["draw"], shape[1]))
    noise: dict[str, Any] = {
        name: long[name] * np.exp(0.03 * rng.standard_normal(long[name].shape)) for name in long.data_vars
    }
    tree["posterior"] = xr.DataTree(long.assign(noise).assign_coords(chain=range(4), draw=range(250)))
    for group in ("prior", "posterior"):
        draws = tree[group].to_dataset()
        tree[group] = xr.DataTree(draws.assign(half_life_typical=np.log(2) / draws["beta_typical"]))
    flags = np.zeros(shape, dtype=bool)
    flags.flat[:diverging] = True
    tree["sample_stats"] = xr.DataTree(
        xr.Dataset(
            {
                "diverging": (("chain", "draw"), flags),
                "energy": (("chain", "draw"), rng.standard_normal(shape)),
                "lp": (("chain", "draw"), rng.standard_normal(shape)),
            }
        )
    )
    settings = fit.settings | {
        "requested_covariates": {},
        "chains": 4,
        "draws": 250,
        "tune": 250,
        "centred": [],
        "versions": {"pymc": "6.0"},
        "made": "2026-01-01T00:00:00+00:00",
    }
    found = replace(fit, tree=tree, settings=settings)
    return replace(found, parameters=summarise(problem_of(found), tree))


def fit_alone(fit: Fit, failed: str = "") -> Fit:
    """Individual fit of the same data that found the truth for everyone but one subject."""
    truth = fit.data.subjects.melt("subject", [f"true_{name}" for name in fit.model.parameters])
    table = pd.DataFrame(
        {
            "subject": truth["subject"],
            "parameter": truth["variable"].str.removeprefix("true_"),
            "median": truth["value"].astype(float).where(truth["subject"] != failed),
        },
        columns=list(PARAMETER_COLUMNS),
    )
    settings = {"method": "individual", "error": "lognormal", "sigma": 0.56, "random": [], "covariates": []}
    return Fit(fit.model, fit.data, fit.observations, table, settings=settings)


@pytest.fixture(scope="session")
def alone() -> Callable[..., Fit]:
    return fit_alone


@pytest.fixture(scope="session")
def completed() -> Callable[..., Fit]:
    return complete


@pytest.fixture(scope="session")
def around() -> Callable[..., Fit]:
    return fit_around


@pytest.fixture(scope="session")
def made_fit() -> Fit:
    """Eight subjects at two doses; no covariate."""
    model = load_model("stein2019")
    data = simulate(model, {"times": TIMES, "lloq": 50, "doses": (3e5, 1e6)}, n=8, seed=1)
    return fit_around(model, data)


@pytest.fixture(scope="session")
def dose_fit() -> Fit:
    """Sixty subjects at three doses; the peak rises with dose; many late values are BLQ."""
    model = load_model("stein2019")
    slope = {"cmax": 0.8}
    data = simulate(
        model, {"times": TIMES, "lloq": 200, "lod": 60, "doses": (1e5, 5e5, 2e6)}, n=60, seed=4, on_log_dose=slope
    )  # fmt: skip
    return fit_around(model, data, on_log_dose=slope)


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers with a fixed seed."""
    return np.random.default_rng(20260101)


@pytest.fixture(scope="session")
def external_data() -> Path:
    """Folder of real patients' data, which is not part of the package."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data-external"
    folder = Path(os.environ.get("CARKINETICS_EXTERNAL_DATA", beside))
    if not folder.is_dir():
        pytest.skip("no external data: set CARKINETICS_EXTERNAL_DATA to its folder")
    return folder


@pytest.fixture(scope="session")
def require() -> Callable[[object, str], None]:
    """Skip a test that lacks a tool; where everything must be there (CARKINETICS_REQUIRE_ALL=1), fail it."""

    def check(there: object, reason: str) -> None:
        if there:
            return
        if os.environ.get("CARKINETICS_REQUIRE_ALL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)

    return check


# Sums of diameters in mm on days -7, 42, 84, 126; what was recorded of response, progression-free and overall survival.
TUMOURS = {
    "a": (1e5, (100, 60, 50, 90), "PR", (126, 1), (200, 1)),
    "b": (1e5, (100, 95, 90), "SD", (84, 0), (300, 0)),
    "c": (1e6, (80, 40), "PD", (42, 1), (60, 1)),  # of a new lesion, which the sum does not show
    "d": (1e6, (50, 20, 10), "SD", (84, 0), (100, 0)),  # shrank by 80 %, whatever was recorded
    "e": (1e6, (100,), "NE", (30, 1), (30, 1)),
    "f": (1e6, (40, "ND"), None, (42, 0), (90, 0)),
    "g": (1e6, (), "NE", (None, None), (None, None)),
}


@pytest.fixture(scope="session")
def tumour_tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measurements and subjects of a trial of seven patients with solid tumours."""
    rows, subjects = [], []
    for subject, (dose, sizes, response, pfs, survival) in TUMOURS.items():
        rows.append((subject, 0.0, 1, dose, "", "", "cells/kg"))
        rows += [(subject, day, 0, "", "qpcr", 1000 / day, "copies/ug") for day in (7.0, 14.0, 28.0)]
        days = (-7.0, 42.0, 84.0, 126.0)
        rows += [(subject, day, 0, "", "sld", size, "mm") for day, size in zip(days, sizes, strict=False)]
        subjects.append((subject, dose, response, *pfs, *survival))
    names = ["ID", "dose_level", "response", "pfs_day", "pfs_event", "os_day", "os_event"]
    table = pd.DataFrame(rows, columns=["ID", "TIME", "EVID", "AMT", "DVID", "DV", "UNIT"])
    return table.astype(str), pd.DataFrame(subjects, columns=names)


@pytest.fixture(scope="session")
def tumour_data(tumour_tables: tuple[pd.DataFrame, pd.DataFrame]) -> Dataset:
    """The same as a dataset."""
    rows, subjects = tumour_tables
    return read_nonmem(rows, subjects=subjects, lloq={"qpcr": 1, "sld": 5}, lod={"sld": 2})
