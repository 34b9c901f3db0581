"""The screen's likelihood is exact where subjects are Gaussian; what moves a parameter is named, and nothing else is."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from carkinetics.errors import ConfigError, DataError, FitError
from carkinetics.fit import fit_hierarchical, fit_population, screen_covariates
from carkinetics.fit.approximate import individual_gaussians, laplace_minus_two_log_likelihood
from carkinetics.fit.candidates import candidate_pairs
from carkinetics.fit.em import laplace_em
from carkinetics.fit.problem import make_problem
from carkinetics.fit.screen import _linear_term, _random_block, _table
from carkinetics.fit.screen_graph import marginal
from carkinetics.model import load_model, simulate

OMEGA = {"foldx": 1.0, "tmax": 0.3, "cmax": 0.65, "alpha": 0.5}
DAYS = (1, 3, 5, 7, 9, 11, 14, 17, 21, 28)
CANDIDATES = ["log(dose)", "age", "sex == 'F'"]


def study(n, seed, *, dose=0.5, share=0.6):
    """Cmax rises with dose; ``share`` is the correlation of age with the random effect of alpha."""
    model = load_model("stein2019").fix(fb=0.0079, beta=0.0032)
    design = {"times": DAYS, "lloq": 20, "doses": (1e5, 5e5, 2e6)}
    data = simulate(model, design, n, seed, on_log_dose={"cmax": dose}, omega=OMEGA)
    rng = np.random.default_rng(seed + 1000)  # another seed: with the same one age is the first random effect
    z = np.log(data.subjects["true_alpha"] / 0.16) / OMEGA["alpha"]
    age = 60 + 10 * (share * z + np.sqrt(1 - share**2) * rng.standard_normal(n))
    columns = {"age": age, "sex": rng.choice(["F", "M"], n)}
    return model, replace(data, subjects=data.subjects.assign(**columns))


@settings(max_examples=30)
@given(st.integers(1, 4), st.integers(0, 2**31))
def test_integrating_random_effects_out_is_exact(q, seed):
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(3, q, q + 2))
    precision = factor @ factor.transpose(0, 2, 1)
    centre, mean = rng.normal(size=(2, 3, q))
    omega = rng.uniform(0.2, 2.0, q)
    linear = np.einsum("nab,nb->na", precision, centre)
    found = marginal(precision, linear, list(mean.T), list(omega), np)
    # The same as a normal density of the summary's centre, less the summary's own constant.
    for i in range(3):
        own = np.linalg.inv(precision[i])
        density = multivariate_normal(mean[i], own + np.diag(omega**2)).logpdf(centre[i])
        constant = multivariate_normal(centre[i], own).logpdf(centre[i])
        height = 0.5 * centre[i] @ precision[i] @ centre[i]
        assert found[i] == pytest.approx(density - constant + height, rel=1e-6, abs=1e-6)


def test_a_subject_that_says_nothing_counts_for_nothing():
    zero = np.zeros((2, 3, 3))
    found = marginal(zero, zero[:, 0], [np.ones(2)] * 3, [0.5, 1.0, 2.0], np)
    np.testing.assert_array_equal(found, 0)


def test_the_summary_is_the_likelihood_where_that_is_gaussian():
    # log Cmax alone is random, errors are normal on the log and nothing is BLQ: Laplace's -2LL is exact.
    fixed = {name: p.typical for name, p in load_model("stein2019").parameters.items() if name != "cmax"}
    model = load_model("stein2019").fix(**fixed)
    data = simulate(model, {"times": (3, 7, 10, 14), "lloq": 0.001}, 6, 2)
    state = laplace_em(make_problem(model, data))
    wider = individual_gaussians(replace(state, between=4 * state.between, mean=state.mean + 0.3))
    values = []
    for one in (state, wider):
        summed = marginal(
            _random_block(state), _linear_term(state), [one.expected[:, 0]], [float(np.sqrt(one.between[0, 0]))], np
        ).sum()  # fmt: skip
        values.append(-2 * summed - laplace_minus_two_log_likelihood(one))
    assert values[0] == pytest.approx(values[1], abs=1e-6)


def test_ratios_are_between_the_ends_of_a_covariate():
    model, data = study(12, 3)
    problem = make_problem(model, data)
    pairs = candidate_pairs(problem, {"cmax": CANDIDATES})
    sd = np.array([pair.centred.std() for pair in pairs])
    slopes = np.tile(0.1 * sd, (50, 1))  # 0.1 on the log for every unit of the covariate
    table = _table(problem, pairs, slopes, np.zeros((50, 3)), 1.2, 0.5).set_index("covariate")
    age = np.percentile(data.subjects["age"], [5, 95])
    assert table.loc["age", "ratio"] == pytest.approx(np.exp(0.1 * np.ptp(age)))
    assert table.loc["sex == 'F'", ["low", "high", "ratio"]].tolist() == pytest.approx([0, 1, np.exp(0.1)])
    assert table["named"].to_dict() == {"age": True, "log(dose)": True, "sex == 'F'": False}


@pytest.mark.parametrize(
    ("candidates", "words"),
    [
        ("age", r"candidates is the text 'age'; expected a list"),
        ({"beta": ["age"]}, "beta has no random effect"),
        ({"cmax": ["dose_level == '9'"]}, "is the same for all subjects"),
        ([], "none given"),
        ({"cmxa": ["age"]}, "did you mean 'cmax'"),
    ],
)
def test_candidates_that_cannot_be_are_refused(candidates, words):
    model, data = study(6, 3)
    with pytest.raises(ConfigError, match=words):
        candidate_pairs(make_problem(model, data), candidates)


def test_candidates_for_every_parameter_or_by_parameter():
    model, data = study(6, 3)
    problem = make_problem(model, data)
    each = [(pair.parameter, pair.text) for pair in candidate_pairs(problem, ["age", "log(dose)"])]
    assert len(each) == len(set(each)) == 8
    by = candidate_pairs(problem, {"cmax": "age", "alpha": ["age", "log(dose)"]})
    assert [(pair.parameter, pair.text) for pair in by] == [
        ("cmax", "age"), ("alpha", "age"), ("alpha", "log(dose)"),
    ]  # fmt: skip


def test_what_is_in_the_fit_is_no_candidate_and_nothing_is_imputed():
    model, data = study(6, 3)
    with pytest.raises(ConfigError, match="is in the fit already"):
        candidate_pairs(make_problem(model, data, covariates={"cmax": "age"}), ["age"])
    unknown = data.subjects.assign(age=data.subjects["age"].where(data.subjects["subject"] != "S002"))
    with pytest.raises(DataError, match="S002"):
        candidate_pairs(make_problem(model, replace(data, subjects=unknown)), ["age"])


def test_an_individual_fit_has_no_population(made_fit, alone):
    with pytest.raises(FitError, match="needs a population"):
        screen_covariates(alone(made_fit), ["log(dose)"])
    with pytest.raises(ConfigError, match=r"factor 0\.9"):
        screen_covariates(made_fit, ["log(dose)"], factor=0.9)


@pytest.mark.slow
def test_two_real_pairs_of_twelve_are_named():
    model, data = study(50, 1)
    screen = screen_covariates(fit_population(model, data), CANDIDATES)
    assert len(screen.table) == 12
    assert screen.covariates == {"cmax": ["log(dose)"], "alpha": ["age"]}
    assert "This is a screen" in screen.statement
    table = screen.table.set_index(["parameter", "covariate"])
    dose = table.loc[("cmax", "log(dose)")]
    truth = 20**0.5  # doses from 1e5 to 2e6, slope 0.5
    assert dose["lower"] < truth < dose["upper"]
    assert table.loc[[("cmax", "log(dose)"), ("alpha", "age")], "kappa"].max() < 0.3
    assert table.loc[("tmax", "sex == 'F'"), "kappa"] > 0.5
    # Two roads: the slope of the whole posterior, at the same two doses.
    full = fit_hierarchical(model, data, covariates=screen.covariates, seed=1)
    slope = full.population().loc["cmax_on_log_dose", "median"]
    assert np.log(dose["ratio"]) == pytest.approx(slope * np.log(20), abs=0.25)


@pytest.mark.slow
def test_nothing_is_named_where_nothing_is():
    model, data = study(50, 2, dose=0.0, share=0.0)
    screen = screen_covariates(fit_population(model, data), CANDIDATES)
    assert screen.covariates == {}
    assert screen.statement.startswith("0 of 12 pairs are named. ") or not screen.converged
