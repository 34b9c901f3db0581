"""Virtual subjects have the parameters, the doses and the censoring that were asked for."""

import numpy as np
import pandas as pd
import pytest

from carkinetics.errors import ConfigError
from carkinetics.model import SamplingDesign, load_model, predict, simulate
from carkinetics.model.library import model_from_text
from carkinetics.model.simulate import report_measurements

DESIGN = SamplingDesign(times=(-1, 0, 3, 7, 14, 28), lloq=50, lod=20, doses=(1e5, 1e6))


def test_the_same_seed_gives_the_same_data():
    one, two, other = (simulate(load_model("stein2019"), DESIGN, 5, seed) for seed in (1, 1, 2))
    assert one.sha256 == two.sha256 != other.sha256


def test_without_noise_and_spread_the_data_are_the_typical_curve():
    model = load_model("stein2019")
    zero = dict.fromkeys(model.parameters, 0.0)
    data = simulate(model, DESIGN, 1, 1, omega=zero, sigma=0.0)
    seen = data.observations.query("status == 'quantified'")
    np.testing.assert_allclose(seen["value"], predict(model, seen["time"]), rtol=1e-12)
    assert data.observations["status"].tolist()[:2] == ["predose", "predose"]


def test_the_dose_moves_the_parameter_by_the_stated_power():
    model = load_model("stein2019")
    data = simulate(
        model, DESIGN, 2, 1, omega=dict.fromkeys(model.parameters, 0.0), on_log_dose={"cmax": 0.3}
    )
    peaks = data.subjects["true_cmax"].to_numpy()
    assert peaks[1] / peaks[0] == pytest.approx(10**0.3)


def test_parameters_have_the_spread_that_was_asked_for():
    data = simulate(load_model("stein2019"), DESIGN, 4000, 3, omega={"cmax": 1.0, "fb": 0.5})
    fb = data.subjects["true_fb"].to_numpy()
    assert np.log(data.subjects["true_cmax"]).std() == pytest.approx(1.0, rel=0.05)
    assert np.log(fb / (1 - fb)).std() == pytest.approx(0.5, rel=0.05)


def test_a_fixed_parameter_does_not_vary():
    data = simulate(load_model("stein2019").fix(fb=0.01), DESIGN, 5, 1)
    assert data.subjects["true_fb"].tolist() == pytest.approx([0.01] * 5)


def test_a_laboratory_reports_three_kinds_below_the_limit():
    table = pd.DataFrame(
        {"subject": "s", "assay": "qpcr", "time": [-1.0, 2, 3, 4], "value": [0.0, 60, 30, 10]}
    )
    reported = report_measurements(table, lloq=50, lod=20, unit="copies/ug")
    assert reported["status"].tolist() == ["predose", "quantified", "below_lloq", "not_detected"]
    assert reported[["lower", "upper"]].to_numpy().tolist() == [[0, 0], [60, 60], [20, 50], [0, 20]]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"n": 0}, "n is 0"),
        ({"n": 2, "typical": {"cmx": 3}}, "did you mean 'cmax'"),
        ({"n": 2, "omega": {"tmx": 3}}, "did you mean 'tmax'"),
        ({"n": 2, "on_log_dose": {"bta": 3}}, "did you mean 'beta'"),
    ],
)
def test_a_design_that_makes_no_sense_is_refused(arguments, said):
    with pytest.raises(ConfigError, match=said):
        simulate(load_model("stein2019"), DESIGN, seed=1, **arguments)


TUMOUR = {"times": (-2, 14, 60), "lloq": 0.01}


def test_other_outputs_are_measured_in_every_second_subject_with_their_own_limits():
    model = load_model("effector_memory_tumour")
    zero = dict.fromkeys(model.parameters, 0.0)
    data = simulate(model, DESIGN, 5, 1, omega=zero, sigma=0.0, others={"tumour": {**TUMOUR, "every": 2}})
    assert data.assays[["assay", "unit", "kind"]].to_numpy().tolist() == [
        ["qpcr", "copies/ug", "car"],
        ["tumour", "1", "marker"],
    ]
    tumour = data.observations[data.observations["assay"] == "tumour"]
    assert tumour["subject"].unique().tolist() == ["S001", "S003", "S005"]
    one = tumour[tumour["subject"] == "S003"]
    # A tumour is there before the infusion; one too small to be measured is below the limit.
    assert one["status"].tolist() == ["quantified", "below_lloq", "below_lloq"]
    assert one["value"].iloc[0] == pytest.approx(1.0)
    assert one["upper"].tolist() == pytest.approx([1.0, 0.01, 0.01])
    seen = data.observations.query("assay == 'qpcr' and status == 'quantified' and subject == 'S001'")
    np.testing.assert_allclose(seen["value"], predict(model, seen["time"]), rtol=1e-7)
    assert data.observations["row"].is_unique


def test_each_output_has_its_own_residual():
    model = load_model("effector_memory_tumour")
    zero = dict.fromkeys(model.parameters, 0.0)
    design = {"times": (7,), "lloq": 1e-9}
    data = simulate(model, design, 400, 1, omega=zero, sigma={"tumour": 0.05}, others={"tumour": design})
    spread = np.log(data.observations.set_index("assay")["value"]).groupby("assay").std()
    assert spread.to_dict() == pytest.approx({"qpcr": 0.5, "tumour": 0.05}, rel=0.1)


