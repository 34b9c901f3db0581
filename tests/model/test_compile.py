"""Compiled predictions: equal to SciPy's, their derivatives equal to differences, for every model of the library."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carkinetics.model import load_model, predict
from carkinetics.model.compile import call, compile_model
from carkinetics.model.equations import fixed_names
from carkinetics.model.jit import compiled
from carkinetics.model.library import model_files

TIMES = np.array([0.3, 1.0, 3.0, 5.0, 7.0, 10.0, 14.0, 21.0, 28.0, 60.0, 120.0, 300.0])
CLOSED = [path.stem for path in model_files() if load_model(path).level is not None]
ODE = [path.stem for path in model_files() if load_model(path).level is None]


@compiled()
def solve(address, theta, fixed, time, output, schedule, tolerance, predicted, jacobian):
    return call(address, theta, fixed, time, output, schedule, tolerance, predicted, jacobian)


def run(model, theta, tolerance, *, gradient=False, output=0):
    kernel = compile_model(model, [True] * len(model.outputs), gradient=gradient)
    fixed = [
        model.parameters[n].typical if n in model.parameters else model.inputs[n].default
        for n in fixed_names(model)
    ]
    schedule = np.zeros((1, kernel.n_schedule))
    schedule[0, 1] = 1.0
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
            up, down = theta.copy(), theta.copy()
            up[k] += 1e-5
            down[k] -= 1e-5
            (code_up, high, _), (code_down, low, _) = (
                run(model, x, 1e-11, output=output) for x in (up, down)
            )
            assert code_up >= 0
            assert code_down >= 0
            difference = (high - low) / 2e-5
            scale = 1.0 + np.abs(difference)
            assert np.abs((jacobian[:, k] - difference) / scale)[usable].max(initial=0) < 1e-5


def check_tolerance(model, seed):
    """At the sampler's tolerance, values and derivatives are those of a far more accurate solution."""
    theta = drawn(model, seed)
    code, exact, slopes = run(model, theta, 1e-11, gradient=True)
    if code < 0:
        return
    _, value, jacobian = run(model, theta, 1e-6, gradient=True)
    usable = exact > -200
    assert np.abs(value - exact)[usable].max(initial=0) < 1e-4 * (1 + np.abs(exact).max())
    assert (np.abs(jacobian - slopes) / (1 + np.abs(slopes)))[usable].max(initial=0) < 1e-3


@pytest.mark.parametrize("name", CLOSED)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**31))
def test_derivatives_of_closed_forms_equal_differences(name, seed):
    check_derivatives(load_model(name), seed)


@pytest.mark.slow
@pytest.mark.parametrize("name", ODE)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**31))
def test_derivatives_of_differential_equations_equal_differences(name, seed):
    check_derivatives(load_model(name), seed)
    check_tolerance(load_model(name), seed)


@pytest.mark.parametrize("name", CLOSED)
def test_compiled_closed_forms_equal_numpy(name):
    model = load_model(name)
    theta = np.array([float(p.to_free(p.typical)) for p in model.parameters.values() if not p.fixed])
    _, value, _ = run(model, theta, 1e-6)
    np.testing.assert_allclose(np.exp(value), predict(model, TIMES), rtol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("name", ODE)
def test_compiled_equations_equal_scipy(name):
    model = load_model(name)
    theta = np.array([float(p.to_free(p.typical)) for p in model.parameters.values() if not p.fixed])
    for number, output in enumerate(model.outputs):
        _, value, _ = run(model, theta, 1e-10, output=number)
        np.testing.assert_allclose(np.exp(value), predict(model, TIMES, output=output), rtol=1e-6, atol=1e-12)


@pytest.mark.slow
def test_the_implicit_method_gives_the_same_numbers_and_derivatives():
    from dataclasses import replace

    model = load_model("effector_memory_tumour")
    theta = drawn(model, 3)
    _, value, slopes = run(model, theta, 1e-9, gradient=True)
    code, stiff, stiff_slopes = run(replace(model, stiff=True), theta, 1e-9, gradient=True)
    assert code >= 0
    np.testing.assert_allclose(stiff, value, atol=1e-6)
    np.testing.assert_allclose(stiff_slopes, slopes, atol=1e-4)
