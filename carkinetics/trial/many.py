"""Thousands of simulated trials, counted: what a trial does, and what it learns."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from carkinetics.errors import ConfigError
from carkinetics.escalation.arguments import whole
from carkinetics.escalation.characteristics import overdose_limit
from carkinetics.trial.plan import TrialPlan
from carkinetics.trial.power import dose_counts, dose_truth, power_table, trial_metrics
from carkinetics.trial.simulate import simulate_block
from carkinetics.workers import in_blocks

BLOCK = 25  # trials that are computed side by side
WORTH_A_POOL = 20.0  # seconds of work left, below which starting other processes does not pay


@dataclass(frozen=True)
class TrialCharacteristics:
    """What a trial does and learns, over many simulated ones.

    Parameters
    ----------
    plan : TrialPlan
        What they intended.
    trials : pandas.DataFrame
        One row per trial: ``selected``, patients, DLTs, days, responses, and what its kinetic analyses found.
    doses : pandas.DataFrame
        Index ``dose``, 0 for none selected: ``p_select``; patients and DLTs per trial, of the escalation and with the
        expansion; the true probabilities at the dose (`dose_truth`).
    power : pandas.DataFrame
        Index by question: value, its Monte-Carlo standard error, and what it says.
    summary : pandas.DataFrame
        Indexed by ``question``: selection, safety, time and response, with their Monte-Carlo standard errors.
    settings : dict
        Seed, number of trials, seconds, and the DLT probability above which a dose is an overdose.
    """

    plan: TrialPlan
    trials: pd.DataFrame
    doses: pd.DataFrame
    power: pd.DataFrame
    summary: pd.DataFrame
    settings: dict[str, Any]


def simulate_trials(
    plan: TrialPlan,
    trials: int = 1000,
    seed: int = 0,
    *,
    overdose: float | None = None,
    workers: int | None = None,
    progress: bool = False,
) -> TrialCharacteristics:
    """Operating characteristics of a trial that starts from cells.

    Parameters
    ----------
    plan : TrialPlan
        What it intends.
    trials : int
        How many to simulate.
    seed : int
        Of everything random; the result does not depend on ``workers``.
    overdose : float, optional
        A dose with a higher DLT probability is an overdose; the design's target, or 0.33, if not given.
    workers : int, optional
        Processes; by default as many as there are cores where that pays.
    progress : bool
        Show a bar on stderr.

    Returns
    -------
    TrialCharacteristics
        Selection, safety, duration, response, and the power of the kinetic analyses.

    Raises
    ------
    ConfigError
        If a number makes no sense.
    """
    if not isinstance(plan, TrialPlan):
        raise ConfigError(
            f"simulate_trials: plan is {plan!r}; expected a TrialPlan, such as load_trial('nct05783089')"
        )
    whole(trials, "trials", "simulate_trials", least=2)
    whole(seed, "seed", "simulate_trials", least=0)
    if workers is not None:
        whole(workers, "workers", "simulate_trials")
    limit = overdose_limit(plan.design, overdose, "simulate_trials")
    began = time.perf_counter()
    parts = _blocks(plan, seed, trials, workers, progress)
    table = pd.concat([part[0] for part in parts], ignore_index=True)
    counts = np.sum([part[1] for part in parts], axis=0)
    doses = _by_dose(plan, table, counts, dose_truth(plan, seed=seed))
    settings = {
        "seed": seed,
        "trials": trials,
        "overdose_above": limit,
        "seconds": round(time.perf_counter() - began, 1),
    }
    return TrialCharacteristics(
        plan, table, doses, power_table(table), _summary(table, doses, limit), settings
    )


def _summary(table: pd.DataFrame, doses: pd.DataFrame, limit: float) -> pd.DataFrame:
    """Selection, safety, time and response."""
    toxic = doses.index[doses["true_dlt"] > limit]
    columns = {
        "no dose is selected": table["selected"] == 0,
        f"an overdose is selected (DLT probability above {limit:g})": table["selected"].isin(toxic),
        "patients": table["n"],
        "DLTs": table["dlt"],
        "days to the selection": table["escalation_days"],
        "days to the last infusion": table["days"],
        "objective response rate": table["responders"] / table["n"],
    }
    rows = [
        (
            question,
            values.mean(),
            values.std() / np.sqrt(values.notna().sum()),
            values.quantile(0.05),
            values.quantile(0.95),
        )
        for question, values in ((name, pd.Series(column, dtype=float)) for name, column in columns.items())
    ]
    names = ["question", "mean", "se", "p5", "p95"]
    return pd.DataFrame(rows, columns=names).set_index("question")


def _blocks(
    plan: TrialPlan, seed: int, trials: int, workers: int | None, progress: bool
) -> list[tuple[pd.DataFrame, np.ndarray]]:
    """Blocks of trials, in this process, or in several once it is seen that this pays."""
    numbers = [np.arange(start, min(start + BLOCK, trials)) for start in range(0, trials, BLOCK)]
    work = partial(_one_block, plan, seed)
    blocks = [(part,) for part in numbers]
    return in_blocks(work, work, blocks, workers=workers, worth=WORTH_A_POOL, progress=progress)


def _one_block(plan: TrialPlan, seed: int, numbers: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    block = simulate_block(plan, seed, numbers)
    return trial_metrics(block), dose_counts(block)


def _by_dose(plan: TrialPlan, table: pd.DataFrame, counts: np.ndarray, truth: pd.DataFrame) -> pd.DataFrame:
    index = pd.Index([0.0, *plan.design.doses], name="dose")
    selected = table["selected"].value_counts(normalize=True).reindex(index, fill_value=0.0)
    per_trial = np.vstack([np.zeros(4), counts]) / len(table)
    names = ["n_escalation", "dlt_escalation", "n", "dlt"]
    doses = pd.DataFrame({"p_select": selected} | dict(zip(names, per_trial.T, strict=True)), index=index)
    return doses.join(truth)
