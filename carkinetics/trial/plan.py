"""What a trial intends: its design, its patients, its visits and how it is run."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from dataclasses import dataclass, field

from carkinetics.errors import ConfigError
from carkinetics.escalation.arguments import flag, number, whole
from carkinetics.escalation.design import Design
from carkinetics.escalation.scenario import Scenario
from carkinetics.escalation.stops import StopAfter
from carkinetics.fit.result import Fit
from carkinetics.model.spec import Model
from carkinetics.trial.links import Links
from carkinetics.trial.population import Covariate, Population
from carkinetics.trial.settings import days_in_order, refuse_numbers

# Patients of the escalation of a design that has no end of its own.
ESCALATION_N = 30
DAYS_PER_MONTH = 365.25 / 12
MOST_DAYS = 36_525.0
DOSE_UNITS = ("cells/kg", "cells")


@dataclass(frozen=True)
class Conduct:
    """How a trial is run.

    Parameters
    ----------
    window : float
        Days from the infusion in which a DLT counts.
    accrual_per_month : float
        Patients who come per month while the trial is open, at random times; nobody waits while it is closed.
    stagger : float
        Least days between two infusions of the escalation.
    leave_window : float
        Probability to leave before the end of the window without a DLT: not evaluable, replaced.
    follow_up : float
        Days of follow-up.
    lost_per_day : float
        Hazard to be lost to follow-up after the window.
    short : float
        Probability that a product has fewer cells than planned: uniformly 30 to 90 % of the dose is given. The patient
        counts at the highest dose not above the one received, and not at all below the lowest without a DLT.
    dose_spread : float
        SD of the log of the dose given to all others; within 20 % it counts as planned.
    expansion : tuple of int
        Doses of the expansion relative to the selected one, in turn: ``(0,)``, or ``(0, -1)`` with the dose below.
    """

    window: float = 28.0
    accrual_per_month: float = 4.0
    stagger: float = 7.0
    leave_window: float = 0.02
    follow_up: float = 730.0
    lost_per_day: float = 1 / 2500
    short: float = 0.0
    dose_spread: float = 0.0
    expansion: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        refuse_numbers(
            self,
            "conduct",
            above=("window", "accrual_per_month", "follow_up"),
            least=("stagger", "lost_per_day", "dose_spread", "leave_window"),
            share=("short",),
        )
        number(self.follow_up, "follow_up (days)", "conduct", most=MOST_DAYS)
        if not self.leave_window < 1:
            raise ConfigError(
                f"conduct: leave_window is {self.leave_window!r}; expected a probability below 1"
            )
        steps = self.expansion if isinstance(self.expansion, (tuple, list)) else ()
        if not steps or any(
            isinstance(s, bool) or not isinstance(s, numbers.Integral) or s > 0 for s in steps
        ):
            raise ConfigError(
                f"conduct: expansion is {self.expansion!r}; expected steps such as (0,) or (0, -1), none above 0"
            )


@dataclass(frozen=True)
class Visits:
    """When an assay is measured, and what it can see.

    Parameters
    ----------
    days : tuple of float
        Planned days; before the infusion they are negative.
    lloq, lod : float
        Limits of quantification and of detection, in the unit of the level.
    missed : float
        Share of visits that do not happen.
    drift : bool
        Whether visits move by hours in the first week, by some half a day to day 28, and by days later.
    """

    days: tuple[float, ...] = (-1, 1, 3, 5, 7, 10, 14, 21, 28, 42, 56, 84, 112, 168, 252, 364, 546, 728)
    lloq: float = 25.0
    lod: float = 10.0
    missed: float = 0.04
    drift: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "days", days_in_order(self.days, "days", "visits"))
        refuse_numbers(self, "visits", above=("lod", "lloq"), share=("missed",))
        if not self.lod <= self.lloq:
            raise ConfigError(f"visits: lod {self.lod:g}, lloq {self.lloq:g}; expected 0 < lod <= lloq")
        if not self.missed < 1:
            raise ConfigError(f"visits: missed is {self.missed:g}; expected a share below 1")
        flag(self.drift, "drift", "visits")


@dataclass(frozen=True, eq=False)
class TrialPlan:
    """A trial that can be simulated.

    Parameters
    ----------
    design : Design
        The rule of dose escalation; its doses are sizes, in ``dose_unit``.
    population : Population, Model or Fit
        Kinetics of the patients.
    links : Links
        From their curves to what the trial sees.
    n : int
        Patients of escalation and expansion together.
    covariates : mapping of str to Covariate
        By name.
    conduct : Conduct
        How it is run.
    qpcr : Visits
        When and how the CAR-T level is measured.
    cytokine_days, antibody_days : tuple of float
        When those are measured.
    dose_unit : str
        ``"cells/kg"`` or ``"cells"``.
    name, title : str
        Of the trial.
    scenarios : mapping of str to Scenario
        What the DLT probabilities could be, by name, for `compare_designs`; the simulation from cells has its own truth.
    notes : mapping of str to str
        What a setting rests on, by its name: the registry record, or ours.

    Raises
    ------
    ConfigError
        If a part makes no sense, or links need a covariate that is not there.
    """

    design: Design
    population: Population
    links: Links = field(default_factory=Links)
    n: int = 87
    covariates: Mapping[str, Covariate] = field(default_factory=dict)
    conduct: Conduct = Conduct()
    qpcr: Visits = Visits()
    cytokine_days: tuple[float, ...] = (-1, 1, 3, 5, 7, 10, 14, 21, 28)
    antibody_days: tuple[float, ...] = (-1, 28, 84, 168, 364)
    dose_unit: str = "cells/kg"
    name: str = "trial"
    title: str = ""
    scenarios: Mapping[str, Scenario] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.design, Design):
            raise ConfigError(
                f"design is {self.design!r}; expected a design such as ThreePlusThree(doses, variant='B')"
            )
        if isinstance(self.population, (Model, Fit)):
            object.__setattr__(self, "population", Population(self.population))
        if not isinstance(self.population, Population):
            raise ConfigError(f"population is {self.population!r}; expected a Model, a Fit or a Population")
        self._refuse_parts()
        if self.design.doses == tuple(range(1, len(self.design.doses) + 1)):
            raise ConfigError(
                f"the design has doses by number, 1 to {len(self.design.doses)}; kinetics need their sizes: "
                f"doses=[...] in {self.dose_unit}"
            )
        tumour = self.links.tumour
        if tumour is not None and tumour.scan_every > self.conduct.follow_up:
            raise ConfigError(
                f"links.tumour is first looked at on day {tumour.scan_every:g}, after the follow-up of {self.conduct.follow_up:g} "
                "days; shorten scan_every, or leave the tumour out (links.tumour None)"
            )
        if tumour is not None and tumour.burden not in self.covariates:
            raise ConfigError(
                f"links.tumour needs the covariate {tumour.burden!r}, the sum of target diameters in mm; covariates are "
                f"{', '.join(self.covariates) or 'none'}"
            )

    def _refuse_parts(self) -> None:
        whole(self.n, "n (patients)", "trial plan")
        for name, kind in (("links", Links), ("conduct", Conduct), ("qpcr", Visits)):
            if not isinstance(getattr(self, name), kind):
                raise ConfigError(f"{name} is {getattr(self, name)!r}; expected {kind.__name__}(...)")
        if self.dose_unit not in DOSE_UNITS:
            raise ConfigError(f"dose_unit is {self.dose_unit!r}; expected one of {', '.join(DOSE_UNITS)}")
        for name in ("cytokine_days", "antibody_days"):
            object.__setattr__(self, name, days_in_order(getattr(self, name), name, "trial plan"))
        for name, covariate in self.covariates.items():
            if not isinstance(covariate, Covariate):
                raise ConfigError(f"covariates: {name} is {covariate!r}; expected Covariate(kind, ...)")

    @property
    def ended_design(self) -> Design:
        """The design with an end: 30 patients of escalation where it has none."""
        return self.design if self.design.ends else StopAfter(self.design, n=min(ESCALATION_N, self.n))
