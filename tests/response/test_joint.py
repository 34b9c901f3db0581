"""Kinetics and outcome in one model: its parts against what they must be, and its two roads against each other."""

import dataclasses

import numpy as np
import pytest
from scipy.special import expit

import carkinetics as ck
from carkinetics.errors import ConfigError
from carkinetics.fit.conditional import _weights, conditional_weights
from carkinetics.response.bayes import Regression, Scale
from carkinetics.response.case import pose
from carkinetics.response.family import Binary
from carkinetics.response.kind import kind_of, regression_of
from carkinetics.response.marginal import sample_marginal
from carkinetics.response.question import Question

RANDOM = ["foldx", "tmax", "cmax", "alpha"]


def simulated(n: int = 30, seed: int = 5, slope: float = 1.0) -> ck.Dataset:
    data = ck.simulate(kinetics(), {"times": (4, 8, 12, 16, 28), "lloq": 25}, n, seed, sigma=0.8)
    x = np.log(data.subjects["true_cmax"].to_numpy()) - np.log(24000)
    rng = np.random.default_rng(seed)
    day = rng.exponential(100, n) / np.exp(0.7 * x)
    columns = {
        "responded": (rng.random(n) < expit(slope * x)).astype(int), "day": np.minimum(day, 250), "event": (day < 250).astype(int),
    }  # fmt: skip
    return dataclasses.replace(data, subjects=data.subjects.assign(**columns))


def kinetics() -> ck.Model:
    return ck.load_model("stein2019").fix(fb=0.0079, beta=0.0032)


@pytest.fixture(scope="module")
def fit() -> ck.Fit:
    return ck.fit_hierarchical(kinetics(), simulated(), random=RANDOM, method="laplace", seed=1)


def test_one_draw_of_each_population_becomes_a_sample_from_any():
    """Normal populations with known means: the weighted mean of all draws is each one's own mean."""
    rng = np.random.default_rng(1)
    centre = rng.normal(0, 0.5, 1500)
    draw = centre + rng.standard_normal(1500)
    constant = rng.normal(0, 3, 1500)  # unknown to the method, and different for every population
    log_density = -0.5 * (draw - centre[:, None]) ** 2 + constant[:, None]
    weight = _weights(log_density)
    np.testing.assert_allclose(weight.sum(axis=1), 1.0, rtol=1e-12)
    mean, square = weight @ draw, weight @ draw**2
    assert np.abs(mean - centre).max() < 0.25
    assert np.std(mean - centre) < 0.05
    near = np.abs(centre) < 1
    np.testing.assert_allclose((square - mean**2)[near], 1.0, atol=0.15)
    np.testing.assert_allclose(weight, _weights(-0.5 * (draw - centre[:, None]) ** 2), rtol=1e-5)


@pytest.mark.slow
def test_weights_of_a_fit_leave_the_exposures_where_they_are(fit: ck.Fit):
    rows = np.arange(0, 800, 4)
    weight = conditional_weights(fit, rows)
    assert weight.shape == (30, 200, 200)
    np.testing.assert_allclose(weight.sum(axis=2), 1.0, rtol=1e-9)
    log_cmax = np.log(fit.tree["posterior"]["cmax"].stack(s=("chain", "draw")).to_numpy()[:, rows])
    means = np.einsum("isk,ik->is", weight, log_cmax).mean(axis=1)
    spread = log_cmax.std(axis=1)
    assert np.abs((means - log_cmax.mean(axis=1)) / spread).max() < 0.15


