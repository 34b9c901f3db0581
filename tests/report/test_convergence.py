"""The section on convergence has the numbers of its verbs, and what is long is folded."""

import numpy as np
import pandas as pd
import pytest

from carkinetics.diagnostics import monte_carlo_errors, population_correlations
from carkinetics.report.blocks import Document, Picture, Table
from carkinetics.report.convergence import STRONGEST, _largest_rhat, convergence_section
from carkinetics.report.html import page
from carkinetics.report.parts import NOT_CONVERGED, sort_parts
from carkinetics.report.written import number


@pytest.fixture(scope="module")
def section(good_fit):
    return convergence_section(sort_parts([good_fit], None))


def captioned(section, words):
    return next(one for one in section.blocks if words in one.caption)


def test_every_estimated_quantity_has_its_monte_carlo_error(good_fit, section):
    table, told = captioned(section, "Monte-Carlo error"), monte_carlo_errors(good_fit)
    assert isinstance(table, Table)
    assert table.folded
    rows = {row[0]: row for row in table.rows}
    assert set(rows) == set(told.index)
    assert rows["cmax_typical"][2] == number(told.loc["cmax_typical", "mcse_mean"])


def test_the_strongest_correlations_are_listed_and_all_are_drawn(good_fit, section):
    table, matrix = captioned(section, "Strongest correlations"), population_correlations(good_fit).to_numpy()
    upper = matrix[np.triu_indices(len(matrix), 1)]
    largest = np.sort(np.abs(upper))[::-1][:STRONGEST]
    assert [row[1].lstrip("-") for row in table.rows] == [f"{r:.2f}" for r in largest]
    drawn = captioned(section, "all population quantities over posterior draws")
    assert len(drawn.figure.axes[0].texts) == len(upper)


def test_the_worst_mixed_quantities_have_folded_traces(good_fit, section):
    traces = captioned(section, "in the order of sampling")
    told = monte_carlo_errors(good_fit)[["ess_bulk", "ess_tail"]].min(axis=1).drop("half_life_typical")
    assert [ax.get_title() for ax in traces.figure.axes] == told.nsmallest(6).index.tolist()
    written = page(Document("t", "m", "g", (section,)), interactive=False)
    before = written[: written.index(traces.caption)]
    assert before.rindex("<details><summary>Traces of") > before.rindex("</details>")


def test_what_did_not_converge_is_marked(bad_fit):
    blocks = convergence_section(sort_parts([bad_fit], None)).blocks
    marked = [one for one in blocks if isinstance(one, Table | Picture) and one.warning]
    assert {one.warning for one in marked} == {NOT_CONVERGED}
    assert len(marked) == 3


def test_an_r_hat_just_below_its_limit_does_not_read_as_the_limit():
    assert _largest_rhat(pd.Series({"a": 1.00963, "b": 1.002})) == "1.0096 (a)"
    assert _largest_rhat(pd.Series({"a": 1.004})) == "1.004 (a)"
