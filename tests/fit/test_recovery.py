"""Two data sets of `make recovery`: the population values come back."""

import sys
from pathlib import Path

import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import recovery

from carkinetics.model import load_model

pytestmark = pytest.mark.slow


def test_two_data_sets_of_the_recovery_give_the_truth_back():
    model = load_model("stein2019")
    results = pd.concat([recovery.compare(recovery.simulate_and_fit(model, seed), seed) for seed in (2, 3)])
    # 28 intervals of 90 %: fewer than 20 would happen once in 1,000 if they were independent.
    assert results["covered"].sum() >= 20
    typical = results[results["quantity"].isin(["tmax_typical", "cmax_typical", "alpha_typical", "sigma"])]
    assert (typical["relative_error"].abs() < 0.6).all()
