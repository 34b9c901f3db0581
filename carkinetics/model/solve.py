"""Parameters → what is measured over time, by closed form or by solving differential equations.

Arrays broadcast: a parameter may be one number, or one per subject, draw or observation. Before the
first infusion the CAR-T level is 0, and any other output stays as it is on day 0 before the infusion. Day
0 itself is just after the infusion; a sample at the time of a later one was drawn just before it, as the
clinic does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from carkinetics.errors import ConfigError, did_you_mean
from carkinetics.model.course import Course
from carkinetics.model.expression import NUMPY, SCALAR, Ops, evaluate
from carkinetics.model.integrate import solve_states
from carkinetics.model.parts import Check, Output
from carkinetics.model.series import Series
from carkinetics.model.spec import Model

# Compiling a model's equations takes some ten seconds, once; so few parameter sets are not worth it.
FEW_SETS = 8
SOLVERS = ("auto", "compiled", "scipy")
# Times at which a [[check]] of a peak looks for it.
PEAK_TIMES = 2001


def predict(
    model: Model,
    times: ArrayLike,
    *,
    output: str = "",
    infusions: Sequence[tuple[float, float]] | None = None,
    series: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
    **values: float,
) -> pd.Series:
    """Level, or another output, at given times.

    Parameters
    ----------
    model : Model
        What to predict with.
    times : array_like, shape (n,)
        Days since infusion.
    output : str
        Which output; the CAR-T level if empty.
    infusions : sequence of (float, float), optional
        Day and amount of every infusion; those of the model file if not given.
    series : mapping of str to (array_like, array_like), optional
        Times and measured values of inputs that change with time.
    **values : float
        Parameters and inputs that differ from the model's typical values; an input that changes with
        time stays constant at a number given here.

    Returns
    -------
    pandas.Series
        One value per time, in the unit of the output, indexed by time.

    Raises
    ------
    ConfigError
        If a value is named that the model does not have, a time is not a number, or the model has no
        place for what is infused.

    Examples
    --------
    >>> from carkinetics.model.library import load_model
    >>> round(float(predict(load_model("stein2019"), [28.0]).iloc[0]), 2)
    1373.56
    """
    time = np.atleast_1d(np.asarray(times, dtype=float))
    if time.ndim != 1 or not np.isfinite(time).all():
        raise ConfigError("predict: times must be a list of finite numbers of days")
    complete = {
        name: np.asarray(value, dtype=float) for name, value in complete_values(model, values).items()
    }
    for name in series or {}:
        if name in values:
            raise ConfigError(f"predict: {name} is given as a number and as a series; give one of them")
    measured = read_series(model, series or {})
    level = curve(model, time, complete, output, infusions=infusions, series=measured, solver="scipy")
    return pd.Series(level, index=pd.Index(time, name="time"), name=model.output(output).name)


def read_series(model: Model, series: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> dict[str, Series]:
    """Measured inputs with the interpolation that the model file asks for.

    Parameters
    ----------
    model : Model
        Whose inputs.
    series : mapping of str to (array_like, array_like)
        Times and values by input.

    Returns
    -------
    dict of str to Series
        By input; one without any measurement is left out and keeps its default.

    Raises
    ------
    ConfigError
        If an input is unknown or does not change with time, or a number makes no sense.
    """
    found = {}
    for name, (time, value) in series.items():
        if name not in model.varying_inputs:
            raise ConfigError(
                f"series: model {model.name} has no input {name!r} that changes with time"
                f"{did_you_mean(name, model.varying_inputs)}"
            )
        if not np.size(time):
            continue
        try:
            found[name] = Series.of(time, value, model.inputs[name].interpolation)
        except ConfigError as error:
            raise ConfigError(f"series {name}: {error}") from None
    return found


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


def curve(
    model: Model,
    time: NDArray[np.float64],
    values: Mapping[str, Any],
    output: str | None = None,
    *,
    infusions: Sequence[tuple[float, float]] | None = None,
    series: Mapping[str, Series] | None = None,
    solver: str = "auto",
) -> NDArray[np.float64]:
    """Level, or another output, for arrays of times and parameters.

    Parameters
    ----------
    model : Model
        What to predict with.
    time : ndarray
        Days since infusion, any shape.
    values : mapping
        A value for every parameter and input; shapes broadcast against ``time``.
    output : str, optional
        Which output; the CAR-T level if not given or empty.
    infusions : sequence of (float, float), optional
        Day and amount of every infusion, the same for all; those of the model file if not given.
    series : mapping of str to Series, optional
        Inputs that change with time, the same for all; they replace those in ``values``.
    solver : {"auto", "compiled", "scipy"}
        Of differential equations: compiled code, SciPy, or SciPy for up to eight parameter sets only.

    Returns
    -------
    ndarray
        Broadcast shape; NaN where the equations cannot be computed.

    Raises
    ------
    ConfigError
        If there is no such output or solver, or the model has no place for what is infused.
    """
    shown = model.output(output)
    if solver not in SOLVERS:
        raise ConfigError(f"solver is {solver!r}{did_you_mean(solver, SOLVERS)}")
    course = Course(_checked(model, model.infusions if infusions is None else infusions), dict(series or {}))
    with np.errstate(all="ignore"):
        if model.level is None:
            level = _solve_each(model, shown, time, values, course, solver)
        else:
            # A closed form extended to negative times could overflow; what was before the infusion is known.
            after_infusion = np.maximum(time, 0.0)
            moving = {name: one(after_infusion) for name, one in course.series.items()}
            level = closed_form(model, after_infusion, {**values, **moving}, NUMPY, shown.name)
        level = np.broadcast_arrays(level, time)[0]
        return np.where(time < 0, 0.0, level) if shown is model.output() else np.array(level)


def _checked(model: Model, infusions: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Infusions in order of time, refused where the model would ignore them."""
    try:
        given = np.array(infusions, dtype=float).reshape(-1, 2)
    except (TypeError, ValueError):
        raise ConfigError(f"infusions are {infusions!r}; expected pairs of day and amount") from None
    for day, amount in given:
        if not (0 <= day < np.inf and 0 <= amount < np.inf):
            raise ConfigError(
                f"an infusion of {amount:g} on day {day:g}: day 0 is that of the first infusion, and neither "
                "days nor amounts are negative or infinite"
            )
        if day > 0 and not model.infused:
            kind = "is a closed form" if model.level is not None else "has no state with 'infused'"
            raise ConfigError(
                f"model {model.name} {kind}: it cannot tell what the infusion on day {day:g} changes; use a model "
                "of differential equations with 'infused', or leave out infusions after day 0"
            )
    return tuple((float(day), float(amount)) for day, amount in given[np.argsort(given[:, 0], kind="stable")])


