"""What a user may write by mistake into a model, a composing file or a layer: refused, with file and line."""

import re

import numpy as np
import pytest

from carkinetics.errors import CarkineticsError, ModelFileError
from carkinetics.model import check_values, load_model, predict
from carkinetics.model.layer import layer_files
from carkinetics.model.library import model_from_text

TEXT = load_model("stein2019").text
HEAD = 'schema = 1\nname = "ours"\ntitle = "Ours"\nbase = "stein2019"\n'
LAYER = next(file for file in layer_files() if file.stem == "ada_step").read_text(encoding="utf-8")
SET = '[sets.x]\nmeaning = "x"\nsource = "x"\nvalues = { cmax = -5 }\n'
EVENT = '[inputs.toci]\nmeaning = "x"\nunit = "hour"\nevent = "toci"\ndefault = inf\n'
CHECK = '[[check]]\nwhat = "x"\nat = 9.3\nexpected = 24000\ntolerance = 1\nsource = "x"\n'


def line_of(text, what):
    """Number of the last line that begins with these words."""
    return max(i for i, line in enumerate(text.splitlines(), 1) if line.startswith(what))


@pytest.mark.parametrize(
    ("old", "new", "at", "said"),
    [
        ("schema = 1", "schema = 2", "schema", r"schema is 2; this version reads schema = 1"),
        ("[derived]", "[derivd]", "[derivd]", r"unknown entry 'derivd'; did you mean 'derived'"),
        ('value_unit = "copies/ug"', 'value_unit = "copies//ug"', "value_unit", r"is 'copies//ug', which is no unit"),
        ('name = "stein2019"', "name = 5", "name", "name is 5; expected a text"),
        ("breaks = [", "breaks = 5 # [", "breaks", r"breaks is 5; expected a list, \[\"EQUATION\", ...\]"),
        ("breaks = [", 'breaks = "tmax" # [', "breaks", r"breaks is 'tmax'; expected a list"),
        ("[derived]", "[solver]\nstiff = true\n[derived]", "[solver]", r"a closed form has no solver; its breaks stand under"),
        ("value_unit", "infusions = [[0, 1], [7, 1]]\nvalue_unit", "infusions", "a closed form does not see infusions"),
        ("value_unit", "infusions = [[3, 1]]\nvalue_unit", "infusions", r"expected \[\[day, amount\], ...\] in order of time"),
        ("value_unit", "infusions = []\nvalue_unit", "infusions", r"expected \[\[day, amount\], ...\] in order of time"),
        ("value_unit", "infusions = [[0, nan]]\nvalue_unit", "infusions", "expected pairs of two numbers"),
        ("[derived]", '[derived]\na1 = "a2"\na2 = "a1"', "a1", "a1, a2 are defined by each other: one of them has to come from"),
        ("[derived]", "[derived]\nx = [1]", "x", r"x is \[1\]; expected x = \"EQUATION\""),
        ("[derived]", '[derived]\nx = "cmax # half"', "x", "has a '#'; put comments outside the quotes"),
        ("[derived]", "[derived]\nx = \"'abc' * cmax\"", "x", "uses \"'abc'\", which is not allowed"),
        ("[derived]", f'[derived]\nx = "{"1" * 401}"', "x", "has a number too large"),
        ("[derived]", '[derived]\ntmax = "3"', "tmax", r"the name 'tmax' is taken by .*\[parameters.tmax\]; rename"),
        ("[derived]", '[derived]\nlambda = "3"', "lambda", "'lambda' is a word that equations cannot use as a name"),
        ("[derived]", '[derived]\n"ﬁt" = "3"', '"ﬁt"', "is spelt with letters that equations read as 'fit'"),
        ("[derived]", '[constants]\nhalf = "nan cells"\n[derived]', "half", "expected a number and its unit"),
        ("[derived]", EVENT + "[derived]", "unit = \"hour\"", "unit is 'hour'; the time of an event is in days"),
        ("[derived]", SET + "[derived]", "values", "cmax = -5 is outside the log scale"),
        ("[derived]", CHECK.replace("24000", "nan") + "[derived]", "expected = nan", "is nan; expected a finite number"),
        ("[derived]", CHECK.replace("tolerance = 1", "tolerance = -1") + "[derived]", "tolerance = -1", "expected 0 or more"),
        ("[derived]", CHECK.replace("at = 9.3", "at = -9") + "[derived]", "at = -9", "expected a day from 0 on"),
        ("[derived]", CHECK + 'unit = "cells/uL"\n[derived]', 'unit = "cells/uL"', "the output is in 'copies/ug'"),
        ("[[check]]", "[[check]]\nwat = 1", None, r"\[\[check\]\] wat: unknown key 'wat'"),
        ("omega_prior = 1.5", "omega_prior = -1", "omega_prior = -1", "expected a standard deviation above 0"),
        ("[parameters.tmax]", '[parameters.tmax]\ntransform = ["log"]', "transform", r"is \['log'\] but the prior is"),
        ("[parameters.tmax]", '[ parameters . "tmax" ]\ntypcal = 3', "typcal", "unknown key 'typcal'; did you mean 'typical'"),
    ],
)  # fmt: skip
def test_a_model_file(old, new, at, said):
    assert old in TEXT
    text = TEXT.replace(old, new, 1)
    line = line_of(text, at) if at else r"\d+"
    with pytest.raises(ModelFileError, match=rf"(?s)ours.toml, line {line}: .*({said})"):
        model_from_text(text, "ours.toml")


