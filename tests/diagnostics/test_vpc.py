import re
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis.strategies import floats

from carkinetics.diagnostics.binning import ranked_quantile
from carkinetics.diagnostics.vpc import prediction_correct, vpc
from carkinetics.errors import ConfigError, DataError, FitError
from carkinetics.model import load_model, simulate

module = sys.modules["carkinetics.diagnostics.vpc"]
VISITS = np.array([1, 3, 7, 10, 14, 21, 28, 60, 90, 180, 365.0])


def test_prediction_correction():
    # Acceptance case G9: y 12, PRED 8, median of the bin 10.
    assert prediction_correct(12, 8, 10) == 15
    assert prediction_correct(12, 8, 10, log=True) == 14


@given(value=floats(0.1, 1e6), pred=floats(0.1, 1e6), median=floats(0.1, 1e6))
def test_both_scales_of_prediction_correction_agree(value, pred, median):
    natural = prediction_correct(value, pred, median)
    logs = prediction_correct(np.log(value), np.log(pred), np.log(median), log=True)
    assert np.log(natural) == pytest.approx(float(logs), abs=1e-9)


def _shares(check) -> tuple[float, float]:
    """Shares of observed percentiles and of observed BLQ fractions inside their intervals."""
    p, b = check.percentiles, check.blq
    # A percentile below the LLOQ is inside where the interval reaches below the LLOQ.
    low, seen, high = (p[c].fillna(0.0) for c in ("lower", "observed", "upper"))
    return float(((low <= seen) & (seen <= high)).mean()), float(
        ((b["lower"] <= b["observed"]) & (b["observed"] <= b["upper"])).mean()
    )


@pytest.mark.parametrize("by", [None, "dose"])
def test_data_from_the_very_model_lie_inside_most_of_the_time(around, by):
    model, slope = load_model("stein2019"), {"cmax": 0.8}
    design = {"times": tuple(VISITS[:-1]), "lloq": 300, "lod": 80, "doses": (1e5, 1e6)}
    shares = []
    for seed in range(6):
        data = simulate(model, design, n=60, seed=seed, on_log_dose=slope)
        fit = around(model, data, on_log_dose=slope, noise=0.0)
        shares.append(_shares(vpc(fit, by=by, n_sim=200)))
    percentiles, blq = np.mean(shares, axis=0)
    assert percentiles > 0.85
    assert blq > 0.85


def test_data_from_another_model_lie_outside(dose_fit):
    model = dose_fit.model
    wrong = {name: (0.02 if name == "alpha" else p.typical) for name, p in model.parameters.items()}
    data = simulate(model, {"times": tuple(VISITS), "lloq": 50}, n=60, seed=1, typical=wrong)
    posterior = dose_fit.tree.copy()
    fit = replace(dose_fit, data=data, tree=posterior, settings={**dose_fit.settings, "covariates": []})
    inside, blq = _shares(vpc(fit, n_sim=200))
    assert inside < 0.7
    assert blq < 0.7


def test_tables_are_complete_and_ordered(dose_fit):
    check = vpc(dose_fit, n_sim=50, by="dose")
    assert check.strata == ["100000", "500000", "2e+06"]
    p, b = check.percentiles, check.blq
    assert p.groupby(["stratum", "bin"]).size().eq(3).all()
    assert b[["observed", "lower", "median", "upper"]].to_numpy().min() >= 0
    assert b[["observed", "lower", "median", "upper"]].to_numpy().max() <= 1
    assert (b["lower"] <= b["median"]).all()
    assert (b["median"] <= b["upper"]).all()
    known = p.dropna(subset=["lower", "upper"])
    assert (known["lower"] <= known["upper"]).all()
    # No percentile is below the LLOQ: it would have to be read from values that nobody could report.
    assert (p[["observed", "lower", "median", "upper"]].min() >= 200).all()
    assert len(check.points) == (dose_fit.data.observations["status"] != "predose").sum()
    assert check.settings["by_unit"] == "cells/kg"
    assert b.groupby("stratum")["n"].sum().sum() == len(check.points)


def test_observed_percentile_is_the_quantile_of_the_bin(made_fit):
    check = vpc(made_fit, n_sim=5)
    at_peak = made_fit.data.observations.query("time == 10")["value"]
    row = check.percentiles.query("time == 10 and percentile == 50").iloc[0]
    assert at_peak.notna().all()
    assert row["observed"] == pytest.approx(at_peak.median())