def closed_form(
    model: Model, time: Any, values: Mapping[str, Any], ops: Ops, output: str | None = None
) -> Any:
    """Output of a closed form, in any array library.

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
    output : str, optional
        Which output; the CAR-T level if not given or empty.

    Returns
    -------
    object
        What is observed.
    """
    assert model.level is not None
    known = with_derived(model, {**values, "t": time}, ops)
    known["level"] = evaluate(model.level, known, ops)
    return evaluate(model.output(output).of, known, ops)


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


def _solve_each(
    model: Model,
    shown: Output,
    time: NDArray[np.float64],
    values: Mapping[str, Any],
    course: Course,
    solver: str,
) -> NDArray[np.float64]:
    """Differential equations for every parameter set that occurs, each solved once."""
    from carkinetics.model.batch import distinct_sets, solve_sets  # numba takes a second to import

    sets = distinct_sets(time, {name: value for name, value in values.items() if name not in course.series})
    if solver == "compiled" or (solver == "auto" and len(sets) > FEW_SETS):
        level = solve_sets(model, shown.name, sets, course)
        before = sets.time < 0
        if before.any():
            level[before] = _before(model, shown, sets.columns, course)[sets.which[before]]
        return level
    level = np.full(sets.time.shape, np.nan)
    for k in range(len(sets)):
        rows = sets.which == k
        one = with_derived(model, {name: float(value[k]) for name, value in sets.columns.items()}, SCALAR)
        level[rows] = _solve(model, shown, sets.time[rows], one, course)
    return level


def _before(
    model: Model, shown: Output, values: Mapping[str, NDArray[np.float64]], course: Course
) -> NDArray[np.float64]:
    """Output of every parameter set on day 0 before the infusion."""
    known = with_derived(model, values)
    known |= {state.name: evaluate(state.initial, known, NUMPY) for state in model.states}
    now = with_derived(model, {**known, **course.inputs_at(0.0), "t": 0.0})
    size = len(next(iter(values.values())))
    return np.broadcast_to(np.asarray(evaluate(shown.of, now, NUMPY), dtype=float), (size,))


def _solve(
    model: Model, shown: Output, time: NDArray[np.float64], known: Mapping[str, float], course: Course
) -> NDArray[np.float64]:
    """One subject's output at any times, unsorted and repeated ones too."""
    wanted, back = np.unique(time, return_inverse=True)
    states = solve_states(model, known, wanted, course)
    names = [state.name for state in model.states]
    level = np.empty(len(wanted))
    for i, (t, row) in enumerate(zip(np.maximum(wanted, 0.0).tolist(), states, strict=True)):
        now = {**known, **dict(zip(names, row.tolist(), strict=True)), **course.inputs_at(t), "t": t}
        level[i] = evaluate(shown.of, with_derived(model, now, SCALAR), SCALAR)
    return level[back.ravel()]


def check_values(model: Model) -> pd.DataFrame:
    """The published numbers of a model file beside what the file gives.

    Parameters
    ----------
    model : Model
        With ``[[check]]`` entries.

    Returns
    -------
    pandas.DataFrame
        One row per entry: ``what, expected, tolerance, found, unit, holds, source``.
    """
    curves: dict[str, pd.Series] = {}
    rows = []
    for check in model.checks:
        found = _found(model, check, curves)
        holds = bool(abs(found - check.expected) <= check.tolerance)
        rows.append(
            {"what": check.what, "expected": check.expected, "tolerance": check.tolerance, "found": found, "unit": check.unit,
             "holds": holds, "source": check.source}
        )  # fmt: skip
    return pd.DataFrame(rows, columns=["what", "expected", "tolerance", "found", "unit", "holds", "source"])


def _found(model: Model, check: Check, curves: dict[str, pd.Series]) -> float:
    """What the model gives; checks of one course share its solution."""
    if check.value is not None:
        known = with_derived(model, complete_values(model, check.numbers))
        return float(evaluate(check.value, known, NUMPY))
    course = _course_of(check)
    if course not in curves:
        alike = [one for one in model.checks if one.value is None and _course_of(one) == course]
        times = np.unique(np.concatenate([_times_of(one) for one in alike]))
        values: dict[str, Any] = {
            **check.numbers,
            "output": check.output,
            "infusions": check.infusions or None,
        }
        curves[course] = predict(model, times, **values)
    return float(curves[course][_times_of(check)].max())


def _course_of(check: Check) -> str:
    return repr((check.output, sorted(check.numbers.items()), check.infusions))


def _times_of(check: Check) -> NDArray[np.float64]:
    return np.array([check.at], dtype=float) if check.peak is None else np.linspace(*check.peak, PEAK_TIMES)
