import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carkinetics.dataset.cell import cell_text, identifier, natural_order, number_in, read_cell


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("BLQ", "blq"), ("bql", "blq"), ("BLLOQ", "blq"), ("<LLOQ", "blq"), ("< LLOQ", "blq"),
        ("ND", "not_detected"), ("Not detected", "not_detected"), ("<LOD", "not_detected"),
        ("", "missing"), (".", "missing"), ("NA", "missing"), ("nan", "missing"), ("---", "missing"),
        ("inf", "infinite"), ("-Infinity", "infinite"), ("1e999", "infinite"),
        (">1e6", "more"), ("<50", "less"), ("≤ 50", "less"),
        ("1_000", "text"), ("1,5", "text"), ("50 copies", "text"), ("positive", "text"), ("0x10", "text"),
    ],
)  # fmt: skip
def test_every_spelling_has_its_kind(text: str, kind: str) -> None:
    assert read_cell(text).kind == kind


@pytest.mark.parametrize(
    ("text", "number"),
    [("50", 50), (" 2.4E4 ", 24000), ("-1", -1), (".5", 0.5), ("1.0D+06", 1e6), ("007", 7)],
)
def test_numbers_are_read_exactly(text: str, number: float) -> None:
    assert number_in(text) == number


def test_a_limit_is_not_a_number() -> None:
    assert read_cell("<50").number == 50
    assert np.isnan(number_in("<50"))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_number_survives_being_written_as_text(number: float) -> None:
    assert number_in(cell_text(number)) == number


@given(st.text(max_size=40))
def test_any_text_has_a_meaning(text: str) -> None:
    assert read_cell(text).kind in {
        "number",
        "less",
        "more",
        "blq",
        "not_detected",
        "missing",
        "infinite",
        "text",
    }


def test_missing_cells_of_every_type_are_empty() -> None:
    assert [cell_text(value) for value in (None, np.nan, pd.NA, pd.NaT)] == [""] * 4


def test_identifiers_keep_zeros_and_lose_the_decimals_of_a_spreadsheet() -> None:
    assert [identifier(text) for text in ("001", "1.0", "12.50", " a ")] == ["001", "1", "12.50", "a"]


def test_natural_order_is_total_even_where_numbers_are_equal() -> None:
    assert sorted(["b", "01", "1", "A10", "A9", "2"], key=natural_order) == ["01", "1", "2", "A9", "A10", "b"]
