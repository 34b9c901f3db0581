"""Parameters → the predicted level over time, by closed form or by solving differential equations.

Arrays broadcast: a parameter may be one number, or one per subject, draw or observation. Times before
the infusion have level 0. A solver restarts at every break, and a right-hand side is never asked for a
time on the far side of one, so that a jump costs no accuracy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import count, pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import solve_ivp

from carkinetics.errors import ConfigError, did_you_mean
from carkinetics.model.expression import NUMPY, SCALAR, Ops, evaluate
from carkinetics.model.spec import Model

RELATIVE_TOLERANCE = 1e-9
ABSOLUTE_TOLERANCE = 1e-13  # levels start below 1e-3 and stay positive: accuracy is relative
# A solution on its way to infinity makes a solver take ever smaller steps for ever; no model that can be fitted
# needs this many evaluations between two breaks.
MOST_EVALUATIONS = 100_000


class _EndlessError(Exception):
    """The solver would not come to an end."""


def predict(model: Model, times: ArrayLike, **values: float) -> pd.Series:
    """Level at given times.

    Parameters
    ----------
    model : Model
        What to predict with.
    times : array_like, shape (n,)
        Days since infusion.
    **values : float
        Parameters and inputs that differ from the model's typical values.

    Returns
    -------
    pandas.Series
        One level per time, in the model's unit, indexed by time.

    Raises
    ------
    ConfigError
        If a value is named that the model does not have, or a time is not a number.

    Examples
    --------
    >>> from carkinetics.model.library import load_model
    >>> round(float(predict(load_model("stein2019"), [28.0]).iloc[0]), 2)
    1373.56
    """
    time = np.atleast_1d(np.asarray(times, dtype=float))
    if time.ndim != 1 or not np.isfinite(time).all():
        raise ConfigError("predict: times must be a list of finite numbers of days")
    complete = complete_values(model, values)
    level = curve(model, time, {name: np.asarray(value, dtype=float) for name, value in complete.items()})
    return pd.Series(level, index=pd.Index(time, name="time"), name="level")


def complete_values(model: Model, values: Mapping[str, Any]) -> dict[str, Any]:
    """Typical parameters and default inputs, overridden by ``values``.

    Parameters
    ----------
    model : Model
        Whose parameters and inputs.
    values : mapping
        What differs.

    Returns
    -------
    dict
        A value for every parameter and input.

    Raises
    ------
    ConfigError
        If a name is unknown.
    """
    known = {name: p.typical for name, p in model.parameters.items()}
    known |= {name: entry.default for name, entry in model.inputs.items()}
    for name in values:
        if name not in known:
            raise ConfigError(
                f"model {model.name} has no parameter or input {name!r}{did_you_mean(name, known)}"
            )
    return known | dict(values)


def curve(model: Model, time: NDArray[np.float64], values: Mapping[str, Any]) -> NDArray[np.float64]:
    """Level for arrays of times and parameters.

    Parameters
    ----------
    model : Model
        What to predict with.
    time : ndarray
        Days since infusion, any shape.
    values : mapping
        A value for every parameter and input; shapes broadcast against ``time``.

    Returns
    -------
    ndarray
        Broadcast shape; 0 before the infusion, NaN where the equations cannot be computed.
    """
    with np.errstate(all="ignore"):
        # A closed form extended to negative times could overflow; what happened before the infusion is known.
        after_infusion = np.maximum(time, 0.0)
        if model.level is not None:
            level = closed_form(model, after_infusion, values, NUMPY)
        else:
            level = _solve_each(model, after_infusion, values)
        return np.where(time < 0, 0.0, np.broadcast_arrays(level, time)[0])


def closed_form(model: Model, time: Any, values: Mapping[str, Any], ops: Ops) -> Any:
    """Level of a closed form, in any array library.

    Parameters
    ----------
    model : Model
        With a closed form.
    time : object
        Days since infusion, at least 0.
    values : mapping
        A value for every parameter and input.
    ops : mapping
        The array library.

    Returns
    -------
    object
        The observed level.
    """
    assert model.level is not None
    known = with_derived(model, {**values, "t": time}, ops)
    known["level"] = evaluate(model.level, known, ops)
    return evaluate(model.observed, known, ops)


def with_derived(model: Model, values: Mapping[str, Any], ops: Ops = NUMPY) -> dict[str, Any]:
    """Values extended by every derived value that they determine.

    Parameters
    ----------
    model : Model
        Whose derived values.
    values : mapping
        Parameters, inputs, and ``t`` and states where they are known.
    ops : mapping
        The array library.

    Returns
    -------
    dict
        The values and the derived values that need nothing else.
    """
    known = dict(values)
    for name, expression in model.derived.items():
        if name not in known and expression.names() <= known.keys():
            known[name] = evaluate(expression, known, ops)
    return known


def break_times(model: Model, values: Mapping[str, Any]) -> list[Any]:
    """Times at which the curve has a kink or its equations jump.

    Parameters
    ----------
    model : Model
        Whose breaks.
    values : mapping
        A value (number or array) for every parameter and input.

    Returns
    -------
    list
        One value or array per break, in file order.
    """
    with np.errstate(all="ignore"):
        known = with_derived(model, values)
        return [evaluate(text, known, NUMPY) for text in model.breaks]


def _solve_each(model: Model, time: NDArray[np.float64], values: Mapping[str, Any]) -> NDArray[np.float64]:
    """Differential equations for every combination of parameters that occurs, each solved once."""
    names = list(values)
    arrays = np.broadcast_arrays(time, *[values[name] for name in names])
    flat = np.column_stack([np.asarray(a, dtype=float).ravel() for a in arrays])
    level = np.full(len(flat), np.nan)
    kinds, which = np.unique(flat[:, 1:], axis=0, return_inverse=True)
    for k, kind in enumerate(kinds):
        rows = np.flatnonzero(which.ravel() == k)
        one = dict(zip(names, kind.tolist(), strict=True))
        level[rows] = _solve(model, flat[rows, 0], one)
    return level.reshape(arrays[0].shape)


def _solve(model: Model, time: NDArray[np.float64], values: Mapping[str, float]) -> NDArray[np.float64]:
    """One subject's level at any times, unsorted and repeated ones too."""
    wanted = np.unique(time)
    known = with_derived(model, values, SCALAR)
    state = np.array([evaluate(s.initial, known, SCALAR) for s in model.states], dtype=float)
    breaks = {float(evaluate(text, known, SCALAR)) for text in model.breaks}
    if not np.isfinite(state).all() or any(np.isnan(b) for b in breaks):
        return np.full(len(time), np.nan)
    stops = sorted({0.0, *(b for b in breaks if 0 < b < wanted[-1]), wanted[-1]})
    states = np.full((len(wanted), len(state)), np.nan)
    states[wanted == 0.0] = state
    for start, end in pairwise(stops):
        inside = (wanted > start) & (wanted <= end)
        at = np.append(wanted[inside], end)
        solution = _segment(model, known, state, start, end, at)
        if solution is None:
            break
        states[inside], state = solution[:-1], solution[-1]
    level = np.array([_observe(model, known, t, row) for t, row in zip(wanted, states, strict=True)])
    return level[np.searchsorted(wanted, time)]


