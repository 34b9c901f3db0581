"""Many parameter sets by compiled code: the numbers of SciPy, in any shape, at the edges, on every road."""

import numpy as np
import pytest

from carkinetics.errors import ConfigError
from carkinetics.model import load_model
from carkinetics.model.course import Course, schedule_of
from carkinetics.model.library import model_from_text
from carkinetics.model.series import Series
from carkinetics.model.solve import complete_values, curve

TEXT = """
schema = 1
name = "flow"
title = "Two states, two inputs and two outputs"
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
[inputs.count]
meaning = "cells that were counted"
unit = "1"
assay = "wbc"
interpolation = "log"
default = 1
[constants]
one = "1 cells/uL"
[states.cells]
initial = "0"
infused = "f * amount"
rate = "-k * cells"
[states.tumour]
unit = "mm"
log = true
initial = "3"
rate = "drive * tumour"
[observations.car]
of = "cells"
error = "lognormal"
[observations.tumour]
of = "tumour * count"
unit = "mm"
error = "additive"
"""
TIMES = np.array([-2.0, 0.0, 1.0, 3.0, 3.5, 7.0, 12.0])
SERIES = {"drive": Series.of([1, 5], [0.0, 0.4]), "count": Series.of([0, 10], [1.0, 100.0], "log")}
INFUSIONS = [(0.0, 4.0), (3.0, 8.0)]


@pytest.fixture(scope="module")
def flow():
    return model_from_text(TEXT)


def both(model, time, values, output="", **course):
    return (curve(model, time, values, output, solver=solver, **course) for solver in ("compiled", "scipy"))


def test_infusions_and_series_give_the_exact_solution(flow):
    k, f = np.array([[0.5], [0.1]]), np.array([[0.25], [1.0]])
    values = complete_values(flow, {"k": k, "f": f})
    found, slow = both(flow, TIMES, values, infusions=INFUSIONS, series=SERIES)
    later = np.where(TIMES > 3, 8 * f * np.exp(-k * (TIMES - 3)), 0.0)
    exact = np.where(TIMES < 0, 0.0, 4 * f * np.exp(-k * TIMES) + later)
    np.testing.assert_allclose(found, exact, rtol=1e-8)
    np.testing.assert_allclose(slow, exact, rtol=1e-8)
    ramp = np.clip(TIMES - 1, 0, 4)
    grown = 0.05 * ramp**2 + 0.4 * np.clip(TIMES - 5, 0, None)
    exact = 3 * np.exp(grown) * 10 ** (np.clip(TIMES, 0, 10) / 5)
    for one in both(flow, TIMES, values, "tumour", infusions=INFUSIONS, series=SERIES):
        np.testing.assert_allclose(one, np.broadcast_to(exact, (2, 7)), rtol=1e-8)


def test_an_input_without_a_series_stays_at_the_number_of_its_set(flow):
    values = complete_values(flow, {"drive": np.array([[0.1], [-0.2]]), "count": np.array([[2.0], [5.0]])})
    exact = 3 * np.exp(values["drive"] * np.maximum(TIMES, 0)) * values["count"]
    for one in both(flow, TIMES, values, "tumour"):
        np.testing.assert_allclose(one, exact, rtol=1e-8)


def test_shapes_broadcast_and_times_need_no_order(flow):
    rng = np.random.default_rng(1)
    values = complete_values(flow, {"k": rng.uniform(0.1, 2, (3, 1, 4)), "f": rng.uniform(0, 1, (2, 1))})
    time = rng.permutation(np.repeat(np.linspace(0, 9, 4), 2)).reshape(2, 4)
    found, slow = both(flow, time, values)
    assert found.shape == (3, 2, 4)
    np.testing.assert_allclose(found, values["f"] * np.exp(-values["k"] * time), rtol=1e-8)
    np.testing.assert_allclose(found, slow, rtol=1e-8, atol=1e-13)


@pytest.mark.parametrize("edge", [{"f": 0.0}, {"f": 1.0}, {"k": 0.0}, {"k": 0.0, "f": 1.0}])
def test_parameters_at_the_edge_of_their_range_are_solved(flow, edge):
    found, slow = both(flow, TIMES, complete_values(flow, edge))
    np.testing.assert_allclose(found, slow, rtol=1e-8, atol=1e-290)


def test_what_cannot_be_computed_is_missing(flow):
    found = curve(flow, TIMES, complete_values(flow, {"k": np.array([[np.nan], [0.5]])}), solver="compiled")
    assert np.isnan(found[0, 2:]).all()
    np.testing.assert_allclose(found[1, 1:], 0.25 * np.exp(-0.5 * TIMES[1:]), rtol=1e-8)
    explosive = model_from_text(TEXT.replace("-k * cells", "k * cells ** 2 / one"))  # infinite on day 8
    found = curve(explosive, np.array([1.0, 7.0, 9.0]), complete_values(explosive, {}), solver="compiled")
    np.testing.assert_allclose(found, [1 / (4 - 0.5), 1 / (4 - 3.5), np.nan], rtol=1e-7)


def test_a_schedule_holds_amounts_values_and_slopes(flow):
    schedule = schedule_of(flow, Course(((0.0, 4.0), (3.0, 8.0)), SERIES))
    np.testing.assert_allclose(schedule, [
        # day, amount, drive, its slope, log of count, its slope
        [0, 4, 0.0, 0.0, 0.0, np.log(100) / 10],
        [1, 0, 0.0, 0.1, np.log(100) / 10, np.log(100) / 10],
        [3, 8, 0.2, 0.1, np.log(100) * 0.3, np.log(100) / 10],
        [5, 0, 0.4, 0.0, np.log(100) / 2, np.log(100) / 10],
        [10, 0, 0.4, 0.0, np.log(100), 0.0],
    ], atol=1e-15)  # fmt: skip


def test_an_unknown_solver_is_refused(flow):
    with pytest.raises(ConfigError, match="did you mean 'scipy'"):
        curve(flow, TIMES, complete_values(flow, {}), solver="scypi")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["stein2019_ode", "effector_memory_tumour"])
def test_shipped_models_give_the_numbers_of_scipy(name):
    model = load_model(name)
    rng = np.random.default_rng(2)
    values = complete_values(model, {
        n: np.asarray(p.from_free(p.to_free(p.typical) + 0.3 * rng.standard_normal((12, 1))))
        for n, p in model.parameters.items()
    })  # fmt: skip
    time = np.array([0.0, 0.5, 3.0, 9.0, 10.0, 28.0, 90.0, 400.0])
    for output in model.outputs:
        found, slow = both(model, time, values, output)
        np.testing.assert_allclose(found, slow, rtol=1e-6)
