"""Two classes of patients in a model file: read, refused with its place, simulated."""

import re
from pathlib import Path

import numpy as np
import pytest

from carkinetics.errors import ConfigError, ModelFileError
from carkinetics.model import load_model, simulate
from carkinetics.model.library import model_from_text
from carkinetics.model.mixture import Mixture

TEXT = load_model("stein2019").text
CLASS = """
[mixture]
class = "low"
share = { dist = "logitnormal", median = 0.3, sigma = 0.6 }

[mixture.shift]
cmax = { dist = "normal", mean = -3.0, sd = 0.5 }
"""
DESIGN = {"times": (7, 14, 28), "lloq": 50}


def test_a_class_reads_as_it_writes():
    mixture = model_from_text(TEXT + CLASS, "ours.toml").mixture
    assert (mixture.name, mixture.share.centre, mixture.shifts["cmax"].centre) == ("low", 0.3, -3.0)
    assert Mixture.of(mixture.as_entry()) == mixture


def test_a_model_without_classes_has_none():
    assert load_model("stein2019").mixture is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("cmax =", "cmx =", r"ours.toml, line \d+: \[mixture.shift\] cmx: there is no parameter 'cmx'; did you"),
        ('"low"', '"cmax"', r"ours.toml, line \d+: \[mixture\] class: the name 'cmax' is taken"),
        ('"low"', '"l w"', r"ours.toml, line \d+: \[mixture\]: class is 'l w'; expected a name"),
        ("logitnormal", "lognormal", r"\[mixture\]: share has a lognormal prior; it must be logitnormal"),
        ("share =", "shar =", r"ours.toml, line \d+: \[mixture\] shar: unknown key 'shar'; did you mean 'share'"),
        ('class = "low"\n', "", r"ours.toml, line \d+: \[mixture\]: 'class' is missing"),
        ("median = 0.3", "median = 1.3", r"\[mixture\]: share: a logitnormal prior cannot have median 1.3"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_with_its_place(old, new, said):
    with pytest.raises(ModelFileError, match=said):
        model_from_text(TEXT + CLASS.replace(old, new, 1), "ours.toml")


def test_what_does_not_vary_does_not_differ_by_class():
    fixed = TEXT.replace("typical = 24000", "typical = 24000\nfixed = true")
    with pytest.raises(ModelFileError, match="only a parameter with omega can differ by class"):
        model_from_text(fixed + CLASS, "ours.toml")


def test_a_shift_is_a_prior_by_parameter():
    entry = {"class": "low", "share": {"dist": "logitnormal", "median": 0.3, "sigma": 1}, "shift": -3}
    with pytest.raises(ConfigError, match="shift is -3; expected a prior by parameter"):
        Mixture.of(entry)
    with pytest.raises(ConfigError, match="shift of cmax is -3; expected a prior"):
        Mixture.of(entry | {"shift": {"cmax": -3}})


def test_classes_are_simulated_in_their_shares_and_at_their_distance():
    data = simulate(model_from_text(TEXT + CLASS, "ours.toml"), DESIGN, 2000, 4)
    low, log_cmax = data.subjects["true_low"].to_numpy(), np.log(data.subjects["true_cmax"])
    assert low.mean() == pytest.approx(0.3, abs=4 * np.sqrt(0.21 / 2000))
    assert log_cmax[low].mean() - log_cmax[~low].mean() == pytest.approx(-3, abs=0.13)
    # omega of cmax is that within a class
    assert log_cmax[low].std() == pytest.approx(0.65, abs=0.09)


def test_the_published_classes_are_the_typical_value_and_the_set():
    model = load_model("muellerschoell2021")
    parameter, shift = model.parameters["v1"], model.mixture.shifts["v1"].centre
    assert parameter.typical * np.exp(shift) == pytest.approx(7e-4, rel=1e-3)
    assert model.with_set("low").mixture is None


COMPOSED = 'schema = 1\nname = "ours"\ntitle = "two classes and antibodies"\nbase = "stein2019"\n\n[[layer]]\nuse = "ada_step"\n'


def test_a_model_of_layers_has_classes_of_its_own_and_those_of_its_base(tmp_path):
    composed = model_from_text(COMPOSED + CLASS, "ours.toml")
    assert composed.mixture == model_from_text(TEXT + CLASS, "ours.toml").mixture
    assert composed.mixture == model_from_text(composed.text, "again.toml").mixture
    (tmp_path / "base.toml").write_text(TEXT + CLASS, encoding="utf-8")
    on_it = COMPOSED.replace('"stein2019"', '"base.toml"')
    assert model_from_text(on_it, "ours.toml", folder=tmp_path).mixture == composed.mixture
    other = CLASS.replace("0.3", "0.1")
    assert model_from_text(on_it + other, "ours.toml", folder=tmp_path).mixture.share.centre == 0.1


def test_a_mistake_in_classes_of_a_model_of_layers_is_named(tmp_path):
    wrong = CLASS.replace("cmax", "cmx")
    line = (COMPOSED + wrong).splitlines().index(wrong.splitlines()[-1]) + 1
    with pytest.raises(ModelFileError, match=rf"ours.toml, line {line}: \[mixture.shift\] cmx: there is no"):
        model_from_text(COMPOSED + wrong, "ours.toml")
    (tmp_path / "base.toml").write_text(TEXT + wrong, encoding="utf-8")
    with pytest.raises(ModelFileError, match=r"base.toml, line \d+: \[mixture.shift\] cmx"):
        model_from_text(COMPOSED.replace('"stein2019"', '"base.toml"'), "ours.toml", folder=tmp_path)


def test_the_example_of_the_page_is_read():
    page = (Path(__file__).resolve().parents[2] / "models" / "README.md").read_text(encoding="utf-8")
    (example,) = (
        block for block in re.findall(r"```toml\n(.*?)```", page, re.DOTALL) if "[mixture]" in block
    )
    assert model_from_text(TEXT + example, "ours.toml").mixture.name == "silent"
