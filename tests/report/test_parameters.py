from dataclasses import replace

import numpy as np
import pytest

from carkinetics.fit.stated_prior import stated_priors
from carkinetics.fit.variability import cv_percent
from carkinetics.model import load_model
from carkinetics.report.parameters import (
    COLUMNS,
    contraction_table,
    description_table,
    parameter_table,
    prior_table,
)
from carkinetics.report.written import number


def rows_by_name(table) -> dict[str, tuple[str, ...]]:
    return {row[0]: row for row in table.rows if len(row) > 1}


def test_the_table_has_the_fields_layout(good_fit):
    table = parameter_table(good_fit)
    assert table.columns == COLUMNS
    blocks = [row[0] for row in table.rows if len(row) == 1]
    assert blocks == [
        "Structural parameters (typical subject)", "Derived from them", "Between subjects (ω)", "Residual error",
    ]  # fmt: skip
    assert {len(row) for row in table.rows} == {1, len(COLUMNS)}


def test_estimates_are_on_the_natural_scale_and_spread_is_a_cv(good_fit):
    row = rows_by_name(parameter_table(good_fit))["tmax (day)"]
    found = good_fit.population()
    assert row[1] == number(found.loc["tmax_typical", "median"])
    omega = found.loc["tmax_omega"]
    assert row[4] == f"{number(cv_percent(omega['median']))} ({100 * omega['sd'] / omega['median']:.0f})"


def test_a_spread_of_orders_of_magnitude_is_a_factor_and_no_cv(good_fit):
    """An ω of 5.34 was shown as a CV of 1.57e+08 %."""
    tree = good_fit.tree.copy()
    posterior = tree["posterior"].to_dataset()
    tree["posterior"] = posterior.assign(cmax_omega=posterior["cmax_omega"] * 0 + 5.342)
    row = rows_by_name(parameter_table(replace(good_fit, tree=tree)))["cmax (copies/ug)"]
    assert row[4] == "×/÷ 6550 (0)"  # exp(1.6449 × 5.342)
    assert np.exp(1.644853627 * 5.342) == pytest.approx(6550, rel=1e-3)


def test_the_spread_of_a_fraction_is_not_called_a_cv(good_fit):
    omega = good_fit.population().loc["fb_omega"]
    spread = f"{number(omega['median'])}, SD of logit ({100 * omega['sd'] / omega['median']:.0f})"
    assert rows_by_name(parameter_table(good_fit))["fb"][4] == spread


def test_a_fixed_parameter_is_marked(good_fit):
    model = good_fit.model.fix(beta=0.003)
    row = rows_by_name(parameter_table(replace(good_fit, model=model)))["beta (1/day)"]
    assert row[1:3] == ("0.00300", "FIX")


def test_what_follows_from_fixed_parameters_alone_is_fixed_too(good_fit):
    """Its draws differ by rounding: 217, SD 5.68e-14, ESS 14000."""
    tree = good_fit.tree.copy()
    posterior = tree["posterior"].to_dataset()
    rounding = 1 + 1e-16 * np.arange(posterior["sigma"].size).reshape(posterior["sigma"].shape)
    half_life = np.log(2) / 0.003 * rounding
    tree["posterior"] = posterior.assign(half_life_typical=(("chain", "draw"), half_life))
    table = good_fit.parameters.copy()
    at = table["parameter"] == "half_life_typical"
    table.loc[at, ["median", "sd"]] = np.log(2) / 0.003, half_life.std() + 1e-14
    fit = replace(good_fit, model=good_fit.model.fix(beta=0.003), tree=tree, parameters=table)
    meaning = good_fit.model.quantities["half_life"].meaning
    row = rows_by_name(parameter_table(fit))[f"{meaning} (day)"]
    assert row[1:] == ("231", "FIX", "", "", "", "", "")


def test_correlations_have_their_block(around, completed, made_fit):
    correlation = np.eye(6)
    correlation[0, 1] = correlation[1, 0] = 0.5
    fit = completed(around(made_fit.model, made_fit.data, correlation=correlation))
    row = rows_by_name(parameter_table(fit))["tmax with foldx"]
    assert float(row[1]) == pytest.approx(0.5, abs=0.05)


def test_every_prior_is_listed_with_its_source(good_fit):
    rows = rows_by_name(prior_table(good_fit))
    assert rows["tmax_typical"][1] == "lognormal(median 10, sigma 0.5)"
    assert rows["tmax_omega"][1] == "half-normal(scale 0.5)"
    assert set(rows) == {name for name in good_fit.population().index if name in rows}
    # The prior's own numbers, not those of draws: 10 exp(±0.5 × 1.645), and 0.5 × the quartile of a normal.
    assert rows["tmax_typical"][2:4] == ("10.0", "4.39 to 22.8")
    assert rows["tmax_omega"][2] == "0.337"
    assert rows["sigma"][1] == "half-normal(scale 1)"
    assert all(row[4] for row in rows.values())


def test_a_prior_that_the_data_did_not_move_is_said_so_in_words(good_fit):
    tree = good_fit.tree.copy()
    prior = tree["prior"].to_dataset()
    posterior = tree["posterior"].to_dataset()
    drawn = np.resize(prior["beta_typical"].to_numpy(), posterior["beta_typical"].shape)
    tree["posterior"] = posterior.assign(beta_typical=(("chain", "draw"), drawn))
    rows = rows_by_name(contraction_table(replace(good_fit, tree=tree)))
    assert rows["beta_typical"][4] == "not informed by the data"
    assert rows["tmax_typical"][4] == "informed"


def test_the_description_names_every_parameter_and_its_source(good_fit):
    rows = rows_by_name(description_table(good_fit.model))
    assert list(rows) == list(good_fit.model.parameters)
    assert rows["cmax"][-1] == "Table 1"


def test_what_was_set_here_is_not_attributed_to_the_paper(good_fit):
    cmax = {"dist": "lognormal", "median": 100, "sigma": 2}
    model = load_model("stein2019").in_unit(
        "cells/uL", cmax=cmax | {"omega": 2}, foldx={"dist": "lognormal", "median": 50, "sigma": 1}
    )
    rows = {row[0]: row for row in description_table(model).rows}
    (shown,) = [row for name, row in rows.items() if name.startswith("cmax")]
    assert "set for this analysis" in shown
    priors = stated_priors(replace(good_fit, model=model))
    assert priors["cmax_omega"].source == "set for this analysis"
    assert priors["foldx_omega"].source == "model file", "its prior was changed, that of its omega was not"