def test_correction_changes_nothing_where_all_have_the_same_prediction(made_fit):
    plain, corrected = vpc(made_fit, n_sim=40), vpc(made_fit, n_sim=40, corrected=True)
    columns = ["observed", "lower", "median", "upper"]
    np.testing.assert_allclose(plain.percentiles[columns], corrected.percentiles[columns], rtol=1e-9)
    pd.testing.assert_frame_equal(plain.blq, corrected.blq)


def test_correction_divides_by_what_the_dose_explains(around):
    model, slope = load_model("stein2019"), {"cmax": 0.8}
    data = simulate(
        model, {"times": (7, 14, 28), "lloq": 50, "doses": (1e5, 5e5, 2e6)}, n=30, seed=2, on_log_dose=slope
    )  # fmt: skip
    fit = around(model, data, on_log_dose=slope, noise=0.0)
    plain, corrected = vpc(fit, n_sim=10), vpc(fit, n_sim=10, corrected=True)
    factor = corrected.points["level"] / plain.points["level"]
    dose = plain.points["subject"].map(data.first_dose())
    # Each bin holds the three doses equally often, and cmax scales the whole curve of this model.
    known = factor.notna()
    np.testing.assert_allclose(factor[known], (5e5 / dose[known]) ** 0.8, rtol=1e-9)
    assert corrected.percentiles["lloq"].isna().all()
    np.testing.assert_allclose(corrected.points["lloq"], 50 * (5e5 / dose) ** 0.8, rtol=1e-9)
    pd.testing.assert_frame_equal(plain.blq, corrected.blq)


DOSES, SLOPE = (1e5, 1e6, 1e7), {"cmax": 1.0}
WIDE = {"times": (3, 7, 10, 14, 21, 28, 60, 90), "lloq": 600, "doses": DOSES}


def _ranked(values, limits, p):
    """BLQ below everything, whatever its limit: what a check does that decides on BLQ before it corrects."""
    return ranked_quantile(values, p)


def test_correction_of_blq_by_a_hundredfold_dose_says_more_than_ranking(around, monkeypatch):
    model = load_model("stein2019")
    data = simulate(model, WIDE, n=60, seed=0, on_log_dose=SLOPE)
    assert (data.observations["status"] != "quantified").mean() == pytest.approx(0.4, abs=0.05)
    fit = around(model, data, on_log_dose=SLOPE, noise=0.0)
    found = vpc(fit, n_sim=100, corrected=True)
    monkeypatch.setattr(module, "censored_quantile", _ranked)
    ranked = vpc(fit, n_sim=100, corrected=True)
    known, before = (check.percentiles["observed"].notna() for check in (found, ranked))
    assert known.sum() >= before.sum() + 4
    assert (known | ~before).all()
    pd.testing.assert_frame_equal(found.blq, ranked.blq)
    # What was ranked is too low or unknown: all that is BLQ at the lowest dose counts as lower than at the highest.
    both = known & before
    assert (found.percentiles["observed"] >= ranked.percentiles["observed"] * (1 - 1e-9))[both].all()


def test_corrected_percentiles_are_those_without_a_limit(around):
    model = load_model("stein2019")
    seen = []
    for lloq in (600, 1e-6):
        data = simulate(model, WIDE | {"lloq": lloq}, n=300, seed=3, on_log_dose=SLOPE)
        fit = around(model, data, on_log_dose=SLOPE, noise=0.0)
        seen.append(vpc(fit, n_sim=2, corrected=True).percentiles)
    middle = [table[table["percentile"] >= 50].set_index(["bin", "percentile"])["observed"] for table in seen]
    np.testing.assert_allclose(np.log(middle[0]), np.log(middle[1]), atol=0.35)


