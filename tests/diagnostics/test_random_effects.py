"""What is left in the random effects is found, and what is not there is not."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from carkinetics.diagnostics import diagnose, effect_correlations, effect_trends
from carkinetics.diagnostics.random_effects import (
    _correlation_ratio,
    _no_relation,
    correlation,
    shrinkage_findings,
    subject_covariates,
)
from carkinetics.errors import ConfigError, FitError
from carkinetics.model import load_model, simulate


@pytest.fixture(scope="module")
def with_columns(dose_fit):
    """A fit whose subjects have an age that goes with tmax, a sex that does not, and an identifier."""
    data, rng = dose_fit.data, np.random.default_rng(4)
    n = len(data.subjects)
    age = 60 + 20 * np.log(data.subjects["true_tmax"] / 9.3) + rng.normal(0, 3, n)
    age[3] = np.nan
    columns = {"age": age, "sex": rng.choice(["F", "M"], n), "site_id": [f"P{i}" for i in range(n)]}
    return replace(dose_fit, data=replace(data, subjects=data.subjects.assign(**columns)))


def test_a_covariate_that_moves_a_parameter_is_seen_and_another_is_not(with_columns):
    table = effect_trends(with_columns).set_index(["parameter", "covariate"])
    tmax = table.loc[("tmax", "age")]
    assert tmax["n"] == 59, "one subject has no age"
    truth = with_columns.data.subjects
    known = truth["age"].notna()
    expected = np.corrcoef(truth["age"][known], np.log(truth["true_tmax"][known]))[0, 1]
    assert tmax["strength"] == pytest.approx(expected, abs=0.02)
    assert tmax["p"] < 1e-6
    assert table.loc[("cmax", "sex"), "kind"] == "groups"
    assert table.loc[("cmax", "sex"), "p"] > 0.01


def test_a_covariate_in_the_model_leaves_no_trend(with_columns):
    # cmax was simulated and fitted with a slope on log dose.
    assert effect_trends(with_columns, ["log10(dose)"]).set_index("parameter").loc["cmax", "p"] > 0.01


def test_the_columns_are_those_of_a_patient(with_columns):
    assert subject_covariates(with_columns).columns.tolist() == ["age", "sex", "log10(dose)"]
    with pytest.raises(ConfigError, match="no column 'agee' among the subjects; did you mean 'age'"):
        effect_trends(with_columns, ["agee"])


def test_p_values_are_those_of_the_usual_tests(rng):
    x, y = rng.normal(size=20), rng.normal(size=20)
    found = _no_relation(correlation(y[None], x), 2, 20)
    assert found == pytest.approx(stats.pearsonr(x, y).pvalue, rel=1e-9)
    group = np.arange(20) % 3
    ratio = _correlation_ratio(y[None], group)
    expected = stats.f_oneway(*(y[group == g] for g in range(3))).pvalue
    assert _no_relation(ratio, 3, 20) == pytest.approx(expected, rel=1e-9)


def test_correlation_of_effects_is_that_of_the_subjects(around):
    model = load_model("stein2019")
    fit = around(model, simulate(model, {"times": (7, 14), "lloq": 50}, n=30, seed=2), noise=0.0)
    table = effect_correlations(fit).set_index(["first", "second"])
    assert len(table) == 15
    truth = fit.data.subjects
    expected = np.corrcoef(np.log(truth["true_cmax"]), np.log(truth["true_tmax"]))[0, 1]
    row = table.loc[("tmax", "cmax")]
    assert row["correlation"] == pytest.approx(expected, abs=1e-9)
    assert row["of_means"] == pytest.approx(expected, abs=1e-9)


def test_shrinkage_over_30_percent_is_one_warning_that_says_what_not_to_do(around):
    model = load_model("stein2019")
    data = simulate(model, {"times": (7, 14), "lloq": 50}, n=30, seed=2, omega={"beta": 0.1})
    fit = around(model, data, noise=0.0)
    (finding,) = shrinkage_findings(fit)
    assert (finding.severity, finding.rule, finding.where) == ("warning", "shrinkage", "beta")
    assert "Do not read" in finding.message
    # By hand: the effects were simulated with an omega of 0.1 where the fit says 0.86.
    spread = np.log(data.subjects["true_beta"]).std(ddof=1)
    assert f"beta {100 * (1 - spread / 0.86):.0f} %" in finding.message
    assert f"variance type {100 * (1 - (spread / 0.86) ** 2):.0f} %" in finding.message
    full = replace(
        fit, parameters=fit.parameters.assign(rhat=1.0, ess_bulk=900.0, ess_tail=900.0, sd=1.0),
        settings={**fit.settings, "chains": 2, "draws": 50},
    )  # fmt: skip
    full.tree["sample_stats"] = full.tree["posterior"].copy().to_dataset()[["sigma"]]
    assert "shrinkage" in diagnose(full)["rule"].tolist()


def test_no_random_effects_are_said(dose_fit):
    fit = replace(dose_fit, settings={**dose_fit.settings, "random": []})
    with pytest.raises(FitError, match="has no random effects"):
        effect_trends(fit)
    assert list(shrinkage_findings(fit)) == []
