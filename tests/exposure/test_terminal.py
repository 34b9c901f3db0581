import numpy as np
import pytest
from hypothesis import given
from hypothesis.strategies import floats, integers

from carkinetics.exposure.terminal import _line, terminal_slope

TIME = [1.0, 3, 7, 10, 14, 21, 30, 60, 90]
LEVEL = [120.0, 850, 9800, 21500, 15200, 5400, 1900, 610, 420]


def test_the_reference_patient_has_the_expected_line():
    # Acceptance B5, B6, B7, B9 (span 60 d / half-life 2.18).
    phase = terminal_slope(TIME, LEVEL)
    assert (phase.n, phase.start, phase.end) == (3, 30, 90)
    assert phase.lambda_z == pytest.approx(0.02515591, abs=5e-9)
    assert phase.r2_adjusted == pytest.approx(0.8430301, abs=5e-8)
    assert phase.half_life == pytest.approx(27.55405, abs=5e-6)
    assert phase.level(90) == pytest.approx(369.8498, abs=5e-5)
    assert phase.span == pytest.approx(2.18, abs=5e-3)


@pytest.mark.parametrize(("first", "r2"), [(30, 0.8430301), (21, 0.8107010), (14, 0.7919970)])
def test_the_windows_tried_have_the_expected_adjusted_r2(first, r2):
    # Acceptance B12.
    days, log_level = np.array(TIME), np.log(LEVEL)
    line = _line(days[days >= first], log_level[days >= first])
    assert line.r2_adjusted == pytest.approx(r2, abs=5e-8)


@given(rate=floats(0.005, 1.0), n=integers(3, 10), peak=floats(10, 1e6))
def test_one_exponential_uses_every_point_after_the_peak(rate, n, peak):
    time = np.arange(n + 1.0)
    phase = terminal_slope(time, peak * np.exp(-rate * time))
    assert phase.n == n
    assert phase.lambda_z == pytest.approx(rate, rel=1e-9)


def test_within_the_tolerance_more_points_win():
    # Last three points exactly on a line (adjusted R² 1); the fourth bends it by less than 1e-4.
    time = np.array([0.0, 10, 20, 30, 40])
    log_level = np.array([12.0, 7.02, 6.0, 5.0, 4.0])
    assert terminal_slope(time, np.exp(log_level)).n == 4
    log_level[1] = 7.5
    assert terminal_slope(time, np.exp(log_level)).n == 3


def test_cmax_is_left_out():
    time, level = np.array([0.0, 1, 2]), np.array([100.0, 50, 25])
    assert terminal_slope(time, level).reason == "needs 3 quantified values after Cmax; has 2"


@pytest.mark.parametrize("level", [[100.0, 10, 20, 40], [100.0, 7.3, 7.3, 7.3]])
def test_a_level_that_does_not_fall_has_no_slope(level):
    phase = terminal_slope([0.0, 1, 2, 3], level)
    assert phase.reason == "the level does not fall at the end of sampling"
    assert np.isnan(phase.lambda_z)


def test_a_zero_is_left_out_of_the_regression():
    with_zero = terminal_slope([0.0, 1, 2, 3, 4], [100.0, 50, 25, 12.5, 0.0])
    assert (with_zero.n, with_zero.end) == (3, 3)
