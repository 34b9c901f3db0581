from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from carkinetics.dataset.table import EVENT_COLUMNS
from carkinetics.errors import ConfigError, DataError
from carkinetics.response import fit_grade, logistic_ml
from carkinetics.response.timing import TimingError, with_event_days

# Acceptance F1: 16 patients, AUC0-28 in copies*day/ug and response.
AUC = 1e3 * np.array([20, 35, 50, 60, 80, 100, 120, 150, 190, 220, 260, 300, 360, 420, 500, 600])
RESPONSE = np.array([0, 0, 0, 1, 0, 0, 1, 0, 1, 0, 1, 1, 0, 1, 1, 1])
CALL = {"outcome": "response == 1", "on": "log(auc_0_28)"}


def row(model, parameter):
    return (
        model.table.set_index("parameter").loc[parameter, ["value", "lower", "upper"]].to_numpy(dtype=float)
    )


def exact_slope(prior=(10.0, 2.5)):
    """Mean and standard deviation of the slope by a rectangular grid on the scaled predictor."""
    x = np.log(AUC)
    scale = 2 * x.std(ddof=1)
    z = (x - x.mean()) / scale
    a, b = np.meshgrid(np.linspace(-12, 12, 801), np.linspace(-12, 12, 801), indexing="ij")
    eta = a[..., None] + b[..., None] * z
    log_mass = (
        (RESPONSE * eta - np.logaddexp(0, eta)).sum(-1)
        - 0.5 * (a / prior[0]) ** 2
        - 0.5 * (b / prior[1]) ** 2
    )
    mass = np.exp(log_mass - log_mass.max())
    mass /= mass.sum()
    mean = (mass * b).sum()
    return mean / scale, np.sqrt((mass * (b - mean) ** 2).sum()) / scale


def test_the_posterior_of_the_reference_patients_is_the_exact_one(make_study):
    model = fit_grade(*make_study(AUC, response=RESPONSE), **CALL, seed=1)
    mean, sd = exact_slope()
    assert (model.n, model.events, model.separated) == (16, 8, False)
    assert model.draws["slope"].mean() == pytest.approx(mean, abs=4 * sd / np.sqrt(len(model.draws)))
    assert model.draws["slope"].std() == pytest.approx(sd, rel=0.05)


def test_with_a_wide_prior_and_much_data_it_is_maximum_likelihood(make_study):
    x, y = np.tile(AUC, 25), np.tile(RESPONSE, 25)
    model = fit_grade(*make_study(x, response=y), **CALL, prior_slope_sd=100, prior_intercept_sd=100)
    ml = logistic_ml(np.log(x), y)
    # The posterior of 400 subjects is still a little skewed: the exact one has the ends 1.205 and 1.710, Wald 1.188 and 1.690.
    assert row(model, "slope")[0] == pytest.approx(ml.coefficients[1], abs=0.1 * ml.se[1])
    assert row(model, "slope")[1:] == pytest.approx([1.2053, 1.7097], abs=0.01)


def test_odds_ratio_and_curve_follow_from_the_draws(make_study):
    model = fit_grade(*make_study(AUC, response=RESPONSE), **CALL)
    expected = np.quantile(2 ** model.draws["slope"], [0.5, 0.05, 0.95])
    np.testing.assert_allclose(row(model, "odds_ratio_per_doubling"), expected, rtol=1e-9)
    assert model.curve["x"].iloc[[0, -1]].tolist() == pytest.approx([20e3, 600e3])
    point = model.curve.iloc[40]
    p = expit(model.draws["intercept"] + model.draws["slope"] * np.log(point["x"]))
    assert point[["median", "lower", "upper"]].tolist() == pytest.approx(
        np.quantile(p, [0.5, 0.05, 0.95]).tolist()
    )


def test_on_the_metric_itself_the_odds_ratio_is_per_standard_deviation(make_study):
    model = fit_grade(*make_study(AUC, response=RESPONSE), outcome="response", on="auc_0_28")
    expected = np.quantile(np.exp(model.draws["slope"] * AUC.std(ddof=1)), [0.5, 0.05, 0.95])
    np.testing.assert_allclose(row(model, "odds_ratio_per_sd"), expected, rtol=1e-9)
    assert "per standard deviation of AUC day 0–28" in model.statement


def test_the_unit_of_exposure_changes_the_intercept_only(make_study):
    small, large = (fit_grade(*make_study(k * AUC, response=RESPONSE), **CALL, seed=2) for k in (1e-3, 1.0))
    np.testing.assert_allclose(row(small, "slope"), row(large, "slope"), rtol=1e-6)
    np.testing.assert_allclose(
        small.draws["intercept"] - large.draws["intercept"],
        large.draws["slope"] * np.log(1e3),
        rtol=1e-6,
        atol=1e-6,
    )


