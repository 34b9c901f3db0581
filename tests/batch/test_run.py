import html
import json
from pathlib import Path

import pandas as pd
import pytest

from carkinetics.batch import run_study
from carkinetics.batch.config import read_study
from carkinetics.batch.folder import sha256_of
from carkinetics.batch.study import Study
from carkinetics.diagnostics import loo_pit, prior_sensitivity
from carkinetics.errors import ConfigError
from carkinetics.exposure import covariate_forest
from carkinetics.fit import screen_covariates, stepwise_covariates
from carkinetics.report import pdf

AFTER = ("sensitivity", "screen", "stepwise", "loo_pit", "forest")
WITHOUT_FIT = ["study", "data", "nca", "dose.auc_0_28", "response.crs", "report"]


def statuses(result) -> dict[str, str]:
    return dict(zip(result.steps["step"], result.steps["status"], strict=True))


def test_a_study_without_a_fit_goes_from_data_to_report(study: Path):
    said: list[str] = []
    result = run_study(study, progress=said.append)
    assert statuses(result) == dict.fromkeys(WITHOUT_FIT, "made")
    assert result.converged is None
    assert result.failures.empty
    found = {
        path.relative_to(result.folder).as_posix() for path in result.folder.rglob("*") if path.is_file()
    }
    assert {
        "manifest.json", "log.txt", "study.toml", "findings.csv", "observations.csv", "nca.csv", "dose/auc_0_28.csv",
        "response/crs.csv", "report.html",
    } <= found  # fmt: skip
    assert said[0] == "study ..."
    assert "report: made" in said
    assert len(pd.read_csv(result.folder / "nca.csv")) == 6 * 2


def test_a_second_run_makes_nothing_again(study: Path):
    first = run_study(study)
    stamps = {path: path.stat().st_mtime_ns for path in first.folder.rglob("*.csv")}
    page = sha256_of(first.report)
    second = run_study(study)
    assert set(statuses(second).values()) == {"kept"}
    assert stamps == {path: path.stat().st_mtime_ns for path in second.folder.rglob("*.csv")}
    assert sha256_of(second.report) == page


def test_a_changed_setting_makes_only_what_depends_on_it(study: Path):
    run_study(study)
    study.write_text(
        study.read_text(encoding="utf-8").replace("crs_grade >= 3", "crs_grade >= 2"), encoding="utf-8"
    )
    assert statuses(run_study(study)) == {
        "study": "made", "data": "kept", "nca": "kept", "dose.auc_0_28": "kept", "response.crs": "made", "report": "made",
    }  # fmt: skip


def test_changed_data_make_everything_after_them(study: Path):
    run_study(study)
    file = study.parent / "data.csv"
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines()
    lines[2] = lines[2].replace(lines[2].split(",")[2], "77")
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    result = statuses(run_study(study))
    assert result.pop("study") == "kept"
    assert set(result.values()) == {"made"}


