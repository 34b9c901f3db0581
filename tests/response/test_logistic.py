import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis.strategies import booleans, floats, lists
from scipy.optimize import linprog

from carkinetics.errors import DataError
from carkinetics.response import logistic_firth, logistic_ml
from carkinetics.response.binary import is_separated

# Acceptance F1.
AUC = 1e3 * np.array([20, 35, 50, 60, 80, 100, 120, 150, 190, 220, 260, 300, 360, 420, 500, 600])
RESPONSE = np.array([0, 0, 0, 1, 0, 0, 1, 0, 1, 0, 1, 1, 0, 1, 1, 1])


def test_ml_gives_the_reference_exposure_response():
    fit = logistic_ml(np.log(AUC), RESPONSE)
    assert fit.coefficients == pytest.approx([-17.178639, 1.439237], abs=5e-7)
    assert fit.se == pytest.approx([9.163945, 0.762609], abs=5e-7)
    assert fit.minus_two_ll == pytest.approx(16.981120, abs=5e-7)
    assert fit.deviance == pytest.approx(fit.minus_two_ll)
    assert 2 ** fit.coefficients[1] == pytest.approx(2.711773, abs=5e-7)
    assert (fit.separated, fit.message) == (False, "")


def test_firth_gives_the_reference_exposure_response():
    fit = logistic_firth(np.log(AUC), RESPONSE)
    assert fit.coefficients == pytest.approx([-13.691069, 1.149186], abs=5e-7)


def test_separated_groups_have_no_ml_and_the_closed_form_by_firth():
    # Acceptance F2: 0 of 10 in group A, 2 of 6 in group B.
    x, y = np.repeat([0, 1], [10, 6]), np.repeat([0, 1, 0], [10, 2, 4])
    ml, firth = logistic_ml(x, y), logistic_firth(x, y)
    assert ml.separated
    assert np.isnan(ml.coefficients).all()
    assert "no maximum likelihood estimate" in ml.message
    assert firth.separated
    assert firth.coefficients == pytest.approx(
        [np.log(0.5 / 10.5), np.log(2.5 / 4.5) - np.log(0.5 / 10.5)], abs=1e-9
    )
    assert firth.coefficients == pytest.approx([-3.044522, 2.456736], abs=5e-7)


def test_the_budworms_of_collett():
    # Acceptance F3: Collett 1991, data set of R package MASS, glm of R.
    dose = np.tile(np.arange(6.0), 2)
    male = np.repeat([1.0, 0.0], 6)
    killed = [1, 4, 9, 13, 18, 20, 0, 2, 6, 10, 12, 16]
    fit = logistic_ml(np.column_stack([male, dose]), killed, trials=[20] * 12)
    assert fit.coefficients == pytest.approx([-3.4731553, 1.1007434, 1.0642140], abs=1e-6)
    assert fit.se == pytest.approx([0.4685202, 0.3558271, 0.1310775], abs=1e-6)
    assert fit.deviance == pytest.approx(6.7570642, abs=5e-7)
    ld50 = -fit.coefficients[0] / fit.coefficients[2]
    gradient = np.array([-1, 0, -ld50]) / fit.coefficients[2]
    assert ld50 == pytest.approx(3.263587, abs=5e-7)
    assert np.sqrt(gradient @ fit.covariance @ gradient) == pytest.approx(0.229754, abs=5e-7)


@pytest.mark.parametrize("fit", [logistic_ml, logistic_firth])
def test_grouped_and_single_events_are_the_same_data(fit):
    grouped = fit([0.0, 1, 2], [1, 2, 4], trials=[4, 5, 5])
    single = fit(np.repeat([0.0, 1, 2], [4, 5, 5]), [1, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1, 1, 1, 0])
    np.testing.assert_allclose(grouped.coefficients, single.coefficients, rtol=1e-9)
    np.testing.assert_allclose(grouped.covariance, single.covariance, rtol=1e-7)
    assert grouped.minus_two_ll == pytest.approx(single.minus_two_ll)


series = lists(floats(-3, 3).map(lambda v: round(v, 2)), min_size=6, max_size=15, unique=True)


@settings(max_examples=50, deadline=None)
@given(
    x=series,
    flags=lists(booleans(), min_size=15, max_size=15),
    shift=floats(-50, 50),
    scale=floats(0.01, 100),
)
def test_firth_follows_the_unit_of_exposure_and_the_name_of_the_event(x, flags, shift, scale):
    x, y = np.array(x), np.array(flags[: len(x)], dtype=float)
    base = logistic_firth(x, y).coefficients
    moved = logistic_firth(shift + scale * x, y).coefficients
    np.testing.assert_allclose([moved[0] + moved[1] * shift, moved[1] * scale], base, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(logistic_firth(x, 1 - y).coefficients, -base, rtol=1e-6, atol=1e-7)


@settings(max_examples=50, deadline=None)
@given(x=series, flags=lists(booleans(), min_size=15, max_size=15))
def test_separation_on_one_predictor_is_a_gap_between_the_groups(x, flags):
    x, y = np.array(x), np.array(flags[: len(x)])
    assume(0 < y.sum() < len(y))
    apart = x[y].min() > x[~y].max() or x[y].max() < x[~y].min()
    assert is_separated(x, y) == apart
    assert np.isfinite(logistic_firth(x, y).coefficients).all()


def test_groups_that_touch_are_separated_up_to_ties():
    assert is_separated([1, 2, 3, 3, 4], [0, 0, 0, 1, 1])
    assert not is_separated([1, 2, 3, 2.9, 4], [0, 0, 0, 1, 1])


def test_one_outcome_for_all_is_separated():
    assert is_separated([1, 2, 3], [0, 0, 0])


@pytest.mark.parametrize(
    ("x", "y", "part"),
    [
        ([1, 2, 3], [0, 1], "as many rows as events"),
        ([1, 2, np.nan], [0, 1, 1], "missing"),
        ([1, 2, 3], [0, 1, 2], "0 to the number of trials"),
        ([2, 2, 2], [0, 1, 1], "constant"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(x, y, part):
    with pytest.raises(DataError, match=part):
        logistic_ml(x, y)


@given(
    points=lists(floats(-3, 3).map(lambda x: round(x, 1)), min_size=4, max_size=12),
    yes=lists(booleans(), min_size=12, max_size=12),
)
def test_one_predictor_separates_where_the_linear_program_says_so(points, yes):
    """Two roads: ranges of the predictor, and Albert and Anderson's condition as a linear program."""
    x, y = np.array(points), np.array(yes[: len(points)], dtype=bool)
    assume(len(set(points)) > 1)
    design = np.column_stack([np.ones(len(x)), x / 3])
    signed = np.where(y[:, None], design, -design)
    best = linprog(-signed.sum(axis=0), A_ub=-signed, b_ub=np.zeros(len(x)), bounds=(-1, 1))
    assert is_separated(x, y.astype(float)) == (-best.fun > 1e-7)
