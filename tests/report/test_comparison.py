"""Several fits on one page: who predicts best, what differs, and that a fit that did not converge is marked everywhere."""

from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carkinetics.diagnostics.compare import compare
from carkinetics.diagnostics.ranking import rank
from carkinetics.diagnostics.residuals import misfit
from carkinetics.errors import ConfigError, FitError
from carkinetics.exposure.typical import typical_exposure
from carkinetics.model import load_model, simulate
from carkinetics.report import write_comparison
from carkinetics.report.blocks import Picture, Table
from carkinetics.report.compared import Compared, gather
from carkinetics.report.comparison import difference_section, ranking_section, verdict_section, worst_subjects
from carkinetics.report.parts import Parts
from carkinetics.report.side_by_side import (
    _in_order,
    aligned,
    convergence_table,
    estimates,
    exposures,
    settings_tables,
)
from carkinetics.report.written import number, span

SECTIONS = [
    "verdict", "differences", "ranking", "convergence", "parameters", "exposure", "vpc", "individual", "warnings", "references", "session",
]  # fmt: skip


class Page(HTMLParser):
    """Tags, attributes and words of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def having(self, tag: str, attribute: str = "") -> list[str | None]:
        return [attrs.get(attribute) for name, attrs in self.tags if name == tag]


def measured(fit, **settings):
    """With what `fit_hierarchical` writes down of its outputs."""
    own = {"assays": {"level": fit.settings["assay"]}, "errors": {"level": fit.settings["error"]}}
    return replace(fit, settings=fit.settings | own | settings)


def ranked(subjects, **elpd):
    """A ranking from each subject's elpd less a constant."""
    spread = np.linspace(-1, 1, len(subjects))
    return rank(
        {
            name: pd.DataFrame(
                {"elpd": -2 - behind * (1 + spread / 2), "k": 0.1, "n_obs": 10, "how": "psis"},
                index=pd.Index(subjects, name="subject"),
            )
            for name, behind in elpd.items()
        }
    )


@pytest.fixture(scope="module")
def fits(good_fit, bad_fit):
    return {"base": measured(good_fit), "wide": measured(bad_fit, blq="M1", target_accept=0.9)}


@pytest.fixture(scope="module")
def ranking(good_fit):
    return ranked(good_fit.data.subject_ids, base=0.0, wide=2.0)


@pytest.fixture(scope="module")
def compared(fits, ranking):
    return gather(fits, (), False, ranking)


@pytest.fixture(scope="module")
def page(fits, ranking, tmp_path_factory):
    path = tmp_path_factory.mktemp("comparison") / "compare.html"
    assert write_comparison(path, fits, title="Two fits", ranking=ranking) == path
    return Page(path.read_text(encoding="utf-8"))


@pytest.mark.slow  # draws a whole page
def test_the_page_has_its_sections_and_pictures_with_words(page):
    assert page.having("section", "id") == SECTIONS
    assert len(page.having("img")) == 5
    assert all(alt and len(alt) > 20 for alt in page.having("img", "alt"))
    assert page.text.index("predicts a subject that it has not seen best") < page.text.index("Remarks:")
    assert "10.1002/psp4.12388" in page.text


@pytest.mark.slow  # draws a whole page
def test_on_the_page_a_banner_stands_over_all_that_shows_a_fit_that_did_not_converge(page):
    shown = [text for text in page.words if text == "not converged: do not use the numbers of wide"]
    assert len(shown) == 3 + 1 + 1 + 1 + 1  # ranking, convergence, estimates, exposure, predictive checks
    assert "wide did not converge: do not use these numbers" in page.words
    assert "base did not converge: do not use these numbers" not in page.words


def test_columns_and_rows_of_a_fit_that_did_not_converge_are_marked(compared):
    table = aligned("Estimates", compared, estimates, "")
    assert table.columns == ("Quantity", "base", "wide (not converged)")
    (row,) = [i for i, cells in enumerate(table.rows) if cells[0].startswith("cmax")][:1]
    assert [table.is_marked(row, column) for column in range(3)] == [False, False, True]
    chains = convergence_table(compared)
    assert [cells[:2] for cells in chains.rows] == [("base", "yes"), ("wide", "no")]
    assert [chains.is_marked(row, 1) for row in range(2)] == [False, True]
    assert chains.rows[1][chains.columns.index("Divergent draws (0)")] == "3 of 1000"


