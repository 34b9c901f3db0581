"""Simulate, fit, and count how often the 90 % intervals of the population values hold the truth.

    python tests/recovery.py                          every case with both engines: hours on 2 cores
    python tests/recovery.py p2 kimmel2021 --datasets 5
    python tests/recovery.py kimmel2021 --sampler nuts --datasets 2

writes tests/RECOVERY.md from tests/recovery/*.csv, to which it adds what it runs. The slow suite runs a few data sets
(tests/fit/test_recovery.py).
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from carkinetics.diagnostics import diagnose
from carkinetics.errors import FitError
from carkinetics.fit import Fit, fit_hierarchical
from carkinetics.model import Model, load_model, predict, simulate

HERE = Path(__file__).resolve().parent
SUBJECTS = 30
SAMPLERS = {"structured": "structured", "nuts": "nutpie"}


@dataclass(frozen=True)
class Case:
    """A model, its truth and how it is measured; values that are not given are the model's typical ones."""

    about: str
    model: str
    design: dict[str, Any]
    typical: dict[str, float] = field(default_factory=dict)
    omega: dict[str, float] = field(default_factory=dict)
    slope: dict[str, float] = field(default_factory=dict)
    others: dict[str, Any] = field(default_factory=dict)
    priors: dict[str, Any] = field(default_factory=dict)
    inputs: Callable[[np.random.Generator, int], dict[str, Any]] = lambda rng, n: {}
    sigma: dict[str, float] = field(default_factory=dict)

    def load(self) -> Model:
        """The model with the case's priors."""
        return load_model(self.model).with_priors(**self.priors)

    def residuals(self) -> dict[str, float]:
        """Residual standard deviation of every measured output, the CAR-T level's first."""
        outputs = load_model(self.model).outputs
        measured = [next(iter(outputs)), *self.others]
        return {name: self.sigma.get(name, outputs[name].residual) for name in measured}


# A phase 1 schedule, doses of 0.1 to 2.0e6 cells/kg, and the solid-tumour values of the shipped trial.
TRIAL = {
    "times": (1, 3, 5, 7, 10, 14, 21, 28, 42, 56, 84, 112, 168, 252, 364), "lloq": 25, "lod": 10,
    "doses": (0.1e6, 0.3e6, 1e6, 2e6), "jitter": 0.03,
}  # fmt: skip
YEAR = (1, 4, 7, 10, 14, 21, 28, 60, 90, 180, 270, 365)
DENSE = (1, 3, 5, 7, 10, 14, 21, 28, 42, 60, 90, 120, 180, 270, 365)
EARLY = DENSE[: DENSE.index(60) + 1]
# Limits of assays as shares of the largest typical level: CAR-T levels over four powers of ten, all else over three.
LIMITS = (1e-4, 1e-3)


def library(name: str, about: str, *others: str, times: tuple[float, ...] = DENSE, **case: Any) -> Case:
    """A model as shipped: CAR-T levels of all patients, other outputs of every second one at half of the visits."""
    model = load_model(name)
    dose = sum(amount for _, amount in model.infusions)
    top = {one: float(predict(model, times, output=one).max()) for one in (model.output().name, *others)}
    design = {"times": times, "lloq": LIMITS[0] * top[model.output().name], "doses": (dose,), "assay": "car"}
    measured = {one: {"times": times[::2], "lloq": LIMITS[1] * top[one], "every": 2} for one in others}
    return Case(f"{name}, {about}", name, design, others=measured, **case)


def comedication(rng: np.random.Generator, n: int) -> dict[str, Any]:
    """36 % of patients get tocilizumab and 26 % steroids, around day 5.7 (Stein 2019)."""
    days = np.clip(5.7 + 1.5 * rng.standard_normal((2, n)), 1.0, None)
    given = rng.random((2, n)) < np.array([[0.36], [0.26]])
    days = np.where(given, days, np.inf)
    return {"t_toci": days[0], "t_ster": days[1]}


def antibodies(rng: np.random.Generator, n: int) -> dict[str, Any]:
    """Half of the patients develop antibodies between days 14 and 60."""
    return {"ada_onset": np.where(rng.random(n) < 0.5, rng.uniform(14, 60, n), np.inf)}


def four_doses(rng: np.random.Generator, n: int) -> dict[str, Any]:
    """The dose levels of the shipped trial."""
    return {"dose": np.resize([1e5, 3e5, 1e6, 2e6], n)}


def recovering_lymphocytes(rng: np.random.Generator, n: int) -> dict[str, Any]:
    """Counts as kimmel2021 gives them, each patient with a recovery of its own."""
    days = np.array([0.0, 3, 7, 10, 14, 21, 28, 42, 60, 90, 180, 365])
    nadir, rate = 6 * np.exp(0.6 * rng.standard_normal(n)), 0.17 * np.exp(0.3 * rng.standard_normal(n))
    counts = 500 * (nadir[:, None] / 500) ** np.exp(-rate[:, None] * days)
    return {"normal": (days, counts)}


