"""Two classes of subjects: densities by SciPy, both engines, what follows from a fit."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from scipy import stats
from scipy.special import logit

from carkinetics.diagnostics import compare, diagnose
from carkinetics.errors import ConfigError
from carkinetics.fit import fit_hierarchical, fit_population, load_fit
from carkinetics.fit.classes import class_probability, class_step
from carkinetics.fit.draws import prior_draws
from carkinetics.fit.em import laplace_em
from carkinetics.fit.predictive import new_subjects
from carkinetics.fit.problem import make_problem
from carkinetics.fit.variability import random_effects
from carkinetics.model import load_model, simulate
from carkinetics.model.mixture import Mixture

LOW = {
    "class": "low",
    "share": {"dist": "logitnormal", "median": 0.3, "sigma": 0.7},
    "shift": {"cmax": {"dist": "normal", "mean": -3, "sd": 0.7}},
}
DESIGN = {"times": (1, 3, 5, 7, 10, 14, 21, 28, 60, 90, 180), "lloq": 30, "doses": (1e5, 1e6)}


@pytest.fixture(scope="module")
def data():
    truth = replace(load_model("stein2019"), mixture=Mixture.of(LOW))
    return simulate(truth, DESIGN, 40, 3)


@pytest.mark.parametrize("correlated", [(), ("tmax", "cmax")])
def test_the_probability_of_a_class_is_bayes_rule(data, rng, correlated):
    covariates = {"cmax": "log(dose / 1e6)"}
    problem = make_problem(
        load_model("stein2019"), data, mixture=LOW, covariates=covariates, random=("tmax", "cmax"), correlated=correlated
    )  # fmt: skip
    dims, rho, slope, shift, share = ("chain", "draw"), 0.6 if correlated else 0.0, 0.3, -2.5, 0.2
    location, omega = np.log([9.0, 2e4]), np.array([0.4, 0.7])
    covariance = np.outer(omega, omega) * [[1, rho], [rho, 1]]
    individual = rng.multivariate_normal(location, covariance, 40) - [0.0, 1.0]
    one = {"tmax_typical": 9.0, "cmax_typical": 2e4, "tmax_omega": 0.4, "cmax_omega": 0.7, "low_share": share}
    one |= {"cmax_on_low": shift, problem.covariates[0].name: slope}
    found = {name: (dims, np.array([[value]])) for name, value in one.items()}
    found |= {
        name: ((*dims, "subject"), np.exp(individual[None, None, :, k])) for k, name in enumerate(("tmax", "cmax"))
    }  # fmt: skip
    if correlated:
        found["effect_correlation"] = ((*dims, "effect", "effect_aux"), np.array([[[[1, rho], [rho, 1]]]]))
    draws = xr.Dataset(found, {"chain": [0], "draw": [0]})
    mean = location + np.outer(problem.covariates[0].centred, [0, slope])
    density = [
        stats.multivariate_normal([0, 0], covariance).pdf(individual - mean - member * np.array([0, shift]))
        for member in (0, 1)
    ]
    expected = share * density[1] / ((1 - share) * density[0] + share * density[1])
    np.testing.assert_allclose(class_probability(problem, draws)[0, 0], expected, rtol=1e-10)


def test_the_approximate_fit_finds_the_classes(data):
    found = laplace_em(make_problem(load_model("stein2019"), data, mixture=LOW))
    truth = data.subjects["true_low"].to_numpy()
    assert ((found.effects.membership > 0.5) == truth).mean() > 0.9
    assert found.share == pytest.approx(truth.mean(), abs=0.1)
    # At the share that it found, Newton's method stays.
    assert class_step(found).share == pytest.approx(found.share, abs=0.01)


def test_a_share_balances_members_and_prior(data):
    found = laplace_em(make_problem(load_model("stein2019"), data, mixture=LOW), iterations=2)
    state = class_step(found)
    members, n = state.effects.membership.sum(), 40
    slope = members - n * state.share - (logit(state.share) - logit(0.3)) / 0.7**2
    assert abs(slope) < 1e-8


def test_prior_draws_come_from_both_classes(data):
    problem = make_problem(load_model("stein2019"), data, mixture=LOW)
    prior = prior_draws(problem, 4000, np.random.default_rng(1))
    # Of each prior draw, one subject: the mixture's mean and variance on the log scale by the laws of total ones.
    away = np.log(prior["cmax"][0, :, 0]) - np.log(prior["cmax_typical"][0])
    share = prior["low_share"][0]
    assert float(away.mean()) == pytest.approx(float((share * -3).mean()), abs=0.12)
    assert float(share.median()) == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"mixture": True}, "model stein2019 has none; give one as a mapping"),
        ({"mixture": LOW, "random": ["tmax"]}, "mixture: cmax has no random effect, and only random effects"),
        ({"mixture": LOW, "correlated": ["tmax", "alpha"]}, "cmax differs by class and is not among the corr"),
        ({"mixture": LOW | {"class": "beta"}}, "the name 'beta' is taken"),
        ({"mixture": LOW | {"shift": {"cmx": LOW["shift"]["cmax"]}}}, "no parameter 'cmx'; did you mean 'cmax'"),
        ({"mixture": LOW, "method": "laplace"}, "method='laplace' has no classes"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked(data, asked, said):
    with pytest.raises(ConfigError, match=said):
        fit_hierarchical(load_model("stein2019"), data, **asked)


def test_a_population_fit_has_no_classes(data):
    model = replace(load_model("stein2019"), mixture=Mixture.of(LOW))
    with pytest.raises(ConfigError, match="fit_population has no classes, and model stein2019 has two"):
        fit_population(model, data)


@pytest.fixture(scope="module")
def fit(data):
    return fit_hierarchical(load_model("stein2019"), data, mixture=LOW, seed=1)


@pytest.mark.slow
def test_the_truth_is_recovered_and_kept(fit, data, tmp_path):
    assert diagnose(fit).attrs["converged"]
    found = fit.population()
    for name, value in {"low_share": 0.3, "cmax_on_low": -3.0, "cmax_typical": 24000}.items():
        row = found.loc[name]
        # Some 3.3 posterior SD: a test should fail for a fault, not once in ten data sets.
        assert row["median"] - value == pytest.approx(0, abs=row["upper"] - row["lower"])
    probability = fit.tree["posterior"]["low"].mean(("chain", "draw")).to_numpy()
    assert ((probability > 0.5) == data.subjects["true_low"]).mean() > 0.9
    # The mean probability is the share among these subjects.
    assert probability.mean() == pytest.approx(found.loc["low_share", "median"], abs=0.05)
    again = load_fit(fit.save(tmp_path / "classes.nc"))
    assert again.population().equals(fit.population())
    assert again.pymc_model.named_vars.keys() == fit.pymc_model.named_vars.keys()


@pytest.mark.slow
def test_both_engines_agree(fit, data):
    # A number of draws, since where a goal is reached depends on how busy the machine is.
    other = fit_hierarchical(load_model("stein2019"), data, mixture=LOW, seed=2, sampler="nuts", draws=1500)
    assert diagnose(other).attrs["converged"]
    a, b = fit.population(), other.population()
    error = np.hypot(a["sd"] / np.sqrt(a["ess_bulk"]), b["sd"] / np.sqrt(b["ess_bulk"]))
    means = [f.tree["posterior"].to_dataset().mean(("chain", "draw")) for f in (fit, other)]
    z = {name: abs(float(means[0][name] - means[1][name])) / error[name] for name in a.index}
    assert max(z.values()) < 4.5, z
    shares = [f.tree["posterior"]["low"].mean(("chain", "draw")).to_numpy() for f in (fit, other)]
    np.testing.assert_allclose(*shares, atol=0.03)


@pytest.mark.slow
def test_what_a_fit_with_classes_says(fit, data):
    effects = random_effects(fit)["cmax"]
    low = data.subjects["true_low"].to_numpy()
    # Random effects are deviations within a class: they do not show it.
    assert abs(effects[low].mean() - effects[~low].mean()) < 0.5
    new = np.log(new_subjects(fit, 50, n_draws=400)["cmax"].to_numpy()).ravel()
    posterior = fit.tree["posterior"]
    share, shift = float(posterior["low_share"].mean()), float(posterior["cmax_on_low"].mean())
    centre = float(np.log(posterior["cmax_typical"]).mean()) + share * shift
    assert new.mean() == pytest.approx(centre, abs=0.1)


@pytest.mark.slow
def test_classes_predict_a_subject_better_where_there_are_some(fit, data):
    one = fit_hierarchical(load_model("stein2019"), data, seed=1)
    table = compare({"classes": fit, "one": one}, n_draws=200)
    assert table.index[0] == "classes"
    assert (table["bad_k"] <= 2).all()
