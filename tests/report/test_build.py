"""The page as a reader and a browser get it: structure, numbers, nothing from outside."""

import base64
import gzip
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from carkinetics.dataset import read_nonmem
from carkinetics.diagnostics.cross_check import judged
from carkinetics.errors import ConfigError
from carkinetics.exposure import nca
from carkinetics.fit import fit_individuals
from carkinetics.model import load_model
from carkinetics.report import write_report
from carkinetics.report.written import number, span

SECTIONS = [
    "verdict", "identification", "data", "model", "priors", "convergence", "parameters", "contraction", "effects", "individual", "vpc", "gof",
    "calibration", "exposure", "dose", "response", "methods", "warnings", "session",
]  # fmt: skip
BANNER = "not converged: do not use these numbers"
MARK = f'<p class="unconverged"><strong>{BANNER}'  # where a reader sees it
VOID = {"meta", "link", "img", "br", "input"}


class Page(HTMLParser):
    """Headings, identifiers, attributes and text of a page; tags must be nested."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)
        elif self.open and self.open[-1] == "script":
            self.scripts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def having(self, tag: str, attribute: str = "") -> list[str | None]:
        return [attrs.get(attribute) for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def page(good_fit, observed, modelled, dose, grade, tmp_path_factory) -> tuple[Path, Page]:
    path = tmp_path_factory.mktemp("report") / "new" / "report.html"
    # In any order: they are sorted by what they are.
    parts = (grade, modelled, good_fit, dose, observed, good_fit.data)
    assert write_report(path, *parts, title="A trial") == path
    return path, Page(path.read_text(encoding="utf-8"))


def test_the_verdict_comes_first_and_all_sections_follow(page):
    sections = page[1].having("section", "id")
    assert sections == SECTIONS
    assert "Converged: R-hat at most" in page[1].text
    assert BANNER not in page[1].text


def test_the_contents_lead_to_every_section(page):
    links = [link for link in page[1].having("a", "href") if link != "#main"]
    sections = [link for link in links if not link.startswith(("#table-", "#figure-"))]
    assert sections == [f"#{name}" for name in SECTIONS] * 2  # beside the page, and in print
    assert {link[1:] for link in links} <= {str(attrs.get("id")) for _, attrs in page[1].tags}


def policy(found: Page) -> dict[str, list[str]]:
    (text,) = [attrs["content"] for tag, attrs in found.tags if attrs.get("http-equiv")]
    return {one.split()[0]: one.split()[1:] for one in text.split(";")}


def sha256(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_nothing_is_loaded_from_outside(page):
    text = page[0].read_text(encoding="utf-8")
    assert all(source.startswith("data:image/") for source in page[1].having("img", "src"))
    assert page[1].having("link", "href") == ["data:,"]
    assert set(page[1].having("script", "src")) == {None}
    outside = set(re.findall(r"https?://[^\s\"'<]+", re.sub(r"base64,[A-Za-z0-9+/=]+", "", text)))
    assert outside <= {
        "http://www.w3.org/1998/Math/MathML",
        "http://www.w3.org/2000/svg",
    }  # names, not places


def test_only_scripts_whose_hash_is_named_run(page):
    allowed = policy(page[1])
    assert allowed["default-src"] == ["'none'"]
    assert allowed["base-uri"] == allowed["form-action"] == ["'none'"]
    assert "connect-src" not in allowed
    tags = [attrs for tag, attrs in page[1].tags if tag == "script"]
    runs = [text for attrs, text in zip(tags, page[1].scripts, strict=True) if not attrs.get("type")]
    held = [attrs["type"] for attrs in tags if attrs.get("type")]
    assert sorted(held) == ["application/json", "application/json", "text/plain"]
    packed = page[1].scripts[[attrs.get("id") for attrs in tags].index("plotly")]
    plotly = gzip.decompress(base64.b64decode(packed)).decode()
    assert "plotly.js v" in plotly[:100]
    assert allowed["script-src"] == [*map(sha256, runs), sha256(plotly)]


def test_without_interaction_nothing_runs(good_fit, tmp_path):
    found = Page(
        write_report(tmp_path / "still.html", good_fit.data, interactive=False).read_text(encoding="utf-8")
    )
    assert not found.having("script")
    assert not found.having("button")
    assert not found.having("select")
    assert "script-src" not in policy(found)
    assert len(found.having("img")) == 1


@pytest.mark.slow  # draws a whole report
def test_the_same_content_stands_in_both_pages(page, good_fit, observed, modelled, dose, grade, tmp_path):
    """Pictures of a chart stay for print and for browsers without scripts."""
    still = write_report(
        tmp_path / "r.html", grade, modelled, good_fit, dose, observed, title="A trial", interactive=False
    )
    found = Page(still.read_text(encoding="utf-8"))
    assert found.having("img", "src") == page[1].having("img", "src")
    assert len(found.having("table")) == len(page[1].having("table"))


def test_the_page_can_be_read_without_seeing_it(page):
    assert page[1].having("html", "lang") == ["en"]
    assert len(page[1].having("h1")) == 1
    assert all(alt and len(alt) > 20 for alt in page[1].having("img", "alt"))
    identifiers = [attrs["id"] for _, attrs in page[1].tags if "id" in attrs]
    assert len(identifiers) == len(set(identifiers))
    heads = [attrs.get("scope") for tag, attrs in page[1].tags if tag == "th"]
    assert set(heads) <= {"col", "row", "rowgroup"}


def test_the_numbers_are_those_of_the_fit(page, good_fit):
    row = good_fit.population().loc["cmax_typical"]
    cells = [number(row["median"]), number(row["sd"]), span(row["lower"], row["upper"])]
    assert " ".join(["cmax (copies/ug)", *cells]) in page[1].text
    assert f"{row['rhat']:.3f} {min(row['ess_bulk'], row['ess_tail']):.0f}" in page[1].text
    assert good_fit.model.sha256 in page[1].text
    assert good_fit.data.sha256 in page[1].text


@pytest.mark.slow  # a second whole report
def test_a_fit_that_did_not_converge_marks_everything_that_rests_on_it(
    bad_fit, good_fit, observed, modelled, dose, grade, tmp_path
):
    path = write_report(tmp_path / "bad.html", bad_fit, good_fit, observed, modelled, dose, grade)
    text = path.read_text(encoding="utf-8")
    found = Page(text)
    assert "Not converged: 3 of 1000 draws diverged" in found.text
    # The first fit is shown in full, of the second one the estimates, which did converge.
    assert text.count("</span> Population parameters, stein2019") == 2
    start = text.index('<section id="parameters"')
    assert text[start : text.index("</section>", start)].count(MARK) == 1
    for section in (
        "verdict",
        "parameters",
        "contraction",
        "effects",
        "individual",
        "vpc",
        "gof",
        "exposure",
        "dose",
        "response",
    ):
        start = text.index(f'<section id="{section}"')
        assert MARK in text[start : text.index("</section>", start)], section
    # The observations do not depend on the fit.
    start = text.index('<section id="data"')
    assert BANNER not in text[start : text.index("</section>", start)]


def test_text_of_the_data_is_never_markup(tmp_path):
    evil = '<img src=x onerror="alert(1)">&"\''
    frame = pd.DataFrame(
        {
            "ID": [evil] * 5,
            "TIME": [1, 7, 14, 21, 28],
            "DV": ["10", "2000", "900", "<5", "oops<b>"],
            "COHORT": "<i>x</i>",
        }
    )
    data = read_nonmem(frame, value_unit="copies/ug", lloq=5)
    remark = pd.DataFrame(
        [{"severity": "error", "rule": "<u>", "where": evil, "message": "<script>alert(1)</script>"}]
    )
    path = write_report(tmp_path / "r.html", data, nca(data), title="<h1>T</h1>", findings=remark)
    text = path.read_text(encoding="utf-8")
    found = Page(text)
    assert "onerror" not in {name for _, attrs in found.tags for name in attrs}
    assert set(found.having("script", "src")) == {None}
    allowed = policy(found)["script-src"]
    ran = [text for text in found.scripts if sha256(text) in allowed]
    assert len(ran) == 2
    assert not found.having("u")
    assert all(source.startswith("data:") for source in found.having("img", "src"))
    assert evil in found.text
    assert "<script>alert(1)</script>" in found.text


def test_data_alone_and_individual_fits_make_a_page(good_fit, tmp_path):
    alone = fit_individuals(
        load_model("stein2019"), good_fit.data.select(subjects=good_fit.data.subject_ids[:2])
    )
    found = Page(write_report(tmp_path / "i.html", alone).read_text(encoding="utf-8"))
    assert found.having("section", "id") == [
        "verdict",
        "identification",
        "data",
        "model",
        "parameters",
        "individual",
        "warnings",
        "session",
    ]
    assert "of 2 converged" in found.text
    data = Page(write_report(tmp_path / "d.html", good_fit.data).read_text(encoding="utf-8"))
    assert data.having("section", "id") == ["verdict", "identification", "data", "warnings", "session"]
    assert "No population fit in this report" in data.text


def test_a_part_of_another_kind_and_no_part_are_refused(good_fit, tmp_path):
    with pytest.raises(ConfigError, match="a part is str; expected Dataset, Fit"):
        write_report(tmp_path / "r.html", "fit.nc")
    with pytest.raises(ConfigError, match="0 parts"):
        write_report(tmp_path / "r.html")
    with pytest.raises(ConfigError, match="2 datasets"):
        write_report(tmp_path / "r.html", good_fit.data, good_fit.data)
    assert not (tmp_path / "r.html").exists()


def test_a_report_that_fails_leaves_the_earlier_one(good_fit, tmp_path):
    path = write_report(tmp_path / "r.html", good_fit.data)
    before = path.read_bytes()
    broken = replace(good_fit.data, observations=good_fit.data.observations.assign(unit=1, value="x"))
    with pytest.raises((TypeError, ValueError)):
        write_report(path, broken)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["r.html"]


def test_a_folder_in_place_of_the_file_is_refused(observed, tmp_path):
    with pytest.raises(ConfigError, match="is a folder; expected a file"):
        write_report(tmp_path, observed)
    assert not list(tmp_path.iterdir())


def test_another_ending_is_refused_before_anything_is_computed(tmp_path):
    with pytest.raises(ConfigError, match=r"a report is \.html, \.docx or \.pdf, found \.doc; did you mean"):
        write_report(tmp_path / "r.doc", "no part of a report")
    with pytest.raises(ConfigError, match="found no ending"):
        write_report(tmp_path / "r", "no part of a report")


@pytest.mark.slow
def test_two_fits_of_one_model_are_told_apart(good_fit, tmp_path):
    fits = [replace(good_fit, settings=good_fit.settings | {"name": name}) for name in ("base", "dose")]
    page = write_report(tmp_path / "two.html", *fits).read_text(encoding="utf-8")
    for name in ("base", "dose"):
        assert f"{name} (stein2019): " in page
        assert f"Fit of {name} (stein2019)" in page


@pytest.mark.slow  # draws a whole report each
@pytest.mark.parametrize(("z", "word"), [(1.3, "agree"), (-7.0, "DISAGREE")])
def test_a_cross_check_stands_in_the_report(good_fit, tmp_path, z, word):
    names = good_fit.population().index[:3]
    table = pd.DataFrame(
        {"mean": 1.0, "other_mean": 1.1, "shift_sd": 0.1, "z": [z, 0.5, -0.2]},
        index=names.rename("parameter"),
    )
    path = write_report(tmp_path / "report.html", good_fit, judged(table, "structured", "nutpie"))
    text = Page(path.read_text(encoding="utf-8")).text
    assert f"Two engines on one posterior {word}: largest |z| {abs(z):.1f} of 3" in text
    assert ("the engines disagree" in text) == (word == "DISAGREE")
    assert ("Two engines disagree on this posterior" in text) == (word == "DISAGREE")
