"""Verbs round what was made: compare, verify, index, cite, calibrate."""

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import carkinetics as ck
from carkinetics.batch.folder import RunFolder
from carkinetics.cli import app
from carkinetics.cli_run import names_of
from carkinetics.diagnostics.ranking import rank
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


@pytest.fixture
def two(monkeypatch):
    """Two saved fits that are ranked without being there."""
    fits = {"base": object(), "dose": object()}
    each = {name: pd.DataFrame({"elpd": elpd, "k": 0.1, "n_obs": 4, "how": "psis"}) for name, elpd in
            {"base": [-3.0, -4.0], "dose": [-1.0, -2.5]}.items()}  # fmt: skip
    asked: dict[str, object] = {"converged": {"base": True, "dose": True}}

    def compared(loaded, **options):
        asked.update(names=[*loaded], **options)
        return rank(each)

    def diagnosed(fit):
        name = next(name for name, one in fits.items() if one is fit)
        table = pd.DataFrame()
        table.attrs = {"converged": asked["converged"][name], "verdict": f"{name} was looked at"}
        return table

    monkeypatch.setattr(ck, "load_fit", lambda path: fits[path.stem])
    monkeypatch.setattr(ck, "compare", compared)
    monkeypatch.setattr(ck, "diagnose", diagnosed)
    monkeypatch.setattr(
        ck, "write_comparison", lambda path, loaded, **told: asked.update(page=path, told=told)
    )
    return asked


def test_compare_prints_the_ranking_and_writes_the_page_that_was_asked_for(two, tmp_path):
    said = run.invoke(app, ["compare", "base.nc", "dose.nc", "--criteria", "waic, bic", "--refit"])
    assert said.exit_code == 0, said.output
    assert two["names"] == ["base", "dose"]
    assert (two["criteria"], two["refit"]) == (["waic", "bic"], True)
    assert said.stdout.splitlines()[1].startswith("dose,-3.5,")
    assert "page" not in two
    page = tmp_path / "c.html"
    said = run.invoke(app, ["compare", "base.nc", "dose.nc", "-o", str(page), "--title", "Two", "--json"])
    assert two["page"] == page
    assert two["told"]["title"] == "Two"
    assert two["told"]["ranking"].index.tolist() == ["dose", "base"]
    assert [row["fit"] for row in json.loads(said.stdout)] == ["dose", "base"]


def test_compare_ends_with_2_if_a_fit_did_not_converge(two):
    two["converged"] = {"base": True, "dose": False}
    said = run.invoke(app, ["compare", "base.nc", "dose.nc"])
    assert said.exit_code == 2
    assert said.stdout.splitlines()[1].endswith("False")
    assert "dose was looked at" in said.stderr


def test_compare_writes_the_page_of_fits_that_cannot_be_ranked_and_fails(two, monkeypatch, tmp_path):
    def refuse(*_, **__):
        raise ConfigError("compare: fit both to the same data")

    monkeypatch.setattr(ck, "compare", refuse)
    with pytest.raises(ConfigError, match="fit both to the same data"):
        run.invoke(
            app, ["compare", "base.nc", "dose.nc", "-o", str(tmp_path / "c.html")], catch_exceptions=False
        )
    assert two["told"]["ranking"] is None
    with pytest.raises(ConfigError, match=r"a report is \.html, \.docx or \.pdf"):
        run.invoke(
            app, ["compare", "base.nc", "dose.nc", "-o", str(tmp_path / "c.txt")], catch_exceptions=False
        )


def test_files_of_one_name_are_told_apart_by_their_folders():
    assert [*names_of([Path("a/fit/base.nc"), Path("b/fit/base.nc")], "compare")] == [
        "a/fit/base",
        "b/fit/base",
    ]
    assert [*names_of([Path("a/base.nc"), Path("a/dose.nc")], "compare")] == ["base", "dose"]
    with pytest.raises(ConfigError, match="expected different fits"):
        names_of([Path("a/base.nc"), Path("a/../a/base.nc")], "compare")


def test_index_writes_a_page_and_says_what_is_wrong(folder):
    said = run.invoke(app, ["index", str(folder.parent)])
    assert said.exit_code == 0, said.output
    assert said.stdout.strip() == str(folder.parent / "index.html")
    assert "1 run: 1 without a population fit" in said.stderr
    (folder / "nca.csv").write_text("a\n2\n")
    bad = run.invoke(
        app, ["index", str(folder.parent), "--worst-first", "--json", "-o", str(folder.parent / "x.html")]
    )
    assert bad.exit_code == 1
    assert json.loads(bad.stdout)[0]["state"] == "not as it was made"
    with pytest.raises(ConfigError, match="is no folder"):
        run.invoke(app, ["index", str(folder / "none")], catch_exceptions=False)
