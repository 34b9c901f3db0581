"""Turnover in closed form: steady states, a solver's answer, limits of the assay."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.stats import norm

from carkinetics.dataset.table import OBSERVATION_COLUMNS, Dataset
from carkinetics.errors import ConfigError
from carkinetics.fit.problem import make_problem
from carkinetics.model.prior import Prior
from carkinetics.model.solve import curve
from carkinetics.response.turnover import N_KNOTS, loss_rate, place_knots, turnover_model

FIXED = {"base": 5.0, "rise": 20.0, "half": 100.0, "kout": 3.96, "delay": -1.5}
KNOTS = np.linspace(0, 35, N_KNOTS)


def inputs(levels, knots=KNOTS):
    return {f"knot_{j}": knots[j] for j in range(N_KNOTS)} | {
        f"driver_{j}": levels[j] for j in range(N_KNOTS)
    }


def level(values, time, *, block=False):
    model = turnover_model("pg/mL", "cells/uL", FIXED, block=block)
    known = {name: np.asarray(value) for name, value in (FIXED | values).items()}
    return np.squeeze(curve(model, np.asarray(time, dtype=float), known))


def test_a_constant_driver_ends_in_balance_and_tocilizumab_lifts_it_by_its_share():
    driven = inputs(np.full(N_KNOTS, 300.0))
    balance = 5.0 * (1 + 20.0 * 300 / 400)
    assert level(driven, [20.0]) == pytest.approx(balance, rel=1e-9)
    blocked = driven | {"block": 0.6, "toci": 10.0}
    assert level(blocked, [9.9, 34.0], block=True) == pytest.approx([balance, balance / 0.4], rel=1e-9)


def test_without_a_driver_nothing_rises_and_before_the_infusion_nothing_has():
    assert level(inputs(np.zeros(N_KNOTS)), [0, 3, 30]) == pytest.approx(5.0)
    late = inputs(np.full(N_KNOTS, 300.0)) | {"delay": 4.0}
    assert level(late, [0.0, 3.9]) == pytest.approx(5.0)


@pytest.mark.parametrize("toci", [12.3, np.inf])
def test_the_formula_is_the_solution_of_the_differential_equation(toci):
    driver = 300 * np.exp(-0.5 * ((KNOTS - 13) / 4) ** 2)
    effect = driver / (100 + driver)

    def rate(t, y):
        made = 5 * (1 + 20 * (np.interp(t + 1.5, KNOTS, effect) if t + 1.5 >= 0 else 0))
        return 3.96 * (made - (1 - 0.6 * (t > toci)) * y[0])

    time = np.linspace(0.5, 30, 40)
    solved = solve_ivp(rate, (-10, 30), [5.0], t_eval=time, rtol=1e-8, atol=1e-9, max_step=0.05).y[0]
    found = level(inputs(driver) | {"block": 0.6, "toci": toci}, time, block=True)
    assert found == pytest.approx(solved, rel=1e-4)


@given(st.floats(4, 25), st.floats(1, 1e5), st.floats(0.3, 2), st.floats(0.05, 0.5))
def test_knots_stand_where_the_curve_bends(peak, highest, growth, decline):
    time = np.arange(0, 35.01, 0.05)
    away = time - peak
    driver = highest * np.exp(np.where(away < 0, growth * away, -decline * away))
    knots, levels = place_knots(time, driver, 100.0)
    assert (knots[0], knots[-1]) == (0.0, pytest.approx(35.0))
    assert (np.diff(knots) > 0).all()
    # A residual error is some 40 %; a jump of the slope lies between two points of the grid.
    for half in (10.0, 100.0, 1000.0):
        effect = driver / (half + driver)
        between = np.interp(time, knots, levels / (half + levels))
        assert (np.abs(between - effect) / (effect + 0.02 * effect.max())).max() < 0.15


def test_a_value_above_the_upper_limit_counts_as_the_chance_to_lie_there():
    rows = [
        ("a", "il6", 2.0, np.nan, "above_uloq", 1000.0, np.inf, np.nan, 3.0, "pg/mL", 0),
        ("a", "il6", 4.0, np.nan, "below_lloq", 0.0, 3.0, np.nan, 3.0, "pg/mL", 1),
        ("b", "il6", 2.0, 7.0, "quantified", 7.0, 7.0, np.nan, 3.0, "pg/mL", 2),
    ]
    data = Dataset(
        pd.DataFrame(rows, columns=list(OBSERVATION_COLUMNS)),
        pd.DataFrame(
            [
                {"subject": s} | {f"driver_{j}": 300.0 for j in range(N_KNOTS)} | {f"knot_{j}": j for j in range(N_KNOTS)}
                for s in "ab"
            ]
        ),
        assays=pd.DataFrame([{"assay": "il6", "unit": "pg/mL", "lloq": 3.0, "lod": np.nan, "kind": "marker"}]),
    )  # fmt: skip
    model = turnover_model("pg/mL", "cells/uL", FIXED | {"base": Prior("lognormal", 5.0, 1.0)}, block=False)
    problem = make_problem(model, data)
    balance = np.log(5.0 * (1 + 20.0 * 300 / 400))
    predicted = np.exp([balance] * 3)
    found = problem.log_likelihood(predicted, {"sigma": 0.7})
    expected = [
        norm.logsf((np.log(1000) - balance) / 0.7),
        norm.logcdf((np.log(3) - balance) / 0.7),
        norm.logpdf((np.log(7) - balance) / 0.7) - np.log(0.7),
    ]
    assert found == pytest.approx(expected, rel=1e-9)


def test_half_lives_are_published_given_or_estimated():
    assert [loss_rate(name, None) for name in ("il6", "IL-10", "IFN-gamma")] == [3.96, 4.68, 1.51]
    assert loss_rate("crp", 0.8) == pytest.approx(np.log(2) / 0.8)
    prior = loss_rate("il6", {"dist": "lognormal", "median": 0.2, "sigma": 0.5})
    assert (prior.centre, prior.spread) == (pytest.approx(np.log(2) / 0.2), 0.5)
    for assay, given_, words in (("crp", None, "no half-life is known"), ("il6", -1.0, "expected days, above 0"),
                                 ("il6", {"dist": "normal", "mean": 1, "sd": 1}, "lognormal")):  # fmt: skip
        with pytest.raises(ConfigError, match=words):
            loss_rate(assay, given_)
