"""Covariate effects on exposure: exact in the draws where theory gives the ratio."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from carkinetics.errors import ConfigError, FitError
from carkinetics.exposure import covariate_forest
from carkinetics.fit.covariate import covariate_frame, covariate_values
from carkinetics.fit.result import PARAMETER_COLUMNS, Fit
from carkinetics.model import load_model, simulate
from carkinetics.model.library import model_from_text
from carkinetics.model.solve import curve

DESIGN = {"times": (3, 7, 10, 14, 28, 60), "lloq": 50, "doses": (1e5, 5e5, 2e6)}
AGE = np.linspace(30, 75, 12)


@pytest.fixture(scope="module")
def with_covariates(around):
    """Fit with chosen covariates on given slopes, each with a little noise between draws."""
    model = load_model("stein2019")
    data = simulate(model, DESIGN, n=12, seed=3)
    columns = {"age": AGE, "sex": ["F", "M"] * 6, "tumour": ["all", "dlbcl", "mm"] * 4, "wt": AGE + 10}
    plain = around(model, replace(data, subjects=data.subjects.assign(**columns)))

    def made(covariates, **changes):
        rng, frame, entries = np.random.default_rng(1), covariate_frame(plain.data), []
        posterior, constant = plain.tree["posterior"].to_dataset(), plain.tree["constant_data"].to_dataset()
        for k, (parameter, text, slope) in enumerate(covariates):
            values = covariate_values(frame, text, "test")
            centre = 0.0 if values.min() <= 0 <= values.max() else float(values.mean())
            name = f"{parameter}_{k}"
            entries.append({"parameter": parameter, "name": name, "text": text, "centre": centre})
            draws = slope + 0.1 * rng.standard_normal((2, 50))
            posterior[name] = (("chain", "draw"), draws)
            constant[name] = ("subject", values - centre)
        for name, value in changes.items():
            posterior[name] = posterior[name] * 0 + value
        tree = xr.DataTree.from_dict({"posterior": posterior, "constant_data": constant})
        return replace(plain, tree=tree, settings={**plain.settings, "covariates": entries})

    return made


def slopes(fit, name):
    return fit.tree["posterior"][name].to_numpy().ravel()


def test_a_power_of_dose_on_cmax_is_met_in_every_draw(with_covariates):
    fit = with_covariates([("cmax", "log(dose)", 0.8)])
    found = covariate_forest(fit, ("cmax", "auc_0_28", "tmax", "half_life"))
    dose = fit.data.first_dose().to_numpy()
    centre = np.exp(np.log(dose).mean())
    for level, at in (("P5", np.percentile(dose, 5)), ("P95", np.percentile(dose, 95))):
        exact = (at / centre) ** slopes(fit, "cmax_0")
        np.testing.assert_allclose(found.draws["dose", level, "cmax"], exact, rtol=1e-9)
        # The curve is proportional to cmax, and so is every area under it; times are not moved.
        np.testing.assert_allclose(found.draws["dose", level, "auc_0_28"], exact, rtol=1e-9)
        np.testing.assert_array_equal(found.draws["dose", level, ["tmax", "half_life"]], 1.0)
        row = found.table.query("level == @level and metric == 'cmax'").iloc[0]
        assert [row["value"], row["reference"]] == pytest.approx([at, centre], rel=1e-8)
        assert [row["ratio"], row["lower"], row["upper"]] == pytest.approx(
            np.quantile(exact, [0.5, 0.05, 0.95])
        )


def test_the_area_follows_a_rate_by_the_integral(with_covariates):
    # Two roads: trapezoids of the curve at the moved rate, on a fine grid with a point at the kink.
    fit = with_covariates([("alpha", "age", 0.02)])
    found = covariate_forest(fit, ["auc_0_28"])
    away = np.percentile(AGE, 95) - AGE.mean()
    typical = {
        name: fit.tree["posterior"][f"{name}_typical"].to_numpy().ravel()[7] for name in fit.model.parameters
    }
    time = np.unique([*np.linspace(0, 28, 40_001), typical["tmax"]])

    def area(values):
        return np.trapezoid(curve(fit.model, time, values), time)

    moved = typical | {"alpha": typical["alpha"] * np.exp(slopes(fit, "alpha_0")[7] * away)}
    assert found.draws["age", "P95", "auc_0_28"][7] == pytest.approx(area(moved) / area(typical), rel=1e-6)


def test_effects_that_read_one_column_move_together(with_covariates):
    fit = with_covariates([("cmax", "log(age)", 0.5), ("cmax", "age", 0.01), ("tmax", "age", 0.03)])
    found = covariate_forest(fit, ["cmax", "tmax"])
    assert list(found.draws.columns.unique("covariate")) == ["age"]
    at = np.percentile(AGE, 5)
    powers = slopes(fit, "cmax_0") * (np.log(at) - np.log(AGE).mean())
    exact = np.exp(powers + slopes(fit, "cmax_1") * (at - AGE.mean()))
    np.testing.assert_allclose(found.draws["age", "P5", "cmax"], exact, rtol=1e-9)
    later = np.exp(slopes(fit, "tmax_2") * (at - AGE.mean()))
    np.testing.assert_allclose(found.draws["age", "P5", "tmax"], later, rtol=1e-6)


def test_categories_are_rows_against_the_one_without_an_effect(with_covariates):
    fit = with_covariates(
        [("cmax", "tumour == 'all'", 0.7), ("cmax", "tumour == 'mm'", -0.4), ("cmax", "sex == 'F'", 0.2)]
    )
    found = covariate_forest(fit, ["cmax"])
    rows = found.table.query("covariate != 'between subjects'")
    assert list(rows[["covariate", "level", "reference"]].itertuples(index=False, name=None)) == [
        ("tumour", "mm", "dlbcl"),
        ("tumour", "all", "dlbcl"),
        ("sex", "F", "M"),
    ]
    np.testing.assert_allclose(found.draws["tumour", "all", "cmax"], np.exp(slopes(fit, "cmax_0")), rtol=1e-9)
    np.testing.assert_allclose(found.draws["tumour", "mm", "cmax"], np.exp(slopes(fit, "cmax_1")), rtol=1e-9)


def test_a_threshold_and_an_effect_of_two_columns(with_covariates):
    fit = with_covariates([("cmax", "age > 65", 0.7), ("cmax", "log(wt / age)", 1.0)])
    table = covariate_forest(fit, ["cmax"]).table.set_index(["covariate", "level"])
    assert table.loc[("age > 65", "yes"), "reference"] == "no"
    ends = np.percentile(np.log((AGE + 10) / AGE), [5, 95])
    assert table.loc["log(wt / age)", "value"].to_list() == pytest.approx(ends)


def test_between_subjects_is_the_range_of_the_random_effects_alone(with_covariates):
    fit = with_covariates([("cmax", "log(dose)", 0.8)], cmax_omega=0.6)
    row = covariate_forest(fit, ["cmax"]).table.set_index("covariate").loc["between subjects"]
    # Quantiles of 4,000 log-normal numbers: the standard error of the log of a 5 % quantile is about 0.02.
    assert np.log([row["lower"], row["ratio"], row["upper"]]) == pytest.approx(
        0.6 * np.array([-1.645, 0, 1.645]), abs=0.08
    )


DECLINE = """
schema = 1
name = "decline"
title = "Infused cells that decline"
value_unit = "cells/uL"
[parameters.k]
meaning = "rate of decline"
unit = "1/day"
typical = 0.1
prior = { dist = "lognormal", median = 0.1, sigma = 1 }
[states.cells]
initial = "0"
infused = "amount / 1e6"
rate = "-k * cells"
[observation]
of = "cells"
error = "lognormal"
"""


def test_a_dose_that_is_infused_is_changed_as_an_amount_too(make_data):
    amounts = [1e6, 2e6, 3e6, 9e6]
    data = make_data(
        {s: ([1.0], [1.0]) for s in "ABCD"}, lloq=0.1, unit="cells/uL",
        doses={s: [(0.0, amount)] for s, amount in zip("ABCD", amounts, strict=True)},
    )  # fmt: skip
    k, slope = np.array([[0.1, 0.2]]), np.array([[0.5, -0.3]])
    centred = np.log(amounts) - np.log(amounts).mean()
    tree = xr.DataTree.from_dict({
        "posterior": xr.Dataset({name: (("chain", "draw"), v) for name, v in (("k_typical", k), ("k_0", slope), ("sigma", k))}),
        "constant_data": xr.Dataset({"k_0": ("subject", centred)}),
    })  # fmt: skip
    entry = {"parameter": "k", "name": "k_0", "text": "log(dose)", "centre": float(np.log(amounts).mean())}
    settings = {
        "method": "hierarchical",
        "random": [],
        "covariates": [entry],
        "error": "lognormal",
        "assay": "qpcr",
    }
    fit = Fit(
        model_from_text(DECLINE), data, data.observations, pd.DataFrame(columns=list(PARAMETER_COLUMNS)), tree, settings
    )  # fmt: skip
    found = covariate_forest(fit)
    assert list(found.table["covariate"].unique()) == ["dose"]
    ratio = np.percentile(amounts, 95) / np.exp(np.log(amounts).mean())
    moved = k[0] * ratio ** slope[0]
    np.testing.assert_allclose(found.draws["dose", "P95", "cmax"], ratio, rtol=1e-7)
    area = ratio * (np.expm1(-28 * moved) / moved) / (np.expm1(-28 * k[0]) / k[0])
    np.testing.assert_allclose(found.draws["dose", "P95", "auc_0_28"], area, rtol=1e-7)


def test_the_sentence_names_the_largest_effect(with_covariates):
    found = covariate_forest(with_covariates([("cmax", "log(dose)", 0.8), ("cmax", "age", 0.0)]), ["cmax"])
    assert found.statement.startswith("The largest effect is that of dose at P5: cmax is 0.")
    assert "Of 4 intervals" in found.statement
    assert "Subjects differ in cmax by factors of" in found.statement
    assert repr(found) == "<CovariateForest: dose, age on cmax>"


def test_what_makes_no_sense_is_refused(with_covariates, made_fit, alone):
    fit = with_covariates([("cmax", "log(dose)", 0.8)])
    with pytest.raises(ConfigError, match="not a metric of a curve alone; did you mean 'cmax'"):
        covariate_forest(fit, ["cmx"])
    with pytest.raises(ConfigError, match="persistence"):
        covariate_forest(fit, ["persistence"])
    with pytest.raises(ConfigError, match="percentiles"):
        covariate_forest(fit, percentiles=(95, 5))
    with pytest.raises(ConfigError, match="limits"):
        covariate_forest(fit, limits=(1.1, 1.25))
    with pytest.raises(FitError, match="has no covariates"):
        covariate_forest(made_fit)
    with pytest.raises(FitError, match="no posterior"):
        covariate_forest(alone(made_fit))


def test_the_table_has_no_missing_ratio(dose_fit):
    table = covariate_forest(dose_fit).table
    assert isinstance(table, pd.DataFrame)
    assert table[["ratio", "lower", "upper"]].notna().all().all()
    assert (table["lower"] <= table["ratio"]).all()
