"""The MTD by isotonic regression: by hand, against the designs' own selection, and what cannot be."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carkinetics.errors import ConfigError, DataError
from carkinetics.escalation import Boin, Cohort, select_mtd
from carkinetics.escalation.cohort import tally_of


def test_rates_are_pooled_by_hand():
    # 1/3 before 1/6: (1.05/3.1, 1.05/6.1) go down and are pooled with weights (a + b)^2 (a + b + 1) / (a b).
    table = select_mtd([(0.1, 3, 1), (0.3, 6, 1), (1.0, 6, 4)], [0.1, 0.3, 1.0, 2.0], target=0.30)
    a, b = np.array([1.05, 1.05]), np.array([2.05, 5.05])
    weight = (a + b) ** 2 * (a + b + 1) / (a * b)
    pooled = float((weight * a / (a + b)).sum() / weight.sum())
    assert table["isotonic"].tolist()[:2] == pytest.approx([pooled, pooled])
    assert table["rate"].tolist()[:3] == pytest.approx([1 / 3, 1 / 6, 2 / 3])
    assert np.isnan(table.at[2.0, "rate"])
    # 4 of 6 is out at P(p > 0.3) = 0.971; of the two pooled doses, at a rate below the target, the higher one is the MTD
    assert table["eliminated"].tolist() == [False, False, True, True]
    assert np.isnan(table.at[1.0, "isotonic"])
    assert (table.attrs["mtd"], table.index[table["selected"]].tolist()) == (0.3, [0.3])


@given(
    n=st.lists(st.integers(0, 12), min_size=5, max_size=5),
    share=st.lists(st.floats(0, 1), min_size=5, max_size=5),
    target=st.floats(0.1, 0.5),
)
def test_it_is_what_boin_selects_and_never_falls(n: list[int], share: list[float], target: float):
    cohorts = [
        (level, count, round(s * count))
        for level, (count, s) in enumerate(zip(n, share, strict=True), start=1)
    ]
    table = select_mtd(cohorts, 5, target)
    boin = Boin(5, target=target).select(tally_of(cohorts, (1, 2, 3, 4, 5)))
    assert table.attrs["mtd"] == boin.mtd
    rates = table["isotonic"].dropna()
    assert rates.is_monotonic_increasing
    assert table["selected"].sum() == (table.attrs["mtd"] > 0)
    if len(rates):
        assert abs(rates[table.attrs["mtd"]] - target) == pytest.approx(abs(rates - target).min())


def test_a_trial_whose_lowest_dose_is_too_toxic_has_no_mtd():
    table = select_mtd([(1, 3, 3)], doses=2, target=0.30)
    assert (table.attrs["mtd"], table["selected"].any()) == (0, False)
    assert select_mtd([(1, 3, 3)], doses=2, target=0.30, cutoff=None).attrs["mtd"] == 1


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        (([(1, 3, 0)], 2, 1.0), ConfigError, "target is 1"),
        (([(1, 3, 0)], 2, 1.3), ConfigError, "target is 1.3"),
        (([(3, 3, 0)], 2, 0.3), DataError, "doses of the design are 1, 2"),
        (([Cohort(1, 3, 0, pending=1)], 2, 0.3), DataError, "patients still in their DLT window: 1;"),
    ],
)
def test_what_cannot_be_is_refused(arguments: Any, kind: Any, words: str):
    with pytest.raises(kind, match=words):
        select_mtd(*arguments)
