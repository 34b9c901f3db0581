"""Real patients: expansion and cytokines against HLH, CRS and response, each asked as it may be asked.

What is asserted is what other draws and other reasonable choices would not turn round; ``pytest -s`` prints the tables.
The article (see SOURCE.md) finds that HLH goes with expansion and with cytokines that stay high.
"""

import numpy as np
import pandas as pd
import pytest

import carkinetics as ck
from carkinetics.exposure.course import ExposureCourse
from carkinetics.response.timing import TimingError

pytestmark = pytest.mark.slow

DAYS = np.arange(29.0)
LANDMARK = (
    9.0  # three of the 21 HLH have begun; later it loses more of them, earlier cytokines have not risen
)


@pytest.fixture(scope="module")
def exposure(fit: ck.Fit) -> ck.Exposure:
    return ck.exposure_from(fit, metrics=["cmax", "tmax", "auc_0_28"])


@pytest.fixture(scope="module")
def course(fit: ck.Fit) -> ExposureCourse:
    return ck.exposure_course(fit, DAYS)


def show(*texts: object) -> None:
    """For ``pytest -s``."""
    print(*texts, sep="\n")  # noqa: T201


def ratio(table: pd.DataFrame, name: str = "ratio_per_doubling") -> pd.Series:
    """Row of what a doubling does, with the naive one beside it."""
    rows = table.set_index("parameter")
    return rows.loc[next(label for label in rows.index if label.endswith(name))]


def test_hlh_goes_with_expansion_jointly_and_two_stages_flatten_it(data, fit, exposure):
    # Eight of 19 HLH began before their own Tmax: Cmax as what a subject would reach is for the joint model to say.
    with pytest.raises(TimingError, match=r"in 8 of the 19 subjects with the outcome it began"):
        ck.fit_grade(exposure, data, "hlh == 1", adjust="log(burden)")
    joint = ck.fit_joint(fit, data, outcome="hlh == 1", adjust="log(burden)", method="weights")
    show(f"\n{joint.statement}\n{joint.two_stage.round(2)}\n{joint.table.round(2)}")
    assert joint.converged
    assert joint.outcome.n == 53
    assert dict(joint.outcome.excluded["reason"].value_counts()) == {
        "no observation: only the prior speaks": 4, "burden, to adjust for, is missing": 2
    }  # fmt: skip
    two_stage, jointly = ratio(joint.two_stage), ratio(joint.table)
    assert 1.0 < two_stage["value"] < two_stage["naive"]
    assert two_stage["value"] < jointly["value"]
    assert 1.0 < jointly["lower"] < 1.15
    assert 1.3 < jointly["upper"] < 1.8


def test_hlh_goes_with_the_level_of_the_day(data, course):
    asked = {"outcome": "hlh == 1", "onset": "hlh_day", "on": "log(level)", "adjust": "log(burden)"}
    for baseline in ("weibull", "piecewise"):
        found = ck.fit_event(course, data, baseline=baseline, **asked)
        show(f"\n{baseline}: {found.statement}")
        row = ratio(found.table)
        assert found.events == 19
        assert row["lower"] > 1.0
        assert 1.1 < row["value"] < row["naive"]


def test_crs_began_before_the_peak_and_cannot_be_laid_to_it(data, fit, exposure):
    timing = ck.onset_timing(fit, data, "crs_day", "crs_max_grade")
    show(f"\n{timing.statement}")
    assert timing.before == timing.n == 48
    with pytest.raises(TimingError, match=r"in 22 of the 22 subjects with the outcome"):
        ck.fit_grade(exposure, data, "crs_max_grade >= 2", adjust="log(burden)")
    with pytest.raises(TimingError):
        ck.exposure_response(exposure, data, outcome="crs_max_grade >= 2", adjust="log(burden)")