@cache
def cases() -> dict[str, Case]:
    """Every case by its name; made when asked for, because it predicts each model."""
    return {
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
        "stein2019": library("stein2019", "as published, CAR-T levels"),
        "stein2019_ode": library("stein2019_ode", "the same as differential equations"),
        "stein2019_comedication": library("stein2019_comedication", "CAR-T levels, a third given tocilizumab", inputs=comedication),
        "stein2019_layers": library(
            "stein2019_layers", "CAR-T levels; IL-6 and tumour size of every second patient, antibodies in half", "il6", "tumour",
            inputs=antibodies,
        ),
        "ogasawara2021": library("ogasawara2021", "CAR-T levels, daily in the first week", times=(1, 2, 3, 4, 5, 6, *DENSE[3:])),
        "smooth_gate": library("smooth_gate", "CAR-T levels"),
        "soft_minimum": library("soft_minimum", "CAR-T levels"),
        "saturable": library("saturable", "CAR-T levels"),
        "liu2021": library("liu2021", "CAR-T levels, from an hour after the infusion", times=(0.05, 0.25, 0.5, 1, 2, *DENSE[1:])),
        "chaudhury2020_lotka_volterra": library("chaudhury2020_lotka_volterra", "CAR-T levels and tumour to day 60", "tumour", times=EARLY
        ),
        "chaudhury2020_first_order": library("chaudhury2020_first_order", "CAR-T levels and tumour", "tumour"),
        "chaudhury2020_ec50": library("chaudhury2020_ec50", "CAR-T levels and tumour", "tumour"),
        "barros2021": library("barros2021", "mice, CAR-T cells, memory cells and tumour to day 60", "memory", "tumour", times=EARLY
        ),
        "liu2022_memory": library("liu2022_memory", "CAR-T levels and blasts", "blasts"),
        "leontriana2021": library(
            "leontriana2021", "CAR-T cells, leukaemia and B cells to day 60", "leukaemia", "b_cells", times=EARLY
        ),
        "carrgo2020": library(
            "carrgo2020", "wells, CAR-T cells and cell index", "tumour", times=(0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 3.5, 4),
        ),
        "kimmel2021": library("kimmel2021", "CAR-T levels, lymphocytes and tumour volume", "lymphocytes", "tumour"),
        "kimmel2021_measured": library(
            "kimmel2021_measured", "CAR-T levels, measured lymphocytes", inputs=recovering_lymphocytes
        ),
        "muellerschoell2021": library(
            "muellerschoell2021", "four phenotypes and tumour volume", "naive", "central", "effector_memory", "effector", "tumour",
            times=EARLY,
        ),
        "owens2021": library("owens2021", "CAR-T cells and tumour to day 60", "tumour", times=EARLY),
        "derippe2022": library("derippe2022", "CAR-T levels, lymphocytes and IL-7 to day 60", "host", "il7", times=EARLY),
        "hardiansyah2019": library(
            "hardiansyah2019", "CAR-T levels, B cells and three cytokines to day 60", "b_cells", "il6", "il10", "ifn", times=EARLY
        ),
        "swanson2022": library("swanson2022", "mice, CAR-T cells and tumour to day 14", "tumour", times=(1, 2, 3, 4, 5, 7, 9, 11, 14)),
        "msln_solid": library("msln_solid", "CAR-T levels at four doses", inputs=four_doses),
        "msln_cavity": library("msln_cavity", "CAR-T levels in blood"),
    }  # fmt: skip


def truth(case: Case, fit: Fit) -> dict[str, float]:
    """True value of every estimated population quantity, under the names of a fit."""
    parameters = fit.model.parameters
    shipped = load_model(case.model).parameters
    values = {f"{n}_typical": case.typical.get(n, shipped[n].typical) for n in fit.model.free_parameters}
    values |= {f"{n}_omega": case.omega.get(n, parameters[n].omega) for n in fit.settings["random"]}
    values |= {f"{name}_on_log_dose_1e6": value for name, value in case.slope.items()}
    if mixture := fit.mixture:
        values[mixture.share_name] = mixture.share.centre
        values |= {mixture.shift_name(name): shift.centre for name, shift in mixture.shifts.items()}
    # The residual error of the first output is plainly called sigma.
    return values | {
        f"sigma_{name}" if k else "sigma": value for k, (name, value) in enumerate(case.residuals().items())
    }


def simulate_and_fit(
    case: Case, seed: int, sampler: str = "structured", max_minutes: float = 15.0, subjects: int = SUBJECTS
) -> Fit:
    """One data set, fitted with the default settings."""
    inputs = case.inputs(np.random.default_rng([seed, 3]), subjects)
    data = simulate(
        load_model(case.model), case.design, subjects, seed, typical=case.typical, omega=case.omega,
        sigma=case.residuals(), on_log_dose=case.slope, others=case.others, inputs=inputs,
    )  # fmt: skip
    covariates = dict.fromkeys(case.slope, "log(dose / 1e6)")
    return fit_hierarchical(
        case.load(), data, covariates=covariates, seed=seed, sampler=sampler, max_minutes=max_minutes
    )


