"""A document → Word: the same headings, words, tables, pictures and equations as the page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from itertools import count
from typing import TYPE_CHECKING, Any

from carkinetics.errors import ConfigError
from carkinetics.report.blocks import PIXELS, Block, Document, Equations, Facts, Picture, Section, Table, Text
from carkinetics.report.images import png
from carkinetics.report.omml import omml
from carkinetics.report.paper import Entry, anchor, entries, headline, on_paper
from carkinetics.report.word_contents import bookmark, field, list_of
from carkinetics.report.word_table import BAD, SOFT, cells_of, empty_table, fill, fit, legal, write_rows

if TYPE_CHECKING:
    from docx.document import Document as WordDocument
    from docx.text.paragraph import Paragraph

# Inches between the margins of A4; what a picture may take of the height, so that two find room on a page, and one with many panels.
TEXT_WIDTH, LONG_SIDE, HALF_PAGE, PAGE_HEIGHT = 6.9, 10.3, 3.9, 8.6
MARGIN = 0.68
INK = "1B1F24"
# Ink and ground of the page's boxes.
TONES = {"good": ("1A6B35", "E8F5EC"), "bad": (BAD, "FDECEE"), "caution": ("7A4B00", "FFF6E0")}


def word(document: Document) -> bytes:
    """Write a document for Word.

    Parameters
    ----------
    document : Document
        What to write; charts are replaced by their pictures.

    Returns
    -------
    bytes
        The file.

    Raises
    ------
    ConfigError
        If python-docx is not installed.
    """
    try:
        import docx
    except ImportError as error:
        raise ConfigError(
            "a Word report is written by python-docx, which is not installed: pip install 'carkinetics[word]'"
        ) from error
    document = on_paper(document)
    file, places = docx.Document(), count(1)
    _set_up(file, document)
    file.add_heading(document.title, level=0)
    _small(file.add_paragraph(document.made))
    for i, section in enumerate(document.sections):
        _section(file, section, places)
        if i == 0 and len(document.sections) > 1:  # the verdict is read first
            _contents(file, document.sections)
    buffer = BytesIO()
    file.save(buffer)
    return buffer.getvalue()


def _contents(file: WordDocument, sections: tuple[Section, ...]) -> None:
    """Sections, tables and figures, as Word lists them."""
    lists = (
        ("Contents", r'TOC \o "1-1" \h \z', [Entry("", one.title, one.anchor) for one in sections]),
        ("Tables", r'TOC \h \z \c "Table"', entries(sections, "table")),
        ("Figures", r'TOC \h \z \c "Figure"', entries(sections, "picture")),
    )
    for i, (title, instruction, lines) in enumerate(lists):
        list_of(file, title, instruction, lines, on_new_page=i == 0)


def _set_up(file: WordDocument, document: Document) -> None:
    """A4, a font that is everywhere, what the file says of itself, page numbers."""
    from docx.shared import Inches, Mm, Pt, RGBColor

    page = file.sections[0]
    page.page_width, page.page_height = Mm(210), Mm(297)
    page.left_margin = page.right_margin = page.top_margin = page.bottom_margin = Inches(MARGIN)
    file.styles["Normal"].font.name, file.styles["Normal"].font.size = "Arial", Pt(10)
    caption, heading = file.styles["Caption"], file.styles["Heading 1"]
    caption.font.size, caption.font.color.rgb = Pt(9), RGBColor.from_string(INK)
    heading.font.name, heading.font.color.rgb = "Arial", RGBColor.from_string(INK)
    said = file.core_properties
    said.title, said.author, said.comments = document.title, document.generator, document.made
    said.created = said.modified = datetime.now(UTC)
    foot = page.footer.paragraphs[0]
    foot.add_run(f"{document.title} · ")
    field(foot, "PAGE", "1")
    _small(foot)


def _section(file: WordDocument, section: Section, places: Iterator[int]) -> None:
    _turn(file, bool(section.blocks) and _is_turned(section.blocks[0]))
    bookmark(file.add_heading(section.title, level=1), section.anchor, next(places))
    for block in section.blocks:
        _turn(file, _is_turned(block))
        _block(file, block, places)


def _is_turned(block: Block) -> bool:
    return isinstance(block, Table) and fit(block, TEXT_WIDTH, LONG_SIDE)[2]


def _turn(file: WordDocument, across: bool) -> None:
    """Go on on a page on its side, or upright again."""
    from docx.enum.section import WD_ORIENT, WD_SECTION

    now = file.sections[-1]
    if (now.orientation == WD_ORIENT.LANDSCAPE) == across:
        return
    new = file.add_section(WD_SECTION.NEW_PAGE)
    new.orientation = WD_ORIENT.LANDSCAPE if across else WD_ORIENT.PORTRAIT
    new.page_width, new.page_height = now.page_height, now.page_width


def _block(file: WordDocument, block: Block, places: Iterator[int]) -> None:
    match block:
        case Text():
            _text(file, block)
        case Table():
            _table(file, block, places)
        case Picture():
            _picture(file, block, places)
        case Facts():
            _facts(file, block)
        case Equations():
            for line in block.lines:
                _equation(file, str(line))
        case _:
            raise TypeError(f"{type(block).__name__} has no form in Word")


def _text(file: WordDocument, block: Text) -> None:
    from docx.shared import RGBColor

    paragraph = file.add_paragraph()
    run = paragraph.add_run(legal(block.text))
    if block.tone in TONES:
        ink, ground = TONES[block.tone]
        run.font.color.rgb = RGBColor.from_string(ink)
        _shade(paragraph._p.get_or_add_pPr(), ground)


def _shade(properties: Any, ground: str) -> None:
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    shade = OxmlElement("w:shd")
    for key, value in (("val", "clear"), ("color", "auto"), ("fill", ground)):
        shade.set(qn(f"w:{key}"), value)
    properties.append(shade)


def _warning(file: WordDocument, text: str) -> None:
    from docx.shared import RGBColor

    if text:
        paragraph = file.add_paragraph()
        run = paragraph.add_run(legal(text))
        run.bold, run.font.color.rgb = True, RGBColor.from_string(BAD)
        paragraph.paragraph_format.keep_with_next = True


def _caption(file: WordDocument, block: Table | Picture, places: Iterator[int], *, above: bool) -> None:
    """The number is a field: Word counts again when a table is put before it."""
    paragraph = file.add_paragraph(style="Caption")
    paragraph.paragraph_format.keep_with_next, paragraph.paragraph_format.keep_together = above, True
    if block.number:
        kind = block.label.split()[0]
        paragraph.add_run(f"{kind} ")
        field(paragraph, f"SEQ {kind} \\* ARABIC", str(block.number))
        paragraph.add_run(". ")
    title = headline(block.caption)
    paragraph.add_run(legal(title))
    if block.number:
        bookmark(paragraph, anchor(block), next(places))
    paragraph.add_run(legal(block.caption.removeprefix(title))).bold = False


def _table(file: WordDocument, block: Table, places: Iterator[int]) -> None:
    _caption(file, block, places, above=True)
    _warning(file, block.warning)
    size, widths, _ = fit(block, TEXT_WIDTH, LONG_SIDE)
    write_rows(file, block, size, widths)
    _small(file.add_paragraph(legal(block.note)))


def _facts(file: WordDocument, block: Facts) -> None:
    from docx.shared import Pt

    if not block.pairs:
        return
    table = empty_table(file, len(block.pairs), 2)
    for (name, value), (left, right) in zip(block.pairs, cells_of(table, 2), strict=True):
        fill(left, name, Pt(9), colour=SOFT)
        fill(right, value, Pt(9), bold=True)
    file.add_paragraph()


def _picture(file: WordDocument, block: Picture, places: Iterator[int]) -> None:
    from docx.shared import Inches

    _warning(file, block.warning)
    most = PAGE_HEIGHT if block.is_tall else HALF_PAGE
    width = min(TEXT_WIDTH, block.width / PIXELS, most * block.width / block.height)
    shown = file.add_picture(BytesIO(png(block.figure)), width=Inches(width))
    shown._inline.docPr.set("descr", legal(block.alt))
    file.paragraphs[-1].paragraph_format.keep_with_next = True
    _caption(file, block, places, above=False)


def _equation(file: WordDocument, mathml: str) -> None:
    from docx.oxml import parse_xml

    file.add_paragraph()._p.append(parse_xml(omml(mathml)))


def _small(paragraph: Paragraph) -> None:
    from docx.shared import Pt, RGBColor

    for run in paragraph.runs:
        run.font.size, run.font.color.rgb = Pt(8), RGBColor.from_string(SOFT)
