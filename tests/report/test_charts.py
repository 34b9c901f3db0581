"""What the charts draw: the samples and curves of the fit, each with the words beside the pointer."""

from dataclasses import replace

import numpy as np
import pytest

from carkinetics.diagnostics.residuals import misfit
from carkinetics.exposure.by_dose import dose_groups
from carkinetics.fit import fit_individuals
from carkinetics.fit.predictive import individual_curves
from carkinetics.report.charts import DIGITS, fit_chart, profile_chart
from carkinetics.report.figures import individual_fits
from carkinetics.report.html import json_data


@pytest.fixture(scope="module")
def chart(good_fit):
    return fit_chart(good_fit)


def test_every_sample_after_the_infusion_is_there(chart, good_fit):
    rows = good_fit.data.observations
    for one in chart["subjects"]:
        own = rows[(rows["subject"] == one["id"]) & (rows["status"] != "predose")]
        assert one["day"] == own["time"].tolist()
        assert one["state"].count("below") == own["status"].isin(["blq", "below_lod", "below_lloq"]).sum()
    assert sorted(one["id"] for one in chart["subjects"]) == sorted(good_fit.data.subject_ids)


def test_the_subject_that_is_fitted_worst_comes_first(chart, good_fit):
    far = misfit(good_fit)
    assert far.index.tolist() != good_fit.data.subject_ids
    assert [(one["id"], one["misfit"]) for one in chart["subjects"]] == [
        (s, f"{x:.1f}") for s, x in far.items()
    ]
    (block,) = individual_fits(good_fit, "")
    titles = [ax.get_title() for ax in block.pictures[0].figure.axes if ax.get_title()]
    assert titles == [f"{s} ({x:.1f})" for s, x in far.items()]
    assert f"(mean squared IWRES {far.iloc[0]:.1f} to {far.iloc[-1]:.1f})" in block.pictures[0].caption


def test_a_blq_sample_says_so_and_stands_at_the_lloq(chart):
    below = [
        (level, said)
        for one in chart["subjects"]
        for level, state, said in zip(one["level"], one["state"], one["said"], strict=True)
        if state == "below"
    ]
    assert below
    assert set(below) == {(50.0, "< LLOQ (50.0)")}


def test_the_curve_is_the_median_of_the_draws_and_the_band_lies_around_it(chart, good_fit):
    draws = individual_curves(good_fit, chart["times"])
    for one in chart["subjects"]:
        exact = np.quantile(draws.sel(subject=one["id"]).to_numpy(), [0.05, 0.5, 0.95], axis=0)
        # Times of the chart are rounded too: where the curve rises hundredfold in a week, that moves it a little.
        np.testing.assert_allclose([one["low"], one["curve"], one["high"]], exact, rtol=0.01)
        assert all(len(f"{x:.12g}".replace(".", "").strip("0")) <= DIGITS for x in one["curve"])


def test_above_the_upper_limit_is_told_and_drawn_at_the_limit(good_fit):
    rows = good_fit.data.observations.copy()
    at = rows.index[rows["status"] == "quantified"][0]
    rows.loc[at, ["status", "value", "lower", "upper"]] = ["above_uloq", np.nan, 1234.0, np.inf]
    one = next(
        one
        for one in profile_chart(replace(good_fit.data, observations=rows), "qpcr", None)["subjects"]
        if "above" in one["state"]
    )
    i = one["state"].index("above")
    assert (one["level"][i], one["said"][i]) == (1234.0, "> ULOQ (1230)")


def test_groups_are_doses_in_order(good_fit):
    found = profile_chart(good_fit.data, "qpcr", dose_groups(good_fit.data))
    assert found["groups"] == ["3 × 10⁵", "1 × 10⁶", "no dose"]
    assert {one["group"] for one in found["subjects"]} == {"3 × 10⁵", "1 × 10⁶"}
    coded = replace(good_fit.data, subjects=good_fit.data.subjects.assign(dose_level=[1, 2] * 4))
    assert profile_chart(coded, "qpcr", dose_groups(coded)) == found


def test_a_subject_without_an_estimate_has_no_curve(good_fit):
    data = good_fit.data.select(subjects=good_fit.data.subject_ids[:2])
    alone = fit_individuals(good_fit.model, data)
    table = alone.parameters.copy()
    table["median"] = [good_fit.model.parameters[name].typical for name in table["parameter"]]
    table.loc[table["subject"] == data.subject_ids[0], "median"] = np.nan
    first, second = fit_chart(replace(alone, parameters=table))["subjects"]
    assert set(first["curve"]) == {None}
    assert None not in second["curve"]
    assert "low" not in second


def test_no_text_of_the_data_can_end_the_element():
    text = json_data({"id": "</script><script>alert(1)</script><!--"})
    assert "<" not in text


def test_a_number_that_json_does_not_know_is_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_data([float("nan")])
