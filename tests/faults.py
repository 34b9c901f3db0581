"""Ten faults planted in fits, and which diagnostic catches each.

    python tests/faults.py                  all, with three seeds each, and fits without a fault: half an hour on 2 cores
    python tests/faults.py outliers m1 --seeds 1

Patients are simulated with the solid-tumour values of notebook 02; a fault is then planted in the data, the model, the priors or the
sampling, and `carkinetics.review` is asked. Writes tests/FAULTS.md from tests/faults.csv, which it adds to.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import carkinetics as ck

HERE = Path(__file__).resolve().parent
FILE = HERE / "faults.csv"
TYPICAL = {"foldx": 350.0, "tmax": 11.0, "cmax": 1500.0, "alpha": 0.16, "fb": 0.02, "beta": 0.01}
OMEGA = {"foldx": 0.8, "tmax": 0.25, "cmax": 1.0, "alpha": 0.4, "fb": 0.6, "beta": 0.4}
DESIGN = {
    "times": (1, 3, 5, 7, 10, 14, 21, 28, 42, 60, 90, 150, 240), "lloq": 25, "doses": (0.1e6, 0.3e6, 1e6, 2e6), "assay": "qpcr",
}  # fmt: skip
SUBJECTS = 40
PRIORS = {
    "cmax": {"dist": "lognormal", "median": 2000, "sigma": 1.5},
    "fb": {"dist": "logitnormal", "median": 0.02, "sigma": 1.2},
    "beta": {"dist": "lognormal", "median": 0.01, "sigma": 1.0},
}


@dataclass(frozen=True)
class Fault:
    """What is wrong, and the fit that has it."""

    about: str
    fit: Callable[[int], ck.Fit]


def simulated(seed: int, **changed: Any) -> ck.Dataset:
    """Patients as they are when nothing is wrong."""
    asked = {"typical": TYPICAL, "omega": OMEGA, "sigma": 0.4} | changed
    design = asked.pop("design", DESIGN)
    return ck.simulate(asked.pop("model", ck.load_model("stein2019")), design, SUBJECTS, seed, **asked)


def fitted(data: ck.Dataset, model: ck.Model | None = None, **asked: Any) -> ck.Fit:
    """The fit that would be right."""
    solid = ck.load_model("stein2019").with_priors(**PRIORS)
    return ck.fit_hierarchical(model or solid, data, **({"seed": 1, "max_minutes": 4} | asked))


def changed(data: ck.Dataset, rows: np.ndarray, factor: float | np.ndarray) -> ck.Dataset:
    """Quantified values of some rows, multiplied."""
    table = data.observations.copy()
    at = rows & (table["status"] == "quantified").to_numpy()
    for column in ("value", "lower", "upper"):
        table[column] = np.where(at, table[column] * factor, table[column])
    return replace(data, observations=table)


def second_peak(seed: int) -> ck.Fit:
    """Levels rise again after day 21: what a curve with one peak cannot follow."""
    data = simulated(seed)
    table = data.observations
    bump = 1 + 12 * np.exp(-0.5 * ((table["time"].to_numpy(float) - 42) / 10) ** 2)
    return fitted(changed(data, np.ones(len(table), bool), bump))


def one_phase(seed: int) -> ck.Fit:
    """Persistence is there and is left out of the model."""
    data = simulated(seed, typical=TYPICAL | {"fb": 0.15, "beta": 0.006})
    return fitted(data, ck.load_model("stein2019").with_priors(cmax=PRIORS["cmax"]).fix(fb=1e-6, beta=1.0))


def bad_prior(seed: int) -> ck.Fit:
    """The peak of leukaemia, held to be certain, for a solid tumour."""
    model = ck.load_model("stein2019").with_priors(
        **PRIORS | {"cmax": {"dist": "lognormal", "median": 24000, "sigma": 0.4}}
    )
    return fitted(simulated(seed), model)


def outliers(seed: int) -> ck.Fit:
    """Three of a hundred samples are a hundred times too high: a decimal point, another patient's tube."""
    data = simulated(seed)
    return fitted(changed(data, np.random.default_rng(seed).random(len(data.observations)) < 0.03, 100.0))


def m1(seed: int) -> ck.Fit:
    """BLQ samples left out."""
    return fitted(simulated(seed), blq="M1")


def covariate(seed: int) -> ck.Fit:
    """The peak rises in proportion to dose, and the model does not know."""
    return fitted(simulated(seed, on_log_dose={"cmax": 1.0}))