def test_a_prior_is_a_table():
    text = re.sub(r"prior = \{.*", 'prior = "lognormal"', TEXT, count=1)
    with pytest.raises(
        ModelFileError, match=rf"line {line_of(text, 'prior = "l')}: .* is 'lognormal'; expected a prior, for"
    ):
        model_from_text(text, "ours.toml")
    text = re.sub(r"median = (\d+)", r'median = "\1"', TEXT, count=1)
    with pytest.raises(ModelFileError, match=r"line \d+: .*median and sigma must be numbers"):
        model_from_text(text, "ours.toml")


def test_a_parameter_that_nothing_uses_is_refused():
    more = '[parameters.idle]\nmeaning = "x"\nunit = "1"\ntypical = 1\nprior = { dist = "normal", mean = 1, sd = 1 }\n'
    line = TEXT.count("\n") + 1
    with pytest.raises(
        ModelFileError, match=rf"line {line}: \[parameters.idle\]: no equation uses 'idle'; leave it out"
    ):
        model_from_text(TEXT + more, "ours.toml")


@pytest.mark.parametrize("name", ["cmax_omega", "cmax_typical", "low_share", "cmax_on_low", "sigma_x"])
def test_a_name_that_a_fit_gives_is_refused(name):
    mixture = '[mixture]\nclass = "low"\nshare = { dist = "logitnormal", median = 0.3, sigma = 1 }\n[mixture.shift]\n'
    mixture += 'cmax = { dist = "normal", mean = -3, sd = 1 }\n'
    quantity = f'[quantities.{name}]\nmeaning = "x"\nunit = "1"\nvalue = "foldx"\n'
    with pytest.raises(ModelFileError, match=rf"line \d+: \[quantities.{name}\]: .*; rename"):
        model_from_text(TEXT + quantity + mixture, "ours.toml")


def test_the_second_of_two_tables_is_named_by_its_own_line():
    text = TEXT + CHECK + CHECK.replace("what", "wat")
    with pytest.raises(ModelFileError, match=rf"line {line_of(text, 'wat')}: \[\[check\]\] wat: unknown key"):
        model_from_text(text, "ours.toml")


def test_a_table_that_is_quoted_in_a_text_is_none():
    text = (
        TEXT.replace("[derived]", 'notes = """\n[parameters.zz]\n"""\n[derived]', 1)
        if "notes" not in TEXT
        else TEXT
    )
    text = (
        'notes = """\n[quantities.q]\n"""\n' + text.replace("notes =", "purpose =", 1)
        if "notes =" not in TEXT
        else TEXT
    )
    text = re.sub(r'(?ms)^notes = """.*?"""', 'notes = """\n[quantities.q]\n"""', text, count=1)
    wrong = '[quantities.q]\nmeaning = "x"\nunit = "1"\nvalu = "foldx"\n'
    with pytest.raises(ModelFileError, match=rf"line {line_of(text + wrong, 'valu')}: "):
        model_from_text(text + wrong, "ours.toml")


def test_files_of_windows_editors_are_read(tmp_path):
    path = tmp_path / "OURS.TOML"
    path.write_bytes(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())
    assert load_model(path).sha256


@pytest.mark.parametrize(
    ("more", "at", "said"),
    [
        ("parameters = 5\n", "parameters", "parameters is 5; expected a table"),
        ("quantities = 5\n", "quantities", "quantities is 5; expected a table"),
        ("check = 5\n", "check", "check is 5; expected one or more tables"),
        ("layer = 5\n", "layer", "layer is 5; expected one or more tables"),
        ("schema = 7\n", "schema", "schema is 7"),
        ('[derived]\nr0 = "cmax"\n', "r0", r"stein2019.toml, line \d+: \[derived\] r0 is called so already; give this another"),
        ('[[layer]]\nuse = "ada_step"\non = 5\n', "[[layer]]", "closed form"),
        ('[[layer]]\nuse = "cytokine"\nas = "il-6"\n', "as", "'il-6' is not a name"),
        ('[[layer]]\nuse = "cytokine"\n[parameters.cytokin_per]\ntypical = 1\n', "[parameters.cytokin_per]",
         r"give \[parameters.cytokine_per\]"),
        ('[[layer]]\nuse = "ada_step"\n[[layer]]\nuse = "cytokine"\nconnect = { car = "mine" }\n[derived]\nmine = "level"\n',
         "[[layer]]", "uses 'mine' of this file, whose own equations come after the layers"),
        ('[[layer]]\nuse = "ada_step"\n' + CHECK.replace("what", "wat"), "wat", "unknown key 'wat'"),
        ('base = "stien2019"\n', "base", "there is no model 'stien2019'; did you mean 'stein2019'"),
    ],
)  # fmt: skip
def test_a_composing_file(more, at, said):
    key = more.partition(" ")[0]
    head = "".join(line for line in HEAD.splitlines(keepends=True) if not line.startswith(key))
    text = head + more
    with pytest.raises(ModelFileError, match=rf"ours.toml, line {line_of(text, at)}: .*{said}"):
        model_from_text(text, "ours.toml")


