"""The Word file, opened again: the same words, tables, pictures and equations as the page."""

import html
import re
import sys
from dataclasses import replace
from io import BytesIO

import docx
import pytest
from docx.oxml.ns import qn
from matplotlib.figure import Figure

from carkinetics.errors import ConfigError
from carkinetics.model import load_model
from carkinetics.report import write_report
from carkinetics.report.blocks import Chart, Document, Facts, Section, Table, Text
from carkinetics.report.equations import model_equations
from carkinetics.report.images import picture
from carkinetics.report.paper import numbered
from carkinetics.report.word import HALF_PAGE, LONG_SIDE, TEXT_WIDTH, TONES, word
from carkinetics.report.word_table import CELL_MARGINS, SLACK, columns_of, letters

BANNER = "not converged: do not use these numbers"


def opened(*blocks):
    document = Document("A trial", "Made then", "carkinetics 0", (Section("a", "First", blocks),))
    return docx.Document(BytesIO(word(document)))


def paragraphs(file):
    return [paragraph.text for paragraph in file.paragraphs if paragraph.text]


def figure(width=4.0, height=3.0):
    drawn = Figure(figsize=(width, height))
    drawn.add_subplot().plot([1, 2])
    return drawn


def test_headings_and_text_with_its_tone():
    file = opened(Text("plain"), Text("bad news", "bad"))
    styles = [(p.style.name, p.text) for p in file.paragraphs if p.text]
    assert styles[0] == ("Title", "A trial")
    assert ("Heading 1", "First") in styles
    assert paragraphs(file)[-2:] == ["plain", "bad news"]
    run = file.paragraphs[-1].runs[0]
    assert str(run.font.color.rgb) == TONES["bad"][0]
    assert file.core_properties.title == "A trial"


def test_a_table_keeps_rows_headings_note_and_warning():
    rows = (("Group",), ("a", "1.5"), ("b", "2.5"))
    file = opened(Table("Caption", ("Name", "Value"), rows, "Note.", BANNER, warned=frozenset({1})))
    (table,) = file.tables
    assert [[cell.text for cell in row.cells] for row in table.rows] == [
        ["Name", "Value"], ["Group", "Group"], ["a", "1.5"], ["b", "2.5"],
    ]  # fmt: skip
    said = paragraphs(file)
    assert [text for text in said if text in ("Caption", BANNER, "Note.")] == ["Caption", BANNER, "Note."]
    colours = [table.rows[i].cells[1].paragraphs[0].runs[0].font.color.rgb for i in (2, 3)]
    assert [str(colour) for colour in colours] == [TONES["bad"][0], "None"]


def test_heads_repeat_and_no_row_is_cut():
    (table,) = opened(Table("Caption", ("Name", "Value"), (("a", "1"),) * 80)).tables
    repeated = [row._tr.trPr.find(qn("w:tblHeader")) is not None for row in table.rows]
    assert repeated == [True] + [False] * 80
    assert all(row._tr.trPr.find(qn("w:cantSplit")) is not None for row in table.rows)


def widths(table) -> list[float]:
    return [cell.width.inches for cell in table.rows[0].cells]


WORDY = ("a sentence of several words that may break between them " * 4).strip()


@pytest.mark.parametrize("columns", [3, 8, 14])
def test_every_word_and_number_has_room_on_one_line(columns):
    heads = ("Subject", *(f"Cmax (cells/µL) {i}" for i in range(columns - 2)), "Why")
    rows = (("105-004-017", *("0.289" for _ in heads[1:-1]), WORDY),) * 3
    (table,) = opened(Table("Each", heads, rows)).tables
    assert len({tuple(cell.width for cell in row.cells) for row in table.rows}) == 1
    for row in table.rows:
        for cell in row.cells:
            run = cell.paragraphs[0].runs[0]
            for one in run.text.split():
                needed = letters(one, run.font.size.pt, bold=bool(run.bold)) + CELL_MARGINS
                assert needed <= cell.width.inches + 1e-3, (one, cell.width.inches)


