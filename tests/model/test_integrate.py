"""Infusions, states solved as their logs, and inputs that change with time, against exact solutions."""

import numpy as np
import pytest

from carkinetics.errors import ConfigError
from carkinetics.model import load_model, predict
from carkinetics.model.library import model_from_text
from carkinetics.model.series import Series
from carkinetics.model.solve import curve

TEXT = """
schema = 1
name = "flow"
title = "Two states, an input and three outputs"
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
[inputs.drive]
meaning = "growth that was measured"
unit = "1/day"
assay = "il15"
interpolation = "linear"
default = 0
[constants]
unit_rate = "1 1/day"
later = "20 day"
early = "2 day"
[states.cells]
LOG
initial = "0"
infused = "f * amount"
rate = "-k * cells"
[states.tumour]
unit = "mm"
LOG
initial = "3"
rate = "drive * tumour"
[solver]
stiff = STIFF
[observations.car]
of = "cells"
error = "lognormal"
[observations.tumour]
of = "tumour"
unit = "mm"
error = "lognormal"
residual = 0.2
[observations.scaled]
of = "tumour * (1 + drive / unit_rate)"
unit = "mm"
error = "additive"
"""
TIMES = np.array([0.0, 1.0, 3.0, 3.5, 7.0, 12.0])
KINDS = [(log, stiff) for log in (False, True) for stiff in (False, True)]


def flow(*, log: bool = False, stiff: bool = False, interpolation: str = "linear"):
    text = TEXT.replace("LOG", f"log = {str(log).lower()}").replace("STIFF", str(stiff).lower())
    if interpolation == "log":  # of which a default of 0 would be no number
        text = text.replace("default = 0", "default = 1")
    return model_from_text(text.replace('"linear"', f'"{interpolation}"'))


@pytest.mark.parametrize(("log", "stiff"), KINDS)
def test_every_infusion_adds_its_share_at_its_time(log, stiff):
    infusions = [(7.0, 400.0), (0.0, 100.0), (3.0, 200.0), (3.0, 8.0)]  # two on day 3, in no order
    level = predict(flow(log=log, stiff=stiff), TIMES, infusions=infusions)
    exact = sum(
        0.25 * a * np.where((day < TIMES) | (day == 0), np.exp(-0.5 * (TIMES - day)), 0.0)
        for day, a in infusions
    )
    np.testing.assert_allclose(level, exact, rtol=1e-7)


def test_a_sample_at_the_time_of_a_later_infusion_is_drawn_before_it():
    just = [7.0, np.nextafter(7.0, 8)]
    before, after = predict(flow(), just, infusions=[(0.0, 100.0), (7.0, 400.0)])
    assert before == pytest.approx(25 * np.exp(-3.5), rel=1e-7)
    assert after == pytest.approx(before + 100, rel=1e-7)


def test_a_value_measured_with_the_sample_counts_from_that_sample_on():
    level = predict(
        flow(interpolation="constant"), [3.9, 4.0], output="scaled", series={"drive": ([0, 4], [0.0, 1.0])}
    )
    assert level.to_list() == pytest.approx([3.0, 6.0], rel=1e-9)


def test_one_infusion_of_amount_1_is_the_default():
    np.testing.assert_allclose(predict(flow(), TIMES), 0.25 * np.exp(-0.5 * TIMES), rtol=1e-7)


def test_without_an_infusion_there_is_nothing_and_its_log_is_no_number():
    assert (predict(flow(), TIMES, infusions=[]) == 0).all()
    assert predict(flow(log=True), TIMES, infusions=[]).isna().all()


@pytest.mark.parametrize(("log", "stiff"), KINDS)
@pytest.mark.parametrize("interpolation", ["linear", "log", "constant"])
def test_a_measured_input_drives_a_state(interpolation, log, stiff):
    # d log(tumour) / dt is the input, so log(tumour / 3) is its area, which each interpolation has exactly.
    model = flow(interpolation=interpolation, log=log, stiff=stiff)
    time, value = np.array([-2.0, 1.0, 4.0, 9.0]), np.array([0.1, 0.4, 0.05, 0.2])
    series = Series(time, value, interpolation)
    nodes, weights = np.polynomial.legendre.leggauss(20)

    def area(end: float) -> float:
        stops = np.array([0.0, *time[(time > 0) & (time < end)], end])
        half, middle = np.diff(stops) / 2, (stops[:-1] + stops[1:]) / 2
        return sum(h * (weights @ series(m + h * nodes)) for h, m in zip(half, middle, strict=True))

    exact = 3 * np.exp([area(t) for t in TIMES])
    measured = {"drive": (time[::-1], value[::-1])}
    np.testing.assert_allclose(predict(model, TIMES, output="tumour", series=measured), exact, rtol=1e-7)
    scaled = predict(model, TIMES, output="scaled", series=measured)
    np.testing.assert_allclose(scaled, exact * (1 + series(TIMES)), rtol=1e-7)