def test_draws_without_spread_are_the_point_analysis(make_study):
    point = fit_grade(*make_study(AUC, response=RESPONSE), **CALL, seed=1)
    drawn = fit_grade(*make_study(AUC, response=RESPONSE, spread=0.0), **CALL, seed=1)
    mean, sd = exact_slope()
    assert drawn.draws["slope"].mean() == pytest.approx(mean, abs=4 * sd / np.sqrt(4000))
    assert point.settings["exposure"] == "point values; their uncertainty is not carried"
    assert drawn.settings["exposure"] == "posterior draws, 200 of 400"
    assert drawn.draws["exposure_draw"].nunique() == 200


def test_uncertain_exposures_flatten_the_slope_and_weaken_the_claim(make_study):
    # Strong relation, so that flattening is visible beside Monte Carlo error.
    x, y = np.tile(AUC, 3), np.tile(RESPONSE, 3)
    spreads = (0.0, 0.7, 1.5)
    models = [fit_grade(*make_study(x, response=y, spread=s), **CALL, seed=1, draws=80) for s in spreads]
    slopes = [row(m, "slope")[0] for m in models]
    assert slopes[0] > slopes[1] > slopes[2] > 0
    rises = [(m.draws["slope"] > 0).mean() for m in models]
    assert rises[0] > rises[1] > rises[2]
    # The interval of one draw's regression is narrower than that of the pool, relative to its slope.
    widths = [(row(m, "slope")[2] - row(m, "slope")[1]) / row(m, "slope")[0] for m in models]
    assert widths[0] < widths[1] < widths[2]


def test_pooling_over_exposure_draws_widens_the_interval(make_study):
    model = fit_grade(*make_study(AUC, response=RESPONSE, spread=0.7), **CALL, seed=1)
    within = model.draws.groupby("exposure_draw")["slope"].var().mean()
    assert model.draws["slope"].var() > 1.1 * within


def test_separation_is_said_and_the_interval_is_finite(make_study):
    model = fit_grade(*make_study(AUC, grade=(AUC > 2e5) * 3), outcome="grade >= 3", on="log(auc_0_28)")
    assert model.separated
    assert "rests on the prior" in model.statement
    assert np.isfinite(row(model, "slope")).all()
    assert row(model, "slope")[1] > 0


def test_without_any_event_the_statement_says_so(make_study):
    model = fit_grade(*make_study(AUC, grade=0), outcome="grade >= 3", on="log(auc_0_28)")
    assert model.events == 0
    assert model.statement.endswith("All subjects have the same outcome, so this interval is the prior.")


def test_who_is_left_out_is_named_with_the_reason(make_study):
    values, response = AUC.copy(), RESPONSE.astype(float)
    values[0], values[1], response[2] = np.nan, 0.0, np.nan
    model = fit_grade(*make_study(values, response=response), **CALL)
    assert dict(model.excluded.itertuples(index=False)) == {
        "s00": "all values below the LLOQ",
        "s01": "the value is not above 0, so it has no logarithm",
        "s02": "outcome 'response == 1' is missing",
    }
    assert model.n == len(model.observed) == 13
    assert fit_grade(*make_study(values, response=response), outcome="response == 1", on="auc_0_28").n == 14


def test_the_same_seed_gives_the_same_model(make_study):
    study = make_study(AUC, response=RESPONSE, spread=0.3)
    first, second = (fit_grade(*study, **CALL, seed=5) for _ in range(2))
    assert first.table.equals(second.table)
    assert first.settings["seed"] == 5


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"on": "log(cmx)"}, "no metric 'cmx'"),
        ({"on": "sqrt(cmax)"}, "expected a metric, such as 'cmax', or its logarithm"),
        ({"outcome": "respons == 1"}, "did you mean 'response'"),
        ({"interval": 1.0}, "interval between 0 and 1"),
        ({"draws": 0}, "at least 1 draw"),
        ({"prior_slope_sd": 0.0}, "above 0"),
    ],
)
def test_a_choice_that_does_not_exist_is_refused(make_study, change, part):
    with pytest.raises(ConfigError, match=part):
        fit_grade(*make_study(AUC, response=RESPONSE), **(CALL | change))


def test_too_little_data_is_refused(make_study):
    with pytest.raises(DataError, match="2 subjects have both; expected at least 3"):
        fit_grade(*make_study([1.0, 2.0], response=[0, 1]), **CALL)
    with pytest.raises(DataError, match="a slope needs two values"):
        fit_grade(*make_study([5.0] * 4, response=[0, 1, 1, 0]), **CALL)


GRADES = np.array([0, 0, 1, 0, 1, 1, 0, 1, 2, 1, 1, 2, 1, 2, 3, 2])


