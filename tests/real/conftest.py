"""The patients of the CD22 trial and one kinetic fit of them, which every question about them begins with.

Levels are weekly over 28 days and hold nothing about persistence, so the slow phase is fixed at Stein's values. No
limits come with the data: levels are censored at 0.04 cells/uL, the smallest positive one, cytokines where values pile up.
"""

from pathlib import Path

import pandas as pd
import pytest

import carkinetics as ck

LOD = 0.04
LARGEST = 2939.0  # leukaemia cells per uL, liu2022
# pg/mL
LLOQ = {"IL-12p70": 0.28, "IL-1B": 0.34, "IL-4": 0.15, "IL-2": 0.8, "IL-13": 0.83, "GM-CSF": 0.56, "MIP-alpha": 29.4}  # fmt: skip
ULOQ = {"IFN-gamma": 2750, "IL-6": 1400, "IL-8": 1140, "IL-10": 700, "IL-18": 5000}
CELLS_PER_KG = {1: 3e5, 2: 1e6, 3: 3e6}
COLUMNS = ["ID", "TIME", "DV", "DVID", "AMT", "EVID"]
RANDOM = ["foldx", "tmax", "cmax", "alpha"]


@pytest.fixture(scope="session")
def data(external_data: Path) -> ck.Dataset:
    """Levels, cytokines and doses; marrow burden in percent, and as leukaemia cells per uL."""
    folder = external_data / "car22-nci"
    table = pd.read_csv(folder / "tidy_patients.csv")
    burden = pd.to_numeric(table["MARROW_BURDEN_PCT"], errors="coerce")  # "---" in two patients
    cells = pd.read_csv(folder / "tidy_car_kinetics.csv").rename(
        columns={"TIME_DAY": "TIME", "ABS_CAR_PER_UL": "DV"}
    )
    names = {"patient_id": "ID", "days": "TIME", "cytokine_levels": "DV", "cytokines": "DVID"}
    markers = pd.read_csv(folder / "day_after_infusion_data_export.csv").rename(columns=names)
    markers = markers.dropna(subset=["DV"]).groupby(["ID", "TIME", "DVID"], as_index=False)["DV"].mean()
    doses = pd.DataFrame({"ID": table["ID"], "TIME": 0.0, "AMT": table["DOSE_LEVEL"].map(CELLS_PER_KG), "EVID": 1})  # fmt: skip
    parts = (doses, cells.assign(DVID="flow", EVID=0), markers.assign(EVID=0))
    units = {"flow": "cells/uL"} | dict.fromkeys(sorted(markers["DVID"].unique()), "pg/mL")
    subjects = table.assign(burden=burden.clip(0.01), leukaemia_cells=LARGEST * burden.clip(0.01, 99) / 100)
    return ck.read_nonmem(
        pd.concat([part.reindex(columns=COLUMNS) for part in parts]), value_unit=units, lloq={"flow": LOD, **LLOQ},
        uloq=ULOQ, subjects=subjects, markers=[name for name in units if name != "flow"],
    )  # fmt: skip


@pytest.fixture(scope="session")
def levels(data: ck.Dataset) -> ck.Dataset:
    """CAR-T levels; four of the 59 patients have none, and stay."""
    return data.select(assay="flow")


@pytest.fixture(scope="session")
def curve() -> ck.Model:
    """Stein's curve with the priors of cells that expand in leukaemia."""
    return ck.load_model("stein2019").in_unit(
        "cells/uL", cmax={"dist": "lognormal", "median": 100, "sigma": 2, "omega": 2},
        tmax={"dist": "lognormal", "median": 13, "sigma": 0.4}, alpha={"dist": "lognormal", "median": 0.2, "sigma": 0.7},
    ).fix(fb=0.0079, beta=0.0032)  # fmt: skip


@pytest.fixture(scope="session")
def fit(curve: ck.Model, levels: ck.Dataset) -> ck.Fit:
    """The fit on which all else rests; that it converges is a test of test_car22_fit.py."""
    return ck.fit_hierarchical(curve, levels, random=RANDOM, seed=22)
