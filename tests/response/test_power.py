import numpy as np
import pytest
from hypothesis import given
from hypothesis.strategies import floats

from carkinetics.errors import ConfigError
from carkinetics.response import equivalence_region


@pytest.mark.parametrize(
    ("ratio", "region"),
    [
        (2, (0.678072, 1.321928)),
        (4, (0.839036, 1.160964)),
        (10, (0.903090, 1.096910)),
        (20, (0.925513, 1.074487)),
    ],
)
def test_equivalence_region_of_smith(ratio, region):
    # Acceptance F5; Smith 2000, Pharm Res 17:1278.
    assert equivalence_region(ratio) == pytest.approx(region, abs=5e-7)


@given(ratio=floats(1.01, 1e4), low=floats(0.1, 0.99), high=floats(1.01, 10))
def test_at_the_ends_of_the_region_the_ratio_is_at_its_limits(ratio, low, high):
    region = equivalence_region(ratio, (low, high))
    np.testing.assert_allclose(ratio ** (np.array(region) - 1), (low, high), rtol=1e-9)


@pytest.mark.parametrize(
    ("ratio", "limits"), [(1, (0.8, 1.25)), (0.5, (0.8, 1.25)), (10, (1.1, 1.25)), (10, (0, 2))]
)
def test_a_region_that_makes_no_sense_is_refused(ratio, limits):
    with pytest.raises(ConfigError, match="expected"):
        equivalence_region(ratio, limits)
