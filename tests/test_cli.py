"""Every verb, as a user types it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import carkinetics as ck
from carkinetics.cli import app, main
from carkinetics.errors import ConfigError, DataError
from carkinetics.model import load_model, simulate
from carkinetics.prognosis import known_population

run = CliRunner()


@pytest.fixture
def table(tmp_path: Path) -> Path:
    design = {"times": (1, 7, 10, 14, 28, 60), "lloq": 50.0}
    rows = simulate(load_model("stein2019"), design, n=3, seed=1).observations
    cells = rows["value"].map(lambda value: f"{value:.4g}" if value == value else "<50")
    path = tmp_path / "data.csv"
    pd.DataFrame({"ID": rows["subject"], "TIME": rows["time"], "DV": cells}).to_csv(path, index=False)
    return path


def in_a_process(*arguments: object) -> subprocess.CompletedProcess:
    """The installed command in a process of its own."""
    code = "from carkinetics.cli import main; main()"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | {"COLUMNS": "200"})


@pytest.fixture
def typed(monkeypatch, capsys) -> Callable[..., subprocess.CompletedProcess]:
    """The same here, with its exit code: a process would spend most of its time on imports."""

    def call(*arguments: object) -> subprocess.CompletedProcess:
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.setattr(sys, "argv", ["carkinetics", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main()
        shown = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, stopped.value.code or 0, shown.out, shown.err)

    return call


def test_models_lists_the_shipped_models():
    result = run.invoke(app, ["models"])
    assert result.exit_code == 0
    assert "stein2019" in result.stdout


def test_models_compares_what_a_file_quotes_with_what_it_gives(tmp_path):
    result = run.invoke(app, ["models", "stein2019", "--checks", "--json"])
    assert result.exit_code == 0
    assert all(row["holds"] for row in json.loads(result.stdout))
    path = tmp_path / "ours.toml"
    path.write_text(load_model("stein2019").text.replace("expected = ", "expected = 1"), encoding="utf-8")
    assert run.invoke(app, ["models", str(path), "--checks"]).exit_code == 1


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


def test_an_error_of_ours_is_one_line_without_a_traceback():
    result = in_a_process("models", "stein2018")
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: no model 'stein2018'; did you mean 'stein2019'")
    assert len(result.stderr.splitlines()) == 1


def test_square_brackets_in_an_error_are_text(typed, tmp_path):
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


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "data.csv", "--llqo", "50"], "--lloq"),
        (["fit", "data.csv"], "--model"),
        (["chekc", "data.csv"], "chekc"),
    ],
)
def test_a_mistyped_command_is_an_error_and_not_a_fit_that_has_not_converged(typed, arguments, said):
    result = typed(*arguments)
    assert result.returncode == 1  # 2 says that a fit is finished
    assert result.stderr.startswith("error: ")
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [[], ["--help"], ["fit", "--help"]])
def test_help_is_an_answer(arguments):
    result = in_a_process(*arguments)
    assert result.returncode == 0
    assert "Usage: carkinetics" in result.stdout


BAD_TABLES = {
    "no-value-column": ("ID,TIME,VALUE\n1,7,2400\n", "column 'DV' is missing; known are ID, TIME, VALUE; if another"),
    "empty": ("", "the table is empty"),
    "two-units": ("ID,TIME,DV,UNIT\n1,7,9,copies/ug\n1,9,9,cells/uL\n", "assay 'car' has 2 units"),
    "no-number": ("ID,TIME,DV\n1,7,inf\n1,9,abc\n", "no observation is left"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "said"), BAD_TABLES.values(), ids=BAD_TABLES)
@pytest.mark.parametrize("verb", ["check", "nca"])
def test_a_table_that_cannot_be_read_is_one_clear_line(tmp_path, monkeypatch, capsys, verb, content, said):
    path = tmp_path / "bad.csv"
    path.write_text(content, encoding="utf-8")
    unit = [] if "UNIT" in content else ["--value-unit", "copies/ug"]
    monkeypatch.setattr(sys, "argv", ["carkinetics", verb, str(path), "--lloq", "50", *unit])
    with pytest.raises(SystemExit, match="1"):
        main()
    shown = capsys.readouterr()
    assert shown.out == ""
    assert said in shown.err
    assert len(shown.err.splitlines()) == 1


def test_odd_identifiers_doses_of_zero_and_blq_only_subjects_get_an_answer(tmp_path):
    evil = "<script>alert(1)</script>[red]"
    rows = [
        ("x" * 300, 7, 500),
        ("x" * 300, 14, 300),
        (evil, 7, "<50"),
        (evil, 14, "BLQ"),
        ("single", 7, 900),
    ]
    path = tmp_path / "odd.csv"
    pd.DataFrame(rows, columns=["ID", "TIME", "DV"]).assign(AMT=".").to_csv(path, index=False)
    with path.open("a", encoding="utf-8") as file:
        file.write("single,0,.,0\n")
    common = [str(path), "--value-unit", "copies/ug", "--lloq", "50"]
    found = run.invoke(app, ["check", *common])
    assert found.exit_code == 1  # for the dose of zero
    assert {"dose-positive", "subject-all-blq", "subject-single-sample"} <= {
        line.split(",")[1] for line in found.stdout.splitlines()
    }
    table = json.loads(run.invoke(app, ["nca", *common, "--metric", "cmax", "--json"]).stdout)
    assert {row["subject"]: row["value"] for row in table} == {"x" * 300: 500, evil: None, "single": 900}


@pytest.fixture
def two_assays(tmp_path: Path) -> Path:
    path = tmp_path / "two.csv"
    path.write_text(
        "SUBJ,TIME,DV,DVID,UNIT\n1,7,900,qpcr,copies/ug\n1,7,<1,flow,cells/uL\n1,14,BLQ,qpcr,copies/ug\n",
        encoding="utf-8",
    )
    (tmp_path / "subjects.csv").write_text("SUBJ,CRS\n1,\n", encoding="utf-8")
    return path


def test_each_assay_can_be_given_its_limit(two_assays):
    common = ["check", str(two_assays), "--column", "ID=SUBJ"]
    assert run.invoke(app, [*common, "--lloq", "qpcr=25", "--lloq", "flow=1"]).exit_code == 0
    assert "lloq-given" in run.invoke(app, [*common, "--lloq", "flow=1"]).stdout


def test_a_plain_limit_belongs_to_the_assay_that_was_chosen(two_assays):
    common = ["check", str(two_assays), "--column", "ID=SUBJ", "--lloq", "25"]
    assert isinstance(run.invoke(app, common).exception, DataError)
    assert run.invoke(app, [*common, "--assay", "qpcr"]).exit_code == 0


def test_a_subject_table_is_read_along(two_assays):
    subjects = two_assays.with_name("subjects.csv")
    common = ["check", str(two_assays), "--column", "ID=SUBJ", "--lloq", "25", "--assay", "qpcr"]
    assert "crs is missing in 1 of 1" in run.invoke(app, [*common, "--subjects", str(subjects)]).stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--lloq", "abc"], "--lloq is 'abc'; expected one value, or ASSAY=VALUE"),
        (["--lloq", "qpcr=abc"], "--lloq is 'qpcr=abc'"),
        (["--lloq", "5", "--lloq", "6"], "--lloq is '5'; expected one value"),
        (["--lloq", "qpcr=5", "--lloq", "qpcr=6"], "--lloq gives 'qpcr' twice: 5, 6"),
        (["--column", "DV"], "--column is 'DV'; expected ROLE=COLUMN"),
    ],
)
def test_an_option_by_assay_has_to_be_readable(two_assays, options, said):
    found = run.invoke(app, ["check", str(two_assays), *options]).exception
    assert isinstance(found, ConfigError)
    assert said in str(found)


def test_what_cannot_be_written_is_one_line(typed, table, tmp_path):
    common = (table, "--value-unit", "copies/ug", "--lloq", 50)
    below_a_file = typed("nca", *common, "-o", table / "x" / "nca.csv")
    assert below_a_file.returncode == 1
    assert "Not a directory" in below_a_file.stderr
    assert len(below_a_file.stderr.splitlines()) == 1


def test_a_fit_finds_out_before_sampling_that_it_cannot_be_saved(table, tmp_path):
    common = ["fit", str(table), "--value-unit", "copies/ug", "--lloq", "50", "--model", "stein2019", "-o"]
    for output, said in ((tmp_path, "is a folder"), (table / "fit.nc", "cannot be written")):
        found = run.invoke(app, [*common, str(output)]).exception
        assert isinstance(found, ConfigError)
        assert said in str(found)


def test_a_negative_seed_is_refused(table, tmp_path):
    common = ["fit", str(table), "--value-unit", "copies/ug", "--lloq", "50", "--model", "stein2019"]
    found = run.invoke(app, [*common, "-o", str(tmp_path / "f.nc"), "--seed", "-1"]).exception
    assert "--seed is -1; expected a whole number from 0" in str(found)


@pytest.mark.slow
def test_a_fit_of_subjects_who_are_all_blq_ends_with_its_verdict(typed, tmp_path):
    path = tmp_path / "blq.csv"
    path.write_text("ID,TIME,DV\n1,7,<50\n1,14,BLQ\n2,7,<50\n2,14,ND\n", encoding="utf-8")
    result = typed(
        "fit", path, "--model", "stein2019", "--value-unit", "copies/ug", "--lloq", 50, "--random", "cmax",
        "--draws", 20, "--tune", 40, "--chains", 2, "--seed", 1, "-o", tmp_path / "f.nc",
    )  # fmt: skip
    assert result.returncode == 2, result.stderr
    assert "not converged" in result.stderr
    assert "cmax_typical" in result.stdout


def test_a_covariate_has_to_be_written_as_parameter_and_text(typed, table, tmp_path):
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
def test_from_a_table_to_a_report_by_way_of_a_fit(typed, table, tmp_path):
    fit = tmp_path / "runs" / "base.nc"
    result = in_a_process(
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
    assert exposure.returncode == 2  # the numbers rest on a fit that has not converged
    assert "not converged" in exposure.stderr
    assert len(exposure.stdout.splitlines()) == 1 + 3
    page = tmp_path / "r.html"
    second = shutil.copy(fit, tmp_path / "runs" / "again.nc")
    report = typed("report", fit, second, "-o", page, "--title", "From the shell")
    for one in (fit, second):
        assert f"{one}: not converged" in report.stderr
    assert report.returncode == 2
    assert report.stdout.strip() == str(page)
    assert "<title>From the shell</title>" in page.read_text(encoding="utf-8")
    refused = typed("respond", fit, "--outcome", "crs_grade >= 3")
    assert refused.returncode == 1
    assert "crs_grade" in refused.stderr
    for extra in ((), ("--joint",)):
        refused = typed("respond", fit, "--duration", "pfs_day", "--event", "pfs_event", *extra)
        assert refused.returncode == 1
        assert "subjects has no column 'pfs_day'" in refused.stderr


def test_respond_calls_the_outcome_by_its_label(made_fit, tmp_path):
    grades = made_fit.data.subjects.assign(crs_grade=[0, 3, 1, 4, 2, 0, 3, 1])
    fit = replace(made_fit, data=replace(made_fit.data, subjects=grades)).save(tmp_path / "made.nc")
    asked = ["respond", str(fit), "--outcome", "crs_grade >= 3"]
    called = run.invoke(app, [*asked, "--label", "CRS of grade 3 or more"])
    assert "3 of 8 subjects had CRS of grade 3 or more; its odds" in called.stderr
    assert "3 of 8 subjects had crs_grade >= 3; its odds" in run.invoke(app, asked).stderr


def test_models_shows_every_output_and_initial_values():
    shown = run.invoke(app, ["models", "effector_memory_tumour"]).stdout
    for line in (
        "effector(0) = e0",
        "observed car (copies/ug) = effector + memory",
        "observed tumour (1) = tumour",
    ):
        assert line in shown


@pytest.fixture
def known_fit(tmp_path: Path) -> Path:
    return known_population(load_model("stein2019"), assay="car").save(tmp_path / "known.nc")


def test_forecast_writes_a_row_for_each_day_and_metric(table, known_fit, tmp_path):
    out, picture = tmp_path / "out.csv", tmp_path / "out.png"
    result = run.invoke(
        app,
        ["forecast", str(known_fit), str(table), "--subject", "S002", "--upto", "7", "--upto", "14", "--metric", "cmax",
         "--value-unit", "copies/ug", "-o", str(out), "--figure", str(picture)],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    rows = pd.read_csv(out)
    assert rows[["upto", "metric"]].to_numpy().tolist() == [[7, "cmax"], [14, "cmax"]]
    assert (rows["lower"] < rows["upper"]).all()
    assert "Subject S002, from 2 samples up to day 7: cmax" in result.stderr
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_forecast_of_nobody_in_particular_says_whom_there_are(typed, table, known_fit):
    done = typed("forecast", known_fit, table, "--value-unit", "copies/ug")
    assert done.returncode == 1
    assert "the data hold 3 subjects (S001, S002, S003); choose one by subject=" in done.stderr


def test_a_report_of_a_fit_with_covariates_has_their_forest(dose_fit, completed, monkeypatch, tmp_path):
    fit, shown = completed(dose_fit), []
    monkeypatch.setattr(ck, "load_fit", lambda path: fit)
    monkeypatch.setattr(ck, "write_report", lambda path, data, *parts, title: shown.append(parts))
    monkeypatch.setattr(ck, "loo_pit", lambda one: "places of " + one.model.name)
    for extra in ((), ("--loo-pit",)):
        said = run.invoke(app, ["report", "fit.nc", "-o", str(tmp_path / "r.html"), *extra])
        assert said.exit_code == 0, said.output
    without, asked = shown
    forest = without[-1]
    assert forest.settings["metrics"] == ["cmax", "auc_0_28"]
    assert asked[-1] == "places of stein2019"
    assert [type(part) for part in asked[:-1]] == [type(part) for part in without]
