"""One p-value for many comparisons: uniform for one more replicate, small for a stranger."""

import numpy as np
import pytest
from scipy.stats import kstest

from carkinetics.diagnostics.omnibus import omnibus_p


def test_one_more_replicate_has_a_uniform_p_whatever_the_dependence(rng):
    found = []
    for _ in range(400):
        common = rng.standard_normal((100, 1))
        studies = 0.9 * common + 0.4 * rng.standard_normal((100, 6))
        studies[:, 2] = np.round(studies[:, 2])  # ties
        studies[studies < -1.5] = -np.inf  # below what can be measured
        found.append(omnibus_p(studies[0], studies[1:]))
    assert kstest(found, "uniform").pvalue > 0.01
    assert np.mean(np.array(found) <= 0.1) == pytest.approx(0.1, abs=0.05)


def test_small_differences_that_all_point_one_way_are_seen(rng):
    studies = rng.standard_normal((500, 10))
    assert omnibus_p(np.full(10, 1.8), studies) < 0.01
    assert omnibus_p(np.full(10, 0.1), studies) > 0.5


def test_the_order_of_quantities_and_their_scale_do_not_matter(rng):
    seen, studies = rng.standard_normal(4), rng.standard_normal((50, 4))
    p = omnibus_p(seen, studies)
    assert omnibus_p(np.exp(seen[::-1]), np.exp(studies[:, ::-1])) == pytest.approx(p)


def test_nothing_to_compare_has_no_p():
    assert np.isnan(omnibus_p([], np.empty((5, 0))))
    assert np.isnan(omnibus_p([1.0], np.empty((0, 1))))
    assert np.isnan(omnibus_p([np.nan], [[1.0], [2.0]])), "not a number is no reason to reject"
    assert np.isnan(omnibus_p([1.0], [[1.0], [np.nan]]))
