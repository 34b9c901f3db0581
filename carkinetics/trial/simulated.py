"""Simulated trials: one that can be looked at, or thousands that are counted."""

from __future__ import annotations

import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track

from carkinetics.dataset.table import Dataset
from carkinetics.errors import ConfigError
from carkinetics.fit.result import Fit
from carkinetics.model.spec import Model
from carkinetics.trial.design import Design, whole
from carkinetics.trial.links import Links
from carkinetics.trial.plan import TrialPlan
from carkinetics.trial.population import Population
from carkinetics.trial.power import dose_counts, dose_truth, power_table, trial_metrics
from carkinetics.trial.simulate import Block, simulate_block
from carkinetics.trial.written import (
    dataset_of,
    event_table,
    lesion_table,
    save_trial,
    subject_table,
    truth_of,
)

BLOCK = 25  # trials that are computed side by side
WORTH_A_POOL = 20.0  # seconds of work left, below which starting other processes does not pay


@dataclass(frozen=True, eq=False)
class SimulatedTrial:
    """One simulated trial.

    Parameters
    ----------
    block : Block
        Where it was computed.
    at : int
        Its position there.
    """

    block: Block
    at: int = 0

    @property
    def plan(self) -> TrialPlan:
        """What it intended."""
        return self.block.plan

    @property
    def selected(self) -> float:
        """The dose that was selected; 0 for none."""
        level = int(self.block.escalations.selected[self.at])
        return self.plan.design.doses[level - 1] if level else 0.0

    @cached_property
    def subjects(self) -> pd.DataFrame:
        """One row per treated patient: dose, covariates and outcomes."""
        return subject_table(self.block, self.at)

    @cached_property
    def decisions(self) -> pd.DataFrame:
        """One row per decision: the day, what it was, why, and who was treated next with what outcome."""
        rows = []
        for number, step in enumerate(self.block.escalations.steps[self.at], start=1):
            who = self.subjects.iloc[list(step.patients)]
            decision = step.decision
            rows.append(
                {
                    "cohort": number, "day": round(step.day, 1), "action": decision.action, "dose": decision.dose, "n": len(who),
                    "dlt": int(who["DLT"].sum()), "not_evaluable": int((who["EVALUABLE"] == 0).sum()), "mtd": decision.mtd,
                    "reason": decision.reason, "subjects": ", ".join(who["ID"]), "notes": " ".join(decision.notes),
                }
            )  # fmt: skip
        return pd.DataFrame(rows)

    @cached_property
    def lesions(self) -> pd.DataFrame:
        """For `derive_response`."""
        return lesion_table(self.block, self.at, self.subjects)

    @cached_property
    def adverse_events(self) -> pd.DataFrame:
        """For `toxicity_table` and `dose_limiting`."""
        return event_table(self.subjects)

    @cached_property
    def truth(self) -> dict[str, Any]:
        """What a fit should find."""
        return truth_of(self.block, self.at, self.subjects)

    @cached_property
    def dataset(self) -> Dataset:
        """The trial's data, written to files and read as a real trial's are."""
        return dataset_of(self.block, self.at)

    def save(self, folder: str | Path) -> Path:
        """Write ``measurements.csv``, ``subjects.csv``, ``dataset.toml`` and ``truth.json``.

        Parameters
        ----------
        folder : str or pathlib.Path
            Where; it is made if it is not there.

        Returns
        -------
        pathlib.Path
            That folder.
        """
        save_trial(self.block, self.at, Path(folder), self.plan.title or self.plan.name)
        return Path(folder)


def simulate_trial(
    design: Design | TrialPlan,
    kinetics: Population | Model | Fit | None = None,
    links: Links | None = None,
    n: int | None = None,
    seed: int = 0,
    **settings: Any,
) -> SimulatedTrial:
    """Simulate one trial from its cells.

    Parameters
    ----------
    design : Design or TrialPlan
        The rule of dose escalation, its doses by size; or the whole plan, such as ``load_trial("nct05783089")``.
    kinetics : Population, Model or Fit, optional
        Kinetics of the patients; not beside a plan.
    links : Links, optional
        From their curves to what the trial sees.
    n : int, optional
        Patients of escalation and expansion together; 87 if not given.
    seed : int
        Of everything random.
    **settings
        Other fields of `TrialPlan`.

    Returns
    -------
    SimulatedTrial
        Its patients, decisions and data.

    Raises
    ------
    ConfigError
        If the plan makes no sense.
    """
    plan = _plan(design, kinetics, links, n, settings)
    whole(seed, "seed", "simulate_trial", least=0)
    return SimulatedTrial(simulate_block(plan, seed, np.array([0])))


def _plan(
    design: Design | TrialPlan,
    kinetics: Population | Model | Fit | None,
    links: Links | None,
    n: int | None,
    settings: dict[str, Any],
) -> TrialPlan:
    given = {"links": links, "n": n, **settings}
    given = {name: value for name, value in given.items() if value is not None}
    if isinstance(design, TrialPlan):
        if kinetics is not None or given:
            raise ConfigError(
                "simulate_trial: a plan says everything; change it by dataclasses.replace(plan, ...) instead of giving "
                f"{', '.join(['kinetics'] * (kinetics is not None) + list(given))} beside it"
            )
        return design
    if kinetics is None:
        raise ConfigError("simulate_trial: give kinetics, a Model, a Fit or a Population, beside a design")
    return TrialPlan(design, kinetics, **given)  # type: ignore[arg-type]


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
    settings : dict
        Seed, number of trials, seconds.
    """

    plan: TrialPlan
    trials: pd.DataFrame
    doses: pd.DataFrame
    power: pd.DataFrame
    settings: dict[str, Any]


def simulate_trials(
    plan: TrialPlan, trials: int = 1000, seed: int = 0, *, workers: int | None = None, progress: bool = False
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
    whole(trials, "trials", "simulate_trials", least=2)
    whole(seed, "seed", "simulate_trials", least=0)
    began = time.perf_counter()
    parts = _blocks(plan, seed, trials, workers, progress)
    table = pd.concat([part[0] for part in parts], ignore_index=True)
    counts = np.sum([part[1] for part in parts], axis=0)
    doses = _by_dose(plan, table, counts, dose_truth(plan, seed=seed))
    seconds = round(time.perf_counter() - began, 1)
    return TrialCharacteristics(
        plan, table, doses, power_table(table), {"seed": seed, "trials": trials, "seconds": seconds}
    )


def _blocks(
    plan: TrialPlan, seed: int, trials: int, workers: int | None, progress: bool
) -> list[tuple[pd.DataFrame, np.ndarray]]:
    """Blocks of trials, in this process, or in several once it is seen that this pays."""
    numbers = [np.arange(start, min(start + BLOCK, trials)) for start in range(0, trials, BLOCK)]
    began, parts = time.perf_counter(), []
    bar = track(numbers, "trials", console=Console(stderr=True), disable=not progress, transient=True)
    for part in bar:
        parts.append(_one_block(plan, seed, part))
        left = (time.perf_counter() - began) / len(parts) * (len(numbers) - len(parts))
        cores = workers or (os.cpu_count() or 1 if left > WORTH_A_POOL else 1)
        if cores > 1 and len(parts) < len(numbers):
            with ProcessPoolExecutor(cores, mp_context=get_context("forkserver")) as pool:
                parts += pool.map(partial(_one_block, plan, seed), numbers[len(parts) :])
            break
    return parts


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
