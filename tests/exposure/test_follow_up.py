"""What lies beyond the last sample: said of samples, of curves, and of the groups that are made of them."""

from dataclasses import replace

import numpy as np
import pytest

from carkinetics.exposure import exposure_from, nca, typical_exposure
from carkinetics.exposure.follow_up import beyond, median_time, times_until_lost
from carkinetics.response import kaplan_meier

TIME = [7.0, 14, 28, 60, 90, 180]


def cut(fit, day):
    rows = fit.data.observations
    return replace(fit, data=replace(fit.data, observations=rows[rows["time"] <= day]))


@pytest.mark.parametrize("seed", range(20))
def test_the_median_is_that_of_kaplan_meier(seed):
    rng = np.random.default_rng(seed)
    time, event = rng.integers(1, 9, 12), rng.random(12) < 0.6
    assert median_time(time, event) == kaplan_meier(time, event.astype(int)).attrs["median"]


def test_a_median_is_in_the_middle_of_its_step_not_reached_or_of_nobody():
    assert median_time([1, 2, 3, 4], [1, 1, 1, 1]) == 2.5
    assert median_time([1, 2, 3], [0, 0, 1]) == 3
    assert median_time([1, 2, 3], [1, 0, 0]) == np.inf
    assert np.isnan(median_time([], []))


def test_samples_lose_a_subject_at_the_first_blq_or_at_no_day(make_data):
    series = {"lost": (TIME, [900.0, 400, 200, 100, 0, 0]), "still": (TIME[:4], [900.0, 400, 200, 100])}
    exposure = nca(make_data(series | {"never": ([7.0, 14], [0.0, 0])}))
    found = times_until_lost(exposure)
    assert found["time"].to_dict() == {"lost": 90, "still": 60}
    assert found["event"].to_dict() == {"lost": True, "still": False}
    assert beyond(exposure, "persistence").to_dict() == {"lost": False, "still": True, "never": False}
    assert not beyond(exposure, "auc_0_28").any()


def test_a_curve_is_extrapolated_after_the_subjects_own_last_sample(made_fit):
    rows, first = made_fit.data.observations, made_fit.data.subject_ids[0]
    kept = rows[(rows["time"] <= 28) | ((rows["subject"] == first) & (rows["time"] <= 90))]
    fit = replace(made_fit, data=replace(made_fit.data, observations=kept))
    exposure = exposure_from(fit, ["cmax", "auc_0_28", "auc_0_84", "persistence"])
    assert exposure.settings["last_sample"] == kept.groupby("subject")["time"].max().to_dict()
    others = made_fit.data.subject_ids[1:]
    assert beyond(exposure, "auc_0_84").to_dict() == {first: False} | dict.fromkeys(others, True)
    assert not beyond(exposure, "auc_0_28").any()
    assert not beyond(exposure, "cmax").any()
    marked = exposure.table["method"].str.endswith("; extrapolated beyond the last sample")
    late = {m: beyond(exposure, m) for m in exposure.metrics}
    assert marked.tolist() == [late[row.metric][row.subject] for row in exposure.table.itertuples()]


def test_persistence_of_a_curve_is_censored_at_the_last_sample(made_fit):
    exposure = exposure_from(made_fit, ["persistence"])
    day = exposure.metric("persistence")
    last = float(np.sort(day)[3])  # four subjects lose it by then, the other four later
    given = exposure.settings | {"last_sample": dict.fromkeys(made_fit.data.subject_ids, last)}
    found = times_until_lost(replace(exposure, settings=given))
    assert found["event"].to_dict() == (day <= last).to_dict()
    assert found["event"].sum() == 4
    assert found["time"].to_dict() == day.clip(upper=last).to_dict()


def test_the_typical_subject_is_not_told_beyond_the_last_sample(made_fit):
    short = cut(made_fit, 28)
    assert typical_exposure(short, 6)["metric"].tolist() == [
        "cmax", "tmax", "auc_0_28", "doubling_time", "half_life"
    ]  # fmt: skip
    assert "auc_0_28" not in typical_exposure(cut(made_fit, 14), 6)["metric"].tolist()
    told = typical_exposure(short, 6, extrapolate=True).set_index("metric")["value"]
    assert told["persistence"] > 28


def test_a_fixed_half_life_makes_room_for_the_estimated_one(made_fit):
    tree = made_fit.tree.copy()
    posterior = tree["posterior"].to_dataset()
    fixed = posterior["beta_typical"] * 0 + 0.0032
    tree["posterior"] = posterior.assign(beta_typical=fixed)
    row = typical_exposure(replace(made_fit, tree=tree)).iloc[4]
    alpha = posterior["alpha_typical"].to_numpy().ravel()
    assert (row["metric"], row["unit"]) == ("half_life_fast", "day")
    assert row[["value", "lower", "upper"]].to_numpy(float) == pytest.approx(
        np.quantile(np.log(2) / alpha, [0.5, 0.05, 0.95]), rel=1e-9
    )
    tree["posterior"] = posterior.assign(beta_typical=fixed, alpha_typical=fixed * 60)
    both = typical_exposure(replace(made_fit, tree=tree)).iloc[4]
    assert (both["metric"], both["value"]) == ("half_life", pytest.approx(np.log(2) / 0.0032))
