"""A model file with a mistake is refused with the file, the line, the name and the near match."""

import pytest

from carkinetics.errors import ConfigError, ModelFileError
from carkinetics.model import Prior, load_model
from carkinetics.model.library import model_from_text
from carkinetics.shipped import shipped_folder

STEIN = (shipped_folder("models") / "stein2019.toml").read_text(encoding="utf-8")

LINE = 1 + STEIN.splitlines().index('rho = "log(foldx) / tmax"')


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            'rho = "log(foldx) / tmax"',
            'rho = "log(foldx) / tmx"',
            [f"line {LINE}", "[derived] rho", "did you mean 'tmax'"],
        ),
        ('rho = "log(foldx) / tmax"', 'rho = "log(cmax / r0) / tmax"\n', []),
        (
            'r0 = "cmax / foldx"',
            'r0 = "after / foldx * rho"\nrho2 = "r2"\nr2 = "rho2"',
            ["rho2, r2", "each other"],
        ),
        ('rho = "log(foldx) / tmax"', 'rho = "tmax ** 1e9"', ["exponent"]),
        ("typical = 9.3", 'typical = "soon"', ["[parameters.tmax] typical", "expected a number"]),
        ("typical = 9.3", "typicl = 9.3", ["line", "typicl", "did you mean 'typical'"]),
        ("typical = 9.3", "typical = -9.3", ["typical is -9.3", "outside the log scale"]),
        ('rho = "log(foldx) / tmax"', 'rho = "rho / tmax"', ["rho is defined by itself"]),
        ("omega = 0.38", "omega = -0.38", ["above 0"]),
        ("median = 10, sigma = 0.5", "median = -10, sigma = 0.5", ["lognormal"]),
        ("median = 10, sigma = 0.5", "median = 10, sd = 0.5", ["'sd'", "known are"]),
        ('dist = "lognormal", median = 10', 'dist = "lognorm", median = 10', ["did you mean 'lognormal'"]),
        ('start = "peak_time"', 'start = "peaktime"', ["did you mean 'peak_time'"]),
        ('error = "lognormal"', 'error = "lognormel"', ["did you mean 'lognormal'"]),
        ("schema = 1", "schema = 9", ["schema is 9"]),
        ("[observation]", "[observations]", ["observations", "did you mean 'observation'"]),
        ('breaks = ["tmax"]', 'breaks = ["t + tmax"]', ["'t'"]),
        ("[parameters.beta]", "[parameters.t]", ["'t' is taken"]),
        ("[quantities.r0]", "[quantities.cmax]", ["'cmax' is taken"]),
        ("[parameters.beta]", "[parameters.sigma_car]", ["'sigma_car' is taken by a residual error"]),
        ("at = 28\n", "", ["one of 'value', 'at' (a time)"]),
        ("schema = 1", "schema = 1 =", ["not valid TOML"]),
    ],
)
def test_a_mistake_is_named(old, new, said):
    assert STEIN.count(old) >= 1
    text = STEIN.replace(old, new, 1)
    if not said:  # using a later derived value is no mistake: order is found, not required
        model_from_text(text, "ours.toml")
        return
    with pytest.raises(ModelFileError, match=r"ours\.toml") as refused:
        model_from_text(text, "ours.toml")
    for words in said:
        assert words in str(refused.value)


def test_a_cycle_is_named():
    text = STEIN.replace('r0 = "cmax / foldx"', 'r0 = "ratio * cmax"\nratio = "r0 / foldx"')
    with pytest.raises(ModelFileError, match=r"\[derived\] r0: r0, ratio are defined by each other"):
        model_from_text(text, "ours.toml")


