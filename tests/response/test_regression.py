"""Logistic, ordinal and power regressions on tables: published numbers, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from carkinetics.errors import ConfigError, DataError, FitError
from carkinetics.response import binomial_interval, logistic, ordinal, power_model, proportions

AUC = [20, 35, 50, 60, 80, 100, 120, 150, 190, 220, 260, 300, 360, 420, 500, 600]
EXPOSED = pd.DataFrame(
    {"log_auc": np.log(1e3 * np.array(AUC)), "response": [0, 0, 0, 1, 0, 0, 1, 0, 1, 0, 1, 1, 0, 1, 1, 1]}
)
BUDWORM = pd.DataFrame(
    {
        "dose": [*range(6), *range(6)],
        "sex": ["F"] * 6 + ["M"] * 6,
        "killed": [0, 2, 6, 10, 12, 16, 1, 4, 9, 13, 18, 20],
        "of": 20,
    }
)
CRS = pd.DataFrame(
    {"log_cmax": [8.2, 8.6, 8.9, 9.1, 9.3, 9.6, 9.8, 10, 10.1, 10.3, 10.5, 10.6, 10.8, 11, 11.2, 11.5],
     "grade": [0, 0, 1, 0, 1, 1, 0, 1, 2, 1, 1, 2, 1, 2, 3, 2]}
)  # fmt: skip


def test_response_and_exposure():
    # Acceptance F1.
    found = logistic(EXPOSED, outcome="response", on="log_auc")
    assert found["coef"].tolist() == pytest.approx([-17.178639, 1.439237], abs=1e-5)
    assert found["se"].tolist() == pytest.approx([9.163945, 0.762609], abs=1e-5)
    assert -2 * found.attrs["log_likelihood"] == pytest.approx(16.981120, abs=1e-5)
    assert 2 ** found.loc["log_auc", "coef"] == pytest.approx(2.711773, abs=1e-5)
    firth = logistic(EXPOSED, outcome="response", on=["log_auc"], firth=True)
    assert firth["coef"].tolist() == pytest.approx([-13.691069, 1.149186], abs=1e-5)


def test_separation_is_refused_and_firth_is_finite():
    # Acceptance F2, closed form.
    table = pd.DataFrame({"group": ["A"] * 10 + ["B"] * 6, "event": [0] * 14 + [1] * 2})
    with pytest.raises(FitError, match="separate events from non-events"):
        logistic(table, outcome="event", on="group")
    firth = logistic(table, outcome="event", on="group", firth=True)
    assert firth["coef"].tolist() == pytest.approx([np.log(0.5 / 10.5), 2.456736], abs=1e-6)
    assert firth.attrs["separated"]


def test_budworms():
    # Acceptance F3, numbers of R's glm.
    found = logistic(BUDWORM, outcome="killed", trials="of", on=["sex", "dose"])
    assert found.index.tolist() == ["(intercept)", "sex[M]", "dose"]
    assert found["coef"].tolist() == pytest.approx([-3.4731553, 1.1007434, 1.0642140], abs=1e-6)
    assert found["se"].tolist() == pytest.approx([0.4685202, 0.3558271, 0.1310775], abs=1e-6)
    assert found.attrs["deviance"] == pytest.approx(6.7570642, abs=1e-6)
    covariance = pd.DataFrame(found.attrs["covariance"]).loc[["(intercept)", "dose"], ["(intercept)", "dose"]]
    intercept, slope = found.loc[["(intercept)", "dose"], "coef"]
    gradient = np.array([-1 / slope, intercept / slope**2])
    assert -intercept / slope == pytest.approx(3.263587, abs=1e-6)
    assert np.sqrt(gradient @ covariance.to_numpy() @ gradient) == pytest.approx(0.229754, abs=1e-6)


def test_grades_and_exposure():
    # Acceptance F4.
    found = ordinal(CRS, outcome="grade", on="log_cmax")
    assert found["coef"].tolist() == pytest.approx([2.81849, 25.79123, 29.82292, 32.86300], abs=1e-4)
    assert found.loc["log_cmax", "se"] == pytest.approx(1.01074, abs=1e-4)
    assert -2 * found.attrs["log_likelihood"] == pytest.approx(24.623369, abs=1e-5)
    assert found.index.tolist() == ["log_cmax", "0|1", "1|2", "2|3"]
    assert list(found.attrs["cuts"]) == [">= 1", ">= 2", ">= 3"]
    named = CRS.assign(
        grade=pd.Categorical.from_codes(CRS["grade"], ["none", "mild", "severe", "fatal"], ordered=True)
    )
    assert ordinal(named, outcome="grade", on="log_cmax").index[1] == "none|mild"


def test_two_grades_are_a_logistic_regression():
    binary, graded = (fit(EXPOSED, outcome="response", on="log_auc") for fit in (logistic, ordinal))
    assert graded.loc["log_auc"].iloc[:6].tolist() == pytest.approx(
        binary.loc["log_auc"].iloc[:6].tolist(), rel=1e-5
    )
    assert graded.loc["0|1", "coef"] == pytest.approx(-binary.loc["(intercept)", "coef"], rel=1e-5)
    assert graded.loc["0|1", "se"] == pytest.approx(binary.loc["(intercept)", "se"], rel=1e-5)


def test_grades_in_order_have_no_estimate():
    with pytest.raises(FitError, match="puts the grades of grade in order"):
        ordinal(CRS.assign(grade=np.repeat([0, 1, 2, 3], 4)), outcome="grade", on="log_cmax")
    with pytest.raises(DataError, match="category without an order"):
        ordinal(CRS.assign(grade=CRS["grade"].astype(str).astype("category")), outcome="grade", on="log_cmax")
    with pytest.raises(DataError, match="grade holds text"):
        ordinal(CRS.assign(grade="mild"), outcome="grade", on="log_cmax")
    with pytest.raises(DataError, match="row 2: response is 'CR'; expected 1 or 0"):
        logistic(EXPOSED.assign(response=EXPOSED["response"].astype(object).where(EXPOSED.index != 2, "CR")), outcome="response",
                 on="log_auc")  # fmt: skip


def test_dose_proportionality():
    # Acceptance F5.
    dose = [0.1] * 3 + [0.3] * 3 + [1] * 4 + [2] * 4
    value = np.exp([3.1, 4.6, 3.7, 4.2, 5.5, 4.8, 5.1, 4.4, 6.2, 5.6, 5.9, 4.9, 6.6, 5.2])
    found = power_model(dose, value)
    slope = found.loc["log(dose)"]
    assert slope.tolist() == pytest.approx([0.591575, 0.163186, 0.300730, 0.882420], abs=1e-6)
    assert found.loc["(intercept)", "coef"] == pytest.approx(5.313070, abs=1e-6)
    assert found.attrs["normalised"] == pytest.approx((0.294189, 0.123092, 0.703112), abs=1e-6)
    assert found.attrs["region"] == pytest.approx((0.925513, 1.074487), abs=1e-6)
    assert (found.attrs["verdict"], found.attrs["df"]) == ("not proportional", 12)
    with pytest.raises(DataError, match="value number 1 is 0; expected a number above 0"):
        power_model(dose, [0, *value[1:]])
    with pytest.raises(DataError, match="all 3 subjects have the dose 1"):
        power_model([1, 1, 1], [1, 2, 3])


@pytest.mark.parametrize(
    ("x", "n", "expected"),
    [
        (6, 20, [(0.118932, 0.542789), (0.145477, 0.518973), (0.136116, 0.517228)]),
        (3, 10, [(0.066740, 0.652453), (0.107791, 0.603222), (0.092695, 0.605818)]),
        (0, 12, [(0, 0.264648), (0, 0.242494), (0, 0.185306)]),
        (12, 12, [(0.735352, 1), (0.757506, 1), (0.814694, 1)]),
    ],
)
def test_intervals_of_a_rate(x, n, expected):
    # Acceptance E1.
    for method, limits in zip(("clopper-pearson", "wilson", "jeffreys"), expected, strict=True):
        assert binomial_interval(x, n, method=method) == pytest.approx(limits, abs=1e-6)


def test_rates_by_group():
    response, dose = pd.Series([True, False, True, True]), pd.Series([1, 1, 3, 3])
    table = proportions(response, dose)
    assert table.index.tolist() == [1, 3, "all"]
    assert table["x"].tolist() == [1, 2, 3]
    assert table.loc["all", "proportion"] == 0.75
    with pytest.raises(DataError, match="unknown for 1 of 4 subjects"):
        proportions(response.astype(object).where(response.index != 1, None))
    with pytest.raises(ConfigError, match="did you mean 'wilson'"):
        binomial_interval(1, 3, method="wilsom")
    with pytest.raises(DataError, match="4 of 3"):
        binomial_interval(4, 3)
