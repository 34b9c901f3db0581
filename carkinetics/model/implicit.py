"""The same way for stiff equations: an L-stable implicit Runge-Kutta method, with sensitivities carried along.

SDIRK of order 4 with an embedded method of order 3 (Hairer E, Wanner G. Solving Ordinary Differential Equations II,
2nd ed. 1996, Table 6.5). Each stage is solved by Newton's method; its derivatives follow from one linear system with
the matrix of the solved stage, so that they too are those of the returned numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from carkinetics.model.explicit import JIT, NOT_FINITE, TOO_MANY_STEPS, allowed_steps

_GAMMA = 0.25
_C = (1 / 4, 3 / 4, 11 / 20, 1 / 2, 1.0)
_A = np.array(
    [
        [1 / 4, 0, 0, 0, 0],
        [1 / 2, 1 / 4, 0, 0, 0],
        [17 / 50, -1 / 25, 1 / 4, 0, 0],
        [371 / 1360, -137 / 2720, 15 / 544, 1 / 4, 0],
        [25 / 24, -49 / 48, 125 / 16, -85 / 12, 1 / 4],
    ]
)
_E = _A[4] - np.array([59 / 48, -17 / 96, 225 / 32, -85 / 12, 0])
MOST_ITERATIONS = 10
# Newton's method ends when it moves the stage by less than this share of the error that a step may make.
CONVERGED = 1e-3


@njit(**JIT)
def factor(matrix, pivot):
    """LU decomposition in place with partial pivoting; False where the matrix is singular."""
    n = len(pivot)
    for c in range(n):
        best = c
        for r in range(c + 1, n):
            if abs(matrix[r, c]) > abs(matrix[best, c]):
                best = r
        pivot[c] = best
        if not (abs(matrix[best, c]) > 1e-300):
            return False
        if best != c:
            for j in range(n):
                matrix[c, j], matrix[best, j] = matrix[best, j], matrix[c, j]
        for r in range(c + 1, n):
            matrix[r, c] /= matrix[c, c]
            for j in range(c + 1, n):
                matrix[r, j] -= matrix[r, c] * matrix[c, j]
    return True


@njit(**JIT)
def solve(matrix, pivot, b, column):
    """Solve for one column of ``b``, in place."""
    n = len(pivot)
    for c in range(n):
        best = pivot[c]
        if best != c:
            b[c, column], b[best, column] = b[best, column], b[c, column]
    for c in range(n):
        for r in range(c + 1, n):
            b[r, column] -= matrix[r, c] * b[c, column]
    for c in range(n - 1, -1, -1):
        for j in range(c + 1, n):
            b[c, column] -= matrix[c, j] * b[j, column]
        b[c, column] /= matrix[c, c]


def make_implicit_advance(newton: Callable[..., Any], n_states: int, n_columns: int) -> Callable[..., Any]:
    """Compile the way from one time to the next, for stiff equations.

    Parameters
    ----------
    newton : numba function
        ``newton(t, state, static, schedule, row, change, by_state, by_parameter)``.
    n_states, n_columns : int
        Shape of the state.

    Returns
    -------
    numba function
        As `carkinetics.model.explicit.make_advance` gives.
    """
    n_parameters = max(n_columns - 1, 1)

    @njit(**JIT)
    def stage(
        s, t, state, h, k, base, y, scale, static, schedule, row, f, by_state, by_parameter, matrix, pivot
    ):
        """Solve stage ``s`` for its value in column 0 of ``y``; False where Newton's method fails."""
        for i in range(n_states):
            total = 0.0
            for r in range(s):
                total += _A[s, r] * k[r, i, 0]
            base[i, 0] = state[i, 0] + h * total
            y[i, 0] = base[i, 0] + h * _GAMMA * (k[s - 1, i, 0] if s > 0 else 0.0)
        for _ in range(MOST_ITERATIONS):
            newton(t, y, static, schedule, row, f, by_state, by_parameter)
            for i in range(n_states):
                for j in range(n_states):
                    matrix[i, j] = (1.0 if i == j else 0.0) - h * _GAMMA * by_state[i, j]
                f[i, 0] = base[i, 0] + h * _GAMMA * f[i, 0] - y[i, 0]
            if not factor(matrix, pivot):
                return False
            solve(matrix, pivot, f, 0)
            moved = 0.0
            for i in range(n_states):
                y[i, 0] += f[i, 0]
                moved = max(moved, abs(f[i, 0]) / (scale[i, 0] + scale[i, 1] * abs(y[i, 0])))
            if not (moved < 1e30):
                return False
            if moved < CONVERGED:
                return True
        return False

    @njit(**JIT)
    def carry(s, t, state, h, k, base, y, static, schedule, row, f, by_state, by_parameter, matrix, pivot):
        """Derivatives of a solved stage, with the matrix at its solution."""
        newton(t, y, static, schedule, row, f, by_state, by_parameter)
        for i in range(n_states):
            for j in range(n_states):
                matrix[i, j] = (1.0 if i == j else 0.0) - h * _GAMMA * by_state[i, j]
        if not factor(matrix, pivot):
            return False
        for j in range(1, n_columns):
            for i in range(n_states):
                total = 0.0
                for r in range(s):
                    total += _A[s, r] * k[r, i, j]
                base[i, j] = state[i, j] + h * total
                y[i, j] = base[i, j] + h * _GAMMA * by_parameter[i, j - 1]
            solve(matrix, pivot, y, j)
        return True

    @njit(**JIT)
    def advance(state, t, end, step, low, high, static, schedule, row, scale, work, taken):
        k, base, y = work[:5], work[5], work[6]
        f, by_state = np.empty((n_states, 1)), np.empty((n_states, n_states))
        by_parameter = np.empty((n_states, n_parameters))
        matrix, pivot = np.empty((n_states, n_states)), np.empty(n_states, np.int64)
        most = allowed_steps(scale[0, 1])
        while t < end:
            if taken >= most:
                return step, taken, TOO_MANY_STEPS
            taken += 1
            last = t + step * 1.0000001 >= end
            h = end - t if last else (0.5 * (end - t) if t + 2.0 * step > end else step)
            solved = True
            for s in range(5):
                at = min(max(t + _C[s] * h, low), high)
                solved = stage(
                    s,
                    at,
                    state,
                    h,
                    k,
                    base,
                    y,
                    scale,
                    static,
                    schedule,
                    row,
                    f,
                    by_state,
                    by_parameter,
                    matrix,
                    pivot,
                )
                if solved and n_columns > 1:
                    solved = carry(
                        s,
                        at,
                        state,
                        h,
                        k,
                        base,
                        y,
                        static,
                        schedule,
                        row,
                        f,
                        by_state,
                        by_parameter,
                        matrix,
                        pivot,
                    )
                if not solved:
                    break
                for i in range(n_states):
                    for j in range(n_columns):
                        k[s, i, j] = (y[i, j] - base[i, j]) / (h * _GAMMA)
            if not solved:
                step = 0.25 * h
                if step < 1e-10:
                    return step, taken, NOT_FINITE
                continue
            for i in range(n_states):
                total = 0.0
                for s in range(5):
                    total += _E[s] * k[s, i, 0]
                f[i, 0] = h * total
            solve(matrix, pivot, f, 0)  # damps what a stiff component adds to the estimate
            error = 0.0
            for i in range(n_states):
                relative = f[i, 0] / (scale[i, 0] + scale[i, 1] * max(abs(state[i, 0]), abs(y[i, 0])))
                error += relative * relative
            error = math.sqrt(error / n_states)
            if not (error < 1e30):
                step = 0.2 * h
                if step < 1e-10:
                    return step, taken, NOT_FINITE
                continue
            factor_ = min(5.0, max(0.2, 0.9 * error**-0.25)) if error > 1e-12 else 5.0
            if error > 1.0:
                step = h * min(1.0, factor_)
                continue
            t = end if last else t + h
            for i in range(n_states):
                for j in range(n_columns):
                    state[i, j] = y[i, j]
            step = max(step, h * factor_) if last else h * factor_
        return step, taken, 0

    return advance
