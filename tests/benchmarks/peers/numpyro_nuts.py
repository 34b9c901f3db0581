"""numpyro's NUTS: P1 in closed form, P2 through diffrax with a time limit.

    python -m peers.numpyro_nuts p1 --mask 111100
    python -m peers.numpyro_nuts p2 --limit 300

The chains advance in turns, a block of iterations at a time, so that compilation can be timed apart and
a time limit leaves as many draws as there were.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from measure import Meter, save_record, summarise
from numpyro.infer import NUTS
from peers.diffrax_p2 import adaptive, log_likelihood
from problems import Problem, simulate_p1, simulate_p2
from shapes import p2_grid, population_names, prior_arrays, priors_of, start_values

jax.config.update("jax_enable_x64", True)

PACKAGES = ("numpyro", "jax", "diffrax", "numpy")
BLOCK = {"P1": 50, "P2": 5}  # iterations between two looks at the clock


def population(problem: Problem) -> dict[str, jax.Array]:
    """Typical values, omegas, fixed effects and sigmas with the priors of the problem."""
    prior = prior_arrays(priors_of(problem))
    sites = {
        "typical": dist.Normal(prior["typical_mean"], prior["typical_sd"]),
        "omega": dist.HalfNormal(prior["omega_scale"]),
        "sigma": dist.HalfNormal(prior["sigma_scale"]),
    }
    if len(prior["fixed_mean"]):
        sites["fixed"] = dist.Normal(prior["fixed_mean"], prior["fixed_sd"])
    return {name: numpyro.sample(name, law.to_event(1)) for name, law in sites.items()}


def p1_model(problem: Problem, mask: str) -> None:
    """P1; digit k of the mask is 1 where random effect k is centred."""
    shared = population(problem)
    centred = np.array([digit == "1" for digit in mask])
    centre = jnp.where(centred, shared["typical"], 0.0)
    spread = jnp.where(centred, shared["omega"], 1.0)
    z = numpyro.sample("z", dist.Normal(centre, spread).expand((problem.n_subjects, 6)).to_event(2))
    theta = jnp.where(centred, z, shared["typical"] + shared["omega"] * z)
    own = theta[problem.subject]
    growth, alpha, beta = (jnp.log(2.0) * jnp.exp(-own[:, k]) for k in (2, 3, 4))
    since_peak = problem.time - jnp.exp(own[:, 1])
    before, after = jnp.minimum(since_peak, 0.0), jnp.maximum(since_peak, 0.0)
    log_fast = -jax.nn.softplus(own[:, 5])
    decline = jnp.logaddexp(log_fast - alpha * after, log_fast + own[:, 5] - beta * after)
    predicted, sigma = own[:, 0] + growth * before + decline, shared["sigma"][0]
    seen, hidden = np.flatnonzero(~problem.censored), np.flatnonzero(problem.censored)
    numpyro.sample("seen", dist.Normal(predicted[seen], sigma), obs=problem.log_value[seen])
    below = (problem.log_limit[hidden] - predicted[hidden]) / sigma
    numpyro.factor("hidden", jax.scipy.stats.norm.logcdf(below).sum())


def p2_model(problem: Problem, rows: dict[str, np.ndarray]) -> None:
    """P2, non-centred, all subjects solved together."""
    shared = population(problem)
    z = numpyro.sample("z", dist.Normal().expand((problem.n_subjects, 5)).to_event(2))
    theta = shared["typical"] + shared["omega"] * z
    fixed = jnp.broadcast_to(shared["fixed"], (problem.n_subjects, 3))
    solve = adaptive(dfx.Tsit5(), dfx.RecursiveCheckpointAdjoint())
    states = jax.vmap(solve)(jnp.concatenate([theta, fixed], axis=1), rows["time"])
    numpyro.factor("data", log_likelihood(states, rows, np.log(problem.lloq), shared["sigma"]))


def unconstrained_starts(problem: Problem, mask: str, n_chains: int) -> list[dict[str, jax.Array]]:
    """The shared starting values on the scale that NUTS moves on."""
    centred = np.array([digit == "1" for digit in mask])
    starts = []
    for start in start_values(problem, n_chains):
        point = {
            "typical": start["typical"],
            "omega": np.log(start["omega"]),
            "sigma": np.log(start["sigma"]),
            "z": start["z"] + np.where(centred, start["typical"], 0.0),
        }
        if len(start["fixed"]):
            point["fixed"] = start["fixed"]
        starts.append({name: jnp.asarray(values) for name, values in point.items()})
    return starts


def compiled_block(kernel: NUTS, state: Any, length: int) -> Callable:
    """A function advancing one chain by a block of iterations, compiled."""

    def advance(state: Any, _: None) -> tuple[Any, dict[str, jax.Array]]:
        state = kernel.sample(state, (), {})
        kept = {name: value for name, value in state.z.items() if name != "z"}
        trace = {"density": -state.potential_energy, "steps": state.num_steps, "diverging": state.diverging}
        return state, kept | trace

    return jax.jit(lambda s: jax.lax.scan(advance, s, None, length=length)).lower(state).compile()


def sample(
    model: Callable, starts: list[dict[str, jax.Array]], options: argparse.Namespace, block: int
) -> tuple[dict[str, np.ndarray], Meter, float]:
    """Traces (chain, iteration, …) with warm-up, the meter, and the seconds of compilation."""
    began, kernel, states = time.perf_counter(), NUTS(model, target_accept_prob=options.accept), []
    for chain, start in enumerate(starts):
        key = jax.random.PRNGKey(options.sampler_seed + chain)
        states.append(kernel.init(key, options.tune, start, (), {}))
    advance = compiled_block(kernel, states[0], block)
    compiling = time.perf_counter() - began
    parts: list[list[Any]] = [[] for _ in starts]
    deadline = time.perf_counter() + options.limit
    with Meter() as meter:
        for _ in range(0, options.tune + options.draws, block):
            for chain, state in enumerate(states):
                states[chain], trace = jax.block_until_ready(advance(state))
                parts[chain].append(trace)
            if time.perf_counter() > deadline:
                break
    traces = [{key: np.concatenate([part[key] for part in of]) for key in of[0]} for of in parts]
    return {key: np.stack([trace[key] for trace in traces]) for key in traces[0]}, meter, compiling


def record(
    problem: Problem, traces: dict[str, np.ndarray], meter: Meter, options: argparse.Namespace, **fields: Any
) -> None:
    """Write the record; ESS only when there are draws after the warm-up."""
    done, wanted = traces["density"].shape[1], options.tune + options.draws
    if done < wanted:
        fields["status"] = (
            f"stopped at the time limit: {done} of {wanted} iterations of each chain in {options.limit} s"
        )
    draws = {key: values[:, options.tune :] for key, values in traces.items()}
    if done >= options.tune + 20:
        columns = [draws["typical"], np.exp(draws["omega"]), *([draws["fixed"]] if "fixed" in draws else [])]
        stacked = np.concatenate([*columns, np.exp(draws["sigma"])], axis=-1)
        fields |= summarise(stacked, population_names(priors_of(problem)), meter.cpu_seconds)
        fields["divergences"] = int(draws["diverging"].sum())
        fields["chain_log_density"] = draws["density"].mean(1).round(2).tolist()
    names = ("chains", "tune", "draws")
    save_record(
        "numpyro",
        "sampling",
        problem,
        packages=PACKAGES,
        settings={name: getattr(options, name) for name in names}
        | {"target_accept": options.accept, "sampler_seed": options.sampler_seed}
        | fields.pop("settings"),
        gradients=int(traces["steps"].sum()),
        **meter.fields(),
        **fields,
    )


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", choices=("p1", "p2"))
    parser.add_argument("--mask", default="111100", help="1 = centred, in the order of P1_RANDOM")
    parser.add_argument("--n", type=int, default=90, help="subjects of P1")
    parser.add_argument("--chains", type=int, default=4)
    parser.add_argument("--tune", type=int, default=500)
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--accept", type=float, default=0.8)
    parser.add_argument("--limit", type=float, default=600, help="seconds")
    parser.add_argument("--sampler-seed", type=int, default=11)
    options = parser.parse_args()
    if options.run == "p1":
        problem, mask = simulate_p1(options.n), options.mask
        model, extra, label = partial(p1_model, problem, mask), {"mask": mask}, mask
    else:
        problem, mask, label = simulate_p2(), "00000", "tsit5"
        model, extra = partial(p2_model, problem, p2_grid(problem)), {"solver": "Tsit5, recursive checkpoint"}
    if options.sampler_seed != parser.get_default("sampler_seed"):
        label += f"-sampler{options.sampler_seed}"
    starts = unconstrained_starts(problem, mask, options.chains)
    traces, meter, seconds = sample(model, starts, options, BLOCK[problem.name])
    record(problem, traces, meter, options, label=label, compile_seconds=round(seconds, 1), settings=extra)


if __name__ == "__main__":
    main()
