"""PyMC: P1 as a plain PyMC model, sampled by nutpie or by PyMC's own NUTS.

    python -m peers.pymc_closed_form --sampler nutpie --mask 111100
    python -m peers.pymc_closed_form --sampler pymc --mask 111100

Runs in the project's own environment, without carkinetics. Each sampler starts where it starts by
itself, so the trap of a wrong mode (about one chain in ten) is part of what is measured.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import nutpie
import pymc as pm
import pytensor.tensor as pt
from measure import Meter, save_record, summarise
from problems import P1_RANDOM, Problem, simulate_p1
from shapes import population_names, prior_arrays, priors_of

PACKAGES = ("pymc", "pytensor", "nutpie", "numba", "numpy")


def build_model(problem: Problem, mask: str) -> pm.Model:
    """The PyMC model of P1.

    Parameters
    ----------
    problem : Problem
        From `simulate_p1`.
    mask : str
        Digit k is 1 where random effect k is centred, in the order of ``P1_RANDOM``.

    Returns
    -------
    pymc.Model
    """
    prior = prior_arrays(priors_of(problem))
    with pm.Model() as model:
        typical = pm.Normal("typical", prior["typical_mean"], prior["typical_sd"])
        omega = pm.HalfNormal("omega", prior["omega_scale"])
        sigma = pm.HalfNormal("sigma", prior["sigma_scale"][0])
        theta = []
        for k, name in enumerate(P1_RANDOM):
            if mask[k] == "1":
                theta.append(pm.Normal(name, typical[k], omega[k], shape=problem.n_subjects))
            else:
                theta.append(typical[k] + omega[k] * pm.Normal(f"{name}_z", shape=problem.n_subjects))
        predicted = log_level(problem, theta)
        seen, hidden = np.flatnonzero(~problem.censored), np.flatnonzero(problem.censored)
        pm.Normal("seen", predicted[seen], sigma, observed=problem.log_value[seen])
        below = (problem.log_limit[hidden] - predicted[hidden]) / sigma
        pm.Potential("hidden", pm.logcdf(pm.Normal.dist(), below))
    return model


def log_level(problem: Problem, theta: list[Any]) -> Any:
    """Predicted log level of every row."""
    log_fast = -pt.softplus(theta[5])
    # Transformed once per subject and then spread over the rows: an exp per row would cost 14 times more.
    by_subject = [
        theta[0],
        pt.exp(theta[1]),
        *(np.log(2) * pt.exp(-theta[k]) for k in (2, 3, 4)),
        log_fast,
        log_fast + theta[5],
    ]
    log_cmax, tmax, growth, alpha, beta, log_fast, log_slow = (x[problem.subject] for x in by_subject)
    since_peak = problem.time - tmax
    before, after = pt.minimum(since_peak, 0.0), pt.maximum(since_peak, 0.0)
    return log_cmax + growth * before + pt.logaddexp(log_fast - alpha * after, log_slow - beta * after)


def run_nutpie(model: pm.Model, options: argparse.Namespace) -> tuple[Any, Meter, float]:
    """Trace, meter and seconds of compilation."""
    began = time.perf_counter()
    compiled = nutpie.compile_pymc_model(model)
    seconds = time.perf_counter() - began
    with Meter() as meter:
        trace = nutpie.sample(
            compiled,
            draws=options.draws,
            tune=options.tune,
            chains=options.chains,
            cores=options.cores,
            seed=options.sampler_seed,
            progress_bar=False,
            save_warmup=False,
        )
    return trace, meter, seconds


def run_pymc(model: pm.Model, options: argparse.Namespace) -> tuple[Any, Meter, float]:
    """Trace, meter and seconds of compilation: all that comes before the first draw."""
    began, first = time.perf_counter(), []

    with Meter() as meter:

        def at_first_draw(trace: Any, draw: Any) -> None:
            if not first:
                first.append(time.perf_counter() - began)
                meter.restart()

        with model:
            trace = pm.sample(
                options.draws,
                tune=options.tune,
                chains=options.chains,
                cores=options.cores,
                random_seed=options.sampler_seed,
                progressbar=False,
                compute_convergence_checks=False,
                nuts_sampler="pymc",  # PyMC 6 would take nutpie
                callback=at_first_draw,
            )
    return trace, meter, first[0]


def record(problem: Problem, trace: Any, meter: Meter, seconds: float, options: argparse.Namespace) -> None:
    """Write the record."""
    posterior, stats = trace["posterior"], trace["sample_stats"]
    parts = [posterior["typical"].values, posterior["omega"].values, posterior["sigma"].values[..., None]]
    density = next(stats[name] for name in ("logp", "lp") if name in stats)
    save_record(
        "nutpie" if options.sampler == "nutpie" else "pymc",
        "sampling",
        problem,
        label=options.mask,
        packages=PACKAGES,
        settings={name: getattr(options, name) for name in ("chains", "cores", "tune", "draws", "mask")},
        compile_seconds=round(seconds, 1),
        divergences=int(stats["diverging"].sum()),
        chain_log_density=density.values.mean(1).round(2).tolist(),
        gradients_while_drawing=int(stats["n_steps"].sum()),
        **meter.fields(),
        **summarise(np.concatenate(parts, axis=-1), population_names(priors_of(problem)), meter.cpu_seconds),
    )


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sampler", choices=("nutpie", "pymc"), default="nutpie")
    parser.add_argument("--mask", default="111100", help="1 = centred, in the order of P1_RANDOM")
    parser.add_argument("--n", type=int, default=90)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--chains", type=int, default=4)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--tune", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--sampler-seed", type=int, default=11)
    options = parser.parse_args()
    problem = simulate_p1(options.n, options.seed)
    model = build_model(problem, options.mask)
    run = run_nutpie if options.sampler == "nutpie" else run_pymc
    record(problem, *run(model, options), options)


if __name__ == "__main__":
    main()
