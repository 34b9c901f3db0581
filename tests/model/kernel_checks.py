"""Solve with compiled kernels, and compare their derivatives with differences: for the tests of any model."""

import numpy as np

from carkinetics.model.compile import call, compile_model
from carkinetics.model.course import Course, schedule_of
from carkinetics.model.equations import fixed_names
from carkinetics.model.jit import compiled

TIMES = np.array([0.3, 1.0, 3.0, 5.0, 7.0, 10.0, 14.0, 21.0, 28.0, 60.0, 120.0, 300.0])


@compiled()
def solve(address, theta, fixed, time, output, schedule, tolerance, predicted, jacobian):
    return call(address, theta, fixed, time, output, schedule, tolerance, predicted, jacobian)


def run(model, theta, tolerance, *, gradient=False, output=0):
    kernel = compile_model(model, [True] * len(model.outputs), gradient=gradient)
    fixed = [
        model.parameters[n].typical if n in model.parameters else model.inputs[n].default
        for n in fixed_names(model)
    ]
    schedule = schedule_of(model, Course(model.infusions))
    n = len(TIMES)
    predicted, jacobian = np.empty(n), np.empty((n, len(theta) if gradient else 0))
    code = solve(
        kernel.address,
        theta,
        np.array(fixed, float),
        TIMES,
        np.full(n, output),
        schedule,
        tolerance,
        predicted,
        jacobian,
    )
    return code, predicted, jacobian


def drawn(model, seed):
    """Parameters of a new subject, within the prior and the spread between subjects."""
    rng = np.random.default_rng(seed)
    parameters = [model.parameters[name] for name in model.free_parameters]
    spread = [np.hypot(p.prior.spread, p.omega or 0.0) for p in parameters]
    centre = [p.prior.location for p in parameters]
    return np.array(centre) + np.clip(rng.standard_normal(len(centre)), -2, 2) * spread


def away_from_breaks(model, theta):
    """At a kink there is no derivative: times within a step of the differences are left out."""
    from carkinetics.model.solve import break_times, complete_values

    values = {
        name: model.parameters[name].from_free(x)
        for name, x in zip(model.free_parameters, theta, strict=True)
    }
    breaks = [float(b) for b in break_times(model, complete_values(model, values))]
    return np.all([np.abs(TIMES - b) > 1e-3 * max(b, 1.0) for b in breaks], axis=0) | (len(breaks) == 0)


def check_derivatives(model, seed):
    theta = drawn(model, seed)
    for output in range(len(model.outputs)):
        code, value, jacobian = run(model, theta, 1e-11, gradient=True, output=output)
        if code < 0:
            continue  # said to have failed, which is what a caller acts on
        usable = away_from_breaks(model, theta) & (value > -200)
        for k in range(len(theta)):
            difference = _difference(model, theta, k, output, 1e-5)
            if _apart(jacobian[:, k], difference, usable) >= 1e-5:
                # Steep and curved, as at the end of a tumour: the error of the step itself is taken out.
                half = _difference(model, theta, k, output, 5e-6)
                difference = (4 * half - difference) / 3
            assert _apart(jacobian[:, k], difference, usable) < 1e-5


def _difference(model, theta, k, output, step):
    up, down = theta.copy(), theta.copy()
    up[k] += step
    down[k] -= step
    (code_up, high, _), (code_down, low, _) = (run(model, x, 1e-11, output=output) for x in (up, down))
    assert code_up >= 0
    assert code_down >= 0
    return (high - low) / (2 * step)


def _apart(slopes, difference, usable):
    return (np.abs(slopes - difference) / (1.0 + np.abs(difference)))[usable].max(initial=0)


def check_tolerance(model, seed, tolerance=1e-6):
    """At the sampler's tolerance, values and derivatives are those of a far more accurate solution."""
    theta = drawn(model, seed)
    code, exact, slopes = run(model, theta, 1e-11, gradient=True)
    if code < 0:
        return
    _, value, jacobian = run(model, theta, tolerance, gradient=True)
    usable = exact > -200
    assert np.abs(value - exact)[usable].max(initial=0) < 1e-4 * (1 + np.abs(exact).max())
    assert (np.abs(jacobian - slopes) / (1 + np.abs(slopes)))[usable].max(initial=0) < 1e-3
