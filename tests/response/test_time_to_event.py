"""The time to an event on exposure: exact where it can be computed, refused where exposure came later."""

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad

from carkinetics.errors import ConfigError, DataError
from carkinetics.exposure.course import ExposureCourse
from carkinetics.response import cox, fit_event
from carkinetics.response.bayes import Regression, Scale, sample_regression
from carkinetics.response.family import Piecewise, Weibull
from carkinetics.response.timing import TimingError

RNG = np.random.default_rng(4)
N = 60
VALUES = np.exp(RNG.normal(5, 1, N))
# Weibull, shape 1.5, hazard ratio 0.7 per unit of log exposure; censored on day 200.
TIMES = 80 * (RNG.exponential(size=N) / np.exp(-0.36 * (np.log(VALUES) - 5))) ** (1 / 1.5)
ASKED = {"duration": "day", "event": "event", "on": "log(auc_0_7)"}


@pytest.fixture
def trial(make_study):
    return make_study(
        VALUES, metric="auc_0_7", day=np.minimum(TIMES + 7, 200), event=(TIMES < 193).astype(int)
    )


def value(model, parameter, column="value"):
    return float(model.table.set_index("parameter").loc[parameter, column])


def test_the_evidence_is_that_of_quadrature_and_the_slope_its_mean():
    # An exponential hazard (one piece) with its rate fixed by a narrow view: two coefficients, integrated on a grid.
    x, time, event = np.array([-1.0, 0.0, 0.5, 1.5]), np.array([3.0, 9.0, 4.0, 1.0]), np.array([1.0, 0, 1, 1])
    family = Piecewise(np.zeros(4), time, event, 4.0, np.array([]))
    regression = Regression(family, Scale.of(x), np.empty((4, 0)))
    found = sample_regression(regression, x[None], 4000, np.random.default_rng(1))
    grid = np.meshgrid(np.linspace(-12, 8, 1201), np.linspace(-14, 14, 1201), indexing="ij")
    theta = np.stack(grid, axis=-1).reshape(1, -1, 2)
    log_density = regression.log_posterior(theta, x[None])[0]
    cell = 20 / 1200 * 28 / 1200
    assert found.log_evidence[0] == pytest.approx(np.log(np.exp(log_density).sum() * cell), abs=0.02)
    mass = np.exp(log_density - log_density.max())
    mean = (mass * theta[0, :, 1]).sum() / mass.sum()
    assert found.theta[0, :, 1].mean() == pytest.approx(mean, abs=0.05)


def test_a_hazard_is_the_slope_of_minus_the_log_of_survival():
    days = np.array([3.0, 40.0, 90.0])
    aux, eta = np.array([0.3, 0.4]), 0.2
    family = Weibull(np.zeros(3), days, np.ones(3), 50.0)
    at_event = family.log_likelihood([aux[0], aux[1]], np.full(3, eta))
    survival = family.survival(aux, np.array(eta), days)
    step = 1e-5
    hazard = -(np.log(family.survival(aux, np.array(eta), days + step)) - np.log(survival)) / step
    np.testing.assert_allclose(at_event, np.log(hazard) + np.log(survival), rtol=1e-4)
    rate, shape = (float(v) for v in family.natural(aux, np.array(eta)).values())
    np.testing.assert_allclose(hazard, rate * shape * days ** (shape - 1), rtol=1e-4)


def test_densities_of_the_time_integrate_to_one():
    aux, cuts = [np.array(-0.5), np.array(0.2), np.array(0.9)], np.array([20.0, 60.0])

    def density(day):
        one = np.array([day])
        family = Piecewise(np.zeros(1), one, np.ones(1), 30.0, cuts)
        return float(np.exp(family.log_likelihood(aux, np.array([0.3]))[0]))

    total = sum(quad(density, a, b)[0] for a, b in ((0, 20), (20, 60), (60, 2000)))
    assert total == pytest.approx(1, abs=1e-6)


def test_rows_of_a_stretch_and_its_parts_have_one_likelihood():
    whole = [np.zeros(1), np.array([50.0]), np.ones(1), 40.0]
    parts = [np.array([0.0, 10.0, 45.0]), np.array([10.0, 45.0, 50.0]), np.array([0, 0, 1.0]), 40.0]
    for make in (Weibull, lambda *a: Piecewise(*a, np.array([30.0]))):
        one, three = make(*whole), make(*parts)
        aux = [np.array(0.1), np.array(0.5)]
        total = three.log_likelihood(aux, np.full(3, 0.7)).sum()
        assert total == pytest.approx(one.log_likelihood(aux, np.full(1, 0.7)).sum(), rel=1e-12)


