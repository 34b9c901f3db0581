"""The benchmark data stay what the measured numbers were measured on."""

import sys
from pathlib import Path

import numpy as np
import pytest

import carkinetics

sys.path.insert(0, str(Path(__file__).parent))
import shapes
from problems import Problem, simulate_p1, simulate_p2, simulate_sparse

PROBLEMS = {"P1": simulate_p1, "P2": simulate_p2, "sparse": simulate_sparse}


@pytest.fixture(params=PROBLEMS, scope="module")
def problem(request) -> Problem:
    return PROBLEMS[request.param]()


# Rows, censored rows and sum of the log values of the research code behind the first measured numbers.
@pytest.mark.parametrize(
    ("name", "rows", "censored", "total"),
    [("P1", 1266, 335, 8248.9491592), ("P2", 540, 113, 2399.2456066), ("sparse", 60, 30, 304.5890543)],
)
def test_the_data_are_those_of_the_first_measurements(name, rows, censored, total):
    problem = PROBLEMS[name]()
    assert (len(problem.time), problem.censored.sum()) == (rows, censored)
    assert problem.log_value.sum() == pytest.approx(total, rel=1e-9)


def test_read_nonmem_reads_every_row_of_the_long_table(problem):
    data = carkinetics.read_nonmem(shapes.long_table(problem), **shapes.read_options(problem))
    assert len(data.observations) == len(problem.time)
    assert (data.observations["status"] == "below_lloq").sum() == problem.censored.sum()
    assert data.excluded.empty
    assert data.remarks.empty


def test_censored_values_stand_at_the_limit(problem):
    np.testing.assert_array_equal(problem.log_value[problem.censored], problem.log_limit[problem.censored])
    assert (problem.log_value[~problem.censored] >= problem.log_limit[~problem.censored]).all()


def test_rows_are_sorted_by_subject_output_and_time(problem):
    order = np.lexsort((problem.time, problem.output, problem.subject))
    np.testing.assert_array_equal(order, np.arange(len(order)))


def test_grid_has_the_tumour_of_every_second_subject():
    grid = shapes.p2_grid(simulate_p2(4, 2))
    np.testing.assert_array_equal(grid["tumour_seen"].all(axis=1), [True, False, True, False])
    assert grid["qpcr_seen"].all()


def test_names_and_priors_go_together(problem):
    priors = shapes.priors_of(problem)
    arrays = shapes.prior_arrays(priors)
    n_values = sum(len(arrays[key]) for key in ("typical_mean", "omega_scale", "fixed_mean", "sigma_scale"))
    assert len(shapes.population_names(priors)) == n_values
    assert arrays["typical_mean"].shape == (problem.truth.shape[1],)
