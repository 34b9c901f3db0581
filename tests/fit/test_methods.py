"""Approximate methods: Pareto's k tells a good approximation from a bad one, and each carries its label."""

import numpy as np
import pytest

from carkinetics.diagnostics import diagnose
from carkinetics.errors import ConfigError
from carkinetics.fit import fit_hierarchical
from carkinetics.fit.pareto import GOOD_K, choose
from carkinetics.model import load_model, simulate

# What pymc-extras' own imports warn of changes with PyTensor's releases and is theirs to mend.
PATHFINDER = pytest.param("pathfinder", marks=pytest.mark.filterwarnings("ignore::DeprecationWarning"))


def normal_weights(scale, rng, n=4000):
    """Draws of a normal of that scale, and log weights towards the standard normal."""
    x = scale * rng.standard_normal(n)
    return x, -0.5 * x**2 + 0.5 * (x / scale) ** 2


def test_a_wide_proposal_is_corrected_by_its_weights(rng):
    x, log_weight = normal_weights(1.5, rng)
    chosen, k = choose(log_weight, 1000, rng)
    assert k < 0.5
    assert len(set(chosen)) == 1000
    assert x[chosen].std() == pytest.approx(1.0, abs=0.08)


def test_a_narrow_proposal_is_found_out_and_left_as_it_is(rng):
    x, log_weight = normal_weights(0.4, rng)
    chosen, k = choose(log_weight, 1000, rng)
    assert k > GOOD_K
    assert x[chosen].std() == pytest.approx(0.4, abs=0.04)


def test_impossible_draws_are_never_chosen(rng):
    x, log_weight = normal_weights(1.5, rng)
    log_weight[x > 0] = -np.inf
    log_weight[:100] = np.nan
    chosen, _ = choose(log_weight, 500, rng)
    assert (x[chosen] <= 0).all()
    assert (chosen >= 100).all()


def test_only_impossible_draws_have_the_worst_k(rng):
    chosen, k = choose(np.full(100, -np.inf), 10, rng)
    assert np.isinf(k)
    assert len(chosen) == 10


@pytest.fixture(scope="module")
def eight():
    """Eight well-observed subjects and a model with two random effects."""
    model = load_model("stein2019")
    design = {"times": (1, 3, 5, 7, 9, 11, 14, 21, 28, 60, 120), "lloq": 10, "lod": 5, "doses": (1e6,)}
    data = simulate(model, design, 8, 3, omega=dict.fromkeys(("foldx", "tmax", "alpha", "fb", "beta"), 0.0))
    return model, data


def test_an_unknown_method_is_refused(eight):
    with pytest.raises(ConfigError, match=r"method is 'laplase'.*laplace"):
        fit_hierarchical(*eight, method="laplase")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["laplace", "advi", PATHFINDER])
def test_an_approximation_is_near_the_posterior_and_says_what_it_is(eight, method):
    asked = {"random": ["cmax", "tmax"], "correlated": True, "covariates": {}}
    reference = fit_hierarchical(*eight, **asked)
    fit = fit_hierarchical(*eight, method=method, draws=400, **asked)
    found, true = fit.population(), reference.population()
    assert fit.settings["sampler"] == method
    assert set(found.index) == set(true.index)
    typical = ["cmax_typical", "tmax_typical", "alpha_typical"]
    shift = (found.loc[typical, "median"] - true.loc[typical, "median"]) / true.loc[typical, "sd"]
    assert (shift.abs() < 1.0).all()
    verdict = diagnose(fit)
    rows = verdict[verdict["rule"] == "approximation"]
    assert len(rows) == 1
    good = fit.settings["pareto_k"] <= GOOD_K
    assert rows["severity"].item() == ("warning" if good else "error")
    assert verdict.attrs["converged"] == good
    assert method in verdict.attrs["verdict"]
