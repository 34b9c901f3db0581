"""What speaks against a fit: each rule on a fit that has its fault, and none on a right one."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import carkinetics as ck
from carkinetics.diagnostics.residuals import residuals
from carkinetics.diagnostics.review import Evidence, _blq_method, _covariate_left
from carkinetics.errors import FitError

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import faults


@pytest.fixture(scope="module")
def model():
    return ck.load_model("stein2019")


DESIGN = faults.DESIGN | {"lloq": 100}


@pytest.fixture(scope="module")
def data(model):
    return ck.simulate(model, DESIGN, 40, 4)


@pytest.fixture(scope="module")
def near(around, completed):
    """A fit whose draws are the simulated truth with a little noise, as a sampler leaves it."""

    def made(model, data, **kwargs):
        return completed(around(model, data), **kwargs)

    return made


@pytest.fixture(scope="module")
def right(near, model, data):
    return near(model, data)


def rules(found, severity="warning"):
    return set(found.loc[found["severity"] == severity, "rule"])


def test_nothing_speaks_against_a_fit_round_the_truth(right):
    found = ck.review(right)
    assert found.attrs["converged"]
    assert found.attrs["adequate"], found.to_string()
    assert found.attrs["verdict"].endswith("nothing speaks against the model")


def test_samples_far_from_their_curve_are_named(near, model, data):
    table = data.observations
    at = table.index[(table["status"] == "quantified") & (table["time"] > 10)][[5, 30]]
    spoilt = faults.changed(data, table.index.isin(at), 300.0)
    found = ck.review(near(model, spoilt))
    assert not found.attrs["adequate"]
    message = found.set_index("rule").loc["outlying-samples", "message"]
    for row in table.loc[at].itertuples():
        assert f"subject {row.subject} day {row.time:g} (+" in message
    assert "some samples are far from their curves" in found.attrs["verdict"]


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_a_student_residual_far_out_is_a_number_on_either_side(near, model, data, side, monkeypatch):
    """A distribution function rounds to 1 far above and not to 0 far below: outliers upwards were infinite."""
    fit = near(model, data)
    fit = replace(fit, settings=fit.settings | {"error": "student_t"})
    table = residuals(fit).assign(imputed=False)
    table["iwres"] = np.append(np.linspace(-2, 2, len(table) - 1), side * 1e5)
    monkeypatch.setattr(sys.modules[Evidence.__module__], "residuals", lambda *_, **__: table)
    (found,) = Evidence(fit, 1).residuals.values()
    assert np.isfinite(found["z"]).all()
    # Density of t with 4 degrees of freedom far out: 12 / t⁵, so that a tail has 3 / t⁴.
    assert found["iwres"].iloc[-1] == side * 1e5
    far = -side * stats.norm.ppf(3 / 1e5**4)
    spread = stats.median_abs_deviation(stats.norm.ppf(stats.t.cdf(table["iwres"][:-1], 4)), scale="normal")
    assert found["z"].iloc[-1] == pytest.approx(far / spread, rel=0.05)


def test_curves_of_another_shape_leave_residuals_that_are_alike(near, model, data):
    day = data.observations["time"].to_numpy(float)
    bent = faults.changed(data, np.ones(len(day), bool), np.where((day > 12) & (day < 50), 3.0, 1 / 1.5))
    assert {"neighbours", "percentiles"} <= rules(ck.review(near(model, bent)))


def test_a_spread_that_is_wrong_speaks_by_prediction_errors(near, model):
    wide = ck.simulate(model, DESIGN, 40, 4, sigma=1.2)
    fit = near(model, wide)
    assert "prediction-errors" in rules(ck.review(fit))
    assert ck.npde(fit).tests.loc["all", "p"] < 0.01


def test_effects_that_follow_the_dose_are_found(near, model):
    moved = ck.simulate(model, DESIGN, 40, 5, on_log_dose={"cmax": 1.2})
    found = ck.review(near(model, moved))
    assert "covariate-left" in rules(found)
    where = found.set_index("rule").loc["covariate-left"]
    assert where["where"] == "cmax"
    assert "log10(dose)" in where["message"]


def test_an_effect_that_an_outcome_follows_is_a_note_and_no_missing_covariate(near, model):
    moved = ck.simulate(model, DESIGN, 40, 5, on_log_dose={"cmax": 1.2})
    burden = np.log(moved.subjects["true_cmax"].to_numpy(float))
    plain = near(model, moved)
    for name, severity in (("burden", "warning"), ("crs_grade", "note")):
        fit = replace(plain, data=replace(moved, subjects=moved.subjects.assign(**{name: burden})))
        left = [one for one in _covariate_left(Evidence(fit, 1)) if name in one.message]
        assert {one.severity for one in left} == {severity}


def test_blq_samples_that_are_not_censored_are_said_to_bias(right):
    assert not list(_blq_method(Evidence(right, 1)))
    for method in ("M1", "M5"):
        (found,) = _blq_method(Evidence(replace(right, settings=right.settings | {"blq": method}), 1))
        assert (
            f"% of the samples are BLQ and are {'left out' if method == 'M1' else 'replaced'}"
            in found.message
        )


def test_more_blq_samples_than_curves_expect_are_counted(near, model, data):
    high = faults.changed(data, np.zeros(len(data.observations), bool), 1.0)
    table = high.observations
    late = (table["time"] < 40) & (table["time"] > 10) & (table.index % 3 == 0)
    table.loc[late, ["value", "lower", "upper", "status"]] = [np.nan, 0.0, 100.0, "below_lloq"]
    found = ck.review(near(model, replace(data, observations=table)))
    assert {"blq-own", "blq-share"} <= rules(found)


def test_a_fit_that_did_not_converge_stays_that(near, model, data):
    found = ck.review(near(model, data, diverging=7))
    assert not found.attrs["converged"]
    assert not found.attrs["adequate"]
    assert found.attrs["verdict"].startswith("not converged")


def test_fits_of_single_subjects_are_refused(alone, made_fit):
    with pytest.raises(FitError, match="review needs a hierarchical fit, found a fit of method 'individual'"):
        ck.review(alone(made_fit))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "rule"), [("one_phase", "neighbours"), ("m1", "blq-own"), ("other_unit", "outlying-subjects"), ("nothing", "")]
)  # fmt: skip
def test_planted_faults_are_caught_and_a_right_fit_is_not(fault, rule):
    row = faults.ask(fault, 1)
    assert row["converged"]
    assert row["adequate"] == (fault == "nothing")
    assert rule in row["rules"]
