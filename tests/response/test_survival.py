"""Survival curves, tests and regressions: published numbers, identities, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carkinetics.errors import ConfigError, DataError, FitError
from carkinetics.response import (
    aalen_johansen,
    cox,
    kaplan_meier,
    log_rank,
    parametric_survival,
    survival_table,
)
from carkinetics.response.survival import at_risk

# Acceptance E2: Freireich 1963, numbers of R's survival 3.5-3.
TREATED = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
TREATED_EVENTS = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
CONTROL = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
GEHAN = pd.DataFrame(
    {"week": TREATED + CONTROL, "relapse": TREATED_EVENTS + [1] * 21, "arm": ["6-MP"] * 21 + ["control"] * 21}
)
GEHAN["is_control"] = GEHAN["arm"] == "control"
COLUMNS = {"duration": "week", "event": "relapse"}

series = st.lists(st.tuples(st.integers(1, 20), st.integers(0, 2)), min_size=2, max_size=40)


def test_the_curve_of_the_leukaemia_trial():
    table = survival_table(TREATED, TREATED_EVENTS)
    assert table.index.tolist() == [6, 7, 10, 13, 16, 22, 23]
    assert table["at_risk"].tolist() == [21, 17, 15, 12, 11, 7, 6]
    assert table["events"].tolist() == [3, 1, 1, 1, 1, 1, 1]
    np.testing.assert_allclose(
        table["survival"], [0.8571, 0.8067, 0.7529, 0.6902, 0.6275, 0.5378, 0.4482], atol=5e-5
    )
    greenwood = [0.07636, 0.08694, 0.09635, 0.10681, 0.11405, 0.12823, 0.13459]
    np.testing.assert_allclose(table["se"], greenwood, atol=6e-6)
    assert at_risk(TREATED, [0, 10, 20, 36]).tolist() == [21, 15, 8, 0]


@pytest.mark.parametrize(
    ("transform", "treated", "control"),
    [("log-log", (23, 13, np.inf), (8, 4, 11)), ("log", (23, 16, np.inf), (8, 4, 12))],
)
def test_the_medians_of_the_leukaemia_trial(transform, treated, control):
    for time, event, expected in ((TREATED, TREATED_EVENTS, treated), (CONTROL, [1] * 21, control)):
        attrs = kaplan_meier(time, event, transform=transform).attrs
        assert (attrs["median"], attrs["lower"], attrs["upper"]) == expected


def test_a_median_on_a_step_is_in_the_middle_of_it():
    assert kaplan_meier([1, 2, 3, 4], [1, 1, 1, 1]).attrs["median"] == 2.5
    assert kaplan_meier([1, 2, 3, 4], [0, 0, 0, 0]).attrs["median"] == np.inf


def test_the_tests_of_the_leukaemia_trial():
    test = log_rank(GEHAN["week"], GEHAN["relapse"], GEHAN["arm"])
    assert test["chi2"] == pytest.approx(16.79, abs=5e-3)
    assert test["p"] == pytest.approx(4.2e-5, abs=5e-7)
    groups = test.attrs["groups"]
    assert groups["observed"].tolist() == [9, 21]
    np.testing.assert_allclose(groups["expected"], [19.25, 10.75], atol=5e-3)
    assert log_rank(GEHAN["week"], GEHAN["relapse"], GEHAN["arm"], rho=1)["chi2"] == pytest.approx(
        14.46, abs=5e-3
    )


@pytest.mark.parametrize(
    ("ties", "coef", "se", "ratio"),
    [("efron", 1.5721, 0.4124, 4.817), ("breslow", 1.5092, 0.4096, 4.523), ("exact", 1.6282, 0.4331, 5.095)],
)
def test_the_hazard_ratio_of_the_leukaemia_trial(ties, coef, se, ratio):
    found = cox(GEHAN, **COLUMNS, on="is_control", ties=ties)
    assert found.loc["is_control", ["coef", "se", "hazard_ratio"]].tolist() == pytest.approx(
        [coef, se, ratio], abs=5e-4
    )
    if ties == "efron":
        assert 2 * (found.attrs["log_likelihood"] - found.attrs["log_likelihood_null"]) == pytest.approx(
            16.35, abs=5e-3
        )
        limits = np.exp(found.loc["is_control", ["lower", "upper"]].astype(float))
        assert limits.tolist() == pytest.approx([2.147, 10.81], abs=5e-3)
    by_name = cox(GEHAN, **COLUMNS, on=["arm"], ties=ties)
    assert by_name.index.tolist() == ["arm[control]"]
    assert by_name["coef"].iloc[0] == pytest.approx(found["coef"].iloc[0], abs=1e-6)


def test_the_parametric_models_of_the_leukaemia_trial():
    weibull = parametric_survival(GEHAN, **COLUMNS, on="is_control")
    assert weibull["coef"].tolist() == pytest.approx([3.5157, -1.2673, -0.3117], abs=1e-4)
    assert weibull.loc["is_control", "se"] == pytest.approx(0.3106, abs=1e-4)
    assert weibull.attrs["log_likelihood"] == pytest.approx(-106.6, abs=0.05)
    exponential = parametric_survival(GEHAN, **COLUMNS, on="is_control", family="exponential")
    assert exponential["coef"].tolist() == pytest.approx([3.6861, -1.5266], abs=1e-4)
    assert exponential.attrs["log_likelihood"] == pytest.approx(-108.5, abs=0.05)
    # Exponential without predictors: events over time, with the standard error 1 / sqrt(events).
    alone = parametric_survival(GEHAN, **COLUMNS, family="exponential")
    assert alone["coef"].iloc[0] == pytest.approx(np.log(GEHAN["week"].sum() / 30), abs=1e-5)
    assert alone["se"].iloc[0] == pytest.approx(1 / np.sqrt(30), rel=1e-3)


def test_a_predictor_on_another_scale_changes_nothing_but_its_scale():
    table = GEHAN.assign(copies=np.exp(np.linspace(2, 12, 42)))
    for fit in (cox, parametric_survival):
        one = fit(table, **COLUMNS, on=["is_control", "copies"])
        other = fit(table.assign(copies=table["copies"] * 1e6 + 3e9), **COLUMNS, on=["is_control", "copies"])
        assert other.loc["copies", "coef"] * 1e6 == pytest.approx(one.loc["copies", "coef"], rel=1e-3)
        assert other.loc["copies", "z"] == pytest.approx(one.loc["copies", "z"], rel=1e-3)


def test_competing_risks_by_hand():
    # Acceptance E3.
    found = aalen_johansen([2, 3, 3, 5, 6, 7, 8, 10, 12, 14], [1, 2, 1, 0, 1, 2, 0, 1, 0, 2])
    assert found.loc[[3, 6, 10, 14], 1].tolist() == pytest.approx([0.2, 0.31666667, 0.47222222, 0.47222222])
    assert found.loc[[3, 6, 10, 14], 2].tolist() == pytest.approx([0.1, 0.1, 0.21666667, 0.52777778])
    assert found.loc[[3, 6, 10], "survival"].tolist() == pytest.approx([0.7, 0.58333333, 0.31111111])


@given(series)
@settings(deadline=None, max_examples=60)
def test_incidences_and_survival_add_up_to_one(rows):
    time, cause = zip(*rows, strict=True)
    found = aalen_johansen(time, cause)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-12)
    # Free of any event: the Kaplan-Meier curve of all causes together.
    curve = kaplan_meier(time, np.minimum(cause, 1))
    np.testing.assert_allclose(curve, found["survival"], atol=1e-12)
    assert curve.is_monotonic_decreasing


@given(series)
@settings(deadline=None, max_examples=60)
def test_limits_enclose_the_curve(rows):
    time, event = zip(*((t, min(e, 1)) for t, e in rows), strict=True)
    for transform in ("log-log", "log", "plain"):
        table = survival_table(time, event, transform=transform).dropna()
        assert (table["lower"] <= table["survival"] + 1e-12).all()
        assert (table["survival"] <= table["upper"] + 1e-12).all()


def test_what_makes_no_sense_is_refused():
    with pytest.raises(DataError, match=r"row 1: time is -1; expected 0 or more"):
        kaplan_meier([3, -1], [1, 0])
    with pytest.raises(DataError, match=r"row 'b': event is 'yes'; expected 0 \(censored\) or 1"):
        kaplan_meier(pd.Series([3, 1], index=["a", "b"]), pd.Series([1, "yes"], index=["a", "b"]))
    with pytest.raises(
        DataError, match=r"row 1: event is 2; .* Several kinds of events compete: see aalen_johansen"
    ):
        kaplan_meier([3, 1], [1, 2])
    with pytest.raises(DataError, match="2 times and 1 events"):
        kaplan_meier([3, 1], [1])
    with pytest.raises(ConfigError, match="transform is 'loglog'; did you mean 'log-log'"):
        kaplan_meier([3, 1], [1, 1], transform="loglog")
    with pytest.raises(DataError, match="all 2 subjects are in the group 'a'"):
        log_rank([3, 1], [1, 1], ["a", "a"])
    with pytest.raises(DataError, match="the table has no column 'weak'; did you mean 'week'"):
        cox(GEHAN, duration="weak", event="relapse", on="arm")
    with pytest.raises(DataError, match="1 of 42 rows lack a value, the first is 3 in 'arm'"):
        cox(GEHAN.assign(arm=GEHAN["arm"].where(GEHAN.index != 3)), **COLUMNS, on="arm")
    with pytest.raises(DataError, match="no event among 42 subjects"):
        cox(GEHAN.assign(relapse=0), **COLUMNS, on="arm")
    with pytest.raises(DataError, match="one_arm is 1 in all 42 rows"):
        cox(GEHAN.assign(one_arm=1), **COLUMNS, on="one_arm")
    with pytest.raises(DataError, match="one is a combination of the others"):
        cox(GEHAN, **COLUMNS, on=["arm", "is_control"])


def test_predictors_that_put_events_in_order_have_no_estimate():
    table = pd.DataFrame({"day": [1, 2, 3, 4, 5, 6], "event": [1, 1, 1, 0, 0, 0], "x": [6, 5, 4, 3, 2, 1]})
    for ties in ("efron", "exact"):
        with pytest.raises(FitError, match="coefficient of x has no finite estimate"):
            cox(table, duration="day", event="event", on="x", ties=ties)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_rows_cut_in_time_are_the_subjects_they_were_cut_from(ties: str):
    """Two roads: a subject at risk from 0 to its end, or in stretches that follow each other."""
    duration, event = COLUMNS["duration"], COLUMNS["event"]
    whole = cox(GEHAN, **COLUMNS, on="is_control", ties=ties)
    cuts = [0.0, 3.5, 8.0, 15.0]
    rows = []
    for _, row in GEHAN.iterrows():
        ends = [cut for cut in cuts[1:] if cut < row[duration]] + [row[duration]]
        for begin, end in zip([0.0, *ends], ends, strict=False):
            last = end == row[duration]
            rows.append({**row, "begin": begin, duration: end, event: row[event] if last else 0})
    cut = cox(pd.DataFrame(rows), **COLUMNS, on="is_control", start="begin", ties=ties)
    np.testing.assert_allclose(cut[["coef", "se"]], whole[["coef", "se"]], rtol=1e-6)


def test_a_row_that_begins_at_its_end_is_refused():
    table = GEHAN.assign(begin=GEHAN[COLUMNS["duration"]])
    with pytest.raises(DataError, match="expected a number before its end"):
        cox(table, **COLUMNS, on="is_control", start="begin")
    with pytest.raises(ConfigError, match="use 'efron'"):
        cox(table.assign(begin=0), **COLUMNS, on="is_control", start="begin", ties="exact")
