from xml.etree import ElementTree

import pytest

from carkinetics.model import load_model, models
from carkinetics.model.library import model_from_text
from carkinetics.report.equations import mathml, model_equations

TEXT = """
schema = 1
name = "flow"
title = "Infused cells and a tumour"
value_unit = "cells/uL"
[parameters.k]
meaning = "rate of decline"
unit = "1/day"
typical = 0.5
prior = { dist = "lognormal", median = 0.5, sigma = 1 }
[parameters.f]
meaning = "share of the dose that stays"
unit = "1"
typical = 0.25
prior = { dist = "logitnormal", median = 0.5, sigma = 1 }
[states.cells]
initial = "0"
infused = "f * amount"
rate = "-k * cells"
[states.tumour]
unit = "mm"
log = true
initial = "3"
rate = "-k * tumour"
[observations.car]
of = "cells"
error = "lognormal"
[observations.tumour]
of = "tumour"
unit = "mm"
error = "lognormal"
"""
SPACE = "{http://www.w3.org/1998/Math/MathML}"


@pytest.mark.parametrize("name", models()["name"])
def test_every_shipped_model_has_equations_in_well_formed_mathml(name):
    model = load_model(name)
    lines = model_equations(model).lines
    assert len(lines) >= len(model.derived) + 2 * len(model.states)
    for line in lines:
        assert ElementTree.fromstring(line).tag == f"{SPACE}math"
        assert "\\" not in line  # a command that the converter does not know stays as text


def test_initial_values_infusions_and_every_output_are_shown():
    model = model_from_text(TEXT)
    words = ["".join(ElementTree.fromstring(line).itertext()) for line in model_equations(model).lines]
    assert [word.replace("\xa0", " ") for word in words] == [
        "cells(0)=0", "tumour(0)=3", "Δcells=famountat every infusion", "dcellsdt=−kcells", "dtumourdt=−ktumour",
        "observed car(t)=cells", "observed tumour(t)=tumour",
    ]  # fmt: skip


def test_cases_are_a_table_that_the_style_sheet_braces():
    found = ElementTree.fromstring(mathml(r"y = \begin{cases} a & t < 1 \\ b & \text{otherwise} \end{cases}"))
    table = found.find(f".//{SPACE}mtable")
    assert table is not None
    assert table.get("class") == "cases"
    assert len(table) == 2
