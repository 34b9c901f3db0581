"""Schedules whose expected widths are known, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from carkinetics.errors import ConfigError
from carkinetics.model import load_model
from carkinetics.prognosis import best_schedule, compare_schedules

Z = 2 * 1.6448536269514722  # of a 90 % interval


@pytest.fixture(scope="module")
def only_cmax(written):
    """Patients that differ in Cmax, log-linearly: each sample counts the same, whatever its day."""
    return written(["cmax"], {"fb_typical": 1e-12, "cmax_omega": 0.65, "sigma": 0.56})


@pytest.fixture(scope="module")
def only_foldx(written):
    """Patients that differ in the expansion: on day t a sample moves with ln foldx by t / tmax - 1, and after the peak by nothing."""
    return written(["foldx"], {"foldx_omega": 1.0, "sigma": 0.4, "tmax_typical": 9.3})


def test_expected_widths_and_coverage_are_those_of_normal_theory(only_cmax):
    days = {"one": (10,), "four": (10, 14, 21, 28)}
    found = compare_schedules(
        only_cmax, days, n=10, seed=3, metrics=("cmax", "auc_0_28"), lloq=1e-3, draws=400
    )
    table = found.table.set_index(["schedule", "metric"])
    for name, k in (("one", 1), ("four", 4)):
        exact = np.exp(Z / np.sqrt(1 / 0.65**2 + k / 0.56**2))
        for metric in ("cmax", "auc_0_28"):  # the area is a fixed multiple of the peak
            row = table.loc[(name, metric)]
            assert row["width"] == pytest.approx(exact, abs=4 * row["width_error"] + 0.02 * exact)
            assert row["n_samples"] == k
            assert abs(row["coverage"] - 0.9) < 4 * np.sqrt(0.09 / 10)
            assert abs(np.log(row["bias"])) < 4 * row["bias_error"]
    assert found.table["not_converged"].sum() == 0
    assert len(found.patients) == 2 * 2 * 10
    assert "cmax: four" in found.statement


def test_schedules_see_the_same_patients(only_cmax):
    found = compare_schedules(only_cmax, {"a": (10,), "b": (14, 21)}, n=5, metrics=["cmax"], lloq=1e-3)
    truth = found.patients.pivot(index="patient", columns="schedule", values="truth")
    assert truth["a"].tolist() == truth["b"].tolist()
    again = compare_schedules(only_cmax, {"a": (10,), "b": (14, 21)}, n=5, metrics=["cmax"], lloq=1e-3)
    assert found.table.equals(again.table)


@pytest.mark.slow
def test_the_best_days_for_the_doubling_time_are_the_first(only_foldx):
    found = best_schedule(
        only_foldx, budget=2, candidates=(1, 4, 7, 14), metric="doubling_time", n=6, lloq=1e-9, draws=300
    )  # fmt: skip
    assert found.days == (1, 4)
    assert found.steps["step"].tolist()[:2] == ["add day 1", "add day 4"]
    assert (found.rivals["wider"] > 1).all()
    assert found.settings["tried"] == len(found.rivals) + 1 + 4
    assert "known best from days 1, 4" in found.statement


def test_a_level_that_is_never_quantifiable_has_ends(only_cmax):
    found = compare_schedules(only_cmax, {"a": (7, 14)}, n=4, metrics=["persistence"], lloq=1e6)
    assert found.patients["lower"].min() == 0.5
    assert np.isfinite(found.table["width"]).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"schedules": {}}, "schedules is empty"),
        ({"schedules": 7}, "schedules is 7"),
        ({"schedules": {"a": (7, 7)}}, r"schedule a: days are \[7.0, 7.0\]"),
        ({"schedules": {"a": (-1, 7)}}, "different days after the infusion"),
        ({"schedules": {"before the infusion": (0, 7)}}, "different days after the infusion, above 0"),
        ({"lloq": "x"}, "lloq is 'x'; expected a number above 0"),
        ({"metrics": 3}, "metrics is 3; expected names"),
        ({"interval": "90 %"}, "interval is '90 %'"),
        ({"schedules": [(7, 14), (14, 7)]}, "same days"),
        ({"n": 1}, "n is 1"),
        ({"draws": 10}, "draws is 10"),
        ({"seed": 0.5}, "seed is 0.5"),
        ({"interval": 2}, "interval is 2"),
        ({"metrics": ["cmaxx"]}, "did you mean 'cmax'"),
        ({"lloq": -1.0}, "lloq is -1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(only_cmax, settings, message):
    asked = {"schedules": {"a": (7, 14)}, "n": 2} | settings
    schedules = asked.pop("schedules")
    with pytest.raises(ConfigError, match=message):
        compare_schedules(only_cmax, schedules, **asked)


def test_a_model_needs_an_lloq_and_something_else_than_a_model_is_refused():
    with pytest.raises(ConfigError, match="lloq is nan; give the LLOQ"):
        compare_schedules(load_model("stein2019"), [(7, 14)])
    with pytest.raises(ConfigError, match="a str stands where a Model or a Fit is expected"):
        compare_schedules("stein2019", [(7, 14)])


@pytest.mark.parametrize(
    ("budget", "message"), [(0, "budget is 0"), (5, "from 1 to the 3 candidates"), (1.5, "budget is 1.5")]
)
def test_a_budget_that_cannot_be_spent_is_refused(only_cmax, budget, message):
    with pytest.raises(ConfigError, match=message):
        best_schedule(only_cmax, budget=budget, candidates=(7, 14, 21), metric="cmax")


def test_patients_of_a_fit_have_covariates_and_doses_of_its_subjects(dose_fit):
    fit = replace(dose_fit, settings=dose_fit.settings | {"correlated": []})
    found = compare_schedules(fit, {"a": (7, 14)}, n=3, metrics=["cmax"], draws=60)
    assert found.settings["lloq"] == 200
    assert found.settings["population"] == "posterior of the fit"
    assert len(found.patients) == 3


@pytest.mark.slow
def test_with_the_truth_drawn_from_the_population_intervals_of_every_schedule_cover_as_they_say(stein):
    schedules = {"weekly": (7, 14, 21, 28), "early": (1, 3, 7, 10)}
    table = compare_schedules(stein, schedules, n=250, seed=5).table
    assert (table["not_converged"] <= 5).all()
    assert (np.abs(table["coverage"] - 0.9) < 3 * np.sqrt(0.09 / 250)).all()
    width = table.set_index(["schedule", "metric"])["width"]
    assert width["weekly", "auc_0_28"] < width["early", "auc_0_28"]
    assert width["early", "doubling_time"] < width["weekly", "doubling_time"]
