"""Equations for Word: every letter of the page's equations, in the structure that Word reads."""

from xml.etree import ElementTree

import pytest

from carkinetics.errors import ReportError
from carkinetics.model import load_model, models
from carkinetics.model.expression import parse
from carkinetics.model.formula import latex
from carkinetics.report.equations import mathml, model_equations
from carkinetics.report.omml import MATH, omml


def letters(text: str) -> str:
    """What is written, without spaces and without the brackets that are attributes in Word."""
    root = ElementTree.fromstring(text)
    return "".join("".join(root.itertext()).split()).translate(str.maketrans("", "", "()|{"))


def converted(expression: str) -> ElementTree.Element:
    tree = parse(expression, ["a", "b", "t"], where="test")
    return ElementTree.fromstring(omml(str(mathml(latex(tree)))))


def found(root: ElementTree.Element, tag: str) -> list[ElementTree.Element]:
    return root.findall(f".//{{{MATH}}}{tag}")


def words(element: ElementTree.Element) -> str:
    return "".join(element.itertext())


def test_no_letter_of_any_library_model_is_lost():
    names = models()["name"]
    for name in names:
        for line in model_equations(load_model(name)).lines:
            assert letters(omml(str(line))) == letters(str(line)), name
    assert len(names) > 20


def test_a_fraction_has_numerator_and_denominator():
    (fraction,) = found(converted("a / (a + b)"), "f")
    assert [words(part) for part in fraction] == ["a", "a+b"]


def test_powers_and_roots():
    root = converted("sqrt(a) + exp(-b) + a ** 2")
    assert [words(one) for one in found(root, "rad")] == ["a"]
    assert [[words(part) for part in one] for one in found(root, "sSup")] == [["e", "−b"], ["a", "2"]]


def test_brackets_grow_with_what_they_hold():
    (brackets,) = found(converted("log(a / b)"), "d")
    ends = [one.get(f"{{{MATH}}}val") for tag in ("begChr", "endChr") for one in found(brackets, tag)]
    assert ends == ["(", ")"]
    assert found(brackets, "f")
    (bars,) = found(converted("abs(a - b)"), "d")
    assert found(bars, "begChr")[0].get(f"{{{MATH}}}val") == "|"


def test_cases_are_rows_behind_a_brace():
    root = converted("where(t < a, 1, b)")
    (brace,) = found(root, "begChr")
    assert brace.get(f"{{{MATH}}}val") == "{"
    rows = [[words(cell) for cell in row] for row in found(root, "mr")]
    assert rows == [["1", "t<a"], ["b", "otherwise"]]


def test_a_name_is_one_word_and_upright():
    root = ElementTree.fromstring(omml(str(mathml(r"\mathrm{tmax}"))))
    (run,) = found(root, "r")
    assert words(run) == "tmax"
    assert found(run, "sty")[0].get(f"{{{MATH}}}val") == "p"


def test_an_unknown_element_is_refused_rather_than_left_out():
    with pytest.raises(ReportError, match="<menclose>"):
        omml("<math><menclose><mi>a</mi></menclose></math>")
