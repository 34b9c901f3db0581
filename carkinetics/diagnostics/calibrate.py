"""Simulation-based calibration: whether the inference for a model and a design finds the truth as often as it says."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from carkinetics.dataset.table import ABOVE_ULOQ, PREDOSE, Dataset, is_censored
from carkinetics.diagnostics.calibration import ABOUT, BROKEN, DONE, N_RANKS, NO_TRUTH, SHORT, Calibration
from carkinetics.diagnostics.calibration_file import known_ranks, write_ranks
from carkinetics.diagnostics.replicate import ceiling_of
from carkinetics.errors import CarkineticsError, ConfigError
from carkinetics.fit.draws import log_likelihoods, predictive, prior_draws
from carkinetics.fit.em import laplace_em
from carkinetics.fit.goal import Goal
from carkinetics.fit.hierarchical import fit_hierarchical
from carkinetics.fit.problem import Problem, make_problem
from carkinetics.fit.structured import StructuredSampler
from carkinetics.fit.structured_tree import raw_tree
from carkinetics.model.simulate import SamplingDesign, report_measurements, simulate
from carkinetics.model.spec import Model
from carkinetics.workers import in_blocks

# Long enough for ranks that are all but independent, and no replicate may take for ever: hard ones are kept as they are.
UNTIL = {"ess": 100, "rhat": 1.05}
CHAINS, FOLLOWED = 2, 2
WORTH_A_POOL = 20.0  # seconds; other processes import and compile for some ten
Sampler = Callable[[Model, Dataset, int], xr.Dataset]


@dataclass(frozen=True, eq=False)
class _Task:
    """What every replicate has in common."""

    model: Model
    design: Dataset
    asked: Mapping[str, Any]
    analysed: Mapping[str, Any]
    sampler: str | Sampler
    goal: Mapping[str, float]
    minutes: float
    seed: int


def calibrate(
    model: Model,
    design: Dataset | SamplingDesign | Mapping[str, Any],
    priors: Mapping[str, Any] | None = None,
    n: int = 100,
    *,
    subjects: int = 30,
    others: Mapping[str, Any] | None = None,
    sampler: str | Sampler = "structured",
    analysed: Mapping[str, Any] | None = None,
    until: Mapping[str, float] | None = None,
    max_minutes: float = 0.5,
    seed: int = 1,
    keep: str | Path | None = None,
    workers: int | None = None,
    progress: bool = False,
    **asked: Any,
) -> Calibration:
    """Draw truths from the prior, data from the truths, posteriors from the data, and rank each truth in its posterior.

    Parameters
    ----------
    model : Model
        Whose prior the truths are drawn from.
    design : Dataset, SamplingDesign or mapping
        Who is measured when and with which limits: a dataset (its values are replaced) or what `carkinetics.simulate` takes.
    priors : mapping, optional
        Priors that differ from the model's, as `Model.with_priors` takes them.
    n : int
        Number of replicates.
    subjects : int
        Number of patients, unless the design is a dataset.
    others : mapping, optional
        When and how further outputs are measured, as `carkinetics.simulate` takes it.
    sampler : {"structured", "nuts", "auto", "laplace", "advi", "pathfinder"} or callable
        What draws from the posterior: an engine or approximation of `carkinetics.fit_hierarchical`, or a function of model, data
        and seed that returns draws named as those of a `Fit`.
    analysed : mapping, optional
        Options of the analysis that differ from those the data are made with, such as ``{"blq": "M1"}``: what would a wrong
        likelihood do?
    until : mapping, optional
        As `carkinetics.fit_hierarchical` takes it; ``{"ess": 100, "rhat": 1.05}`` if not given.
    max_minutes : float
        Limit of every replicate. One that misses the goal is counted as it is.
    seed : int
        Of everything random; replicate k is the same whatever ``n`` and ``workers``.
    keep : str or pathlib.Path, optional
        A CSV file that gets every replicate as soon as it is there; those that it has already are not made again.
    workers : int, optional
        Processes; chosen from the time that is left if not given.
    progress : bool
        Show a bar on the standard error stream.
    **asked
        ``random, covariates, correlated, mixture, error, blq, assay`` of `carkinetics.fit_hierarchical`.

    Returns
    -------
    Calibration
        Ranks of all population quantities, of two subjects' parameters and of the log-likelihood.

    Raises
    ------
    ConfigError
        If an option makes no sense, or ``keep`` belongs to another calibration.

    Notes
    -----
    A truth that the equations have no solution for is counted and left out, so the prior is meant to be the one without such
    truths; the samplers refuse them too.

    References
    ----------
    .. [1] Talts S et al. arXiv:1804.06788.
    .. [2] Modrák M et al. Bayesian Anal 2025;20:461-488.
    """
    if n < 1:
        raise ConfigError(f"calibrate: n is {n}; expected 1 or more replicates")
    model = model.with_priors(**priors) if priors else model
    data = design if isinstance(design, Dataset) else simulate(model, design, subjects, seed, others=others)
    goal = Goal.of(UNTIL | dict(until or {}), max_minutes)
    task = _Task(
        model, data, asked, analysed or {}, sampler, {"ess": goal.ess, "rhat": goal.rhat}, goal.minutes, seed
    )
    make_problem(model, data, **(dict(asked) | dict(task.analysed)))  # what is wrong with it is said once
    settings = _settings(task)
    known = known_ranks(keep, settings)
    rows = known.to_dict("records")

    def add(row: dict[str, Any]) -> None:
        rows.append(row)
        if keep is not None:
            write_ranks(Path(keep), _table(rows), settings)

    missing = [(number,) for number in range(1, n + 1) if number not in set(known["replicate"])]
    # A pool of processes needs the cores that the chains of a lone one would take.
    here, there = (partial(_replicate, task, cores=cores) for cores in (os.cpu_count() or 1, 1))
    in_blocks(
        here, there, missing, workers=workers, worth=WORTH_A_POOL, progress=progress, what="replicates", keep=add
    )  # fmt: skip
    table = _table(rows).sort_values("replicate", ignore_index=True)
    return Calibration(table[table["replicate"] <= n], settings)


def _table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Replicates with the same columns first, whatever happened to them."""
    table = pd.DataFrame(rows)
    return table.reindex(columns=[*ABOUT, *(name for name in table if name not in ABOUT)])