def test_an_unknown_model_and_a_missing_file_are_named(tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'stein2019'"):
        load_model("stein2018")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_model(tmp_path / "none.toml")


def test_a_users_own_file_is_read(tmp_path):
    path = tmp_path / "ours.toml"
    path.write_text(STEIN.replace("typical = 9.3", "typical = 8.0"), encoding="utf-8")
    assert load_model(path).parameters["tmax"].typical == 8.0


def test_changes_are_copies_and_can_be_made_again():
    model = load_model("stein2019")
    changed = model.with_priors(tmax={"dist": "lognormal", "median": 12, "sigma": 0.3}).fix(beta=0.01)
    assert model.parameters["tmax"].prior.centre == 10
    assert changed.parameters["tmax"].prior == Prior("lognormal", 12.0, 0.3)
    assert changed.parameters["beta"].fixed
    again = model_from_text(model.text, "again", changed.changes)
    assert again.parameters == changed.parameters
    assert again.sha256 == changed.sha256 != model.sha256


def test_changes_are_made_again_in_the_order_they_were_made():
    model = load_model("stein2019")
    fb = {"dist": "logitnormal", "median": 0.05, "sigma": 1}
    freed = model.fix(fb=0.01).with_priors(fb=fb)
    cmax = [{"dist": "lognormal", "median": m, "sigma": 2} for m in (100, 50)]
    twice = model.in_unit("cells/uL", cmax=cmax[0]).with_priors(cmax=cmax[1]).fix(beta=0.01)
    for changed in (freed, twice):
        again = model_from_text(changed.text, "again", changed.changes)
        assert again.parameters == changed.parameters
        assert again.sha256 == changed.sha256
    assert not freed.parameters["fb"].fixed
    assert twice.parameters["cmax"].typical == 100
    assert model.fix(fb=0.01).sha256 != freed.sha256


def test_another_unit_needs_its_own_priors():
    model = load_model("stein2019")
    with pytest.raises(ConfigError, match=r"cmax of stein2019 is in copies/ug.*give a prior in cells/uL"):
        model.in_unit("cells/uL")
    flow = model.in_unit("cells/uL", cmax={"dist": "lognormal", "median": 500, "sigma": 2})
    assert (flow.value_unit, flow.parameters["cmax"].unit, flow.parameters["cmax"].typical) == (
        "cells/uL",
    ) * 2 + (500,)
    assert flow.quantities["r0"].unit == "cells/uL"
    again = model_from_text(flow.text, "again", flow.changes)
    assert again.parameters == flow.parameters


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda m: m.with_priors(tmx={"dist": "lognormal", "median": 1, "sigma": 1}), "did you mean 'tmax'"),
        (lambda m: m.with_priors(fb={"dist": "lognormal", "median": 1, "sigma": 1}), "use logitnormal"),
        (lambda m: m.fix(fb=1.5), "outside the logit scale"),
        (lambda m: m.fix(cmx=1.5), "did you mean 'cmax'"),
        (lambda m: m.with_priors(tmax={"dist": "lognormal", "median": 1, "sigma": 0}), "cannot have"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(call, said):
    with pytest.raises(ConfigError, match=said):
        call(load_model("stein2019"))


def test_other_published_values_are_a_changed_copy():
    model = load_model("muellerschoell2021")
    low = model.with_set("low")
    assert (model.parameters["v1"].typical, low.parameters["v1"].typical) == (0.00846, 0.0007)
    assert low.parameters["v1"].prior == model.parameters["v1"].prior
    again = model_from_text(low.text, "again", low.changes)
    assert again.parameters == low.parameters
    with pytest.raises(ConfigError, match="no parameter set 'lw'; did you mean 'low'"):
        model.with_set("lw")
    with pytest.raises(ConfigError, match="no parameter set 'x'; it has none"):
        load_model("stein2019").with_set("x")


def test_a_fixed_parameter_needs_no_prior_and_others_do():
    text = STEIN.replace('prior = { dist = "lognormal", median = 10, sigma = 0.5 }\n', "")
    with pytest.raises(
        ModelFileError, match=r"\[parameters.tmax\]: 'prior' is missing; only a parameter with fixed"
    ):
        model_from_text(text, "ours.toml")
    fixed = model_from_text(text.replace("typical = 9.3", "typical = 9.3\nfixed = true"), "ours.toml")
    assert "tmax" not in fixed.free_parameters


def test_a_constant_is_a_number_and_a_unit():
    with pytest.raises(
        ModelFileError, match=r"\[constants\] half is 'many mm'; expected a number and its unit"
    ):
        model_from_text(STEIN.replace("[derived]", '[constants]\nhalf = "many mm"\n[derived]'), "ours.toml")
