"""A measured input between its measurements."""

import numpy as np
import pytest

from carkinetics.errors import ConfigError
from carkinetics.model.series import Series

TIME, VALUE = np.array([0.0, 10.0, 14.0]), np.array([100.0, 10000.0, 400.0])


@pytest.mark.parametrize(
    ("interpolation", "expected"),
    [
        ("linear", [100, 100, 5050, 10000, 5200, 400, 400]),
        ("log", [100, 100, 1000, 10000, 2000, 400, 400]),
        ("constant", [100, 100, 100, 10000, 10000, 400, 400]),
    ],
)
def test_values_between_before_and_after_the_measurements(interpolation, expected):
    series = Series(TIME, VALUE, interpolation)
    assert series([-7, 0, 5, 10, 12, 14, 99]).tolist() == pytest.approx(expected, rel=1e-12)
    assert series(np.zeros((2, 3))).shape == (2, 3)


def test_measurements_in_any_order_are_sorted_and_replicates_averaged():
    linear = Series.of([14, 0, 14], [2, 1, 8], "linear")
    assert (linear.time.tolist(), linear.value.tolist()) == ([0, 14], [1, 5])
    assert Series.of([14, 0, 14], [2, 1, 8], "log").value.tolist() == pytest.approx([1, 4])


def test_a_kink_is_where_the_value_begins_or_ends_to_change():
    assert Series(np.arange(6.0), np.array([1.0, 1, 2, 3, 3, 3])).knots.tolist() == [1, 2, 3]
    assert Series(np.array([3.0]), np.array([5.0])).knots.size == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (([0, 1], [1, 2], "cubic"), "interpolation is 'cubic'; known are constant, linear, log"),
        (([0, 0], [1, 2]), "strictly increasing"),
        (([0, np.nan], [1, 2]), "finite"),
        (([0, 1], [1]), "one value for each"),
        (([], []), "one or more times"),
        (([0, 7], [1, np.inf]), "value inf on day 7"),
        (([0, 7], [1, 0], "log"), "value 0 on day 7; expected a number above 0, as its log"),
    ],
)
def test_numbers_that_make_no_sense_are_named(arguments, said):
    with pytest.raises(ConfigError, match=said):
        Series(*arguments)
