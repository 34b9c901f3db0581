"""The typical subject's numbers: those of the closed form, in every draw."""

from dataclasses import replace

import numpy as np
import pytest

from carkinetics.exposure.typical import ASKED_FIRST, typical_exposure


def drawn(fit, name):
    return fit.tree["posterior"][f"{name}_typical"].to_numpy().ravel()


def quantiles(values):
    return np.quantile(values, [0.5, 0.05, 0.95])


def row(table, metric):
    return table.set_index("metric").loc[metric, ["value", "lower", "upper"]].to_numpy(float)


def test_the_five_numbers_of_a_closed_form_are_met(made_fit):
    found = typical_exposure(made_fit)
    assert found["metric"].tolist() == list(ASKED_FIRST[:5])
    foldx, tmax, cmax, alpha, fb, beta = (
        drawn(made_fit, name) for name in ("foldx", "tmax", "cmax", "alpha", "fb", "beta")
    )
    rho, after = np.log(foldx) / tmax, 28 - tmax
    falling = (1 - fb) / alpha * -np.expm1(-alpha * after) + fb / beta * -np.expm1(-beta * after)
    exact = {
        "cmax": cmax,
        "tmax": tmax,
        "auc_0_28": cmax * (1 - 1 / foldx) / rho + cmax * falling,
        "doubling_time": np.log(2) / rho,
        "half_life": np.log(2) / beta,
    }
    for metric, values in exact.items():
        np.testing.assert_allclose(row(found, metric), quantiles(values), rtol=1e-6, err_msg=metric)
    assert found.set_index("metric")["unit"].to_dict() == {
        "cmax": "copies/ug", "tmax": "day", "auc_0_28": "copies*day/ug", "doubling_time": "day", "half_life": "day",
    }  # fmt: skip


def test_persistence_is_where_the_typical_curve_meets_the_lloq(made_fit):
    found = typical_exposure(made_fit, most=6, extrapolate=True)
    tail = np.log(drawn(made_fit, "cmax") * drawn(made_fit, "fb") / 50) / drawn(made_fit, "beta")
    # The fast phase is gone by then: the slow one alone meets the LLOQ of 50.
    np.testing.assert_allclose(
        row(found, "persistence"), quantiles(drawn(made_fit, "tmax") + tail), rtol=1e-6
    )


def test_without_an_lloq_there_is_no_persistence(made_fit):
    plain = made_fit.data.observations.assign(lloq=np.nan)
    fit = replace(made_fit, data=replace(made_fit.data, observations=plain))
    assert "persistence" not in typical_exposure(fit, most=6)["metric"].tolist()


@pytest.mark.parametrize("most", [1, 3])
def test_the_first_metrics_are_kept(made_fit, most):
    assert typical_exposure(made_fit, most)["metric"].tolist() == list(ASKED_FIRST[:most])
