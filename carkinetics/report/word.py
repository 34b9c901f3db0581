"""A document → Word: the same headings, words, tables, pictures and equations as the page."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any

from carkinetics.errors import ConfigError
from carkinetics.report.blocks import Block, Document, Equations, Facts, Picture, Section, Table, Text
from carkinetics.report.html import without_charts
from carkinetics.report.images import png
from carkinetics.report.omml import omml

if TYPE_CHECKING:
    from docx.document import Document as WordDocument
    from docx.table import Table as WordTable
    from docx.text.paragraph import Paragraph

# Colours of the page: ink, and the ground behind it.
TONES = {"good": ("1A6B35", "E8F5EC"), "bad": ("A40E26", "FDECEE"), "caution": ("7A4B00", "FFF6E0")}
SOFT, BAD, LINK = "57606A", TONES["bad"][0], "0B5CAD"
TEXT_WIDTH, PAGE_HEIGHT = (
    6.9,
    8.6,
)  # inches: A4 between the margins, and what a picture may take of its height
MARGIN = 0.68
MANY_COLUMNS = 7
# Letters of a column, at least and at most; the width of one as a share of its height; inches at both sides of a cell.
SHORTEST, LONGEST, CHARACTER, CELL_MARGINS = 6, 60, 0.55, 0.16


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
    document = without_charts(document)
    file = docx.Document()
    _set_up(file, document)
    file.add_heading(document.title, level=0)
    _small(file.add_paragraph(document.made))
    for section in document.sections:
        _section(file, section)
    buffer = BytesIO()
    file.save(buffer)
    return buffer.getvalue()


def _set_up(file: WordDocument, document: Document) -> None:
    """A4, a font that is everywhere, what the file says of itself, page numbers."""
    from docx.shared import Inches, Mm, Pt

    page = file.sections[0]
    page.page_width, page.page_height = Mm(210), Mm(297)
    page.left_margin = page.right_margin = page.top_margin = page.bottom_margin = Inches(MARGIN)
    file.styles["Normal"].font.name, file.styles["Normal"].font.size = "Arial", Pt(10)
    said = file.core_properties
    said.title, said.author, said.comments = document.title, document.generator, document.made
    said.created = said.modified = datetime.now(UTC)
    foot = page.footer.paragraphs[0]
    foot.add_run(f"{document.title} · ")
    _field(foot, "PAGE")
    _small(foot)


def _field(paragraph: Paragraph, name: str) -> None:
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    field = OxmlElement("w:fldSimple")
    field.set(qn("w:instr"), name)
    shown = OxmlElement("w:r")
    shown.append(OxmlElement("w:t"))
    shown[0].text = "1"
    field.append(shown)
    paragraph._p.append(field)


def _section(file: WordDocument, section: Section) -> None:
    file.add_heading(section.title, level=1)
    for block in section.blocks:
        _block(file, block)


def _block(file: WordDocument, block: Block) -> None:
    match block:
        case Text():
            _text(file, block)
        case Table():
            _table(file, block)
        case Picture():
            _picture(file, block)
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
    run = paragraph.add_run(_legal(block.text))
    if block.tone in TONES:
        ink, ground = TONES[block.tone]
        run.font.color.rgb = RGBColor.from_string(ink)
        _shade(paragraph._p.get_or_add_pPr(), ground)


def _warning(file: WordDocument, text: str) -> None:
    from docx.shared import RGBColor

    if text:
        paragraph = file.add_paragraph()
        run = paragraph.add_run(_legal(text))
        run.bold, run.font.color.rgb = True, RGBColor.from_string(BAD)
        paragraph.paragraph_format.keep_with_next = True


def _caption(file: WordDocument, text: str, *, above: bool) -> None:
    paragraph = file.add_paragraph(_legal(text), style="Caption")
    paragraph.paragraph_format.keep_with_next = above


def _table(file: WordDocument, block: Table) -> None:
    from docx.shared import Inches, Pt

    _caption(file, block.caption, above=True)
    _warning(file, block.warning)
    size = Pt(7 if len(block.columns) > MANY_COLUMNS else 8)
    table = _empty_table(file, len(block.rows) + 1, len(block.columns))
    _repeat(table, 0)
    cells = _cells(table, len(block.columns))
    for column, width in enumerate(_widths(block, float(size.inches) * CHARACTER)):
        table.columns[column].width = Inches(width)
        for one in cells:
            one[column].width = Inches(width)
    for column, head in enumerate(block.columns):
        _fill(cells[0][column], head, size, bold=True, right=block.is_number(column))
    for i, row in enumerate(block.rows):
        one = cells[i + 1]
        _whole(table, i + 1)
        if len(row) == 1:
            merged = one[0].merge(one[-1]) if len(one) > 1 else one[0]
            _fill(merged, row[0], size, bold=True, colour=SOFT)
            continue
        for column, text in enumerate(row):
            right = column > 0 and block.is_number(column)
            colour = BAD if block.is_marked(i, column) else ""
            _fill(one[column], text, size, right=right, colour=colour, link=block.link(i, column))
    _small(file.add_paragraph(_legal(block.note)))


def _widths(block: Table, character: float) -> list[float]:
    """Inches of each column, by what stands in it; no wider together than the page."""
    longest = [len(head) // 2 for head in block.columns]  # a head may break
    for row in block.rows:
        if len(row) > 1:
            longest = [max(most, len(text)) for most, text in zip(longest, row, strict=True)]
    wanted = [min(max(n, SHORTEST), LONGEST) * character + CELL_MARGINS for n in longest]
    return [width * min(1.0, TEXT_WIDTH / sum(wanted)) for width in wanted]


def _empty_table(file: WordDocument, rows: int, columns: int) -> WordTable:
    table = file.add_table(rows=rows, cols=columns)
    table.style = "Table Grid"
    table.autofit = True
    return table


def _cells(table: WordTable, columns: int) -> list[list[Any]]:
    """All cells at once: asking for each row's would take minutes with hundreds of rows."""
    flat = table._cells
    return [flat[at : at + columns] for at in range(0, len(flat), columns)]


