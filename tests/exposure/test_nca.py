import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis.strategies import floats, integers, lists, permutations, sampled_from

from carkinetics.errors import ConfigError
from carkinetics.exposure import nca
from carkinetics.exposure.blq import BLQ_CONVENTIONS
from carkinetics.exposure.table import METRICS
from carkinetics.units import time_in_days

# Data B of the acceptance numbers: one patient, LLOQ 50, BLQ written as 0.
TIME = [0.0, 1, 3, 7, 10, 14, 21, 30, 60, 90, 180]
LEVEL = [0.0, 120, 850, 9800, 21500, 15200, 5400, 1900, 610, 420, 0]

SHARED = {
    "cmax": 21500, "tmax": 10, "clast": 420, "tlast": 90, "lambda_z": 0.02515591, "lambda_z_r2_adjusted": 0.8430301,
    "half_life": 27.55405, "clast_pred": 369.8498, "lambda_z_n": 3, "lambda_z_start": 30, "lambda_z_end": 90,
    "sampling_end": 180,
}  # fmt: skip
BY_METHOD = {
    "linear": {
        "auc_last": 300730, "aumc_last": 5854530, "auc_inf_obs": 317425.9, "auc_inf_pred": 315432.3,
        "auc_extrapolated_percent": 5.259773, "auc_0_28": 243052.222222,
    },
    "linear-up/log-down": {
        "auc_last": 287732.3, "aumc_last": 5869960, "auc_inf_obs": 304428.2, "auc_inf_pred": 302434.6,
        "auc_extrapolated_percent": 5.484341, "auc_0_28": 234119.526961,
    },
}  # fmt: skip


@pytest.mark.parametrize("predose", [True, False], ids=["predose", "BLQ on day 0"])
@pytest.mark.parametrize("method", BY_METHOD)
def test_the_reference_patient_has_the_expected_metrics(make_data, method, predose):
    # Acceptance B1 to B9 and B11, both rules.
    wide = nca(make_data({"B": (TIME, LEVEL)}, predose=predose), method=method).wide().loc["B"]
    for metric, value in (SHARED | BY_METHOD[method]).items():
        assert wide[metric] == pytest.approx(value, rel=3e-7), metric
    assert wide["sampling_start"] == (1 if predose else 0)


def test_every_metric_has_a_row_with_unit_and_reason(make_data):
    exposure = nca(make_data({"B": (TIME, LEVEL), "none": ([], [])}))
    assert exposure.metrics == list(METRICS)
    assert len(exposure.table) == 2 * len(METRICS)
    assert (exposure.table["value"].isna() == (exposure.table["excluded"] != "")).all()
    assert exposure.unit("auc_0_28") == "copies*day/ug"
    assert exposure.unit("aumc_last") == "copies*day^2/ug"
    assert set(exposure.table.loc[exposure.table["subject"] == "none", "excluded"]) == {
        "no sample after the infusion"
    }


def test_a_window_of_any_length_can_be_asked_for(make_data):
    exposure = nca(make_data({"B": (TIME, LEVEL)}), metrics=["auc_0_10.5", "auc_0_10", "auc_0_1"])
    assert exposure.metrics == ["auc_0_10.5", "auc_0_10", "auc_0_1"]
    assert exposure.metric("auc_0_1")["B"] == pytest.approx(60)
    assert 21000 / 2 < exposure.metric("auc_0_10.5")["B"] - exposure.metric("auc_0_10")["B"] < 21500 / 2


def test_a_window_beyond_the_last_sample_has_no_value(make_data):
    wide = nca(make_data({"s": (TIME[:8], [*LEVEL[:7], 1900])}), metrics=["auc_0_28", "auc_0_84"])
    assert wide.metric("auc_0_28").notna().all()
    assert (
        wide.rows("auc_0_84").loc["s", "excluded"]
        == "last sample on day 30, before the window ends on day 84"
    )


def test_a_window_that_ends_among_blq_values_falls_by_lambda_z(make_data):
    exposure = nca(make_data({"B": (TIME, LEVEL)}), metrics=["auc_0_180", "auc_last", "lambda_z"])
    wide, row = exposure.wide().loc["B"], exposure.rows("auc_0_180").loc["B"]
    tail = 420 * (1 - math.exp(-90 * wide["lambda_z"])) / wide["lambda_z"]
    assert row["value"] == pytest.approx(wide["auc_last"] + tail)
    assert row["method"].endswith("BLQ after day 90, falls by lambda_z")