def test_crs_of_grade_2_and_the_level_of_the_day_say_little_where_cmax_seemed_to_say_much(
    data, exposure, course
):
    asked = {"adjust": "log(burden)"}
    unchecked = ratio(ck.fit_grade(exposure, data, "crs_max_grade >= 2", onset="", **asked).table)
    show(
        f"\nCmax, unchecked: {unchecked['value']:.2f} ({unchecked['lower']:.2f} to {unchecked['upper']:.2f})"
    )
    assert unchecked["naive"] > unchecked["value"] > 1.15
    # Fourteen days hold every CRS; after them the level goes on, which a smooth hazard would read as protection.
    asked |= {"outcome": "crs_max_grade >= 2", "onset": "crs_day", "on": "log(level)", "window": 14}
    for baseline in ("weibull", "piecewise"):
        found = ck.fit_event(course, data, baseline=baseline, **asked)
        show(f"{baseline}: {found.statement}")
        row = ratio(found.table)
        assert found.events == 22
        assert 0.85 < row["lower"] < 1.05
        assert 1.0 < row["upper"] < unchecked["upper"]
        assert row["value"] < unchecked["value"]


def test_grades_of_crs_share_one_slope_as_far_as_can_be_seen(data, exposure):
    found = ck.fit_grade(exposure, data, "crs_max_grade", adjust="log(burden)", onset="")
    show(f"\nunchecked for timing: {found.statement}\n{found.per_cut.round(2)}")
    assert found.per_cut["cut"].tolist() == [">= 1", ">= 2", ">= 3", ">= 4"]
    assert found.per_cut["agrees"].all()
    # It is the step from none to some that goes with expansion most; with 5 above grade 2 the upper cuts say little.
    assert found.per_cut["slope"].idxmax() == 0
    assert found.per_cut["lower"].iloc[2] < 0


@pytest.mark.parametrize("metric", ["cmax", "auc_0_28"])
def test_response_goes_with_expansion_and_against_burden(data, exposure, metric):
    for outcome, events in (("response == 0", 34), ("response <= 2", 39)):
        found = ck.fit_grade(exposure, data, outcome, f"log({metric})", adjust="log(burden)")
        row = ratio(found.table)
        show(f"\n{metric}: {found.statement} Naive {row['naive']:.2f}.")
        assert found.events == events
        assert row["lower"] > 1.15
        assert row["value"] < row["naive"]
        assert found.table.set_index("parameter").loc["log(burden)", "value"] < 0


def test_dose_is_confounded_with_manufacturing_and_hlh_goes_with_the_latter(data, exposure):
    patients = data.subjects
    show(f"\n{pd.crosstab(patients['tcs_manufacturing'], patients['dose_level'])}")
    counts = pd.crosstab(patients["tcs_manufacturing"], patients["dose_level"]).to_numpy()
    assert counts.tolist() == [[6, 17, 2], [27, 7, 0]]
    dose = ck.dose_exposure(exposure, data, "cmax", by="tcs_manufacturing")
    show(dose.statement)
    slope = dose.table.set_index("quantity").loc["slope"]
    assert slope["lower"] < 0 < 1 < slope["upper"]  # neither flat nor proportional can be ruled out
    found = ck.fit_grade(exposure, data, "hlh == 1", adjust=["log(burden)", "tcs_manufacturing"], onset="")
    show(f"unchecked for timing: {found.statement}\n{found.table.round(2)}")
    assert found.table.set_index("parameter").loc["tcs_manufacturing", "lower"] > 0
    assert 1.0 < ratio(found.table)["value"] < 1.4


def cytokines(data: ck.Dataset) -> list[str]:
    return sorted(set(data.observations["assay"]) - {"flow"})


