"""NPDE: exact where it can be written down, standard normal under the truth, not so under wrong models."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis.strategies import floats, integers
from scipy import stats

from carkinetics.diagnostics import npde
from carkinetics.diagnostics.npde import decorrelate, npde_tests
from carkinetics.errors import ConfigError, FitError
from carkinetics.model import load_model, simulate

DESIGN = {"times": (3, 7, 10, 14, 28, 60, 90), "lloq": 200, "lod": 60}


def test_two_observations_of_a_linear_model_by_hand(rng):
    # y_j = b + e_j with var(b) = 1, var(e) = 3: covariance [[4, 1], [1, 4]] = L L', L = [[2, 0], [1/2, sqrt(15)/2]].
    # y = (2, 3) about mean 0: z1 = 1, z2 = (3 - 1/2) / (sqrt(15) / 2) = 5 / sqrt(15).
    sims = rng.standard_normal((400_000, 1)) + np.sqrt(3) * rng.standard_normal((400_000, 2))
    own, others, kept = decorrelate(np.array([2.0, 3.0]), sims)
    np.testing.assert_allclose(own, [1.0, 5 / np.sqrt(15)], atol=0.015)
    assert kept.tolist() == [0, 1]
    assert (others < own).mean(axis=0) == pytest.approx(stats.norm.cdf([1.0, 5 / np.sqrt(15)]), abs=0.004)


@settings(max_examples=30)
@given(seed=integers(0, 10**6), scale=floats(0.01, 100), shift=floats(-100, 100))
def test_replicates_are_decorrelated_exactly_and_units_do_not_matter(seed, scale, shift):
    rng = np.random.default_rng(seed)
    sims = rng.standard_normal((40, 5)) @ rng.standard_normal((5, 5)) + rng.standard_normal((40, 5))
    y = rng.standard_normal(5)
    own, others, _ = decorrelate(y, sims)
    np.testing.assert_allclose(np.cov(others, rowvar=False), np.eye(5), atol=1e-8)
    np.testing.assert_allclose(others.mean(axis=0), 0, atol=1e-8)
    # The sum of squares is Mahalanobis' distance, whatever the order.
    away = y - sims.mean(axis=0)
    distance = away @ np.linalg.solve(np.cov(sims, rowvar=False), away)
    assert own @ own == pytest.approx(distance, rel=1e-6)
    again, _, _ = decorrelate(scale * y + shift, scale * sims + shift)
    np.testing.assert_allclose(again, own, rtol=1e-6, atol=1e-6)


def test_a_sample_that_the_others_determine_has_no_residual_of_its_own(rng):
    sims = rng.standard_normal((50, 3))
    sims[:, 2] = sims[:, 0] + sims[:, 1]
    own, _, kept = decorrelate(np.zeros(3), sims)
    assert kept.tolist() == [0, 1]
    assert len(own) == 2
    assert not len(decorrelate(np.zeros(2), np.ones((9, 2)))[0])


@pytest.fixture(scope="module")
def exact(around):
    model = load_model("stein2019")
    return around(model, simulate(model, DESIGN, n=60, seed=7), noise=0.0)


@pytest.fixture(scope="module")
def found(exact):
    return npde(exact, n_sim=400)


def test_one_row_per_fitted_observation(exact, found):
    assert len(found.table) == len(exact.observations)
    assert found.table["imputed"].mean() > 0.15
    assert not found.table[["dv", "pred", "npd", "pwres", "npde"]].isna().any(axis=None)
    rows = exact.observations.reset_index(drop=True)
    blq = found.table["imputed"].to_numpy()
    assert (found.table["dv"][blq] < rows["lloq"][blq]).all()
    np.testing.assert_allclose(found.table["dv"][~blq], rows["value"][~blq], rtol=1e-12)


def test_errors_of_the_right_model_are_standard_normal_and_uncorrelated(found):
    assert found.tests.loc["combined", "p"] > 0.01
    assert stats.kstest(found.table["npde"], "norm").pvalue > 0.01
    after, raw = (
        np.corrcoef(found.table[name].to_numpy().reshape(-1, 7), rowvar=False)[np.triu_indices(7, 1)]
        for name in ("npde", "npd")
    )
    # 60 subjects: a correlation of 0 has a standard error of 0.13.
    assert np.abs(after).mean() < 0.15
    assert raw.mean() > 0.15
    assert "No departure" in found.statement


def test_pwres_has_mean_0_and_variance_1_and_goes_with_npde(found):
    pwres = found.table["pwres"]
    assert pwres.mean() == pytest.approx(0, abs=0.15)
    assert pwres.var() == pytest.approx(1, abs=0.25)
    assert stats.spearmanr(pwres, found.table["npde"]).statistic > 0.9


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"omega": {"cmax": 2.0}}, "variability"),
        ({"typical": {"cmax": 80_000.0}}, "too high or too low"),
        ({"typical": {"alpha": 0.03}}, "change with time"),
        ({"sigma": 1.2}, "variability"),
    ],
)
def test_wrong_models_are_found(around, wrong, words):
    model = load_model("stein2019")
    # With 40 subjects a threefold omega was found in two of three studies only: after decorrelation it is one in seven directions.
    data = simulate(model, DESIGN, n=120, seed=1, **wrong)
    result = npde(around(model, data, sigma=0.56, noise=0.0), n_sim=100)
    assert words in result.statement
    assert result.tests.loc[["combined", "trend with time"], "p"].min() < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("lloq", [1e-3, 200, 2000])
def test_type_1_error_over_many_studies(around, lloq):
    # Measured over 150 studies with 500 replicates: combined 0.087, 0.073 and 0.033 at a nominal 0.05 with 0, 22 and 56 % BLQ.
    model = load_model("stein2019")
    p = []
    for seed in range(60):
        data = simulate(model, {"times": DESIGN["times"], "lloq": lloq}, n=40, seed=seed)
        p.append(npde(around(model, data, noise=0.0), n_sim=500, seed=seed + 100).tests["p"])
    share = (pd.DataFrame(p) < 0.05).mean()
    assert share.max() < 0.18  # 11 of 60: of a rate of 0.087 once in 100


def test_tests_are_exact_for_standard_normal_errors(rng):
    p = []
    for _ in range(200):
        x, t = pd.Series(rng.standard_normal(80)), pd.Series(rng.uniform(size=80))
        p.append(npde_tests(x, t, t + 1)["p"])
    table = pd.DataFrame(p)
    for name in ("mean", "variance", "normality", "trend with time", "spread with time"):
        assert stats.kstest(table[name], "uniform").pvalue > 0.001, name
    assert (table["combined"] < 0.05).mean() == pytest.approx(0.05, abs=0.05)


def test_tests_by_hand():
    x = pd.Series([-1.0, 0.0, 1.0, 2.0])
    table = npde_tests(x, pd.Series([1.0, 2, 3, 4]), pd.Series([4.0, 3, 2, 1]))
    # Mean 1/2, variance 5/3: t = 0.5 / (sqrt(5/3) / 2) on 3 df; (n - 1) s² = 5 on 3 df.
    assert table.loc["mean", "p"] == pytest.approx(2 * stats.t.sf(0.5 / (np.sqrt(5 / 3) / 2), 3))
    assert table.loc["variance", "p"] == pytest.approx(2 * stats.chi2.sf(5, 3))
    assert table.loc["trend with time", "estimate"] == pytest.approx(1)
    assert table.loc["trend with PRED", "estimate"] == pytest.approx(-1)
    assert table.loc["combined", "p"] == pytest.approx(min(1, 3 * table["p"][:3].min()))


def test_thin_data_have_errors_but_no_test(around):
    model = load_model("stein2019")
    one = npde(around(model, simulate(model, {"times": (7,), "lloq": 50}, n=2, seed=1)), n_sim=20)
    assert len(one.table) == 2
    assert one.tests["p"].isna().all()
    assert "Too few observations" in one.statement


def test_values_above_the_uloq_are_drawn_above_it(exact):
    rows, limit = exact.observations.copy(), 20_000.0
    above = rows["value"] > limit
    rows.loc[above, ["status", "value", "lower", "upper"]] = ["above_uloq", np.nan, limit, np.inf]
    data = replace(exact.data, assays=exact.data.assays.assign(uloq=limit))
    result = npde(replace(exact, observations=rows, data=data), n_sim=300)
    assert above.sum() > 5
    assert (result.table["dv"][above.to_numpy()] >= limit).all()
    assert result.tests.loc["combined", "p"] > 0.01


def test_requests_that_make_no_sense_are_refused(exact, alone):
    with pytest.raises(ConfigError, match="n_sim is 7; a subject has 7 samples"):
        npde(exact, n_sim=7)
    with pytest.raises(FitError, match="no posterior"):
        npde(alone(exact))
