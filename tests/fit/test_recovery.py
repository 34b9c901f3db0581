"""A few data sets of `make recovery`: the population values come back."""

import sys
from pathlib import Path

import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import recovery

pytestmark = pytest.mark.slow


def results_of(name, seeds, subjects):
    case = recovery.cases()[name]
    fits = {seed: recovery.simulate_and_fit(case, seed, subjects=subjects) for seed in seeds}
    return pd.concat([recovery.compare(case, fit, seed) for seed, fit in fits.items()])


def test_two_data_sets_of_the_closed_form_give_the_truth_back():
    results = results_of("p1", (2, 3), 30)
    assert results["converged"].all()
    # 28 intervals of 90 %: fewer than 20 would happen once in 1,000 if they were independent.
    assert results["covered"].sum() >= 20
    typical = results[results["quantity"].isin(["tmax_typical", "cmax_typical", "alpha_typical", "sigma"])]
    assert (typical["relative_error"].abs() < 0.6).all()


def test_a_data_set_of_two_outputs_gives_the_truth_back():
    # Fewer subjects than in RECOVERY.md, where twenty data sets of 30 are: wider intervals, which hold the truth as often.
    results = results_of("p2", (2,), 18)
    assert results["converged"].all()
    # 15 intervals of 90 %: fewer than 10 would happen once in 1,000 if they were independent.
    assert results["covered"].sum() >= 10
