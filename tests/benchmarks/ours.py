"""Our engines on the benchmark problems, as records beside the peers'.

    python tests/benchmarks/ours.py                  everything, about 20 minutes on 2 cores
    python tests/benchmarks/ours.py p1 --seeds 1     one problem, one seed

The clock runs from the approximate fit to the last draw, compilation aside (a throw-away run comes first). A run goes
on until ESS 400 and R-hat 1.01, bulk and tail, of every population parameter.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from measure import Meter, save_record, say, summarise, time_gradient
from problems import Problem, simulate_p1, simulate_p2, simulate_sparse
from shapes import long_table, population_names, priors_of, read_options
from table import main as write_tables

from carkinetics.dataset import read_nonmem
from carkinetics.fit.em import laplace_em
from carkinetics.fit.goal import Goal
from carkinetics.fit.problem import Problem as Asked
from carkinetics.fit.problem import make_problem
from carkinetics.fit.structured import StructuredSampler
from carkinetics.fit.vector import sizes
from carkinetics.model import load_model

P1_MODEL = Path(__file__).parent / "models" / "p1.toml"
PACKAGES = ("carkinetics", "numba", "numpy")
MINUTES = 10.0
RUNS: dict[str, tuple[Callable[[], Problem], int]] = {
    "p1": (lambda: simulate_p1(90, 1), 5),
    "p1-second": (lambda: simulate_p1(90, 2), 5),
    "p2": (lambda: simulate_p2(30, 2), 5),
    "sparse": (lambda: simulate_sparse(12, 7), 5),
    "p1-20": (lambda: simulate_p1(20, 1), 2),
    "p1-300": (lambda: simulate_p1(300, 1), 2),
    "p1-1000": (lambda: simulate_p1(1000, 1), 2),
}


def asked_of(problem: Problem) -> Asked:
    """The problem as carkinetics is asked it."""
    model = load_model("effector_memory_tumour" if problem.name == "P2" else P1_MODEL)
    options = read_options(problem)
    options["value_unit"] |= (
        {"tumour": "1"} if problem.name == "P2" else {}
    )  # relative size: the model has no unit
    return make_problem(model, read_nonmem(long_table(problem), **options))


def ordered(engine: StructuredSampler, x: np.ndarray) -> np.ndarray:
    """Population parameters in the order of all engines: typical, omega, fixed, sigma."""
    c, d, q, _ = sizes(engine.population)
    values = engine.population_values(x)
    at = [*range(c), *range(c + d, c + d + q), *range(c, c + d), *range(c + d + q, x.shape[2])]
    return values[:, :, at]


def sample(problem: Problem, asked: Asked, seed: int, start: str) -> None:
    """One run until the gate, and its record."""
    with Meter() as meter:
        engine = StructuredSampler(asked, laplace_em(asked), seed=seed, start=start)
        made = engine.run(Goal(minutes=MINUTES))
    names = population_names(priors_of(problem))
    fields = summarise(ordered(engine, made.x), names, meter.cpu_seconds)
    save_record(
        "carkinetics structured", "sampling", problem, f"{start}-{seed}", PACKAGES,
        settings={"chains": 4, "tune": made.warm_up, "draws": made.sweeps, "kept_every": made.every, "start": start},
        status="finished" if made.reached else f"stopped at the time limit: {MINUTES:g} minutes", compile_seconds=0.0,
        divergences=0, chain_log_density=made.log_posterior.mean(axis=1).round(1).tolist(), **fields, **meter.fields(),
    )  # fmt: skip
    say(
        f"{problem.name} n={problem.n_subjects} data {problem.seed} seed {seed} {start}: {meter.cpu_seconds:.1f} CPU-s, "
        f"{meter.wall_seconds:.1f} s, bulk {fields['min_ess_bulk']:.0f}, tail {fields['min_ess_tail']:.0f}, "
        f"R-hat {fields['max_rhat']:.4f}, {meter.peak_memory_mb:.0f} MB"
    )


def costs(problem: Problem, asked: Asked) -> None:
    """Cost of one pass over all subjects, with and without derivatives, and of the approximate fit."""
    state = laplace_em(asked)
    layout = asked.layout
    calls = {
        "gradient": lambda: layout.predict_with_gradient(state.theta),
        "value-only": lambda: layout.predict(state.theta[None]),
        "laplace-em": lambda: laplace_em(asked),
    }
    for label, call in calls.items():
        call()
        fields = time_gradient(call, 20 if label == "laplace-em" else 300)
        save_record(
            "carkinetics",
            "gradient",
            problem,
            label,
            PACKAGES,
            of="predictions of all rows",
            status="finished",
            **fields,
        )
        say(
            f"{problem.name} n={problem.n_subjects} {label}: {fields['milliseconds']} ms, CPU {fields['cpu_milliseconds']} ms"
        )


def main() -> None:
    """Run what the command line asks for, then write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="*", default=list(RUNS), help=f"of {', '.join(RUNS)}")
    parser.add_argument("--seeds", type=int, default=None)
    parser.add_argument("--starts", nargs="*", default=["approximate"])
    options = parser.parse_args()
    for name in options.runs:
        make, seeds = RUNS[name]
        problem = make()
        asked = asked_of(problem)
        StructuredSampler(asked, laplace_em(asked)).run(Goal(), draws=10)  # compiles
        costs(problem, asked)
        for start in options.starts:
            for seed in range(1, (options.seeds or seeds) + 1):
                sample(problem, asked, seed, start)
    write_tables()


if __name__ == "__main__":
    main()
