"""Measurements that a fit has not seen: their density by hand, for subjects of the fit and new ones."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from carkinetics.diagnostics import held_out
from carkinetics.errors import ConfigError, DataError
from carkinetics.fit import fit_hierarchical
from carkinetics.fit.chosen import take_draws
from carkinetics.fit.predictive import subject_levels
from carkinetics.model import load_model, simulate

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data():
    design = {"times": (3, 7, 14, 28, 60), "lloq": 500, "doses": (1e6,)}
    return simulate(load_model("stein2019"), design, 12, 5, sigma=0.4)


@pytest.fixture(scope="module")
def fit(data):
    seen = replace(data, observations=data.observations.query("time < 28").reset_index(drop=True))
    return fit_hierarchical(load_model("stein2019"), seen, random=["tmax", "cmax"], draws=100, seed=1)


def test_the_density_is_that_of_the_posterior_predictive_distribution(fit, data):
    late = data.observations.query("time >= 28").reset_index(drop=True)
    table = held_out(fit, replace(data, observations=late), n_draws=150)
    assert table[["subject", "time"]].equals(late[["subject", "time"]])
    assert set(late["status"]) == {"quantified", "below_lloq"}
    draws = take_draws(fit, 150, 1)
    values = {name: np.repeat(value[:, None], 12, axis=1) for name, value in draws.typical.items()}
    place = late["subject"].map({subject: i for i, subject in enumerate(data.subject_ids)})
    level = np.log(subject_levels(fit.model, data, place, late["time"], values | draws.individual))
    sigma = draws.sigmas["sigma"][:, None]
    quantified = stats.norm(level, sigma).pdf(np.log(late["upper"].to_numpy()))
    below = stats.norm(level, sigma).cdf(np.log(late["upper"].to_numpy()))
    expected = np.where(late["status"] == "quantified", quantified, below).mean(axis=0)
    np.testing.assert_allclose(table["log_density"], np.log(expected), rtol=1e-6)


def test_a_new_subject_is_predicted_with_the_spread_between_subjects(fit, data):
    late = data.observations.query("time >= 28").reset_index(drop=True)
    other = replace(
        data, observations=late.assign(subject="N" + late["subject"]),
        subjects=data.subjects.assign(subject="N" + data.subjects["subject"]),
        doses=data.doses.assign(subject="N" + data.doses["subject"]),
    )  # fmt: skip
    known = held_out(fit, replace(data, observations=late))["log_density"]
    new = held_out(fit, other)["log_density"]
    # Their own earlier samples tell more of subjects than their population does.
    assert known.sum() > new.sum() + 2


def test_nothing_held_out_is_said(fit, data):
    nothing = replace(data, observations=data.observations.iloc[:0])
    with pytest.raises(DataError, match="no measurement by 'qpcr' is held out"):
        held_out(fit, nothing)


def test_arguments_that_are_something_else_are_named(fit, data):
    with pytest.raises(ConfigError, match="a Dataset stands where a Fit is expected"):
        held_out(data, fit)


def test_what_a_model_reads_of_a_subject_is_known_from_its_fit():
    model = load_model("kimmel2021_measured")
    days = np.array([0.0, 7, 14, 28, 60])
    counts = {"normal": (days, np.tile([300.0, 60, 150, 300, 400], (6, 1)))}
    whole = simulate(model, {"times": (3, 7, 10, 14, 28, 42), "lloq": 0.01}, 6, 3, inputs=counts)
    late, counted = whole.observations["time"] >= 28, whole.observations["assay"] == "alc"
    fit = fit_hierarchical(model, whole.select(observations=~late | counted), draws=100, seed=1)
    with_counts = held_out(fit, whole.select(observations=late | counted), n_draws=100)
    for apart in (whole.select(observations=late), whole.select(observations=late & ~counted)):
        assert (
            held_out(fit, apart, n_draws=100)["log_density"].tolist() == with_counts["log_density"].tolist()
        )


def test_one_of_several_outputs_is_held_out_alone():
    model = load_model("effector_memory_tumour")
    times = (4, 10, 28, 60)
    whole = simulate(
        model, {"times": times, "lloq": 50}, 6, 3, others={"tumour": {"times": times, "lloq": 0.01}}
    )
    late, sizes = whole.observations["time"] > 28, whole.observations["assay"] == "tumour"
    fit = fit_hierarchical(model, whole.select(observations=~late), draws=100, seed=1)
    both = held_out(fit, whole.select(observations=late), output="tumour", n_draws=100)
    alone = held_out(fit, whole.select(observations=late & sizes), output="tumour", n_draws=100)
    assert len(both) == 6
    assert alone["log_density"].tolist() == both["log_density"].tolist()
    new = whole.select(observations=late & sizes, subjects=whole.subject_ids[:2])
    assert (
        held_out(fit, new, output="tumour", n_draws=100)["log_density"].tolist()
        == both["log_density"].tolist()[:2]
    )
