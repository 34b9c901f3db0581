"""Verbs round what was made: verify, cite, calibrate."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

import carkinetics as ck
from carkinetics.batch.folder import RunFolder
from carkinetics.cli import app
from carkinetics.errors import ConfigError

run = CliRunner()


@pytest.fixture
def folder(tmp_path):
    made = RunFolder(tmp_path / "run")
    with made.making("nca", {"seed": 1}) as draft:
        draft.path("nca.csv").write_text("a\n1\n")
    made.describe(finished="now")
    made.seal()
    return made.path


def test_verify_says_little_of_what_is_intact_and_fails_on_what_is_not(folder):
    good = run.invoke(app, ["verify", str(folder)])
    assert good.exit_code == 0
    assert "1 files of 1 steps are as they were made" in good.stderr
    assert "21 CFR Part 11" in good.stderr
    assert good.stdout == ""
    assert "nca.csv,same" in run.invoke(app, ["verify", str(folder), "--all"]).stdout
    (folder / "nca.csv").write_text("a\n2\n")
    bad = run.invoke(app, ["verify", str(folder)])
    assert bad.exit_code == 1
    assert "output,nca.csv,changed" in bad.stdout


def test_cite_writes_references_and_bibtex():
    assert "10.1002/psp4.12388" in run.invoke(app, ["cite", "stein2019"]).stdout
    assert run.invoke(app, ["cite", "stein2019", "--bibtex"]).stdout.startswith("@misc{carkinetics,")
    assert run.invoke(app, ["cite"]).stdout.startswith("The carkinetics developers")


def test_calibrate_hands_over_the_design_and_ends_with_its_statement(monkeypatch, tmp_path):
    asked = {}

    def calibrate(model, design, **options):
        asked.update(design=design, **options)
        return ck.read_calibration(Path(__file__).parent / "calibration" / "p1.csv")

    monkeypatch.setattr(ck, "calibrate", calibrate)
    said = run.invoke(
        app,
        [
            "calibrate",
            "stein2019",
            "--days",
            "7,14,28",
            "--lloq",
            "50",
            "-n",
            "5",
            "--figure",
            str(tmp_path / "x.png"),
        ],
    )
    assert said.exit_code == 0, said.output
    assert asked["design"] == {"times": [7.0, 14.0, 28.0], "doses": [1e6], "lloq": 50.0}
    assert asked["n"] == 5
    assert "cmax_typical,100," in said.stdout
    assert "90 % intervals held" in said.stderr
    assert (tmp_path / "x.png").stat().st_size > 1000
    with pytest.raises(ConfigError, match="--days is '7;14'; expected numbers with commas"):
        run.invoke(app, ["calibrate", "stein2019", "--days", "7;14", "--lloq", "50"], catch_exceptions=False)
