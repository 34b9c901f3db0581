"""Numbers of tables and figures, the lists of contents, and what paper leaves to the page."""

import re

import pytest
from matplotlib.figure import Figure

from carkinetics.report.blocks import Chart, Document, Picture, Section, Table, Text
from carkinetics.report.html import page
from carkinetics.report.paper import anchor, entries, headline, numbered, on_paper


def shown(caption: str = "A figure", height: float = 3.0) -> Picture:
    return Picture(Figure(figsize=(4, height)), "Words.", caption)


def table(caption: str = "A table", rows: int = 1, **more) -> Table:
    return Table(caption, ("Name", "Value"), tuple((f"r{i}", str(i)) for i in range(rows)), **more)


def never() -> dict:
    raise AssertionError("a chart was computed that nobody sees")


def sections() -> tuple[Section, ...]:
    chart = Chart("Fits", never, (shown("One"), shown("Two")), "Point.")
    first = Section("a", "First", (Text("x"), table("T one"), shown("F one"), chart))
    return numbered((first, Section("b", "Second", (shown("F last"), table("T two", folded=True)))))


def test_tables_and_figures_are_counted_apart_and_through_all_sections():
    blocks = [block for section in sections() for block in section.blocks]
    labels = [block.label for block in blocks if not isinstance(block, Text)]
    assert labels == ["Table 1", "Figure 1", "Figures 2 to 3", "Figure 4", "Table 2"]
    assert [still.label for still in blocks[3].pictures] == ["Figure 2", "Figure 3"]
    assert [table().label, shown().label, anchor(table())] == ["", "", ""]


def test_lists_name_every_table_and_figure_in_order():
    assert [(e.label, e.title, e.anchor) for e in entries(sections(), "picture")] == [
        ("Figure 1", "F one", "figure-1"), ("Figure 2", "One", "figure-2"), ("Figure 3", "Two", "figure-3"),
        ("Figure 4", "F last", "figure-4"),
    ]  # fmt: skip
    assert [e.label for e in entries(sections(), "table")] == ["Table 1", "Table 2"]


@pytest.mark.parametrize("script", [True, False])
def test_every_line_of_the_contents_leads_to_a_place_of_the_page(script):
    made = tuple(
        Section(one.anchor, one.title, tuple(b for b in one.blocks if not isinstance(b, Chart)))
        for one in sections()
    )
    text = page(Document("t", "m", "g", made), interactive=script)
    places = re.findall(r' id="([^"]+)"', text)
    assert len(places) == len(set(places))
    led = set(re.findall(r'<a href="#([^"]+)">', text))
    assert {"a", "b", "table-1", "table-2", "figure-1", "figure-4"} <= led <= set(places)
    assert '<caption><span class="label">Table 1.</span> T one</caption>' in text
    assert '<summary><span class="label">Table 2.</span> T two</summary>' in text
    assert '<figcaption><span class="label">Figure 4.</span> F last</figcaption>' in text


@pytest.mark.parametrize(
    ("caption", "short"),
    [
        ("Subjects 1 to 20. Points: observed.", "Subjects 1 to 20"),
        ("Tumour size: All subjects. Lines: percentiles.", "Tumour size: All subjects"),
        (f"Size: Errors of prediction: {'every observation ' * 4}; more", "Size: Errors of prediction"),
        ("Prior (grey) and posterior.", "Prior (grey) and posterior"),
    ],
)
def test_a_list_has_the_title_and_not_the_explanation(caption, short):
    assert headline(caption) == short


def test_paper_has_the_first_rows_of_a_long_list_and_says_how_many_there_are():
    long, whole = table(rows=5, on_paper=3, note="Why."), table(rows=5)
    made = on_paper(Document("t", "m", "g", (Section("a", "A", (long, whole)),)))
    cut, kept = made.sections[0].blocks
    assert [row[0] for row in cut.rows] == ["r0", "r1", "r2"]
    assert cut.note == "The first 3 of 5 rows; the HTML report has all, and saves them as CSV. Why."
    assert kept is whole
    exact = table(rows=3, on_paper=3)
    assert on_paper(Document("t", "m", "g", (Section("a", "A", (exact,)),))).sections[0].blocks == (exact,)
