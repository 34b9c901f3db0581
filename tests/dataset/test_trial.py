"""The simulated trial that is shipped: of the shape it claims, made by its script, and near its own truth."""

import json
import runpy
import shutil

import numpy as np
import pandas as pd
import pytest

import carkinetics as ck
from carkinetics.shipped import shipped_folder

FOLDER = shipped_folder("data") / "nct05783089"


@pytest.fixture(scope="module")
def trial():
    return ck.example("nct05783089")


def test_the_trial_has_the_shape_of_the_registry_entry(trial):
    assert len(trial.subjects) == 87
    assert trial.doses["amount"].max() == 2.0e6
    levels = trial.subjects["dose_level"].astype(float)
    assert (levels.min(), levels.max()) == (0.1e6, 2.0e6)
    # One product in 20 has too few cells.
    assert (
        0.85
        < (trial.doses.set_index("subject")["amount"] == levels.set_axis(trial.subjects["subject"])).mean()
        < 1
    )
    assert set(trial.assays["assay"]) == {
        "qpcr",
        "ip10",
        "ifng",
        "il6",
        "il10",
        "tnfa",
        "gmcsf",
        "ada",
        "sld",
    }
    assert {"response", "crs_grade", "dlt", "pfs_day", "pfs_event", "os_day", "os_event"} <= set(
        trial.subjects
    )
    qpcr = trial.select(assay="qpcr").observations
    after = qpcr[qpcr["status"] != "predose"]
    assert 0.3 <= (after["status"] != "quantified").mean() <= 0.6
    assert 600 < after["time"].max() < 760
    assert set(trial.events["event"]) == {"tocilizumab", "steroid"}
    assert len(trial.excluded) == 0
    assert (ck.check(trial)["severity"] != "error").all()


def test_the_files_are_small_and_are_what_the_script_writes(tmp_path, monkeypatch):
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 400_000
    shutil.copy(FOLDER / "make_trial.py", tmp_path)
    runpy.run_path(str(tmp_path / "make_trial.py"), run_name="__main__")
    for name in ("measurements.csv", "subjects.csv", "truth.json", "dataset.toml"):
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes(), name


def test_the_peaks_follow_the_true_parameters(trial):
    truth = json.loads((FOLDER / "truth.json").read_text())
    true = pd.DataFrame.from_dict(truth["subjects"], orient="index")
    seen = ck.nca(trial, assay="qpcr", metrics=["cmax", "tmax"]).wide()
    ratio = np.log(seen["cmax"] / true["cmax"].reindex(seen.index)).dropna()
    # Noise of 0.5 and sampling days beside the peak: the log ratio centres near 0 with an SD below 1.
    assert abs(ratio.median()) < 0.4
    assert ratio.std() < 1.0
    assert len(true) == 87
