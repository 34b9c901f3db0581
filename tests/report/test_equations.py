from xml.etree import ElementTree

import pytest

from carkinetics.model import load_model, models
from carkinetics.report.equations import mathml, model_equations

SPACE = "{http://www.w3.org/1998/Math/MathML}"


@pytest.mark.parametrize("name", models()["name"])
def test_every_shipped_model_has_equations_in_well_formed_mathml(name):
    model = load_model(name)
    lines = model_equations(model).lines
    assert len(lines) >= len(model.derived) + 2 * len(model.states)
    for line in lines:
        assert ElementTree.fromstring(line).tag == f"{SPACE}math"
        assert "\\" not in line  # a command that the converter does not know stays as text


def test_cases_are_a_table_that_the_style_sheet_braces():
    found = ElementTree.fromstring(mathml(r"y = \begin{cases} a & t < 1 \\ b & \text{otherwise} \end{cases}"))
    table = found.find(f".//{SPACE}mtable")
    assert table is not None
    assert table.get("class") == "cases"
    assert len(table) == 2
