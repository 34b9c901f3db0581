"""Metrics are called what the field calls them, in a sentence and as a heading."""

import pytest

from carkinetics.exposure.metric_name import metric_name
from carkinetics.plot.style import metric_title


@pytest.mark.parametrize(
    ("metric", "name", "title"),
    [
        ("cmax", "Cmax", "Cmax"),
        ("auc_0_28", "AUC day 0–28", "AUC day 0–28"),
        ("auc_0_10.5", "AUC day 0–10.5", "AUC day 0–10.5"),
        ("persistence", "persistence", "Persistence"),  # a name that is written as the metric is
        ("half_life_fast", "half-life, fast", "Half-life, fast"),
        ("level", "the level of the day", "The level of the day"),
        ("foldx", "foldx", "foldx"),
    ],
)
def test_a_name_begins_small_in_a_sentence_and_large_in_a_heading(metric, name, title):
    assert (metric_name(metric), metric_title(metric)) == (name, title)