@pytest.mark.parametrize("on", ['["effector", "effector"]', "[]", '"effector"', "5"])
def test_cells_are_lost_once_from_states_that_are_named(on):
    text = HEAD.replace("stein2019", "stein2019_ode") + f'[[layer]]\nuse = "ada_step"\non = {on}\n'
    with pytest.raises(ModelFileError, match=r"line 5: \[\[layer\]\]: on is .*; expected"):
        model_from_text(text, "ours.toml")


def test_a_layer_that_does_not_fit_is_said_where_it_is_used():
    cells = HEAD + 'value_unit = "cells/uL"\n'
    for name in ("cmax",):
        cells += (
            f'[parameters.{name}]\ntypical = 30\nprior = {{ dist = "lognormal", median = 30, sigma = 1 }}\n'
        )
    text = cells + '[[layer]]\nuse = "flow"\n'
    with pytest.raises(
        ModelFileError,
        match=rf"ours.toml, line {line_of(text, '[[layer')}: .*flow on stein2019: flow.toml, line",
    ):
        model_from_text(text, "ours.toml")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("schema = 1", "schema = 9", "line 1: schema is 9"),
        ("[needs]", "needs = 5", r"needs is 5; expected a table|needs is .*expected"),
        ('meaning = "', 'meening = "', r"line \d+: \[parameters.ada_\w+\]: 'meaning' is missing"),
        ("ada_loss * where", "alpha * where", r"line \d+: \[loss\] rate = .* uses 'alpha', which is not"),
    ],
)
def test_a_layers_file(tmp_path, old, new, said):
    (tmp_path / "mine.toml").write_text(LAYER.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ModelFileError, match=f"mine.toml.*{said}"):
        model_from_text(HEAD + '[[layer]]\nuse = "mine.toml"\n', "ours.toml", folder=tmp_path)


@pytest.mark.parametrize("name", ["hardiansyah2019", "barros2021", "carrgo2020", "kirouac2023", "owens2021"])
def test_models_with_sets_are_bases_too(name):
    model = model_from_text(HEAD.replace("stein2019", name), "ours.toml")
    base = load_model(name)
    assert model.sets.keys() == base.sets.keys()
    assert len(model.checks) == len(base.checks)
    assert model.simulation_only == base.simulation_only


def test_checks_of_a_base_go_where_their_numbers_do_not_hold():
    assert not model_from_text(HEAD + "[parameters.alpha]\ntypical = 0.3\n", "ours.toml").checks
    kept = model_from_text(HEAD + "[parameters.alpha]\nomega = 0.3\n", "ours.toml")
    assert [one.what for one in kept.checks] == [one.what for one in load_model("stein2019").checks]


def test_classes_of_a_base_can_be_left_out():
    text = HEAD.replace("stein2019", "muellerschoell2021").replace("base", "mixture = false\nbase")
    assert model_from_text(text, "ours.toml").mixture is None


def test_a_users_checks_are_beside_what_the_file_gives():
    model = model_from_text(TEXT + CHECK.replace("24000", "5"), "ours.toml")
    table = check_values(model)
    assert table["holds"].tolist() == [True] * (len(table) - 1) + [False]
    assert table["found"].iloc[-1] == pytest.approx(24000)
    assert np.isclose(predict(model, [9.3]).iloc[0], 24000)


def test_no_mistake_ends_in_a_traceback():
    """Every line of a file is left out, and every value is made a number, a text and a list, in turn."""
    lines = TEXT.splitlines()
    for i, line in enumerate(lines):
        if "=" not in line:
            continue
        key = line.partition("=")[0]
        for new in (
            "",
            f"{key} = 3",
            f'{key} = "what"',
            f"{key} = [1]",
            f"{key} = {{ a = 1 }}",
            f"{key} = true",
        ):
            said = "ours.toml"
            try:
                model_from_text("\n".join([*lines[:i], new, *lines[i + 1 :]]), "ours.toml")
            except CarkineticsError as error:
                said = str(error)
            assert "ours.toml" in said, new