def test_measuring_more_does_not_change_what_was_measured():
    model = load_model("effector_memory_tumour")
    alone = simulate(model, DESIGN, 3, 1)
    both = simulate(model, DESIGN, 3, 1, others={"tumour": TUMOUR}).select(assay="qpcr")
    assert alone.observations["value"].tolist() == pytest.approx(
        both.observations["value"].tolist(), nan_ok=True
    )


INFUSED = """
schema = 1
name = "infused"
title = "A share of the dose declines"
value_unit = "cells/uL"
[parameters.f]
meaning = "share"
unit = "1"
typical = 0.001
prior = { dist = "lognormal", median = 0.001, sigma = 1 }
[inputs.vcn]
meaning = "vector copies per cell"
unit = "1"
column = "copies"
default = 2
[constants]
loss = "0.1 1/day"
[states.cells]
initial = "0"
infused = "f * amount"
rate = "-loss * cells"
[observation]
of = "cells * vcn"
error = "lognormal"
"""


def test_the_dose_is_what_is_infused():
    model = model_from_text(INFUSED)
    design = {"times": (0.5, 10), "lloq": 1, "doses": (1e5, 1e6), "assay": "flow"}
    data = simulate(model, design, 2, 1, sigma=0.0)
    exact = 2 * 0.001 * np.outer([1e5, 1e6], np.exp([-0.05, -1.0])).ravel()
    np.testing.assert_allclose(data.observations["value"], exact, rtol=1e-7)
    assert data.subjects["copies"].tolist() == [2.0, 2.0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"others": {"tumor": TUMOUR}}, "no output 'tumor'; did you mean 'tumour'"),
        ({"others": {"car": TUMOUR}}, "'car', which is the CAR-T level"),
        ({"others": {"tumour": {**TUMOUR, "doses": (1,)}}}, "'tumour' has doses; they belong to design"),
        ({"others": {"tumour": {**TUMOUR, "every": 0}}}, "tumour has 3 times, LLOQ 0.01, every 0"),
        ({"others": {"tumour": {**TUMOUR, "assay": "qpcr"}}}, "assays are qpcr, qpcr"),
        ({"sigma": {"tumor": 1}}, "sigma names 'tumor'.*did you mean 'tumour'"),
    ],
)
def test_a_design_of_other_outputs_that_makes_no_sense_is_refused(arguments, said):
    with pytest.raises(ConfigError, match=said):
        simulate(load_model("effector_memory_tumour"), DESIGN, 2, 1, **arguments)


def test_events_columns_and_measured_inputs_differ_between_subjects():
    model = load_model("stein2019_comedication")
    design = {"times": (5.0, 8.0, 28.0), "lloq": 1}
    none = dict.fromkeys(("foldx", "tmax", "cmax", "alpha", "fb", "beta"), 0.0)
    data = simulate(model, design, 3, 1, omega=none, sigma=0.0, inputs={"t_toci": [4.0, np.inf, 6.0]})
    assert data.events[["subject", "time", "event"]].to_numpy().tolist() == [
        ["S001", 4.0, "tocilizumab"], ["S003", 6.0, "tocilizumab"],
    ]  # fmt: skip
    levels = data.observations.set_index("subject")["value"]
    for subject, time in (("S001", 4.0), ("S002", np.inf), ("S003", 6.0)):
        np.testing.assert_allclose(levels[subject], predict(model, [5.0, 8.0, 28.0], t_toci=time), rtol=1e-12)
    infused = model_from_text(INFUSED)
    found = simulate(infused, design, 2, 1, sigma=0.0, inputs={"vcn": [1.0, 3.0]})
    assert found.subjects["copies"].tolist() == [1.0, 3.0]
    ratio = found.observations.set_index("subject")["value"]
    np.testing.assert_allclose(ratio["S002"], 3 * ratio["S001"], rtol=1e-12)


def test_a_measured_input_is_reported_and_drives_the_level():
    text = INFUSED.replace('column = "copies"', 'assay = "vcn"\ninterpolation = "linear"')
    model = model_from_text(text)
    courses = [[1.0, 3.0], [2.0, 2.0]]
    data = simulate(
        model, {"times": (5.0,), "lloq": 1}, 2, 1, sigma=0.0, inputs={"vcn": ([0.0, 10.0], courses)}
    )
    values = data.observations.set_index(["subject", "assay"])["value"]
    assert values["S001", "vcn"].tolist() == [1.0, 3.0]
    assert data.assays.set_index("assay")["kind"].to_dict() == {"qpcr": "car", "vcn": "marker"}
    exact = predict(model, [5.0], infusions=[(0, 1e6)], series={"vcn": ([0, 10], courses[0])}).iloc[0]
    assert values["S001", "qpcr"] == pytest.approx(exact, rel=1e-9)
    assert values["S001", "qpcr"] == pytest.approx(values["S002", "qpcr"], rel=1e-9)


def test_an_unknown_input_is_named():
    with pytest.raises(ConfigError, match="no input 't_tocy'; did you mean 't_toci'"):
        simulate(load_model("stein2019_comedication"), {"times": (5,), "lloq": 1}, 2, 1, inputs={"t_tocy": 3})
