"""Simulate, fit, and count how often the 90 % intervals of the population values hold the truth.

    python tests/recovery.py                   20 data sets of every case, about 35 minutes on 2 cores
    python tests/recovery.py p2 --datasets 5

writes tests/RECOVERY.md from tests/recovery/*.csv, which it writes anew for the cases it runs. The slow suite runs a
few data sets (tests/fit/test_recovery.py).
"""

from __future__ import annotations

import argparse
import platform
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from carkinetics.fit import Fit, diagnose, fit_hierarchical
from carkinetics.model import Model, load_model, simulate

HERE = Path(__file__).resolve().parent
SUBJECTS = 30


@dataclass(frozen=True)
class Case:
    """A model, its truth and how it is measured; values that are not given are the model's typical ones."""

    about: str
    model: str
    design: dict[str, Any]
    typical: dict[str, float] = field(default_factory=dict)
    omega: dict[str, float] = field(default_factory=dict)
    sigma: dict[str, float] = field(default_factory=dict)
    slope: dict[str, float] = field(default_factory=dict)
    others: dict[str, Any] | None = None
    priors: dict[str, Any] = field(default_factory=dict)

    def load(self) -> Model:
        """The model with the case's priors."""
        return load_model(self.model).with_priors(**self.priors)


# A phase 1 schedule, doses of 0.1 to 2.0e6 cells/kg, and the solid-tumour values of the shipped trial.
TRIAL = {
    "times": (1, 3, 5, 7, 10, 14, 21, 28, 42, 56, 84, 112, 168, 252, 364), "lloq": 25, "lod": 10,
    "doses": (0.1e6, 0.3e6, 1e6, 2e6), "jitter": 0.03,
}  # fmt: skip
YEAR = (1, 4, 7, 10, 14, 21, 28, 60, 90, 180, 270, 365)
CASES = {
    "p1": Case(
        "stein2019 with dose on Cmax, priors of the shipped trial", "stein2019", TRIAL,
        typical={"foldx": 350.0, "tmax": 11.0, "cmax": 1500.0, "alpha": 0.16, "fb": 0.02, "beta": 0.01},
        omega={"foldx": 1.0, "tmax": 0.3, "cmax": 1.0, "alpha": 0.5, "fb": 0.8, "beta": 0.6},
        sigma={"level": 0.5}, slope={"cmax": 0.3},
        priors={
            "foldx": {"dist": "lognormal", "median": 350, "sigma": 1.5},
            "tmax": {"dist": "lognormal", "median": 11, "sigma": 0.35},
            "cmax": {"dist": "lognormal", "median": 1500, "sigma": 1.5},
            "alpha": {"dist": "lognormal", "median": 0.16, "sigma": 0.7},
            "fb": {"dist": "logitnormal", "median": 0.02, "sigma": 1.2},
            "beta": {"dist": "lognormal", "median": 0.01, "sigma": 1.0},
        },
    ),
    "liu2022": Case(
        "liu2022, CAR-T levels and leukaemic blasts of every second patient", "liu2022",
        {"times": YEAR, "lloq": 50, "assay": "qpcr"}, sigma={"car": 0.5, "blasts": 0.3},
        others={"blasts": {"times": YEAR, "lloq": 0.01, "every": 2, "assay": "blasts"}},
    ),
    "p2": Case(
        "effector_memory_tumour, CAR-T levels of all and tumour size of every second patient",
        "effector_memory_tumour", {"times": YEAR, "lloq": 50, "assay": "qpcr"},
        sigma={"car": 0.5, "tumour": 0.2},
        others={"tumour": {"times": YEAR[::2], "lloq": 0.01, "every": 2, "assay": "tumour"}},
    ),
}  # fmt: skip


def truth(case: Case, fit: Fit) -> dict[str, float]:
    """True value of every estimated population quantity, under the names of a fit."""
    parameters = fit.model.parameters
    values = {f"{n}_typical": case.typical.get(n, parameters[n].typical) for n in fit.model.free_parameters}
    values |= {f"{n}_omega": case.omega.get(n, parameters[n].omega) for n in fit.settings["random"]}
    values |= {f"{name}_on_log_dose_1e6": value for name, value in case.slope.items()}
    # The residual error of the first output is plainly called sigma.
    return values | {
        f"sigma_{name}" if k else "sigma": value for k, (name, value) in enumerate(case.sigma.items())
    }


def simulate_and_fit(case: Case, seed: int) -> Fit:
    """One data set, fitted with the default settings."""
    data = simulate(
        load_model(case.model), case.design, SUBJECTS, seed, typical=case.typical, omega=case.omega, sigma=case.sigma,
        on_log_dose=case.slope, others=case.others,
    )  # fmt: skip
    covariates = dict.fromkeys(case.slope, "log(dose / 1e6)")
    return fit_hierarchical(case.load(), data, covariates=covariates, seed=seed)


def compare(case: Case, fit: Fit, seed: int) -> pd.DataFrame:
    """One row per population quantity: is the truth inside, and how far is the median from it?"""
    found = fit.population()
    verdict = diagnose(fit).attrs["converged"]
    rows = []
    for name, value in truth(case, fit).items():
        row = found.loc[name]
        rows.append(
            {
                "seed": seed,
                "quantity": name,
                "truth": value,
                "covered": bool(row["lower"] <= value <= row["upper"]),
                "relative_error": (row["median"] - value) / abs(value),
                "converged": verdict,
                "seconds": fit.settings["seconds"],
            }
        )
    return pd.DataFrame(rows)


def report(case: Case, results: pd.DataFrame) -> str:
    """One case as a table."""
    datasets = results["seed"].nunique()
    each = results.drop_duplicates("seed")
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
    return "\n".join(
        [
            f"## {case.about}",
            "",
            f"{datasets} data sets of {SUBJECTS} patients; {int(each['converged'].sum())} of {datasets} fits converged by "
            f"`diagnose` (those that did not are counted all the same), in {each['seconds'].median():.0f} s (median).",
            "",
            f"**The 90 % intervals hold the truth in {100 * results['covered'].mean():.1f} % of {len(results)} cases.**",
            "",
            *lines,
            "",
        ]
    )


def write() -> None:
    """Write the page from all results that are kept."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("carkinetics", "numba", "numpy"))
    head = [
        "# Recovery of a simulated truth",
        "",
        f"`python tests/recovery.py`, {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {versions}; M3, "
        "drawn until ESS 400 and R-hat 1.01.",
        "",
    ]
    parts = [
        report(case, pd.read_csv(file))
        for name, case in CASES.items()
        if (file := HERE / "recovery" / f"{name}.csv").is_file()
    ]
    (HERE / "RECOVERY.md").write_text("\n".join([*head, *parts]), encoding="utf-8")


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", default=list(CASES), help=f"of {', '.join(CASES)}")
    parser.add_argument("--datasets", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=1)
    asked = parser.parse_args()
    (HERE / "recovery").mkdir(exist_ok=True)
    for name in asked.cases:
        case, results = CASES[name], list[pd.DataFrame]()
        for seed in range(asked.first_seed, asked.first_seed + asked.datasets):
            fit = simulate_and_fit(case, seed)
            results.append(compare(case, fit, seed))
            covered = np.mean([r["covered"].mean() for r in results])
            print(
                f"{name} {seed}: covered so far {covered:.1%}, {fit.settings['seconds']:.0f} s",
                file=sys.stderr,
            )
            pd.concat(results).to_csv(HERE / "recovery" / f"{name}.csv", index=False)
    write()


if __name__ == "__main__":
    main()
