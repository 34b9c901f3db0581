"""Funnels are found by their numbers, and only where they are."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from carkinetics.diagnostics.exploration import divergent_draws, e_bfmi, ess_growth, funnels, where_divergent
from carkinetics.errors import ConfigError, FitError
from carkinetics.model import load_model, simulate

SHAPE = (4, 500)


@pytest.fixture(scope="module")
def funnelled(around):
    """beta is not told by the data: its effects are drawn from N(0, omega²) with an omega down to 0.01; cmax is told."""
    model = load_model("stein2019")
    fit = around(model, simulate(model, {"times": (7, 14), "lloq": 50}, n=12, seed=2), shape=SHAPE)
    rng, posterior = np.random.default_rng(3), fit.tree["posterior"].to_dataset()
    omega = np.exp(rng.normal(-1.5, 1.0, SHAPE))
    eta = omega[..., None] * rng.standard_normal((*SHAPE, 12))
    beta = posterior["beta_typical"].to_numpy()[..., None] * np.exp(eta)
    changed = posterior.assign(
        beta_omega=(("chain", "draw"), omega), beta=(("chain", "draw", "subject"), beta)
    )
    tree = fit.tree.copy()
    tree["posterior"] = xr.DataTree(changed)
    neck = omega < np.quantile(omega, 0.05)
    stats = {"diverging": (("chain", "draw"), neck & (rng.random(SHAPE) < 0.3))}
    tree["sample_stats"] = xr.DataTree(xr.Dataset(stats))
    return replace(fit, tree=tree)


def test_a_funnel_is_found_where_it_is(funnelled):
    table = funnels(funnelled)
    assert table.index[table["funnel"]].tolist() == ["beta"]
    # log SD of 12 normal effects given omega has a variance of trigamma(11 / 2) / 4 = 0.05, beside 1 of log omega.
    assert table.loc["beta", "correlation"] == pytest.approx((1 / 1.05) ** 0.5, abs=0.02)
    assert table.loc["beta", "widening"] > 3
    assert table.loc["cmax", "widening"] == pytest.approx(1, abs=0.25)


def test_divergences_are_placed_in_the_neck(funnelled):
    table, count = funnels(funnelled), int(divergent_draws(funnelled).sum())
    assert count > 10
    assert (table["divergences"] == count).all()
    assert table.loc["beta", "divergent_at"] < 0.05
    assert 0.2 < table.loc["tmax", "divergent_at"] < 0.8
    assert where_divergent(funnelled).startswith("at a low beta_omega (mean rank 0.0")


def test_a_sampler_without_trajectories_has_no_divergences(made_fit):
    assert not divergent_draws(made_fit).any()
    assert where_divergent(made_fit) == ""
    assert funnels(made_fit)["divergent_at"].isna().all()


def test_independent_draws_count_in_full_and_a_walk_does_not(funnelled):
    rng = np.random.default_rng(5)
    walk = np.cumsum(rng.normal(0, 0.05, SHAPE), axis=1)
    tree = funnelled.tree.copy()
    tree["posterior"] = xr.DataTree(
        funnelled.tree["posterior"].to_dataset().assign(sigma=(("chain", "draw"), np.exp(walk)))
    )
    table = ess_growth(replace(funnelled, tree=tree), points=4).set_index(["parameter", "draws"])
    own = table.loc["beta_omega"]
    assert own.index.tolist() == [500, 1000, 1500, 2000]
    np.testing.assert_allclose(own["bulk"], own.index, rtol=0.2)
    assert (table.loc["sigma"]["bulk"] < 30).all()
    with pytest.raises(ConfigError, match="points is 1"):
        ess_growth(funnelled, points=1)


def test_too_short_chains_have_no_growth(around):
    model = load_model("stein2019")
    fit = around(model, simulate(model, {"times": (7, 14), "lloq": 50}, n=3, seed=2), shape=(2, 20))
    with pytest.raises(FitError, match="chains have 20 draws"):
        ess_growth(fit)


def test_e_bfmi_of_independent_energies_is_two(rng):
    # Independent energies: the mean squared change is twice the variance.
    np.testing.assert_allclose(e_bfmi(rng.normal(size=(2, 20_000))), 2.0, rtol=0.03)
