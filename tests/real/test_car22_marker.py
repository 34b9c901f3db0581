"""Real patients: IL-6 on top of the kinetics peaks days before the CAR-T level, as the samples themselves say."""

from pathlib import Path

import pandas as pd
import pytest

import carkinetics as ck

pytestmark = pytest.mark.slow
ULOQ = 1400.0  # pg/mL: values pile up at and above it


@pytest.fixture(scope="module")
def data(external_data: Path) -> ck.Dataset:
    folder = external_data / "car22-nci"
    cells = pd.read_csv(folder / "tidy_car_kinetics.csv")
    cells = cells.rename(columns={"TIME_DAY": "TIME", "ABS_CAR_PER_UL": "DV"}).assign(DVID="flow")
    every = pd.read_csv(folder / "day_after_infusion_data_export.csv").dropna(subset=["cytokine_levels"])
    il6 = every[every["cytokines"] == "IL-6"].rename(
        columns={"patient_id": "ID", "days": "TIME", "cytokine_levels": "DV"}
    )
    il6 = il6.groupby(["ID", "TIME"], as_index=False)["DV"].mean().assign(DVID="il6")
    columns = ["ID", "TIME", "DV", "DVID"]
    return ck.read_nonmem(
        pd.concat([cells[columns], il6[columns]]), value_unit={"flow": "cells/uL", "il6": "pg/mL"}, lloq={"flow": 0.04},
        uloq={"il6": ULOQ}, markers=["il6"],
    )  # fmt: skip


@pytest.fixture(scope="module")
def kinetics(data: ck.Dataset) -> ck.Fit:
    curve = ck.load_model("stein2019").in_unit(
        "cells/uL", cmax={"dist": "lognormal", "median": 100, "sigma": 2, "omega": 2},
        tmax={"dist": "lognormal", "median": 13, "sigma": 0.4}, alpha={"dist": "lognormal", "median": 0.2, "sigma": 0.7},
    ).fix(fb=0.0079, beta=0.0032)  # fmt: skip
    fit = ck.fit_hierarchical(
        curve, data.select(assay="flow"), random=["foldx", "tmax", "cmax", "alpha"], seed=22
    )
    assert ck.diagnose(fit).attrs["converged"]
    return fit


def test_il6_peaks_days_before_the_cells_and_weekly_cells_are_part_of_the_interval(data, kinetics):
    found = {
        driver: ck.fit_marker(kinetics, data, "il6", driver=driver, kinetic_draws=10) for driver in ("level", "expansion")
    }  # fmt: skip
    by_level, lag = found["level"], found["level"].table.loc["lag"]
    assert len(by_level.subjects) == 52
    assert by_level.subjects["n_above"].sum() == 26
    assert lag["lower"] > -6
    assert lag["upper"] < -2
    assert lag["missing"] > 0.2
    # The samples: the highest of each subject, a value above the ULOQ counting as it.
    rows = by_level.observed[by_level.observed["assay"] == "il6"]
    top = rows.assign(level=rows["value"].fillna(rows["lower"])).groupby("subject")["level"].idxmax()
    seen = rows.loc[top, "time"].median()
    assert by_level.subjects["peak_day"].median() == pytest.approx(seen, abs=1.0)
    # An effect of the rising level alone would put the peak of IL-6 at that of the cells.
    assert found["expansion"].subjects["peak_day"].median() > seen + 1.5
    assert ck.compare_markers(found, kinetic_draws=3).index[0] == "level"


def test_the_approximation_gives_the_lag_that_sampling_gives(data, kinetics):
    fast, slow = (
        ck.fit_marker(kinetics, data, "il6", kinetic_draws=3, method=method).table.loc["lag"] for method in ("laplace", "mcmc")
    )  # fmt: skip
    assert abs(fast["value"] - slow["value"]) < 0.3
