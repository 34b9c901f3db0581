"""The sections on what was learnt carry the numbers of their results, in tables and in the words beside the pictures."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from carkinetics.diagnostics import effect_trends
from carkinetics.diagnostics.ranking import rank
from carkinetics.fit import CovariateScreen, fit_population, stepwise_covariates
from carkinetics.fit.variability import shrinkage_table
from carkinetics.model import load_model, simulate
from carkinetics.report import learning
from carkinetics.report.blocks import Picture, Table, Text
from carkinetics.report.convergence import exploration_blocks
from carkinetics.report.learning import (
    comparison_section,
    contraction_section,
    covariate_section,
    effect_section,
    sensitivity_blocks,
)
from carkinetics.report.parameters import parameter_table
from carkinetics.report.parts import NOT_CONVERGED, sort_parts
from carkinetics.report.written import MISSING
from carkinetics.response import fit_grade


def parts_of(*results):
    return sort_parts(results, None)


def of_kind(blocks, kind):
    return [block for block in blocks if isinstance(block, kind)]


def sensitivities():
    words = ["informed", "not informed by the data"]
    columns = {
        "prior": [0.01, 0.2], "likelihood": [0.12, 0.02], "strongest_prior": ["sigma", "foldx_omega"], "by_it": [0.01, 0.3],
        "contraction": [0.9, 0.02], "words": words,
    }  # fmt: skip
    table = pd.DataFrame(columns, index=["cmax_typical", "foldx_typical"])
    table.attrs = {
        "likelihood": "marginal", "threshold": 0.05, "n_draws": 1000, "noise_prior": 0.004, "noise_likelihood": 0.03,
    }  # fmt: skip
    return table


def compared():
    rng = np.random.default_rng(1)
    index = pd.Index([f"S{i}" for i in range(12)], name="subject")
    base = rng.normal(-20, 3, 12)
    tables = {
        name: pd.DataFrame({"elpd": base + shift, "k": 0.2, "n_obs": 8, "how": "psis"}, index=index)
        for name, shift in {"one phase": rng.normal(-2, 1, 12), "two phases": 0.0}.items()
    }
    return rank(tables)


@pytest.fixture(scope="module")
def aged(good_fit):
    """Subjects with an age that goes up with their number."""
    data = good_fit.data
    age = 60 + 10 * np.log(data.subjects.index + 1.0)
    return replace(good_fit, data=replace(data, subjects=data.subjects.assign(age=age)))


@pytest.fixture(scope="module")
def effects(aged):
    return effect_section(parts_of(aged))


def test_both_types_of_shrinkage_are_named(aged, effects):
    (table, *_) = of_kind(effects.blocks, Table)
    assert [head for head in table.columns if "Shrinkage" in head] == [
        "Shrinkage %, SD type", "Shrinkage %, variance type",
    ]  # fmt: skip
    shrunk = shrinkage_table(aged).set_index("parameter")
    row = next(row for row in table.rows if row[0] == "cmax")
    assert row[2:4] == tuple(f"{shrunk.loc['cmax', name]:.0f}" for name in ("sd_percent", "variance_percent"))
    pictures = of_kind(effects.blocks, Picture)
    assert len(pictures) == 3
    assert f"cmax {shrunk.loc['cmax', 'sd_percent']:.0f} %" in pictures[0].alt


def test_one_subject_has_no_shrinkage_and_no_number_for_it(good_fit):
    (first,) = good_fit.data.subject_ids[:1]
    tree = good_fit.tree.map_over_datasets(
        lambda one: one.isel(subject=[0]) if "subject" in one.dims else one
    )
    alone = replace(good_fit, data=good_fit.data.select(subjects=[first]), tree=tree)
    shown = learning._shrinkage(shrinkage_table(alone), "")
    assert {row[2:4] for row in shown.rows} == {(MISSING, MISSING)}
    cells = [cell for row in parameter_table(alone).rows for cell in row]
    assert not [cell for cell in cells if "nan" in cell]


def test_a_trend_is_said_to_who_cannot_see_it(aged, effects):
    alt = of_kind(effects.blocks, Picture)[1].alt
    table = effect_trends(aged)
    assert set(table["covariate"]) == {"age", "crs_grade", "log10(dose)"}
    table = table[table["covariate"] != "crs_grade"]
    assert f"of {len(table)} pairs" in alt
    clear = table.query("p < 0.01")
    for row in table.itertuples():
        assert (f"{row.parameter} with {row.covariate}" in alt) == (row.Index in clear.index)


def test_outcomes_are_listed_and_not_offered_as_covariates(good_fit, modelled):
    """Six columns in alphabetical order were drawn, of which an outcome had the strongest relation."""
    data, rng = good_fit.data, np.random.default_rng(2)
    later = ("anakinra", "best_change", "crs_day", "cytopenia")
    before = ("age", "burden", "ecog", "lesions", "prior_lines", "sld", "weight")
    columns = {name: rng.normal(size=len(data.subjects)) for name in (*later, *before)}
    fit = replace(good_fit, data=replace(data, subjects=data.subjects.assign(**columns)))
    outcome = fit_grade(modelled, fit.data, outcome="cytopenia > 0", on="log(cmax)", draws=20)
    blocks = effect_section(parts_of(fit, outcome)).blocks
    drawn = of_kind(blocks, Picture)[1:3]
    assert drawn[0].alt.startswith("Random effects against age, burden, ecog, lesions, prior_lines, sld;")
    assert drawn[1].alt.startswith("Random effects against weight, log10(dose);")
    table = next(one for one in of_kind(blocks, Table) if "columns of the subjects" in one.caption)
    known = {row[1]: row[2] for row in table.rows}
    assert {name for name, when in known.items() if when == "later"} == {*later, "crs_grade"}
    assert {*before, "log10(dose)"} == {name for name, when in known.items() if when == "before"}


def test_draws_are_said_to_be_pulled_where_the_fit_had_no_correlations(good_fit, around, completed, made_fit):
    alone = of_kind(effect_section(parts_of(good_fit)).blocks, Picture)[-1]
    assert "which shrinkage does not distort" not in alone.caption
    assert "a correlation of 0 here is no evidence of none" in alone.caption
    fit = completed(around(made_fit.model, made_fit.data, correlation=np.eye(6)))
    assert "pulled" not in of_kind(effect_section(parts_of(fit)).blocks, Picture)[-1].caption


def test_what_rests_on_a_fit_that_did_not_converge_is_marked(bad_fit):
    section = effect_section(parts_of(bad_fit))
    marked = of_kind(section.blocks, Table) + of_kind(section.blocks, Picture)
    assert marked
    assert all(block.warning == NOT_CONVERGED for block in marked)


def test_sensitivity_stands_beside_the_contraction_and_names_what_is_lost(good_fit):
    table, picture = sensitivity_blocks(parts_of(good_fit, sensitivities()))
    assert table.rows[1] == (
        "foldx_typical", "0.200", "0.020", "foldx_omega (0.300)", "not informed by the data",
    )  # fmt: skip
    assert "Not informed by the data: foldx_typical" in picture.alt
    assert sensitivity_blocks(parts_of(good_fit)) == ()
    alone = contraction_section(parts_of(good_fit.data, sensitivities()))
    assert len(alone.blocks) == 2, "a table that was given is shown, with a fit or without"


def test_the_comparison_says_who_is_best_and_by_how_much(good_fit):
    table = compared()
    section = comparison_section(parts_of(good_fit, table))
    (shown,) = of_kind(section.blocks, Table)
    assert [row[0] for row in shown.rows] == ["two phases", "one phase"]
    first, second = of_kind(section.blocks, Picture)
    assert first.alt.startswith("two phases is first; difference of elpd: one phase -")
    assert f"one phase {table.loc['one phase', 'difference']:.1f} (SE" in first.alt
    each = table.attrs["subjects"]
    prefer = int((each["two phases", "elpd"] > each["one phase", "elpd"]).sum())
    assert second.alt.startswith(
        f"{prefer} of 12 subjects are predicted better by two phases, {12 - prefer} by one phase."
    )
    same = rank(dict.fromkeys(("a", "b"), each["two phases"]))
    *_, none = of_kind(comparison_section(parts_of(good_fit, same)).blocks, Picture)
    assert none.alt.startswith("0 of 12 subjects are predicted better by a, 0 by b.")
    labels = [text.get_text() for text in none.figure.legends[0].get_texts()]
    assert labels == ["0 prefer a", "0 prefer b", "12 neither"]


def test_what_was_made_of_fits_that_did_not_converge_is_marked_without_them(good_fit):
    """The tables travel alone: a report of them has no fit whose verdict could mark them."""
    table = compared().assign(converged=[True, False])
    section = comparison_section(parts_of(good_fit.data, table))
    marked = of_kind(section.blocks, Table) + of_kind(section.blocks, Picture)
    assert all(block.warning == f"{NOT_CONVERGED} (one phase)" for block in marked)
    assert [row[0] for row in marked[0].rows] == ["two phases", "one phase, not converged"]
    labels = [text.get_text() for text in marked[1].figure.axes[0].get_yticklabels()]
    assert labels == ["two phases", "one phase\nnot converged"]
    loose = sensitivities()
    loose.attrs["converged"] = False
    assert all(block.warning == NOT_CONVERGED for block in sensitivity_blocks(parts_of(good_fit.data, loose)))


def test_several_fits_without_a_comparison_are_said_not_to_be_ranked(good_fit, bad_fit):
    section = comparison_section(parts_of(good_fit, bad_fit))
    assert "not ranked" in section.blocks[0].text
    assert comparison_section(parts_of(good_fit)) is None


def test_divergences_are_placed_in_words(bad_fit):
    _, energy, funnel = of_kind(exploration_blocks(bad_fit), Picture)
    assert "The 3 divergent draws have the lowest ω for" in funnel.alt
    assert "smallest E-BFMI" in energy.alt


def test_short_chains_have_words_instead_of_a_picture(good_fit):
    tree = good_fit.tree.copy()
    for group in ("posterior", "sample_stats"):
        tree[group] = xr.DataTree(good_fit.tree[group].to_dataset().isel(draw=slice(30)))
    first = exploration_blocks(replace(good_fit, tree=tree))[0]
    assert isinstance(first, Text)
    assert "chains have 30 draws" in first.text


@pytest.fixture(scope="module")
def search():
    fixed = {name: p.typical for name, p in load_model("stein2019").parameters.items() if name != "cmax"}
    model = load_model("stein2019").fix(**fixed)
    data = simulate(
        model, {"times": (3, 7, 10), "lloq": 0.001, "doses": (1e5, 2e6)}, 12, 4, on_log_dose={"cmax": 0.8}
    )
    return stepwise_covariates(fit_population(model, data), ["log(dose)"])


def test_searches_carry_their_warning_and_screens_their_statement(good_fit, search):
    row = ("cmax", "log(dose)", 11.5, 14.5, 4.8, 3.0, 7.6, 1.0, 0.1, True)
    columns = [
        "parameter",
        "covariate",
        "low",
        "high",
        "ratio",
        "lower",
        "upper",
        "probability",
        "kappa",
        "named",
    ]
    screen = CovariateScreen(
        pd.DataFrame([row], columns=columns), {"cmax": ["log(dose)"]}, "1 of 1 pairs are named. This is a screen.", False,
        {"subjects": 50, "factor": 1.2, "limit": 0.5},
    )  # fmt: skip
    section = covariate_section(parts_of(good_fit, screen, search))
    texts, tables = of_kind(section.blocks, Text), of_kind(section.blocks, Table)
    assert texts[0].text == screen.statement
    assert "too optimistic" in texts[1].text
    assert tables[0].rows[0][0] == "cmax on log(dose)"
    assert tables[0].warning.startswith("not converged")
    taken = [row[2] for row in tables[1].rows if row[-1] == "taken"]
    assert taken == ["–", "cmax on log(dose)"]
