"""Calibration passes what is right and fails what is wrong: samplers, likelihoods, and files that do not belong."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

import carkinetics as ck
from carkinetics.diagnostics.calibrate import _measured_anew
from carkinetics.diagnostics.calibration import rank_table
from carkinetics.errors import ConfigError
from carkinetics.fit.draws import prior_draws
from carkinetics.fit.problem import make_problem
from carkinetics.model.library import model_from_text

DECLINE = """
schema = 1
name = "decline"
title = "One phase of decline"
value_unit = "copies/ug"
[parameters.cmax]
meaning = "level at infusion"
unit = "copies/ug"
typical = 20000
omega = 0.6
prior = { dist = "lognormal", median = 20000, sigma = 0.5 }
[parameters.alpha]
meaning = "loss"
unit = "1/day"
typical = 0.1
prior = { dist = "lognormal", median = 0.1, sigma = 0.3 }
[closed_form]
level = "cmax * exp(-alpha * t)"
[observation]
of = "level"
error = "lognormal"
residual = 0.5
"""
DESIGN = {"times": (7, 14, 28, 56), "lloq": 500.0}


@pytest.fixture(scope="module")
def decline():
    return model_from_text(DECLINE)


def prior_sampler(model, data, seed):
    """Draws that do not know the data."""
    return prior_draws(make_problem(model, data), 99, np.random.default_rng(seed))


def test_uniform_ranks_have_the_coverage_of_their_intervals():
    table = rank_table(pd.DataFrame({"x": np.tile(np.arange(100), 3)}))
    row = table.loc["x"]
    assert (row["cover_50"], row["cover_90"]) == (0.5, 0.9)
    assert row["mean"] == pytest.approx(0.5)
    assert row["variance"] == pytest.approx((100**2 - 1) / 12 / 100**2)  # of a discrete uniform variable
    assert row["chi2_p"] == 1
    # Clopper-Pearson by its definition.
    assert binom.sf(269, 300, row["low_90"]) == pytest.approx(0.025)


@pytest.mark.parametrize(
    "ranks", [np.arange(100) // 2, 25 + np.arange(100) // 2, np.where(np.arange(100) < 50, 0, 99)],
    ids=["biased", "too wide", "too narrow"],
)  # fmt: skip
def test_ranks_that_are_not_uniform_are_a_departure(ranks):
    rows = pd.DataFrame(
        {
            "replicate": np.arange(100),
            "status": "done",
            "message": "",
            "ess": 200,
            "rhat": 1.0,
            "blq": 0.1,
            "seconds": 1.0,
            "x": ranks,
        }
    )
    found = ck.Calibration(rows, {"model": "m", "subjects": 3})
    assert found.calibrated is False
    assert "NOT calibrated: ranks of x" in found.statement


@pytest.mark.slow
def test_a_sampler_that_returns_the_prior_is_found_out_by_the_likelihood_alone(decline):
    found = ck.calibrate(decline, DESIGN, n=20, subjects=3, sampler=prior_sampler, workers=1)
    assert list(found.departures.index) == ["log_likelihood"]
    assert found.calibrated is False


def test_replicates_are_kept_and_go_on_where_they_stopped(decline, tmp_path):
    file, calls = tmp_path / "deep" / "ranks.csv", []

    def counted(model, data, seed):
        calls.append(seed)
        return prior_sampler(model, data, seed)

    first = ck.calibrate(decline, DESIGN, n=3, subjects=4, sampler=counted, keep=file, workers=1)
    again = ck.calibrate(decline, DESIGN, n=5, subjects=4, sampler=counted, keep=file, workers=1)
    assert len(calls) == 5
    pd.testing.assert_frame_equal(again.ranks.iloc[:3], first.ranks, check_dtype=False)
    pd.testing.assert_frame_equal(ck.read_calibration(file).ranks, again.ranks, check_dtype=False)
    with pytest.raises(
        ConfigError, match=r"ranks.csv belongs to another calibration: .*seed 1 there, 2 here"
    ):
        ck.calibrate(decline, DESIGN, n=5, subjects=4, sampler=counted, keep=file, seed=2, workers=1)


def test_what_is_no_kept_calibration_is_refused(tmp_path):
    for text in ("a,b\n1,2\n", "# {}\na,b\n1,2\n", "# [1]\n"):
        (tmp_path / "x.csv").write_text(text)
        with pytest.raises(ConfigError, match="is not a calibration that was kept"):
            ck.read_calibration(tmp_path / "x.csv")


def test_what_cannot_be_calibrated_is_refused_before_anything_runs(decline):
    with pytest.raises(ConfigError, match="n is 0"):
        ck.calibrate(decline, DESIGN, n=0)
    with pytest.raises(ConfigError, match="cmaxx"):
        ck.calibrate(decline, DESIGN, n=5, random=["cmaxx"])
    with pytest.raises(ConfigError, match="99 or more are needed"):
        ck.calibrate(
            decline, DESIGN, n=1, subjects=2, workers=1,
            sampler=lambda m, d, s: prior_draws(make_problem(m, d), 50, np.random.default_rng(s)),
        )  # fmt: skip


def test_new_measurements_keep_the_design_and_its_limits():
    data = ck.example("nct05783089")
    problem = make_problem(ck.load_model("stein2019"), data)
    rows = problem.observations
    values = np.geomspace(1, 1e5, len(rows))
    new = _measured_anew(problem, values)
    again = make_problem(ck.load_model("stein2019"), new).observations
    assert len(new.observations) == len(problem.data.observations)
    key = ["subject", "assay", "time"]
    merged = rows[[*key, "lloq"]].assign(drawn=values).merge(again, on=key, suffixes=("", "_new"))
    assert len(merged) == len(rows)
    assert (merged["lloq"] == merged["lloq_new"]).all()
    below = merged["drawn"] < merged["lloq"]
    assert below.any()
    assert merged.loc[below, "value"].isna().all()
    np.testing.assert_array_equal(merged.loc[~below, "value"], merged.loc[~below, "drawn"])


@pytest.mark.parametrize("first", [True, False])
def test_each_row_keeps_its_own_upper_limit_whichever_comes_first(first):
    """The limit of the first of rows that are otherwise alike was that of all."""
    model = ck.load_model("stein2019")
    data = ck.simulate(model, {"times": (3, 7, 14, 28), "lloq": 5}, 3, 1)
    table, at = data.observations, 0 if first else 5
    above = table.index == table.index[at]
    columns = {"status": "above_uloq", "value": np.nan, "lower": 100.0, "upper": np.inf}
    changed = table.assign(**{name: table[name].mask(above, value) for name, value in columns.items()})
    problem = make_problem(model, replace(data, observations=changed))
    new = _measured_anew(problem, np.full(len(problem.observations), 1e6)).observations
    assert (new["status"] == "above_uloq").sum() == 1
    assert new.loc[new["status"] == "above_uloq", "lower"].tolist() == [100.0]


@pytest.mark.slow
def test_the_sampler_passes_and_an_overconfident_one_and_dropping_blq_values_do_not(decline):
    asked = {"n": 100, "subjects": 12, "max_minutes": 1.0}
    right = ck.calibrate(decline, DESIGN, **asked)
    assert right.calibrated
    assert (right.table["chi2_p"] > 0.01).mean() >= 0.9
    assert right.ranks["blq"].mean() > 0.15

    def overconfident(model, data, seed):
        fit = ck.fit_hierarchical(model, data, seed=seed, draws=150, chains=2)
        draws = fit.tree["posterior"].to_dataset()
        centre = draws.median(("chain", "draw"))
        return centre + 0.5 * (draws - centre)

    wrong = ck.calibrate(decline, DESIGN, n=40, subjects=12, sampler=overconfident, workers=1)
    assert wrong.calibrated is False
    assert wrong.table.loc["alpha_typical", "cover_90"] < 0.8
    dropped = ck.calibrate(decline, DESIGN, analysed={"blq": "M1"}, **asked)
    assert dropped.calibrated is False
    assert "alpha_typical" in dropped.departures.index