def wrong_error(seed: int) -> ck.Fit:
    """An error that is constant on the natural scale, for levels over four powers of ten."""
    return fitted(simulated(seed), error="additive")


def other_unit(seed: int) -> ck.Fit:
    """One patient's laboratory reported copies per ng, a thousandth."""
    data = simulated(seed, omega=OMEGA | {"cmax": 0.5})
    first = data.subject_ids[1]
    return fitted(changed(data, (data.observations["subject"] == first).to_numpy(), 1000.0))


def no_variability(seed: int) -> ck.Fit:
    """Everybody has the same peak, says the model."""
    return fitted(simulated(seed), random=["tmax", "alpha"])


def too_short(seed: int) -> ck.Fit:
    """Fifty draws."""
    return fitted(simulated(seed), draws=50)


FAULTS = {
    "second_peak": Fault("wrong shape: levels rise again, the model has one peak", second_peak),
    "one_phase": Fault("wrong shape: no persistence in the model", one_phase),
    "bad_prior": Fault("prior of Cmax for another disease, and narrow", bad_prior),
    "outliers": Fault("3 % of the samples a hundred times too high", outliers),
    "m1": Fault("BLQ samples left out (M1)", m1),
    "covariate": Fault("dose moves Cmax and is not in the model", covariate),
    "wrong_error": Fault("residual error additive instead of log-normal", wrong_error),
    "other_unit": Fault("one patient in another unit, a thousandfold", other_unit),
    "no_variability": Fault("no between-subject variability of Cmax", no_variability),
    "too_short": Fault("fifty draws", too_short),
}
CLEAN = Fault("nothing", lambda seed: fitted(simulated(seed)))


def ask(name: str, seed: int) -> dict[str, Any]:
    """One fit and what `review` says of it."""
    fit = (FAULTS | {"nothing": CLEAN})[name].fit(seed)
    found = ck.review(fit)
    bad = found[(found["severity"] == "error") | ~found["rule"].isin(_NOT_OF_THE_FAULT)]
    rules = bad.loc[bad["severity"].isin(["error", "warning"]), "rule"]
    return {
        "fault": name, "seed": seed, "converged": found.attrs["converged"], "adequate": found.attrs["adequate"],
        "rules": " ".join(dict.fromkeys(rules)), "seconds": fit.settings.get("seconds"),
    }  # fmt: skip


# Warnings that a right fit of such a design may have too.
_NOT_OF_THE_FAULT = ("shrinkage", "prior-dominated", "rarely-moved", "several-modes")


def write() -> None:
    """Write the page from all that was kept."""
    table = pd.read_csv(FILE, keep_default_na=False)
    table["adequate"] = table["adequate"].astype(str) == "True"
    versions = f"carkinetics {version('carkinetics')}, Python {platform.python_version()}"
    lines = [
        "# Ten planted faults, and what catches them", "",
        f"`python tests/faults.py`, {datetime.now(UTC):%Y-%m-%d}, {versions}; {SUBJECTS} simulated patients with {len(DESIGN['times'])} samples "
        "each. Caught: `carkinetics.review` says that the fit did not converge or that something speaks against the model. Rules: how often "
        "each spoke.", "",
        "| fault | caught | rules that spoke |", "|---|---|---|",
    ]  # fmt: skip
    for name, fault in {**FAULTS, "nothing": CLEAN}.items():
        rows = table[table["fault"] == name]
        if len(rows):
            counts = pd.Series(" ".join(rows["rules"]).split()).value_counts()
            told = ", ".join(f"{rule} {n}" for rule, n in counts.items()) or "–"
            lines.append(f"| {fault.about} | {int((~rows['adequate']).sum())} of {len(rows)} | {told} |")
    (HERE / "FAULTS.md").write_text("\n".join([*lines, ""]), encoding="utf-8")


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("faults", nargs="*", default=[*FAULTS, "nothing"])
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    for name in asked.faults:
        for seed in range(1, asked.seeds + 1):
            row = ask(name, seed)
            print(row, file=sys.stderr, flush=True)
            known = (
                pd.read_csv(FILE, keep_default_na=False) if FILE.exists() else pd.DataFrame([row]).iloc[:0]
            )
            known = known[(known["fault"] != name) | (known["seed"].astype(int) != seed)]
            pd.concat([known, pd.DataFrame([row])]).to_csv(FILE, index=False, lineterminator="\n")
    write()


if __name__ == "__main__":
    main()