def _segment(
    model: Model,
    known: Mapping[str, float],
    state: NDArray[np.float64],
    start: float,
    end: float,
    at: NDArray[np.float64],
) -> NDArray[np.float64] | None:
    """States at times ``at`` between two breaks, or None where the solver gave up."""
    names = [s.name for s in model.states]
    rates = [s.rate for s in model.states]
    moving = {name: text for name, text in model.derived.items() if name not in known}
    last = float(np.nextafter(end, start))  # the side of the break that this segment belongs to

    evaluations = count()

    def rhs(t: float, y: NDArray[np.float64]) -> list[float]:
        if next(evaluations) > MOST_EVALUATIONS:
            raise _EndlessError
        now = dict(known, t=min(t, last))
        now.update(zip(names, y.tolist(), strict=True))
        for name, text in moving.items():
            now[name] = evaluate(text, now, SCALAR)
        return [evaluate(rate, now, SCALAR) for rate in rates]

    unique, back = np.unique(at, return_inverse=True)
    method = "Radau" if model.stiff else "LSODA"
    try:
        solution = solve_ivp(
            rhs,
            (start, end),
            state,
            method=method,
            t_eval=unique,
            rtol=RELATIVE_TOLERANCE,
            atol=ABSOLUTE_TOLERANCE,
        )
    except _EndlessError:
        return None
    return solution.y.T[back] if solution.success else None


def _observe(model: Model, known: Mapping[str, float], t: float, row: NDArray[np.float64]) -> float:
    now = dict(known, t=t)
    now.update(zip([s.name for s in model.states], row.tolist(), strict=True))
    for name, text in model.derived.items():
        if name not in now:
            now[name] = evaluate(text, now, SCALAR)
    return float(evaluate(model.observed, now, SCALAR))


def check_values(model: Model) -> Iterable[tuple[str, float, float, float]]:
    """The published numbers of a model file beside what the file gives.

    Parameters
    ----------
    model : Model
        With ``[[check]]`` entries.

    Yields
    ------
    tuple of (str, float, float, float)
        What, expected, tolerance, found.
    """
    known = with_derived(model, complete_values(model, {}))
    for check in model.checks:
        if check.value is not None:
            found = float(evaluate(check.value, known, NUMPY))
        else:
            assert check.at is not None
            found = float(predict(model, [check.at]).iloc[0])
        yield check.what, check.expected, check.tolerance, found
