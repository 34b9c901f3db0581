"""Simulate, fit, and count how often the 90 % intervals of the population values hold the truth.

    python tests/recovery.py            20 data sets of 30 patients, about 15 minutes on 2 cores

writes tests/RECOVERY.md. The slow suite runs two of the data sets (tests/fit/test_recovery.py).
"""

from __future__ import annotations

import argparse
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from carkinetics.fit import Fit, diagnose, fit_hierarchical
from carkinetics.model import Model, load_model, simulate

# A phase 1 schedule, doses of 0.1 to 2.0e6 cells/kg, and the solid-tumour values of the shipped trial.
DAYS = (1, 3, 5, 7, 10, 14, 21, 28, 42, 56, 84, 112, 168, 252, 364)
DESIGN = {"times": DAYS, "lloq": 25, "lod": 10, "doses": (0.1e6, 0.3e6, 1e6, 2e6), "jitter": 0.03}
TYPICAL = {"foldx": 350.0, "tmax": 11.0, "cmax": 1500.0, "alpha": 0.16, "fb": 0.02, "beta": 0.01}
OMEGA = {"foldx": 1.0, "tmax": 0.3, "cmax": 1.0, "alpha": 0.5, "fb": 0.8, "beta": 0.6}
SLOPE, SIGMA, SUBJECTS = 0.3, 0.5, 30
PRIORS = {
    "foldx": {"dist": "lognormal", "median": 350, "sigma": 1.5},
    "tmax": {"dist": "lognormal", "median": 11, "sigma": 0.35},
    "cmax": {"dist": "lognormal", "median": 1500, "sigma": 1.5},
    "alpha": {"dist": "lognormal", "median": 0.16, "sigma": 0.7},
    "fb": {"dist": "logitnormal", "median": 0.02, "sigma": 1.2},
    "beta": {"dist": "lognormal", "median": 0.01, "sigma": 1.0},
}


def truth() -> dict[str, float]:
    """True value of every estimated population quantity, under the names of a fit."""
    values = {f"{name}_typical": value for name, value in TYPICAL.items()}
    values |= {f"{name}_omega": value for name, value in OMEGA.items()}
    return values | {"cmax_on_log_dose_1e6": SLOPE, "sigma": SIGMA}


def simulate_and_fit(model: Model, seed: int) -> Fit:
    data = simulate(
        model, DESIGN, SUBJECTS, seed, typical=TYPICAL, omega=OMEGA, sigma=SIGMA, on_log_dose={"cmax": SLOPE}
    )
    return fit_hierarchical(
        model.with_priors(**PRIORS),
        data,
        covariates={"cmax": "log(dose / 1e6)"},
        draws=1000,
        tune=1000,
        seed=seed,
    )


def compare(fit: Fit, seed: int) -> pd.DataFrame:
    """One row per population quantity: is the truth inside, and how far is the median from it?"""
    found = fit.population()
    verdict = diagnose(fit).attrs["converged"]
    rows = []
    for name, value in truth().items():
        row = found.loc[name]
        rows.append(
            {
                "seed": seed,
                "quantity": name,
                "truth": value,
                "covered": bool(row["lower"] <= value <= row["upper"]),
                "relative_error": (row["median"] - value) / abs(value),
                "converged": verdict,
            }
        )
    return pd.DataFrame(rows)


def report(results: pd.DataFrame, command: str) -> str:
    datasets = results["seed"].nunique()
    converged = int(results.drop_duplicates("seed")["converged"].sum())
    by = results.groupby("quantity", sort=False)
    table = pd.DataFrame(
        {
            "truth": by["truth"].first(),
            "covered": by["covered"].sum().astype(str) + f" of {datasets}",
            "median error %": (100 * by["relative_error"].median()).round(1),
            "worst error %": (100 * by["relative_error"].apply(lambda e: e.iloc[e.abs().argmax()])).round(0),
        }
    )
    lines = ["| quantity | " + " | ".join(table.columns) + " |", "|---" * (len(table.columns) + 1) + "|"]
    lines += [
        f"| {name} | " + " | ".join(str(x) for x in row) + " |"
        for name, row in zip(table.index, table.to_numpy(), strict=True)
    ]
    versions = ", ".join(f"{name} {version(name)}" for name in ("carkinetics", "pymc", "nutpie", "numpy"))
    return "\n".join(
        [
            "# Recovery of a simulated truth",
            "",
            f"{datasets} data sets of {SUBJECTS} patients, {len(DAYS)} samples each, {converged} of {datasets} fits converged by",
            "`diagnose` (those that did not are counted all the same). Model stein2019, six random effects, dose on Cmax,",
            "M3, priors of the shipped trial, 4 chains of 1500 + 2500 draws.",
            "",
            f"**The 90 % intervals hold the truth in {100 * results['covered'].mean():.1f} % of {len(results)} cases.**",
            "",
            *lines,
            "",
            f"Made by `{command}` on {datetime.now(UTC):%Y-%m-%d} with Python {platform.python_version()}, {versions}.",
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("RECOVERY.md"))
    arguments = parser.parse_args()
    model, results = load_model("stein2019"), []
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.datasets):
        fit = simulate_and_fit(model, seed)
        results.append(compare(fit, seed))
        covered = np.mean([r["covered"].mean() for r in results])
        print(
            f"data set {seed}: covered so far {covered:.1%}, {fit.settings['seconds']:.0f} s",
            file=sys.stderr,
        )
    arguments.output.write_text(
        report(pd.concat(results), "python " + " ".join(["tests/recovery.py", *sys.argv[1:]]))
    )


if __name__ == "__main__":
    main()