def test_where_exposures_are_known_the_joint_posterior_is_the_regression():
    rng = np.random.default_rng(2)
    x = rng.normal(size=40)
    y = (rng.random(40) < expit(x)).astype(float)
    regression = Regression(Binary(y), Scale.of(x), np.empty((40, 0)))
    weights = np.full((40, 50, 50), 1 / 50)
    known = sample_marginal(regression, np.tile(x, (50, 1)), np.arange(40), weights, rng)
    a, b = np.meshgrid(np.linspace(-6, 6, 601), np.linspace(-8, 14, 801), indexing="ij")
    theta = np.stack([a, b], axis=-1).reshape(1, -1, 2)
    log_density = regression.log_posterior(theta, x[None])[0]
    mass = np.exp(log_density - log_density.max())
    mean = (mass * theta[0, :, 1]).sum() / mass.sum()
    sd = np.sqrt((mass * (theta[0, :, 1] - mean) ** 2).sum() / mass.sum())
    assert known.theta[:, 1].mean() == pytest.approx(mean, abs=0.1 * sd)
    assert known.theta[:, 1].std() == pytest.approx(sd, rel=0.07)
    assert known.k < 0.7


@pytest.mark.slow
def test_an_error_in_the_predictor_is_undone():
    """Classical error as large as the truth: two stages halve the slope, the average over each exposure does not."""
    rng = np.random.default_rng(7)
    n, true = 200, 2.0
    x = rng.standard_normal(n)
    y = (rng.random(n) < expit(true * x)).astype(float)
    measured = x + rng.standard_normal(n)
    # Posterior of x given its measurement and a population N(0, 1): N(measured / 2, 1/2), independent of the population.
    draws = measured / 2 + np.sqrt(0.5) * rng.standard_normal((150, n))
    regression = Regression(Binary(y), Scale.of(draws), np.empty((n, 0)))
    weights = np.full((n, 150, 150), 1 / 150)
    found = sample_marginal(regression, draws, np.arange(n), weights, rng)
    slope = regression.natural(found.theta)["slope"]
    assert slope.quantile(0.05) < true < slope.quantile(0.95)
    after = found.exposures.mean(axis=0)
    assert after[y == 1].mean() > draws.mean(axis=0)[y == 1].mean()


@pytest.mark.slow
def test_the_result_shows_naive_two_stages_and_joint(fit: ck.Fit):
    model = ck.fit_joint(fit, outcome="responded == 1", method="weights", seed=2)
    slope = model.table.set_index("parameter").loc["slope"]
    cut = model.two_stage.set_index("parameter").loc["slope"]
    assert abs(slope["value"]) > abs(cut["value"])
    assert slope["naive"] == cut["naive"]
    assert model.converged
    assert model.settings["method"] == "weights"
    assert set(model.moved.columns) == {"before", "before_sd", "after", "after_sd", "shift"}
    assert "in two stages" in model.statement
    alone = ck.fit_joint(fit, outcome="responded == 1", informs="nothing", seed=2)
    assert alone.statement.endswith("The outcome does not speak on the exposures.")
    assert alone.table.set_index("parameter").loc["slope", "value"] == cut["value"]


