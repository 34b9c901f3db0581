"""What a model file can say beyond one level: outputs, log states, infusions, inputs; and what it cannot."""

import numpy as np
import pytest

from carkinetics.errors import ConfigError, ModelFileError
from carkinetics.model import check_values, load_model, predict
from carkinetics.model.library import model_from_text
from carkinetics.shipped import shipped_folder

TEXT = """
schema = 1
name = "ours"
title = "A file that says everything"
value_unit = "copies/µg"
[parameters.k]
meaning = "rate of decline"
unit = "1/day"
typical = 0.5
prior = { dist = "lognormal", median = 0.5, sigma = 1 }
[parameters.peak]
meaning = "level after an infusion of 1"
unit = "copies/ug"
typical = 100
prior = { dist = "lognormal", median = 100, sigma = 1 }
[inputs.vcn]
meaning = "vector copies per cell"
unit = "copies/cell"
column = "vcn"
default = 2
[inputs.wbc]
meaning = "white cells"
unit = "cells/uL"
assay = "wbc"
interpolation = "log"
default = 1000
[inputs.genome]
meaning = "mass of a genome"
unit = "ug/cell"
default = 6.6e-6
[derived]
per_cell = "genome / vcn"
cells_per_copy = "per_cell * wbc"
[states.cells]
log = true
initial = "0"
infused = "peak * amount"
rate = "-k * cells"
[observations.car]
of = "cells"
error = "lognormal"
residual = 0.4
[observations.cells]
meaning = "CAR-T cells by flow"
of = "cells * cells_per_copy"
unit = "cells/µl"
error = "combined1"
[quantities.half_life]
meaning = "half-life"
unit = "day"
value = "log(2) / k"
[[check]]
what = "level on day 2"
at = 2
expected = 36.78794
tolerance = 0.0001
source = "100 exp(-1)"
[[check]]
what = "cells on day 2"
at = 2
output = "cells"
expected = 0.1214002
tolerance = 1e-6
source = "100 exp(-1) 3.3e-6 1000"
"""


def test_a_file_says_what_is_measured_and_how():
    model = model_from_text(TEXT)
    assert list(model.outputs) == ["car", "cells"]
    car, cells = model.outputs.values()
    assert (car.unit, car.error, car.residual, car.meaning) == ("copies/ug", "lognormal", 0.4, "car")
    assert (cells.unit, cells.error, cells.residual) == ("cells/uL", "combined1", 0.5)
    assert cells.meaning == "CAR-T cells by flow"
    assert (model.observed, model.error, model.residual) == (car.of, "lognormal", 0.4)
    assert model.output() is model.output("") is model.output("car") is car
    assert check_values(model)["holds"].all()


def test_a_single_observation_is_an_output_named_level():
    level = load_model("stein2019").outputs["level"]
    assert (level.unit, level.error, level.residual, level.meaning) == (
        "copies/ug",
        "lognormal",
        0.56,
        "CAR-T level",
    )


def test_a_file_says_where_inputs_come_from_and_what_infusions_reach():
    model = model_from_text(TEXT)
    vcn, wbc, genome = model.inputs.values()
    assert (vcn.column, vcn.default, vcn.varying) == ("vcn", 2.0, False)
    assert (wbc.assay, wbc.interpolation, wbc.varying) == ("wbc", "log", True)
    assert (genome.event, genome.column, genome.assay, genome.varying) == ("", "", "", False)
    assert model.varying_inputs == ["wbc"]
    (cells,) = model.states
    assert cells.log
    assert cells.infused.names() == {"peak", "amount"}
    plain = load_model("stein2019_ode").states[0]
    assert (plain.log, plain.infused) == (False, None)


def test_another_unit_of_the_level_leaves_other_outputs_alone():
    flow = model_from_text(TEXT).in_unit("%", peak={"dist": "lognormal", "median": 5, "sigma": 1})
    assert [output.unit for output in flow.outputs.values()] == ["%", "cells/uL"]
    assert flow.value_unit == "%"
    given = '[inputs.start]\nmeaning = "before"\nunit = "copies/ug"\ndefault = 0\n[states.cells]'
    with pytest.raises(ConfigError, match="input start of ours is in copies/ug, which does not convert"):
        model_from_text(TEXT.replace("[states.cells]", given)).in_unit(
            "%", peak={"dist": "lognormal", "median": 5, "sigma": 1}
        )