def test_another_seed_and_another_folder_can_be_asked_for(study: Path, tmp_path: Path):
    result = run_study(study, seed=99, output=tmp_path / "other")
    manifest = json.loads((tmp_path / "other" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["seed"] == 99
    assert manifest["versions"]["carkinetics"]
    assert manifest["data"]["dataset"]
    assert result.folder == tmp_path / "other"
    assert not (study.parent / "run").exists()


def test_a_step_that_cannot_be_made_is_reported_and_the_rest_is_there(study: Path):
    text = study.read_text(encoding="utf-8").replace("log(cmax)", "log(cmx)")
    study.write_text(text, encoding="utf-8")
    result = run_study(study)
    assert statuses(result)["response.crs"] == "failed"
    assert statuses(result)["report"] == "made"
    assert result.failures.iloc[0]["rule"] == "step-failed"
    assert "did you mean 'cmax'" in result.failures.iloc[0]["message"]
    assert "did you mean &#39;cmax&#39;" in result.report.read_text(encoding="utf-8")
    assert "response.crs\tstopped" in (result.folder / "log.txt").read_text(encoding="utf-8")


def test_an_unknown_model_stops_before_anything_is_written(fitted_study: Path):
    fitted_study.write_text(
        fitted_study.read_text(encoding="utf-8").replace("stein2019", "stein2018"), encoding="utf-8"
    )
    with pytest.raises(ConfigError, match="did you mean 'stein2019'"):
        run_study(fitted_study)
    assert not (fitted_study.parent / "run" / "data").exists()


@pytest.mark.slow
def test_a_study_with_a_fit_resumes_after_an_interruption(fitted_study: Path, monkeypatch):
    from carkinetics.batch import steps

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setitem(steps.WRITERS, "exposure", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_study(fitted_study)
    result = run_study(fitted_study)
    found = statuses(result)
    assert [found[step] for step in ("data", "nca", "individual", "fit.base", "diagnose.base")] == [
        "kept"
    ] * 5
    assert [found[step] for step in ("exposure", "dose.auc_0_28", "response.crs", "report")] == ["made"] * 4
    # 60 draws cannot give an effective sample size of 400: the verdict has to say so.
    assert result.converged is False
    assert result.verdict.startswith("base: not converged")
    page = result.report.read_text(encoding="utf-8")
    assert "not converged: do not use these numbers" in page
    assert {"fit/base.nc", "fit/base-parameters.csv", "fit/base-diagnosis.csv", "exposure.csv"} <= {
        path.relative_to(result.folder).as_posix() for path in result.folder.rglob("*")
    }
    assert (result.folder / "fit/base.nc").read_bytes()[:4] == b"\x89HDF"


@pytest.mark.slow
def test_a_damaged_fit_is_made_again_with_the_same_numbers(fitted_study: Path):
    first = run_study(fitted_study)
    before = pd.read_csv(first.folder / "fit/base-parameters.csv")
    (first.folder / "fit/base.nc").write_bytes(b"damaged")
    second = run_study(fitted_study)
    assert statuses(second)["fit.base"] == "made"
    pd.testing.assert_frame_equal(before, pd.read_csv(second.folder / "fit/base-parameters.csv"))


def test_a_change_of_a_model_that_makes_no_sense_names_its_section(study: Path):
    text = study.read_text(encoding="utf-8")
    study.write_text(text + '[fit.base]\nmodel = "stein2019"\nfix = { cmxa = 3 }\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"\[fit\.base\] fix: .* 'cmxa'; did you mean 'cmax'"):
        run_study(study)


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_that_no_generator_takes_stops_before_anything_is_written(study: Path, seed: int):
    with pytest.raises(ConfigError, match=r"seed is .*expected a whole number from 0 to 2\*\*63 - 1"):
        run_study(study, seed=seed)
    assert not (study.parent / "run").exists()


@pytest.mark.slow
def test_a_fit_that_cannot_be_fails_clearly_and_the_rest_is_reported(study: Path):
    text = study.read_text(encoding="utf-8")
    study.write_text(text + '[fit.zeros]\nmodel = "stein2019"\nblq = "M7"\n', encoding="utf-8")
    result = run_study(study)
    status = result.steps.set_index("step")["status"]
    assert status["fit.zeros"] == "failed"
    assert status["diagnose.zeros"] == "skipped"
    assert status["dose.auc_0_28"] == status["response.crs"] == status["report"] == "made"
    assert result.converged is False
    assert "puts zeros into the data" in result.report.read_text(encoding="utf-8")


def test_an_empty_list_of_candidates_is_a_table_that_fails(study: Path):
    text = study.read_text(encoding="utf-8")
    study.write_text(text + '[fit.base]\nmodel = "stein2019"\nscreen = []\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"\[fit\.base\] screen is \[\]; expected a list of text or"):
        run_study(study)


@pytest.mark.slow
def test_what_is_asked_of_a_fit_is_written_read_again_and_shown(fitted_study: Path):
    asked = 'chains = 2\ncovariates = { tmax = "log(dose)" }\nsensitivity = true\nloo_pit = true\nscreen = { cmax = "log(dose)" }\nstepwise = { cmax = "log(dose)" }'
    text = fitted_study.read_text(encoding="utf-8").replace("chains = 2", asked)
    fitted_study.write_text(text, encoding="utf-8")
    first = run_study(fitted_study)
    made = {name: statuses(first)[f"{name}.base"] for name in AFTER}
    assert set(made.values()) == {"made"}
    study = Study(read_study(fitted_study), 7, first.folder)
    found = study["sensitivity.base"]
    pd.testing.assert_frame_equal(found, prior_sensitivity(study["fit.base"], seed=7))
    assert found.attrs == prior_sensitivity(study["fit.base"], seed=7).attrs
    screen = screen_covariates(study["fit.base"], {"cmax": "log(dose)"}, seed=7)
    pd.testing.assert_frame_equal(study["screen.base"].table, screen.table)
    assert study["screen.base"].settings == screen.settings
    search = stepwise_covariates(study["fit.base"], {"cmax": "log(dose)"}, seed=7)
    pd.testing.assert_frame_equal(study["stepwise.base"].steps, search.steps)
    assert study["stepwise.base"].fit.minus_two_ll == search.fit.minus_two_ll
    places = loo_pit(study["fit.base"], seed=7)
    pd.testing.assert_frame_equal(study["loo_pit.base"].table, places.table, check_dtype=False)
    pd.testing.assert_frame_equal(study["loo_pit.base"].curve, places.curve)
    assert study["loo_pit.base"].statement == places.statement
    forest = covariate_forest(study["fit.base"], n_draws=1000, seed=7)
    pd.testing.assert_frame_equal(study["forest.base"].table, forest.table)
    pd.testing.assert_frame_equal(study["forest.base"].draws, forest.draws)
    page = html.unescape(first.report.read_text(encoding="utf-8"))
    assert places.statement in page
    assert forest.statement in page
    assert "Sensitivity to priors and data" in page
    assert "Screen of covariates" in page
    assert "Stepwise search" in page
    fitted_study.write_text(text.replace("sensitivity = true", "sensitivity = false"), encoding="utf-8")
    second = statuses(run_study(fitted_study))
    assert second["screen.base"] == second["fit.base"] == "kept"
    assert "sensitivity.base" not in second


@pytest.mark.slow
def test_a_cross_check_is_made_when_asked_and_shown(fitted_study: Path):
    text = fitted_study.read_text(encoding="utf-8")
    fitted_study.write_text(
        text.replace("chains = 2", "chains = 2\ncross_check = true\nmax_minutes = 0.5"), encoding="utf-8"
    )
    result = run_study(fitted_study)
    assert statuses(result)["cross_check.base"] == "made"
    table = pd.read_csv(result.folder / "fit/base-cross-check.csv")
    assert {"parameter", "mean", "other_mean", "shift_sd", "z"} == set(table.columns)
    assert "Two engines on one posterior" in result.report.read_text(encoding="utf-8")


def test_an_event_is_a_step_with_its_tables_and_a_place_in_the_report(study: Path):
    subjects = pd.read_csv(study.parent / "subjects.csv").assign(
        pfs_day=[40, 90, 61, 130, 75, 200], pfs_event=[1, 1, 1, 0, 1, 1]
    )
    subjects.to_csv(study.parent / "subjects.csv", index=False)
    text = study.read_text(encoding="utf-8")
    event = '[event.pfs]\nduration = "pfs_day"\nevent = "pfs_event"\non = "log(auc_0_28)"\nlandmark = 28\n'
    study.write_text(text.replace("[report]", event + "\n[report]"), encoding="utf-8")
    result = run_study(study)
    assert statuses(result)["event.pfs"] == "made"
    table = pd.read_csv(result.folder / "event/pfs.csv").set_index("parameter")
    assert {"slope", "hazard_ratio_per_doubling", "shape"} <= set(table.index)
    assert (result.folder / "event/pfs-curve.csv").is_file()
    page = result.report.read_text(encoding="utf-8")
    assert "All pairs of exposure and outcome" in page
    assert "Proportional hazards (Weibull) regression of pfs_event after pfs_day on " in page
    study.write_text(
        text.replace("[report]", event.replace("landmark = 28", "days = [7, 14]") + "\n[report]"),
        encoding="utf-8",
    )
    failed = run_study(study)
    assert statuses(failed)["event.pfs"] == "failed"
    assert "comes from a fit" in failed.failures.iloc[0]["message"]


def test_further_formats_are_steps_and_a_missing_browser_costs_the_page_nothing(study: Path, monkeypatch):
    def none() -> str:
        raise ConfigError("no browser here")

    monkeypatch.setattr(pdf, "find_browser", none)
    text = study.read_text(encoding="utf-8")
    study.write_text(text.replace("[report]", '[report]\nformats = ["docx", "pdf"]'), encoding="utf-8")
    result = run_study(study)
    found = statuses(result)
    assert (found["report"], found["report.docx"], found["report.pdf"]) == ("made", "made", "failed")
    assert result.report.is_file()
    assert (result.folder / "report.docx").read_bytes().startswith(b"PK")
    assert result.failures["message"].tolist() == ["no browser here"]