def _settings(task: _Task) -> dict[str, Any]:
    """What tells one calibration from another, as JSON values."""
    design = task.design
    return {
        "model": task.model.name, "model_sha256": task.model.sha256,
        "priors": sorted(task.model.priors_changed), "design_sha256": design.sha256, "subjects": len(design.subjects),
        "samples": len(design.observations), "asked": json.loads(json.dumps(dict(task.asked), default=str)),
        "analysed": json.loads(json.dumps(dict(task.analysed), default=str)),
        "sampler": task.sampler if isinstance(task.sampler, str) else task.sampler.__qualname__,
        "until": dict(task.goal), "max_minutes": task.minutes, "chains": CHAINS, "ranks": N_RANKS, "seed": task.seed,
    }  # fmt: skip


def _replicate(task: _Task, number: int, *, cores: int) -> dict[str, Any]:
    """Ranks of one replicate, with what happened on the way."""
    rng = np.random.default_rng([task.seed, number, 17])
    problem = make_problem(task.model, task.design, **task.asked)
    truth = prior_draws(problem, 1, rng)
    values = predictive(problem, truth, rng)["level"].to_numpy()[0, 0]
    began, row = time.perf_counter(), {"replicate": number}
    if not np.isfinite(values).all():
        return row | {"status": NO_TRUTH}
    data = _measured_anew(problem, np.clip(values, 0.0, 1e300))
    seed = int(rng.integers(2**31))
    try:
        again = make_problem(task.model, data, **(dict(task.asked) | dict(task.analysed)))
        drawn, about = _draw(task, again, data, seed, cores)
    except CarkineticsError as refused:
        return row | {"status": BROKEN, "message": str(refused)}
    ranks = _ranks(again, drawn, truth)
    blq = float(is_censored(again.observations).mean())
    return row | about | {"blq": round(blq, 3), "seconds": round(time.perf_counter() - began, 2)} | ranks


def _draw(
    task: _Task, problem: Problem, data: Dataset, seed: int, cores: int
) -> tuple[xr.Dataset, dict[str, Any]]:
    """Posterior draws, and whether the goal was reached."""
    if not isinstance(task.sampler, str):
        return task.sampler(task.model, data, seed), {"status": DONE}
    if task.sampler == "structured" and problem.random:
        # Without what a Fit adds to the draws, which takes as long as they do.
        engine = StructuredSampler(problem, laplace_em(problem), chains=CHAINS, cores=cores, seed=seed)
        made = engine.run(Goal(**task.goal, minutes=task.minutes))
        raw, _ = raw_tree(engine, made)
        ess, rhat, reached = made.progress.ess, made.progress.rhat, made.reached
        drawn = raw["posterior"].to_dataset()
    else:
        approximate = task.sampler in ("laplace", "advi", "pathfinder")
        how = {"method": task.sampler} if approximate else {"sampler": task.sampler, "until": dict(task.goal)}
        fit = fit_hierarchical(
            task.model, data, **(dict(task.asked) | dict(task.analysed)), **how, chains=CHAINS, cores=cores, seed=seed,
            max_minutes=task.minutes,
        )  # fmt: skip
        table = fit.population()
        ess, rhat = float(table[["ess_bulk", "ess_tail"]].min().min()), float(table["rhat"].max())
        reached = approximate or bool(fit.settings.get("reached"))
        drawn = fit.tree["posterior"].to_dataset()
    status = DONE if reached else SHORT
    return drawn, {"status": status, "ess": round(ess), "rhat": round(rhat, 4)}


