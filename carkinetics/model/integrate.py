"""One subject's differential equations, solved by SciPy.

A solver restarts wherever the equations jump: at breaks, at infusions, and where a measured input has a
kink. A right-hand side is never asked for a time on the far side of a restart, so that a jump costs no
accuracy. This is the slow and independent road against which faster ones are tested.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count, pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from carkinetics.model.course import Course
from carkinetics.model.expression import SCALAR, evaluate
from carkinetics.model.spec import Model

RELATIVE_TOLERANCE = 1e-9
ABSOLUTE_TOLERANCE = 1e-13  # levels start below 1e-3 and stay positive: accuracy is relative
# A solution on its way to infinity makes a solver take ever smaller steps for ever; no model that can be fitted
# needs this many evaluations between two breaks.
MOST_EVALUATIONS = 100_000
# Two restarts may differ by rounding alone, and LSODA takes so short a way for a mistake.
SHORTEST_DAYS = 1e-12
LOWEST_LOG = -690.0  # of a state solved as its log: below 1e-300 a rate per cell would be 0 / 0


class _EndlessError(Exception):
    """The solver would not come to an end."""


def solve_states(
    model: Model, known: Mapping[str, float], times: NDArray[np.float64], course: Course
) -> NDArray[np.float64]:
    """States over time.

    Parameters
    ----------
    model : Model
        Whose differential equations.
    known : mapping of str to float
        Parameters, inputs that do not change with time, and the derived values that these determine.
    times : ndarray, shape (n,)
        Days since infusion, strictly increasing.
    course : Course
        Infusions, and inputs that change with time.

    Returns
    -------
    ndarray, shape (n, n_state)
        On the natural scale; NaN where they cannot be computed. Before day 0 they are as on day 0
        before the infusion, on day 0 as just after it, and at a later infusion as just before it.
    """
    equations = _Equations(model, known, course)
    states = np.full((len(times), len(model.states)), np.nan)
    before = equations.initial()
    breaks = [float(evaluate(text, known, SCALAR)) for text in model.breaks]
    now = equations.after_infusion(before, 0.0)
    if not np.isfinite(now).all() or np.isnan(breaks).any():
        return states
    states[times < 0] = equations.natural(before)
    states[times == 0] = equations.natural(now)
    for start, end in pairwise(_stops(times[-1], breaks, course)):
        inside = (times > start) & (times < end)
        path = equations.solve(now, start, end, np.append(times[inside], end))
        if path is None:
            break
        states[inside], states[times == end] = equations.natural(path[:-1]), equations.natural(path[-1])
        now = equations.after_infusion(path[-1], end)
    return states


def _stops(last: float, breaks: list[float], course: Course) -> list[float]:
    """Day 0, the last day wanted, and every restart between them."""
    inner = {day for day in (*breaks, *course.knots, *(day for day, _ in course.infusions)) if 0 < day < last}
    return sorted({0.0, *inner, max(last, 0.0)})


class _Equations:
    """Right-hand side and jumps on the scales on which the states are solved."""

    def __init__(self, model: Model, known: Mapping[str, float], course: Course) -> None:
        self.model, self.known, self.course = model, known, course
        self.names = [state.name for state in model.states]
        self.log = np.array([state.log for state in model.states], dtype=bool)
        self.moving = {name: text for name, text in model.derived.items() if name not in known}

    def natural(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(self.log, np.exp(y), y)

    def scaled(self, state: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(self.log, np.log(state), state)

    def initial(self) -> NDArray[np.float64]:
        start = [evaluate(state.initial, self.known, SCALAR) for state in self.model.states]
        return self.scaled(np.array(start, dtype=float))

    def after_infusion(self, y: NDArray[np.float64], t: float) -> NDArray[np.float64]:
        for amount in self.course.amounts_at(t):
            known = {**self.known, "amount": amount}
            added = [
                0.0 if state.infused is None else evaluate(state.infused, known, SCALAR)
                for state in self.model.states
            ]
            y = np.where(self.log, np.logaddexp(y, np.log(added)), y + np.array(added))
        return y

    def rates(self, t: float, y: NDArray[np.float64]) -> list[float]:
        state = np.where(self.log, np.exp(np.maximum(y, LOWEST_LOG)), y).tolist()
        now = {**self.known, **dict(zip(self.names, state, strict=True)), **self.course.inputs_at(t), "t": t}
        for name, text in self.moving.items():
            now[name] = evaluate(text, now, SCALAR)
        rates = [evaluate(one.rate, now, SCALAR) for one in self.model.states]
        return [
            rate / value if log else rate for rate, value, log in zip(rates, state, self.log, strict=True)
        ]

    def solve(
        self, y: NDArray[np.float64], start: float, end: float, at: NDArray[np.float64]
    ) -> NDArray[np.float64] | None:
        """Values at times ``at`` between two restarts, or None where the solver gave up."""
        if end - start < SHORTEST_DAYS * max(1.0, end):
            return np.repeat(y[None, :], len(at), axis=0)
        last = float(np.nextafter(end, start))  # the side of the restart that this stretch belongs to
        evaluations = count()

        def right_hand_side(t: float, y: NDArray[np.float64]) -> list[float]:
            if next(evaluations) > MOST_EVALUATIONS:
                raise _EndlessError
            return self.rates(min(t, last), y)

        try:
            solution = solve_ivp(
                right_hand_side,
                (start, end),
                y,
                method="Radau" if self.model.stiff else "LSODA",
                t_eval=at,
                rtol=RELATIVE_TOLERANCE,
                atol=ABSOLUTE_TOLERANCE,
            )
        except _EndlessError:
            return None
        return solution.y.T if solution.success else None
