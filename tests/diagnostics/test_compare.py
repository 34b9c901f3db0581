"""Leaving whole subjects out: the same as fitting again without them, and the true model is found."""

from dataclasses import replace

import numpy as np
import pytest

from carkinetics.diagnostics import compare, loo
from carkinetics.diagnostics.compare import _log_likelihood, _psis
from carkinetics.errors import ConfigError, FitError
from carkinetics.fit import fit_hierarchical, fit_individuals
from carkinetics.fit.chosen import take_draws
from carkinetics.fit.hierarchical import problem_of
from carkinetics.model import load_model, simulate

OMEGA = {"foldx": 0.8, "tmax": 0.25, "cmax": 0.8, "alpha": 0.4, "fb": 0.0, "beta": 0.0}


def test_weights_leave_a_normal_observation_out_exactly(rng):
    # Acceptance G2: y ~ N(mu, 1), mu ~ N(0, 4): the exact elpd is -7.31391778.
    y = np.array([1.2, -0.4, 0.8, 2.1, 0.3])
    mu = 0.7619047619 + 0.43643578 * rng.standard_normal(40_000)
    log_likelihood = -0.5 * np.log(2 * np.pi) - 0.5 * (y - mu[:, None]) ** 2
    found = [_psis(log_likelihood[:, i], log_likelihood[:, i]) for i in range(5)]
    assert sum(elpd for elpd, _ in found) == pytest.approx(-7.31391778, abs=0.05)
    assert max(k for _, k in found) < 0.5


def test_too_few_usable_draws_are_no_answer():
    assert _psis(np.full(30, np.nan), np.zeros(30)) == (-np.inf, np.inf)


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
        each = _log_likelihood(alone, draws, 200, 1)[:, 0]
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
