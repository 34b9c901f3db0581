"""pm.ode (PyMC's own ODE module): the cost of the gradient of P2 for one subject.

    python -m peers.pm_ode

pm.ode solves one subject at a time by SciPy's odeint with the sensitivities as further states, so all
30 subjects cost about 30 times this.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from measure import Meter, save_record, time_gradient
from problems import P2_CONSTANTS, P2_FIXED_VALUES, P2_SIGMA, simulate_p2
from pymc.ode import DifferentialEquation
from shapes import p2_grid

PACKAGES = ("pymc", "pytensor", "scipy", "numpy")
SUBJECT = 0


def rates(state: Any, time: Any, parameters: Any) -> list[Any]:
    """Right-hand side of `problems.p2_rates`; parameters without the level at day 0."""
    effector, memory, log_tumour = state[0], state[1], state[2]
    expansion, loss, to_memory, kill, half, memory_loss, growth = (parameters[k] for k in range(7))
    level, tumour = pt.exp(effector), pt.exp(log_tumour)
    antigen = tumour / (half + tumour)
    back = P2_CONSTANTS["reactivation"] * antigen
    return [
        expansion * antigen - loss - to_memory + back * pt.exp(memory - effector),
        to_memory * pt.exp(effector - memory) - memory_loss - back,
        growth * (1 - tumour / P2_CONSTANTS["capacity"]) - kill * level / (P2_CONSTANTS["kill_half"] + level),
    ]


def log_likelihood(
    states: Any, rows: dict[str, np.ndarray], log_limit: np.ndarray, sigma: list[float]
) -> Any:
    """M3 log likelihood of one subject, up to a constant."""
    predicted = (pt.logaddexp(states[:, 0], states[:, 1]), states[:, 2])
    total = 0.0
    for k, name in enumerate(("qpcr", "tumour")):
        hidden, seen = rows[f"{name}_censored"], rows[f"{name}_seen"] & ~rows[f"{name}_censored"]
        error = (rows[name][seen] - predicted[k][np.flatnonzero(seen)]) / sigma[k]
        below = (log_limit[k] - predicted[k][np.flatnonzero(hidden)]) / sigma[k]
        total = total - 0.5 * pt.sum(error**2) + pt.sum(pt.log(0.5 * pt.erfc(-below / np.sqrt(2))))
    return total


def main() -> None:
    """Build, compile, time and record."""
    problem = simulate_p2()
    rows = {key: values[SUBJECT] for key, values in p2_grid(problem).items()}
    began = time.perf_counter()
    equation = DifferentialEquation(func=rates, times=rows["time"], n_states=3, n_theta=7, t0=0)
    free = pt.dvector("free")  # in the order of P2_RANDOM and P2_FIXED
    natural = pt.exp(free)
    initial = pt.stack([free[4], free[4] + np.log(P2_CONSTANTS["memory_share"]), pt.constant(0.0)])
    states = equation(y0=initial, theta=pt.stack([natural[k] for k in (0, 1, 2, 3, 5, 6, 7)]))
    sigma = [P2_SIGMA[name] for name in problem.outputs]
    value = log_likelihood(states, rows, np.log(problem.lloq), sigma)
    call = pytensor.function([free], [value, pt.grad(value, free)], mode="CVM")
    point = np.concatenate([problem.truth[SUBJECT], P2_FIXED_VALUES])
    call(point)
    seconds = time.perf_counter() - began
    # pm.ode remembers its last point, so every call gets a new one.
    jitter = iter(1e-6 * np.random.default_rng(1).standard_normal((20, len(point))))
    with Meter() as meter:
        cost = time_gradient(lambda: call(point + next(jitter)), repeats=10)
    save_record(
        "pm.ode",
        "gradient",
        problem,
        "one-subject",
        PACKAGES,
        settings={"of": "log likelihood of one subject, 8 parameters", "subjects": 1},
        compile_seconds=round(seconds, 2),
        **meter.fields(),
        **cost,
    )


if __name__ == "__main__":
    main()
