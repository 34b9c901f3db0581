"""The step that derives responses: its files, its section in the report, and what it rests on."""

from pathlib import Path

import pandas as pd
import pytest

from carkinetics.batch import run_study
from carkinetics.batch.config import read_study

STUDY = """\
output = "run"
[data]
path = "data.csv"
subjects = "subjects.csv"
assay = "qpcr"
lloq = { qpcr = 1, sld = 5 }
lod = { sld = 2 }
[tumour]
assay = "sld"
"""


@pytest.fixture
def study(tumour_tables, tmp_path: Path) -> Path:
    rows, subjects = tumour_tables
    rows.to_csv(tmp_path / "data.csv", index=False)
    subjects.to_csv(tmp_path / "subjects.csv", index=False)
    (tmp_path / "study.toml").write_text(STUDY, encoding="utf-8")
    return tmp_path / "study.toml"


def statuses(result) -> dict[str, str]:
    return dict(zip(result.steps["step"], result.steps["status"], strict=True))


def test_responses_rates_times_and_remarks_are_files_and_a_section(study):
    result = run_study(study)
    assert statuses(result) == dict.fromkeys(("study", "data", "nca", "tumour", "report"), "made")
    folder = result.folder / "tumour"
    assert {path.name for path in folder.iterdir()} == {
        "responses.csv", "best.csv", "rates.csv", "times.csv", "findings.csv",
    }  # fmt: skip
    best = pd.read_csv(folder / "best.csv", keep_default_na=False).set_index("subject")
    assert best["best"].tolist() == ["PR", "SD", "PD", "PR", "NE", "CR", "NE"]
    assert best["recorded"].tolist() == ["PR", "SD", "PD", "SD", "NE", "", "NE"]
    rates = pd.read_csv(folder / "rates.csv").set_index(["population", "group"])
    assert rates.loc[("all", "all"), "orr"] == pytest.approx(3 / 7)
    assert pd.read_csv(folder / "times.csv").set_index("endpoint")["median"].to_dict() == {
        "dor": 84, "pfs": 126, "os": 200,
    }  # fmt: skip
    page = result.report.read_text(encoding="utf-8")
    assert '<section id="tumour"' in page
    assert "42.9 % (9.9 to 81.6)" in page
    log = (result.folder / "log.txt").read_text(encoding="utf-8")
    assert "warning best-response-differs, subject d: best response is PR" in log


def test_it_is_kept_until_its_settings_change(study):
    run_study(study)
    assert set(statuses(run_study(study)).values()) == {"kept"}
    study.write_text(STUDY + "confirm = true\n", encoding="utf-8")
    again = run_study(study)
    assert statuses(again) == {
        "study": "made", "data": "kept", "nca": "kept", "tumour": "made", "report": "made",
    }  # fmt: skip
    best = pd.read_csv(again.folder / "tumour/best.csv", keep_default_na=False).set_index("subject")["best"]
    assert best["f"] == "SD"  # one visit cannot confirm its complete response


def test_an_assay_that_is_not_there_fails_the_step_and_nothing_else(study):
    study.write_text(STUDY.replace('assay = "sld"', 'assay = "sdl"'), encoding="utf-8")
    result = run_study(study)
    assert statuses(result)["tumour"] == "failed"
    assert statuses(result)["report"] == "made"
    assert "did you mean 'sld'" in result.failures["message"].iloc[0]
    assert '<section id="tumour"' not in result.report.read_text(encoding="utf-8")


def test_a_study_without_the_section_has_no_such_step(study):
    study.write_text(STUDY.split("[tumour]")[0], encoding="utf-8")
    assert read_study(study).tumour is None
    result = run_study(study)
    assert "tumour" not in statuses(result)
    assert not (result.folder / "tumour").exists()
