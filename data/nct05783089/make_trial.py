"""Simulates a trial of the shape of NCT05783089 and writes the files beside this script.

The registry gives the product, the dose range, the number of patients and the follow-up. Dose levels, sampling
days, assay limits and every number about a patient are assumptions of this script: nothing here was measured.

    python data/nct05783089/make_trial.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from carkinetics.model.library import load_model
from carkinetics.model.simulate import draw_parameters
from carkinetics.model.solve import curve

SEED = 5783089
FOLDER = Path(__file__).resolve().parent

# Dose level (cells/kg), patients: titration one by one, then 3+3, then two expansion cohorts.
COHORTS = (
    ("titration", 0.1e6, 1), ("titration", 0.3e6, 1), ("3+3", 0.6e6, 3), ("3+3", 1.0e6, 6), ("3+3", 2.0e6, 6),
    ("expansion", 1.0e6, 35), ("expansion", 2.0e6, 35),
)  # fmt: skip
QPCR_DAYS = (-1, 1, 3, 5, 7, 10, 14, 21, 28, 42, 56, 84, 112, 168, 252, 364, 546, 728)
CYTOKINE_DAYS = (-1, 1, 3, 5, 7, 10, 14, 21, 28)
ADA_DAYS = (-1, 28, 84, 168, 364)
LLOQ, LOD = 25.0, 10.0  # copies/µg: the usual academic lentiviral assay has an LLOQ of 25
SCAN_EVERY = 42

# Solid-tumour values of the model catalogue, section 9.3 (proposals from Haas 2019, huCART-meso and others).
# foldx follows from them: 2^(11 / 1.3) for a doubling time of 1.3 d and a peak at day 11.
TYPICAL = {"foldx": 2 ** (11 / 1.3), "tmax": 11.0, "cmax": 1500.0, "alpha": 0.16, "fb": 0.02, "beta": 0.01}
OMEGA = {"foldx": 1.0, "tmax": 0.3, "cmax": 1.0, "alpha": 0.5, "fb": 0.8, "beta": 0.6}
DOSE_ON_CMAX = 0.3
SIGMA = 0.5

# Analyte: baseline (pg/mL), spread between patients (SD of log), rise per unit of log(1 + level / 300), LLOQ.
CYTOKINES = {
    "ip10": (150.0, 0.5, 0.9, 20.0), "ifng": (5.0, 0.6, 0.8, 4.0), "il6": (4.0, 0.7, 0.9, 2.0),
    "il10": (3.0, 0.6, 0.5, 2.5), "tnfa": (6.0, 0.5, 0.3, 3.0), "gmcsf": (2.0, 0.6, 0.4, 2.0),
}  # fmt: skip


def main() -> None:
    rng = np.random.default_rng(SEED)
    patients = draw_patients(rng)
    parameters = draw_kinetics(patients, rng)
    patients = add_outcomes(patients, parameters, rng)
    sums = draw_tumour_sizes(patients, rng)
    patients = add_response(patients, sums, rng)
    rows = [
        dose_rows(patients), qpcr_rows(patients, parameters, rng), cytokine_rows(patients, parameters, rng),
        ada_rows(patients, rng), sum_rows(patients, sums),
    ]  # fmt: skip
    table = pd.concat(rows).sort_values(["ID", "TIME", "EVID", "DVID"], kind="stable")
    table.to_csv(FOLDER / "measurements.csv", index=False, lineterminator="\n")
    hidden = [name for name in patients if name.startswith("_")]
    patients.drop(columns=hidden).to_csv(FOLDER / "subjects.csv", index=False, lineterminator="\n")
    write_truth(patients, parameters)


def draw_patients(rng: np.random.Generator) -> pd.DataFrame:
    cohort = [(phase, dose) for phase, dose, n in COHORTS for _ in range(n)]
    n = len(cohort)
    return pd.DataFrame(
        {
            "ID": [f"{rng.integers(1, 6):03d}-{i + 1:03d}" for i in range(n)],
            "COHORT": [phase for phase, _ in cohort],
            "DOSE_LEVEL": [f"{dose / 1e6:g}e6" for _, dose in cohort],
            "_dose": [dose for _, dose in cohort],
            "AGE": np.clip(rng.normal(60, 10, n), 30, 79).round().astype(int),
            "SEX": rng.choice(["F", "M"], n),
            "WT": np.clip(rng.normal(66, 12, n), 42, 110).round(1),
            "TUMOUR": rng.choice(["mesothelioma", "ovarian", "pancreatic"], n, p=[0.35, 0.4, 0.25]),
            "MSLN_H": rng.integers(80, 300, n),
            "BASE_SUM": np.round(np.exp(rng.normal(np.log(70), 0.45, n))).astype(int),
        }
    )


def draw_kinetics(patients: pd.DataFrame, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Parameters of every patient; the dose moves the peak."""
    shift = {"cmax": DOSE_ON_CMAX * np.log(patients["_dose"].to_numpy() / 1e6)}
    model = load_model("stein2019")
    return draw_parameters(model, len(patients), rng, typical=TYPICAL, omega=OMEGA, shift=shift)


