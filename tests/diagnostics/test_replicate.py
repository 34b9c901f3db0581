from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from carkinetics.dataset.table import Dataset
from carkinetics.diagnostics.replicate import limit_of, predictive_coverage, replicates
from carkinetics.errors import ConfigError, FitError
from carkinetics.fit.result import Fit
from carkinetics.model import load_model, predict, simulate
from carkinetics.model.simulate import report_measurements


@pytest.fixture(scope="module")
def exact(around):
    """A fit whose every draw is the truth."""
    model = load_model("stein2019")
    data = simulate(
        model, {"times": (3, 7, 10, 14, 28, 90), "lloq": 200, "lod": 50, "doses": (1e5, 2e6)},
        n=80, seed=3, on_log_dose={"cmax": 0.8},
    )  # fmt: skip
    return around(model, data, on_log_dose={"cmax": 0.8}, noise=0.0)


def test_replicates_are_the_design_with_new_subjects(exact):
    made = replicates(exact, n_draws=400)
    assert made.value.shape == (400, len(made.observations))
    assert (made.observations["status"] != "predose").all()
    at = made.observations.query("subject == 'S001' and time == 28").index[0]
    assert made.typical[at] == pytest.approx(
        predict(exact.model, [28.0], cmax=24000 * 0.1**0.8).iloc[0], rel=1e-9
    )


def _measured_again(fit: Fit, lloq: float, lod: float) -> Dataset:
    made = replicates(fit, same_subjects=True, n_draws=1, seed=9)
    table = made.observations[["subject", "assay", "time"]].assign(value=made.value[0])
    return replace(fit.data, observations=report_measurements(table, lloq, lod, fit.model.value_unit))


@pytest.mark.parametrize("lloq", [1e-3, 200.0, 3000.0])
def test_interval_covers_new_measurements_at_its_level_however_many_are_blq(exact, lloq):
    held_out = _measured_again(exact, lloq, np.nan)
    found = predictive_coverage(exact, held_out, level=0.8, n_draws=1500)
    n = found["n_quantified"] + found["n_blq"]
    assert n == 480
    # Given the parameters the rows are independent: four binomial standard errors.
    assert found["covered"] == pytest.approx(0.8, abs=4 * np.sqrt(0.16 / n))
    assert found["blq_expected"] == pytest.approx(found["n_blq"], abs=4 * np.sqrt(n / 4))


def test_coverage_of_a_wrong_model_is_low(exact):
    held_out = _measured_again(exact, 1e-3, np.nan)
    rows = held_out.observations
    shifted = replace(held_out, observations=rows.assign(value=5 * rows["value"]))
    assert predictive_coverage(exact, shifted)["covered"] < 0.3


def test_coverage_of_unknown_subjects_has_the_spread_between_subjects(exact):
    other = simulate(
        exact.model, {"times": (3, 7, 10, 14, 28, 90), "lloq": 1e-3, "doses": (1e5, 2e6)},
        n=200, seed=8, on_log_dose={"cmax": 0.8},
    )  # fmt: skip
    names = {s: f"other {s}" for s in other.subject_ids}
    renamed = replace(
        other,
        **{
            table: getattr(other, table).assign(subject=getattr(other, table)["subject"].map(names))
            for table in ("subjects", "observations", "doses")
        },
    )
    # 200 independent subjects with 6 dependent rows each.
    assert predictive_coverage(exact, renamed)["covered"] == pytest.approx(0.9, abs=0.04)


def test_coverage_of_fitted_rows_uses_the_predictive_draws_of_the_fit(made_fit, alone):
    found = predictive_coverage(made_fit)
    assert found["n_quantified"] + found["n_blq"] == len(made_fit.observations)
    assert 0.75 < found["covered"] <= 1
    with pytest.raises(FitError, match="no posterior predictive"):
        predictive_coverage(alone(made_fit))
    with pytest.raises(ConfigError, match="level is 90"):
        predictive_coverage(made_fit, level=90)


def test_limit_is_the_lloq_or_else_what_a_blq_row_is_known_to_lie_below():
    rows = pd.DataFrame(
        {
            "status": ["quantified", "below_lloq", "not_detected", "quantified", "below_lloq"],
            "upper": [80.0, 50.0, 20.0, 80.0, np.nan],
            "lloq": [50.0, 50.0, np.nan, np.nan, np.nan],
        }
    )
    np.testing.assert_array_equal(limit_of(rows), [50, 50, 20, np.nan, np.nan])


def test_same_seed_same_numbers(made_fit):
    first, second, other = (replicates(made_fit, n_draws=5, seed=s).value for s in (3, 3, 4))
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()
