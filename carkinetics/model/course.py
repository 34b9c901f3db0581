"""What happens to a subject at known times: infusions, and inputs that were measured on the way.

A *schedule* is the same as an array for compiled solvers: one line at day 0 and one for every later infusion and
every measurement of a time-varying input, with the time, the amount infused, and for each such input its value and
its slope from there on, on the scale on which it is interpolated.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from carkinetics.model.series import Series
from carkinetics.model.spec import Model

ONE_INFUSION: tuple[tuple[float, float], ...] = ((0.0, 1.0),)


@dataclass(frozen=True)
class Course:
    """What happens to a subject and is not a parameter.

    Parameters
    ----------
    infusions : tuple of (float, float)
        Day and amount, in order of time.
    series : dict of str to Series
        Inputs that change with time.
    """

    infusions: tuple[tuple[float, float], ...] = ONE_INFUSION
    series: dict[str, Series] = field(default_factory=dict)

    def inputs_at(self, t: float) -> dict[str, float]:
        """Values of the inputs that change with time."""
        return {name: float(one(t)) for name, one in self.series.items()}

    def amounts_at(self, t: float) -> list[float]:
        """Amounts of the infusions at that very time."""
        return [amount for day, amount in self.infusions if day == t]

    @property
    def knots(self) -> list[float]:
        """Times after day 0 at which a measured input has a kink or jumps."""
        found = {float(knot) for one in self.series.values() for knot in one.knots}
        return sorted(knot for knot in found if knot > 0)


def schedule_of(model: Model, course: Course) -> NDArray[np.float64]:
    """A course as compiled solvers take it.

    Parameters
    ----------
    model : Model
        Whose inputs; one without a series stays at its default.
    course : Course
        Infusions and measured inputs.

    Returns
    -------
    ndarray, shape (n_lines, 2 + 2 * n_varying)
        The schedule.
    """
    amounts = {0.0: 0.0}
    if model.infused:
        for day, amount in course.infusions:
            amounts[day] = amounts.get(day, 0.0) + amount
    measured = [_knots(model, course, name) for name in model.varying_inputs]
    times = sorted({*amounts, *(float(t) for time, _ in measured for t in time if t > 0)})
    starts = np.array(times)
    columns = [starts, np.array([amounts.get(t, 0.0) for t in times])]
    for name, (time, value) in zip(model.varying_inputs, measured, strict=True):
        columns += _piecewise(starts, time, value, model.inputs[name].interpolation)
    return np.ascontiguousarray(np.column_stack(columns))


def _knots(model: Model, course: Course, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times and values of an input, on the scale of its interpolation."""
    entry, series = model.inputs[name], course.series.get(name)
    time, value = (np.zeros(1), np.array([entry.default])) if series is None else (series.time, series.value)
    with np.errstate(divide="ignore"):
        return time, np.log(value) if entry.interpolation == "log" else value


def _piecewise(
    starts: NDArray[np.float64], time: NDArray[np.float64], value: NDArray[np.float64], interpolation: str
) -> Iterable[NDArray[np.float64]]:
    """Value and slope of a measured input from each of the given times on."""
    if interpolation == "constant":
        held = np.clip(np.searchsorted(time, starts, side="right") - 1, 0, len(time) - 1)
        return value[held], np.zeros(len(starts))
    after = np.searchsorted(time, starts, side="right")
    inside = (after > 0) & (after < len(time))
    right = np.clip(after, 1, max(len(time) - 1, 1)) if len(time) > 1 else np.zeros(len(starts), int)
    left = np.maximum(right - 1, 0)
    width = np.where(inside, time[right] - time[left], 1.0)
    slope = np.where(inside, (value[right] - value[left]) / width, 0.0)
    return np.interp(starts, time, value), slope
