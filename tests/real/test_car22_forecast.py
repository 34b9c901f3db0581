"""Real patients whom the fit has not seen: their peak foretold from the first ten days, and the next dose."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import carkinetics as ck

pytestmark = pytest.mark.slow
LOD = 0.04
RANDOM = ["foldx", "tmax", "cmax", "alpha"]


@pytest.fixture(scope="module")
def data(external_data: Path) -> ck.Dataset:
    return ck.read_nonmem(
        external_data / "car22-nci" / "tidy_car_kinetics.csv", columns={"TIME": "TIME_DAY", "DV": "ABS_CAR_PER_UL"},
        value_unit="cells/µL", lloq=LOD, subjects=external_data / "car22-nci" / "tidy_patients.csv", default_assay="flow",
    )  # fmt: skip


@pytest.fixture(scope="module")
def fit(data: ck.Dataset) -> ck.Fit:
    """Three patients of four."""
    model = ck.load_model("stein2019").in_unit(
        "cells/uL", cmax={"dist": "lognormal", "median": 100, "sigma": 2, "omega": 2},
        tmax={"dist": "lognormal", "median": 13, "sigma": 0.4}, alpha={"dist": "lognormal", "median": 0.2, "sigma": 0.7},
    ).fix(fb=0.0079, beta=0.0032)  # fmt: skip
    seen = [subject for i, subject in enumerate(data.subject_ids) if i % 4]
    return ck.fit_hierarchical(model, data.select(subjects=seen), random=RANDOM, seed=22)


def test_peaks_are_foretold_from_ten_days(fit, data):
    """Intervals from the samples to day 10 against the median from all samples: about nine of ten hold it, and they narrow."""
    rows = []
    sampled = set(data.observations["subject"])
    for subject in [subject for subject in list(data.subject_ids)[::4] if subject in sampled]:
        early, late = (
            ck.forecast(fit, data, subject=subject, upto=day, metrics=["cmax"]) for day in (10, None)
        )
        assert early.converged, early.statement
        assert late.converged, late.statement
        a, b = (one.table.iloc[0] for one in (early, late))
        rows.append(
            (
                a["lower"] <= b["value"] <= a["upper"],
                np.log(b["upper"] / b["lower"]) / np.log(a["upper"] / a["lower"]),
            )
        )
    found = pd.DataFrame(rows, columns=["inside", "narrower"])
    assert len(found) >= 12
    assert found["inside"].mean() >= 0.75
    assert found["narrower"].median() < 0.7