def test_a_linear_input_in_a_linear_equation_by_hand():
    tumour = predict(flow(), [10.0], output="tumour", series={"drive": ([0, 10], [0.0, 0.4])})
    assert tumour.iloc[0] == pytest.approx(3 * np.exp(2.0), rel=1e-8)


def test_an_input_is_a_number_a_default_or_a_series():
    model = flow()
    np.testing.assert_allclose(predict(model, [4.0], output="tumour", drive=0.1), 3 * np.exp(0.4), rtol=1e-8)
    for nothing in ({}, {"drive": ([], [])}):
        assert predict(model, [4.0], output="tumour", series=nothing).iloc[0] == pytest.approx(3.0)


def test_before_the_infusion_there_are_no_cells_and_the_tumour_is_as_it_was():
    for model in (flow(), flow(log=True)):
        infusions = [(0.0, 8.0)]
        assert predict(model, [-5, 0], infusions=infusions).to_list() == pytest.approx([0.0, 2.0])
        assert predict(model, [-5, 0], output="tumour", drive=0.1).to_list() == pytest.approx([3.0, 3.0])
        assert predict(model, [-5], output="scaled", drive=0.5).to_list() == pytest.approx([4.5])


def test_a_log_state_falls_below_the_smallest_number_and_comes_back():
    text = TEXT.replace("LOG", "log = true").replace("STIFF", 'false\nbreaks = ["later"]')
    model = model_from_text(text.replace('rate = "-k * cells"', 'rate = "where(t < later, -k, k) * cells"'))
    level = predict(model, [20.0, 40.0], k=40.0, infusions=[(0.0, 4.0)])
    assert level.iloc[0] == 0.0  # exp(-800)
    assert level.iloc[1] == pytest.approx(1.0, rel=1e-5)


def test_restarts_that_differ_by_rounding_are_one():
    day = 9.3
    infusions = [(0.0, 4.0), (day, 4.0), (np.nextafter(day, 10), 4.0)]
    level = predict(flow(), [12.0], infusions=infusions).iloc[0]
    assert level == pytest.approx(np.exp(-6.0) + 2 * np.exp(-0.5 * (12 - day)), rel=1e-7)


def test_values_broadcast_with_infusions_and_series():
    model, k = flow(), np.array([[0.2], [0.5]])
    values = {"k": k, "f": np.float64(0.25), "drive": np.float64(0.0)}
    series = {"drive": Series(np.array([0.0, 10.0]), np.array([0.1, 0.1]))}
    level = curve(model, TIMES, values, infusions=[(0.0, 4.0), (3.0, 4.0)])
    exact = np.exp(-k * TIMES) + np.where(TIMES > 3, np.exp(-k * (TIMES - 3)), 0)
    np.testing.assert_allclose(level, exact, rtol=1e-7)
    tumour = curve(model, TIMES, values, "tumour", series=series)
    np.testing.assert_allclose(tumour, np.tile(3 * np.exp(0.1 * TIMES), (2, 1)), rtol=1e-7)


def test_breaks_in_any_order_only_restart_the_solver():
    text = TEXT.replace("LOG", "").replace(
        "STIFF", 'false\nbreaks = ["5", "early", "5", "1e9 / k", "-early"]'
    )
    np.testing.assert_allclose(predict(model_from_text(text), TIMES), 0.25 * np.exp(-0.5 * TIMES), rtol=1e-7)


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("flow", {"output": "tumor"}, "model flow has no output 'tumor'; did you mean 'tumour'"),
        ("flow", {"infusions": [(-1.0, 5.0)]}, "5 on day -1: day 0 is that of the first"),
        ("flow", {"infusions": [(1.0, -5.0)]}, "-5 on day 1"),
        ("flow", {"infusions": [1.0, 2.0, 3.0]}, "expected pairs of day and amount"),
        ("flow", {"series": {"k": ([0], [1])}}, "no input 'k' that changes with time; known are drive"),
        ("flow", {"series": {"drive": ([0], [np.nan])}}, "series drive: a series has the value nan on day 0"),
        (
            "flow",
            {"series": {"drive": ([0], [1])}, "drive": 1.0},
            "drive is given as a number and as a series",
        ),
        ("stein2019", {"infusions": [(0, 1), (14, 1)]}, "stein2019 is a closed form.*infusion on day 14"),
        ("stein2019_ode", {"infusions": [(0, 1), (14, 1)]}, "no state with 'infused'.*infusion on day 14"),
    ],
)
def test_what_the_model_cannot_do_is_said(name, arguments, said):
    with pytest.raises(ConfigError, match=said):
        predict(flow() if name == "flow" else load_model(name), [1.0, 20.0], **arguments)
