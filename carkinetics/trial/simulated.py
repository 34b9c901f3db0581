"""One simulated trial, to be looked at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from carkinetics.dataset.table import Dataset
from carkinetics.errors import ConfigError
from carkinetics.escalation.arguments import whole
from carkinetics.escalation.design import Design
from carkinetics.fit.result import Fit
from carkinetics.model.spec import Model
from carkinetics.trial.links import Links
from carkinetics.trial.plan import TrialPlan
from carkinetics.trial.population import Population
from carkinetics.trial.simulate import Block, simulate_block
from carkinetics.trial.written import (
    dataset_of,
    event_table,
    lesion_table,
    save_trial,
    subject_table,
    truth_of,
)


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
