"""Every verb, as a user types it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from carkinetics.cli import app
from carkinetics.model import load_model, simulate

run = CliRunner()


@pytest.fixture
def table(tmp_path: Path) -> Path:
    design = {"times": (1, 7, 10, 14, 28, 60), "lloq": 50.0}
    rows = simulate(load_model("stein2019"), design, n=3, seed=1).observations
    cells = rows["value"].map(lambda value: f"{value:.4g}" if value == value else "<50")
    path = tmp_path / "data.csv"
    pd.DataFrame({"ID": rows["subject"], "TIME": rows["time"], "DV": cells}).to_csv(path, index=False)
    return path


def typed(*arguments: object) -> subprocess.CompletedProcess:
    """The installed command in a process of its own."""
    code = "from carkinetics.cli import main; main()"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | {"COLUMNS": "200"})


def test_models_lists_the_shipped_models():
    result = run.invoke(app, ["models"])
    assert result.exit_code == 0
    assert "stein2019" in result.stdout


def test_models_shows_one_with_its_equations_and_sources():
    result = run.invoke(app, ["models", "stein2019"])
    assert "rho = log(foldx) / tmax" in result.stdout
    assert "Table 1" in result.stdout
    about = json.loads(run.invoke(app, ["models", "stein2019", "--json"]).stdout)
    assert about["doi"] == "10.1002/psp4.12388"
    assert len(about["parameters"]) == 6


def test_check_says_that_a_sound_table_is_sound(table):
    result = run.invoke(app, ["check", str(table), "--value-unit", "copies/ug", "--lloq", "50"])
    assert result.exit_code == 0


def test_check_fails_on_an_error_and_lists_it(table):
    text = table.read_text(encoding="utf-8")
    table.write_text(text + "S001,28,-5\n", encoding="utf-8")
    result = run.invoke(app, ["check", str(table), "--value-unit", "copies/ug", "--lloq", "50", "--json"])
    assert result.exit_code == 1
    assert "error" in {row["severity"] for row in json.loads(result.stdout)}


def test_nca_answers_on_stdout_or_into_a_file(table, tmp_path):
    common = ["nca", str(table), "--value-unit", "copies/ug", "--lloq", "50", "--metric", "cmax"]
    shown = run.invoke(app, common)
    assert shown.stdout.splitlines()[0].startswith("subject,metric,value")
    assert len(shown.stdout.splitlines()) == 1 + 3
    output = tmp_path / "new" / "nca.csv"
    assert run.invoke(app, [*common, "-o", str(output)]).exit_code == 0
    assert output.read_text(encoding="utf-8") == shown.stdout


def test_an_error_of_ours_is_one_line_without_a_traceback(tmp_path):
    result = typed("models", "stein2018")
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: no model 'stein2018'; did you mean 'stein2019'")
    assert len(result.stderr.splitlines()) == 1


def test_square_brackets_in_an_error_are_text(tmp_path):
    (tmp_path / "study.toml").write_text("[data]\npth = 'x'\n", encoding="utf-8")
    result = typed("run", tmp_path / "study.toml")
    assert result.returncode == 1
    assert "study.toml: [data] unknown key 'pth'; did you mean 'path'?" in result.stderr


def test_a_bug_keeps_its_traceback(monkeypatch):
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("carkinetics.models", broken)
    result = run.invoke(app, ["models"])
    assert isinstance(result.exception, ZeroDivisionError)


def test_an_unknown_option_is_a_usage_error(table):
    assert run.invoke(app, ["check", str(table), "--llqo", "50"]).exit_code == 2


def test_a_covariate_has_to_be_written_as_parameter_and_text(table, tmp_path):
    result = typed(
        "fit", table, "--model", "stein2019", "--value-unit", "copies/ug", "--lloq", 50, "-o", tmp_path / "f.nc",
        "--covariate", "cmax",
    )  # fmt: skip
    assert result.returncode == 1
    assert "expected PARAMETER=TEXT" in result.stderr


def test_run_ends_with_the_report_and_the_verdict(table, tmp_path, monkeypatch):
    study = tmp_path / "study.toml"
    study.write_text(
        'output = "out"\n[data]\npath = "data.csv"\nvalue_unit = "copies/ug"\nlloq = 50\n', encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    result = run.invoke(app, ["run", "study.toml"])
    assert result.exit_code == 0
    report = Path("out") / "report.html"
    assert result.stdout.splitlines() == [f"report: {report}", "no population fit was asked for"]
    assert "nca: made" in result.stderr
    assert report.is_file()
    answer = json.loads(run.invoke(app, ["run", "study.toml", "--json"]).stdout)
    assert {step["status"] for step in answer["steps"]} == {"kept"}
    assert answer["converged"] is None


@pytest.mark.slow
def test_from_a_table_to_a_report_by_way_of_a_fit(table, tmp_path):
    fit = tmp_path / "runs" / "base.nc"
    result = typed(
        "fit", table, "--model", "stein2019", "--value-unit", "copies/ug", "--lloq", 50, "--random", "cmax",
        "--draws", 50, "--tune", 100, "--chains", 2, "--seed", 1, "-o", fit,
    )  # fmt: skip
    # 100 draws cannot have an effective sample size of 400.
    assert result.returncode == 2, result.stderr
    assert "not converged" in result.stderr
    assert result.stdout.startswith("parameter,median")
    assert fit.is_file()
    told = typed("diagnose", fit, "--json")
    assert told.returncode == 2
    assert json.loads(told.stdout)["converged"] is False
    exposure = typed("exposure", fit, "--metric", "cmax")
    assert exposure.returncode == 0
    assert len(exposure.stdout.splitlines()) == 1 + 3
    page = tmp_path / "r.html"
    report = typed("report", fit, "-o", page, "--title", "From the shell")
    assert report.returncode == 2
    assert report.stdout.strip() == str(page)
    assert "<title>From the shell</title>" in page.read_text(encoding="utf-8")
    refused = typed("respond", fit, "--outcome", "crs_grade >= 3")
    assert refused.returncode == 1
    assert "crs_grade" in refused.stderr
