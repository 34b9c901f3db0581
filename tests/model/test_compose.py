"""Layers on a base: the numbers of the equations written out by hand, and every mistake with its place."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carkinetics.errors import ModelFileError
from carkinetics.model import layers, load_model, predict
from carkinetics.model.layer import layer_files
from carkinetics.model.library import model_from_text
from carkinetics.shipped import shipped_folder

TIMES = np.array([0.0, 1.0, 5.0, 9.3, 14.0, 21.0, 28.0, 60.0, 180.0])
HEAD = 'schema = 1\nname = "ours"\ntitle = "Ours"\n'
PER = '[parameters.cytokine_per]\ntypical = 0.01\nprior = { dist = "lognormal", median = 0.01, sigma = 1 }\n'

DECLINE = """
schema = 1
name = "decline"
title = "Decline only"
value_unit = "copies/ug"
[parameters.start]
meaning = "level at the infusion"
unit = "copies/ug"
typical = 100
prior = { dist = "lognormal", median = 100, sigma = 1 }
[constants]
rate = "0.3 1/day"
[closed_form]
level = "start * exp(-rate * t)"
[observation]
of = "level"
error = "lognormal"
"""


def composed(base, *layer_tables, more="", **kwargs):
    tables = "".join(f"[[layer]]\n{table}\n" for table in layer_tables)
    return model_from_text(f'{HEAD}base = "{base}"\n{tables}{more}', "ours.toml", **kwargs)


def test_the_base_is_as_it_was():
    model, base = composed("stein2019", 'use = "tumour_biexponential"'), load_model("stein2019")
    assert model.level is not None
    np.testing.assert_array_equal(predict(model, TIMES), predict(base, TIMES))
    assert list(model.parameters)[:6] == list(base.parameters)
    assert list(model.outputs) == ["level", "tumour"]


@given(st.floats(0.01, 0.5), st.floats(0.0, 40.0))
@settings(deadline=None, max_examples=30)
def test_a_step_of_loss_is_exact_on_a_closed_form_and_on_its_equations(loss, onset):
    closed = composed("stein2019", 'use = "ada_step"')
    values = {"ada_loss": loss, "ada_onset": onset}
    level = predict(closed, TIMES, **values)
    exact = predict(load_model("stein2019"), TIMES) * np.exp(-loss * np.maximum(TIMES - onset, 0))
    np.testing.assert_allclose(level, exact, rtol=1e-12)
    solved = predict(composed("stein2019_ode", 'use = "ada_step"'), TIMES, **values)
    np.testing.assert_allclose(solved, exact, rtol=1e-6, atol=1e-9)


def test_a_smooth_and_a_titre_driven_loss_agree_between_closed_form_and_equations():
    for layer, values in (("ada_smooth", {"ada_onset": 12.0}), ("ada_titre", {"ada_onset": 12.0})):
        closed = predict(composed("stein2019", f'use = "{layer}"'), TIMES, **values)
        solved = predict(composed("stein2019_ode", f'use = "{layer}"'), TIMES, **values)
        np.testing.assert_allclose(solved, closed, rtol=2e-6)
        assert closed.iloc[-1] < 0.5 * predict(load_model("stein2019"), TIMES).iloc[-1]


def test_a_cytokine_follows_the_level_as_its_equation_says(tmp_path):
    # A level L exp(-a t) releases base + per L kout (exp(-a t) - exp(-kout t)) / (kout - a).
    rate, kout = 0.3, 3.96
    (tmp_path / "decline.toml").write_text(DECLINE, encoding="utf-8")
    model = composed("decline.toml", 'use = "cytokine"', more=PER, folder=tmp_path)
    exact = 5 + 0.01 * 100 * kout * (np.exp(-rate * TIMES) - np.exp(-kout * TIMES)) / (kout - rate)
    np.testing.assert_allclose(predict(model, TIMES, output="cytokine"), exact, rtol=1e-7)


def test_two_cytokines_have_names_of_their_own():
    more = PER.replace("cytokine", "il6") + PER.replace("cytokine", "ifn")
    model = composed("stein2019", 'use = "cytokine"\nas = "il6"', 'use = "cytokine"\nas = "ifn"', more=more)
    assert list(model.outputs) == ["level", "il6", "ifn"]
    assert [state.name for state in model.states] == ["il6", "ifn"]
    assert model.outputs["ifn"].meaning == "ifn in serum"
    assert model.parameters["ifn_per"].unit == "pg/mL/(copies/ug)"
    np.testing.assert_allclose(predict(model, TIMES, output="il6"), predict(model, TIMES, output="ifn"))


def test_a_layer_on_differential_equations_is_the_model_written_out():
    more = '[parameters.il6_per]\ntypical = 0.2\nprior = { dist = "lognormal", median = 0.2, sigma = 1 }\n'
    model = composed("liu2022", 'use = "cytokine"\nas = "il6"\nconnect = { car = "activated" }', more=more)
    text = (shipped_folder("models") / "liu2022.toml").read_text(encoding="utf-8")
    own = """
