"""Leaving whole subjects out: the same as fitting again without them, and the true model is found."""

import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from carkinetics.diagnostics import compare, loo
from carkinetics.diagnostics.criteria import psis_loo
from carkinetics.diagnostics.marginal import marginal_log_likelihood
from carkinetics.diagnostics.ranking import draws_wanted, rank
from carkinetics.diagnostics.refit import fit_without
from carkinetics.errors import ConfigError, FitError
from carkinetics.fit import fit_hierarchical, fit_individuals, fit_population
from carkinetics.fit.chosen import take_draws
from carkinetics.fit.hierarchical import problem_of
from carkinetics.fit.problem import make_problem
from carkinetics.model import load_model, simulate

OMEGA = {"foldx": 0.8, "tmax": 0.25, "cmax": 0.8, "alpha": 0.4, "fb": 0.0, "beta": 0.0}


@pytest.fixture(scope="module")
def data():
    design = {"times": (1, 3, 5, 7, 9, 11, 14, 21, 28, 60), "lloq": 50, "doses": (1e6,)}
    return simulate(load_model("stein2019"), design, 24, 5, omega=OMEGA, sigma=0.4)


@pytest.fixture(scope="module")
def fits(data):
    asked = {"random": ["foldx", "tmax", "cmax", "alpha"], "seed": 1}
    fixed = {"fb": 0.0079, "beta": 0.0032}
    right = fit_hierarchical(load_model("stein2019").fix(**fixed), data, **asked)
    # A decline that is as slow as the persistence of the right one: wrong after the peak.
    wrong = fit_hierarchical(
        load_model("stein2019").fix(**fixed, alpha=0.05), data, random=asked["random"][:3], seed=1
    )
    return {"right": right, "wrong": wrong}


@pytest.mark.slow
def test_the_wrong_model_is_worse(fits):
    table = compare(fits)
    assert table.index.tolist() == ["right", "wrong"]
    assert table["verdict"].tolist() == ["best", "worse"]
    assert table.loc["wrong", "difference"] < -10
    assert table.attrs["subjects"]["right", "elpd"].sum() == pytest.approx(table.loc["right", "elpd"])


@pytest.mark.slow
def test_a_model_is_not_separated_from_itself_at_another_parameterisation(fits, data):
    random = ["foldx", "tmax", "cmax", "alpha"]
    same = fit_hierarchical(
        load_model("stein2019_ode").fix(fb=0.0079, beta=0.0032), data, random=random, seed=2
    )
    table = compare({"closed": fits["right"], "equations": same})
    assert abs(table["difference"].iloc[1]) < 1.0
    assert set(table["verdict"]) == {"best", "not separated"}


@pytest.mark.slow
def test_leaving_a_subject_out_is_what_a_fit_without_it_predicts(fits, data):
    fit = fits["right"]
    table = loo(fit, n_draws=1000)
    for subject in (table["elpd"].idxmin(), table.index[3]):  # the most surprising one, and one more
        others = [s for s in data.subject_ids if s != subject]
        without = fit_hierarchical(
            fit.model, data.select(subjects=others), random=fit.settings["random"], seed=3
        )
        alone = problem_of(replace(fit, data=data.select(subjects=[subject])))
        draws = take_draws(without, 1000, 1)
        each = marginal_log_likelihood(alone, draws, 200, 1)[:, 0]
        exact = np.logaddexp.reduce(each) - np.log(len(each))
        assert table.loc[subject, "elpd"] == pytest.approx(exact, abs=0.35)


@pytest.mark.slow
def test_what_cannot_be_compared_is_said(fits, data):
    with pytest.raises(ConfigError, match="give two fits or more"):
        compare({"one": fits["right"]})
    fewer = data.select(subjects=data.subject_ids[:20])
    other = fit_hierarchical(fits["right"].model, fewer, random=["cmax"], draws=200, tune=200, seed=1)
    with pytest.raises(
        ConfigError, match="right was fitted to 240 observations of this output and other to 200"
    ):
        compare({"right": fits["right"], "other": other})
    with pytest.raises(FitError, match="loo needs the posterior of a hierarchical fit"):
        loo(fit_individuals(fits["right"].model, fewer))


def leave_out(elpd, k, how="psis"):
    """A table as `loo` returns it."""
    index = pd.Index([f"S{i}" for i in range(len(elpd))], name="subject")
    return pd.DataFrame({"elpd": elpd, "k": k, "n_obs": 5, "how": how}, index=index)


