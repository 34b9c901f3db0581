"""An outcome on posterior exposure: pooled as by hand, refused where it comes too late, fair under a simulated null."""

import sys

import numpy as np
import pandas as pd
import pytest

from carkinetics.errors import ConfigError, DataError
from carkinetics.response import cox, exposure_response, logistic
from carkinetics.response.pooling import pool
from carkinetics.response.timing import TimingError

RNG = np.random.default_rng(5)
LEVELS = np.exp(9 + 1.2 * RNG.standard_normal(60))
BURDEN = np.exp(0.5 * np.log(LEVELS) + RNG.standard_normal(60))
EVENT_AT = np.round(RNG.exponential(120, 60) + 30, 1)
CRS = (RNG.random(60) < 1 / (1 + np.exp(-(np.log(LEVELS) - 9)))).astype(int)


@pytest.fixture
def trial(make_study):
    def made(spread=0.5, **columns):
        columns = {
            "burden": BURDEN,
            "crs": CRS,
            "pfs": EVENT_AT,
            "progressed": (EVENT_AT < 200).astype(int),
        } | columns
        return make_study(LEVELS, spread=spread, **columns)

    return made


def test_pooling_is_by_rubins_rules():
    # Three imputations by hand: within 1, between 1 times 4/3; (Barnard and Rubin's degrees of freedom for 10 complete ones.)
    row = pool([[1.0], [2.0], [3.0]], [[1.0], [1.0], [1.0]], complete_df=10).iloc[0]
    assert (row["coef"], row["se"], row["missing"]) == pytest.approx((2, np.sqrt(7 / 3), 4 / 7))
    old, seen = 2 / (4 / 7) ** 2, 11 / 13 * 10 * (3 / 7)
    assert row["df"] == pytest.approx(1 / (1 / old + 1 / seen))
    known = pool([[1.0], [1.0]], [[4.0], [4.0]]).iloc[0]
    assert (known["se"], known["missing"]) == (2, 0)
    assert known["upper"] == pytest.approx(1 + 1.6448536 * 2)


def test_without_uncertainty_the_pooled_regression_is_the_naive_one(trial):
    exposure, data = trial(spread=None)
    found = exposure_response(exposure, data, outcome="crs >= 1", on="log(auc_0_28)", adjust=["log(burden)"])
    table = pd.DataFrame({"y": CRS, "x": np.log(LEVELS), "b": np.log(BURDEN)})
    plain = logistic(table, outcome="y", on=["x", "b"])
    assert found.table["coef"].tolist() == pytest.approx(plain["coef"].tolist())
    assert found.table["naive_se"].tolist() == pytest.approx(plain["se"].tolist())
    assert found.table.loc["log(auc_0_28)", "ratio"] == pytest.approx(2 ** plain.loc["x", "coef"])
    assert "exposures were taken as known" in found.statement
    assert "adjusted for log(burden)" in found.statement


def test_uncertain_exposure_flattens_the_slope_and_widens_its_interval(trial):
    tables = {
        spread: exposure_response(*trial(spread=spread), outcome="crs >= 1", on="log(auc_0_28)").table
        for spread in (0.1, 1.0)
    }
    row = {spread: table.loc["log(auc_0_28)"] for spread, table in tables.items()}
    assert row[1.0]["missing"] > 5 * row[0.1]["missing"]
    assert row[1.0]["naive_coef"] == pytest.approx(row[0.1]["naive_coef"])
    assert abs(row[1.0]["coef"]) < abs(row[0.1]["coef"])


def test_grades_are_proportional_odds_and_events_cox(trial):
    exposure, data = trial(grade=np.minimum(CRS + (np.median(BURDEN) < BURDEN), 2))
    assert (
        exposure_response(exposure, data, outcome="grade", on="log(auc_0_28)", draws=20).settings["model"]
        == "proportional odds"
    )
    found = exposure_response(
        exposure, data, duration="pfs", event="progressed", on="log(auc_0_28)", draws=20
    )
    assert found.settings["model"] == "Cox"
    plain = cox(
        pd.DataFrame({"t": EVENT_AT, "e": (EVENT_AT < 200).astype(int), "x": np.log(LEVELS)}),
        duration="t",
        event="e",
        on="x",
    )
    assert found.table["naive_coef"].iloc[0] == pytest.approx(plain["coef"].iloc[0], rel=1e-4)


