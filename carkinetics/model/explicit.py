"""One step after another: an adaptive explicit Runge-Kutta method, with sensitivities carried along.

Tsitouras 5(4) (Tsitouras C. Comput Math Appl 2011;62:770-775). The state is a table of one row per differential
equation: column 0 its value, the further columns its derivatives in the parameters. Steps end at every time that is
asked for, and their size follows the error of the values alone, so that the derivatives are those of the very
numbers that are returned.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

TOO_MANY_STEPS, NOT_FINITE = -1, -2
# A solution that needs more at a tolerance of 1e-6 is stiff or on its way to infinity; a finer one may take more.
MOST_STEPS = 5_000
JIT = {"error_model": "numpy", "nogil": True, "fastmath": {"contract", "reassoc", "nsz", "arcp", "afn"}}

_C = np.array([0.0, 0.161, 0.327, 0.9, 0.9800255409045097, 1.0, 1.0])
_A = np.zeros((7, 6))
_A[1, :1] = 0.161
_A[2, :2] = -0.008480655492356989, 0.335480655492357
_A[3, :3] = 2.8971530571054935, -6.359448489975075, 4.3622954328695815
_A[4, :4] = 5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525
_A[5, :5] = 5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401, -0.028269050394068383
_A[6] = (
    0.09646076681806523,
    0.01,
    0.4798896504144996,
    1.379008574103742,
    -3.290069515436081,
    2.324710524099774,
)
_E = (
    -0.00178001105222577714, -0.0008164344596567469, 0.007880878010261995, -0.1447110071732629,
    0.5823571654525552, -0.45808210592918697, 0.015151515151515152,
)  # fmt: skip


@njit(**JIT)
def allowed_steps(tolerance):
    """Steps before a method of fourth order gives up."""
    return MOST_STEPS if tolerance >= 1e-6 else MOST_STEPS * (1e-6 / tolerance) ** 0.25


def make_advance(rates: Callable[..., Any], n_states: int, n_columns: int) -> Callable[..., Any]:
    """Compile the way from one time to the next.

    Parameters
    ----------
    rates : numba function
        ``rates(t, state, static, schedule, row, change)``.
    n_states, n_columns : int
        Shape of the state.

    Returns
    -------
    numba function
        ``advance(state, t, end, step, low, high, static, schedule, row, scale, work, taken)`` moves the state in
        place and returns the next step, the number of steps taken so far and 0 or why it gave up.
    """

    @njit(**JIT)
    def advance(state, t, end, step, low, high, static, schedule, row, scale, work, taken):
        k, trial = work[:7], work[7]
        rates(min(max(t, low), high), state, static, schedule, row, k[0])
        most = allowed_steps(scale[0, 1])
        while t < end:
            if taken >= most:
                return step, taken, TOO_MANY_STEPS
            taken += 1
            last = t + step * 1.0000001 >= end
            h = end - t if last else (0.5 * (end - t) if t + 2.0 * step > end else step)
            for s in range(1, 7):
                for i in range(n_states):
                    for j in range(n_columns):
                        trial[i, j] = state[i, j]
                    for r in range(s):
                        weight = h * _A[s, r]
                        for j in range(n_columns):
                            trial[i, j] += weight * k[r, i, j]
                rates(min(max(t + _C[s] * h, low), high), trial, static, schedule, row, k[s])
            error = 0.0
            for i in range(n_states):
                total = _E[0] * k[0, i, 0]
                for s in range(1, 7):
                    total += _E[s] * k[s, i, 0]
                size = max(abs(state[i, 0]), abs(trial[i, 0]))
                relative = h * total / (scale[i, 0] + scale[i, 1] * size)
                error += relative * relative
            error = math.sqrt(error / n_states)
            if not (error < 1e30):  # also where it is no number
                step = 0.2 * h
                if step < 1e-10:
                    return step, taken, NOT_FINITE
                continue
            factor = min(5.0, max(0.2, 0.9 * error**-0.2)) if error > 1e-12 else 5.0
            if error > 1.0:
                step = h * min(1.0, factor)
                continue
            t = end if last else t + h
            for i in range(n_states):
                for j in range(n_columns):
                    state[i, j] = trial[i, j]
                    k[0, i, j] = k[6, i, j]
            step = max(step, h * factor) if last else h * factor
        return step, taken, 0

    return advance