def add_outcomes(
    patients: pd.DataFrame, parameters: dict[str, np.ndarray], rng: np.random.Generator
) -> pd.DataFrame:
    """CRS follows the peak and the tumour burden; tocilizumab and steroids follow CRS."""
    n = len(patients)
    score = (
        1.1 * np.log(parameters["cmax"] / 1500)
        + 0.5 * np.log(patients["BASE_SUM"] / 70)
        + rng.logistic(size=n)
    )
    grade = np.digitize(score, [0.3, 2.0, 3.6, 5.2])
    onset = np.where(
        grade > 0, np.clip(parameters["tmax"] - rng.gamma(3, 1.3, n), 0.5, None).round(1), np.nan
    )
    toci = np.where(grade >= 2, (onset + rng.uniform(0.3, 2.0, n)).round(1), np.nan)
    steroid = np.where(grade >= 3, (toci + rng.uniform(0.2, 1.5, n)).round(1), np.nan)
    other = rng.random(n) < 0.02 + 0.04 * patients["_dose"] / 1e6
    dlt = (grade >= 4) | ((grade >= 3) & (rng.random(n) < 0.4)) | other
    return patients.assign(
        CRS_GRADE=grade, CRS_DAY=onset, TOCI_DAY=toci, STEROID_DAY=steroid, DLT=dlt.astype(int), _cmax=parameters["cmax"]
    )  # fmt: skip


def draw_tumour_sizes(
    patients: pd.DataFrame, rng: np.random.Generator
) -> dict[str, list[tuple[float, float]]]:
    """Sum of diameters: shrinks with the peak level, regrows, measured every six weeks until progression."""
    sums = {row.ID: [(-7.0, float(row.BASE_SUM))] for row in patients.itertuples(index=False)}
    exposure = np.log(patients["_cmax"] / np.median(patients["_cmax"]))
    decay = 0.004 * np.exp(0.45 * exposure + rng.normal(0, 0.9, len(patients)))
    growth = 0.0022 * np.exp(rng.normal(0, 0.7, len(patients)))
    for i, subject in enumerate(patients["ID"]):
        base = sums[subject][0][1]
        lowest = base
        for day in range(SCAN_EVERY, 731, SCAN_EVERY):
            size = (
                base * (np.exp(-decay[i] * day) + np.exp(growth[i] * day) - 1) * np.exp(rng.normal(0, 0.05))
            )
            size = float(np.round(max(size, 0.0), 0))
            sums[subject].append((float(day), size))
            if size >= 1.2 * lowest and size >= lowest + 5:
                break
            lowest = min(lowest, size)
    return sums


def add_response(patients: pd.DataFrame, sums: dict, rng: np.random.Generator) -> pd.DataFrame:
    """Best overall response, PFS and OS in days with their event flags, and the end of follow-up."""
    rows = []
    for row in patients.itertuples(index=False):
        visits = sums[row.ID]
        base = visits[0][1]
        later = visits[1:]
        last_day, last_size = later[-1]
        lowest = min(size for _, size in visits[:-1])
        progressed = last_size >= 1.2 * lowest and last_size >= lowest + 5
        death = float(np.round(rng.exponential(430 if row.CRS_GRADE < 3 else 330)))
        lost = float(np.round(rng.exponential(2500)))
        end = min(death, lost, 730.0)
        if progressed and last_day <= end:
            pfs, event = last_day, 1
        elif death == end:
            pfs, event = death, 1
        else:
            pfs, event = max([day for day, _ in later if day <= end], default=0.0), 0
        assessed = [size / base - 1 for day, size in later if day <= end]
        response = "NE" if not assessed else "CR" if min(assessed) <= -1 else "PR" if min(assessed) <= -0.3 else (
            "PD" if len(assessed) == 1 and progressed else "SD")  # fmt: skip
        best = 100 * min(assessed) if assessed else np.nan
        rows.append((response, np.round(best, 1), pfs, event, end, int(death == end), end))
    columns = ["RESPONSE", "BEST_CHANGE", "PFS_DAY", "PFS_EVENT", "OS_DAY", "OS_EVENT", "_end"]
    return pd.concat([patients, pd.DataFrame(rows, columns=columns, index=patients.index)], axis=1)