def test_a_table_that_is_too_wide_for_the_page_turns_it_and_the_next_one_is_upright():
    heads = tuple(f"Concentration{i:02}" for i in range(9))
    wide = Table("Wide", heads, (("1",) * len(heads),))
    file = opened(Text("before"), wide, Text("after"))
    assert [one.page_width > one.page_height for one in file.sections] == [False, True, False]
    assert TEXT_WIDTH < sum(widths(file.tables[0])) <= LONG_SIDE + 1e-6
    first = docx.Document(BytesIO(word(Document("t", "m", "g", (Section("a", "Only", (wide,)),)))))
    assert [one.page_width > one.page_height for one in first.sections] == [False, True]


def test_a_text_is_as_wide_as_in_the_font():
    """Advance widths of DejaVu Sans, in 1/2048 of the size: a 1255, M 1767, i 569; of the bold one a 1382."""
    assert letters("aMi", 72) == pytest.approx((1255 + 1767 + 569) / 2048, abs=2e-4)
    assert letters("a", 36, bold=True) == pytest.approx(1382 / 2048 / 2, abs=2e-4)
    assert letters("\u6f22", 72) == 1.0  # it has no ideographs


def test_captions_are_counted_by_word_and_listed_with_links():
    blocks = (
        Table("T", ("a",), (("1",),)),
        picture(figure(), "What.", "F. More."),
        Table("U", ("a",), (("1",),)),
    )
    made = numbered((Section("a", "First", blocks), Section("b", "Second", (Text("x"),))))
    file = docx.Document(BytesIO(word(Document("A trial", "m", "g", made))))
    assert [p.text for p in file.paragraphs if p.style.name == "Caption"] == [
        "Table 1. T", "Figure 1. F. More.", "Table 2. U",
    ]  # fmt: skip
    fields = [node.text.split()[:2] for node in file.element.body.iter(qn("w:instrText"))]
    assert [one for one in fields if one[0] == "SEQ"] == [
        ["SEQ", "Table"],
        ["SEQ", "Figure"],
        ["SEQ", "Table"],
    ]
    links = [
        (node.get(qn("w:anchor")), "".join(t.text for t in node.iter(qn("w:t"))))
        for node in file.element.body.iter(qn("w:hyperlink"))
    ]
    assert links == [
        ("a", "First"), ("b", "Second"), ("table-1", "Table 1. T"), ("table-2", "Table 2. U"), ("figure-1", "Figure 1. F"),
    ]  # fmt: skip
    marks = [node.get(qn("w:name")) for node in file.element.body.iter(qn("w:bookmarkStart"))]
    assert sorted(marks) == sorted(anchor for anchor, _ in links)
    kinds = [node.get(qn("w:fldCharType")) for node in file.element.body.iter(qn("w:fldChar"))]
    assert [kinds.count(kind) for kind in ("begin", "separate", "end")] == [6, 6, 6]


def test_a_caption_and_the_heads_stay_with_the_first_row():
    file = opened(Table("Caption", ("Name", "Value"), (("Group",), ("a", "1"), ("b", "2"))))
    (caption,) = [p for p in file.paragraphs if p.style.name == "Caption"]
    assert caption.paragraph_format.keep_with_next
    kept = [row.cells[0].paragraphs[0].paragraph_format.keep_with_next for row in file.tables[0].rows]
    assert kept == [True, True, None, None]


def test_a_picture_has_its_words_and_fits_the_page():
    file = opened(picture(figure(4, 12), "What it shows.", "Caption.", warning=BANNER))
    (shown,) = file.inline_shapes
    assert shown._inline.docPr.get("descr") == "What it shows."
    assert shown.height.inches <= 8.61
    assert shown.width / shown.height == pytest.approx(1 / 3, rel=0.01)
    (half,) = opened(picture(figure(7, 6), "What.", "Caption.")).inline_shapes  # two find room on a page
    assert half.height.inches == pytest.approx(HALF_PAGE, abs=0.01)
    assert [text for text in paragraphs(file) if text in (BANNER, "Caption.")] == [BANNER, "Caption."]


def test_a_chart_is_shown_by_its_pictures():
    def never():
        raise AssertionError("a chart was computed that nobody can see")

    stills = (picture(figure(), "One.", "C1"), picture(figure(), "Two.", "C2"))
    assert len(opened(Chart("Fits", never, stills, "Point.")).inline_shapes) == 2


