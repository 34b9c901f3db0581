"""Exposure of a model whose cells are infused twice and then decline exponentially: every number is exact."""

import numpy as np
import pandas as pd
import pytest

from carkinetics.exposure import exposure_from
from carkinetics.exposure.curve_metrics import areas, first_time_below, last_time_above, peak
from carkinetics.fit.result import PARAMETER_COLUMNS, Fit
from carkinetics.model.course import Course
from carkinetics.model.library import model_from_text
from carkinetics.model.series import Series

TEXT = """
schema = 1
name = "decline"
title = "Infused cells that decline"
value_unit = "cells/uL"
[parameters.k]
meaning = "rate of decline"
unit = "1/day"
typical = 0.1
prior = { dist = "lognormal", median = 0.1, sigma = 1 }
[inputs.gain]
meaning = "measured sensitivity of the assay"
unit = "1"
assay = "control"
interpolation = "constant"
default = 1
[states.cells]
initial = "0"
infused = "amount / 1e6"
rate = "-k * cells"
[observation]
of = "gain * cells"
error = "lognormal"
"""
TWO = ((0.0, 2e6), (10.0, 6e6))


@pytest.fixture(scope="module")
def decline():
    return model_from_text(TEXT)


def exact(k, dose, ends):
    """Cmax just after the second infusion, areas to ``ends``, last day above 0.1, for infusions on days 0 and 10."""
    first, second = dose
    cmax = first * np.exp(-10 * k) + second
    under = [first * -np.expm1(-k * t) / k + second * -np.expm1(-k * max(t - 10, 0)) / k for t in ends]
    return cmax, under, 10 + np.log(cmax / 0.1) / k


@pytest.mark.parametrize("k", [0.02, 0.1, 1.0, 5.0])
def test_peak_areas_and_persistence_after_two_infusions(decline, k):
    values = {"k": np.array([k, 0.1]), "gain": np.ones(2)}
    course = Course(TWO)
    cmax, under, last = exact(k, (2, 6), (7, 28, 84, 7305))
    highest, when = peak(decline, values, course)
    assert highest[0] == pytest.approx(cmax, rel=1e-7)
    assert when[0] == pytest.approx(10, rel=1e-7)
    found = areas(decline, values, [7, 28, 84, 7305.0], course=course)
    assert [one[0] for one in found] == pytest.approx(under, rel=1e-7)
    assert last_time_above(decline, values, 0.1, highest, when, course)[0] == pytest.approx(last, rel=1e-6)


def test_the_first_day_below_a_limit_is_not_the_last_above_it_where_a_second_infusion_brings_the_level_back(
    decline,
):
    values = {"k": np.array([0.2, 0.2]), "gain": np.ones(2)}
    course = Course(((0.0, 6e6), (20.0, 2e6)))
    top = peak(decline, values, course)
    assert first_time_below(decline, values, 1.0, *top, course)[0] == pytest.approx(np.log(6) / 0.2, rel=1e-6)
    again = 20 + np.log(2 + 6 * np.exp(-4)) / 0.2
    assert last_time_above(decline, values, 1.0, *top, course)[0] == pytest.approx(again, rel=1e-6)
    assert first_time_below(decline, values, 7.0, *top, course)[0] == 0
    assert np.isinf(first_time_below(decline, values | {"k": np.array([1e-9] * 2)}, 1.0, *top, course)[0])


def test_a_measured_input_that_jumps_costs_no_accuracy(decline):
    values = {"k": np.array([0.1]), "gain": np.ones(1)}
    course = Course(((0.0, 1e6),), {"gain": Series.of([0, 5, 20], [1.0, 3.0, 0.5], "constant")})
    part = [-np.expm1(-0.1 * t) / 0.1 for t in (5, 20, 28)]
    expected = part[0] + 3 * (part[1] - part[0]) + 0.5 * (part[2] - part[1])
    assert areas(decline, values, [28], course=course)[0][0] == pytest.approx(expected, rel=1e-8)
    highest, when = peak(decline, values, course)
    assert (highest[0], when[0]) == pytest.approx((3 * np.exp(-0.5), 5), rel=1e-7)


def test_every_subject_has_the_exposure_of_its_own_infusions(decline, make_data):
    samples = ([1.0, 14.0], [1.0, 1.0])
    data = make_data(
        {"A": samples, "B": samples, "C": samples}, lloq=0.1, unit="cells/uL",
        doses={"A": [(0, 2e6), (10, 6e6)], "B": [(0, 2e6)], "C": [(-3, 1e6), (0, 1e6), (10, 3e6)]},
    )  # fmt: skip
    rows = [
        {"subject": s, "parameter": "k", "median": 0.1, "status": "converged", "message": ""} for s in "ABC"
    ]
    table = pd.DataFrame(rows, columns=[*PARAMETER_COLUMNS, "status", "message"])
    settings = {"method": "individual", "error": "lognormal", "sigma": 0.5, "blq": "M3", "covariates": []}
    fit = Fit(decline, data, data.observations, table, settings=settings)
    found = exposure_from(fit, ["cmax", "tmax", "auc_0_28", "persistence"]).table.set_index(
        ["subject", "metric"]
    )["value"]
    for subject, dose in {"A": (2, 6), "B": (2, 0), "C": (2, 3)}.items():
        cmax, (auc,), last = exact(0.1, dose, [28])
        cmax, tmax = (2.0, 0.0) if subject == "B" else (cmax, 10.0)
        assert found[subject, "cmax"] == pytest.approx(cmax, rel=1e-7)
        assert found[subject, "tmax"] == pytest.approx(tmax, rel=1e-7, abs=1e-6)
        assert found[subject, "auc_0_28"] == pytest.approx(auc, rel=1e-7)
        assert found[subject, "persistence"] == pytest.approx(last, rel=1e-6)
