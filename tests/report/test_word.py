"""The Word file, opened again: the same words, tables, pictures and equations as the page."""

import html
import re
import sys
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
from carkinetics.report.word import TONES, word

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


def test_a_picture_has_its_words_and_fits_the_page():
    file = opened(picture(figure(4, 12), "What it shows.", "Caption.", warning=BANNER))
    (shown,) = file.inline_shapes
    assert shown._inline.docPr.get("descr") == "What it shows."
    assert shown.height.inches <= 8.61
    assert shown.width / shown.height == pytest.approx(1 / 3, rel=0.01)
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
