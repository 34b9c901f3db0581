import numpy as np
import pytest
from hypothesis import given
from hypothesis.strategies import floats

from carkinetics.report.blocks import Table
from carkinetics.report.written import listing, number, percent, span


@given(floats(1e-4, 1e6))
def test_a_number_keeps_three_significant_digits(value):
    shown = number(value)
    assert "e" not in shown
    assert float(shown) == pytest.approx(value, rel=5.01e-3)
    assert len(shown.replace(".", "").lstrip("0")) >= 3


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.99999, "1.00"), (9.996, "10.0"), (999.6, "1000"), (-0.0123, "-0.0123"), (1e7, "1.00e+07"), (0, "0"), (None, "–"),
     (np.inf, "∞")],
)  # fmt: skip
def test_numbers_at_the_edges(value, text):
    assert number(value) == text


def test_what_is_missing_is_a_dash():
    assert span(np.nan, 1.0) == "–"
    assert percent(np.nan) == "–"
    assert percent(0) == "0.0 %"


def test_a_long_list_says_how_much_is_left_out():
    assert listing(range(10), most=3) == "0, 1, 2 and 7 more"


def test_the_last_letter_of_the_alignment_goes_on():
    table = Table("c", ("a", "b", "c"), (("x", "1", "2"),), align="lr", warning="w", warned=frozenset({1}))
    assert [table.is_number(i) for i in range(3)] == [False, True, True]
    assert [table.is_warned(i) for i in range(2)] == [False, True]


def test_a_warning_can_be_about_columns_and_a_cell_can_lead_somewhere():
    rows = (("a", "1", "2"), ("b", "3", "4"))
    table = Table(
        "t", ("", "x", "y"), rows, warning="bad", warned_columns=frozenset({2}), links={(1, 0): "b/r.html"}
    )
    assert [[table.is_marked(i, k) for k in range(3)] for i in range(2)] == [[False, False, True]] * 2
    assert [table.link(i, 0) for i in range(2)] == ["", "b/r.html"]
    numbers = Table("t", ("", "x"), (("a", "1"), ("b", "2")), warning="bad", warned=frozenset({1}))
    assert [numbers.is_marked(i, 1) for i in range(2)] == [False, True]
    assert not numbers.is_marked(1, 0)
