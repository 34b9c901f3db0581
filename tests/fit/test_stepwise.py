"""A stepwise search takes what lowers -2LL by enough, keeps what raises it by enough, and says what that is worth."""

from dataclasses import replace

import numpy as np
import pytest

from carkinetics.errors import ConfigError
from carkinetics.fit import fit_population, stepwise_covariates
from carkinetics.model import load_model, simulate


@pytest.fixture(scope="module")
def small():
    """Cmax alone differs between subjects: log Cmax rises with dose; weight says nothing."""
    fixed = {name: p.typical for name, p in load_model("stein2019").parameters.items() if name != "cmax"}
    model = load_model("stein2019").fix(**fixed)
    design = {"times": (3, 7, 10, 14), "lloq": 0.001, "doses": (1e5, 2e6)}
    data = simulate(model, design, 30, 4, on_log_dose={"cmax": 0.5})
    rng = np.random.default_rng(9)
    columns = {"weight": rng.normal(70, 10, 30), "height": rng.normal(170, 9, 30)}
    return model, replace(data, subjects=data.subjects.assign(**columns))


@pytest.fixture(scope="module")
def base(small):
    return fit_population(*small)


@pytest.fixture(scope="module")
def search(base):
    return stepwise_covariates(base, ["log(dose)", "weight", "height"])


def test_the_real_covariate_comes_in_and_stays(search):
    assert search.covariates == {"cmax": ["log(dose)"]}
    taken = search.steps[search.steps["taken"]]
    assert taken["direction"].tolist() == ["start", "forward"]
    assert taken["covariate"].tolist() == ["", "log(dose)"]
    assert (search.steps["step"].value_counts().sort_index() == [1, 3, 2, 1]).all()


def test_changes_are_those_of_the_fits(small, search):
    model, data = small
    without, with_dose = (fit_population(model, data, covariates=c) for c in ({}, {"cmax": "log(dose)"}))
    row = search.steps[(search.steps["step"] == 1) & (search.steps["covariate"] == "log(dose)")].iloc[0]
    assert row["change"] == pytest.approx(with_dose.minus_two_ll - without.minus_two_ll)
    assert search.fit.minus_two_ll == pytest.approx(with_dose.minus_two_ll)
    back = search.steps[search.steps["direction"] == "backward"].iloc[0]
    assert back["change"] == pytest.approx(-row["change"])
    assert not back["taken"]


def test_what_comes_in_by_a_low_limit_goes_out_by_a_high_one(base):
    found = stepwise_covariates(base, ["weight", "height"], forward=1e-6, backward=1e3)
    assert found.covariates == {}
    assert found.steps.loc[found.steps["taken"], "direction"].tolist() == [
        "start", "forward", "forward", "backward", "backward",
    ]  # fmt: skip


def test_covariates_of_the_start_stay(small):
    start = fit_population(*small, covariates={"cmax": "log(dose)"})
    found = stepwise_covariates(start, ["weight"])
    assert found.covariates == {"cmax": ["log(dose)"]}
    assert found.steps["step"].tolist() == [0, 1]


def test_the_warning_is_part_of_the_result(search):
    assert "too optimistic" in search.warning
    assert "too optimistic" in repr(search)


def test_limits_must_be_above_0(base):
    with pytest.raises(ConfigError, match="forward 0"):
        stepwise_covariates(base, ["weight"], forward=0)
