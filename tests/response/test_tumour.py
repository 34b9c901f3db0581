"""Tumour size under the CAR-T curve: progression by formula, and a composed fit of real shape."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

import carkinetics as ck
from carkinetics.errors import ConfigError
from carkinetics.fit.predictive import subject_levels
from carkinetics.model.library import with_layer
from carkinetics.response.tumour import first_progression


@given(st.floats(0.002, 0.02), st.floats(0.005, 0.05), st.floats(30, 200))
def test_a_tumour_that_shrinks_and_then_grows_progresses_a_fifth_above_its_nadir(growth, shrink, size):
    turn = 50.0
    time = np.arange(0, 1000, 0.5)
    level = size * np.exp(np.where(time < turn, -shrink * time, -shrink * turn + growth * (time - turn)))
    nadir = size * np.exp(-shrink * turn)
    expected = turn + np.log(max(1.2, 1 + 5 / nadir)) / growth
    found = first_progression(time, level)
    if expected < time[-1]:
        assert found == pytest.approx(expected, abs=0.5001)
    else:
        assert np.isinf(found)


def test_growth_of_a_fifth_needs_five_millimetres_too():
    time = np.array([0.0, 42, 84])
    assert first_progression(time, np.array([10.0, 12.5, 16])) == 84
    assert first_progression(time, np.array([100.0, 110, 119.9])) == np.inf
    assert first_progression(time, np.array([[100.0, 120, 90]] * 3)).tolist() == [42, 42, 42]


def test_what_the_layer_cannot_know_is_given_and_mistakes_are_refused():
    model = ck.load_model("stein2019")
    composed = with_layer(model, "tumour_claret", tumour_half={"typical": 1000.0})
    assert composed.parameters["tumour_half"].typical == 1000
    design = {"times": (7, 28), "lloq": 50}
    data = ck.simulate(composed, design, n=3, seed=1, others={"tumour": {"times": (42,), "lloq": 1}})
    with pytest.raises(ConfigError, match="half is -1"):
        ck.fit_tumour(model, data, "tumour", half=-1)
    cells = model.in_unit("cells/uL", cmax={"dist": "lognormal", "median": 100, "sigma": 2})
    with pytest.raises(
        ConfigError, match="0 assays are in cells/uL; name the one of the CAR-T level by level="
    ):
        ck.fit_tumour(cells, data, "tumour")


def _check_hazard_on_size(fit: ck.Fit) -> None:
    """Death follows the true size of the tumour: the slope on the fitted size holds it, in two stages and jointly."""
    rng, grid = np.random.default_rng(5), np.arange(0.0, 252.0, 4.0)
    names, n = list(fit.model.parameters), len(fit.data.subjects)
    truth = {
        name: fit.data.subjects[f"true_{name}"].to_numpy(float)
        if f"true_{name}" in fit.data.subjects
        else np.full(n, fit.model.parameters[name].typical)
        for name in names
    }
    index = np.repeat(np.arange(n), len(grid))
    size = subject_levels(
        fit.model, fit.data, index, np.tile(grid, n), {k: v[None] for k, v in truth.items()}, "tumour"
    )
    size = size.reshape(n, len(grid))
    survival = np.exp(-np.cumsum(4 * 0.006 * (size / 80), axis=1))
    at = (survival > rng.random(n)[:, None]).sum(axis=1)
    columns = {"os_day": np.minimum(4.0 * at + 2, 252), "os_event": (at < len(grid)).astype(int)}
    data = dataclasses.replace(fit.data, subjects=fit.data.subjects.assign(**columns))
    # One data set: a 90 % interval would miss the truth in one of ten.
    asked = {"duration": "os_day", "event": "os_event", "on": "log(level)", "interval": 0.98}
    course = ck.exposure_course(fit, grid[1:], output="tumour", draws=100)
    assert course.unit == "mm"
    two_stage = ck.fit_event(course, data, **asked).table.set_index("parameter").loc["slope"]
    joint = ck.fit_joint(fit, data, **asked, days=grid[1:], output="tumour", method="weights", draws=100)
    slope = joint.table.set_index("parameter").loc["slope"]
    for row in (two_stage, slope):
        assert row["lower"] < 1.0 < row["upper"]


@pytest.mark.slow
def test_growth_killing_and_the_days_of_progression_of_simulated_subjects_come_back():
    model = with_layer(ck.load_model("stein2019"), "tumour_claret", tumour_half={"typical": 5000.0})
    spread = {
        "foldx": 0.0,
        "tmax": 0.2,
        "cmax": 0.8,
        "alpha": 0.3,
        "fb": 0.0,
        "beta": 0.0,
        "tumour_growth": 0.3,
        "tumour_kill": 0.4,
    }
    data = ck.simulate(
        model, {"times": (3, 7, 10, 14, 21, 28, 56, 84), "lloq": 50}, n=24, seed=6, omega=spread, sigma={"level": 0.3, "tumour": 0.05},
        others={"tumour": {"times": (0, 28, 56, 84, 126, 168, 210, 252), "lloq": 1, "assay": "sld"}},
    )  # fmt: skip
    fit = ck.fit_tumour(
        ck.load_model("stein2019").fix(fb=0.0079, beta=0.0032, foldx=3900.0), data, "sld", half=5000.0,
        random=["tmax", "cmax", "alpha", "tumour_size0", "tumour_growth", "tumour_kill"], seed=2, max_minutes=6,
    )  # fmt: skip
    found = fit.population()
    for name in ("tumour_growth", "tumour_kill"):
        row = found.loc[f"{name}_typical"]
        drawn = np.exp(
            np.log(data.subjects[f"true_{name}"].astype(float)).mean()
        )  # of the population in these subjects
        assert row["lower"] < drawn < row["upper"], name
    _check_hazard_on_size(fit)
    days = ck.progression_by_model(fit, horizon=500.0)
    time, n = np.arange(0, 500.5), len(data.subjects)
    true = {name: data.subjects[f"true_{name}"].to_numpy(float)[None] for name in model.parameters}
    size = subject_levels(model, data, np.repeat(np.arange(n), len(time)), np.tile(time, n), true, "tumour")
    expected = first_progression(time, size.reshape(n, -1))
    inside = (days["day_lower"] <= expected) & (expected <= days["day_upper"])
    assert inside.mean() > 0.75
    assert days.attrs["median"]["lower"] <= np.median(expected) <= days.attrs["median"]["upper"]


@pytest.mark.slow
def test_days_from_sizes_order_the_subjects_of_the_example_as_their_pfs_does():
    whole = ck.example("nct05783089")
    # Half of the patients, for time. Among all 87 one has two explanations that the sampler does not weigh well (R-hat 1.08).
    data = whole.select(subjects=list(whole.subject_ids)[1::2])
    effects = ["foldx", "tmax", "cmax", "alpha", "fb", "tumour_size0", "tumour_growth", "tumour_kill"]
    fit = ck.fit_tumour(ck.load_model("stein2019"), data, "sld", random=effects, seed=1)
    assert ck.diagnose(fit).attrs["converged"]
    found = ck.progression_by_model(fit)
    rows = data.observations[data.observations["assay"] == "sld"]
    several = rows.groupby("subject").size() >= 3
    pfs = data.subjects.set_index("subject")["pfs_day"][several[several].index]
    assert spearmanr(found.loc[pfs.index, "day"], pfs).statistic > 0.4
    # Deaths and new lesions end PFS earlier than sizes say.
    assert (
        found.attrs["median"]["lower"]
        > ck.kaplan_meier(data.subjects["pfs_day"], data.subjects["pfs_event"]).attrs["median"]
    )
