"""Equation text is parsed against a closed list and means the same in every array library."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carkinetics.errors import ModelFileError
from carkinetics.model.expression import NUMPY, SCALAR, evaluate, parse
from carkinetics.model.formula import latex

TEXTS = (
    "a + b * 2 - a / b", "a ** 2", "-a ** 2", "exp(-a) * log(b)", "where(a < b, a, b)", "minimum(a, b) + maximum(a, b)",
    "sqrt(b) + abs(-a)", "softplus(a) - logistic(b)", "(a > b) + (a <= b) + (a == a) + (a != b) + (b >= a)",
)  # fmt: skip


@given(a=st.floats(-20, 20), b=st.floats(0.01, 50))
def test_single_numbers_and_arrays_agree(a, b):
    for text in TEXTS:
        expression = parse(text, ["a", "b"], where="test")
        one = float(evaluate(expression, {"a": a, "b": b}, SCALAR))
        many = evaluate(expression, {"a": np.array([a]), "b": np.array([b])}, NUMPY)
        assert one == pytest.approx(float(np.asarray(many, dtype=float)[0]), rel=1e-12, abs=1e-12)


def test_power_binds_as_in_mathematics():
    assert evaluate(parse("-2 ** 2 + 2 ** -1", [], where="test"), {}, SCALAR) == -3.5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tmx * 2", "did you mean 'tmax'"),
        ("exp", "without calling"),
        ("sin(tmax)", "'sin'"),
        ("exp(tmax, 2)", "takes 1"),
        ("__import__('os')", "__import__"),
        ("tmax.real", "not allowed"),
        ("[t for t in tmax]", "not allowed"),
        ("1 < tmax < 3", "one comparison at a time"),
        ("tmax and 1", "not allowed"),
        ("2 ** 1000", "exponent 1000"),
        ("9 ** 9 ** 9", "power of a power"),
        ("tmax ** -999", "exponent 999"),
        ("tmax +", "not an equation"),
        ("", "not an equation"),
        ("True", "True or False"),
        ("(" * 3000 + "1" + ")" * 3000, "characters"),
        ("-" * 4900 + "1", "test"),
    ],
)
def test_what_is_not_an_equation_is_refused_with_a_reason(text, said):
    with pytest.raises(ModelFileError, match="test") as refused:
        parse(text, ["tmax"], where="test")
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("text", "value"), [("exp(1000)", math.inf), ("log(-1)", math.nan), ("1 / 0", math.nan)]
)
def test_leaving_the_range_of_numbers_does_not_raise(text, value):
    found = evaluate(parse(text, [], where="test"), {}, SCALAR)
    assert found == value or (math.isnan(found) and math.isnan(value))


def test_formula_keeps_the_meaning_of_brackets():
    assert latex(parse("(a + b) * c", "abc", where="t")) == r"\left(a + b\right) \, c"
    assert latex(parse("a - (b - c)", "abc", where="t")) == r"a - \left(b - c\right)"
    assert latex(parse("(a * b) ** 2", "ab", where="t")) == r"\left(a \, b\right)^{2}"
    assert latex(parse("a / (b + c)", "abc", where="t")) == r"\frac{a}{b + c}"