def _measured_anew(problem: Problem, values: np.ndarray) -> Dataset:
    """The same design with other measurements, reported with the limits of each row."""
    data, rows = problem.data, problem.observations.reset_index(drop=True)
    kind = data.assays.set_index("assay")["kind"] if "kind" in data.assays else {}
    ceiling, parts = ceiling_of(rows, data), []
    for (assay, lloq, lod, unit, uloq), group in rows.assign(uloq=ceiling).groupby(
        ["assay", "lloq", "lod", "unit", "uloq"], dropna=False, sort=False
    ):
        table = group[["subject", "assay", "time"]].assign(value=values[group.index])
        found = report_measurements(table, lloq, lod, unit, kind=kind.get(assay, "car"))
        parts.append(_cut_above(found, uloq))
    new = pd.concat(parts, ignore_index=True)
    fitted = data.observations["assay"].isin(rows["assay"].unique()) & (
        data.observations["status"] != PREDOSE
    )
    # What the model reads as an input, and rows that are zero by construction, stay as they are.
    table = pd.concat([data.observations[~fitted], new], ignore_index=True)
    return replace(
        data, observations=table.sort_values(["subject", "time"], kind="stable", ignore_index=True)
    )


def _cut_above(table: pd.DataFrame, uloq: float) -> pd.DataFrame:
    above = (table["value"] > uloq).to_numpy()
    if not above.any():
        return table
    return table.assign(
        status=np.where(above, ABOVE_ULOQ, table["status"]), value=np.where(above, np.nan, table["value"]),
        lower=np.where(above, uloq, table["lower"]), upper=np.where(above, np.inf, table["upper"]),
    )  # fmt: skip


def _ranks(problem: Problem, drawn: xr.Dataset, truth: xr.Dataset) -> dict[str, int]:
    """Number of draws below the truth, by quantity."""
    total = drawn.sizes["chain"] * drawn.sizes["draw"]
    if total < N_RANKS:
        raise ConfigError(
            f"calibrate: the sampler made {total} draws; {N_RANKS} or more are needed for ranks"
        )
    chosen = np.linspace(0, total - 1, N_RANKS).astype(int)
    bare = drawn.drop_vars([name for name in ("chain", "draw") if name in drawn.coords])
    flat = bare.stack(one=("chain", "draw"), create_index=False).isel(one=chosen)
    thinned = flat.expand_dims("chain").rename(one="draw").assign_coords(chain=[0], draw=np.arange(N_RANKS))
    found = _quantities(problem, thinned)
    true = _quantities(problem, truth)
    return {name: int((x < true[name][0]).sum()) for name, x in found.items() if name in true}


def _quantities(problem: Problem, draws: xr.Dataset) -> dict[str, np.ndarray]:
    """Everything that is ranked, shape (n,)."""
    names = [f"{n}_typical" for n in problem.model.free_parameters] + [f"{n}_omega" for n in problem.random]
    names += [c.name for c in problem.covariates]
    if problem.mixture:
        names += [problem.mixture.share_name, *map(problem.mixture.shift_name, problem.mixture.shifts)]
    names += problem.sigma_names
    found = {name: draws[name].to_numpy().ravel() for name in names if name in draws}
    for k, one in enumerate(problem.correlated):
        for other in problem.correlated[k + 1 :]:
            pair = draws["effect_correlation"].sel(effect=one, effect_aux=other)
            found[f"corr_{one}_{other}"] = pair.to_numpy().ravel()
    for name in problem.random:
        for i in range(min(FOLLOWED, problem.n_subjects)):
            found[f"{name} of subject {i + 1}"] = draws[name].isel(subject=i).to_numpy().ravel()
    if set(problem.sigma_names) <= set(draws.data_vars):
        each = log_likelihoods(problem, draws.transpose("chain", "draw", ...))["subject"]
        found["log_likelihood"] = each.sum("subject_id").to_numpy().ravel()
    return found
