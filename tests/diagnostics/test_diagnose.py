"""Each rule of the verdict is triggered by a tree doctored to deserve it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from carkinetics.diagnostics import contraction, diagnose
from carkinetics.diagnostics.contraction import contraction_words
from carkinetics.errors import FitError
from carkinetics.model import load_model, simulate

DESIGN = {"times": (3, 7, 10, 14, 21, 28, 60, 120), "lloq": 50, "lod": 20}
CHAINS, DRAWS = 4, 200


@pytest.fixture(scope="module")
def good(around):
    """A fit whose table and sampler statistics have nothing to be said about."""
    model = load_model("stein2019")
    fit = around(model, simulate(model, DESIGN, 5, 4), shape=(CHAINS, DRAWS))
    rng = np.random.default_rng(1)
    stats = {
        "lp": rng.normal(-100, 3, (CHAINS, DRAWS)),
        "energy": rng.normal(100, 3, (CHAINS, DRAWS)),
        "diverging": np.zeros((CHAINS, DRAWS), dtype=bool),
    }
    return doctored(fit, {"rhat": 1.001, "ess_bulk": 900.0, "ess_tail": 900.0}, stats)


def doctored(fit, columns=None, stats=None, where=None):
    """Copy with other columns in the table (rows where ``where`` holds) and other sampler statistics."""
    table = fit.parameters.copy()
    rows = slice(None) if where is None else where(table)
    for name, value in (columns or {}).items():
        table.loc[rows, name] = value
    tree = fit.tree.copy()
    if stats:
        old = tree["sample_stats"].to_dataset() if "sample_stats" in tree.children else xr.Dataset()
        tree["sample_stats"] = xr.DataTree(old.assign({n: (("chain", "draw"), v) for n, v in stats.items()}))
    return replace(
        fit, parameters=table, tree=tree, settings={**fit.settings, "chains": CHAINS, "draws": DRAWS}
    )


def population(name):
    return lambda table: (table["subject"] == "") & (table["parameter"] == name)


def rules(fit):
    return diagnose(fit).set_index("rule")["severity"].to_dict()


def test_a_good_fit_is_called_converged_with_its_numbers(good):
    table = diagnose(good)
    assert table.attrs["converged"], table
    assert (
        table.attrs["verdict"]
        == "converged: R-hat at most 1.001, effective sample size at least 900, no divergences"
    )


@pytest.mark.parametrize(
    ("columns", "rule", "said"),
    [
        ({"rhat": 1.02}, "rhat", "R-hat is 1.020 for cmax_typical"),
        ({"rhat": np.nan}, "rhat", "cannot be computed"),
        ({"ess_bulk": 300.0}, "ess-bulk", "bulk effective sample size is 300 for cmax_typical"),
        ({"ess_tail": np.nan}, "ess-tail", "tail effective sample size"),
    ],
)
def test_one_bad_population_quantity_is_enough(good, columns, rule, said):
    table = diagnose(doctored(good, columns, where=population("cmax_typical")))
    assert not table.attrs["converged"]
    assert table.attrs["verdict"].startswith("not converged: ")
    assert said in table.set_index("rule").loc[rule, "message"]


def test_a_quantity_of_fixed_parameters_is_not_asked_to_mix(good):
    fixed = {"rhat": np.nan, "ess_bulk": 4.0, "sd": 1e-14, "median": 216.6}
    assert diagnose(doctored(good, fixed, where=population("beta_typical"))).attrs["converged"]


@pytest.mark.parametrize(("rhat", "severity"), [(1.02, "note"), (1.2, "error"), (np.nan, "error")])
def test_a_subject_is_allowed_a_little_more_than_the_population(good, rhat, severity):
    row = good.parameters.iloc[[0]].assign(subject=good.data.subject_ids[0], parameter="cmax", rhat=rhat)
    fit = replace(good, parameters=pd.concat([good.parameters, row], ignore_index=True))
    assert rules(fit)["rhat-subject"] == severity
    assert diagnose(fit).attrs["converged"] == (severity == "note")


def test_a_divergence_is_not_converged(good):
    diverging = np.zeros((CHAINS, DRAWS), dtype=bool)
    diverging[1, 7] = True
    table = diagnose(doctored(good, stats={"diverging": diverging}))
    assert "1 of 800 draws diverged" in table.attrs["verdict"]


def test_a_chain_on_a_lower_mode_is_named(good):
    lp = good.tree["sample_stats"]["lp"].to_numpy().copy()
    lp[2] -= 195  # as far as a trapped chain was seen to lie
    table = diagnose(doctored(good, stats={"lp": lp})).set_index("rule")
    assert table.loc["trapped-chain", "where"] == "chain 2"
    assert table.loc["trapped-chain", "severity"] == "error"


def test_an_energy_that_hardly_moves_is_not_converged(good):
    energy = np.cumsum(np.random.default_rng(2).normal(0, 0.1, (CHAINS, DRAWS)), axis=1)
    assert rules(doctored(good, stats={"energy": energy}))["e-bfmi"] == "error"


def test_a_prior_that_the_data_contradict_is_a_warning(good):
    fit = doctored(good, {"median": 20000 * np.exp(1.5 * 4)}, where=population("cmax_typical"))
    row = diagnose(fit).set_index("rule").loc["prior-conflict"]
    assert row["severity"] == "warning"
    assert "4.0 SD above the centre of its prior" in row["message"]
    assert diagnose(fit).attrs["converged"], "a conflict is not a matter of convergence"


def test_swapped_phases_are_a_warning(good):
    posterior = good.tree["posterior"].to_dataset()
    tree = good.tree.copy()
    tree["posterior"] = xr.DataTree(posterior.assign(alpha=posterior["beta"], beta=posterior["alpha"]))
    assert rules(replace(good, tree=tree))["rates-swap"] == "warning"


def test_a_posterior_as_wide_as_its_prior_is_not_informed(good):
    rng = np.random.default_rng(3)
    prior = good.model.parameters["beta"].prior
    same = np.exp(rng.normal(prior.location, prior.spread, (CHAINS, DRAWS)))
    tree = good.tree.copy()
    tree["posterior"] = xr.DataTree(
        good.tree["posterior"].to_dataset().assign(beta_typical=(("chain", "draw"), same))
    )
    fit = replace(good, tree=tree)
    learnt = contraction(fit)
    assert learnt.loc["beta_typical", "prior_sd"] == prior.spread
    share = 1 - np.log(same).var(ddof=1) / prior.spread**2
    assert learnt.loc["beta_typical", "contraction"] == pytest.approx(share, rel=1e-12)
    assert learnt.loc["sigma", "prior_sd"] == pytest.approx(np.pi / np.sqrt(8), rel=1e-12)
    found = diagnose(fit)
    message = found[(found["rule"] == "prior-dominated") & (found["where"] == "beta_typical")][
        "message"
    ].iloc[0]
    assert "not informed by the data" in message or "weakly informed" in message


@pytest.mark.parametrize(
    ("rhat", "why"), [(1.0, "contradict each other"), (1.5, "did not meet (R-hat 1.50)")]
)
def test_a_posterior_wider_than_its_prior_is_a_conflict_or_chains_apart(good, rhat, why):
    prior = good.model.parameters["beta"].prior
    wide = np.random.default_rng(3).normal(prior.location, 1.7 * prior.spread, (CHAINS, DRAWS))
    tree = good.tree.copy()
    tree["posterior"] = xr.DataTree(
        good.tree["posterior"].to_dataset().assign(beta_typical=(("chain", "draw"), np.exp(wide)))
    )
    table = good.parameters.copy()
    table.loc[table["parameter"] == "beta_typical", "rhat"] = rhat
    found = diagnose(replace(good, tree=tree, parameters=table)).query("where == 'beta_typical'")
    assert "prior-dominated" not in set(found["rule"])
    (message,) = found.loc[found["rule"] == "wider-than-prior", "message"]
    assert f"the posterior variance is {wide.var(ddof=1) / prior.spread**2:.0%} of the prior's" in message
    assert why in message


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.05, "not informed by the data"),
        (-0.2, "not informed by the data"),
        (-1.8, "wider than its prior"),
        (0.5, "weakly informed"),
        (0.8, "informed"),
    ],
)
def test_contraction_in_words(share, words):
    # 0.75: the posterior SD is half of the prior's.
    assert contraction_words(share) == words


def test_a_fit_of_single_subjects_has_nothing_to_compare_with_a_prior(made_fit, alone):
    with pytest.raises(
        FitError, match="contraction compares a posterior with its prior; a fit of method 'individual'"
    ):
        contraction(alone(made_fit))