def test_a_grade_is_proportional_odds_with_a_logistic_regression_of_every_cut(make_study):
    """Acceptance F4 with much data and wide priors: maximum likelihood 2.81849."""
    cmax = np.exp([8.2, 8.6, 8.9, 9.1, 9.3, 9.6, 9.8, 10, 10.1, 10.3, 10.5, 10.6, 10.8, 11, 11.2, 11.5])
    study = make_study(np.tile(cmax, 40), metric="cmax", grade=np.tile(GRADES, 40))
    model = fit_grade(*study, outcome="grade", on="log(cmax)", prior_slope_sd=100, prior_intercept_sd=100)
    assert model.settings["family"] == "ordinal"
    assert row(model, "slope")[0] == pytest.approx(2.81849, abs=0.05)
    assert row(model, "cut[1]")[0] == pytest.approx(25.79123, rel=0.02)
    assert model.per_cut["cut"].tolist() == [">= 1", ">= 2", ">= 3"]
    assert set(model.curve["grade"]) == {"1", "2", "3"}
    assert model.statement.startswith("480 of 640 subjects are above the lowest grade")


def test_odds_that_are_not_proportional_are_said(make_study):
    from carkinetics.response import exposure_response_findings

    rng = np.random.default_rng(3)
    x = rng.normal(size=600)
    high = rng.random(600) < expit(2.5 * x)
    grade = np.where(high, 2, (rng.random(600) < 0.5).astype(int))
    model = fit_grade(*make_study(np.exp(x), grade=grade), outcome="grade", on="log(auc_0_28)")
    assert not model.per_cut["agrees"].all()
    found = exposure_response_findings(model).set_index("rule")
    assert found.loc["odds-not-proportional", "severity"] == "warning"


def test_numbers_and_counts_have_their_own_regressions(make_study):
    rng = np.random.default_rng(5)
    x = rng.normal(10, 1, 300)
    change = -20 - 6 * (x - 10) + rng.normal(0, 15, 300)
    counts = rng.poisson(np.exp(0.5 + 0.4 * (x - 10)) * rng.gamma(2, 0.5, 300))
    study = make_study(np.exp(x), change=change, counts=counts)
    number = fit_grade(*study, outcome="change", on="log(auc_0_28)")
    slope, intercept = np.polyfit(x, change, 1)
    assert row(number, "slope")[0] == pytest.approx(slope, abs=0.15)
    assert row(number, "difference_per_doubling")[0] == pytest.approx(slope * np.log(2), abs=0.15)
    assert row(number, "residual_sd")[0] == pytest.approx(np.std(change - slope * x - intercept), rel=0.03)
    count = fit_grade(*study, outcome="counts", on="log(auc_0_28)", family="count")
    low, high = row(count, "ratio_per_doubling")[1:]
    assert low < 2**0.4 < high
    with pytest.raises(DataError, match="a count is a whole number"):
        fit_grade(*study, outcome="change", on="log(auc_0_28)", family="count")


def test_adjusting_undoes_confounding_and_comedication_is_marked(make_study):
    from carkinetics.response import exposure_response_findings

    rng = np.random.default_rng(6)
    burden = rng.normal(size=400)
    x = burden + 0.5 * rng.normal(size=400)  # burden drives expansion and outcome; exposure does nothing
    y = (rng.random(400) < expit(1.5 * burden)).astype(int)
    study = make_study(np.exp(x), response=y, burden=burden, tocilizumab=rng.integers(0, 2, 400))
    plain = fit_grade(*study, **CALL)
    adjusted = fit_grade(*study, **CALL, adjust="burden")
    assert row(plain, "slope")[1] > 0.5
    assert row(adjusted, "slope")[1] < 0 < row(adjusted, "slope")[2]
    rules = exposure_response_findings(fit_grade(*study, **CALL, adjust=["burden", "tocilizumab"]))
    assert "tocilizumab" in rules.set_index("rule").loc["on-the-path", "message"]
    assert "unadjusted" not in set(rules["rule"])


def test_an_emax_curve_levels_off(make_study):
    rng = np.random.default_rng(8)
    x = rng.normal(0, 2, 800)
    y = (rng.random(800) < expit(-2 + 4 / (1 + np.exp(-(x + 1))))).astype(int)
    model = fit_grade(*make_study(np.exp(x), response=y), **CALL, shape="emax")
    for name, true in (("slope", 4.0), ("ec50", np.exp(-1.0)), ("intercept", -2.0)):
        low, high = row(model, name)[1:]
        assert low < true < high, name
    with pytest.raises(ConfigError, match="sigmoid of log exposure"):
        fit_grade(*make_study(np.exp(x), response=y), outcome="response == 1", on="auc_0_28", shape="emax")