@pytest.mark.parametrize("baseline", ["weibull", "piecewise"])
def test_with_wide_priors_it_agrees_with_cox(trial, baseline):
    model = fit_event(*trial, **ASKED, landmark=7, baseline=baseline, prior_slope_sd=50)
    _, data = trial
    table = data.subjects.assign(x=np.log(VALUES), day=data.subjects["day"] - 7)
    other = cox(table, duration="day", event="event", on="x").loc["x"]
    assert value(model, "slope") == pytest.approx(other["coef"], abs=0.2 * other["se"])
    width = value(model, "slope", "upper") - value(model, "slope", "lower")
    assert width == pytest.approx(2 * 1.645 * other["se"], rel=0.12)
    assert model.curve.query("day == 0")["median"].tolist() == [1.0, 1.0]
    assert "counted from day 7" in model.statement


def test_uncertain_exposures_and_the_naive_regression_stand_side_by_side(make_study):
    study = make_study(
        VALUES, metric="auc_0_7", spread=1.0, day=np.minimum(TIMES + 7, 200), event=(TIMES < 193).astype(int)
    )
    model = fit_event(*study, **ASKED, landmark=7)
    assert abs(value(model, "slope")) < abs(value(model, "slope", "naive"))
    assert model.settings["exposure"] == "posterior draws, 200 of 400"


def test_an_exposure_that_came_after_the_event_is_refused(make_study):
    study = make_study(VALUES, day=np.minimum(TIMES, 200), event=(TIMES < 200).astype(int))
    with pytest.raises(TimingError, match="longer life gives a larger exposure"):
        fit_event(*study, duration="day", event="event", on="log(auc_0_28)")


def course_of(level: np.ndarray, days: np.ndarray) -> ExposureCourse:
    area = np.maximum(np.cumsum(level, axis=-1), 1e-3)
    ids = tuple(f"s{i:02d}" for i in range(level.shape[1]))
    return ExposureCourse(ids, days, level, area, "copies/ug", 1.0, pd.Series(dtype=object))


def test_a_course_that_does_not_change_is_a_metric(trial):
    exposure, data = trial
    days = np.array([0.0, 5, 20, 60, 120, 200])
    course = course_of(np.broadcast_to(VALUES[:, None], (3, N, 6)).copy(), days)
    moving = fit_event(course, data, duration="day", event="event", on="log(level)")
    fixed = fit_event(exposure, data, **ASKED)
    for parameter in ("slope", "shape"):
        assert value(moving, parameter) == pytest.approx(value(fixed, parameter), rel=0.05)
    assert moving.settings["changes_with_time"]
    assert "the level of the day" in moving.statement


@pytest.mark.slow
def test_a_level_that_comes_and_goes_is_found_where_its_time_is(make_study):
    """Hazard follows the level of the day, which peaks at another time in each subject."""
    rng, n, days = np.random.default_rng(8), 120, np.arange(0.0, 60.0, 2.0)
    peak = rng.uniform(5, 50, n)
    log_level = 4 - 0.5 * ((days - peak[:, None]) / 6) ** 2
    log_level = np.maximum(log_level, 0.0)
    hazard = 0.004 * np.exp(0.8 * log_level)
    survival = np.exp(-2 * np.cumsum(hazard, axis=1))
    at = (survival > rng.random(n)[:, None]).sum(axis=1)
    time, event = np.minimum(2 * at + 1.0, 60.0), (at < 30).astype(int)
    _, data = make_study(np.ones(n), day=time, event=event)
    ids = [f"s{i:02d}" for i in range(n)]
    course = course_of(np.exp(log_level[None]), days)
    course = ExposureCourse(tuple(ids), days, course.level, course.auc, "copies/ug", 1.0, course.without)
    model = fit_event(course, data, duration="day", event="event", on="log(level)", baseline="piecewise")
    assert value(model, "slope", "lower") < 0.8 < value(model, "slope", "upper")
    assert value(model, "slope", "lower") > 0.4


@pytest.mark.parametrize(
    ("change", "kind", "part"),
    [
        ({"baseline": "weibul"}, ConfigError, "did you mean 'weibull'"),
        ({"duration": "days"}, DataError, "did you mean 'day'"),
        ({"duration": ""}, ConfigError, "give either outcome, or duration and event"),
        ({"interval": 0}, ConfigError, "interval between 0 and 1"),
    ],
)
def test_what_makes_no_sense_is_refused(trial, change, kind, part):
    with pytest.raises(kind, match=part):
        fit_event(*trial, **(ASKED | {"landmark": 7} | change))


