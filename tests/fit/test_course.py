"""What happened to each subject: doses and measured inputs of a dataset, and predictions that follow them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from carkinetics.dataset.table import DOSE_COLUMNS, Dataset
from carkinetics.errors import DataError
from carkinetics.fit.course import subject_courses, typical_course
from carkinetics.fit.predictive import subject_levels
from carkinetics.model import simulate
from carkinetics.model.library import model_from_text

TEXT = """
schema = 1
name = "decline"
title = "Infused cells that decline, seen by an assay of changing sensitivity"
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


@pytest.fixture(scope="module")
def decline():
    return model_from_text(TEXT)


@pytest.fixture(scope="module")
def data(decline) -> Dataset:
    """Three subjects with one, two and three infusions; the second has a measured gain."""
    made = simulate(decline, {"times": (1, 5), "lloq": 1e-3}, n=3, seed=1)
    given = [
        ("S001", 0, 1e6),
        ("S002", 0, 2e6),
        ("S002", 10, 6e6),
        ("S003", -4, 1e6),
        ("S003", 0, 1e6),
        ("S003", 10, 3e6),
    ]
    doses = pd.DataFrame([(s, float(t), a, "cells/kg", 0) for s, t, a in given], columns=list(DOSE_COLUMNS))
    extra = made.observations[made.observations["subject"] == "S002"].assign(
        assay="control", value=[1.0, 3.0]
    )
    return replace(made, observations=pd.concat([made.observations, extra], ignore_index=True), doses=doses)


def test_each_subject_has_its_own_infusions_and_series(decline, data):
    one, two, three = subject_courses(decline, data)
    assert one.infusions == ((0.0, 1e6),)
    assert two.infusions == ((0.0, 2e6), (10.0, 6e6))
    assert three.infusions == ((0.0, 2e6), (10.0, 3e6))  # what came before day 0 counts on day 0
    assert one.series == {}
    assert two.series["gain"]([0, 5]).tolist() == [1.0, 3.0]
    assert two.knots == [1.0, 5.0]


def test_a_subject_without_a_dose_is_refused_and_a_typical_one_has_the_median(decline, data):
    assert typical_course(decline, data).infusions == ((0.0, 1e6),)
    nobody = replace(data, doses=data.doses[data.doses["subject"] != "S001"])
    with pytest.raises(DataError, match="subject S001: no infusion with an amount"):
        subject_courses(decline, nobody)


@pytest.mark.parametrize("n_draws", [1, 4])
def test_levels_follow_each_subjects_own_course(decline, data, n_draws):
    k = np.linspace(0.1, 0.4, n_draws)[:, None] * np.ones((1, 3))
    time, index = np.tile([0.5, 7.0, 10.0, 12.0], 3), np.repeat([0, 1, 2], 4)
    found = subject_levels(decline, data, index, time, {"k": k})
    dose = np.array([(1, 0), (2, 6), (2, 3)])[index]
    gain = np.where((index == 1) & (time >= 5), 3.0, 1.0)
    second = np.where(time > 10, np.exp(-k[:, :1] * np.maximum(time - 10, 0)), 0.0)
    np.testing.assert_allclose(
        found, gain * (dose[:, 0] * np.exp(-k[:, :1] * time) + dose[:, 1] * second), rtol=1e-7
    )
