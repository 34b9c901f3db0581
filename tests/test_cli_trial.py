"""Every verb of `carkinetics trial`, as a user types it."""

import json
import sys
import tomllib
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import carkinetics as ck
from carkinetics.cli import app, main

run = CliRunner()
DESIGN = '[design]\nrule = "3+3"\nvariant = "B"\ndoses = [0.1e6, 0.3e6, 1.0e6]\n'
SCENARIO = "[scenarios.steep]\ntruth = [0.1, 0.25, 0.5]\n"


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "plain.toml"
    path.write_text(DESIGN + SCENARIO, encoding="utf-8")
    return path


def answer(*arguments: object) -> str:
    result = run.invoke(app, ["trial", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout


def rows(text: str) -> pd.DataFrame:
    return pd.read_csv(StringIO(text))


def test_list_names_what_is_shipped():
    (one,) = json.loads(answer("list", "--json"))
    assert one["name"] == "nct05783089"
    assert one["design"] == "titration, then 3+3 (B)"
    assert one["scenarios"].split() == list(ck.load_scenarios("nct05783089"))


def test_decide_says_what_the_design_says(plain):
    cohorts = ["--cohort", "0.1e6:3:0", "--cohort", "0.3e6:3:1"]
    assert answer("decide", plain, *cohorts).splitlines() == [
        "stay: treat 3 at dose 3e5", "1 of 3 with a DLT at dose 3e5."
    ]  # fmt: skip
    found = json.loads(answer("decide", plain, *cohorts, "--json"))
    expected = ck.load_design(plain).decide([(0.1e6, 3, 0), (0.3e6, 3, 1)])
    for name in ("action", "dose", "n", "reason"):
        assert found[name] == getattr(expected, name)
    assert found["design"] == "3+3 (B)"
    assert [cohort["n"] for cohort in found["cohorts"]] == [3, 3]
    assert answer("decide", plain).startswith("start: treat 3 at dose 1e5")
    assert answer("decide", plain, "--cohort", "1e5:3:3").startswith(
        "stop; no dose is selected\n3 of 3 with a DLT"
    )


def test_decide_counts_a_titrations_grade_2():
    first = ["decide", "nct05783089", "--cohort", "0.1e6:1:0"]
    assert answer(*first, "--cohort", "0.3e6:1:0:1").startswith("stay: treat 2 at dose 3e5")
    assert "Grade 2 number 1" in answer("decide", "nct05783089", "--cohort", "0.1e6:1:0:1")


def test_decide_reads_tables_of_cohorts_and_of_patients(plain, tmp_path):
    cohorts = tmp_path / "cohorts.csv"
    cohorts.write_text("Dose,N,DLT,grade2\n0.1e6,3,0,0\n0.3e6,3,0,1\n", encoding="utf-8")
    assert answer("decide", plain, "--cohorts", cohorts).startswith("escalate: treat 3 at dose 1e6")
    patients = tmp_path / "patients.csv"
    patients.write_text(
        "patient,planned,dose,dlt,evaluable,days\n01,1e5,1e5,no,yes,28\n02,1e5,1e5,0,0,5\n03,3e5,2e5,0,1,28\n04,1e5,1e5,0,1,28\n",
        encoding="utf-8",
    )
    result = run.invoke(app, ["trial", "decide", str(plain), "--patients", str(patients)])
    assert result.stdout.startswith("escalate: treat 3 at dose 3e5\n0 of 3 with a DLT at dose 1e5.")
    assert "patient 02: not counted; not evaluable, without a DLT: replaced" in result.stderr
    assert "patient 03: no DLT; received 200000, planned 300000: counts as 100000" in result.stderr
    assert "patient 01" not in result.stderr


def test_a_note_that_windows_are_open_is_shown(plain):
    said = answer("decide", plain, "--cohort", "1e5:3:2:0:1")
    assert "still in their DLT window; whatever their outcomes" in said


def test_table_is_the_decision_table(plain, tmp_path):
    found = rows(answer("table", plain, "--n-max", 3)).set_index("dlt")
    assert found["n=3"].tolist() == ["E", "S", "DU", "DU"]
    output, picture = tmp_path / "new" / "table.csv", tmp_path / "table.png"
    answer("table", plain, "-o", output, "--figure", picture)
    assert len(pd.read_csv(output)) == 7
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_paths_carry_the_probability_of_a_truth(plain):
    found = rows(answer("paths", plain, "--cohorts-ahead", 2, "--truth", "0.1,0.2,0.3"))
    assert found["probability"].sum() == pytest.approx(1)
    none = found.query("dlt_1 == 0 and dlt_2 == 0")
    assert none["probability"].tolist() == pytest.approx([0.9**3 * 0.8**3])
    after = json.loads(answer("paths", plain, "--cohorts-ahead", 1, "--cohort", "1e5:3:0", "--json"))
    assert [row["dlt_1"] for row in after] == [0, 1, 2, 3]
    assert {row["dose_1"] for row in after} == {3e5}


def test_oc_is_that_of_the_truth_or_of_the_files_scenarios(plain, tmp_path):
    result = run.invoke(app, ["trial", "oc", str(plain)])
    found = rows(result.stdout)
    expected = ck.operating_characteristics(ck.load_design(plain), [0.1, 0.25, 0.5])
    assert found["scenario"].unique().tolist() == ["steep"]
    assert found["p_select"].tolist() == pytest.approx(expected["p_select"].tolist(), abs=1e-4)
    assert f"selected in {100 * expected.attrs['p_overdose']:.1f} %" in result.stderr
    assert "exact" in result.stderr
    typed = rows(answer("oc", plain, "--truth", "0.1,0.25,0.5"))
    assert typed["p_select"].tolist() == found["p_select"].tolist()
    assert typed["scenario"].unique().tolist() == ["truth"]


def test_oc_simulated_states_its_error_and_its_seed(plain, tmp_path):
    picture = tmp_path / "oc.png"
    asked = ["oc", plain, "--truth", "0.1,0.25,0.5", "--simulate", "--trials", 300, "--seed", 5]
    found = rows(answer(*asked, "--figure", picture))
    assert found["p_select_se"].max() == pytest.approx(0.029, abs=0.002)  # sqrt(p (1 - p) / 300)
    assert rows(answer(*asked)).equals(found)
    assert picture.stat().st_size > 1000


def test_the_shipped_scenarios_are_those_of_its_kinetics():
    plan = ck.load_trial("nct05783089")
    truth = ck.dose_truth(plan, n=4000, seed=2)
    scenario = plan.scenarios["from_cells"]
    n, cells = 4000, truth["true_dlt"].to_numpy()
    assert scenario.truth == pytest.approx(cells, abs=4 * (0.25 / n) ** 0.5)
    assert scenario.grade2 == pytest.approx(truth["true_grade2"].to_numpy(), abs=4 * (0.25 / n) ** 0.5)
    assert plan.scenarios == ck.load_scenarios("nct05783089")


def test_simulate_writes_one_trial_that_can_be_read(tmp_path):
    folder = tmp_path / "one"
    result = run.invoke(app, ["trial", "simulate", "nct05783089", "--seed", "3", "-o", str(folder)])
    assert result.exit_code == 0
    settings = tomllib.loads((folder / "dataset.toml").read_text(encoding="utf-8"))
    settings.pop("about")
    paths = {name: folder / settings.pop(name) for name in ("path", "subjects")}
    assert len(ck.read_nonmem(paths["path"], subjects=paths["subjects"], **settings).subjects) == 87
    decisions = pd.read_csv(folder / "decisions.csv")
    assert len(rows(result.stdout)) == len(decisions)
    assert decisions["action"].iloc[-1] == "stop"
    assert f"saved in {folder}" in result.stderr


def test_simulate_counts_many_trials(tmp_path):
    folder = tmp_path / "many"
    asked = ["trial", "simulate", "nct05783089", "--trials", "4", "--seed", "3", "-o", str(folder)]
    result = run.invoke(app, [*asked, "--figure", str(tmp_path / "power.png")])
    assert result.exit_code == 0
    expected = ck.simulate_trials(ck.load_trial("nct05783089"), 4, 3, workers=1)
    assert pd.read_csv(folder / "trials.csv")["slope"].to_numpy() == pytest.approx(
        expected.trials["slope"].to_numpy(), nan_ok=True
    )
    assert pd.read_csv(folder / "doses.csv")["p_select"].sum() == pytest.approx(1)
    assert set(pd.read_csv(folder / "power.csv")["question"]) == set(expected.power.index)
    assert (tmp_path / "power.png").is_file()


BAD = {
    "cohort-text": (["decide", "PLAIN", "--cohort", "0.1e6-3-0"], "cohort '0.1e6-3-0': expected dose:n:dlt"),
    "cohort-short": (["decide", "PLAIN", "--cohort", "0.1e6:3"], "has 2 numbers; expected dose:n:dlt"),
    "unknown-dose": (["decide", "PLAIN", "--cohort", "0.2e6:3:0"], "the doses of the design are 1e5, 3e5, 1e6"),
    "too-many-dlts": (["decide", "PLAIN", "--cohort", "0.1e6:3:4"], "4 DLTs among 3 patients"),
    "open-window": (["decide", "PLAIN", "--cohort", "0.1e6:3:0:0:1"], "still in their DLT window"),
    "both": (["decide", "PLAIN", "--cohort", "0.1e6:3:0", "--cohorts", "x.csv"], "--cohort and --cohorts are both given"),
    "no-file": (["decide", "PLAIN", "--cohorts", "nowhere.csv"], "nowhere.csv"),
    "column": (["decide", "PLAIN", "--cohorts", "COLUMN"], "column 'toxic' is not known"),
    "cell": (["decide", "PLAIN", "--patients", "CELL"], "cell.csv, line 2: dlt is 'maybe'; expected a number"),
    "no-trial": (["table", "nct0578308"], "no trial 'nct0578308'; did you mean 'nct05783089'"),
    "no-design": (["decide", "EMPTY"], "[design] is missing"),
    "table-of-crm": (["table", "CRM"], "decides from the data of all doses"),
    "truth-words": (["oc", "PLAIN", "--truth", "low,high"], "--truth is 'low,high'; expected numbers with commas"),
    "truth-short": (["oc", "PLAIN", "--truth", "0.1,0.2"], "truth has 2 values; expected one for each of 3 doses"),
    "truth-falls": (["oc", "PLAIN", "--truth", "0.3,0.2,0.4"], "truth falls from 0.3"),
    "grade2-alone": (["oc", "PLAIN", "--grade2", "0.1,0.1,0.1"], "--grade2 is given without --truth"),
    "grade2-missing": (["oc", "nct05783089", "--truth", "0.1,0.1,0.1,0.2,0.3"], "grade 2 ends its titration"),
    "no-scenario": (["oc", "CRM"], "has no [scenarios.NAME]"),
    "bad-scenario": (["oc", "SCENARIO"], "[scenarios.mild]: 'thruth' is not known; did you mean 'truth'"),
    "seed": (["oc", "PLAIN", "--seed", "-1"], "--seed is -1"),
    "trials": (["simulate", "nct05783089", "--trials", "1", "-o", "OUT"], "trials is 1"),
    "no-kinetics": (["simulate", "PLAIN", "-o", "OUT"], "'name' is missing"),
    "output-file": (["simulate", "nct05783089", "-o", "PLAIN"], "is a file; expected a folder"),
    "figure-folder": (["table", "PLAIN", "--figure", "FOLDER"], "is a folder; expected a file"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "said"), BAD.values(), ids=BAD)
def test_bad_input_is_one_clear_line(tmp_path, plain, monkeypatch, capsys, arguments, said):
    files = {
        "EMPTY": ("empty.toml", 'name = "x"\n'),
        "COLUMN": ("column.csv", "dose,n,toxic\n1e5,3,0\n"),
        "CELL": ("cell.csv", "patient,dose,dlt\na,1e5,maybe\n"),
        "CRM": ("crm.toml", '[design]\nrule = "crm"\ndoses = 3\nskeleton = [0.1, 0.2, 0.4]\ntarget = 0.3\n'),
        "SCENARIO": ("scenario.toml", DESIGN + "[scenarios.mild]\ntruth = [0.1, 0.1, 0.1]\nthruth = [0.1]\n"),
    }
    places = {"PLAIN": plain, "FOLDER": tmp_path, "OUT": tmp_path / "out"}
    for key, (name, text) in files.items():
        places[key] = tmp_path / name
        places[key].write_text(text, encoding="utf-8")
    typed = [str(places.get(word, word)) for word in arguments]
    monkeypatch.setattr(sys, "argv", ["carkinetics", "trial", *typed])
    with pytest.raises(SystemExit, match="1"):
        main()
    shown = capsys.readouterr()
    assert shown.out == ""
    assert said in shown.err
    assert len(shown.err.splitlines()) == 1
