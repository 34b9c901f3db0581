"""Populations that are written down, so that a patient's posterior is known without a sampler."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from carkinetics.dataset.table import Dataset
from carkinetics.fit.result import Fit
from carkinetics.model import load_model, simulate
from carkinetics.model.simulate import report_measurements
from carkinetics.prognosis.known import known_population
from carkinetics.response.grade import GradeModel


def renamed(data: Dataset, name: str = "N") -> Dataset:
    """The same data of subjects with other names."""
    tables = ("observations", "subjects", "doses", "events")
    return replace(
        data, **{t: getattr(data, t).assign(subject=name + getattr(data, t)["subject"]) for t in tables}
    )


def population(
    random: Sequence[str], draws: Mapping[str, Any], settings: Mapping[str, Any] | None = None
) -> Fit:
    """Stein's model with a posterior of a few written draws: numbers that are given once are the same in all."""
    base = known_population(load_model("stein2019"), lloq=50.0)
    size = max(np.size(value) for value in draws.values())
    point = {str(name): float(value.squeeze()) for name, value in base.tree["posterior"].data_vars.items()}
    kept = {name: value for name, value in point.items() if not name.endswith("_omega")}
    variables = {
        name: (("chain", "draw"), np.broadcast_to(np.asarray(value, float), size)[None])
        for name, value in (kept | dict(draws)).items()
    }
    tree = xr.DataTree.from_dict({"posterior": xr.Dataset(variables)})
    return replace(base, tree=tree, settings=base.settings | {"random": list(random), **(settings or {})})


def patient(days: Sequence[float], levels: Sequence[float], *, lloq: float = 50.0, **columns: Any) -> Dataset:
    """One patient with given levels."""
    data = simulate(load_model("stein2019"), {"times": tuple(days), "lloq": lloq}, n=1, seed=1)
    table = data.observations[["subject", "assay", "time"]].assign(value=np.asarray(levels, float))
    rows = report_measurements(table, lloq, np.nan, "copies/ug")
    return renamed(replace(data, observations=rows, subjects=data.subjects.assign(**columns)))


def outcome(kind: type, draws: Mapping[str, Any], observed: Mapping[str, Any], **settings: Any) -> Any:
    """An outcome model whose posterior is a few written draws of its coefficients."""
    common = {
        "metric": "cmax",
        "unit": "copies/ug",
        "on": "log(cmax)",
        "adjust": [],
        "shape": "linear",
    } | settings
    rest: dict[str, Any] = {
        "table": pd.DataFrame(), "curve": pd.DataFrame(), "n": 20, "events": 7, "excluded": pd.DataFrame(), "statement": "",
    }  # fmt: skip
    if kind is GradeModel:
        rest["separated"] = False
    return kind(draws=pd.DataFrame(draws), observed=pd.DataFrame(observed), settings=common, **rest)


@pytest.fixture(scope="session")
def written_outcome() -> Any:
    return outcome


@pytest.fixture(scope="session")
def written() -> Any:
    return population


@pytest.fixture(scope="session")
def one() -> Any:
    return patient


@pytest.fixture(scope="session")
def with_other_names() -> Any:
    return renamed


@pytest.fixture(scope="session")
def stein() -> Fit:
    return known_population(load_model("stein2019"), lloq=50.0)


@pytest.fixture(scope="session")
def new_patients() -> Dataset:
    design = {"times": (1, 3, 7, 10, 14, 21, 28, 60, 90, 180), "lloq": 50, "doses": (3e5, 1e6)}
    return renamed(simulate(load_model("stein2019"), design, n=24, seed=7))
