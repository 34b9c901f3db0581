import numpy as np
import pandas as pd
import pytest

from carkinetics.diagnostics.ranking import rank
from carkinetics.errors import ConfigError
from carkinetics.plot import comparison, comparison_by_subject


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(2)
    base = rng.normal(-20, 4, 30)
    index = pd.Index([f"S{i:03}" for i in range(30)], name="subject")
    moved = {"two phases": 0.0, "one phase": -1.2, "gamma": -0.05, "logistic, far too long a name": -0.4}
    k = {"one phase": 0.8}
    return rank(
        {
            name: pd.DataFrame(
                {
                    "elpd": base + shift + rng.normal(0, 0.8, 30),
                    "k": k.get(name, 0.2),
                    "n_obs": 8,
                    "how": "psis",
                },
                index=index,
            )
            for name, shift in moved.items()
        }
    )


def test_best_is_on_top_and_differences_are_those_of_the_table(table, rendered):
    left, right = comparison(table)
    assert rendered(left)
    low, high = left.get_ylim()
    assert low > high
    assert left.get_yticklabels()[0].get_text() == table.index[0]
    points = [line.get_xdata()[0] for line in left.get_lines() if line.get_marker() in "os"]
    np.testing.assert_allclose(points, table["difference"])
    np.testing.assert_allclose([bar.get_width() for bar in right.patches], table["weight"])


def test_subjects_are_ordered_and_doubtful_ones_open(table, rendered):
    ax = comparison_by_subject(table, first="two phases", second="one phase")
    assert rendered(ax)
    each = table.attrs["subjects"]
    expected = np.sort(each["two phases", "elpd"] - each["one phase", "elpd"])
    drawn = np.concatenate([line.get_xydata() for line in ax.get_lines() if line.get_marker() == "o"])
    np.testing.assert_allclose(drawn[np.argsort(drawn[:, 0]), 1], expected)
    assert all(
        line.get_markerfacecolor() == "white"
        for line in ax.get_lines()
        if line.get_marker() == "o" and len(line.get_xdata())
    )
    with pytest.raises(ConfigError, match="did you mean 'gamma'"):
        comparison_by_subject(table, first="gama")
    with pytest.raises(ConfigError, match=r"the table that compare\(\) returns"):
        comparison(pd.DataFrame({"a": [1]}))
