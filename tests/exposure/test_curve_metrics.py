"""Metrics of a curve against closed formulas (acceptance A1-A4, A8-A10, A15)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from carkinetics.exposure.curve_metrics import areas, last_time_above, peak
from carkinetics.model import load_model, predict
from carkinetics.model.expression import NUMPY, evaluate
from carkinetics.model.solve import with_derived


def typical(name, **values):
    model = load_model(name)
    return model, {n: np.array([values.get(n, p.typical)]) for n, p in model.parameters.items()}


def test_derived_numbers_of_stein():
    model, values = typical("stein2019")
    known = with_derived(model, values)
    assert known["rho"][0] == pytest.approx(0.88911095, abs=1e-8)
    assert known["r0"][0] == pytest.approx(6.153846, abs=1e-6)
    quantity = {name: float(evaluate(q.value, known, NUMPY)[0]) for name, q in model.quantities.items()}
    assert quantity["doubling_time"] == pytest.approx(0.779596, abs=1e-6)
    assert quantity["half_life_fast"] == pytest.approx(4.332170, abs=1e-6)
    assert quantity["half_life"] == pytest.approx(216.6085, abs=1e-4)


@pytest.mark.parametrize("name", ["stein2019", "stein2019_ode"])
def test_areas_of_stein_equal_the_formula(name):
    # Acceptance A8, A9; checked there by adaptive quadrature as well.
    expected = {14: 106531.0089, 28: 171774.2852, 90: 189285.6854, 365: 216068.6781}
    found = areas(*typical(name), list(expected))
    assert [float(a[0]) for a in found] == pytest.approx(list(expected.values()), rel=1e-7)


def test_the_area_without_end_is_reached_within_the_horizon():
    total = areas(*typical("stein2019"), [7305.0])[0][0]
    assert total == pytest.approx(235051.3352, rel=1e-6)


def test_the_lag_counts_at_the_initial_level():
    values = {"foldx": 3900, "cmax": 24000, "fb": 0.0079, "alpha": np.log(2) / 5, "beta": np.log(2) / 352}
    found = areas(*typical("ogasawara2021", **values), [28])[0][0]
    assert found == pytest.approx(179890.4829, rel=1e-7)  # acceptance A15


def test_time_above_a_limit():
    model, values = typical("stein2019")
    cmax, tmax = peak(model, values)
    assert (cmax[0], tmax[0]) == pytest.approx((24000, 9.3), rel=1e-12)
    assert last_time_above(model, values, 50.0, cmax, tmax)[0] == pytest.approx(
        425.8292, rel=1e-6
    )  # acceptance A10
    first = brentq(lambda t: float(predict(model, [t]).iloc[0]) - 50, 0, 9)
    assert first == pytest.approx(2.35623, rel=1e-5)
    assert last_time_above(model, values, 30000.0, cmax, tmax)[0] == 0
    assert np.isinf(last_time_above(model, values, 1e-12, cmax, tmax)[0])


def test_the_peak_of_a_smooth_curve_is_found_between_grid_points():
    model, values = typical("smooth_gate", fb=1e-9)
    known = with_derived(model, values)
    expected = {
        name: float(evaluate(model.quantities[name].value, known, NUMPY)[0]) for name in ("cmax", "tmax")
    }
    cmax, tmax = peak(model, values)
    assert cmax[0] == pytest.approx(expected["cmax"], rel=1e-6)
    assert tmax[0] == pytest.approx(expected["tmax"], abs=2e-3)


@settings(deadline=None, max_examples=50)
@given(
    foldx=st.floats(2, 1e6), tmax=st.floats(1, 40), cmax=st.floats(1, 1e6), alpha=st.floats(0.01, 2),
    fb=st.floats(1e-5, 0.9), beta=st.floats(1e-4, 0.5), end=st.floats(0.5, 400),
)  # fmt: skip
def test_areas_equal_the_formula_for_any_parameters(foldx, tmax, cmax, alpha, fb, beta, end):
    given_values = {"foldx": foldx, "tmax": tmax, "cmax": cmax, "alpha": alpha, "fb": fb, "beta": beta}
    found = areas(*typical("stein2019", **given_values), [end])[0][0]
    rho, grown, late = np.log(foldx) / tmax, min(end, tmax), max(end - tmax, 0)
    exact = cmax / foldx * np.expm1(rho * grown) / rho
    exact += cmax * ((1 - fb) * -np.expm1(-alpha * late) / alpha + fb * -np.expm1(-beta * late) / beta)
    assert found == pytest.approx(exact, rel=1e-6)