def test_an_onset_before_the_exposure_is_complete_is_refused_unless_told_otherwise(make_study):
    onset = np.where(RESPONSE == 1, 12.0, np.nan)
    study = make_study(AUC, crs_grade=RESPONSE * 3, crs_day=onset)
    with pytest.raises(TimingError, match="in 8 of the 8 subjects with the outcome"):
        fit_grade(*study, outcome="crs_grade >= 3", on="log(auc_0_28)")
    assert fit_grade(*study, outcome="crs_grade >= 3", on="log(auc_0_28)", onset="").n == 16


def with_events(data, name, onset):
    """The data as they are read where the column of days is declared to be an event."""
    had = [(s, day, name, np.nan, i) for i, (s, day) in enumerate(zip(data.subject_ids, onset, strict=True))]
    known = [row for row in had if np.isfinite(row[1])]
    return replace(data, events=pd.DataFrame(known, columns=list(EVENT_COLUMNS)))


@pytest.mark.parametrize("name", ["crs", "CRS"])
def test_the_day_of_a_declared_event_refuses_as_its_column_does(make_study, name):
    onset = np.where(RESPONSE == 1, 12.0, np.nan)
    asked = {"outcome": "crs_grade >= 3", "on": "log(auc_0_28)"}
    with pytest.raises(TimingError) as by_column:
        fit_grade(*make_study(AUC, crs_grade=RESPONSE * 3, crs_day=onset), **asked)
    exposure, data = make_study(AUC, crs_grade=RESPONSE * 3)
    declared = with_events(data, name, onset)
    for given in ({}, {"onset": "crs_day"}):
        with pytest.raises(TimingError) as by_event:
            fit_grade(exposure, declared, **asked, **given)
        assert str(by_event.value) == str(by_column.value)
    later = with_events(data, name, onset + 20)
    assert fit_grade(exposure, later, **asked).settings["timing_checked"] is True
    assert fit_grade(exposure, declared, **asked, onset="").settings["timing_checked"] is False


def test_the_first_of_several_events_counts_and_a_column_goes_before_them(make_study):
    _, data = make_study(AUC, crs_day=np.arange(16.0))
    twice = pd.concat([with_events(data, "icans", at).events for at in (np.full(16, 9.0), np.arange(16.0))])
    found = with_event_days(data.subjects.set_index("subject"), replace(data, events=twice))
    assert found["icans_day"].tolist() == np.minimum(np.arange(16), 9).tolist()
    kept = with_event_days(data.subjects.set_index("subject"), with_events(data, "crs", np.full(16, 2.0)))
    assert kept["crs_day"].tolist() == list(range(16))


def test_an_outcome_without_its_day_is_refused(make_study):
    onset = np.where((RESPONSE == 1) & (np.arange(16) > 8), 40.0, np.nan)
    study = make_study(AUC, crs_grade=RESPONSE * 3, crs_day=onset)
    with pytest.raises(DataError, match=r"subject s03: crs_grade >= 3 without a day in crs_day \(3 of 8"):
        fit_grade(*study, outcome="crs_grade >= 3", on="log(auc_0_28)")


def test_exposure_that_changes_with_time_is_no_number(make_study):
    from carkinetics.exposure import ExposureCourse
    from carkinetics.response import exposure_response

    _, data = make_study(AUC, response=RESPONSE, day=np.arange(16) + 40.0, event=RESPONSE)
    level = np.ones((2, 16, 2)) * AUC[:, None]
    course = ExposureCourse(
        tuple(data.subject_ids), np.array([0.0, 60]), level, level, "copies/ug", 1.0, pd.Series(dtype=object)
    )
    with pytest.raises(ConfigError, match="needs one number per subject"):
        fit_grade(course, data, outcome="response == 1", on="log(level)")
    with pytest.raises(ConfigError, match="needs one number per subject"):
        exposure_response(course, data, duration="day", event="event", on="log(level)")


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_a_number_is_fitted_in_any_unit(make_study, unit: float):
    rng = np.random.default_rng(9)
    x = rng.normal(8, 1, 60)
    y = 5 + 3 * (x - 8) + rng.normal(0, 0.5, 60)
    model = fit_grade(*make_study(np.exp(x), y=unit * y), outcome="y", on="log(auc_0_28)")
    assert row(model, "slope")[0] == pytest.approx(np.polyfit(x, unit * y, 1)[0], rel=0.02)


def test_a_constant_or_infinite_number_is_refused(make_study):
    for y, part in ((np.full(16, 0.1), "in all 16 subjects"), (np.r_[np.inf, np.arange(15) / 7], "finite")):
        with pytest.raises(DataError, match=part):
            fit_grade(*make_study(AUC, y=y), outcome="y", on="log(auc_0_28)", family="continuous")
