"""From infusion to the last sample: segments between breaks, jumps at them, and what is seen on the way.

The right-hand side may jump at a break, an infusion adds cells, and a measured input changes its slope. The solver
stops at each of these and is never asked for a time on the far side. Where the time of a break depends on a
parameter, the derivatives jump by (rate before - rate after) times the derivative of that time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numba import njit

from carkinetics.model.explicit import JIT, NOT_FINITE, TOO_MANY_STEPS, make_advance
from carkinetics.model.implicit import make_implicit_advance

# A level below this cannot be told from none (`carkinetics.model.observe.TINY`).
LOG_TINY = math.log(1e-300)
FIRST_STEP = 0.05
# How far, relatively, from a break a right-hand side is asked instead of at it.
NEAR = 1e-12
ROOM = 10  # work tables for the stages of a step


def make_walk(equations: Mapping[str, Any]) -> Callable[..., Any]:
    """Compile the whole way of one subject.

    Parameters
    ----------
    equations : mapping
        The generated module: functions ``begin, initial, breaks, rates, jump, observe`` and sizes.

    Returns
    -------
    numba function
        ``walk(theta, fixed, time, output, schedule, tolerance, predicted, jacobian)``, 0 or why it gave up.
    """
    stiff = equations["STIFF"]
    implicit = _make_walk(equations, implicit=True)
    explicit = implicit if stiff else _make_walk(equations, implicit=False)

    @njit(**JIT)
    def walk(theta, fixed, time, output, schedule, tolerance, predicted, jacobian):
        code = explicit(theta, fixed, time, output, schedule, tolerance, predicted, jacobian)
        # Steps that collapse are a sign of stiffness: begin again with a method that does not mind.
        if not stiff and code == TOO_MANY_STEPS:
            code = implicit(theta, fixed, time, output, schedule, tolerance, predicted, jacobian)
        return code

    return walk


def _make_walk(equations: Mapping[str, Any], *, implicit: bool) -> Callable[..., Any]:
    begin, initial, breaks, rates = (equations[name] for name in ("begin", "initial", "breaks", "rates"))
    jump, observe = equations["jump"], equations["observe"]
    n_states, n_columns, n_static, n_breaks = (
        equations[name] for name in ("N_STATES", "N_COLUMNS", "N_STATIC", "N_BREAKS")
    )
    log_states, infused = equations["LOG_STATES"], equations["INFUSED"]
    if implicit:
        advance = make_implicit_advance(equations["newton"], n_states, n_columns)
    else:
        advance = make_advance(rates, n_states, n_columns)

    @njit(**JIT)
    def see(t, state, static, schedule, row, output, predicted, jacobian, at):
        value = observe(t, state, static, schedule, row, output, jacobian[at])
        if not (value > LOG_TINY):
            if not (value <= LOG_TINY):
                return NOT_FINITE
            value = LOG_TINY
            jacobian[at, :] = 0.0
        if value == math.inf:
            return NOT_FINITE
        predicted[at] = value
        return 0

    @njit(**JIT)
    def bend(low, high, state, static, schedule, row, after, by_break, work):
        """Derivatives on the far side of a break whose time depends on the parameters."""
        rates(high, state, static, schedule, row, work[0])
        rates(low, state, static, schedule, after, work[1])
        for i in range(n_states):
            difference = work[0, i, 0] - work[1, i, 0]
            for j in range(1, n_columns):
                state[i, j] += difference * by_break[j - 1]

    @njit(**JIT)
    def walk(theta, fixed, time, output, schedule, tolerance, predicted, jacobian):
        static, work = np.empty(n_static), np.empty((ROOM, n_states, n_columns))
        state, scale = np.empty((n_states, n_columns)), np.empty((n_states, 2))
        stops, by_stop = np.empty(n_breaks), np.zeros((n_breaks, n_columns - 1))
        begin(theta, fixed, static)
        initial(static, schedule[0, 1], state)
        breaks(static, stops, by_stop)
        for i in range(n_states):
            # A log state is as accurate as its exponential is relatively; a natural one may start at 0.
            scale[i, 0] = tolerance if log_states[i] else tolerance * 1e-6
            scale[i, 1] = tolerance
            if not math.isfinite(state[i, 0]):
                return NOT_FINITE
        for k in range(n_breaks):
            if math.isnan(stops[k]):
                return NOT_FINITE
        t, row, at, taken, step, turn = 0.0, 0, 0, 0, FIRST_STEP, -1
        end, low, high = 0.0, 0.0, 0.0
        opening = True
        while at < len(time):
            if opening:  # a new segment: where does it end?
                end, turn, opening = math.inf, -1, False
                if row + 1 < len(schedule):
                    end = schedule[row + 1, 0]
                for k in range(n_breaks):
                    if t < stops[k] <= end:
                        end, turn = stops[k], k
                low = t + NEAR * (1.0 + t)
                high = max(end - NEAR * (1.0 + end), low) if end < math.inf else math.inf
            until = min(time[at], end)
            if until > t:
                step, taken, code = advance(
                    state, t, until, step, low, high, static, schedule, row, scale, work, taken
                )
                if code < 0:
                    return code
                t = until
            if time[at] <= t:
                # A measured input has its new value at its own sample; cells infused now are not in this sample yet.
                seen = row + 1 if row + 1 < len(schedule) and schedule[row + 1, 0] <= t else row
                code = see(
                    min(max(t, low), high), state, static, schedule, seen, output[at], predicted, jacobian, at
                )
                if code < 0:
                    return code
                at += 1
                continue
            after = row + 1 if row + 1 < len(schedule) and schedule[row + 1, 0] == end else row
            if turn >= 0 and n_columns > 1:
                bend(end + NEAR * (1.0 + end), high, state, static, schedule, row, after, by_stop[turn], work)
            if after > row and infused and schedule[after, 1] > 0.0:
                jump(static, schedule[after, 1], state)
            row, step, opening = after, min(step, FIRST_STEP), True
        return taken

    return walk


def make_closed_walk(equations: Mapping[str, Any]) -> Callable[..., Any]:
    """Compile the rows of one subject of a model that has a closed form.

    Parameters
    ----------
    equations : mapping
        The generated module: functions ``begin, observe`` and sizes.

    Returns
    -------
    numba function
        As `make_walk` gives.
    """
    begin, observe, n_static = equations["begin"], equations["observe"], equations["N_STATIC"]

    @njit(**JIT)
    def walk(theta, fixed, time, output, schedule, tolerance, predicted, jacobian):
        static = np.empty(n_static)
        begin(theta, fixed, static)
        row = 0
        for at in range(len(time)):
            while row + 1 < len(schedule) and schedule[row + 1, 0] <= time[at]:
                row += 1
            value = observe(time[at], static, static, schedule, row, output[at], jacobian[at])
            if not (value > LOG_TINY):
                if not (value <= LOG_TINY):
                    return NOT_FINITE
                value = LOG_TINY
                jacobian[at, :] = 0.0
            if value == math.inf:
                return NOT_FINITE
            predicted[at] = value
        return 0

    return walk
