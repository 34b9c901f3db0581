"""A simulated trial as the files a real one would come in: measurements, patients, lesions, adverse events, settings."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import tomli_w
from numpy.typing import NDArray

from carkinetics.dataset.read import read_nonmem
from carkinetics.dataset.table import Dataset
from carkinetics.fit.result import Fit
from carkinetics.trial.escalate import EXPANSION, TITRATION
from carkinetics.trial.plan import Visits
from carkinetics.trial.simulate import MARKERS, Block, actual_days, stream

Floats = NDArray[np.float64]
PHASES = {TITRATION: "titration", EXPANSION: "expansion"}
CENTRES = 5
BASELINE_SCAN = -7.0
EVENTS = {"tocilizumab": "TOCI_DAY", "steroid": "STEROID_DAY"}


def subject_table(block: Block, trial: int) -> pd.DataFrame:
    """One row per treated patient of a trial, in the order of arrival.

    Parameters
    ----------
    block : Block
        Simulated trials.
    trial : int
        Position of the trial in it.

    Returns
    -------
    pandas.DataFrame
        Identifier, dose, covariates and outcomes, columns in capitals as in the file.
    """
    own = block.frame["trial"].to_numpy() == trial
    frame = block.frame[own].reset_index(drop=True)
    toxicity = {name: block.of_treated(value)[own] for name, value in block.escalations.toxicity.items()}
    evaluable = block.of_treated(block.escalations.evaluable)[own]
    phase = block.of_treated(block.escalations.phase)[own]
    centre = 1 + np.floor(CENTRES * block.luck["centre"][own]).astype(int)
    table = pd.DataFrame(
        {
            "ID": [f"{c:03d}-{i + 1:03d}" for i, c in enumerate(centre.tolist())],
            "COHORT": [PHASES.get(p, "escalation") for p in phase.tolist()],
            "DOSE_LEVEL": [f"{dose / 1e6:g}e6" for dose in frame["planned"]],
            "INFUSED": np.round(block.of_treated(block.escalations.infused)[own], 1),
        }
    )
    for name in block.plan.covariates:
        table[name.upper()] = frame[name]
    seen = block.end[own]

    def until(day: Floats) -> Floats:
        return np.where(day <= seen, np.round(day, 1), np.nan)

    table["CRS_GRADE"] = np.where(toxicity["crs_day"] <= seen, toxicity["crs_grade"], 0)
    table["CRS_DAY"] = until(toxicity["crs_day"])
    table["TOCI_DAY"], table["STEROID_DAY"] = until(toxicity["toci_day"]), until(toxicity["steroid_day"])
    table["GRADE2"] = (toxicity["grade2"] & evaluable).astype(int)
    table["DLT"] = (toxicity["dlt"] & evaluable).astype(int)
    table["DLT_DAY"] = np.where(table["DLT"] == 1, np.round(toxicity["dlt_day"], 1), np.nan)
    table["EVALUABLE"] = evaluable.astype(int)
    if block.plan.conduct.short or block.plan.conduct.dose_spread:
        counted = np.array([0.0, *block.plan.design.doses])[block.of_treated(block.escalations.counted)[own]]
        table["COUNTED_AT"] = [f"{dose / 1e6:g}e6" if dose else "" for dose in counted]
    courses = block.courses
    if courses is not None:
        table["RESPONSE"], table["BEST_CHANGE"] = courses.best[own], courses.change[own]
        table["PFS_DAY"], table["PFS_EVENT"] = courses.pfs_day[own], courses.pfs_event[own]
        table["OS_DAY"], table["OS_EVENT"] = courses.os_day[own], courses.os_event[own]
    return table


def measurement_table(block: Block, trial: int, subjects: pd.DataFrame) -> pd.DataFrame:
    """Doses and samples of a trial, in NONMEM's form.

    Parameters
    ----------
    block : Block
        Simulated trials.
    trial : int
        Position of the trial in it.
    subjects : pandas.DataFrame
        From `subject_table`.

    Returns
    -------
    pandas.DataFrame
        Columns ``ID, TIME, EVID, AMT, DVID, DV, UNIT``.
    """
    own = np.flatnonzero(block.frame["trial"].to_numpy() == trial)
    ids = subjects["ID"].tolist()
    rng = stream(block.seed, int(block.trials[trial]), MARKERS)
    plan = block.plan
    doses = pd.DataFrame(
        {"ID": ids, "TIME": 0.0, "EVID": 1, "AMT": [float(f"{dose:.4g}") for dose in block.frame["dose"].to_numpy()[own]], "DVID": "", "DV": "", "UNIT": plan.dose_unit}
    )  # fmt: skip
    days, read = (part[own] for part in block.samples)
    texts = np.where(
        read < plan.qpcr.lod, "ND", np.where(read < plan.qpcr.lloq, "BLQ", np.char.mod("%.4g", np.nan_to_num(read)))
    )  # fmt: skip
    parts = [doses, _rows(ids, days, texts, "qpcr", plan.population.model.output().unit)]
    parts += _cytokines(block, own, ids, rng)
    parts += _antibodies(block, own, ids, rng)
    parts += _sums(block, own, ids)
    table = pd.concat(parts, ignore_index=True)
    return table.sort_values(["ID", "TIME", "EVID", "DVID"], kind="stable").reset_index(drop=True)


def _rows(ids: list[str], days: Floats, texts: NDArray[Any], assay: str, unit: str) -> pd.DataFrame:
    """One row per sample that was taken."""
    who, which = np.nonzero(~np.isnan(days))
    return pd.DataFrame(
        {
            "ID": np.array(ids)[who], "TIME": days[who, which], "EVID": 0, "AMT": "", "DVID": assay,
            "DV": texts[who, which], "UNIT": unit,
        }
    )  # fmt: skip


def _limited(values: Floats, lloq: float) -> NDArray[Any]:
    return np.where(values < lloq, f"<{lloq:g}", np.char.mod("%.4g", np.nan_to_num(values)))


def _cytokines(
    block: Block, own: NDArray[np.intp], ids: list[str], rng: np.random.Generator
) -> list[pd.DataFrame]:
    links = block.plan.links.cytokines
    if not links:
        return []
    visits = Visits(block.plan.cytokine_days, missed=block.plan.qpcr.missed, drift=block.plan.qpcr.drift)
    days = np.full((len(block.frame), len(visits.days)), np.nan)
    days[own] = actual_days(visits, block.end[own], rng)
    level = block.level(days)[own]
    parts = []
    for name, link in links.items():
        base = link.base * np.exp(link.spread * rng.standard_normal((len(own), 1)))
        read = base * np.exp(
            link.rise * np.log1p(level / link.half) + link.noise * rng.standard_normal(level.shape)
        )
        parts.append(_rows(ids, days[own], _limited(read, link.lloq), name, "pg/mL"))
    return parts


def _antibodies(
    block: Block, own: NDArray[np.intp], ids: list[str], rng: np.random.Generator
) -> list[pd.DataFrame]:
    """Titres in two-fold dilutions from the lowest that is reported."""
    link = block.plan.links.antibodies
    if link is None:
        return []
    visits = Visits(block.plan.antibody_days, missed=block.plan.qpcr.missed, drift=block.plan.qpcr.drift)
    days = actual_days(visits, block.end[own], rng)
    base = np.where(block.luck["ada_existing"][own] < link.existing, link.existing_titre, link.lloq / 5)
    rose = (block.luck["ada_induced"][own] < link.induced)[:, None] & (np.nan_to_num(days) > link.onset)
    titre = base[:, None] * np.where(rose, link.fold, 1.0) * 2.0 ** (0.6 * rng.standard_normal(days.shape))
    steps = link.lloq * 2.0 ** np.floor(np.log2(np.maximum(titre, 1e-3) / link.lloq))
    return [_rows(ids, days, _limited(steps, link.lloq), "ada", "titre")]


def _sums(block: Block, own: NDArray[np.intp], ids: list[str]) -> list[pd.DataFrame]:
    if block.courses is None or block.plan.links.tumour is None:
        return []
    base = block.frame[block.plan.links.tumour.burden].to_numpy(float)[own]
    sums = np.column_stack([base, block.courses.sums[own]])
    days = np.where(np.isnan(sums), np.nan, np.append(BASELINE_SCAN, block.courses.scans))
    return [_rows(ids, days, np.char.mod("%g", np.nan_to_num(sums)), "sld", "mm")]


def lesion_table(block: Block, trial: int, subjects: pd.DataFrame) -> pd.DataFrame:
    """Lesions of a trial, for `carkinetics.derive_response`: the target sum as one lesion, and new ones.

    Parameters
    ----------
    block : Block
        Simulated trials.
    trial : int
        Position of the trial in it.
    subjects : pandas.DataFrame
        From `subject_table`.

    Returns
    -------
    pandas.DataFrame
        Columns ``subject, day, lesion, kind, size_mm, status``; no row without a tumour link.
    """
    columns = ["subject", "day", "lesion", "kind", "size_mm", "status"]
    courses, link = block.courses, block.plan.links.tumour
    if courses is None or link is None:
        return pd.DataFrame(columns=columns)
    own = np.flatnonzero(block.frame["trial"].to_numpy() == trial)
    rows = []
    for subject, i in zip(subjects["ID"], own, strict=True):
        base = float(block.frame[link.burden].iloc[i])
        rows.append((subject, BASELINE_SCAN, "target sum", "target", base, "measured"))
        for day, size in zip(courses.scans, courses.sums[i], strict=True):
            if np.isnan(size):
                continue
            status = "absent" if size == 0 else "measured"
            rows.append((subject, float(day), "target sum", "target", float(size), status))
            if day >= courses.new_lesion[i]:
                rows.append((subject, float(day), "new lesion", "new", np.nan, "present"))
    return pd.DataFrame(rows, columns=columns)


def event_table(subjects: pd.DataFrame) -> pd.DataFrame:
    """Adverse events of a trial, for `carkinetics.toxicity_table` and `carkinetics.dose_limiting`.

    Parameters
    ----------
    subjects : pandas.DataFrame
        From `subject_table`.

    Returns
    -------
    pandas.DataFrame
        Columns ``subject, term, grade, start, serious, special_interest, dlt``.
    """
    rows = []
    for row in subjects.to_dict("records"):
        crs_limits = (
            row["DLT"] == 1 and row["CRS_GRADE"] >= 3 and abs(row["DLT_DAY"] - row["CRS_DAY"] - 3) < 0.11
        )
        if row["CRS_GRADE"] > 0:
            serious = row["CRS_GRADE"] >= 3
            rows.append(
                (
                    row["ID"],
                    "cytokine release syndrome",
                    row["CRS_GRADE"],
                    row["CRS_DAY"],
                    serious,
                    True,
                    crs_limits,
                )
            )
        if row["DLT"] == 1 and not crs_limits:
            rows.append((row["ID"], "other dose-limiting toxicity", 3, row["DLT_DAY"], True, False, True))
        if row["GRADE2"] == 1 and row["CRS_GRADE"] != 2:
            rows.append((row["ID"], "other toxicity", 2, 7.0, False, False, False))
    return pd.DataFrame(
        rows, columns=["subject", "term", "grade", "start", "serious", "special_interest", "dlt"]
    )


def settings_of(block: Block) -> dict[str, Any]:
    """Arguments with which `carkinetics.read_nonmem` reads the files.

    Parameters
    ----------
    block : Block
        Simulated trials.

    Returns
    -------
    dict
        For ``dataset.toml``.
    """
    links = block.plan.links
    lloq = {"qpcr": block.plan.qpcr.lloq} | {name: link.lloq for name, link in links.cytokines.items()}
    if links.antibodies is not None:
        lloq["ada"] = links.antibodies.lloq
    return {
        "path": "measurements.csv", "subjects": "subjects.csv", "time_unit": "day", "dose_unit": block.plan.dose_unit,
        "event_columns": dict(EVENTS), "lloq": lloq, "lod": {"qpcr": block.plan.qpcr.lod},
    }  # fmt: skip


def truth_of(block: Block, trial: int, subjects: pd.DataFrame) -> dict[str, Any]:
    """What a fit of the trial should find.

    Parameters
    ----------
    block : Block
        Simulated trials.
    trial : int
        Position of the trial in it.
    subjects : pandas.DataFrame
        From `subject_table`.

    Returns
    -------
    dict
        Population values, limits, and every patient's parameters.
    """
    own = np.flatnonzero(block.frame["trial"].to_numpy() == trial)
    population, model = block.plan.population, block.plan.population.model
    known: dict[str, Any] = {"model": model.name, "seed": block.seed, "trial": int(block.trials[trial])}
    if isinstance(population.kinetics, Fit):
        known["population"] = "a draw of a posterior"
    else:
        known["typical"] = {
            name: float(population.typical.get(name, parameter.typical))
            for name, parameter in model.parameters.items()
        }
        known["omega_sd_free_scale"] = {
            name: float(population.omega.get(name, model.parameters[name].omega or 0.0))
            for name in population.random
        }
        known["effects_on_free_scale"] = {name: dict(texts) for name, texts in population.effects.items()}
        known["sigma_sd_of_log"] = float(model.residual if population.sigma is None else population.sigma)
    known |= {"lloq": block.plan.qpcr.lloq, "lod": block.plan.qpcr.lod}
    known["subjects"] = {
        subject: {name: float(f"{block.parameters[name][i]:.6g}") for name in model.parameters}
        for subject, i in zip(subjects["ID"], own, strict=True)
    }
    return known


def save_trial(block: Block, trial: int, folder: Path, title: str) -> None:
    """Write the files of a trial.

    Parameters
    ----------
    block : Block
        Simulated trials.
    trial : int
        Position of the trial in it.
    folder : pathlib.Path
        Where; it is made if it is not there.
    title : str
        For ``dataset.toml``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    subjects = subject_table(block, trial)
    csv = {"index": False, "lineterminator": "\n"}
    measurement_table(block, trial, subjects).to_csv(folder / "measurements.csv", **csv)
    subjects.to_csv(folder / "subjects.csv", **csv)
    settings = settings_of(block)
    settings["about"] = {
        "title": title, "origin": f"simulated from {block.plan.name}, seed {block.seed}; no patient was measured",
        "licence": "BSD-3-Clause, as the package",
    }  # fmt: skip
    (folder / "dataset.toml").write_bytes(tomli_w.dumps(settings).encode())
    truth = json.dumps(truth_of(block, trial, subjects), indent=1) + "\n"
    (folder / "truth.json").write_text(truth, encoding="utf-8")


def dataset_of(block: Block, trial: int) -> Dataset:
    """The trial read from its files, as a real one would be.

    Parameters
    ----------
    block : Block
        Simulated trials.
    trial : int
        Position of the trial in it.

    Returns
    -------
    Dataset
        Those data.
    """
    settings = settings_of(block)
    with TemporaryDirectory() as name:
        folder = Path(name)
        save_trial(block, trial, folder, block.plan.title)
        settings["subjects"] = folder / settings["subjects"]
        return read_nonmem(folder / settings.pop("path"), **settings)
