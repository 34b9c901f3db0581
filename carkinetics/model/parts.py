"""Parameter, State, Output and their kin: the frozen parts of a model's description.

A parameter has a *free* scale on which it may take any value: the log for positive ones, the logit
for fractions. Between-subject spread (``omega``) and the prior are normal on that scale, and omega is
always a standard deviation there, never a variance.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from carkinetics.model.expression import Expression
from carkinetics.model.prior import FROM_FREE, TO_FREE, Prior, Transform


@dataclass(frozen=True, slots=True)
class Parameter:
    """One number of a model, and what is known about it before the data.

    Parameters
    ----------
    name, meaning, unit : str
        What it is.
    typical : float
        Published or proposed typical value.
    transform : {"log", "logit", "identity"}
        The free scale.
    prior : Prior
        For the typical value.
    omega : float or None
        Published between-subject standard deviation on the free scale; None: not random by default.
    omega_prior : float
        Scale of the half-normal prior for omega.
    start : str
        Which feature of one subject's series is a starting value: ``peak``, ``peak_time``, ``fold``,
        ``decline``, ``lag``, or empty for the typical value.
    fixed : bool
        Not estimated; stays at ``typical``.
    source : str
        Where the typical value was read.
    """

    name: str
    meaning: str
    unit: str
    typical: float
    transform: Transform
    prior: Prior
    omega: float | None = None
    omega_prior: float = 1.0
    start: str = ""
    fixed: bool = False
    source: str = ""

    def to_free(self, value: Any) -> Any:
        """Natural scale to free scale."""
        return TO_FREE[self.transform](value)

    def from_free(self, value: Any) -> Any:
        """Free scale to natural scale."""
        return FROM_FREE[self.transform](value)


@dataclass(frozen=True, slots=True)
class Input:
    """A number per subject that the equations use and nobody estimates.

    It comes from an event, a column or an assay; without any of the three it is a constant.

    Parameters
    ----------
    name, meaning, unit : str
        What it is.
    event : str
        Its value is the time of the subject's first such event.
    default : float
        Where the subject has none (``inf`` for an event that never came).
    column : str
        Its value stands in this column of the subjects.
    assay : str
        Its value changes with time, as this assay measured it.
    interpolation : str
        Between two measurements: ``"linear"``, ``"log"`` (linear in the log) or ``"constant"`` (the
        earlier one).
    """

    name: str
    meaning: str
    unit: str
    event: str = ""
    default: float = np.nan
    column: str = ""
    assay: str = ""
    interpolation: str = ""

    @property
    def varying(self) -> bool:
        """Whether it changes with time within a subject."""
        return bool(self.assay)


@dataclass(frozen=True, slots=True)
class State:
    """One differential equation.

    Parameters
    ----------
    name : str
        What it is.
    initial, rate : Expression
        Value at time 0 before the infusion, and change per day, both on the natural scale.
    unit : str
        Its unit.
    log : bool
        Whether it is solved as its logarithm, which keeps it positive.
    infused : Expression or None
        What every infusion adds, in terms of ``amount``; None: infusions do not reach it.
    """

    name: str
    initial: Expression
    rate: Expression
    unit: str
    log: bool = False
    infused: Expression | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """What one assay measures of the model, and how well.

    Parameters
    ----------
    name, meaning, unit : str
        What it is.
    of : Expression
        In states (or ``level``), parameters, inputs and derived values.
    error : str
        Residual error model of the publication.
    residual : float
        Typical residual standard deviation.
    """

    name: str
    meaning: str
    unit: str
    of: Expression
    error: str
    residual: float


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number derived from the parameters that people quote, such as a doubling time.

    Parameters
    ----------
    name, meaning, unit : str
        What it is.
    value : Expression
        In parameters and derived values.
    """

    name: str
    meaning: str
    unit: str
    value: Expression


@dataclass(frozen=True, slots=True)
class ParameterSet:
    """Published values other than the typical ones: another patient, product or cell line.

    Parameters
    ----------
    name, meaning, source : str
        What it is and where it was read.
    numbers : dict of str to float
        By parameter or input; the others keep their typical value.
    """

    name: str
    meaning: str
    source: str
    numbers: dict[str, float]


@dataclass(frozen=True, slots=True)
class Check:
    """A published number that the model file must reproduce.

    Parameters
    ----------
    what : str
        In words.
    value : Expression or None
        In parameters and derived values; None for a level at ``at`` or a ``peak``.
    at : float or None
        Time in days at which the predicted level is compared.
    peak : tuple of (float, float) or None
        Days between which the largest level is compared.
    expected, tolerance : float
        Published number and absolute tolerance.
    unit, source : str
        Its unit and where it was read.
    output : str
        Which output is compared; empty for the first.
    numbers : dict of str to float
        Parameters and inputs that differ from the typical ones.
    infusions : tuple of (float, float)
        Day and amount of every infusion; empty for one of amount 1 on day 0.
    """

    what: str
    value: Expression | None
    at: float | None
    peak: tuple[float, float] | None
    expected: float
    tolerance: float
    unit: str
    source: str
    output: str = ""
    numbers: dict[str, float] = field(default_factory=dict)
    infusions: tuple[tuple[float, float], ...] = ()
