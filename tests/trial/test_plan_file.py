"""Trials as files: the shipped one says what the record says, and mistakes are named with their place."""

import tomllib

import pytest

import carkinetics as ck
from carkinetics.errors import ConfigError
from carkinetics.escalation.design_file import design_from, trials
from carkinetics.shipped import shipped_folder

SHIPPED = shipped_folder("data") / "trials" / "nct05783089.toml"


def test_the_shipped_trial_is_that_of_the_record():
    plan = ck.load_trial("nct05783089")
    assert trials() == ["nct05783089"]
    assert (plan.n, plan.conduct.window, plan.conduct.follow_up) == (87, 28, 730)
    assert (min(plan.design.doses), max(plan.design.doses)) == (0.1e6, 2.0e6)
    assert plan.design.name == "titration, then 3+3 (B)"
    assert set(plan.links.cytokines) == {"ip10", "ifng", "il6", "il10", "tnfa", "gmcsf"}
    assert "titration" in plan.notes["record"]
    assert "five levels" in plan.notes["ours"]


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ('rule = "3+3"', 'rule = "4+3"', r"\[design\]: rule is '4\+3'"),
        ('variant = "B"\n', "", r"\[design\]: ThreePlusThree: variant is ''; choose one"),
        (
            "grade2_trigger = 1",
            "grade3_trigger = 1",
            "'grade3_trigger' is not known; did you mean 'grade2_trigger'",
        ),
        ("window = 28 ", "windows = 28 ", r"\[conduct\]: 'windows' is not known; did you mean 'window'"),
        ("sigma = 0.5\n", "sigma = -0.5\n", r"\[kinetics\]: sigma is -0.5"),
        ('model = "stein2019"', 'model = "stein2018"', "stein2018"),
        ("crs_dlt = 0.4", "crs_dlt = 4", r"\[toxicity\]: toxicity: crs_dlt is 4"),
        (
            "doses = [0.1e6, 0.3e6,",
            "doses = [0.3e6, 0.1e6,",
            r"dose 100000 comes after 300000; expected increasing",
        ),
        ("[qpcr]", "[pcr]", "'pcr' is no part of a trial; did you mean 'qpcr'"),
        ("schema = 1", "schema = ", "cannot be read"),
        ("base_sum = {", "baseline = {", "needs the covariate 'base_sum'"),
    ],
)
def test_a_mistake_in_a_file_is_named(tmp_path, old, new, part):
    text = SHIPPED.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ck.CarkineticsError, match=part):
        ck.load_trial(path)


def test_a_trial_that_is_not_there_is_named():
    with pytest.raises(ConfigError, match="no trial 'nct0578308'; did you mean 'nct05783089'"):
        ck.load_trial("nct0578308")


@pytest.mark.parametrize(
    ("table", "name"),
    [
        ({"rule": "boin", "doses": 4, "target": 0.3}, "BOIN (0.3)"),
        ({"rule": "crm", "doses": 3, "skeleton": [0.1, 0.2, 0.4], "target": 0.3}, "CRM (empiric, 0.3)"),
        ({"rule": "blrm", "doses": [0.1, 1.0], "reference": 1.0, "prior": {"mean": [-1.0, 0.0], "sd": [2.0, 1.0]}}, "BLRM"),
        ({"rule": "i3+3", "doses": 4, "target": 0.3, "titration": {"grade2_trigger": 2}, "stop_after": 20}, "titration"),
    ],
)  # fmt: skip
def test_every_rule_can_be_written(table, name):
    design = design_from(table, "[design]")
    assert design.name.startswith(name)
    assert design.decide().action == "start"


def test_the_file_is_text_that_any_toml_reader_reads():
    table = tomllib.loads(SHIPPED.read_text(encoding="utf-8"))
    assert table["patients"] == 87