@pytest.mark.slow
def test_events_and_exposure_that_changes_with_time_are_joined_too(fit: ck.Fit):
    asked = {"duration": "day", "event": "event", "method": "weights", "draws": 100}
    latent = ck.fit_joint(fit, **asked, on="log(auc_0_28)")
    assert latent.outcome.events == int(fit.data.subjects["event"].sum())
    moving = ck.fit_joint(fit, **asked, on="log(level)", days=[2, 5, 8, 12, 16, 28, 60, 120, 250])
    assert moving.outcome.settings["changes_with_time"]
    assert np.isfinite(moving.moved["shift"]).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"method": "nut"}, "did you mean 'nuts'"),
        ({"informs": "all"}, "informs is 'all'"),
        ({"outcome": "", "duration": "day"}, "give either outcome, or duration and event"),
        ({"duration": "day"}, "give either outcome, or duration and event"),
        ({"family": "gam"}, "family is 'gam'"),
        ({"draws": 3}, "expected at least 20"),
        ({"on": "log(level)", "days": [7, 14]}, "changes with time goes with fit_event"),
        (
            {
                "outcome": "",
                "duration": "day",
                "event": "event",
                "on": "log(level)",
                "days": [7, 14, 250],
                "landmark": 7,
            },
            "never looks into the future",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(fit: ck.Fit, change, part):
    with pytest.raises(ConfigError, match=part):
        ck.fit_joint(fit, **({"outcome": "responded == 1"} | change))


@pytest.mark.slow
def test_a_course_begins_at_nothing_and_its_area_is_the_metric(fit: ck.Fit):
    course = ck.exposure_course(fit, [7, 14, 28], draws=50)
    assert course.days.tolist() == [0, 7, 14, 28]
    assert (course.auc[..., 0] == course.floor).all()
    assert (np.diff(course.auc, axis=-1) > 0).all()
    metric = ck.exposure_from(fit, metrics=["auc_0_28"]).metric("auc_0_28")
    middle = np.median(course.auc[..., -1], axis=0)
    np.testing.assert_allclose(middle, metric.loc[list(course.subject_ids)], rtol=0.2)
    with pytest.raises(ConfigError, match="days: expected numbers above 0"):
        ck.exposure_course(fit, [-1, 3])
    with pytest.raises(ConfigError, match="did you mean 'level'"):
        course.values("levels")


@pytest.mark.slow
def test_the_pymc_model_computes_the_exposure_of_the_metric(fit: ck.Fit):
    """Its quadrature on fixed days against exposure_from, whose pieces begin at the curve's own kinks."""
    import pymc as pm

    from carkinetics.fit.em import laplace_em
    from carkinetics.fit.hierarchical import problem_of
    from carkinetics.fit.nuts import starting_point
    from carkinetics.response.joint_graph import joint_pymc_model

    problem = problem_of(fit)
    point = starting_point(problem, laplace_em(problem), np.random.default_rng(1))
    for metric in ("cmax", "auc_0_28"):
        question = Question.of(outcome="responded == 1", on=f"log({metric})", onset="")
        case = pose(ck.exposure_from(fit, metrics=[metric]), fit.data, question, fewest=5)
        regression = regression_of(case, kind_of(case, "auto", 10.0))
        model = joint_pymc_model(fit, case, None, regression)
        wanted = [model["exposure"], *(model[name] for name in RANDOM)]
        values = [variable for variable in model.value_vars if variable.name != "coefficient"]
        found, *parameters = pm.pytensorf.compile(
            values, model.replace_rvs_by_values(wanted), on_unused_input="ignore"
        )(*(point[value.name] for value in values))
        natural = dict(zip(RANDOM, parameters, strict=True)) | {
            "fb": np.full(30, 0.0079),
            "beta": np.full(30, 0.0032),
        }
        from carkinetics.exposure.curve_metrics import areas, peak

        exact = peak(kinetics(), natural)[0] if metric == "cmax" else areas(kinetics(), natural, [28.0])[0]
        np.testing.assert_allclose(np.exp(found), exact, rtol=0.02)


@pytest.mark.slow
def test_weights_and_nuts_agree():
    data = simulated(24, seed=9)
    fit = ck.fit_hierarchical(kinetics(), data, random=RANDOM, seed=3)
    # 300 exposure draws are some 100 effective ones here: their 5 % end has a simulation error of 0.45 on a width of 6.5.
    weighed, sampled = (
        ck.fit_joint(fit, outcome="responded == 1", method=method, draws=800, seed=4)
        for method in ("weights", "nuts")
    )
    one, other = (m.table.set_index("parameter").loc["slope"] for m in (weighed, sampled))
    width = other["upper"] - other["lower"]
    for end in ("value", "lower", "upper"):
        assert one[end] == pytest.approx(other[end], abs=0.1 * width)
    shift = (weighed.moved["after"] - sampled.moved["after"]) / weighed.moved["before_sd"]
    assert shift.abs().max() < 0.35
    assert sampled.settings["rhat"] < 1.01
    assert sampled.tree is not None
