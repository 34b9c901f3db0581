"""Decision tables: published boundaries, and what wrappers make of them."""

from typing import Any

import pandas as pd
import pytest

from carkinetics.errors import ConfigError
from carkinetics.escalation import (
    AcceleratedTitration,
    Blrm,
    Boin,
    Crm,
    I3Plus3,
    Mtpi2,
    StopAfter,
    ThreePlusThree,
    decision_table,
)


def boundaries(table: pd.DataFrame, n: int) -> tuple[int, int | None, int | None]:
    """Most DLTs to go up; fewest to go down; fewest to drop the dose."""
    letters = table[n]
    down = letters.index[letters.isin(["D", "DU"])]
    drop = letters.index[letters == "DU"]
    return (
        int(letters.index[letters == "E"].max()),
        int(down.min()) if len(down) else None,
        int(drop.min()) if len(drop) else None,
    )


# Liu S, Yuan Y. J R Stat Soc C 2015;64:507-523; R package BOIN 2.7.2, get.boundary: up at most, down at least, drop at least.
BOIN_30 = {
    1: (0, 1, None), 2: (0, 1, None), 3: (0, 2, 3), 4: (0, 2, 3), 5: (1, 2, 4), 6: (1, 3, 4), 7: (1, 3, 5), 8: (1, 3, 5),
    9: (2, 4, 5), 10: (2, 4, 6), 11: (2, 4, 6), 12: (2, 5, 7), 15: (3, 6, 8), 18: (4, 7, 9), 21: (4, 8, 10), 24: (5, 9, 11),
    27: (6, 10, 12), 30: (7, 11, 14),
}  # fmt: skip
BOIN_25 = {
    3: (0, 1, 3), 6: (1, 2, 4), 9: (1, 3, 5), 12: (2, 4, 6), 15: (2, 5, 7), 18: (3, 6, 8), 21: (4, 7, 9), 24: (4, 8, 10),
    27: (5, 9, 11), 30: (5, 9, 12),
}  # fmt: skip


@pytest.mark.parametrize(("target", "published"), [(0.30, BOIN_30), (0.25, BOIN_25)])
def test_boin_has_the_published_boundaries(target: float, published: dict[int, Any]):
    table = decision_table(Boin(doses=5, target=target), n_max=30)
    assert {n: boundaries(table, n) for n in published} == published


def test_the_table_is_the_rule_and_says_what_its_letters_mean():
    design = Mtpi2(doses=5, target=0.30)
    table = decision_table(design, n_max=9)
    for n in table.columns:
        for dlt in table.index:
            assert table.at[dlt, n] == (design.letter(n, dlt) if dlt <= n else "")
    assert (table.index.name, table.columns.name) == ("dlt", "n")
    assert table.attrs["letters"]["DU"] == "de-escalate and drop the dose"
    assert table.attrs["design"] == "mTPI-2 (0.3, 0.25 to 0.35)"
    assert decision_table(I3Plus3(5, target=0.3)).columns.max() == 12


@pytest.mark.parametrize("variant", ["A", "B", "C"])
def test_three_plus_three_is_the_textbook_rule(variant: str):
    table = decision_table(ThreePlusThree(doses=5, variant=variant))
    assert table[3].tolist() == ["E", "S", "DU", "DU", "", "", ""]
    assert table[6].tolist() == ["E", "E", "DU", "DU", "DU", "DU", "DU"]


def test_titrations_and_stops_are_seen_through():
    boin = Boin(doses=5, target=0.30)
    plain = decision_table(boin, n_max=6)
    wrapped = decision_table(StopAfter(AcceleratedTitration(boin), n=30), n_max=6)
    pd.testing.assert_frame_equal(plain, wrapped)


@pytest.mark.parametrize(
    "design",
    [Crm(3, [0.1, 0.2, 0.3], 0.2), Blrm([0.1, 0.3], reference=1.0), StopAfter(Crm(3, [0.1, 0.2, 0.3], 0.2))],
)
def test_designs_that_look_at_all_doses_have_paths_instead(design: Any):
    with pytest.raises(ConfigError, match="dose_paths"):
        decision_table(design)


def test_a_table_needs_a_patient():
    with pytest.raises(ConfigError, match="n_max is 0"):
        decision_table(Boin(5, target=0.3), n_max=0)
