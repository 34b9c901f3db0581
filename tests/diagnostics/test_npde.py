"""NPDE: exact where it can be written down, standard normal under the truth, not so under wrong models."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis.strategies import floats, integers
from scipy import stats

from carkinetics.diagnostics import npde, npde_from_simulations
from carkinetics.diagnostics.npde_tests import npde_tests
from carkinetics.diagnostics.prediction_errors import decorrelate
from carkinetics.diagnostics.replicate import replicates
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


def by_the_book(observed, simulated, subject):
    """PWRES and NPDE as published, by an inverse of the root and the middle of a rank."""
    pwres, npde_ = np.empty(len(observed)), np.empty(len(observed))
    for one in np.unique(subject):
        at = subject == one
        mean, covariance = simulated[:, at].mean(axis=0), np.cov(simulated[:, at].T)
        inverse = np.linalg.inv(np.linalg.cholesky(np.atleast_2d(covariance)))
        pwres[at] = inverse @ (observed[at] - mean)
        others = (simulated[:, at] - mean) @ inverse.T
        npde_[at] = stats.norm.ppf(((others < pwres[at]).sum(axis=0) + 0.5) / (len(others) + 1))
    return pwres, npde_


@pytest.mark.parametrize("each", [1, 4])
def test_arrays_have_the_errors_of_the_book_in_whatever_order_they_come(rng, each):
    subject, time = np.repeat(np.arange(30), each), np.tile(np.arange(each), 30)
    sims = rng.normal(size=(500, 30))[:, subject] * (1 + time) + rng.normal(size=(500, 30 * each))
    y = 1.3 * sims[0] + 0.2
    found = npde_from_simulations(y, sims, subject, time=time)
    pwres, expected = by_the_book(y, sims, subject)
    np.testing.assert_allclose(found.table["pwres"], pwres, rtol=1e-9, atol=1e-9)
    # A rank between the same neighbours: at most half a place of 501 away.
    place = stats.norm.cdf(found.table["npde"])
    np.testing.assert_allclose(place, stats.norm.cdf(expected), atol=0.5001 / 501)
    np.testing.assert_allclose(
        stats.norm.cdf(found.table["npd"]), ((sims < y).sum(axis=0) + 0.5) / 501, atol=0.5001 / 501
    )
    mixed = rng.permutation(len(y))
    again = npde_from_simulations(y[mixed], sims[:, mixed], subject[mixed], time=time[mixed])
    np.testing.assert_allclose(again.table["pwres"], pwres[mixed], rtol=1e-9, atol=1e-9)
    assert found.converged is None


def test_a_fit_and_the_arrays_of_its_replicates_are_one_road(around):
    model = load_model("stein2019")
    data = simulate(model, {"times": DESIGN["times"], "lloq": 1e-6}, n=12, seed=2)
    fit = around(model, data)
    made = replicates(fit, n_draws=300, seed=1)
    value = made.observations["value"].to_numpy(float)
    found = npde_from_simulations(np.log(value), np.log(made.value), made.observations["subject"])
    np.testing.assert_allclose(npde(fit, n_sim=300).table["pwres"], found.table["pwres"], rtol=1e-9)


def test_a_blq_value_is_drawn_below_its_limit_and_its_rank_goes_with_it(rng):
    sims = rng.normal(size=(400, 60))
    found = npde_from_simulations(np.full(60, -9.0), sims, np.arange(60), lloq=0.3).table
    assert found["imputed"].all()
    assert (found["dv"] < 0.3).all()
    rank = stats.norm.cdf(found["npd"]) * 401
    below = (sims < 0.3).sum(axis=0)
    assert (rank <= below + 1).all()
    # u (below + 1) and the whole part of u below: less than two places apart.
    np.testing.assert_allclose(rank, (sims < found["dv"].to_numpy()).sum(axis=0), rtol=0, atol=2)
    # Uniform up to the probability of being BLQ (Nguyen 2012).
    assert stats.kstest(rank / (below + 1), "uniform").pvalue > 0.001


def test_odd_arrays_have_answers_or_reasons(rng):
    sims = rng.normal(size=(300, 3))
    missing = npde_from_simulations([np.nan, 0.0, 1.0], sims, ["a", "a", "b"], lloq=-9).table
    assert missing["npde"].isna().tolist() == [True, False, False]
    assert missing["status"].tolist() == ["missing", "quantified", "quantified"]
    every = npde_from_simulations([np.nan] * 3, sims, list("aab"), lloq=9, blq=[True] * 3).table
    assert every["imputed"].all()
    assert every["npde"].notna().all()
    same = npde_from_simulations([1.0, 0.0, 1.0], np.ones((50, 3)), list("aab"))
    assert same.table["npde"].isna().all()
    assert same.tests["p"].isna().all()
    # Every other replicate is the observation itself: a place among the ties, the lower half.
    ties = npde_from_simulations(np.zeros(400), np.arange(50)[:, None] % 2 + np.zeros(400), np.arange(400))
    for name in ("npd", "npde"):
        places = stats.norm.cdf(ties.table[name]) * 51 / 26
        assert stats.kstest(places, "uniform").pvalue > 0.001, name
    never = npde_from_simulations([-50.0, 0.0, 1.0], sims, list("aab"), lloq=-20).table
    assert never["dv"].iloc[0] == -20
    assert np.isfinite(never["npde"]).all()
    for wrong in (
        {"observed": [0.0], "simulated": sims, "subject": ["a"]},
        {"observed": [0.0] * 3, "simulated": sims[:2], "subject": list("aab")},
        {"observed": [0.0] * 3, "simulated": np.where(sims > 2, np.nan, sims), "subject": list("aab")},
        {"observed": [np.nan] * 3, "simulated": sims, "subject": list("aab"), "blq": [True, False, False]},
    ):
        with pytest.raises(ConfigError, match="npde_from_simulations"):
            npde_from_simulations(**wrong)
    with pytest.raises(ConfigError, match="found ndarray; arrays go to npde_from_simulations"):
        npde(sims)


@pytest.mark.slow
@pytest.mark.parametrize("limit", [-np.inf, -0.5])
def test_tests_hold_their_level_where_samples_of_a_subject_depend_on_each_other(rng, limit):
    # Subjects differ in the size of their errors: uncorrelated, and far from independent.
    def studies(n):
        spread = np.exp(0.7 * rng.normal(size=(n, 20, 1)))
        return (spread * rng.normal(size=(n, 20, 5))).reshape(n, -1)

    subject, time = np.repeat(np.arange(20), 5), np.tile(np.arange(5), 20)
    sims, right, independent = studies(59), [], []
    for y in studies(100):
        # The same replicates would make 100 answers that depend on each other.
        tests = npde_from_simulations(y, studies(59), subject, time=time, lloq=limit).tests
        right.append(tests["p"])
        independent.append(tests["p_independent"])
    right, independent = pd.DataFrame(right), pd.DataFrame(independent)
    for name in ("mean", "variance", "normality", "combined", "spread with time", "all"):
        rejected = int((right[name] <= 0.05).sum())
        assert stats.binomtest(rejected, 100, 0.05).pvalue > 0.001, (name, rejected)
        assert stats.kstest(right[name], "uniform").pvalue > 0.0005, name
    wrong = int((independent["variance"] <= 0.05).sum())
    assert stats.binomtest(wrong, 100, 0.05, alternative="greater").pvalue < 0.001, wrong
    # And a spread that is wrong is found.
    assert npde_from_simulations(6 * studies(1)[0], sims, subject, lloq=limit).tests.loc["all", "p"] < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("lloq", [1e-3, 200, 2000])
def test_type_1_error_over_many_studies(around, lloq):
    model = load_model("stein2019")
    p = []
    for seed in range(100):
        data = simulate(model, {"times": DESIGN["times"], "lloq": lloq}, n=40, seed=seed)
        p.append(npde(around(model, data, noise=0.0), n_sim=500, seed=seed + 100).tests["p"])
    for name, rejected in (pd.DataFrame(p) <= 0.05).sum().items():
        assert stats.binomtest(int(rejected), 100, 0.05, alternative="greater").pvalue > 0.001, name


def test_single_tests_are_scipys(rng):
    x, time = rng.standard_normal(60), np.tile(np.arange(6.0), 10)
    table = npde_tests(x, time, rng.permutation(60))
    assert table.loc["normality", "p"] == pytest.approx(stats.shapiro(x).pvalue, rel=1e-9)
    assert table.loc["mean", "p"] == pytest.approx(stats.ttest_1samp(x, 0).pvalue, rel=1e-9)
    for name, y in (("trend with time", x), ("spread with time", np.abs(x))):
        found = stats.spearmanr(y, time)
        assert table.loc[name, "estimate"] == pytest.approx(found.statistic, rel=1e-9)
        assert table.loc[name, "p"] == pytest.approx(found.pvalue, rel=1e-6)
    assert np.isnan(npde_tests(x, np.full(60, 7.0), time).loc["trend with time", "p"])
    assert npde_tests(x, np.full(60, np.nan), time)["p"].notna().sum() == 6


def test_the_p_value_is_the_share_of_studies_that_are_as_odd(rng):
    studies = rng.standard_normal((20, 30))
    time, pred = rng.uniform(size=(2, 30))
    single = pd.DataFrame([npde_tests(one, time, pred)["p_independent"] for one in studies])
    found = npde_tests(studies[0], time, pred, studies)
    for name in single.columns.drop(["combined", "all"]):
        assert found.loc[name, "p"] == (single[name] <= single[name].iloc[0]).mean()
    six = single.drop(columns=["combined", "all"]).min(axis=1)
    assert found.loc["all", "p"] == (six <= six.iloc[0]).mean()
    assert found.loc["all", "p_independent"] == pytest.approx(min(6 * six.iloc[0], 1))


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
