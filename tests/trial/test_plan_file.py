"""Trials as files: the shipped one says what the record says, and mistakes are named with their place."""

import tomllib
from dataclasses import replace
from functools import cache

import pytest
import tomli_w

import carkinetics as ck
from carkinetics.errors import ConfigError, DataError
from carkinetics.escalation.design_file import design_from, trials
from carkinetics.shipped import shipped_folder
from carkinetics.trial import plan_file
from carkinetics.trial.links import Toxicity

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
        ("sigma = 0.5\n", "sigma = -0.5\n", r"\[kinetics\]: kinetics: sigma is -0.5"),
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


PLACES = [
    ("patients",), ("name",), ("schema",), ("ours",), ("cytokine_days",), ("design", "around"), ("design", "titration"),
    ("design", "titration", "last"), ("conduct",), ("conduct", "short"), ("conduct", "window"), ("conduct", "expansion"),
    ("kinetics",), ("kinetics", "model"), ("kinetics", "fixed"), ("kinetics", "typical"), ("kinetics", "typical", "cmax"),
    ("kinetics", "omega", "cmax"), ("kinetics", "effects", "cmax"), ("covariates",), ("covariates", "age"),
    ("covariates", "age", "sd"), ("covariates", "sex", "shares"), ("toxicity", "crs"), ("toxicity", "crs_cuts"),
    ("toxicity", "crs_before_peak"), ("toxicity", "other_dlt_per_dose"), ("tumour", "burden"), ("tumour", "scan_every"),
    ("tumour", "growth"), ("cytokines",), ("cytokines", "il6", "rise"), ("antibodies", "induced"), ("qpcr", "days"),
    ("qpcr", "drift"), ("qpcr", "missed"), ("truth",),
]  # fmt: skip


@pytest.mark.parametrize("junk", ["x", float("nan"), [["a"]], {"x": {"y": 1}}], ids=repr)
def test_nothing_in_a_file_ends_in_a_traceback(tmp_path, monkeypatch, junk):
    monkeypatch.setattr(plan_file, "load_model", cache(plan_file.load_model))
    path = tmp_path / "mine.toml"
    for place in PLACES:
        table = tomllib.loads(SHIPPED.read_text(encoding="utf-8"))
        inner = table
        for name in place[:-1]:
            inner = inner[name]
        inner[place[-1]] = junk
        path.write_text(tomli_w.dumps(table), encoding="utf-8")
        if (place, junk) in ((("name",), "x"), (("ours",), {"x": {"y": 1}})):
            assert ck.load_trial(path).n == 87
            continue
        with pytest.raises(
            ck.CarkineticsError, match=rf"mine.toml.*{place[-1]}|no model 'x'|links.tumour needs|'a' is|'x'"
        ):
            ck.load_trial(path)


def test_a_follow_up_without_an_assessment_of_the_tumour_is_refused():
    plan = ck.load_trial("nct05783089")
    with pytest.raises(ConfigError, match="first looked at on day 42, after the follow-up of 28"):
        replace(plan, conduct=replace(plan.conduct, follow_up=28.0))


def test_an_exposure_that_is_no_number_is_named_not_a_traceback():
    plan = ck.load_trial("nct05783089")
    wild = replace(plan, links=replace(plan.links, toxicity=Toxicity(crs={"log(dose - 1e9)": 1.0})))
    with pytest.raises(DataError, match=r"toxicity.crs: 'log\(dose - 1e9\)' has no value"):
        ck.simulate_trial(wild)


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