def test_without_interaction_nothing_runs(fits, ranking, tmp_path, monkeypatch):
    from carkinetics.report import comparison

    monkeypatch.setattr(comparison, "check_section", difference_section)
    monkeypatch.setattr(comparison, "individual_section", difference_section)
    found = write_comparison(tmp_path / "still.html", fits, ranking=ranking, interactive=False)
    read = Page(found.read_text(encoding="utf-8"))
    assert not read.having("script")
    assert read.having("td", "class").count("unusable") > 10


def test_estimates_are_those_of_the_draws(compared, fits):
    rows = aligned("", compared, estimates, "").rows
    found = {cells[0]: cells[1] for cells in rows if len(cells) == 3}
    draws = fits["base"].tree["posterior"]["cmax_typical"].to_numpy().ravel()
    low, middle, high = np.quantile(draws, [0.05, 0.5, 0.95])
    assert found["cmax (copies/ug)"] == f"{number(middle)} ({span(low, high)})"
    half_life = np.log(2) / fits["base"].tree["posterior"]["beta_typical"].to_numpy()
    assert found["half-life of the slow decline (day)"].startswith(number(np.median(half_life)))
    typical = typical_exposure(fits["wide"]).iloc[0]
    row = aligned("", compared, exposures, "").rows[1]
    assert row[2] == f"{number(typical['value'])} ({span(typical['lower'], typical['upper'])})"


def test_a_fixed_parameter_and_one_that_only_one_fit_has_keep_their_rows(good_fit):
    one = {"Structural": {"a": "1", "c": "3 FIX"}, "Residual": {"s": "1"}}
    two = {"Structural": {"a": "2", "b": "2", "c": "3"}, "Covariates": {"x": "1"}, "Residual": {"s": "1"}}
    each = {"base": one, "wide": two}
    compared = gather(
        dict.fromkeys(each, good_fit), (), False, ranked(good_fit.data.subject_ids, base=0.0, wide=1.0)
    )
    table = aligned("", compared, lambda fit: each[fit.settings["name"]], "")
    assert table.rows == (
        ("Structural",), ("a", "1", "2"), ("b", "–", "2"), ("c", "3 FIX", "3"), ("Covariates",), ("x", "–", "1"), ("Residual",),
        ("s", "1", "1"),
    )  # fmt: skip
    assert not table.warning


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), unique=True), min_size=1, max_size=4))
def test_every_row_is_there_once_and_the_first_fit_keeps_its_order(lists):
    found = _in_order(lists)
    assert sorted(found) == sorted({name for names in lists for name in names})
    assert [name for name in found if name in lists[0]] == lists[0]


def test_only_settings_that_differ_are_shown_first_and_all_are_there(compared, good_fit):
    differing, every = settings_tables(compared)
    assert differing.rows == (
        ("Data and their errors",), ("BLQ values", "M3", "M1"), ("Sampling",), ("target_accept", "–", "0.9"),
    )  # fmt: skip
    assert every.folded
    assert not every.warning
    assert {("BLQ values", "M3", "M1"), ("chains", "4", "4"), ("cmax_omega", "half-normal(scale 1)", "half-normal(scale 1)")} <= set(every.rows)  # fmt: skip
    table = ranked(good_fit.data.subject_ids, a=0.0, b=1.0)
    same = gather(
        {"a": good_fit, "b": replace(good_fit, settings=good_fit.settings | {"made": "later"})},
        (),
        False,
        table,
    )
    assert settings_tables(same)[0] is None
    assert difference_section(same).blocks[0].text == "The fits have the same settings."