MISTAKES = [
    ('of = "cells"\n', 'of = "cels"\n', ["[observations.car] of", "did you mean 'cells'"]),
    ("residual = 0.4", "residul = 0.4", ["[observations.car] residul", "did you mean 'residual'"]),
    ("residual = 0.4", "residual = 0", ["[observations.car] residual is 0", "above 0"]),
    ('error = "combined1"', 'error = "combined"', ["[observations.cells] error", "did you mean 'combined2'"]),
    ("[observations.car]", "[observations.k]", ["[observations.k]: the name 'k' is taken", "shows a state"]),
    ("[observations.car]", "[observations.t]", ["the name 't' is taken"]),
    ("[observations.car]", '[observations."blood level"]', ["'blood level' is not a name"]),
    ('of = "cells"\n', 'of = "cells"\nunit = "cells/uL"\n',
     ["[observations.car] unit is 'cells/uL' but value_unit is 'copies/ug'"]),
    ("[observations.car]", "[observation]", ["either [observation] or one or more [observations.NAME]", "both"]),
    ("[inputs.genome]", "[inputs.amount]", ["'amount' is taken"]),
    ("[inputs.genome]", "[inputs.series]", ["'series' is taken"]),
    ("log = true", "log = 1", ["[states.cells] log is 1; expected true or false"]),
    ('infused = "peak * amount"', "", ["[states.cells] initial is 0 at the typical values", "starts above 0"]),
    ('infused = "peak * amount"', 'infused = "-peak * amount"', ["an infusion of amount 1 adds is -100"]),
    ('infused = "peak * amount"', 'infused = "peak * amont"', ["[states.cells] infused", "did you mean 'amount'"]),
    ('infused = "peak * amount"', 'infused = "wbc * amount"', ["uses 'wbc', which changes with time"]),
    ('infused = "peak * amount"', 'infused = "cells_per_copy * amount"', ["'cells_per_copy', which changes"]),
    ('initial = "0"', 'initial = "0 * wbc"', ["[states.cells] initial", "uses 'wbc'", "inputs that do not vary"]),
    ('initial = "0"', 'initial = "amount"', ["[states.cells] initial", "'amount'"]),
    ('rate = "-k * cells"', 'rate = "-k * amount"', ["[states.cells] rate", "'amount'"]),
    ("[observations.car]", '[solver]\nbreaks = ["wbc"]\n[observations.car]', ["[solver] breaks", "'wbc', which"]),
    ("[observations.car]", '[solver]\nstiff = "yes"\n[observations.car]', ["stiff is 'yes'; expected true or"]),
    ('value = "log(2) / k"', 'value = "wbc / k"', ["[quantities.half_life] value", "'wbc', which changes"]),
    ('column = "vcn"', 'column = "vcn"\nevent = "x"', ["[inputs.vcn]", "event and column are both given"]),
    ('column = "vcn"', "column = 3", ["[inputs.vcn] column is 3; expected the name of the column"]),
    ('interpolation = "log"\n', "", ["[inputs.wbc]", "both 'assay' and 'interpolation' (linear, log, constant)"]),
    ("default = 1000", "default = 0", ["[inputs.wbc] default is 0; expected a level above 0"]),
    ('interpolation = "log"', 'interpolation = "loglinear"', ["is 'loglinear'", "did you mean 'linear'"]),
    ('column = "vcn"', 'colum = "vcn"', ["[inputs.vcn] colum", "did you mean 'column'"]),
    ('output = "cells"', 'output = "cell"', ["line 58: [[check]]: there is no output 'cell'; did you mean 'cells'"]),
    ("at = 2\noutput", 'value = "k"\noutput', ["line 58: [[check]] has 'output', which says nothing about a 'value'"]),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "said"), MISTAKES)
def test_a_mistake_is_named(old, new, said):
    assert TEXT.count(old) >= 1
    with pytest.raises(ModelFileError, match=r"ours\.toml") as refused:
        model_from_text(TEXT.replace(old, new, 1), "ours.toml")
    for words in said:
        assert words in str(refused.value)


def test_a_mistake_is_found_on_its_line():
    text = TEXT.replace("default = 1000", 'default = "many"')
    line = 1 + text.splitlines().index('default = "many"')
    with pytest.raises(
        ModelFileError, match=rf"line {line}: \[inputs.wbc\] default is 'many'; expected a number"
    ):
        model_from_text(text, "ours.toml")


def test_outputs_of_a_closed_form_follow_a_measured_input():
    text = (shipped_folder("models") / "stein2019.toml").read_text(encoding="utf-8")
    flow = """
[constants]
genome = "6.6e-6 ug/copies"
[inputs.wbc]
meaning = "white cells"
unit = "cells/uL"
assay = "wbc"
interpolation = "linear"
default = 1000
[observations.car]
of = "level"
error = "lognormal"
[observations.flow]
of = "level * genome * wbc"
unit = "cells/uL"
error = "lognormal"
[quantities.doubling_time]"""
    old = text[text.index("[observation]") : text.index("[quantities.doubling_time]")]
    model = model_from_text(text.replace(old + "[quantities.doubling_time]", flow))
    times = np.array([5.0, 28.0])
    level = predict(model, times)
    cells = predict(model, times, output="flow", series={"wbc": ([0, 20], [100, 500])})
    np.testing.assert_allclose(cells, level * 6.6e-6 * [200, 500], rtol=1e-12)
    assert (level.name, cells.name) == ("car", "flow")
