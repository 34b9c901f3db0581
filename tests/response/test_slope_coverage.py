"""Coverage of the slope's 90 % interval on 200 simulated trials: the table, and some of its trials again."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
import slope_coverage

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return pd.read_csv(slope_coverage.ROWS)


def test_the_joint_interval_holds_the_truth_as_often_as_it_says(rows: pd.DataFrame, capsys):
    table = slope_coverage.coverage_table(rows)
    with capsys.disabled():
        sys.stdout.write("\n" + slope_coverage.page(table))
    assert (table["trials"] == 200).all()
    for outcome in slope_coverage.SLOPES:
        found = table.loc[outcome]
        assert found.loc["joint", "coverage"] == pytest.approx(0.9, abs=3 * np.sqrt(0.9 * 0.1 / 200))
        # Uncertain exposures flatten the slope of two stages; speaking on them undoes it.
        assert found.loc["two stages", "slope"] < found.loc["joint", "slope"]
        assert found.loc["two stages", "coverage"] < found.loc["joint", "coverage"]


def test_the_page_is_that_of_the_rows(rows: pd.DataFrame):
    expected = slope_coverage.page(slope_coverage.coverage_table(rows))
    assert slope_coverage.PAGE.read_text(encoding="utf-8") == expected


@pytest.mark.parametrize("seed", [0, 7])
def test_a_trial_gives_its_rows_again(rows: pd.DataFrame, seed: int):
    again = pd.DataFrame(slope_coverage.run_trial(seed)).set_index(["outcome", "way"])
    stored = rows[rows["seed"] == seed].set_index(["outcome", "way"])
    for column in ("slope", "lower", "upper"):
        np.testing.assert_allclose(again[column], stored[column], rtol=0.02, atol=0.02)
