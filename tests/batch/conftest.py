"""A small trial as files: six subjects at two doses, one outcome, and the study file that analyses it."""

from pathlib import Path

import pandas as pd
import pytest

from carkinetics.model import load_model, simulate

STUDY = """\
seed = 7
output = "run"

[data]
path = "data.csv"
subjects = "subjects.csv"
value_unit = "copies/ug"
lloq = 50

[nca]
metrics = ["cmax", "auc_0_28"]

[dose]
metrics = ["auc_0_28"]

[response.crs]
outcome = "crs_grade >= 3"
on = "log(cmax)"

[report]
title = "A small trial"
"""
FIT = """
[fit.base]
model = "stein2019"
random = ["tmax", "cmax", "alpha"]
draws = 60
tune = 120
chains = 2

[exposure]
metrics = ["cmax", "auc_0_28"]
"""


@pytest.fixture
def trial(tmp_path: Path) -> Path:
    """Folder with data.csv, subjects.csv and study.toml."""
    design = {"times": (1, 4, 7, 10, 14, 21, 28, 60, 90), "lloq": 50.0, "doses": (3e5, 1e6)}
    data = simulate(load_model("stein2019"), design, n=6, seed=2)
    rows = data.observations
    cells = rows["value"].map(lambda value: f"{value:.4g}" if value == value else "<50")
    observed = pd.DataFrame({"ID": rows["subject"], "TIME": rows["time"], "DV": cells, "AMT": ".", "EVID": 0})
    doses = data.doses
    given = pd.DataFrame({"ID": doses["subject"], "TIME": 0, "DV": ".", "AMT": doses["amount"], "EVID": 1})
    table = pd.concat([given.astype(str), observed.astype(str)])
    table.sort_values("ID", kind="stable").to_csv(tmp_path / "data.csv", index=False)
    subjects = pd.DataFrame({"ID": data.subject_ids, "crs_grade": [0, 3, 1, 4, 3, 0]})
    subjects.to_csv(tmp_path / "subjects.csv", index=False)
    (tmp_path / "study.toml").write_text(STUDY, encoding="utf-8")
    return tmp_path


@pytest.fixture
def study(trial: Path) -> Path:
    """The study file without a population fit."""
    return trial / "study.toml"


@pytest.fixture
def fitted_study(trial: Path) -> Path:
    """The study file with one small population fit."""
    path = trial / "study.toml"
    path.write_text(STUDY + FIT, encoding="utf-8")
    return path
