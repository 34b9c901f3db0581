"""Draws → the long table of parameters, with interval, R-hat and effective sample size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from carkinetics.fit.problem import Problem
from carkinetics.fit.result import INTERVAL, PARAMETER_COLUMNS

SCALE_WORDS = {"log": "SD of log", "logit": "SD of logit", "identity": "SD"}


def summarise(problem: Problem, tree: xr.DataTree) -> pd.DataFrame:
    """Table of a hierarchical fit.

    Parameters
    ----------
    problem : Problem
        What was fitted.
    tree : xarray.DataTree
        With the group ``posterior``.

    Returns
    -------
    pandas.DataFrame
        Columns of `carkinetics.fit.result.PARAMETER_COLUMNS`; population first, then subjects.
    """
    import arviz as az

    posterior = tree["posterior"].to_dataset()
    scalars = posterior[[str(v) for v in posterior.data_vars if posterior[v].dims == ("chain", "draw")]]
    several = posterior.sizes["chain"] > 1 and posterior.sizes["draw"] >= 4
    varying = posterior[problem.varying]
    parts = []
    for dataset in (scalars, varying):
        if not len(dataset.data_vars):
            continue
        with np.errstate(invalid="ignore", divide="ignore"):  # a chain that never moved has variance 0
            quality = {
                "rhat": az.rhat(dataset) if several else dataset.mean(("chain", "draw")) * np.nan,
                "ess_bulk": az.ess(dataset, method="bulk"),
                "ess_tail": az.ess(dataset, method="tail", prob=(0.05, 0.95)),
            }
        parts.append(_rows(dataset, quality))
    table = pd.concat(parts, ignore_index=True)
    table["unit"] = table["parameter"].map(_units(problem))
    order = {name: i for i, name in enumerate(_units(problem))}
    population = table[table["subject"] == ""].sort_values(
        "parameter", key=lambda names: names.map(order), kind="stable"
    )
    table = pd.concat([population, table[table["subject"] != ""]], ignore_index=True)[list(PARAMETER_COLUMNS)]
    table.attrs = {
        "interval": f"{INTERVAL:.0%} equal-tailed",
        "draws": int(posterior.sizes["chain"] * posterior.sizes["draw"]),
    }
    return table


def _rows(dataset: xr.Dataset, quality: dict[str, Any]) -> pd.DataFrame:
    tail = (1 - INTERVAL) / 2
    frames = []
    for name, draws in dataset.data_vars.items():
        low, middle, high = (draws.quantile(q, ("chain", "draw")).to_numpy() for q in (tail, 0.5, 1 - tail))
        frame = pd.DataFrame(
            {
                "subject": np.atleast_1d(draws["subject"].to_numpy()) if "subject" in draws.dims else [""],
                "parameter": str(name),
                "median": np.atleast_1d(middle),
                "lower": np.atleast_1d(low),
                "upper": np.atleast_1d(high),
                "sd": np.atleast_1d(draws.std(("chain", "draw"), ddof=1).to_numpy()),
            }
            | {key: np.atleast_1d(value[name].to_numpy()) for key, value in quality.items()}
        )
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def _units(problem: Problem) -> dict[str, str]:
    """Unit of every quantity, in the order of the table."""
    parameters = problem.model.parameters
    units = {f"{name}_typical": p.unit for name, p in parameters.items()}
    units |= {f"{name}_typical": q.unit for name, q in problem.model.quantities.items()}
    mixture = problem.mixture
    if mixture:
        units |= {f"{name}_typical_{mixture.name}": parameters[name].unit for name in mixture.shifts}
        units[mixture.share_name] = "1"
    units |= dict.fromkeys(problem.slope_names, "1")
    units |= {f"{name}_omega": SCALE_WORDS[parameters[name].transform] for name in problem.random}
    units |= {
        f"corr_{a}_{b}": "1" for k, a in enumerate(problem.correlated) for b in problem.correlated[k + 1 :]
    }
    for one in problem.measured:
        unit = "SD of log" if one.error.log_scale else problem.model.outputs[one.output].unit
        for name in one.sigmas:
            units[name] = "1" if one.is_relative(name) and not one.error.log_scale else unit
    return units | {name: p.unit for name, p in parameters.items()}