def test_facts_and_equations_are_there():
    file = opened(Facts((("Subjects", "8"),)), model_equations(load_model("stein2019")))
    assert [cell.text for cell in file.tables[0].rows[0].cells] == ["Subjects", "8"]
    maths = file.element.body.findall(f".//{qn('m:oMath')}")
    assert len(maths) == len(model_equations(load_model("stein2019")).lines)
    assert "otherwise" in "".join(maths[-1].itertext())


def test_control_characters_of_the_data_do_not_break_the_file():
    assert paragraphs(opened(Text("a\x00b\x1bc")))[-1] == "a\ufffdb\ufffdc"


def test_without_python_docx_the_message_says_what_to_install(good_fit, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "docx", None)
    with pytest.raises(ConfigError, match=r"pip install 'carkinetics\[word\]'"):
        write_report(tmp_path / "r.docx", good_fit.data)
    assert not list(tmp_path.iterdir())


def shown_words(page: str) -> list[str]:
    """Text of every paragraph, cell, heading and caption of a page."""
    body = re.sub(r"<(style|math|nav|head)\b.*?</\1>", "", page, flags=re.S)
    body = re.sub(r'<p class="more".*?</p>', "", body)  # said to a screen
    found = re.findall(r"<(p|td|th|h1|h2|caption|figcaption|dt|dd)\b[^>]*>(.*?)</\1>", body, flags=re.S)
    texts = [html.unescape(re.sub(r"<[^>]+>", "", text)).strip() for _, text in found]
    return [" ".join(text.split()) for text in texts if text]


@pytest.mark.slow  # draws a whole report
@pytest.mark.parametrize("kind", ["good", "bad"])
def test_word_says_all_that_the_page_says(kind, good_fit, bad_fit, observed, modelled, dose, grade, tmp_path):
    parts = (good_fit if kind == "good" else bad_fit, observed, modelled, dose, grade)
    page = write_report(tmp_path / "r.html", *parts, interactive=False).read_text(encoding="utf-8")
    file = docx.Document(str(write_report(tmp_path / "r.docx", *parts)))
    in_word = {" ".join(text.split()) for text in paragraphs(file)}
    in_word |= {" ".join(cell.text.split()) for table in file.tables for cell in table._cells}
    heading = {"CAR-T cellular kinetics", "Skip to the results"}
    missing = [text for text in shown_words(page) if text not in in_word | heading and "Made " not in text]
    assert missing == []
    assert len(file.inline_shapes) == page.count("<img ")
    assert len(file.tables) == page.count("<table") + page.count("<dl")
    assert len(file.element.body.findall(f".//{qn('m:oMath')}")) == page.count("<math")
    assert (BANNER in in_word) == (kind == "bad")
    assert sum(text == BANNER for text in paragraphs(file)) == page.count(f"<strong>{BANNER}")


def test_a_link_of_a_table_is_one_in_word():
    file = opened(
        Table(
            "Runs", ("Run", "Value"), (("first", "1"), ("second", "2")), links={(1, 0): "a%20b/report.html"}
        )
    )
    (table,) = file.tables
    (link,) = table._tbl.iter(qn("w:hyperlink"))
    assert file.part.rels[link.get(qn("r:id"))].target_ref == "a%20b/report.html"
    assert "".join(node.text for node in link.iter(qn("w:t"))) == "second"


def test_room_goes_to_the_column_whose_rows_lack_it():
    """One long list of places in "Where" used to be given as much as all the sentences beside it."""
    places, sentence = (
        "001-001, 001-002, 001-003, 001-004, 001-005, 001-006",
        "a sentence that goes on and on " * 8,
    )
    rows = (("note", places, sentence), *(("note", "all", sentence),) * 9)
    table = Table("t", ("Severity", "Where", "What"), rows, align="l")
    (severity, where, what), whole = columns_of(table, 6.5, 8.0)
    assert whole
    assert severity + where + what == pytest.approx(6.5, abs=SLACK)
    assert what > 3 * where
    narrow, _ = columns_of(replace(table, rows=(("note", "all", "short"),)), 6.5, 8.0)
    assert sum(narrow) < 3, "no table is wider than its texts"