def test_no_event_and_times_that_are_none_are_refused(make_study):
    day = np.full(N, 100.0)
    study = make_study(VALUES, metric="auc_0_7", day=day, event=np.zeros(N, int))
    with pytest.raises(DataError, match="no event among 60 subjects"):
        fit_event(*study, **ASKED)
    course = course_of(np.ones((2, N, 2)) * VALUES[:, None], np.array([0.0, 10.0]))
    with pytest.raises(ConfigError, match="needs none"):
        fit_event(course, study[1], duration="day", event="event", on="log(level)", landmark=7)


def test_whether_antibodies_ever_came_is_refused_and_their_day_is_not(make_study):
    days = {"day": np.minimum(TIMES + 7, 200), "event": (TIMES < 193).astype(int)}
    ever = np.where(np.arange(N) % 2, "induced", "negative")
    with pytest.raises(TimingError, match="immortal time"):
        fit_event(*make_study(VALUES, metric="auc_0_7", **days, ada_status=ever), **ASKED, landmark=7, adjust="ada_status == 'induced'")  # fmt: skip


def test_an_outcome_with_an_onset_is_an_event_within_its_window(make_study):
    """Grades below the asked one, and onsets after the window, are censored; a missing day is refused."""
    grade = np.arange(N) % 4
    onset = np.where(grade > 0, 3.0 + np.arange(N) % 30, np.nan)
    study = make_study(VALUES, metric="auc_0_7", crs_grade=grade, crs_day=onset)
    course = course_of(np.broadcast_to(VALUES[:, None], (3, N, 3)).copy(), np.array([0.0, 5, 20]))
    asked = {"outcome": "crs_grade >= 2", "onset": "crs_day", "on": "log(level)"}
    model = fit_event(course, study[1], **asked, window=28)
    expected = (grade >= 2) & (onset <= 28)
    assert model.events == expected.sum()
    assert model.observed["duration"].to_numpy() == pytest.approx(np.where(expected, onset, 28))
    broken = make_study(
        VALUES, metric="auc_0_7", crs_grade=grade, crs_day=np.where(grade == 3, np.nan, onset)
    )
    with pytest.raises(DataError, match="without a day in crs_day"):
        fit_event(course, broken[1], **asked)
    with pytest.raises(ConfigError, match="give either"):
        fit_event(course, study[1], duration="crs_day", event="crs_grade", **asked)


def test_a_course_that_ends_before_the_risk_does_is_refused(trial):
    course = course_of(np.ones((2, N, 2)) * VALUES[:, None], np.array([0.0, 10.0]))
    with pytest.raises(
        DataError, match=r"known to day 10, and .* subjects are at risk longer, up to day 200"
    ):
        fit_event(course, trial[1], duration="day", event="event", on="log(level)")


def test_a_missing_end_of_follow_up_leaves_out_and_an_onset_after_it_is_refused(make_study):
    grade = np.arange(N) % 4
    onset = np.where(grade > 0, 3.0 + np.arange(N) % 20, np.nan)
    end = np.where(np.arange(N) < 5, np.nan, 40.0)
    course = course_of(np.broadcast_to(VALUES[:, None], (3, N, 3)).copy(), np.array([0.0, 5, 20]))
    asked = {"outcome": "crs_grade >= 2", "onset": "crs_day", "on": "log(level)", "duration": "end"}
    study = make_study(VALUES, metric="auc_0_7", crs_grade=grade, crs_day=onset, end=end)
    assert len(fit_event(course, study[1], **asked).excluded) == 5
    short = make_study(VALUES, metric="auc_0_7", crs_grade=grade, crs_day=onset, end=np.full(N, 4.0))
    with pytest.raises(DataError, match="began after the end of end"):
        fit_event(course, short[1], **asked)


@pytest.mark.parametrize(
    ("change", "kind", "part"),
    [
        ({"adjust": "slope"}, ConfigError, "is the name of a coefficient"),
        ({"adjust": ["w", "w"]}, None, ""),
        ({"adjust": None}, None, ""),
        ({"landmark": "28"}, ConfigError, "landmark is '28'; expected a day"),
        ({"duration": "words"}, DataError, "subject s00: words is 'a'; expected a number"),
        ({"seed": 1.5}, ConfigError, "expected a whole number"),
        ({"draws": 2.5}, ConfigError, "expected a whole number"),
    ],
)
def test_odd_arguments_have_an_answer(make_study, change, kind, part):
    columns = {"day": np.minimum(TIMES + 7, 200), "event": (TIMES < 193).astype(int), "slope": VALUES}
    study = make_study(VALUES, metric="auc_0_7", **columns, w=np.arange(N) % 7, words=["a"] * N)
    call = ASKED | {"landmark": 7} | change
    if kind is None:
        assert fit_event(*study, **call).n == N
    else:
        with pytest.raises(kind, match=part):
            fit_event(*study, **call)
