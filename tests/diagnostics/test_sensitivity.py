"""Power scaling: equal to its closed form where there is one, and designs that do not tell a parameter are named."""

import numpy as np
import pytest
from scipy.stats import norm

from carkinetics.diagnostics import prior_sensitivity
from carkinetics.diagnostics.contraction import contraction_words
from carkinetics.diagnostics.sensitivity import ALPHAS, power_scaling, sensitivity_words
from carkinetics.errors import ConfigError, FitError
from carkinetics.fit import fit_hierarchical
from carkinetics.model import load_model, simulate


def posterior(prior, data, power_prior=1.0, power_data=1.0):
    """Normal mean with known variances; both given as (mean, variance)."""
    precision = power_prior / prior[1] + power_data / data[1]
    mean = (power_prior * prior[0] / prior[1] + power_data * data[0] / data[1]) / precision
    return mean, precision**-0.5


def cjs(p, q, width):
    """Cumulative Jensen-Shannon distance of two distribution functions on a grid (Nguyen and Vreeken 2015)."""
    total = 0.0
    for one, other in ((p, q), (q, p)):
        part = np.where(one > 0, one * np.log2(np.maximum(one, 1e-300) / (0.5 * (one + other))), 0.0)
        total += part.sum() * width + (other - one).sum() * width / (2 * np.log(2))
    return np.sqrt(total / ((p + q).sum() * width))


def closed_form(prior, data, which, reach):
    """Sensitivity from distribution functions of the scaled posteriors, over the range of the draws."""
    mean, sd = posterior(prior, data)
    x = np.linspace(mean - reach * sd, mean + reach * sd, 40_001)
    slopes = []
    for alpha in ALPHAS:
        moved = norm(*posterior(prior, data, **{which: alpha}))
        one = cjs(norm.cdf(x, mean, sd), moved.cdf(x), x[1] - x[0])
        other = cjs(norm.sf(x, mean, sd), moved.sf(x), x[1] - x[0])
        slopes.append(max(one, other) / abs(np.log2(alpha)))
    return np.mean(slopes)


@pytest.mark.parametrize(
    ("prior", "data"),
    [
        ((0.0, 1.0), (1.0, 1.0)),
        ((0.0, 25.0), (1.0, 0.2)),
        ((3.0, 0.1), (0.0, 2.0)),
        ((0.0, 1.0), (4.0, 0.5)),
    ],
    ids=["equal", "wide prior", "narrow prior", "conflict"],
)
def test_the_normal_mean_has_its_closed_form(prior, data):
    n = 4000
    place = (np.arange(n) + 0.5) / n
    mean, sd = posterior(prior, data)
    draws = np.random.default_rng(1).permutation(norm.ppf(place, mean, sd))
    for which, (centre, variance) in (("power_prior", prior), ("power_data", data)):
        component = norm.logpdf(draws, centre, variance**0.5)
        (found,) = power_scaling(draws[:, None], component)
        assert found == pytest.approx(closed_form(prior, data, which, norm.isf(place[0])), rel=0.03)


def test_the_conflict_is_one_and_the_wide_prior_is_not():
    reach = norm.isf(0.5 / 4000)
    assert closed_form((0.0, 1.0), (4.0, 0.5), "power_prior", reach) > 0.05
    assert closed_form((0.0, 25.0), (1.0, 0.2), "power_prior", reach) < 0.05


def test_the_sensitivity_does_not_depend_on_units(rng):
    draws = rng.normal(size=(500, 1))
    component = norm.logpdf(draws[:, 0], 1.0, 1.0)
    one, other = power_scaling(draws, component), power_scaling(1e4 * draws + 3e5, component)
    np.testing.assert_allclose(one, other, rtol=1e-6)


def test_what_says_the_same_at_most_draws_moves_them_little(rng):
    draws, some = rng.normal(size=(400, 1)), rng.normal(size=400)
    np.testing.assert_allclose(power_scaling(draws, np.zeros(400)), 0, atol=1e-6)
    # Only BLQ samples: a likelihood of 1 wherever levels are low, which is the largest there is.
    bounded = np.minimum(some, 0.0)
    nudged = bounded + 1e-9 * some  # no two alike, so that the tail can be smoothed
    assert power_scaling(draws, bounded) == pytest.approx(power_scaling(draws, nudged), rel=0.02)


def test_a_density_that_is_not_finite_is_refused():
    with pytest.raises(FitError, match="not finite at 1 of 30 draws"):
        power_scaling(np.zeros((30, 1)), np.where(np.arange(30) == 3, -np.inf, 0.0))


@pytest.mark.parametrize(
    ("prior", "likelihood", "share", "detectable", "words"),
    [
        (False, True, 0.9, True, "informed"),
        (True, True, 0.99, True, "informed; possible prior-data conflict"),
        (True, False, 0.9, True, "informed; its prior moves it"),
        (True, True, 0.0, True, "not informed by the data"),
        (False, True, 0.0, True, "not informed by the data"),
        (False, True, -1.8, True, "wider than its prior"),
        (False, False, 0.5, True, "weakly informed; neither moves it"),
        (False, False, 0.91, False, "informed; below the noise of the draws"),
    ],
)
def test_words_never_contradict_the_contraction(prior, likelihood, share, detectable, words):
    found = sensitivity_words(prior, likelihood, share, detectable=detectable)
    assert found == words
    assert found.startswith(contraction_words(share))


def test_what_cannot_be_asked_is_said(made_fit, alone):
    with pytest.raises(FitError, match="needs the posterior of a hierarchical fit"):
        prior_sensitivity(alone(made_fit))
    with pytest.raises(ConfigError, match="did you mean 'marginal'"):
        prior_sensitivity(made_fit, likelihood="marginl")


DAYS = {
    "good": (1, 3, 5, 7, 9, 11, 14, 21, 28, 60, 90, 180, 360),
    "weekly": (7, 14, 21, 28, 90, 180, 360),
    "short": (1, 3, 5, 7, 9, 11, 14, 21, 28),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("design", "untold"), [("good", ""), ("weekly", "foldx_typical"), ("short", "beta_typical")]
)
def test_a_design_that_does_not_tell_a_parameter_is_named(design, untold):
    model = load_model("stein2019")
    data = simulate(model, {"times": DAYS[design], "lloq": 10}, 25, 11)
    table = prior_sensitivity(fit_hierarchical(model, data, seed=1))
    lost = table.index[table["words"] == "not informed by the data"].tolist()
    if untold:
        assert untold in lost
        assert table.loc[untold, "contraction"] < 0.1
    else:
        assert lost == []
    assert table.loc["sigma", "words"] == "informed"
    assert table.loc["cmax_typical", "likelihood"] > table.attrs["noise_likelihood"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("median", "sigma", "words"),
    [(30, 0.25, "possible prior-data conflict"), (10, 0.5, "informed")],
    ids=["three times the truth, narrow", "around the truth"],
)
def test_a_prior_that_the_data_contradict_is_named(median, sigma, words):
    model = load_model("stein2019").fix(fb=0.0079, beta=0.0032)
    data = simulate(model, {"times": DAYS["short"], "lloq": 10}, 8, 11)  # peaks around day 9.3
    prior = {"dist": "lognormal", "median": median, "sigma": sigma}
    table = prior_sensitivity(fit_hierarchical(model.with_priors(tmax=prior), data, seed=1))
    assert table.loc["tmax_typical", "words"].endswith(words)
    assert table.loc["cmax_typical", "words"] == "informed"
    if words.startswith("possible"):
        assert table.loc["tmax_typical", "strongest_prior"] == "tmax_typical"