def test_without_lambda_z_such_a_window_stops_at_tlast_and_says_so(make_data):
    data = make_data({"s": ([0.0, 7, 14, 21, 30], [0.0, 500, 200, 0, 0])})
    exposure = nca(data, metrics=["auc_0_28", "auc_last"])
    row = exposure.rows("auc_0_28").loc["s"]
    assert row["value"] == exposure.metric("auc_last")["s"]
    assert row["method"].endswith("BLQ after day 14, stops there")


# One BLQ value in each place: day 3 (before), 14 (between), 28 (after). LLOQ 50, linear rule.
# Curve without them: 0 on day 0, 100 on day 7, 200 on day 21; area to Tlast 350 + 2100.
PLACES = ([0.0, 3, 7, 14, 21, 28], [0.0, 0, 100, 0, 200, 0])
BY_CONVENTION = {
    "zero-before-then-drop": (200 + 2100, math.nan),
    "zero": (200 + 350 + 700, 700),
    "half-lloq": (1.5 * 25 + 4 * 62.5 + 7 * 62.5 + 7 * 112.5, 7 * 112.5),
    "lloq": (1.5 * 50 + 4 * 75 + 7 * 75 + 7 * 125, 7 * 125),
    "drop": (350 + 2100, math.nan),
}


@pytest.mark.parametrize("convention", BLQ_CONVENTIONS)
def test_each_blq_convention_counts_by_place(make_data, convention):
    exposure = nca(
        make_data({"s": PLACES}), method="linear", blq=convention, metrics=["auc_last", "auc_0_28", "cmax"]
    )
    last, tail = BY_CONVENTION[convention]
    wide = exposure.wide().loc["s"]
    assert wide["auc_last"] == pytest.approx(last)
    # Without a lambda_z, and with the last BLQ value left out, the window stops at Tlast.
    assert wide["auc_0_28"] == pytest.approx(last + (0 if math.isnan(tail) else tail))
    assert wide["cmax"] == 200
    assert exposure.settings["blq"] == convention


def test_rows_left_out_are_counted_by_reason(make_data):
    exposure = nca(make_data({"s": PLACES, "t": ([-3.0, 7, 14], [60.0, 100, 80])}))
    assert exposure.settings["rows_left_out"] == {
        "BLQ between quantifiable values": 1,
        "BLQ after the last quantifiable value": 1,
        "taken before the infusion": 1,
    }


def test_persistence_is_an_interval(make_data):
    data = make_data({"lost": (TIME, LEVEL), "still": (TIME[:10], LEVEL[:10])})
    rows = nca(data).rows("persistence")
    assert rows.loc["lost", ["value", "lower", "upper"]].tolist() == [90, 90, 180]
    assert rows.loc["still", ["value", "lower", "upper"]].tolist() == [90, 90, math.inf]
    assert (rows["excluded"] == "").all()


def test_a_subject_with_only_blq_values_has_a_cmax_below_the_lloq(make_data):
    exposure = nca(make_data({"s": ([0.0, 7, 14], [0.0, 0, 0])}))
    cmax = exposure.rows("cmax").loc["s"]
    assert math.isnan(cmax["value"])
    assert (cmax["lower"], cmax["upper"], cmax["excluded"]) == (0, 50, "all values below the LLOQ")
    assert exposure.metric("sampling_end")["s"] == 14


def test_one_sample_gives_a_peak_and_reasons(make_data):
    exposure = nca(make_data({"s": ([0.0, 7], [0.0, 500])}))
    wide, why = exposure.wide().loc["s"], exposure.table.set_index("metric")["excluded"]
    assert (wide["cmax"], wide["tmax"], wide["tlast"]) == (500, 7, 7)
    assert why["auc_last"] == why["auc_0_28"] == "an area needs 2 samples after the infusion; has 1"
    assert why["half_life"] == "needs 3 quantified values after Cmax; has 0"


def test_without_lambda_z_the_area_to_infinity_says_why(make_data):
    exposure = nca(make_data({"s": ([0.0, 7, 14, 21], [0.0, 500, 400, 300])}))
    reason = "no lambda_z: needs 3 quantified values after Cmax; has 2"
    assert exposure.rows("auc_inf_obs").loc["s", "excluded"] == reason
    assert exposure.rows("auc_extrapolated_percent").loc["s", "excluded"] == reason


def test_two_values_on_one_day_are_named_and_harm_nobody_else(make_data):
    exposure = nca(make_data({"twice": ([0.0, 7, 7], [0.0, 500, 400]), "B": (TIME, LEVEL)}), metrics=["cmax"])
    assert (
        exposure.rows("cmax").loc["twice", "excluded"]
        == "more than one value on day 7 (rows 3, 4); expected one"
    )
    assert exposure.metric("cmax")["B"] == 21500


def test_a_sample_on_day_0_replaces_the_zero(make_data):
    data = make_data({"s": ([0.0, 2, 4], [100.0, 100, 100])})
    assert nca(data, metrics=["auc_last"]).metric("auc_last")["s"] == pytest.approx(400)


