"""PIT and LOO-PIT: exact for a conjugate model; uniform under the truth; the band knows of subjects."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.special import ndtr

from carkinetics.diagnostics import loo_pit
from carkinetics.diagnostics.pit import _band, _ecdf, left_out_weights
from carkinetics.diagnostics.replicate import replicates
from carkinetics.errors import ConfigError, FitError
from carkinetics.fit import fit_hierarchical
from carkinetics.model import load_model, simulate

DESIGN = {"times": (3, 7, 10, 14, 28, 60, 90), "lloq": 200}


def test_weights_leave_a_normal_observation_out_exactly(rng):
    # y ~ N(mu, 1), mu ~ N(0, 4), the data of acceptance case G2. Without y_i the posterior of mu is N(m, v) with
    # 1 / v = 1/4 + 4 and m = v × (sum of the others): its predictive distribution has a closed form.
    y = np.array([1.2, -0.4, 0.8, 2.1, 0.3])
    mu = 0.7619047619 + 0.43643578 * rng.standard_normal(40_000)
    weights, k = left_out_weights(stats.norm.logpdf(y, mu[:, None]))
    found = (weights * ndtr(y - mu[:, None])).sum(axis=0)
    v = 1 / (1 / 4 + 4)
    exact = ndtr((y - v * (y.sum() - y)) / np.sqrt(1 + v))
    np.testing.assert_allclose(found, exact, atol=0.01)
    assert k.max() < 0.5
    np.testing.assert_allclose(weights.sum(axis=0), 1)


def test_a_draw_without_a_likelihood_has_no_weight():
    log_likelihood = np.linspace(-3, -1, 100)[:, None].copy()
    log_likelihood[7] = -np.inf
    weights, _ = left_out_weights(log_likelihood)
    assert weights[7] == 0


@pytest.mark.parametrize("limit", [np.nan, -0.5])
def test_the_band_holds_studies_of_dependent_samples_as_often_as_it_says(rng, limit):
    # 40 subjects with 7 samples each: random intercepts of variance 1 and errors of variance 0.36.
    def studies(n):
        return (rng.normal(size=(n, 40, 1)) + 0.6 * rng.normal(size=(n, 40, 7))).reshape(n, -1)

    limits, none = np.full(280, limit), np.full(280, np.inf)
    lower, upper = _band(studies(1000), limits, none, rng)
    outside, independent = 0, 0
    for y in studies(200):
        place = ndtr(y / np.sqrt(1.36))
        if np.isfinite(limit):
            place = np.where(y < limit, rng.uniform(size=280) * ndtr(limit / np.sqrt(1.36)), place)
        curve = _ecdf(place)
        outside += bool(((curve < lower) | (curve > upper)).any())
        # Kolmogorov's band for independent places is left by far too many.
        independent += stats.kstest(place, "uniform").pvalue < 0.1
    assert outside / 200 == pytest.approx(0.1, abs=0.06)
    assert independent > 2 * outside


def _asked(fit):
    return replace(fit, settings=fit.settings | {"requested_covariates": {}})


@pytest.fixture(scope="module")
def found(around):
    model = load_model("stein2019")
    fit = around(model, simulate(model, DESIGN, n=40, seed=3), shape=(2, 100))
    return loo_pit(_asked(fit), n_draws=100, n_inner=40)


def test_places_under_the_truth(found):
    assert found.table[["pit", "loo_pit"]].min().min() >= 0
    assert found.table[["pit", "loo_pit"]].max().max() <= 1
    assert len(found.k) == 40
    assert "stays within" in found.statement
    # A posterior that hardly varies is the same with and without a subject.
    assert (found.table["pit"] - found.table["loo_pit"]).abs().max() < 0.1
    curve = found.curve
    assert (curve[["pit", "loo_pit", "lower", "upper"]].iloc[[0, -1]].to_numpy() == [[0] * 4, [1] * 4]).all()


def test_a_wrong_spread_leaves_the_band(around):
    model = load_model("stein2019")
    data = simulate(model, DESIGN, n=40, seed=0, omega={"cmax": 2.5})
    result = loo_pit(_asked(around(model, data, shape=(2, 100))), n_draws=100, n_inner=40)
    assert "leaves the simultaneous" in result.statement


def test_requests_that_make_no_sense_are_refused(made_fit, alone):
    with pytest.raises(FitError, match="needs the posterior"):
        loo_pit(alone(made_fit))
    with pytest.raises(ConfigError, match="expected at least 1"):
        loo_pit(made_fit, n_repeats=0)


@pytest.mark.slow
def test_leaving_a_subject_out_is_what_a_fit_without_it_predicts():
    model = load_model("stein2019").fix(fb=0.0079, beta=0.0032)
    omega = {"foldx": 0.8, "tmax": 0.25, "cmax": 0.8, "alpha": 0.4, "fb": 0.0, "beta": 0.0}
    design = {"times": (1, 3, 5, 7, 9, 11, 14, 21, 28), "lloq": 50}
    # One subject of twelve is away from the others, so that leaving it out matters: by 0.03, three times the error of its
    # weights, although their k of 0.76 would already warn.
    data = simulate(model, design, 12, 5, omega=omega, sigma=0.4)
    rows, mine = data.observations.copy(), data.observations["subject"] == "S004"
    rows.loc[mine & (rows["status"] == "quantified"), ["value", "lower", "upper"]] *= 4
    data = replace(data, observations=rows)
    asked = {"random": ["foldx", "tmax", "cmax", "alpha"], "seed": 1}
    found = loo_pit(fit_hierarchical(model, data, **asked), n_draws=1500)
    others = [subject for subject in data.subject_ids if subject != "S004"]
    without = fit_hierarchical(model, data.select(subjects=others), **asked)
    made = replicates(without, data.select(subjects=["S004"]), n_draws=4000)
    quantified = (made.observations["status"] == "quantified").to_numpy()
    exact = (made.value < made.observations["value"].to_numpy()).mean(axis=0)[quantified]
    table = found.table[(found.table["subject"] == "S004") & ~found.table["imputed"]]
    np.testing.assert_allclose(table["loo_pit"], exact, atol=0.02)
    assert np.abs(table["pit"] - exact).mean() > 3 * np.abs(table["loo_pit"] - exact).mean()
