"""Tables of a Word file: columns that split no number and no word, heads that stay with their rows, links."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from matplotlib.font_manager import findfont, get_font

from carkinetics.report.blocks import Table

if TYPE_CHECKING:
    from docx.document import Document as WordDocument
    from docx.table import Table as WordTable
    from docx.text.paragraph import Paragraph

# Colours of the page.
BAD, SOFT, LINK = "A40E26", "57606A", "0B5CAD"
SIZES = (8.0, 7.0, 6.0)  # points, the first that fits
# Points in an inch; inches at both sides of a cell; what its lines and the rounding of letters to pixels take.
POINTS, CELL_MARGINS, SLACK = 72, 0.1, 0.05
LONGEST = 36  # times the size of letters: a column of some 60, where it need not be wider
# Ships with matplotlib, stands in for Arial where that is missing, and is wider.
FONT = "DejaVu Sans"


def letters(text: str, size: float, *, bold: bool = False) -> float:
    """Width of a text.

    Parameters
    ----------
    text : str
        On one line.
    size : float
        Points.
    bold : bool
        Whether it is a head.

    Returns
    -------
    float
        Inches, in a font that is wider than Arial.
    """
    return sum(_advance(c, bold) for c in text) * size / POINTS


@lru_cache(maxsize=4096)
def _advance(letter: str, bold: bool) -> float:
    """Width of a letter as a share of the size; what the font lacks, such as an ideograph, is as wide as high."""
    font = get_font(findfont(f"{FONT}:bold" if bold else FONT))
    if ord(letter) not in font.get_charmap():
        return 1.0
    font.set_size(POINTS, POINTS)
    return float(font.load_char(ord(letter)).linearHoriAdvance / 2**16 / POINTS)


def columns_of(block: Table, room: float, size: float) -> tuple[list[float], bool]:
    """Inches of each column: what its texts take, and where that is too much, what their longest words take and a share of the rest.

    Parameters
    ----------
    block : Table
        What is to be shown.
    room : float
        Inches that all columns have.
    size : float
        Points of its letters.

    Returns
    -------
    widths : list of float
        No more than ``room`` together.
    whole : bool
        Whether every word has room on a line. Without, all columns are scaled alike.
    """
    least, most, usual = [], [], []
    for column, head in enumerate(block.columns):
        texts = [row[column] for row in block.rows if len(row) > 1]
        words = [word for text in texts for word in text.split()]
        longest = max((letters(word, size) for word in words), default=0.0)
        heads = [letters(word, size, bold=True) for word in head.split()]
        lines = [letters(text, size) + CELL_MARGINS + SLACK for text in texts] or [0.0]
        least.append(max([longest, *heads]) + CELL_MARGINS + SLACK)
        most.append(max(*lines, least[-1]))
        usual.append(sum(max(line - least[-1], 0.0) for line in lines) / len(lines))
    wanted = [max(min(line, LONGEST * size / POINTS), n) for line, n in zip(most, least, strict=True)]
    if sum(wanted) <= room:
        return wanted, True
    if sum(least) > room:
        return [width * room / sum(least) for width in least], False
    return _shared(least, most, usual, room), True


def _shared(least: list[float], most: list[float], usual: list[float], room: float) -> list[float]:
    """Spare room by what the rows of a column usually lack, to none more than its longest row needs: tables become low."""
    widths = least
    while (spare := room - sum(widths)) > SLACK:
        lack = [u if w < m - SLACK else 0.0 for w, m, u in zip(widths, most, usual, strict=True)]
        if sum(lack) <= 0:
            break
        widths = [min(w + spare * one / sum(lack), m) for w, m, one in zip(widths, most, lack, strict=True)]
    return widths


def fit(block: Table, upright: float, across: float) -> tuple[float, list[float], bool]:
    """Choose letters and columns, upright if that is possible.

    Parameters
    ----------
    block : Table
        What is to be shown.
    upright, across : float
        Inches between the margins of an upright page and of one on its side.

    Returns
    -------
    size : float
        Points.
    widths : list of float
        Inches of each column.
    turned : bool
        Whether the page lies on its side.
    """
    for room, turned in ((upright, False), (across, True)):
        for size in SIZES:
            widths, whole = columns_of(block, room, size)
            if whole:
                return size, widths, turned
    return SIZES[-1], columns_of(block, across, SIZES[-1])[0], True


def write_rows(file: WordDocument, block: Table, points: float, widths: list[float]) -> None:
    """Write heads and rows.

    Parameters
    ----------
    file : docx.document.Document
        Where to.
    block : Table
        What is shown.
    points : float
        Size of its letters.
    widths : list of float
        Inches of each column.
    """
    from docx.shared import Inches, Pt

    table, size = empty_table(file, len(block.rows) + 1, len(block.columns)), Pt(points)
    table.autofit = False
    _repeat(table, 0)
    cells = cells_of(table, len(block.columns))
    for column, width in enumerate(widths):
        table.columns[column].width = Inches(width)
        for one in cells:
            one[column].width = Inches(width)
    for column, head in enumerate(block.columns):
        fill(cells[0][column], head, size, bold=True, right=block.is_number(column), kept=True)
    for i, row in enumerate(block.rows):
        one = cells[i + 1]
        _whole(table, i + 1)
        if len(row) == 1:
            merged = one[0].merge(one[-1]) if len(one) > 1 else one[0]
            fill(merged, row[0], size, bold=True, colour=SOFT, kept=i + 1 < len(block.rows))
            continue
        for column, text in enumerate(row):
            right = column > 0 and block.is_number(column)
            colour = BAD if block.is_marked(i, column) else ""
            fill(one[column], text, size, right=right, colour=colour, link=block.link(i, column))


def empty_table(file: WordDocument, rows: int, columns: int) -> WordTable:
    """Make a table with lines, and little room beside the texts.

    Parameters
    ----------
    file : docx.document.Document
        Where to.
    rows, columns : int
        How many.

    Returns
    -------
    docx.table.Table
        Empty.
    """
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    table = file.add_table(rows=rows, cols=columns)
    table.style = "Table Grid"
    margins = OxmlElement("w:tblCellMar")
    for side in ("left", "right"):
        margin = OxmlElement(f"w:{side}")
        margin.set(qn("w:w"), str(round(CELL_MARGINS / 2 * POINTS * 20)))
        margin.set(qn("w:type"), "dxa")
        margins.append(margin)
    look = table._tbl.tblPr.find(qn("w:tblLook"))
    look.addprevious(margins)  # the schema has an order
    return table


def cells_of(table: WordTable, columns: int) -> list[list[Any]]:
    """All cells at once: asking for each row's would take minutes with hundreds of rows.

    Parameters
    ----------
    table : docx.table.Table
        Any.
    columns : int
        How many it has.

    Returns
    -------
    list of list of docx.table._Cell
        By row.
    """
    flat = table._cells
    return [flat[at : at + columns] for at in range(0, len(flat), columns)]


def fill(
    cell: Any,
    text: str,
    size: Any,
    *,
    bold: bool = False,
    right: bool = False,
    colour: str = "",
    link: str = "",
    kept: bool = False,
) -> None:
    """Write a text into a cell.

    Parameters
    ----------
    cell : docx.table._Cell
        Empty.
    text : str
        Plain.
    size : docx.shared.Pt
        Of its letters.
    bold, right : bool
        How it looks.
    colour, link : str
        Empty for none.
    kept : bool
        Whether its row stays on the page of the next one.
    """
    from docx.enum.text import WD_ALIGN_PARAGRAPH
    from docx.shared import RGBColor

    paragraph = cell.paragraphs[0]
    run = paragraph.add_run(legal(text))
    run.bold, run.font.size = bold, size
    paragraph.paragraph_format.space_after = 0
    if kept:
        paragraph.paragraph_format.keep_with_next = True
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


def legal(text: str) -> str:
    """Drop control characters, which XML cannot hold and data may have.

    Parameters
    ----------
    text : str
        Any.

    Returns
    -------
    str
        With a replacement character for each.
    """
    return "".join(c if c >= " " or c in "\t\n" else "\ufffd" for c in text)
