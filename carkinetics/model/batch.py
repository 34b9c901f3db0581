"""Many parameter sets of one model of differential equations, solved by compiled code.

A posterior has thousands of parameter sets. Each that occurs is solved once, at all of its times, on all cores; what
differs from the SciPy road (`carkinetics.model.integrate`) is the speed and the last digits.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carkinetics.model.compile import Kernel, call, compile_model
from carkinetics.model.course import Course, schedule_of
from carkinetics.model.equations import default_scales, fixed_names
from carkinetics.model.jit import compiled
from carkinetics.model.spec import Model
from carkinetics.model.walk import LOG_TINY

Floats = NDArray[np.float64]
TOLERANCE = 1e-9  # of each step of the solver, relative to the level
# A fraction of exactly 0 or 1, or a level of 0, is infinitely far away on the free scale: exp(-700) is 1e-304.
FARTHEST = 700.0
SETS_PER_WORKER = 8


@dataclass(frozen=True, eq=False)
class ParameterSets:
    """The parameter sets that occur in arrays of values, and which of them each value of the result needs.

    Parameters
    ----------
    columns : dict of str to ndarray, shape (n_sets,)
        Every parameter and input, natural scale.
    which : ndarray of int
        Set of each element of the result, of the result's shape.
    time : ndarray
        Its time, of the same shape.
    """

    columns: dict[str, Floats]
    which: NDArray[np.intp]
    time: Floats

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


def distinct_sets(time: Floats, values: Mapping[str, Any]) -> ParameterSets:
    """Find the parameter sets in arrays that broadcast against times.

    Parameters
    ----------
    time : ndarray
        Days.
    values : mapping
        Values by name; shapes broadcast against ``time``.

    Returns
    -------
    ParameterSets
        Each set once.
    """
    arrays = {name: np.asarray(value, dtype=float) for name, value in values.items()}
    of_sets = np.broadcast_shapes(*(a.shape for a in arrays.values()))
    flat = np.column_stack([np.broadcast_to(a, of_sets).ravel() for a in arrays.values()])
    kinds, which = np.unique(flat, axis=0, return_inverse=True)
    shape = np.broadcast_shapes(of_sets, np.shape(time))
    return ParameterSets(
        dict(zip(arrays, kinds.T, strict=True)),
        np.broadcast_to(which.reshape(of_sets), shape),
        np.broadcast_to(time, shape),
    )


def solve_sets(model: Model, output: str, sets: ParameterSets, course: Course) -> Floats:
    """An output of a model of differential equations.

    Parameters
    ----------
    model : Model
        With differential equations.
    output : str
        Which output.
    sets : ParameterSets
        From `distinct_sets`; times before day 0 count as day 0 just after the infusion.
    course : Course
        Infusions and measured inputs, the same for all; an input without a series stays at its value in ``sets``.

    Returns
    -------
    ndarray
        Of the shape of ``sets.time``; NaN from where the equations cannot be solved.
    """
    scales = default_scales(model)
    kernel = compile_model(model, scales)
    number = list(model.outputs).index(output)
    time, which = np.maximum(sets.time, 0.0).ravel(), sets.which.ravel()
    order = np.lexsort((time, which))
    found = np.full(len(time), np.nan)
    pointer = np.searchsorted(which[order], np.arange(len(sets) + 1)).astype(np.int64)
    found[order] = _run(kernel, _arguments(model, sets.columns, course), pointer, time[order], number)
    if scales[number]:
        with np.errstate(over="ignore"):
            found = np.where(found <= LOG_TINY, 0.0, np.exp(found))
    return found.reshape(sets.time.shape)


def _arguments(model: Model, values: Mapping[str, Floats], course: Course) -> tuple[Floats, Floats, Floats]:
    """Free parameters, fixed values and schedule of every set."""
    n = len(next(iter(values.values())))
    theta, fixed = np.empty((n, len(model.free_parameters))), np.empty((n, len(fixed_names(model))))
    for k, name in enumerate(model.free_parameters):
        with np.errstate(all="ignore"):
            free = np.asarray(model.parameters[name].to_free(values[name]), dtype=float)
        theta[:, k] = (
            free if model.parameters[name].transform == "identity" else np.clip(free, -FARTHEST, FARTHEST)
        )
    for k, name in enumerate(fixed_names(model)):
        fixed[:, k] = values[name]
    schedule = np.repeat(schedule_of(model, course)[None], n, axis=0)
    for k, name in enumerate(model.varying_inputs):
        if name not in course.series:
            with np.errstate(all="ignore"):
                held = np.log(values[name]) if model.inputs[name].interpolation == "log" else values[name]
            schedule[:, :, 2 + 2 * k], schedule[:, :, 3 + 2 * k] = held[:, None], 0.0
    return theta, fixed, schedule


def _run(
    kernel: Kernel,
    arguments: tuple[Floats, Floats, Floats],
    pointer: NDArray[np.int64],
    time: Floats,
    number: int,
) -> Floats:
    predicted = np.full(len(time), np.nan)
    n = len(pointer) - 1
    workers = min(os.cpu_count() or 1, max(1, n // SETS_PER_WORKER))
    cuts = np.linspace(0, n, workers + 1).astype(int)
    output = np.full(len(time), number, dtype=np.int64)

    def work(part: int) -> None:
        solve_each(
            kernel.address,
            *arguments,
            pointer,
            time,
            output,
            TOLERANCE,
            predicted,
            cuts[part],
            cuts[part + 1],
        )

    if workers == 1:
        work(0)
    else:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(work, range(workers)))
    return predicted


@compiled()
def solve_each(address, theta, fixed, schedule, pointer, time, output, tolerance, predicted, first, last):
    """Solve sets ``first`` to ``last``; what comes after a failure stays as it was."""
    none = np.empty((len(time), 0))
    for i in range(first, last):
        a, b = pointer[i], pointer[i + 1]
        call(
            address,
            theta[i],
            fixed[i],
            time[a:b],
            output[a:b],
            schedule[i],
            tolerance,
            predicted[a:b],
            none[a:b],
        )