def test_the_verdict_names_the_best_the_separation_and_its_weakest_link(compared, good_fit):
    first = verdict_section(compared).blocks[0]
    assert first.tone == "bad"
    assert first.text.startswith(
        "base predicts a subject that it has not seen best; wide (not converged) is worse (difference"
    )
    assert "The place of wide cannot be relied on: not converged." in first.text
    subjects = good_fit.data.subject_ids
    clear = gather({"a": good_fit, "b": good_fit}, (), False, ranked(subjects, a=0.0, b=2.0))
    assert verdict_section(clear).blocks[0].tone == "good"
    equal = gather({"a": good_fit, "b": good_fit}, (), False, ranked(subjects, a=0.0, b=0.0))
    assert verdict_section(equal).blocks[0].tone == "caution"
    assert "b is not separated" in verdict_section(equal).blocks[0].text


def test_fits_of_other_observations_are_not_ranked_and_the_page_says_so(around):
    model, made = load_model("stein2019"), {}
    for name, lloq in (("one", 50), ("other", 60)):
        data = simulate(model, {"times": (1, 7, 14, 28, 60), "lloq": lloq, "doses": (1e6,)}, n=4, seed=1)
        made[name] = measured(around(model, data))
    with pytest.raises(ConfigError) as refused:
        compare(made)
    found = Compared(made, Parts(), None, str(refused.value).removeprefix("compare: "))
    (block,) = ranking_section(found).blocks
    assert block.text.startswith("Not ranked: one was fitted to ")
    assert block.text.endswith("fit both to the same data.")


def test_a_refusal_of_compare_stands_in_verdict_and_ranking(fits, monkeypatch):
    from carkinetics.report import compared as module

    def refuse(*_, **__):
        raise ConfigError(
            "compare: base was fitted to 80 observations and wide to 60; fit both to the same data"
        )

    monkeypatch.setattr(module, "compare", refuse)
    found = gather(fits, (), False, None)
    assert found.ranking is None
    said = "Not ranked: base was fitted to 80 observations and wide to 60; fit both to the same data."
    assert verdict_section(found).blocks[0].text == said
    assert [block.text for block in ranking_section(found).blocks] == [said]


def test_the_ranking_marks_the_row_of_the_fit_and_its_pictures(compared):
    table, *pictures = ranking_section(compared).blocks
    assert isinstance(table, Table)
    assert [table.is_warned(row) for row in range(2)] == [False, True]
    assert all(isinstance(one, Picture) and one.warning == compared.warning for one in pictures)


def test_the_worst_subjects_are_those_of_any_fit(fits):
    assert worst_subjects(fits) == misfit(fits["base"]).index[:4].tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda fits: {"base": fits["base"]}, "found 1 fits; expected two or more"),
        (lambda fits: {"base": fits["base"], " ": fits["wide"]}, "is empty"),
        (lambda fits: {"1": fits["base"], 1: fits["wide"]}, "'1' is there twice"),
    ],
)
def test_names_have_to_tell_fits_apart(fits, change, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        write_comparison(tmp_path / "c.html", change(fits))
    assert not (tmp_path / "c.html").exists()


def test_what_cannot_be_compared_is_refused_before_anything_is_computed(
    fits, ranking, alone, made_fit, tmp_path
):
    with pytest.raises(ConfigError, match=r"a report is .html, .docx or .pdf, found .htlm"):
        write_comparison(tmp_path / "c.htlm", {})
    with pytest.raises(ConfigError, match="no criterion 'wiac'; did you mean 'waic'"):
        write_comparison(tmp_path / "c.html", fits, criteria=["wiac"])
    with pytest.raises(ConfigError, match="the ranking is of base, wide; expected the table of compare"):
        write_comparison(tmp_path / "c.html", {"a": fits["base"], "b": fits["wide"]}, ranking=ranking)
    with pytest.raises(FitError, match="single is a fit of method 'individual'"):
        write_comparison(tmp_path / "c.html", {"base": fits["base"], "single": alone(made_fit)})


def test_with_one_usable_fit_there_is_nothing_to_rank(compared):
    index = pd.Index(["S1", "S2", "S3"], name="subject")
    each = {name: pd.DataFrame({"elpd": [-1.0, -2.0, -3.0 - i], "k": 0.1, "n_obs": 4, "how": "psis"}, index=index) for i, name in enumerate(("base", "wide"))}  # fmt: skip
    box = verdict_section(replace(compared, ranking=rank(each, unusable=["wide"]))).blocks[0]
    assert box.text.startswith("There is nothing to rank base")
    assert box.text.count("not converged") == 1
