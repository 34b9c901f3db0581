"""Families of outcomes: probabilities that add up, and one function for NumPy and PyTensor."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from scipy import stats
from scipy.special import expit

from carkinetics.response.bayes import Regression, Scale
from carkinetics.response.family import Binary, Continuous, Count, Ordinal, Piecewise, Weibull

ETA = np.array([-1.3, 0.2, 0.9, 2.0])
TIMES = (np.array([0.0, 0, 10, 5]), np.array([30.0, 9, 40, 80]), np.array([1.0, 0, 1, 1]), 25.0)
CASES = {
    "binary": (Binary(np.array([1.0, 0, 0, 1])), [0.3]),
    "ordinal": (Ordinal(np.array([0, 3, 1, 2]), ("0", "1", "2", "3")), [-0.4, 0.1, 0.7]),
    "continuous": (Continuous(np.array([3.0, -1, 0.4, 9])), [0.5, 0.8]),
    "count": (Count(np.array([0.0, 3, 1, 12])), [0.4, -0.3]),
    "weibull": (Weibull(*TIMES), [-0.2, 0.4]),
    "piecewise": (Piecewise(*TIMES, np.array([12.0, 50.0])), [-0.2, 0.4, 0.1]),
}


@pytest.mark.parametrize("name", CASES)
def test_pytensor_and_numpy_give_one_likelihood(name: str):
    family, aux = CASES[name]
    expected = family.log_likelihood([np.array(a) for a in aux], ETA)
    symbol = pt.dvector()
    found = family.log_likelihood([pt.as_tensor(a) for a in aux], symbol, pt)
    compiled = pytensor.function([symbol], found, mode="FAST_COMPILE")
    np.testing.assert_allclose(compiled(ETA), expected, rtol=1e-10)


def test_grades_share_one_probability_and_the_cuts_are_cumulative_logits():
    aux, levels = [np.array(v) for v in (-0.4, 0.1, 0.7)], ("0", "1", "2", "3")
    each = [np.exp(Ordinal(np.full(4, k), levels).log_likelihood(aux, ETA)) for k in range(4)]
    np.testing.assert_allclose(sum(each), 1.0, rtol=1e-12)
    cuts = Ordinal(np.zeros(4, int), levels).natural(np.array([-0.4, 0.1, 0.7]), np.array(0.0))
    np.testing.assert_allclose(each[2] + each[3], expit(ETA - cuts["cut[2]"]), rtol=1e-12)


def test_a_grade_in_a_narrow_band_keeps_its_logarithm():
    # Far out in a tail, where a difference of probabilities is 0.
    aux = [np.array(0.0), np.array(np.log(1e-8))]
    found = Ordinal(np.array([1]), ("0", "1", "2")).log_likelihood(aux, np.array([-60.0]))
    assert found[0] == pytest.approx(-60 + np.log(1e-8), rel=1e-6)


def test_counts_are_negative_binomial_and_numbers_normal():
    family, aux = CASES["count"]
    mean, dispersion = np.exp(aux[0] + ETA), np.exp(aux[1])
    size = 1 / dispersion
    expected = stats.nbinom.logpmf(family.y, size, size / (size + mean))
    np.testing.assert_allclose(family.log_likelihood([np.array(a) for a in aux], ETA), expected, rtol=1e-9)
    numbers, aux = CASES["continuous"]
    expected = stats.norm.logpdf(numbers.y, aux[0] + ETA, np.exp(aux[1]))
    np.testing.assert_allclose(numbers.log_likelihood([np.array(a) for a in aux], ETA), expected, rtol=1e-9)


@pytest.mark.parametrize("name", ["binary", "ordinal", "continuous", "count", "weibull", "piecewise"])
def test_natural_coefficients_give_the_same_predictor(name: str):
    """Whatever the centring, an intercept on the natural scale and plain predictors give the likelihood of the free scale."""
    family, aux = CASES[name]
    rng = np.random.default_rng(3)
    x, other = rng.normal(7, 2, 4), rng.normal(-3, 5, 4)
    regression = Regression(family, Scale.of(x), other[:, None], ("w",))
    theta = np.array([*aux, 0.8, -0.5])
    natural = regression.natural(theta[None]).iloc[0]
    eta = regression.predictor([np.array(v) for v in theta[len(aux) :]], x)
    plain = natural["slope"] * x + natural["w"] * other
    shift = {
        "binary": lambda: natural["intercept"] - aux[0],
        "continuous": lambda: natural["intercept"] - aux[0],
        "count": lambda: natural["intercept"] - aux[0],
        "ordinal": lambda: aux[0] - natural["cut[1]"],
        "weibull": lambda: np.log(natural["rate"]) + natural["shape"] * np.log(25.0) - aux[0],
        "piecewise": lambda: np.log(natural["rate[from day 0]"] * 25.0) - aux[0],
    }[name]()
    np.testing.assert_allclose(plain + shift, eta, rtol=1e-9)


def test_an_emax_shape_saturates_at_the_slope_and_is_half_at_ec50():
    x = np.log(np.array([1.0, 10, 100, 1000]))
    regression = Regression(CASES["binary"][0], Scale.of(x), np.empty((4, 0)), shape="emax")
    theta = np.array([0.3, 2.5, 0.4])
    ec50 = regression.natural(theta[None])["ec50"].iloc[0]
    parts = [np.array(2.5), np.array(0.4)]
    assert regression.predictor(parts, np.log([ec50]))[0] == pytest.approx(1.25)
    assert regression.predictor(parts, np.log([ec50 * 1e9]))[0] == pytest.approx(2.5)
    assert regression.predictor(parts, np.log([ec50 * 3]))[0] == pytest.approx(2.5 * 3 / 4)