def test_differences_weights_and_unreliable_subjects_are_counted():
    good = leave_out(
        [-1.0, -2.0, -3.0, -1.5], [0.1, 0.9, 0.8, 0.2], ["psis", "refit", "refit, not converged", "psis"]
    )
    bad = leave_out([-1.5, -3.0, -3.5, -2.5], [0.1, 0.2, 0.3, 0.75])
    table = rank({"bad": bad, "good": good})
    assert table.index.tolist() == ["good", "bad"]
    # By hand: differences -0.5, -1, -0.5, -1, with SD sqrt(1/12) and SE sqrt(4) times that.
    assert table.loc["bad", "difference"] == pytest.approx(-3.0)
    assert table.loc["bad", "difference_se"] == pytest.approx(2 * np.sqrt(1 / 12))
    assert table["bad_k"].to_dict() == {"good": 1, "bad": 1}, "a converged refit replaces the weights"
    assert table.loc["good", "weight"] == pytest.approx(1, abs=1e-6)
    impossible = rank({"bad": leave_out([-np.inf, -1, -1, -1], [np.inf, 0, 0, 0]), "good": good})
    assert impossible["weight"].isna().all()
    assert impossible.loc["bad", "verdict"] == "worse"
    assert np.isnan(impossible.loc["bad", "difference_se"])
    both = rank({name: leave_out([-np.inf, -1, -1, -1], [np.inf, 0, 0, 0]) for name in ("a", "b")})
    assert "cannot be compared" in both["verdict"].tolist()


def test_a_fit_that_did_not_converge_is_never_best_and_has_no_weight():
    good, worse = leave_out([-1.0, -2.0, -3.0], [0.1] * 3), leave_out([-1.5, -2.6, -3.1], [0.1] * 3)
    lost = leave_out([-0.1, -0.2, -0.3], [0.1] * 3)
    table = rank({"lost": lost, "worse": worse, "good": good}, unusable=["lost"])
    assert table.index.tolist() == ["good", "worse", "lost"]
    assert table["verdict"].tolist()[::2] == ["best", "not converged"]
    assert table.loc["lost", "difference"] == pytest.approx(5.4), "to the best of the others"
    assert np.isnan(table.loc["lost", "weight"])
    assert table["weight"].sum() == pytest.approx(1)
    none = rank({"a": good, "b": worse}, unusable=["a", "b"])
    assert set(none["verdict"]) == {"not converged"}
    assert none["weight"].isna().all()


def test_a_model_whose_weights_have_no_mean_gets_none_in_the_mixture():
    models = {
        "a": leave_out([-1.0, -2.0, -3.0], [0.1] * 3),
        "b": leave_out([-1.1, -1.9, -3.1], [0.9, 0.1, 0.1]),
    }
    hopeless = leave_out([-0.5, -1.0, -2.0], [1.2, 0.1, 0.1])
    table = rank({**models, "c": hopeless})
    assert np.isnan(table.loc["c", "weight"])
    pd.testing.assert_series_equal(
        table["weight"].drop("c").sort_index(), rank(models)["weight"].sort_index()
    )


def test_the_monte_carlo_error_counts_in_the_verdict_and_asks_for_draws():
    one, other = (
        leave_out([-1.0, -2.0, -3.0, -1.5], [0.1] * 4),
        leave_out([-1.5, -3.0, -3.5, -2.5], [0.1] * 4),
    )
    sharp = rank({"one": one, "other": other})
    assert sharp.loc["other", "verdict"] == "worse"  # -3.0 with a standard error of 0.577
    assert np.isnan(sharp.loc["other", "difference_mcse"])
    assert draws_wanted(sharp, 400) == 400
    one.attrs["mcse"], other.attrs["mcse"] = 1.2, 0.9
    table = rank({"one": one, "other": other})
    assert table.loc["other", "difference_mcse"] == pytest.approx(1.5)
    assert table.loc["other", "verdict"] == "not separated", "1.61 is half of 3.2"
    assert table.loc["one", "difference_mcse"] == 0
    wanted = 400 * (1.5 / (0.25 * 2 * np.sqrt(1 / 12))) ** 2
    assert draws_wanted(table, 400) == 3200 < wanted
    one.attrs["mcse"], other.attrs["mcse"] = 0.12, 0.16  # 3.0 less 0.4 is still beyond 1.15
    assert draws_wanted(rank({"one": one, "other": other}), 400) == 400
    close = leave_out([-1.5, -1.5, -3.5, -1.6], [0.1] * 4)
    close.attrs["mcse"] = 0.16
    table = rank({"one": one, "close": close})
    error = table.loc["close", "difference_se"]
    assert draws_wanted(table, 400) == np.ceil(400 * max(0.2 / (0.25 * error), 1) ** 2)


def test_equal_models_and_a_single_subject_separate_nothing():
    one = leave_out([-1.0, -2.0, -3.0], [0.1, 0.1, 0.1])
    assert rank({"a": one, "b": one})["verdict"].tolist() == ["best", "not separated"]
    alone = rank({"a": leave_out([-1.0], [0.1]), "b": leave_out([-2.0], [0.1])})
    assert alone["verdict"].tolist() == ["best", "not separated"]
    assert alone["difference_se"].isna().all()


