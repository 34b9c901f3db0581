import matplotlib as mpl
import pytest
from hypothesis import given
from hypothesis.strategies import floats, integers, text

from carkinetics.plot.axes import new_axes
from carkinetics.plot.style import STYLE, number, safe, styled

NASTY = [
    "$x_1$",
    "a$b",
    "<script>alert(1)</script>",
    "患者 7",
    "x" * 300,
    "a\tb\nc",
    "50% \\frac{",
    "\\$",
    "",
    "🧬",
    "_^{",
]


@pytest.mark.parametrize("name", NASTY)
def test_any_name_can_be_drawn(name, rendered):
    ax = new_axes()
    ax.set_title(safe(name))
    assert rendered(ax)


@given(name=text(max_size=400), width=integers(5, 60))
def test_a_safe_name_is_one_short_line_without_a_formula(name, width):
    drawn = safe(name, width)
    assert len(drawn.replace(r"\$", "$")) <= width
    assert "\n" not in drawn
    assert drawn.count("$") == drawn.count(r"\$")


def test_a_short_name_stays_and_a_long_one_keeps_both_ends():
    assert safe("NCT-101/004") == "NCT-101/004"
    assert safe("A" * 20 + "B" * 20, 11) == "AAAAA…BBBBB"


@given(value=floats(1e-12, 1e15))
def test_numbers_are_written_so_that_they_can_be_read_back(value):
    words = (
        number(value)
        .replace("$", "")
        .replace(r"{\times}10^{", "e")
        .replace("10^{", "1e")
        .replace("}", "")
        .replace(",", "")
    )
    assert float(words) == pytest.approx(value, rel=6e-3)


def test_our_style_ends_with_the_function():
    before = dict(mpl.rcParams)

    @styled
    def inside() -> float:
        return mpl.rcParams["grid.linewidth"]

    assert inside() == STYLE["grid.linewidth"]
    assert dict(mpl.rcParams) == before
