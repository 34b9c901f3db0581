"""Smoothed weights where there is nothing to smooth, or too little: an answer, and never a k that is no number."""

import numpy as np
import pytest

from carkinetics.fit.pareto import FEWEST, GOOD_K, choose, smooth


@pytest.mark.parametrize(
    "log_weight", [np.zeros(100), np.repeat([-1.0, 0.0], 50), np.append(np.zeros(99), -5.0)]
)
def test_weights_whose_largest_are_equal_stay_as_they_are(log_weight, rng):
    weight, k = smooth(log_weight)
    expected = np.exp(log_weight)
    np.testing.assert_allclose(weight, expected / expected.sum())
    assert k == 0
    # A subject without samples: an average of the same number, with what rounding makes of it.
    again, k = smooth(log_weight + rng.normal(0, 1e-15, len(log_weight)))
    np.testing.assert_allclose(again, weight)
    assert k == 0


@pytest.mark.parametrize("n", [1, FEWEST - 6, FEWEST - 1])
def test_too_few_draws_are_not_trusted(rng, n):
    weight, k = smooth(rng.normal(size=n))
    assert k == np.inf
    assert weight.sum() == pytest.approx(1)


@pytest.mark.parametrize("n", [FEWEST, FEWEST + 5, 226])
def test_enough_draws_have_a_k(rng, n):
    weight, k = smooth(rng.normal(size=n))
    assert np.isfinite(k)
    assert weight.sum() == pytest.approx(1)


def test_a_tail_that_is_like_no_pareto_distribution_is_not_trusted():
    # A quarter of the tail is no larger than its smallest value: there is no shape to estimate.
    log_weight = np.concatenate([np.linspace(-5, -1, 80), np.zeros(19), [3.0]])
    weight, k = smooth(log_weight)
    assert not k <= GOOD_K
    assert np.isfinite(weight).all()


def test_chosen_draws_are_in_no_order(rng):
    """Chains are cut from them: R-hat would call a good approximation one that did not converge."""
    z = []
    for _ in range(50):
        x = rng.normal(0, 1.5, 2000)
        log_weight = -0.5 * x**2 + 0.5 * (x / 1.5) ** 2
        chosen, _ = choose(log_weight, 1000, rng)
        assert len(np.unique(chosen)) == 1000
        first, second = log_weight[chosen].reshape(2, -1)
        z.append((first.mean() - second.mean()) / np.sqrt(2 * log_weight[chosen].var() / 500))
    assert abs(np.mean(z)) < 4 / np.sqrt(50)
