"""Simulation-based calibration of the inference, for every model of the library and for some options.

    python tests/calibration.py                                 100 replicates of every case: many hours on 2 cores
    python tests/calibration.py stein2019 full --replicates 20

A population is drawn from the prior, patients from the population, measurements from the patients; the sampler is run on
the measurements; and the rank of every true value among the draws is noted (`carkinetics.calibrate`). Ranks are kept in
tests/calibration/*.csv, to which it adds; from them it writes tests/CALIBRATION.md, and data/calibration.csv, which the
report reads.
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

# As a command it is there already; where tests import it, it is not.
sys.path.insert(0, str(Path(__file__).resolve().parent))
import recovery

from carkinetics.dataset import Dataset
from carkinetics.diagnostics import Calibration, calibrate, read_calibration
from carkinetics.model import load_model, simulate

HERE = Path(__file__).resolve().parent
SHIPPED = HERE.parent / "data" / "calibration.csv"
SUBJECTS = 30
P1 = str(HERE / "benchmarks" / "models" / "p1.toml")
DAYS = (0.5, 2, 4, 7, 9, 11, 14, 17, 21, 28, 60, 90, 180, 365)
DOSES = (1e5, 3e5, 1e6, 2e6)


@dataclass(frozen=True)
class Case:
    """A model, a design and what is asked of the fit."""

    model: str
    about: str
    design: dict[str, Any]
    subjects: int = SUBJECTS
    others: dict[str, Any] = field(default_factory=dict)
    asked: dict[str, Any] = field(default_factory=dict)
    recovered: str = ""  # the recovery case that says which inputs patients have

    def data(self) -> Dataset:
        """The design, with placeholders for measurements."""
        inputs = {}
        if self.recovered:
            inputs = recovery.cases()[self.recovered].inputs(np.random.default_rng(1), self.subjects)
        return simulate(
            load_model(self.model), self.design, self.subjects, 1, others=self.others, inputs=inputs
        )


def cases() -> dict[str, Case]:
    """Every model that can be fitted, in the design of tests/recovery.py; and the inference's options on Stein's curve."""
    p1 = {"times": DAYS, "lloq": 50.0, "doses": DOSES}
    options = {
        "random": ["cmax", "tmax", "doubling", "half_fast"], "correlated": ["cmax", "tmax", "half_fast"],
        "covariates": {"cmax": "log(dose / 1e6)", "half_slow": "log(dose / 1e6)"},
    }  # fmt: skip
    special = {
        "p1": Case(P1, "Stein's curve by half-lives, 6 random effects", p1, 15),
        "full": Case(
            P1,
            "the same, three correlated effects, covariates on a random and a common parameter",
            p1,
            20,
            asked=options,
        ),
    }
    library = {
        name: Case(one.model, one.about.partition(", ")[2], one.design, others=one.others, recovered=name)
        for name, one in recovery.cases().items()
        if name not in ("p1", "p2")
    }
    p2 = recovery.cases()["p2"]
    library["effector_memory_tumour"] = Case(
        p2.model, p2.about.partition(", ")[2], p2.design, others=p2.others
    )
    return special | library


def run(name: str, replicates: int, minutes: float) -> Calibration:
    """Add replicates to those that are kept."""
    case = cases()[name]
    return calibrate(
        load_model(case.model), case.data(), n=replicates, max_minutes=minutes, keep=HERE / "calibration" / f"{name}.csv", workers=1,
        progress=True, **case.asked,
    )  # fmt: skip


def page(name: str, about: str, found: Calibration) -> str:
    """One case, quantity by quantity."""
    ranks, table = found.ranks, found.table
    lines = [
        f"## {name}: {found.n} replicates",
        "",
        f"{about[:1].upper()}{about[1:]}. {found.statement} BLQ {ranks['blq'].median():.0%} (median); ESS of the worst quantity "
        f"{ranks['ess'].median():.0f} (median); {ranks['seconds'].median():.1f} s a replicate.",
        "",
        "| quantity | mean rank (0.5) | variance (0.0833) | 50 % | 90 % | chi² p | KS p |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.Index} | {row.mean:.3f} | {row.variance:.4f} | {100 * row.cover_50:.0f} | {100 * row.cover_90:.0f} | {row.chi2_p:.3f} | "
        f"{row.ks_p:.3f} |"
        for row in table.itertuples()
    ]
    below = int((table["chi2_p"] < 0.01).sum())
    expected = f"chi² p below 0.01 in {below} of {len(table)} quantities (expected {0.01 * len(table):.1f})."
    return "\n".join([*lines, "", expected, ""])


def kept() -> dict[str, Calibration]:
    """Cases that were run, in order."""
    files = {name: HERE / "calibration" / f"{name}.csv" for name in cases()}
    return {name: read_calibration(file) for name, file in files.items() if file.is_file()}


def write() -> None:
    """Write the page and the table that is shipped."""
    found = kept()
    head = [
        "# Simulation-based calibration",
        "",
        f"`python tests/calibration.py`, {datetime.now(UTC):%Y-%m-%d}, carkinetics {version('carkinetics')}, numba "
        f"{version('numba')}, Python {platform.python_version()}. Populations from the full prior; structured sampler, 2 chains "
        "until ESS 100 and R-hat 1.05 or a limit of minutes; no replicate is left out for bad mixing. Ranks of the truth among 99 draws.",
        "",
        "| case | patients | replicates | quantities | 90 % intervals that hold the truth | chi² p < 0.01 | verdict |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, one in found.items():
        table = one.table
        head.append(
            f"| {name} | {one.settings['subjects']} | {one.n} | {len(table)} | {100 * table['cover_90'].mean():.1f} % | "
            f"{(table['chi2_p'] < 0.01).sum()} | {one.verdict} |"
        )
    parts = [page(name, cases()[name].about, one) for name, one in found.items()]
    (HERE / "CALIBRATION.md").write_text("\n".join([*head, "", *parts]), encoding="utf-8")
    rows = [
        one.table.reset_index().assign(
            model=one.settings["model"], subjects=one.settings["subjects"], replicates=one.n
        )
        for name, one in found.items()
        if name not in ("p1", "full")
        and one.calibrated is not None  # a few replicates say nothing to a report
    ]
    if rows:
        columns = [
            "model", "subjects", "replicates", "quantity", "cover_50", "cover_90", "low_90", "high_90", "chi2_p", "ks_p",
        ]  # fmt: skip
        text = pd.concat(rows)[columns].round(4).to_csv(index=False, lineterminator="\n")
        SHIPPED.write_text(f"# python tests/calibration.py\n{text}", encoding="utf-8")


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", default=list(cases()), help=f"of {', '.join(cases())}")
    parser.add_argument("--replicates", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=1.5, help="of each replicate")
    asked = parser.parse_args()
    for name in asked.cases:
        found = run(name, asked.replicates, asked.minutes)
        print(f"{name}: {found.statement}", file=sys.stderr, flush=True)
        write()
    write()


if __name__ == "__main__":
    main()