def compare(case: Case, fit: Fit, seed: int) -> pd.DataFrame:
    """One row per population quantity: is the truth inside, and how far is the median from it?"""
    found = fit.population()
    verdict = diagnose(fit).attrs["converged"]
    rows = []
    for name, value in truth(case, fit).items():
        row = found.loc[name]
        rows.append(
            {
                "sampler": fit.settings["sampler"],
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


def failure(sampler: str, seed: int, max_minutes: float) -> pd.DataFrame:
    """A fit that was given up: one row without a quantity."""
    row = {
        "sampler": SAMPLERS[sampler],
        "seed": seed,
        "converged": False,
        "covered": False,
        "seconds": 60 * max_minutes,
    }
    return pd.DataFrame([row])


def summary(results: pd.DataFrame) -> dict[str, str]:
    """What one engine did with one case, in words for a table."""
    each, drawn = results.drop_duplicates("seed"), results.dropna(subset="quantity")
    held = f"{drawn['covered'].sum()} of {len(drawn)} ({100 * drawn['covered'].mean():.0f} %)"
    if drawn.empty:
        held = "warm-up not finished"
    return {
        "converged": f"{int(each['converged'].sum())} of {len(each)}",
        "intervals that hold the truth": held,
        "seconds a fit": f"{each['seconds'].median():.0f}",
    }


def markdown(table: pd.DataFrame) -> list[str]:
    """A table with its index as the first column."""
    lines = ["| | " + " | ".join(table.columns) + " |", "|---" * (len(table.columns) + 1) + "|"]
    return lines + [
        f"| {name} | " + " | ".join(str(x) for x in row) + " |"
        for name, row in zip(table.index, table.to_numpy(), strict=True)
    ]


def report(case: Case, results: pd.DataFrame) -> str:
    """One case, quantity by quantity, over both engines' fits."""
    results = results.dropna(subset="quantity")
    fits = results.groupby(["sampler", "seed"]).ngroups
    by = results.groupby("quantity", sort=False)
    table = pd.DataFrame(
        {
            "truth": by["truth"].first().map(lambda value: f"{value:.6g}"),
            "covered": by["covered"].sum().astype(str) + f" of {fits}",
            "median error %": (100 * by["relative_error"].median()).round(1),
            "worst error %": (100 * by["relative_error"].apply(lambda e: e.iloc[e.abs().argmax()])).round(0),
        }
    )
    return "\n".join([f"### {case.about}", "", *markdown(table), ""])


def write() -> None:
    """Write the page from all results that are kept."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("carkinetics", "numba", "numpy"))
    kept = {
        name: pd.read_csv(file) for name in cases() if (file := HERE / "recovery" / f"{name}.csv").is_file()
    }
    rows = [
        pd.Series({"engine": sampler, **summary(part)}, name=cases()[name].about)
        for name, results in kept.items()
        for sampler, part in results.groupby("sampler", sort=False)
    ]
    head = [
        "# Recovery of a simulated truth",
        "",
        f"`python tests/recovery.py`, {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {versions}; "
        f"{SUBJECTS} patients a data set, M3, drawn until ESS 400 and R-hat 1.01 or to a limit of minutes. Fits that did not "
        "converge by `diagnose` are counted all the same. Intervals are 90 %.",
        "",
        *markdown(pd.DataFrame(rows)),
        "",
        "## By quantity, the fits of both engines together",
        "",
    ]
    parts = [report(cases()[name], results) for name, results in kept.items()]
    (HERE / "RECOVERY.md").write_text("\n".join([*head, *parts]), encoding="utf-8")


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", default=list(cases()), help=f"of {', '.join(cases())}")
    parser.add_argument("--datasets", type=int, default=4)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--sampler", choices=SAMPLERS)
    parser.add_argument("--max-minutes", type=float, default=10.0)
    asked = parser.parse_args()
    (HERE / "recovery").mkdir(exist_ok=True)
    for name in asked.cases:
        for sampler in [asked.sampler] if asked.sampler else SAMPLERS:
            for seed in range(asked.first_seed, asked.first_seed + asked.datasets):
                try:
                    fit = simulate_and_fit(cases()[name], seed, sampler, asked.max_minutes)
                except FitError as error:
                    results, found = failure(sampler, seed, asked.max_minutes), str(error)
                else:
                    results = compare(cases()[name], fit, seed)
                    found = f"{fit.settings['seconds']:.0f} s, {diagnose(fit).attrs['verdict']}"
                keep(name, results)
                print(f"{name} {sampler} {seed}: {found}", file=sys.stderr, flush=True)
    write()


def keep(name: str, results: pd.DataFrame) -> None:
    """Add one fit to the file of its case, in the place of an earlier one of that engine and seed."""
    file = HERE / "recovery" / f"{name}.csv"
    old = pd.read_csv(file) if file.is_file() else results.iloc[:0]
    same = (
        old[["sampler", "seed"]].apply(tuple, axis=1).isin(results[["sampler", "seed"]].apply(tuple, axis=1))
        if len(old)
        else pd.Series(dtype=bool)
    )
    pd.concat([old[~same], results] if len(old) else [results]).to_csv(file, index=False)


if __name__ == "__main__":
    main()
