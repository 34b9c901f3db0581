import pandas as pd
import pytest

from carkinetics.dataset import blq_table, read_nonmem
from carkinetics.errors import DataError

FRAME = pd.DataFrame(
    {"ID": [1, 1, 1, 2, 2, 2], "TIME": [0, 7, 28, 7, 8, 400], "DV": ["BLQ", 900, "<50", "ND", 60, 0]}
)


def test_counts_leave_structural_zeros_out() -> None:
    table = blq_table(read_nonmem(FRAME, value_unit="copies/ug", lloq=50))
    assert list(table) == ["assay", "from", "to", "n", "n_blq", "percent_blq"]
    assert table[["from", "to", "n", "n_blq"]].to_numpy().tolist() == [
        [5, 8.5, 3, 1],
        [24.5, 45, 1, 1],
        [320, 450, 1, 1],
    ]
    assert table["percent_blq"].tolist() == pytest.approx([100 / 3, 100, 100])


def test_a_time_on_an_edge_belongs_to_the_bin_that_ends_there() -> None:
    table = blq_table(read_nonmem(FRAME, value_unit="copies/ug", lloq=50), edges=[7, 28])
    assert table[["from", "to", "n"]].to_numpy().tolist() == [
        [float("-inf"), 7, 2], [7, 28, 2], [28, float("inf"), 1],
    ]  # fmt: skip


def test_samples_up_to_the_infusion_are_not_counted_whatever_they_hold() -> None:
    before = pd.DataFrame({"ID": [3, 3, 3], "TIME": [-2, 0, 0.5], "DV": [70, 80, "<50"]})
    data = read_nonmem(pd.concat([FRAME, before]), value_unit="copies/ug", lloq=50)
    table = blq_table(data).set_index("from")
    assert table.loc[0, ["to", "n", "n_blq"]].tolist() == [2, 1, 1]
    assert table["n"].sum() == (data.observations["time"] > 0).sum() == 6


@pytest.mark.parametrize("edges", [[], [1, 1], [2, 1], [0, float("nan")]])
def test_edges_must_increase(edges) -> None:
    with pytest.raises(DataError, match="expected days that increase"):
        blq_table(read_nonmem(FRAME, value_unit="copies/ug"), edges=edges)