@pytest.mark.slow
def test_secondary_criteria_are_columns_on_request(fits):
    table = compare(fits, n_draws=200, criteria=["waic", "bic"])
    right = fits["right"]
    population = fit_population(right.model, right.data, random=right.settings["random"])
    expected = population.minus_two_ll + np.log(24) * len(population.parameters)
    assert table.loc["right", "bic"] == pytest.approx(expected)
    wrong = fit_population(fits["wrong"].model, right.data, random=fits["wrong"].settings["random"])
    assert np.isnan(table.loc["wrong", "bic"]) == (not wrong.converged)
    assert table.loc["right", "elpd_waic"] > table.loc["wrong", "elpd_waic"] + 10
    assert (
        abs(table.loc["right", "elpd_waic"] - table.loc["right", "elpd"])
        < 4 * table.loc["right", "p_waic"] ** 0.5
    )
    assert table["weight"].sum() == pytest.approx(1)
    assert "subjects" in table.attrs
    with pytest.raises(ConfigError, match="did you mean 'waic'"):
        compare(fits, criteria=["waik"])


@pytest.mark.slow
def test_a_refitted_subject_has_the_density_of_a_brute_force_average(monkeypatch):
    model = load_model("stein2019").fix(fb=0.0079, beta=0.0032, foldx=3900)
    design = {"times": (3, 7, 10, 14, 21, 28), "lloq": 50, "doses": (1e5, 2e6)}
    data = simulate(model, design, 10, 3, on_log_dose={"cmax": 0.6})
    fit = fit_hierarchical(model, data, covariates={"cmax": "log(dose)"}, seed=1)
    plain = loo(fit)
    worst = plain["k"].idxmax()
    # The module, not the function of the same name that its room exports.
    monkeypatch.setattr(
        sys.modules["carkinetics.diagnostics.compare"], "GOOD_K", plain["k"].nlargest(2).mean()
    )
    table = loo(fit, refit=True)
    assert table.index[table["how"] != "psis"].tolist() == [worst]
    assert table.loc[worst, "how"] == "refit"
    # The other road: random effects straight from the population, at the centre that the other subjects have.
    without = fit_without(fit, worst)
    draws, rng = take_draws(without, 400, 7), np.random.default_rng(8)
    (own,) = without.settings["covariates"]
    x = np.log(data.first_dose()[worst]) - own["centre"]
    n_inner = 3000
    values = {}
    for name in fit.settings["random"]:
        parameter = model.parameters[name]
        free = parameter.to_free(draws.typical[name]) + (
            draws.slopes[own["name"]] * x if name == "cmax" else 0.0
        )
        eta = draws.omega[name][:, None] * rng.standard_normal((400, n_inner))
        values[name] = parameter.from_free(free[:, None] + eta)[..., None]
    alone = make_problem(model, data.select(subjects=[worst]), random=fit.settings["random"])
    sigma = np.broadcast_to(draws.sigmas["sigma"][:, None], (400, n_inner))
    each = alone.log_likelihood(alone.level(values), {"sigma": sigma}).sum(axis=-1)
    brute = np.logaddexp.reduce(each, axis=None) - np.log(each.size)
    assert table.loc[worst, "elpd"] == pytest.approx(brute, abs=0.15)


def test_tables_and_matrices_are_ranked_without_fits(rng):
    each = {"a": psis_loo(rng.normal(-1, 0.1, (200, 6))), "b": psis_loo(rng.normal(-2, 0.1, (200, 6)))}
    table = compare(each)
    assert table.index.tolist() == ["a", "b"]
    behind = each["b"]["elpd"] - each["a"]["elpd"]
    assert table.loc["b", "difference"] == pytest.approx(behind.sum())
    assert table.loc["b", "difference_se"] == pytest.approx(np.sqrt(6) * behind.std(ddof=1))
    assert table.loc["b", "verdict"] == "worse"
    bare = compare({name: one[["elpd"]] for name, one in each.items()})
    assert bare["elpd"].tolist() == table["elpd"].tolist()
    assert bare["bad_k"].tolist() == [0, 0]
    with pytest.raises(ConfigError, match="b leaves out other subjects than a"):
        compare({"a": each["a"], "b": each["b"].iloc[::-1]})
    with pytest.raises(ConfigError, match="found ndarray; log-likelihoods go to psis_loo"):
        loo(np.zeros((100, 3)))


def test_the_same_fit_twice_is_not_worse_than_itself():
    each = pd.DataFrame({"elpd": [-1.0, -2.0, -3.0], "k": 0.1, "n_obs": 4, "how": "psis"})
    table = rank({"one": each, "again": each})
    assert table["difference"].tolist() == table["difference_se"].tolist() == [0.0, 0.0]
    assert table["verdict"].tolist() == ["best", "not separated"]