@pytest.mark.slow
def test_corrected_percentiles_lie_inside_as_often_as_they_say_and_outside_where_the_model_is_wrong(
    around, monkeypatch
):
    model = load_model("stein2019")
    narrow = {"cmax": 0.3, "alpha": 0.3, "fb": 0.2, "beta": 0.2}

    def shares(omega):
        checks = []
        for seed in range(16):
            data = simulate(model, WIDE, n=60, seed=seed, on_log_dose=SLOPE, omega=omega)
            fit = around(model, data, on_log_dose=SLOPE, noise=0.0)
            checks.append(_shares(vpc(fit, n_sim=200, corrected=True))[0])
        return np.mean(checks)

    # 16 × 24 percentiles, correlated within a study: the standard error of a share is about 2 %.
    assert shares({}) == pytest.approx(0.9, abs=0.06)
    wrong = shares(narrow)
    assert wrong < 0.75
    monkeypatch.setattr(module, "censored_quantile", _ranked)
    assert shares({}) > 0.9  # "below" is inside "below": it cannot be otherwise
    assert shares(narrow) > wrong + 0.05


def test_the_statement_counts(made_fit):
    check = vpc(made_fit, n_sim=20)
    inside, of = re.findall(r"(\d+) of (\d+) times", check.statement)[0]
    assert int(of) == len(check.percentiles)
    assert int(inside) == round(_shares(check)[0] * len(check.percentiles))


def test_every_row_is_censored_at_its_own_lloq(dose_fit):
    rows = dose_fit.data.observations
    strict = rows["lloq"].where(rows["subject"] > "S030", 1e9)
    upper = rows["upper"].where(rows["subject"] > "S030", 1e9)
    changed = rows.assign(lloq=strict, upper=upper)
    changed.loc[rows["subject"] <= "S030", ["status", "value"]] = ["below_lloq", np.nan]
    check = vpc(replace(dose_fit, data=replace(dose_fit.data, observations=changed)), n_sim=40)
    # Half of the subjects have a limit that nobody reaches, in the data and in every replicate.
    assert (check.blq["lower"] >= 0.5).all()


def test_rows_that_cannot_be_compared_are_counted(made_fit):
    rows = made_fit.data.observations.copy()
    rows.loc[0, ["status", "value", "upper", "lloq"]] = ["below_lloq", np.nan, np.nan, np.nan]
    rows.loc[1, "time"] = 0.0
    rows.loc[1, ["status", "value"]] = ["quantified", 500.0]
    check = vpc(replace(made_fit, data=replace(made_fit.data, observations=rows)), n_sim=10)
    assert check.settings["left_out"] == {"BLQ without a known limit": 1, "day 0 or before": 1}
    assert len(check.points) == len(rows) - 2


def test_all_blq_and_a_single_sample_are_no_problem(around):
    model = load_model("stein2019")
    nothing = around(model, simulate(model, {"times": (7, 14, 28), "lloq": 1e9}, n=4, seed=1))
    check = vpc(nothing, n_sim=20)
    assert (check.blq["observed"] == 1).all()
    assert check.percentiles["observed"].isna().all()
    one = around(model, simulate(model, {"times": (7,), "lloq": 50}, n=1, seed=1))
    assert len(vpc(one, n_sim=20).blq) == 1


def test_missing_stratum_is_a_stratum(made_fit):
    subjects = made_fit.data.subjects.assign(sex=["F", "M", None, "F", "M", "F", "M", "F"])
    check = vpc(replace(made_fit, data=replace(made_fit.data, subjects=subjects)), by="sex", n_sim=5)
    assert check.strata == ["F", "M", "missing"]


def test_requests_that_make_no_sense_are_refused(made_fit, alone):
    with pytest.raises(ConfigError, match="did you mean 'dose_level'"):
        vpc(made_fit, by="dose_levl")
    subjects = made_fit.data.subjects.assign(age=np.linspace(30, 70, 8) + 0.5, site=list("abcdefgh"))
    many = replace(made_fit, data=replace(made_fit.data, subjects=pd.concat([subjects] * 1)))
    assert len(vpc(many, by="site", n_sim=5).strata) == 8
    more = simulate(made_fit.model, {"times": (7, 14), "lloq": 50}, n=9, seed=1)
    with pytest.raises(ConfigError, match="9 values; expected at most 8 strata"):
        vpc(replace(made_fit, data=more), by="true_cmax")
    with pytest.raises(FitError, match="an individual fit has no posterior"):
        vpc(alone(made_fit))
    empty = replace(made_fit.data, observations=made_fit.data.observations.iloc[:0])
    with pytest.raises(DataError, match="no observation after the infusion"):
        vpc(replace(made_fit, data=empty))
