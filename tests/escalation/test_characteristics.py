"""Operating characteristics: the tree against simulation, identities that hold for any design, paths."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carkinetics.errors import ConfigError, DataError
from carkinetics.escalation import AcceleratedTitration, Boin, Cohort, StopAfter, ThreePlusThree, TiteBoin
from carkinetics.escalation.characteristics import compare_designs, operating_characteristics, simulate_counts
from carkinetics.escalation.tree import dose_paths, true_rates

TRUTH = (0.05, 0.12, 0.25, 0.40, 0.55)
GRADE2 = (0.1, 0.2, 0.3, 0.4, 0.5)
DESIGNS = {
    "3+3": ThreePlusThree(doses=5, variant="B"),
    "titration": AcceleratedTitration(ThreePlusThree(doses=5, variant="C"), grade2_trigger=2),
    "boin": StopAfter(Boin(doses=5, target=0.25), n=18),
    "titration boin": StopAfter(AcceleratedTitration(Boin(doses=5, target=0.25), grade2_trigger=1), n=12),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", DESIGNS)
def test_simulation_agrees_with_enumeration(name):
    exact = operating_characteristics(DESIGNS[name], TRUTH, GRADE2)
    drawn = operating_characteristics(DESIGNS[name], TRUTH, GRADE2, exact=False, trials=4000, seed=3)
    for column in ("p_select", "n", "dlt"):
        away = (drawn[column] - exact[column]).abs()
        assert (away <= 4 * drawn[f"{column}_se"] + 1e-3).all(), column


@settings(max_examples=25)
@given(
    truth=st.lists(st.floats(0, 1), min_size=3, max_size=3).map(sorted),
    which=st.sampled_from(["A", "B", "C", "boin", "titration"]),
)
def test_dlts_at_a_dose_are_its_patients_times_its_probability(truth, which):
    """A rule cannot look ahead: E[DLT] = p E[n] at every dose, and the selections sum to 1."""
    design = (
        StopAfter(Boin(doses=3, target=0.3), n=12) if which == "boin"
        else AcceleratedTitration(ThreePlusThree(doses=3, variant="B"), grade2_trigger=None) if which == "titration"
        else ThreePlusThree(doses=3, variant=which)
    )  # fmt: skip
    table = operating_characteristics(design, truth)
    assert table["p_select"].sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(table["dlt"][1:], table["n"][1:] * truth, atol=1e-12)


def test_a_trial_without_toxicity_selects_the_top_and_one_of_toxicity_nothing():
    design = ThreePlusThree(doses=4, variant="A")
    assert operating_characteristics(design, [0] * 4).loc[4, "p_select"] == 1
    table = operating_characteristics(design, [1] * 4)
    assert table.loc[0, "p_select"] == 1
    assert table["n"].tolist() == [0, 3, 0, 0, 0]


@pytest.mark.slow
def test_the_number_of_workers_does_not_change_a_trial():
    design, rates = DESIGNS["boin"], true_rates(DESIGNS["boin"], TRUTH, None)
    alone = simulate_counts(design, rates, 2500, seed=5, workers=1)
    pooled = simulate_counts(design, rates, 2500, seed=5, workers=2)
    for name in ("n", "dlt", "selected"):
        np.testing.assert_array_equal(getattr(alone, name), getattr(pooled, name))
    other = simulate_counts(design, rates, 2500, seed=6, workers=1)
    assert (alone.selected != other.selected).any()


def test_no_trial_has_more_patients_than_its_limit():
    done = simulate_counts(StopAfter(Boin(doses=5, target=0.3), n=20), (TRUTH, None), 500, seed=1)
    assert done.n.sum(axis=1).max() == 20
    assert (done.dlt <= done.n).all()


def test_the_table_says_how_it_was_made():
    table = operating_characteristics(Boin(doses=5, target=0.3), TRUTH, exact=False, trials=200, seed=1)
    assert list(table.columns[:3]) == ["p_select", "n", "dlt"]
    assert table.index.tolist() == [0, 1, 2, 3, 4, 5]
    assert table.attrs["stopped_after"] == 30
    assert table.attrs["how"] == "200 simulated trials, seed 1"
    assert table.attrs["overdose_above"] == 0.3
    assert table.attrs["p_overdose"] == pytest.approx(table.loc[[4, 5], "p_select"].sum())
    sized = operating_characteristics(ThreePlusThree(doses=[1e5, 1e6], variant="A"), [0.1, 0.2])
    assert sized.index.tolist() == [0, 1e5, 1e6]


@pytest.mark.parametrize(
    ("truth", "more", "part"),
    [
        ((0.1, 0.2), {}, "truth has 2 values; expected one for each of 3 doses"),
        ((0.1, 0.2, 1.3), {}, "truth has 1.3; expected probabilities from 0 to 1"),
        ((0.1, 0.2, float("nan")), {}, "truth has nan"),
        ((0.3, 0.2, 0.4), {}, "truth falls from 0.3 at dose 1 to 0.2 at dose 2"),
        ((0.1, 0.2, 0.3), {"exact": False, "trials": 0}, "trials is 0"),
    ],
)
def test_a_truth_that_cannot_be_is_refused(truth, more, part):
    with pytest.raises(ConfigError, match=part):
        operating_characteristics(ThreePlusThree(doses=3, variant="A"), truth, **more)


def test_a_titration_needs_grade_2():
    design = AcceleratedTitration(ThreePlusThree(doses=3, variant="A"))
    with pytest.raises(ConfigError, match="grade 2 ends its titration; give grade2="):
        operating_characteristics(design, (0.1, 0.2, 0.3))
    without = AcceleratedTitration(ThreePlusThree(doses=3, variant="A"), grade2_trigger=None)
    assert operating_characteristics(without, (0.1, 0.2, 0.3))["p_select"].sum() == pytest.approx(1)


def test_paths_have_the_probabilities_of_the_tree():
    """All paths of 3+3 with two doses end within four cohorts: they give the characteristics."""
    design = ThreePlusThree(doses=2, variant="B")
    paths = dose_paths(design, cohorts=5, truth=(0.2, 0.4))
    assert (paths["action"] == "stop").all()
    exact = operating_characteristics(design, (0.2, 0.4))["p_select"]
    np.testing.assert_allclose(paths.groupby("mtd")["probability"].sum(), exact, atol=1e-12)


def test_the_paths_of_two_cohorts_are_those_a_clinician_would_draw():
    paths = dose_paths(ThreePlusThree(doses=3, variant="A"), cohorts=2)
    # 0 of 3 up, and 1 of 3 stays: four outcomes each; 2 or 3 of 3 end it.
    assert len(paths) == 4 + 4 + 2
    row = paths.query("dlt_1 == 1 and dlt_2 == 0").iloc[0]
    assert (row["dose_2"], row["action"], row["dose"]) == (1, "escalate", 2)
    onward = dose_paths(ThreePlusThree(doses=3, variant="A"), cohorts=1, so_far=[(1, 3, 0)])
    assert onward["dose_1"].tolist() == [2] * 4


def test_paths_of_a_titration_show_grade_2_while_it_matters():
    design = AcceleratedTitration(ThreePlusThree(doses=3, variant="A"), grade2_trigger=1)
    paths = dose_paths(design, cohorts=2, truth=(0.1, 0.2, 0.3), grade2=(0.2, 0.3, 0.4))
    assert paths["probability"].sum() == pytest.approx(1)
    assert paths["grade2_2"].isna().any()
    assert paths["grade2_2"].notna().any()


def test_paths_refuse_open_windows_and_too_much():
    design = ThreePlusThree(doses=3, variant="A")
    with pytest.raises(DataError, match="patients still in their window: 1;"):
        dose_paths(design, 1, so_far=[Cohort(1, 3, 0, pending=1)])
    with pytest.raises(ConfigError, match="more than 20,000 paths"):
        dose_paths(Boin(doses=5, target=0.3, cohort_size=6), 12)


def test_designs_are_compared_over_truths():
    table = compare_designs(
        {"3+3": DESIGNS["3+3"], "BOIN": DESIGNS["boin"]}, {"mild": (0.02, 0.05, 0.1, 0.15, 0.2), "steep": TRUTH}, overdose=0.33
    )  # fmt: skip
    assert len(table) == 2 * 2 * 6
    sums = table.groupby(["scenario", "design"])["p_select"].sum()
    np.testing.assert_allclose(sums, 1, atol=1e-12)
    assert (table.query("scenario == 'mild'")["p_overdose"] == 0).all()


def test_in_calendar_time_a_design_that_waits_is_the_same_and_takes_longer_where_patients_are_rare():
    design = DESIGNS["3+3"]
    exact = operating_characteristics(design, TRUTH)
    often, rarely = (
        operating_characteristics(design, TRUTH, accrual_days=days, trials=800, seed=2) for days in (5, 30)
    )
    for table in (often, rarely):
        assert ((table["p_select"] - exact["p_select"]).abs() <= 4 * table["p_select_se"] + 2e-3).all()
    assert rarely.attrs["duration"] > often.attrs["duration"] > 100


def test_a_design_for_times_to_an_event_asks_when_patients_come():
    design = StopAfter(TiteBoin(doses=5, target=0.25), n=15)
    with pytest.raises(ConfigError, match="give accrual_days="):
        operating_characteristics(design, TRUTH)
    table = operating_characteristics(design, TRUTH, accrual_days=10, trials=100, seed=1)
    assert table["p_select"].sum() == pytest.approx(1)
    assert "simulated in time" in table.attrs["how"]
