"""A problem as arrays for compiled loops: rows by subject, schedules, and where each number of the fit goes."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from carkinetics.dataset.table import Dataset
from carkinetics.fit.course import subject_courses
from carkinetics.fit.rowwise import BETWEEN, ERROR_NUMBER, EXACT, LEFT, RIGHT
from carkinetics.model.compile import Kernel, call, compile_model
from carkinetics.model.course import schedule_of
from carkinetics.model.equations import fixed_names
from carkinetics.model.jit import compiled
from carkinetics.model.observe import scaled_bounds
from carkinetics.model.spec import Model

if TYPE_CHECKING:
    from carkinetics.fit.problem import Problem

Floats = NDArray[np.float64]
# Accuracy of each step of a solver, relative to the level: far below any residual error.
TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class Layout:
    """Arrays that compiled loops over subjects take.

    Parameters
    ----------
    model : Model
        What is solved.
    scales : tuple of bool
        For every output of the model, whether it is predicted on the log scale.
    pointer : ndarray of int, shape (n_subject + 1,)
        Rows of subject ``i`` are ``pointer[i]`` to ``pointer[i + 1]``.
    time : ndarray, shape (n_obs,)
        Days since infusion.
    output, kind : ndarray of int, shape (n_obs,)
        Position of the row's output in the model, and what the row is (`carkinetics.fit.rowwise`).
    value, lower, above : ndarray, shape (n_obs,)
        As `carkinetics.fit.rowwise.row_log_likelihood` takes them, on the scale of the residual error.
    numbers : ndarray of int, shape (n_outputs,)
        Residual error of every output of the model.
    sigma_at : ndarray of int, shape (n_outputs, 2)
        Position of its standard deviations among all.
    fixed : ndarray, shape (n_subject, n_fixed)
        Fixed parameters and declared inputs.
    schedule : ndarray, shape (n_lines, 2 + 2 * n_varying)
        Schedules (`carkinetics.model.course`) of all subjects.
    schedule_pointer : ndarray of int, shape (n_subject + 1,)
        Lines of subject ``i``.
    """

    model: Model
    scales: tuple[bool, ...]
    pointer: NDArray[np.int64]
    time: Floats
    output: NDArray[np.int64]
    kind: NDArray[np.int64]
    value: Floats
    lower: Floats
    above: Floats
    numbers: NDArray[np.int64]
    sigma_at: NDArray[np.int64]
    fixed: Floats
    schedule: Floats
    schedule_pointer: NDArray[np.int64]

    @cached_property
    def values(self) -> Kernel:
        """Compiled predictions."""
        return compile_model(self.model, self.scales)

    @cached_property
    def gradients(self) -> Kernel:
        """Compiled predictions with derivatives in the free parameters."""
        return compile_model(self.model, self.scales, gradient=True)

    @cached_property
    def failures(self) -> Floats:
        """Where compiled densities note what they could not solve, shape (n_subject, 1 + n_free): count, first parameters."""
        return np.zeros((len(self.pointer) - 1, 1 + self.gradients.n_theta))

    @property
    def data(self) -> tuple[NDArray[Any], ...]:
        """All arrays but the model's, as one tuple for compiled loops."""
        return (
            self.pointer, self.time, self.output, self.kind, self.value, self.lower, self.above, self.numbers,
            self.sigma_at, self.fixed, self.schedule, self.schedule_pointer,
        )  # fmt: skip

    def predict(self, theta: Floats, tolerance: float = TOLERANCE) -> Floats:
        """Predictions of every row for many sets of parameters, on the scales of the residual errors.

        Parameters
        ----------
        theta : ndarray, shape (n, n_subject, n_free)
            Free parameters on their free scale, in the order of the model.
        tolerance : float
            Accuracy of a solver's steps.

        Returns
        -------
        ndarray, shape (n, n_obs)
            NaN for a subject whose equations could not be solved.
        """
        theta = np.ascontiguousarray(theta, dtype=float)
        predicted = np.empty((len(theta), len(self.time)))
        workers = min(os.cpu_count() or 1, max(1, len(theta) // 8))
        cuts = np.linspace(0, len(theta), workers + 1).astype(int)

        def work(part: int) -> None:
            these = slice(cuts[part], cuts[part + 1])
            predict_many(
                self.values.address, theta[these], self.fixed, self.pointer, self.time, self.output, self.schedule,
                self.schedule_pointer, tolerance, predicted[these],
            )  # fmt: skip

        if workers == 1:
            work(0)
        else:
            with ThreadPoolExecutor(workers) as pool:
                list(pool.map(work, range(workers)))
        return predicted

    def predict_with_gradient(self, theta: Floats, tolerance: float = TOLERANCE) -> tuple[Floats, Floats]:
        """Predictions of every row, and their derivatives in the subject's free parameters.

        Parameters
        ----------
        theta : ndarray, shape (n_subject, n_free)
            Free parameters on their free scale.
        tolerance : float
            Accuracy of a solver's steps.

        Returns
        -------
        tuple of ndarray, shapes (n_obs,) and (n_obs, n_free)
            NaN for a subject whose equations could not be solved.
        """
        predicted = np.empty(len(self.time))
        jacobian = np.empty((len(self.time), self.gradients.n_theta))
        predict_each(
            self.gradients.address, np.ascontiguousarray(theta, dtype=float), self.fixed, self.pointer, self.time,
            self.output, self.schedule, self.schedule_pointer, tolerance, predicted, jacobian,
        )  # fmt: skip
        return predicted, jacobian


@compiled()
def predict_each(
    address, theta, fixed, pointer, time, output, schedule, lines, tolerance, predicted, jacobian
):
    """Solve every subject once; returns how many could not be solved."""
    failed = 0
    for i in range(len(theta)):
        a, b = pointer[i], pointer[i + 1]
        code = call(
            address, theta[i], fixed[i], time[a:b], output[a:b], schedule[lines[i] : lines[i + 1]], tolerance,
            predicted[a:b], jacobian[a:b],
        )  # fmt: skip
        if code < 0:
            predicted[a:b] = np.nan
            jacobian[a:b] = np.nan
            failed += 1
    return failed


@compiled()
def predict_many(address, theta, fixed, pointer, time, output, schedule, lines, tolerance, predicted):
    """Solve every subject for every set of parameters."""
    none = np.empty((len(time), 0))
    for d in range(len(theta)):
        predict_each(
            address, theta[d], fixed, pointer, time, output, schedule, lines, tolerance, predicted[d], none
        )


def make_layout(problem: Problem) -> Layout:
    """Arrays of a problem.

    Parameters
    ----------
    problem : Problem
        What is fitted.

    Returns
    -------
    Layout
        Its arrays.
    """
    model, n_rows = problem.model, len(problem.time)
    names = list(model.outputs)
    errors = {one.output: one for one in problem.measured}
    scales = tuple(
        errors[name].error.log_scale if name in errors else output.error in ("lognormal", "student_t")
        for name, output in model.outputs.items()
    )
    numbers, sigma_at = np.zeros(len(names), np.int64), np.zeros((len(names), 2), np.int64)
    for name, one in errors.items():
        k = names.index(name)
        numbers[k] = ERROR_NUMBER[one.error.name]
        sigma_at[k] = [problem.sigma_names.index(s) for s in (one.sigmas[0], one.sigmas[-1])]
    value, lower, above = (np.full(n_rows, np.nan) for _ in range(3))
    kind = np.empty(n_rows, np.int64)
    for one, rows in problem.parts():
        for number, at in zip((EXACT, LEFT, BETWEEN, RIGHT), rows.kinds, strict=True):
            kind[at] = number
            source = rows.value if number == EXACT else rows.upper
            value[at] = scaled_bounds(one.error, source[at])
            lower[at] = scaled_bounds(one.error, rows.lower[at])
            above[at] = scaled_bounds(one.error, rows.above[at])
    place = np.array([names.index(one.output) for one in problem.measured], dtype=np.int64)
    schedule, lines = subject_schedules(model, problem.data)
    return Layout(
        model=model,
        scales=scales,
        pointer=np.searchsorted(problem.subject_index, np.arange(problem.n_subjects + 1)).astype(np.int64),
        time=np.ascontiguousarray(problem.time, dtype=float),
        output=place[problem.output_index],
        kind=kind,
        value=value,
        lower=lower,
        above=above,
        numbers=numbers,
        sigma_at=sigma_at,
        fixed=_fixed_values(problem),
        schedule=schedule,
        schedule_pointer=lines,
    )


def _fixed_values(problem: Problem) -> Floats:
    names = fixed_names(problem.model)
    columns = [
        problem.inputs[name]
        if name in problem.inputs
        else np.full(problem.n_subjects, problem.model.parameters[name].typical)
        for name in names
    ]
    return np.ascontiguousarray(np.column_stack(columns) if columns else np.zeros((problem.n_subjects, 0)))


def subject_schedules(model: Model, data: Dataset) -> tuple[Floats, NDArray[np.int64]]:
    """What happens to each subject at known times.

    Parameters
    ----------
    model : Model
        Whose infusions and measured inputs.
    data : Dataset
        Whose doses and assays.

    Returns
    -------
    tuple of ndarray, shapes (n_lines, 2 + 2 * n_varying) and (n_subject + 1,)
        Schedules of all subjects, and the lines of each.

    Raises
    ------
    DataError
        If the model needs the infused amount and a subject has none.
    """
    tables = [schedule_of(model, course) for course in subject_courses(model, data)]
    lines = np.cumsum([0, *(len(table) for table in tables)]).astype(np.int64)
    return np.ascontiguousarray(np.concatenate(tables)), lines
