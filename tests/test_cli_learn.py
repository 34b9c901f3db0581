"""Verbs on what a saved fit learnt: sensitivity, screen, stepwise."""

from types import SimpleNamespace

import pandas as pd
import pytest
from typer.testing import CliRunner

import carkinetics as ck
from carkinetics.cli import app
from carkinetics.errors import ConfigError
from carkinetics.fit import CovariateScreen
from carkinetics.fit.screen import SCREEN_COLUMNS
from carkinetics.fit.stepwise import STEP_COLUMNS, WARNING

run = CliRunner()


@pytest.fixture
def asked(monkeypatch):
    """What the public functions are given, answered without a fit."""
    told: dict[str, object] = {"converged": True}
    monkeypatch.setattr(ck, "load_fit", lambda path: path.stem)

    def sensitivity(fit, **options):
        told.update(fit=fit, **options)
        words = ["informed", "not informed by the data"]
        numbers = {"prior": 0.01, "likelihood": 0.2, "strongest_prior": "cmax_typical", "by_it": 0.01}
        names = pd.Index(["cmax_typical", "beta_typical"], name="parameter")
        found = pd.DataFrame(numbers, index=names).assign(contraction=0.5, words=words)
        found.attrs = {
            "likelihood": "marginal",
            "threshold": 0.05,
            "n_draws": 100,
            "noise_prior": 0.02,
            "noise_likelihood": 0.02,
            "converged": told["converged"],
        }
        return found

    def screen(fit, candidates, **options):
        told.update(fit=fit, candidates=candidates, **options)
        row = ("cmax", "log(dose)", 11.5, 14.5, 4.8, 3.0, 7.6, 1.0, 0.1, True)
        table = pd.DataFrame([row], columns=list(SCREEN_COLUMNS))
        return CovariateScreen(
            table,
            {"cmax": ["log(dose)"]},
            "1 of 1 pairs are named.",
            bool(told["converged"]),
            {"factor": 1.2, "limit": 0.5},
        )

    def stepwise(fit, candidates, **options):
        told.update(fit=fit, candidates=candidates, **options)
        steps = pd.DataFrame([(0, "start", "", "", 10.0, 0.0, True, True)], columns=list(STEP_COLUMNS))
        last = SimpleNamespace(converged=told["converged"])
        return SimpleNamespace(steps=steps, covariates={}, fit=last, warning=WARNING)

    for name, stub in {
        "prior_sensitivity": sensitivity,
        "screen_covariates": screen,
        "stepwise_covariates": stepwise,
    }.items():
        monkeypatch.setattr(ck, name, stub)
    return told


def test_sensitivity_says_which_quantities_the_data_do_not_inform(asked, tmp_path):
    said = run.invoke(app, ["sensitivity", "base.nc", "--seed", "3", "--figure", str(tmp_path / "s.png")])
    assert said.exit_code == 0, said.output
    assert (asked["fit"], asked["seed"], asked["likelihood"]) == ("base", 3, "marginal")
    assert said.stdout.startswith("parameter,prior,likelihood")
    assert "not informed by the data: beta_typical" in said.stderr
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")


def test_screen_gives_candidates_for_all_parameters_or_those_that_are_named(asked, tmp_path):
    said = run.invoke(app, ["screen", "base.nc", "log(dose)", "sex == 'F'", "-o", str(tmp_path / "s.csv")])
    assert said.exit_code == 0, said.output
    assert asked["candidates"] == ["log(dose)", "sex == 'F'"]
    assert "1 of 1 pairs are named." in said.stderr
    assert pd.read_csv(tmp_path / "s.csv")["named"].tolist() == [True]
    run.invoke(app, ["screen", "base.nc", "age", "--on", "cmax", "--on", "alpha", "--factor", "1.5"])
    assert asked["candidates"] == {"cmax": ["age"], "alpha": ["age"]}
    assert asked["factor"] == 1.5


def test_stepwise_carries_its_warning(asked):
    said = run.invoke(app, ["stepwise", "base.nc", "log(dose)", "--forward", "6.63"])
    assert said.exit_code == 0, said.output
    assert asked["forward"] == 6.63
    assert "left: no covariate. Selected stepwise: p-values and intervals" in said.stderr


@pytest.mark.parametrize(
    "verb", [["sensitivity", "base.nc"], ["screen", "base.nc", "age"], ["stepwise", "base.nc", "age"]]
)
def test_what_did_not_converge_ends_with_2(asked, verb):
    asked["converged"] = False
    assert run.invoke(app, verb).exit_code == 2


def test_a_picture_that_cannot_be_written_stops_before_the_work(asked, tmp_path):
    with pytest.raises(ConfigError, match=r"--figure .* is a folder"):
        run.invoke(app, ["screen", "x.nc", "age", "--figure", str(tmp_path)], catch_exceptions=False)
    assert "fit" not in asked
