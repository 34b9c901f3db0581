"""Stan (pystan): NUTS on P1, and the cost of a gradient and a time-limited attempt on P2.

    python -m peers.stan p1 --mask 111100          4 chains of 500 + 500
    python -m peers.stan p2-gradient
    python -m peers.stan p2 --limit 420

Run in tests/benchmarks (`peers/run.sh` does, in an environment with Python 3.12: the models of pystan
3.14 cannot be imported on 3.13). CPU is that of the whole process tree; the share of the Python server,
which polls and passes draws on, is in ``settings``, because it is pystan's and not Stan's.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpstan.cache
import httpstan.models
import numpy as np
import stan
from measure import Meter, process_tree, save_record, summarise, time_gradient
from problems import P2_FIXED_VALUES, P2_OMEGA, P2_SIGMA, P2_TYPICAL, Problem, simulate_p1, simulate_p2
from shapes import p2_grid, population_names, prior_arrays, priors_of, start_values

HERE = Path(__file__).parent
PACKAGES = ("pystan", "httpstan", "numpy")
TOLERANCE = 1e-6


def p1_data(problem: Problem, mask: str) -> dict[str, Any]:
    """Data block of p1.stan."""
    seen, hidden, prior = ~problem.censored, problem.censored, prior_arrays(priors_of(problem))
    return {
        "n_subjects": problem.n_subjects,
        "n_seen": int(seen.sum()),
        "n_censored": int(hidden.sum()),
        "seen_subject": (problem.subject[seen] + 1).tolist(),
        "seen_time": problem.time[seen].tolist(),
        "seen_value": problem.log_value[seen].tolist(),
        "censored_subject": (problem.subject[hidden] + 1).tolist(),
        "censored_time": problem.time[hidden].tolist(),
        "log_limit": float(np.log(problem.lloq[0])),
        "typical_mean": prior["typical_mean"].tolist(),
        "typical_sd": prior["typical_sd"].tolist(),
        "omega_scale": prior["omega_scale"].tolist(),
        "sigma_scale": float(prior["sigma_scale"][0]),
        "centred": [int(digit) for digit in mask],
    }


def p2_data(problem: Problem) -> dict[str, Any]:
    """Data block of p2.stan."""
    grid, prior = p2_grid(problem), prior_arrays(priors_of(problem))
    return {
        "n_subjects": problem.n_subjects,
        "n_times": grid["time"].shape[1],
        "time": grid["time"].tolist(),
        "qpcr": grid["qpcr"].tolist(),
        "qpcr_censored": grid["qpcr_censored"].astype(int).tolist(),
        "tumour": grid["tumour"].tolist(),
        "tumour_censored": grid["tumour_censored"].astype(int).tolist(),
        "tumour_seen": grid["tumour_seen"][:, 0].astype(int).tolist(),
        "log_limit": np.log(problem.lloq).tolist(),
        "tolerance": TOLERANCE,
        **{key: values.tolist() for key, values in prior.items()},
    }


def build(name: str, data: dict[str, Any], seed: int = 3) -> tuple[Any, float]:
    """Compiled posterior, and the seconds that it took when it was compiled."""
    start = time.perf_counter()
    posterior = stan.build((HERE / f"{name}.stan").read_text(), data=data, random_seed=seed)
    folder = httpstan.cache.model_directory(posterior.model_name)
    note = folder / "build_seconds.txt"  # the second run takes the model from pystan's cache
    if not note.exists():
        note.write_text(f"{time.perf_counter() - start:.1f}")
    # httpstan stores fits and gives a stored one back at once: it would be timed as 0 CPU-seconds.
    for fit in folder.rglob("*.jsonlines.gz"):
        fit.unlink()
    return posterior, float(note.read_text())


def sample_and_record(
    problem: Problem, posterior: Any, inits: list[dict], options: argparse.Namespace, **extra: Any
):
    """Run NUTS and write the record."""
    with Meter() as meter:
        own = process_tree()[os.getpid()]
        fit = posterior.sample(
            init=inits,
            num_chains=options.chains,
            num_warmup=options.tune,
            num_samples=options.draws,
            refresh=1 if problem.name == "P2" else 100,
        )
        own = process_tree()[os.getpid()] - own
    blocks = ["typical", "omega", *(["fixed"] if problem.name == "P2" else []), "sigma"]
    stacked = np.concatenate([np.atleast_2d(fit[block]) for block in blocks])
    draws = stacked.reshape(len(stacked), options.draws, options.chains).transpose(2, 1, 0)
    settings = {"chains": options.chains, "tune": options.tune, "draws": options.draws, "target_accept": 0.8}
    save_record(
        "stan",
        "sampling",
        problem,
        packages=PACKAGES,
        settings=settings | {"server_cpu_seconds": round(own, 2)} | extra.pop("settings"),
        divergences=int(np.sum(fit["divergent__"])),
        gradients=int(np.sum(fit["n_leapfrog__"])),
        chain_log_density=fit["lp__"].reshape(options.draws, options.chains).mean(0).round(2).tolist(),
        **meter.fields(),
        **summarise(draws, population_names(priors_of(problem)), meter.cpu_seconds),
        **extra,
    )


def run_p1(options: argparse.Namespace) -> None:
    """P1, all chains to the end."""
    problem = simulate_p1(options.n, options.seed)
    posterior, seconds = build("p1", p1_data(problem, options.mask))
    centred = np.array([digit == "1" for digit in options.mask])
    inits = []
    for start in start_values(problem, options.chains):
        z = start["z"] + np.where(centred, start["typical"], 0.0)
        inits.append(
            {
                "typical": start["typical"].tolist(),
                "omega": start["omega"].tolist(),
                "sigma": float(start["sigma"][0]),
                "z": z.tolist(),
            }
        )
    sample_and_record(
        problem,
        posterior,
        inits,
        options,
        label=options.mask,
        compile_seconds=seconds,
        settings={"mask": options.mask},
    )


def run_p2(options: argparse.Namespace) -> None:
    """P2 in a child process that is ended at the time limit."""
    problem = simulate_p2(options.n, options.seed)
    _, seconds = build("p2", p2_data(problem))
    command = [sys.executable, "-m", "peers.stan", "p2-child"]
    for name in ("n", "seed", "chains", "tune", "draws"):
        command += [f"--{name}", str(getattr(options, name))]
    with tempfile.TemporaryFile("w+") as progress, Meter() as meter:
        child = subprocess.Popen(command, stderr=progress, start_new_session=True)
        try:
            code = child.wait(options.limit)
        except subprocess.TimeoutExpired:
            code = None
        meter.stop()  # while the workers still live, or their CPU is lost
        if code is None:
            os.killpg(child.pid, signal.SIGTERM)
            child.wait()
        progress.seek(0)
        done = re.findall(r"\((\d+)/(\d+)\)", progress.read())
    if code == 0:
        return  # the child wrote the record
    reason = f"failed: exit code {code}"
    if code is None:
        at, of = done[-1] if done else ("0", "?")
        reason = f"stopped at the time limit: {at} of {of} iterations of all chains in {options.limit} s"
    settings = {
        "chains": options.chains,
        "tune": options.tune,
        "draws": options.draws,
        "tolerance": TOLERANCE,
    }
    save_record(
        "stan",
        "sampling",
        problem,
        label="rk45",
        packages=PACKAGES,
        settings=settings | {"solver": "ode_rk45_tol", "limit_seconds": options.limit},
        compile_seconds=seconds,
        **meter.fields() | {"status": reason},
    )


def run_p2_child(options: argparse.Namespace) -> None:
    """P2 without a limit."""
    problem = simulate_p2(options.n, options.seed)
    posterior, seconds = build("p2", p2_data(problem))
    inits = [
        {key: value.tolist() for key, value in (start | {"z": start["z"].T}).items()}
        for start in start_values(problem, options.chains)
    ]
    sample_and_record(
        problem,
        posterior,
        inits,
        options,
        label="rk45",
        compile_seconds=seconds,
        settings={"solver": "ode_rk45_tol", "tolerance": TOLERANCE},
    )


def run_p2_gradient(options: argparse.Namespace) -> None:
    """Cost of the gradient of the whole log density at the truth, without pystan's server."""
    problem = simulate_p2(options.n, options.seed)
    data = p2_data(problem)
    posterior, seconds = build("p2", data)
    module = httpstan.models.import_services_extension_module(posterior.model_name)
    z = (problem.truth - P2_TYPICAL) / P2_OMEGA
    sigma = np.log([P2_SIGMA[name] for name in problem.outputs])
    point = np.concatenate([P2_TYPICAL, np.log(P2_OMEGA), P2_FIXED_VALUES, sigma, z.ravel()]).tolist()
    with Meter() as meter:
        cost = time_gradient(lambda: module.log_prob_grad(data, point, True), repeats=40)
    save_record(
        "stan",
        "gradient",
        problem,
        label="rk45-gradient",
        packages=PACKAGES,
        settings={
            "solver": "ode_rk45_tol",
            "tolerance": TOLERANCE,
            "of": "whole log density, 165 dimensions",
        },
        compile_seconds=seconds,
        **meter.fields(),
        **cost,
    )


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    runs = {"p1": run_p1, "p2": run_p2, "p2-child": run_p2_child, "p2-gradient": run_p2_gradient}
    parser.add_argument("run", choices=runs)
    parser.add_argument("--mask", default="000000", help="1 = centred, in the order of P1_RANDOM")
    parser.add_argument("--n", type=int)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--chains", type=int)
    parser.add_argument("--tune", type=int)
    parser.add_argument("--draws", type=int)
    parser.add_argument("--limit", type=int, default=420, help="seconds for P2")
    p1 = {"n": 90, "seed": 1, "chains": 4, "tune": 500, "draws": 500}
    p2 = {"n": 30, "seed": 2, "chains": 2, "tune": 150, "draws": 150}
    options = parser.parse_args()
    for name, value in (p1 if options.run == "p1" else p2).items():
        setattr(options, name, value if getattr(options, name) is None else getattr(options, name))
    runs[options.run](options)


if __name__ == "__main__":
    main()