def hlh_by_peak(data: ck.Dataset, until: float, *, landmark: bool) -> pd.DataFrame:
    """Odds ratio of HLH per doubling of each cytokine's peak up to a day; a peak beyond a limit counts as the limit."""
    patients = data.subjects.set_index("subject")
    free = patients.index[~(patients["hlh_day"] <= until)] if landmark else patients.index
    rows = {}
    for assay, peaks in ck.marker_summary(data, cytokines(data), window=(0, until)).groupby("assay"):
        by_subject = peaks.set_index("subject")
        top = by_subject["peak_lower"].mask(by_subject["peak_lower"] == 0, by_subject["peak_upper"])
        table = pd.DataFrame({"log2_peak": np.log2(top), "hlh": patients["hlh"]}).loc[free].dropna()
        row = ck.logistic(table, outcome="hlh", on="log2_peak", firth=True, level=0.9).loc["log2_peak"]
        rows[assay] = [len(table), int(table["hlh"].sum()), *np.exp(row[["coef", "lower", "upper"]].astype(float)), row["p"]]  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index", columns=["n", "hlh", "ratio", "lower", "upper", "p"])


def peak_so_far(data: ck.Dataset, assay: str) -> ExposureCourse:
    """The highest level of a cytokine by each day, as exposure that changes with time."""
    rows = data.observations[(data.observations["assay"] == assay) & (data.observations["time"] >= 0)]
    level = rows["value"].fillna(rows["lower"]).mask(rows["lower"] == 0, rows["upper"])
    wide = rows.assign(level=level).pivot_table(index="subject", columns="time", values="level")
    so_far = wide.reindex(columns=DAYS).cummax(axis=1).ffill(axis=1).fillna(level.min())
    without = pd.Series("not measured", index=[name for name in data.subject_ids if name not in so_far.index])
    values = so_far.to_numpy()[None]
    return ExposureCourse(
        tuple(so_far.index), DAYS, values, values.cumsum(axis=2), "pg/mL", level.min(), without
    )


def test_hlh_goes_with_most_cytokines_once_they_rise_and_day_9_does_not_tell_it(data):
    whole, early = (
        hlh_by_peak(data, day, landmark=early) for day, early in ((28.0, False), (LANDMARK, True))
    )
    so_far = {}
    for assay in cytokines(data):
        found = ck.fit_event(
            peak_so_far(data, assay), data, outcome="hlh == 1", onset="hlh_day", on="log(level)", draws=1
        )
        so_far[assay] = ratio(found.table)[["value", "lower", "upper"]].astype(float)
    table = pd.concat(
        {"peak of 28 days (odds)": whole, f"peak by day {LANDMARK:g} (odds)": early, "peak so far (hazard)": pd.DataFrame(so_far).T},
        axis=1,
    )  # fmt: skip
    peaks = ck.marker_summary(data, cytokines(data)).dropna(subset="peak_day").set_index("subject")
    days = data.subjects.set_index("subject")["hlh_day"].dropna()
    late = (peaks["peak_day"] >= days.reindex(peaks.index)).groupby(peaks["assay"]).sum()
    show(f"\n14 comparisons, ratio per doubling, 90% intervals\n{table.round(2).to_string()}")
    show(f"peaks on the day of HLH or after it, of 21:\n{late.to_dict()}")
    assert len(table) == 14
    assert (whole["hlh"].max(), early["hlh"].max()) == (21, 18)
    # Peaks of all 28 days, those during HLH among them: nearly everything goes with it, the article's two as well.
    assert (whole["lower"] > 1).sum() >= 11
    assert (whole.loc[["IFN-gamma", "IL-1B"], "lower"] > 1).all()
    # By day 9, in who is free of it then: nothing that 14 comparisons would not give.
    assert (early["p"] > 0.05 / 14).all()
    assert (early["lower"] < 1.2).all()
    # What was measured before the day of HLH, against who was at risk on that day: they do, together.
    hazard = pd.DataFrame(so_far).T
    assert (hazard.loc[["IFN-gamma", "IL-1B"], "lower"] > 1.15).all()
    assert (hazard["lower"] > 1).sum() >= 10
    assert hazard.loc["IL-2", "lower"] < 1 < hazard.loc["IL-2", "upper"]


def test_ifn_gamma_peaks_days_before_the_cells(data, fit):
    found = ck.fit_marker(fit, data, "IFN-gamma", kinetic_draws=5)
    show(f"\n{found.statement}")
    lag = found.table.loc["lag"]
    assert len(found.subjects) == 52
    assert -6 < lag["lower"] < lag["upper"] < -2
