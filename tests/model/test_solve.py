"""Prediction: names, shapes and differential equations."""

import numpy as np
import pandas as pd
import pytest

from carkinetics.errors import ConfigError
from carkinetics.model import load_model, predict
from carkinetics.model.library import model_from_text
from carkinetics.model.solve import break_times, curve

EXPONENTIAL = """
schema = 1
name = "decay"
title = "One state"
value_unit = "copies/ug"
[parameters.k]
meaning = "rate"
unit = "1/day"
typical = 0.5
prior = { dist = "lognormal", median = 0.5, sigma = 1 }
[constants]
one = "1 copies/ug"
[states.x]
initial = "10"
rate = "RATE"
[observation]
of = "x"
error = "lognormal"
"""


def test_one_value_per_time_in_the_order_asked():
    level = predict(load_model("stein2019"), [28, 0, 28, 9.3])
    assert isinstance(level, pd.Series)
    assert level.index.tolist() == [28, 0, 28, 9.3]
    assert level.iloc[0] == level.iloc[2]


@pytest.mark.parametrize("name", ["stein2019", "stein2019_ode"])
def test_before_the_infusion_there_is_nothing(name):
    assert predict(load_model(name), [-3, 5]).iloc[0] == 0


def test_unknown_names_and_times_are_refused():
    with pytest.raises(ConfigError, match="did you mean 'tmax'"):
        predict(load_model("stein2019"), [1], tmx=3)
    with pytest.raises(ConfigError, match="finite numbers"):
        predict(load_model("stein2019"), [np.nan])


def test_differential_equations_broadcast_like_closed_forms():
    values = {
        name: np.array([p.typical, p.typical * 1.1]) for name, p in load_model("stein2019").parameters.items()
    }
    time = np.array([[1.0, 14.0, 3.0], [28.0, 9.3, 60.0]])
    columns = {name: value[:, None] for name, value in values.items()}
    closed, solved = (curve(load_model(name), time, columns) for name in ("stein2019", "stein2019_ode"))
    assert solved.shape == (2, 3)
    np.testing.assert_allclose(closed, solved, rtol=1e-6)


def test_a_state_decays_as_it_should_also_with_the_implicit_solver():
    for text in (EXPONENTIAL, EXPONENTIAL.replace("[states.x]", "[solver]\nstiff = true\n[states.x]")):
        model = model_from_text(text.replace("RATE", "-k * x"))
        np.testing.assert_allclose(predict(model, [0, 1, 4]), 10 * np.exp([0, -0.5, -2.0]), rtol=1e-6)


def test_an_explosion_is_missing_and_not_a_crash():
    model = model_from_text(EXPONENTIAL.replace("RATE", "k * x ** 2 / one"))  # infinite at day 0.2
    assert np.isnan(predict(model, [5.0]).iloc[0])


def test_break_times_follow_the_parameters():
    found = break_times(load_model("ogasawara2021"), {
        name: np.array([p.typical]) for name, p in load_model("ogasawara2021").parameters.items()
    })  # fmt: skip
    assert [float(at[0]) for at in found] == [3.27, 9.29]