[parameters.per]
meaning = "rise"
unit = "pg uL/(mL cells)"
typical = 0.2
fixed = true
[constants]
base = "5 pg/mL"
kout = "3.96 1/day"
[states.cytokine]
unit = "pg/mL"
initial = "base"
rate = "kout * (base + per * activated - cytokine)"
[states.activated]"""
    shown = """
[observations.cytokine]
of = "cytokine"
unit = "pg/mL"
error = "lognormal"
"""
    hand = model_from_text(
        text.replace("[states.activated]", own).replace("[[check]]", f"{shown}[[check]]", 1)
    )
    times = TIMES[1:]
    np.testing.assert_allclose(
        predict(model, times, output="il6"), predict(hand, times, output="cytokine"), rtol=1e-6
    )
    np.testing.assert_allclose(predict(model, times), predict(load_model("liu2022"), times), rtol=1e-6)


def test_cells_are_lost_from_the_states_that_are_named():
    seen = composed("liu2022", 'use = "ada_step"')
    every = composed("liu2022", 'use = "ada_step"\non = ["activated", "waiting"]')
    texts = [{state.name: state.rate.text for state in model.states} for model in (seen, every)]
    assert "ada_loss" in texts[0]["activated"]
    assert "ada_loss" not in texts[0]["waiting"]
    assert "ada_loss" in texts[1]["waiting"]


def test_the_text_of_a_composed_model_is_a_whole_model():
    model = load_model("stein2019_layers")
    again = model_from_text(model.text, "again.toml")
    assert again.parameters == model.parameters
    assert again.sha256 == model.sha256
    for output in model.outputs:
        np.testing.assert_array_equal(
            predict(again, TIMES, output=output), predict(model, TIMES, output=output)
        )


def test_a_base_may_be_composed_and_a_users_own_file(tmp_path):
    (tmp_path / "first.toml").write_text(
        f'{HEAD}base = "stein2019"\n[[layer]]\nuse = "ada_step"\n', encoding="utf-8"
    )
    (tmp_path / "second.toml").write_text(
        f'{HEAD}base = "first.toml"\n[[layer]]\nuse = "tumour_biexponential"\n[parameters.tmax]\ntypical = 8.0\n',
        encoding="utf-8",
    )
    model = load_model(tmp_path / "second.toml")
    assert {"ada_loss", "tumour_shrink"} <= model.parameters.keys()
    assert model.parameters["tmax"].typical == 8.0
    assert model.parameters["tmax"].omega == 0.38


def test_a_users_own_layer_is_read(tmp_path):
    text = next(file for file in layer_files() if file.stem == "ada_step").read_text(encoding="utf-8")
    (tmp_path / "mine.toml").write_text(
        text.replace('unit = "1/day"\ntypical = 0.1', 'unit = "1/day"\ntypical = 0.3')
    )
    model = composed("stein2019", 'use = "mine.toml"', folder=tmp_path)
    assert model.parameters["ada_loss"].typical == 0.3


def test_flow_counts_cells_through_white_cells_of_the_draw():
    model = composed("stein2019", 'use = "flow"')
    cells = predict(model, [9.3], output="flow", flow_wbc=2000, flow_vcn=3)
    assert cells.iloc[0] == pytest.approx(24000 * 6.6e-6 * 2000 / 3, rel=1e-12)  # 105.6, table of conversions
    assert cells.iloc[0] == pytest.approx(106, abs=0.5)
    with pytest.raises(ModelFileError, match=r"flow\.toml, line \d+: \[observations\.flow\] of"):
        composed("liu2022", 'use = "flow"')  # cells/uL are no copies/ug


def test_every_layer_is_listed():
    table = layers()
    assert table["name"].tolist() == [file.stem for file in layer_files()]
    assert (table["title"].str.len() > 10).all()


MISTAKES = [
    ("stein2019", ['use = "cytokin"'], "", r"line 5: \[\[layer\]\]: there is no layer 'cytokin'; did you mean 'cytokine'"),
    ("stein2018", ['use = "cytokine"'], "", r"there is no model 'stein2018'; did you mean 'stein2019'"),
    ("stein2019", ['use = "cytokine"'], "", r"give \[parameters.cytokine_per\] a typical value and a prior: it is the rise per "
     r"unit of the driver, at balance, in pg/mL/\(copies/ug\)"),
    ("stein2019", ['use = "cytokine"', 'use = "cytokine"'], PER, r"line 7: \[\[layer\]\]: layer cytokine defines the state 'cytokine' "
     r"\(cytokine\.toml, line \d+: \[states\.cytokine\]\), which cytokine\.toml, line \d+: .*; use one of the two, or give this "
     r"one names of its own with as = \"cytokine2\""),
    ("effector_memory_tumour", ['use = "tumour_growth"'], "", r"defines the state 'tumour' .*which "
     r"effector_memory_tumour\.toml, line \d+: \[states\.tumour\] defines already"),
    ("stein2019", ['use = "ada_step"\nconect = {}'], "", r"unknown key 'conect'; did you mean 'connect'"),
    ("stein2019", ['use = "cytokine"\nconnect = { cars = "level" }'], "", r"needs no 'cars'; did you mean 'car'"),
    ("stein2019", ['use = "cytokine"\nconnect = { car = "levl" }'], "", r"connect car = 'levl' uses 'levl'"),
    ("stein2019", ['as = "il6"'], "", r"'use' is missing"),
    ("stein2019", ['use = "ada_step"\non = ["effector"]'], "", r"the level of stein2019 is a closed form"),
    ("liu2022", ['use = "ada_step"\non = ["activatd"]'], "", r"on names 'activatd'; did you mean 'activated'"),
    ("stein2019", ['use = "ada_step"'], '[parameters.tmx]\ntypical = 3\n',
     r"\[parameters\.tmx\]: neither base nor layers have 'tmx'; did you mean 'tmax'"),
    ("stein2019", ['use = "ada_step"'], '[parameters.tmax]\ntypical = "soon"\n', r"\[parameters.tmax\] typical is 'soon'"),
    ("stein2019", ['use = "ada_step"'], '[states.x]\ninitial = "0"\n', r"unknown entry 'states' of a model with a base.*copy"),
    ("stein2019", ['use = "tumour_biexponential"\non = []'], "", r"takes no cells away"),
]  # fmt: skip


@pytest.mark.parametrize(("base", "tables", "more", "said"), MISTAKES)
def test_a_mistake_is_named(base, tables, more, said):
    with pytest.raises(ModelFileError, match=r"(?s)ours\.toml.*" + said):
        composed(base, *tables, more=more)


def test_a_model_cannot_be_its_own_base(tmp_path):
    for name, base in (("one", "two"), ("two", "one")):
        (tmp_path / f"{name}.toml").write_text(f'{HEAD}base = "{base}.toml"\n', encoding="utf-8")
    with pytest.raises(
        ModelFileError, match=r"cannot be the base of itself: (one|two)\.toml -> (one|two)\.toml"
    ):
        load_model(tmp_path / "one.toml")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            'prefix = "ada"',
            'prefix = "anti"',
            r"mine\.toml, line \d+: \[.*\]: every name that a layer defines is its prefix 'anti'",
        ),
        ("[needs]", "[need]", r"mine\.toml, line \d+: unknown entry 'need' of a layer; did you mean 'needs'"),
        (
            'rate = "ada_loss * where',
            'rate = "ada_los * where',
            r"mine\.toml, line \d+: \[loss\] rate = .* uses 'ada_los'",
        ),
        (
            'unit = "1/day"',
            'unit = "day"',
            r"mine\.toml, line \d+: \[loss\] rate = .* but the rate of a loss is in 1/day",
        ),
        ("schema = 1", "schema = 1 =", r"layer mine\.toml cannot be read"),
    ],
)
def test_a_mistake_in_a_layer_is_named(tmp_path, old, new, said):
    text = next(file for file in layer_files() if file.stem == "ada_step").read_text(encoding="utf-8")
    (tmp_path / "mine.toml").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ModelFileError, match=said):
        composed("stein2019_ode", 'use = "mine.toml"', folder=tmp_path)


def test_a_model_is_no_layer(tmp_path):
    (tmp_path / "mine.toml").write_text(
        (shipped_folder("models") / "stein2019.toml").read_text(encoding="utf-8")
    )
    with pytest.raises(
        ModelFileError, match=r"mine\.toml: unknown entry 'name' of a layer|name it as 'base'"
    ):
        composed("stein2019", 'use = "mine.toml"', folder=tmp_path)
