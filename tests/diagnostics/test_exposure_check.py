"""Exposure of replicates: computed as `nca` computes it, where it should be under the true model, elsewhere under others."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from carkinetics.diagnostics import check_exposure
from carkinetics.diagnostics.exposure_check import VALUES, replicate_metrics
from carkinetics.diagnostics.replicate import ceiling_of, limit_of, replicates
from carkinetics.errors import ConfigError, DataError, FitError
from carkinetics.exposure import nca
from carkinetics.exposure.table import METRICS as ALL_METRICS
from carkinetics.model import load_model, simulate

DESIGN = {"times": (3, 7, 10, 14, 21, 28, 60, 90), "lloq": 300, "lod": 80}


def _as_data(fit, rows, values):
    """A replicate as a laboratory would have reported it."""
    limit, ceiling = limit_of(rows), ceiling_of(rows, fit.data)
    blq, above = values < limit, values > ceiling
    reported = rows.assign(
        value=np.where(blq | above, np.nan, values),
        status=np.select([blq, above], ["below_lloq", "above_uloq"], "quantified"),
        lower=np.where(above, ceiling, 0.0),
        upper=np.where(blq, limit, np.inf),
    )
    return replace(fit.data, observations=reported)


@pytest.mark.parametrize("uloq", [np.inf, 2e4])
@pytest.mark.parametrize("convention", ["zero-before-then-drop", "half-lloq"])
def test_two_roads_to_the_metrics_of_a_replicate(dose_fit, uloq, convention):
    fit = replace(dose_fit, data=replace(dose_fit.data, assays=dose_fit.data.assays.assign(uloq=uloq)))
    made = replicates(fit, n_draws=1, seed=3)
    names = list(ALL_METRICS)
    found = replicate_metrics(made.observations, made.value, fit, names, "linear-up/log-down", convention)
    for values, each in zip(made.value, found, strict=True):
        table = nca(_as_data(fit, made.observations, values), blq=convention, metrics=names).table
        other = table.set_index(["metric", "subject"])["value"]
        for k, name in enumerate(names):
            np.testing.assert_allclose(each[:, k], other[name][fit.data.subject_ids], rtol=1e-12)


def test_observed_values_are_those_of_nca(dose_fit):
    check = check_exposure(dose_fit, n_sim=3)
    table = nca(dose_fit.data, metrics=list(check.units)).table.set_index(["metric", "subject"])
    for kind in ("new", "fitted"):
        rows = check.individual[check.individual["subjects"] == kind].set_index(["metric", "subject"])
        np.testing.assert_array_equal(rows["observed"], table.loc[rows.index, "value"])
    assert check.units["auc_0_28"] == "copies*day/ug"
    cmax = table.loc["cmax", "value"]
    mean = check.population.query("metric == 'cmax' and statistic == 'geometric mean'")["observed"]
    assert mean.to_numpy() == pytest.approx(np.exp(np.log(cmax).mean()))


def test_every_subject_has_its_own_interval_whatever_it_is_called(around):
    """Sorted by name P10 comes before P9, and the intervals of one were shown beside the samples of the other."""
    model = load_model("stein2019")
    data = simulate(model, {"times": (5, 8, 11, 14, 28), "lloq": 1}, 12, 1, omega={"cmax": 2.0}, sigma=0.05)
    names = {old: f"P{i}" for i, old in enumerate(data.subject_ids, 3)}
    tables = {
        name: (one := getattr(data, name)).assign(subject=one["subject"].map(names))
        for name in ("subjects", "observations", "doses")
    }
    check = check_exposure(
        around(model, replace(data, **tables), sigma=0.05), ["cmax"], subjects=["fitted"], n_sim=40
    )
    assert check.individual["subject"].tolist() == [*names.values()]
    ratio = check.individual["observed"] / check.individual["median"]
    np.testing.assert_allclose(ratio, 1, atol=0.25)


def test_fitted_subjects_are_predicted_closer_than_new_ones(dose_fit):
    check = check_exposure(dose_fit, metrics=["cmax"], n_sim=60)
    width = np.log(check.individual["upper"] / check.individual["lower"])
    by_kind = width.groupby(check.individual["subjects"]).median()
    assert by_kind["fitted"] < 0.6 * by_kind["new"]
    assert set(check.population["subjects"]) == {"new", "fitted"}


@pytest.mark.slow
def test_under_the_true_model_small_p_are_rare_and_single_values_covered(around):
    model = load_model("stein2019")
    p, inside = [], []
    for seed in range(6):
        fit = around(model, simulate(model, DESIGN, n=20, seed=seed), noise=0.0)
        check = check_exposure(fit, metrics=["cmax", "tlast"], subjects=["new"], n_sim=60, seed=seed)
        p.append(check.population["p"])
        each = check.individual.query("metric == 'cmax'").dropna(subset="observed")
        inside.append((each["lower"] <= each["observed"]) & (each["observed"] <= each["upper"]))
    assert (pd.concat(p) < 0.05).mean() < 0.2
    # 120 values, interpolated quantiles of 60 replicates: the standard error is 3 %.
    assert pd.concat(inside).mean() == pytest.approx(0.88, abs=0.08)


@pytest.mark.parametrize(
    ("wrong", "metric", "statistic"),
    [
        ({"typical": {"cmax": 80_000.0}}, "cmax", "geometric mean"),
        ({"omega": {"cmax": 2.0}}, "cmax", "geometric CV %"),
        ({"typical": {"alpha": 0.6, "fb": 1e-4}}, "tlast", "median"),
    ],
)
def test_a_wrong_model_is_seen_where_it_is_wrong(around, wrong, metric, statistic):
    model = load_model("stein2019")
    fit = around(model, simulate(model, DESIGN, n=60, seed=2, **wrong), noise=0.0)
    check = check_exposure(fit, metrics=["cmax", "tlast"], subjects=["new"], n_sim=100)
    row = check.population.query("metric == @metric and statistic == @statistic").iloc[0]
    assert row["p"] < 0.02
    assert not row["lower"] <= row["observed"] <= row["upper"]
    assert f"{statistic} of {metric}" in check.statement


def test_values_inside_their_intervals_are_counted(made_fit):
    """One of 348 outside was told as 100 % inside."""
    table = pd.DataFrame(
        {
            "subjects": "fitted", "metric": np.repeat(["cmax", "auc_0_28"], [347, 3]), "observed": 1.0,
            "lower": 0.5, "upper": 2.0,
        }
    )  # fmt: skip
    table.loc[0, "observed"] = 3.0
    table.loc[[1, 348, 349], "observed"] = np.nan  # two of three have no auc_0_28
    table.loc[2, "lower"] = np.nan  # no replicate has a value: neither inside nor outside
    check = check_exposure(made_fit, ["cmax"], n_sim=3)
    row = check.population.iloc[-1:].assign(observed=346.0, lower=347, upper=347, p=0.01, statistic=VALUES)
    both = [
        replace(check, individual=table.assign(subjects=kind), population=row.assign(subjects=kind))
        for kind in ("new", "fitted")
    ]
    said = "346 of 347 subjects with a cmax (predicted 347 to 347, p = 0.01)"
    for kind, more in zip(
        both, ("", "; more are expected, since their own samples made the curves"), strict=True
    ):
        assert said in kind.statement
        assert f" 345 of 346 single values lie in their 90% intervals{more}." in kind.statement
        assert kind.statement.endswith(" auc_0_28 rests on 1 of 3 subjects.")


def test_what_has_no_value_is_counted_with_its_reason(around):
    model = load_model("stein2019")
    fit = around(model, simulate(model, {"times": (7, 14, 28), "lloq": 20_000}, n=12, seed=1))
    check = check_exposure(fit, subjects=["new"], n_sim=40)
    lost = check.individual.query("metric == 'cmax'")["observed"].isna()
    assert lost.any()
    assert (check.individual.loc[check.individual["observed"].isna(), "excluded"] != "").all()
    counted = check.population.query("metric == 'cmax' and statistic == @VALUES").iloc[0]
    assert counted["observed"] == (~lost).sum()
    assert counted["upper"] < 12
    assert check.individual["with_value"].between(0, 1).all()
    assert VALUES in check.population["statistic"].tolist()


def test_all_blq_is_an_answer(around):
    model = load_model("stein2019")
    fit = around(model, simulate(model, {"times": (7, 14), "lloq": 1e12}, n=3, seed=1))
    check = check_exposure(fit, n_sim=5)
    assert check.individual["observed"].isna().all()
    assert "none of" in check.statement


def test_rows_that_no_replicate_can_have_are_counted(made_fit):
    rows = made_fit.data.observations.copy()
    rows.loc[0, ["status", "value", "upper", "lloq"]] = ["below_lloq", np.nan, np.nan, np.nan]
    rows.loc[1, "time"] = -1.0
    check = check_exposure(replace(made_fit, data=replace(made_fit.data, observations=rows)), n_sim=3)
    left_out = check.settings["left_out"]
    assert left_out["BLQ without a known limit"] == 1
    assert left_out["before the infusion, or without a time"] == 1


def test_two_values_on_a_day_are_refused_for_replicates_too(made_fit):
    rows = made_fit.data.observations.copy()
    rows.loc[1, "time"] = rows.loc[0, "time"]
    fit = replace(made_fit, data=replace(made_fit.data, observations=rows))
    first = check_exposure(fit, metrics=["cmax"], n_sim=3).individual.iloc[0]
    assert "more than one value" in first["excluded"]
    assert np.isnan(first["median"])


def test_p_counts_the_observed_study_and_is_never_zero(dose_fit):
    """Twenty replicates cannot say that something happens less than once in twenty-one studies."""
    far = dose_fit.data.observations.assign(
        **{name: lambda t, name=name: t[name] * 1e4 for name in ("value", "lower", "upper")}
    )
    fit = replace(dose_fit, data=replace(dose_fit.data, observations=far))
    found = check_exposure(fit, ["cmax"], n_sim=20).population.set_index(["subjects", "statistic"])["p"]
    assert found["new", "geometric mean"] == found["fitted", "geometric mean"] == pytest.approx(1 / 21)


def test_requests_that_make_no_sense_are_refused(made_fit, alone):
    with pytest.raises(ConfigError, match="did you mean 'cmax'"):
        check_exposure(made_fit, ["cmx"])
    with pytest.raises(ConfigError, match="did you mean 'fitted'"):
        check_exposure(made_fit, subjects=["fited"])
    with pytest.raises(ConfigError, match="at least one metric"):
        check_exposure(made_fit, [])
    with pytest.raises(ConfigError, match="blq is 'zer'"):
        check_exposure(made_fit, blq="zer")
    with pytest.raises(FitError, match="no posterior"):
        check_exposure(alone(made_fit))
    empty = replace(made_fit.data, observations=made_fit.data.observations.iloc[:0])
    with pytest.raises(DataError, match="no sample after the infusion"):
        check_exposure(replace(made_fit, data=empty))