def actual_days(nominal: tuple[int, ...], end: float, rng: np.random.Generator) -> np.ndarray:
    """Visits drift by hours early and by days late; a few are missed; none after the end of follow-up."""
    days = np.array(nominal, dtype=float)
    drift = np.where(days > 28, 3.0, np.where(days > 7, 0.6, 0.15)) * rng.standard_normal(len(days))
    kept = (rng.random(len(days)) > 0.04) & (days <= end)
    after = np.where(days > 0, np.maximum(days + drift, 0.2), days)
    return np.sort(after[kept].round(2))


def dose_rows(patients: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "ID": patients["ID"],
            "TIME": 0.0,
            "EVID": 1,
            "AMT": patients["_dose"],
            "DVID": "",
            "DV": "",
            "UNIT": "cells/kg",
        }
    )


def observation_rows(
    subject: str, days: np.ndarray, values: list[str], assay: str, unit: str
) -> pd.DataFrame:
    return pd.DataFrame(
        {"ID": subject, "TIME": days, "EVID": 0, "AMT": "", "DVID": assay, "DV": values, "UNIT": unit}
    )


def level_at(parameters: dict[str, np.ndarray], i: int, days: np.ndarray) -> np.ndarray:
    return curve(load_model("stein2019"), days, {name: value[i] for name, value in parameters.items()})


def written(value: float, lloq: float) -> str:
    return f"<{lloq:g}" if value < lloq else f"{value:.4g}"


def qpcr_rows(patients: pd.DataFrame, parameters: dict, rng: np.random.Generator) -> pd.DataFrame:
    parts = []
    for i, row in patients.reset_index(drop=True).iterrows():
        days = actual_days(QPCR_DAYS, row["_end"], rng)
        measured = level_at(parameters, i, days) * np.exp(SIGMA * rng.standard_normal(len(days)))
        texts = ["ND" if value < LOD else "BLQ" if value < LLOQ else f"{value:.4g}" for value in measured]
        parts.append(observation_rows(row["ID"], days, texts, "qpcr", "copies/ug"))
    return pd.concat(parts)


def cytokine_rows(patients: pd.DataFrame, parameters: dict, rng: np.random.Generator) -> pd.DataFrame:
    parts = []
    for i, row in patients.reset_index(drop=True).iterrows():
        days = actual_days(CYTOKINE_DAYS, row["_end"], rng)
        signal = np.log1p(level_at(parameters, i, days) / 300)
        for name, (base, spread, rise, lloq) in CYTOKINES.items():
            own = base * np.exp(spread * rng.standard_normal())
            measured = own * np.exp(rise * signal + 0.3 * rng.standard_normal(len(days)))
            texts = [written(value, lloq) for value in measured]
            parts.append(observation_rows(row["ID"], days, texts, name, "pg/mL"))
    return pd.concat(parts)


def ada_rows(patients: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Titres in two-fold dilutions from 1:10; about a sixth of the patients is positive before the infusion."""
    parts = []
    for _, row in patients.iterrows():
        days = actual_days(ADA_DAYS, row["_end"], rng)
        existing = 40.0 if rng.random() < 0.16 else 2.0
        induced = rng.random() < 0.35
        titre = np.array([existing * (8 if induced and day > 14 else 1) for day in days])
        titre = titre * 2.0 ** rng.normal(0, 0.6, len(days))
        steps = 10 * 2.0 ** np.floor(np.log2(np.maximum(titre, 1) / 10))
        texts = ["<10" if value < 10 else f"{value:g}" for value in steps]
        parts.append(observation_rows(row["ID"], days, texts, "ada", "titre"))
    return pd.concat(parts)


def sum_rows(patients: pd.DataFrame, sums: dict) -> pd.DataFrame:
    parts = []
    for subject, end in zip(patients["ID"], patients["_end"], strict=True):
        visits = [(day, size) for day, size in sums[subject] if day <= end]
        days = np.array([day for day, _ in visits])
        parts.append(observation_rows(subject, days, [f"{size:g}" for _, size in visits], "sld", "mm"))
    return pd.concat(parts)


def write_truth(patients: pd.DataFrame, parameters: dict[str, np.ndarray]) -> None:
    truth = {
        "model": "stein2019",
        "seed": SEED,
        "typical": TYPICAL,
        "omega_sd_free_scale": OMEGA,
        "slope_of_log_cmax_on_log_dose": DOSE_ON_CMAX,
        "dose_reference_cells_per_kg": 1e6,
        "sigma_sd_of_log": SIGMA,
        "lloq": LLOQ,
        "lod": LOD,
        "subjects": {
            subject: {name: float(f"{parameters[name][i]:.6g}") for name in TYPICAL}
            for i, subject in enumerate(patients["ID"])
        },
    }
    (FOLDER / "truth.json").write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