def test_separated_groups_are_fitted_by_firth_and_said(make_study):
    exposure, data = make_study(
        [1e2, 2e2, 4e2, 1e3, 2e3, 4e3], metric="cmax", spread=0.1, crs=[0, 0, 0, 1, 1, 1]
    )
    assert exposure_response(exposure, data, outcome="crs >= 1").settings["model"] == "logistic (Firth)"


def test_an_area_that_ends_after_progression_is_refused(trial):
    early = np.where(np.arange(60) < 9, 20.0, EVENT_AT)
    exposure, data = trial(pfs=early, progressed=np.ones(60, int))
    asked = {"duration": "pfs", "event": "progressed", "on": "log(auc_0_28)", "draws": 20}
    with pytest.raises(TimingError, match=r"in 9 of 60 subjects.*landmark=28.*9 of 60 are lost.*joint model"):
        exposure_response(exposure, data, **asked)
    found = exposure_response(exposure, data, **asked, landmark=28)
    assert len(found.observed) == 51
    assert found.excluded["reason"].unique().tolist() == ["event by the landmark, day 28"]
    assert found.observed["pfs"].min() == pytest.approx(EVENT_AT[9:].min() - 28)
    with pytest.raises(TimingError, match="landmark=14 is before day 28"):
        exposure_response(exposure, data, **asked, landmark=14)


def test_a_grade_that_began_before_the_peak_is_refused(make_study):
    exposure, data = make_study(
        [1e3] * 3 + [3e3] * 3, metric="cmax", crs=[0, 1, 0, 1, 1, 0], day=[5, 3, np.nan, 9, 12, np.nan]
    )
    peak = exposure.table.assign(metric="tmax", value=7.0, unit="day")
    both = type(exposure)(pd.concat([exposure.table, peak], ignore_index=True))
    with pytest.raises(
        TimingError, match=r"in 1 of the 3 subjects with the outcome.*subject s01: day 3, complete on day 7"
    ):
        exposure_response(both, data, outcome="crs >= 1", onset="day")
    later = data.subjects.assign(day=[np.nan, 8, np.nan, 9, 12, np.nan])
    assert (
        len(
            exposure_response(
                both, type(data)(data.observations, later), outcome="crs >= 1", onset="day"
            ).observed
        )
        == 6
    )


def test_who_is_left_out_is_listed(trial):
    burden = np.where(np.arange(60) == 3, np.nan, BURDEN)
    found = exposure_response(
        *trial(burden=burden), outcome="crs >= 1", on="log(auc_0_28)", adjust="log(burden)"
    )
    assert found.excluded.to_numpy().tolist() == [["s03", "burden, to adjust for, is missing"]]


def test_arguments_that_do_not_go_together_are_refused(trial):
    exposure, data = trial()
    with pytest.raises(ConfigError, match="either outcome, or duration and event"):
        exposure_response(exposure, data, outcome="crs >= 1", duration="pfs", event="progressed")
    with pytest.raises(DataError, match="no column 'psf'; did you mean 'pfs'"):
        exposure_response(exposure, data, duration="psf", event="progressed")
    with pytest.raises(ConfigError, match="landmark counts the time of an event"):
        exposure_response(exposure, data, outcome="crs >= 1", landmark=28)


@pytest.mark.slow
def test_under_no_effect_the_naive_area_rejects_and_the_landmark_does_not(make_study, capsys):
    """Levels have no effect on progression; who progresses by day 28 is not sampled afterwards, so that the area ends there."""
    rng, naive, sound = np.random.default_rng(11), 0, 0
    for _ in range(200):
        rate, time = np.exp(6 + 0.8 * rng.standard_normal(60)), rng.exponential(60, 60)
        area = rate * np.minimum(time, 28)
        table = pd.DataFrame({"t": time, "e": 1, "x": np.log(area)})
        naive += cox(table, duration="t", event="e", on="x")["p"].iloc[0] < 0.05
        exposure, data = make_study(area, t=time, e=1)
        row = exposure_response(
            exposure, data, duration="t", event="e", on="log(auc_0_28)", landmark=28, level=0.95
        ).table.iloc[0]
        sound += not row["lower"] < 0 < row["upper"]
    # A fair test rejects 10 of 200, standard deviation 3.1.
    with capsys.disabled():
        sys.stdout.write(f"\nrejected at 5 %: naive {naive / 200:.3f}, landmark {sound / 200:.3f}\n")
    assert naive > 60
    assert sound < 20