def test_a_blq_value_without_any_limit_is_named_when_the_convention_needs_one(make_data):
    data = make_data({"s": PLACES})
    data.observations.loc[data.observations["status"] == "below_lloq", ["lloq", "upper"]] = np.nan
    assert nca(data, blq="zero").metric("auc_last").notna().all()
    reason = nca(data, blq="half-lloq").rows("auc_last").loc["s", "excluded"]
    assert reason == "row 3 is BLQ without an LLOQ, which the convention 'half-lloq' needs"


@pytest.mark.parametrize(
    ("wrong", "part"),
    [
        ({"method": "log"}, "method is 'log'"),
        ({"blq": "zeros"}, "did you mean 'zero'"),
        ({"metrics": ["cmx"]}, "did you mean 'cmax'"),
        ({"metrics": ["auc_0_0"]}, "metric is 'auc_0_0'"),
        ({"assay": "flow"}, "assay is 'flow'; known are qpcr"),
    ],
)
def test_a_choice_that_does_not_exist_is_refused(make_data, wrong, part):
    with pytest.raises(ConfigError, match=part):
        nca(make_data({"B": (TIME, LEVEL)}), **wrong)


def test_with_two_assays_one_has_to_be_named(make_data):
    data = make_data({"B": (TIME, LEVEL)})
    flow = pd.DataFrame([("flow", "cells/uL", 0.1, np.nan)], columns=["assay", "unit", "lloq", "lod"])
    object.__setattr__(data, "assays", pd.concat([data.assays, flow], ignore_index=True))
    with pytest.raises(ConfigError, match=r"2 assays \(qpcr, flow\); name one"):
        nca(data)
    assert nca(data, assay="qpcr").metric("cmax")["B"] == 21500


def test_repeated_infusions_are_recorded(make_data):
    doses = {"B": [(0.0, 1e6), (60.0, 2e6)]}
    exposure = nca(make_data({"B": (TIME, LEVEL)}, doses=doses), metrics=["cmax"])
    assert exposure.settings["repeat_infusions"] == {"B": [60.0]}


def test_hours_converted_to_days_give_the_same_metrics(make_data):
    # Acceptance H5: the area over hours is 24 times that over days, and conversion takes it back.
    hours = np.array(TIME) * 24
    by_day = nca(make_data({"B": (TIME, LEVEL)})).wide()
    converted = nca(make_data({"B": (list(time_in_days(hours, "hours")), LEVEL)})).wide()
    pd.testing.assert_frame_equal(converted, by_day)
    over_hours = nca(make_data({"B": (list(hours), LEVEL)}), metrics=["auc_last"]).metric("auc_last")
    assert over_hours["B"] == pytest.approx(24 * by_day.loc["B", "auc_last"])


@settings(max_examples=6, deadline=None)
@given(order=permutations(["a", "b", "c", "d"]), seed=integers(0, 1000))
def test_the_order_of_subjects_and_rows_does_not_matter(make_data, order, seed):
    series = {
        "a": (TIME, LEVEL), "b": PLACES, "c": ([0.0, 7], [0.0, 90]), "d": (TIME, [2 * c for c in LEVEL]),
    }  # fmt: skip
    first = make_data(series)
    second = make_data({name: series[name] for name in order})
    shuffled = second.observations.sample(frac=1, random_state=seed)
    object.__setattr__(second, "observations", shuffled)
    pd.testing.assert_frame_equal(nca(second).wide().loc[list(series)], nca(first).wide())


@settings(max_examples=15, deadline=None)
@given(
    levels=lists(sampled_from([0.0]) | floats(60, 1e6), min_size=3, max_size=9),
    factor=floats(1, 1e3),
    convention=sampled_from(sorted(BLQ_CONVENTIONS)),
)
def test_scaling_levels_and_lloq_scales_levels_and_areas_and_nothing_else(
    make_data, levels, factor, convention
):
    days = [0.0, *range(5, 5 * len(levels) + 1, 5)]
    one = nca(make_data({"s": (days, [0.0, *levels])}), blq=convention).wide().loc["s"]
    scaled = [0.0, *(factor * c for c in levels)]
    more = nca(make_data({"s": (days, scaled)}, lloq=50 * factor), blq=convention).wide().loc["s"]
    grows = [m for m in one.index if m.startswith(("cmax", "clast", "au")) and "percent" not in m]
    np.testing.assert_allclose(more[grows], factor * one[grows], rtol=1e-6)
    same = ["tmax", "tlast", "persistence", "sampling_start", "sampling_end"]
    np.testing.assert_allclose(more[same], one[same])
