"""JAX and diffrax: the cost of the gradient of P2 for several solvers and adjoints.

    python -m peers.diffrax_p2

One evaluation is the log likelihood (M3) of all subjects and its derivatives with respect to the eight
free parameters of each, at the truth. The reference for ``relative_error`` is forward mode with a
tolerance of 1e-10.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
from measure import Meter, save_record, say, time_gradient
from problems import P2_CONSTANTS, P2_FIXED_VALUES, P2_SIGMA, Problem, simulate_p2
from shapes import p2_grid

jax.config.update("jax_enable_x64", True)

PACKAGES = ("jax", "diffrax", "equinox", "numpy")
TOLERANCE = 1e-6
FIRST_STEP = 0.05  # days
# A trial step that overflows is rejected, but reverse mode multiplies its infinite slope by 0: the value is
# finite and the gradient NaN, and NUTS then ends every trajectory as divergent. No solution comes near this.
LARGEST_LOG = 100.0
Solve = Callable[[jax.Array, jax.Array], jax.Array]  # parameters (8,), times → log states (n_times, 3)


def bounded_exp(log_value: jax.Array) -> jax.Array:
    """Exponential of a log state or ratio, without overflow in trial steps."""
    return jnp.exp(jnp.clip(log_value, -LARGEST_LOG, LARGEST_LOG))


def rates(time: jax.Array, state: jax.Array, log_parameters: jax.Array) -> jax.Array:
    """Right-hand side of `problems.p2_rates` with parameters on the free scale."""
    effector, memory, log_tumour = state
    expansion, loss, to_memory, kill, _, half, memory_loss, growth = jnp.exp(log_parameters)
    level, tumour = bounded_exp(effector), bounded_exp(log_tumour)
    antigen = tumour / (half + tumour)
    back = P2_CONSTANTS["reactivation"] * antigen
    return jnp.stack(
        [
            expansion * antigen - loss - to_memory + back * bounded_exp(memory - effector),
            to_memory * bounded_exp(effector - memory) - memory_loss - back,
            growth * (1 - tumour / P2_CONSTANTS["capacity"])
            - kill * level / (P2_CONSTANTS["kill_half"] + level),
        ]
    )


def start(log_parameters: jax.Array) -> jax.Array:
    """Log states at day 0."""
    log_level = log_parameters[4]
    tumour = jnp.full_like(log_level, np.log(P2_CONSTANTS["tumour_start"]))
    return jnp.stack([log_level, log_level + np.log(P2_CONSTANTS["memory_share"]), tumour])


def adaptive(solver: Any, adjoint: Any, max_steps: int = 4096, tolerance: float = TOLERANCE) -> Solve:
    """One subject by an adaptive diffrax solver."""

    def solve(log_parameters: jax.Array, times: jax.Array) -> jax.Array:
        solution = dfx.diffeqsolve(
            dfx.ODETerm(rates),
            solver,
            0.0,
            times[-1],
            FIRST_STEP,
            start(log_parameters),
            args=log_parameters,
            saveat=dfx.SaveAt(ts=times),
            stepsize_controller=dfx.PIDController(rtol=tolerance, atol=tolerance),
            adjoint=adjoint,
            max_steps=max_steps,
            # Infinite states, which the likelihood turns into a rejection, instead of an exception.
            throw=False,
        )
        return solution.ys

    return solve


def runge_kutta(steps_per_gap: int) -> Solve:
    """One subject by classical RK4 with a fixed number of steps between samples."""

    def solve(log_parameters: jax.Array, times: jax.Array) -> jax.Array:
        def step(state: jax.Array, width: jax.Array) -> jax.Array:
            k1 = rates(0.0, state, log_parameters)
            k2 = rates(0.0, state + 0.5 * width * k1, log_parameters)
            k3 = rates(0.0, state + 0.5 * width * k2, log_parameters)
            k4 = rates(0.0, state + width * k3, log_parameters)
            return state + width / 6 * (k1 + 2 * k2 + 2 * k3 + k4)

        def gap(state: jax.Array, width: jax.Array) -> tuple[jax.Array, jax.Array]:
            state, _ = jax.lax.scan(lambda s, _: (step(s, width), None), state, None, length=steps_per_gap)
            return state, state

        widths = jnp.diff(times, prepend=0.0) / steps_per_gap
        return jax.lax.scan(gap, start(log_parameters), widths)[1]

    return solve


VARIANTS: dict[str, tuple[Solve, str]] = {
    "tsit5-checkpoint-256": (adaptive(dfx.Tsit5(), dfx.RecursiveCheckpointAdjoint(), 256), "reverse"),
    "tsit5-checkpoint-4096": (adaptive(dfx.Tsit5(), dfx.RecursiveCheckpointAdjoint()), "reverse"),
    "tsit5-direct-128": (adaptive(dfx.Tsit5(), dfx.DirectAdjoint(), 128), "reverse"),
    "tsit5-backsolve": (adaptive(dfx.Tsit5(), dfx.BacksolveAdjoint()), "reverse"),
    "tsit5-forward": (adaptive(dfx.Tsit5(), dfx.ForwardMode()), "forward"),
    "kvaerno5-checkpoint-4096": (adaptive(dfx.Kvaerno5(), dfx.RecursiveCheckpointAdjoint()), "reverse"),
    "kvaerno5-forward": (adaptive(dfx.Kvaerno5(), dfx.ForwardMode()), "forward"),
    "rk4-scan-20-reverse": (runge_kutta(20), "reverse"),
    "rk4-scan-20-forward": (runge_kutta(20), "forward"),
}


def log_likelihood(states: jax.Array, rows: dict[str, jax.Array], log_limit: Any, sigma: Any) -> jax.Array:
    """M3 log likelihood of one or more subjects.

    Parameters
    ----------
    states : jax.Array, shape (..., n_times, 3)
        Log states.
    rows : dict of jax.Array, shape (..., n_times)
        Rows of `shapes.p2_grid` for the same subjects.
    log_limit, sigma : sequence of 2 numbers
        Of the CAR level and of the tumour size.

    Returns
    -------
    jax.Array
        A scalar.
    """
    predicted = (jnp.logaddexp(states[..., 0], states[..., 1]), states[..., 2])
    total = 0.0
    for k, name in enumerate(("qpcr", "tumour")):
        seen = jax.scipy.stats.norm.logpdf(rows[name], predicted[k], sigma[k])
        hidden = jax.scipy.stats.norm.logcdf((log_limit[k] - predicted[k]) / sigma[k])
        value = jnp.where(rows[f"{name}_censored"], hidden, seen)
        total += jnp.sum(jnp.where(rows[f"{name}_seen"], value, 0.0))
    return total


def evaluation(problem: Problem, solve: Solve, mode: str) -> tuple[Callable, jax.Array]:
    """A compiled function giving value and gradient (n_subjects, 8), and the point to take them at."""
    rows = {key: jnp.asarray(values) for key, values in p2_grid(problem).items()}
    sigma = [P2_SIGMA[name] for name in problem.outputs]
    fixed = np.tile(P2_FIXED_VALUES, (problem.n_subjects, 1))

    def one(parameters: jax.Array, own: dict[str, jax.Array]) -> jax.Array:
        return log_likelihood(solve(parameters, own["time"]), own, np.log(problem.lloq), sigma)

    def reverse(parameters: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jax.value_and_grad(lambda p: jax.vmap(one)(p, rows).sum())(parameters)

    def forward(parameters: jax.Array) -> tuple[jax.Array, jax.Array]:
        value, slope = jax.vmap(lambda p, r: (one(p, r), jax.jacfwd(one)(p, r)))(parameters, rows)
        return value.sum(), slope

    point = jnp.asarray(np.column_stack([problem.truth, fixed]))
    return jax.jit(reverse if mode == "reverse" else forward), point


def run(problem: Problem, label: str, reference: np.ndarray) -> None:
    """Measure one variant and write its record."""
    solve, mode = VARIANTS[label]
    call, point = evaluation(problem, solve, mode)
    began = time.perf_counter()
    try:
        value, slope = jax.block_until_ready(call(point))
    except Exception as error:  # a variant that fails is a result
        say(f"{label}: {error}")
        save_record(
            "diffrax",
            "gradient",
            problem,
            label,
            PACKAGES,
            status=f"failed: {type(error).__name__}: {error}"[:300],
        )
        return
    seconds = time.perf_counter() - began
    with Meter() as meter:
        cost = time_gradient(lambda: jax.block_until_ready(call(point)), repeats=20)
    error = np.linalg.norm(slope - reference) / np.linalg.norm(reference)
    save_record(
        "diffrax" if "rk4" not in label else "jax",
        "gradient",
        problem,
        label,
        PACKAGES,
        settings={"of": "log likelihood, 30 x 8 parameters", "mode": mode, "tolerance": TOLERANCE},
        compile_seconds=round(seconds, 2),
        value=round(float(value), 6),
        relative_error=float(f"{error:.3g}"),
        **meter.fields(),
        **cost,
    )


def main() -> None:
    """Run every variant."""
    problem = simulate_p2()
    exact, point = evaluation(problem, adaptive(dfx.Tsit5(), dfx.ForwardMode(), tolerance=1e-10), "forward")
    reference = np.asarray(exact(point)[1])
    for label in VARIANTS:
        run(problem, label, reference)


if __name__ == "__main__":
    main()
