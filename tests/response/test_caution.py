import numpy as np

from carkinetics.response import exposure_response_findings, fit_grade

VALUES = np.geomspace(1e3, 1e5, 40)
HALF = np.tile([0, 1], 20)


def found(study, **call):
    table = exposure_response_findings(fit_grade(*study, **call))
    return table.set_index("rule")


def test_a_window_that_ends_after_the_outcome_is_called_immortal_time(make_study):
    values = VALUES.copy()
    values[:2] = np.nan
    table = found(make_study(values, crs_grade=HALF), outcome="crs_grade >= 1", on="log(auc_0_28)")
    assert table.loc["exposure-after-outcome", "severity"] == "warning"
    message = table.loc["exposure-after-outcome", "message"]
    assert "samples up to day 28" in message
    assert "2 subjects left out" in message
    assert table.loc["subjects-left-out", "where"] == "subjects s00, s01"


def test_a_peak_may_follow_the_toxicity(make_study):
    table = found(make_study(VALUES, metric="cmax", crs_grade=HALF), outcome="crs_grade >= 1", on="log(cmax)")
    assert table.loc["outcome-before-peak", "severity"] == "note"
    assert "exposure-after-outcome" not in table.index


def test_an_early_level_has_no_remark_on_timing(make_study):
    table = found(
        make_study(VALUES, metric="level_day_5", crs_grade=HALF), outcome="crs_grade >= 1", on="level_day_5"
    )
    assert not {"outcome-before-peak", "exposure-after-outcome"} & set(table.index)


def test_every_unadjusted_analysis_names_tumour_burden(make_study):
    table = found(make_study(VALUES, spread=0.1, grade=HALF), outcome="grade == 1", on="log(auc_0_28)")
    assert set(table.index) == {"exposure-after-outcome", "unadjusted"}
    assert "tumour burden" in table.loc["unadjusted", "message"]


def test_few_events_and_point_values_are_warned_of(make_study):
    grade = (np.arange(40) % 8 == 5).astype(int)
    table = found(make_study(VALUES, grade=grade), outcome="grade == 1", on="log(auc_0_28)")
    assert table.loc["few-events", "message"].startswith("5 events for one slope")
    assert table.loc["exposure-uncertainty", "severity"] == "warning"
    rare = found(make_study(VALUES, grade=1 - grade), outcome="grade == 1", on="log(auc_0_28)")
    assert rare.loc["few-events", "message"].startswith("5 subjects without the event")


def test_separation_is_a_warning(make_study):
    grade = (VALUES > 1e4).astype(int)
    table = found(make_study(VALUES, grade=grade), outcome="grade == 1", on="log(auc_0_28)")
    assert table.loc["separation", "severity"] == "warning"
