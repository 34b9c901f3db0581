"""Simulation-based calibration of the structured sampler.

    python tests/calibration.py                  100 replicates of every case, about an hour on 2 cores
    python tests/calibration.py p1 --replicates 20

A population is drawn from the prior, subjects from the population, measurements from the subjects; the sampler is
run on the measurements; and the rank of every true value among the draws is noted. If the sampler draws from the
posterior, ranks are uniform (Talts S et al. arXiv:1804.06788). Writes tests/CALIBRATION.md from the ranks kept in
tests/calibration/*.csv, which it adds to.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from carkinetics.dataset import Dataset
from carkinetics.fit.draws import predictive, prior_draws
from carkinetics.fit.em import laplace_em
from carkinetics.fit.goal import Goal
from carkinetics.fit.problem import Problem, make_problem
from carkinetics.fit.structured import StructuredSampler
from carkinetics.fit.structured_tree import raw_tree
from carkinetics.model import load_model, simulate
from carkinetics.model.simulate import report_measurements

HERE = Path(__file__).resolve().parent
RANKS, CHAINS = 99, 2
# Long enough for independent ranks, but no replicate may take for ever: hard ones are kept as they are.
ESS, RHAT, MINUTES = 100, 1.05, 0.4
FOLLOWED = 2  # subjects whose own parameters are ranked too
DAYS_P1 = (0.5, 2, 4, 7, 9, 11, 14, 17, 21, 28, 60, 90, 180, 365)
DAYS_P2 = (1, 4, 7, 10, 14, 21, 28, 60, 90, 180, 365)


@dataclass(frozen=True)
class Case:
    """One model and design to be calibrated on."""

    model: str
    days: tuple[float, ...]
    subjects: int
    lloq: dict[str, float]
    asked: dict[str, Any] = field(default_factory=dict)


CASES = {
    "p1": Case(str(HERE / "benchmarks" / "models" / "p1.toml"), DAYS_P1, 15, {"level": 50.0}),
    "p2": Case("effector_memory_tumour", DAYS_P2, 12, {"car": 50.0, "tumour": 0.01}),
    "full": Case(
        str(HERE / "benchmarks" / "models" / "p1.toml"), DAYS_P1, 20, {"level": 50.0},
        {
            "random": ["cmax", "tmax", "doubling", "half_fast"], "correlated": ["cmax", "tmax", "half_fast"],
            "covariates": {"cmax": "log(dose / 1e6)", "half_slow": "log(dose / 1e6)"},
        },
    ),
}  # fmt: skip


def template(case: Case) -> Problem:
    """The design with placeholder measurements."""
    model = load_model(case.model)
    first, *rest = case.lloq
    design = {"times": case.days, "doses": (1e5, 3e5, 1e6, 2e6)}
    others = {name: {"times": case.days, "lloq": case.lloq[name], "every": 2, "assay": name} for name in rest}
    data = simulate(
        model, design | {"lloq": case.lloq[first], "assay": "qpcr"}, case.subjects, 1, others=others or None
    )
    return make_problem(model, data, **case.asked)


def measured(problem: Problem, case: Case, values: np.ndarray) -> Dataset:
    """The same design with other measurements."""
    parts = []
    for number, one in enumerate(problem.measured):
        at = problem.output_index == number
        table = problem.observations[at][["subject", "assay", "time"]].assign(value=values[at])
        unit = problem.model.outputs[one.output].unit
        parts.append(report_measurements(table, case.lloq[one.output], np.nan, unit))
    return replace(problem.data, observations=pd.concat(parts, ignore_index=True))


def quantities(problem: Problem, draws: Any) -> dict[str, np.ndarray]:
    """Everything that is ranked, shape (n,)."""
    names = [f"{n}_typical" for n in problem.model.free_parameters] + [f"{n}_omega" for n in problem.random]
    names += [c.name for c in problem.covariates] + problem.sigma_names
    found = {name: draws[name].to_numpy().ravel() for name in names}
    for k, one in enumerate(problem.correlated):
        for other in problem.correlated[k + 1 :]:
            found[f"corr_{one}_{other}"] = (
                draws["effect_correlation"].sel(effect=one, effect_aux=other).to_numpy().ravel()
            )
    for name in problem.random:
        for i in range(FOLLOWED):
            found[f"{name} of subject {i + 1}"] = draws[name].isel(subject=i).to_numpy().ravel()
    return found


def replicate(case: Case, problem: Problem, seed: int) -> dict[str, Any] | None:
    """Ranks of one replicate; None where the drawn truth cannot be solved."""
    rng = np.random.default_rng([seed, 17])
    truth = prior_draws(problem, 1, rng)
    values = predictive(problem, truth, rng)["level"].to_numpy()[0, 0]
    if not np.isfinite(values).all():
        return None
    values = np.clip(values, 0.0, 1e300)
    again = make_problem(problem.model, measured(problem, case, values), **case.asked)
    began = time.process_time()
    engine = StructuredSampler(again, laplace_em(again), chains=CHAINS, seed=seed)
    made = engine.run(Goal(ESS, RHAT, MINUTES))
    raw, _ = raw_tree(engine, made)
    drawn, true = quantities(again, raw["posterior"]), quantities(problem, truth)
    every = len(next(iter(drawn.values()))) // RANKS
    ranks = {name: int((x[::every][:RANKS] < true[name][0]).sum()) for name, x in drawn.items()}
    blq = float((again.observations["status"] != "quantified").mean())
    return {
        "seed": seed, "ess": round(made.progress.ess), "rhat": round(made.progress.rhat, 4), "blq": round(blq, 3),
        "cpu": round(time.process_time() - began, 2), **ranks,
    }  # fmt: skip


def run(name: str, replicates: int, first: int, minutes: float) -> None:
    """Add replicates to the ranks that are kept."""
    case, file = CASES[name], HERE / "calibration" / f"{name}.csv"
    file.parent.mkdir(exist_ok=True)
    known = pd.read_csv(file) if file.is_file() else pd.DataFrame({"seed": []})
    problem, rows, end = template(case), [], time.monotonic() + 60 * minutes
    for seed in range(first, first + replicates):
        if seed in set(known["seed"]) or time.monotonic() > end:
            continue
        row = replicate(case, problem, seed)
        print(
            name,
            row and {key: row[key] for key in ("seed", "ess", "rhat", "blq", "cpu")},
            file=sys.stderr,
            flush=True,
        )
        if row:
            rows.append(row)
            pd.concat([known, pd.DataFrame(rows)], ignore_index=True).to_csv(file, index=False)


def table(name: str) -> str:
    """Uniformity of the ranks of one case."""
    file = HERE / "calibration" / f"{name}.csv"
    if not file.is_file():
        return ""
    ranks = pd.read_csv(file)
    about = ["seed", "ess", "rhat", "blq", "cpu"]
    lines = [
        f"## {name}: {len(ranks)} replicates",
        "",
        f"{CASES[name].subjects} subjects; BLQ share {ranks['blq'].median():.0%} (median); ESS of the worst quantity "
        f"{ranks['ess'].median():.0f} (median), below 50 in {(ranks['ess'] < 50).sum()}; "
        f"{ranks['cpu'].median():.1f} CPU-s a replicate.",
        "",
        "| quantity | mean rank / 99 (0.5) | variance (0.0833) | chi² p, 10 bins | KS p |",
        "|---|---|---|---|---|",
    ]
    ps = []
    for column in ranks.columns.drop(about):
        u = (ranks[column] + 0.5) / (RANKS + 1)
        counts = np.histogram(u, 10, (0, 1))[0]
        chi, ks = stats.chisquare(counts).pvalue, stats.kstest(u, "uniform").pvalue
        ps.append(chi)
        lines.append(f"| {column} | {u.mean():.3f} | {u.var():.4f} | {chi:.3f} | {ks:.3f} |")
    below = sum(p < 0.01 for p in ps)
    lines += [
        "",
        f"chi² p below 0.01 in {below} of {len(ps)} quantities (expected {0.01 * len(ps):.1f}).",
        "",
    ]
    return "\n".join(lines)


def write() -> None:
    """Write the table from all ranks that are kept."""
    head = [
        "# Simulation-based calibration of the structured sampler",
        "",
        f"`python tests/calibration.py`, {datetime.now(UTC):%Y-%m-%d}, carkinetics {version('carkinetics')}, numba "
        f"{version('numba')}, Python {platform.python_version()}. Populations from the full prior, {CHAINS} chains until "
        f"ESS {ESS} and R-hat {RHAT} or {60 * MINUTES:.0f} s, thinned to {RANKS} draws; no replicate is left out for bad "
        "mixing.",
        "",
        "Cases: p1 = Stein's curve by half-lives, 6 random effects; p2 = effector, memory and tumour as differential "
        "equations, two outputs, 5 random effects and 3 common parameters; full = p1 with three correlated effects, a "
        "covariate on a random and one on a common parameter.",
        "",
    ]
    (HERE / "CALIBRATION.md").write_text(
        "\n".join(head) + "\n".join(filter(None, map(table, CASES))), encoding="utf-8"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", default=list(CASES))
    parser.add_argument("--replicates", type=int, default=100)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=120.0, help="of each case")
    asked = parser.parse_args()
    for case_name in asked.cases:
        run(case_name, asked.replicates, asked.first, asked.minutes)
    write()