def _facts(file: WordDocument, block: Facts) -> None:
    from docx.shared import Pt

    if not block.pairs:
        return
    table = _empty_table(file, len(block.pairs), 2)
    for (name, value), (left, right) in zip(block.pairs, _cells(table, 2), strict=True):
        _fill(left, name, Pt(9), colour=SOFT)
        _fill(right, value, Pt(9), bold=True)
    file.add_paragraph()


def _fill(
    cell: Any,
    text: str,
    size: Any,
    *,
    bold: bool = False,
    right: bool = False,
    colour: str = "",
    link: str = "",
) -> None:
    from docx.enum.text import WD_ALIGN_PARAGRAPH
    from docx.shared import RGBColor

    paragraph = cell.paragraphs[0]
    run = paragraph.add_run(_legal(text))
    run.bold, run.font.size = bold, size
    paragraph.paragraph_format.space_after = 0
    if right:
        paragraph.alignment = WD_ALIGN_PARAGRAPH.RIGHT
    if colour or link:
        run.font.color.rgb = RGBColor.from_string(colour or LINK)
    if link:
        _lead(paragraph, run, link)


def _lead(paragraph: Paragraph, run: Any, address: str) -> None:
    """Make a run of text a link; a relative address is looked for beside the file."""
    from docx.opc.constants import RELATIONSHIP_TYPE
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    run.underline = True
    link = OxmlElement("w:hyperlink")
    link.set(qn("r:id"), paragraph.part.relate_to(address, RELATIONSHIP_TYPE.HYPERLINK, is_external=True))
    link.append(run._r)
    paragraph._p.append(link)


def _repeat(table: WordTable, row: int) -> None:
    """Say the heads again on every page."""
    from docx.oxml import OxmlElement

    table.rows[row]._tr.get_or_add_trPr().append(OxmlElement("w:tblHeader"))
    _whole(table, row)


def _whole(table: WordTable, row: int) -> None:
    """Never cut a row between two pages."""
    from docx.oxml import OxmlElement

    table._tbl.tr_lst[row].get_or_add_trPr().append(OxmlElement("w:cantSplit"))


def _shade(properties: Any, ground: str) -> None:
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    shade = OxmlElement("w:shd")
    for key, value in (("val", "clear"), ("color", "auto"), ("fill", ground)):
        shade.set(qn(f"w:{key}"), value)
    properties.append(shade)


def _picture(file: WordDocument, block: Picture) -> None:
    from docx.shared import Inches

    _warning(file, block.warning)
    width = min(TEXT_WIDTH, block.width / 96, PAGE_HEIGHT * block.width / block.height)
    shown = file.add_picture(BytesIO(png(block.figure)), width=Inches(width))
    shown._inline.docPr.set("descr", _legal(block.alt))
    file.paragraphs[-1].paragraph_format.keep_with_next = True
    _caption(file, block.caption, above=False)


def _equation(file: WordDocument, mathml: str) -> None:
    from docx.oxml import parse_xml

    file.add_paragraph()._p.append(parse_xml(omml(mathml)))


def _small(paragraph: Paragraph) -> None:
    from docx.shared import Pt, RGBColor

    for run in paragraph.runs:
        run.font.size, run.font.color.rgb = Pt(8), RGBColor.from_string(SOFT)


def _legal(text: str) -> str:
    """Without control characters, which XML cannot hold and data may have."""
    return "".join(c if c >= " " or c in "\t\n" else "\ufffd" for c in text)
