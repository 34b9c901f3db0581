"""Numbers and lists of contents of a Word file: fields, which Word counts again when a document is edited.

The lists are there when the file is opened; Word adds page numbers when they are updated (F9).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from carkinetics.report.paper import Entry
from carkinetics.report.word_table import legal

if TYPE_CHECKING:
    from docx.document import Document as WordDocument
    from docx.text.paragraph import Paragraph


def field(paragraph: Paragraph, instruction: str, shown: str) -> None:
    """Add a field to a paragraph.

    Parameters
    ----------
    paragraph : docx.text.paragraph.Paragraph
        Where to.
    instruction : str
        For instance ``"PAGE"`` or ``"SEQ Table"``.
    shown : str
        What stands there until Word computes it.
    """
    _mark(paragraph, "begin")
    _instruct(paragraph, instruction)
    _mark(paragraph, "separate")
    paragraph.add_run(shown)
    _mark(paragraph, "end")


def bookmark(paragraph: Paragraph, name: str, number: int) -> None:
    """Name a paragraph, so that links can lead to it.

    Parameters
    ----------
    paragraph : docx.text.paragraph.Paragraph
        What is named, as it is now.
    name : str
        Unlike all others of the file.
    number : int
        Unlike all others of the file.
    """
    start, end = _element("bookmarkStart", id=str(number), name=name), _element("bookmarkEnd", id=str(number))
    properties = paragraph._p.pPr
    if properties is None:
        paragraph._p.insert(0, start)
    else:
        properties.addnext(start)
    paragraph._p.append(end)


def list_of(
    file: WordDocument, title: str, instruction: str, lines: Iterable[Entry], *, on_new_page: bool = False
) -> None:
    r"""Write one list of contents.

    Parameters
    ----------
    file : docx.document.Document
        Where to.
    title : str
        Above it.
    instruction : str
        The field's, for instance ``'TOC \h \z \c "Table"'``.
    lines : iterable of Entry
        What stands there until Word makes the list anew.
    on_new_page : bool
        Whether the title begins a page.
    """
    found = list(lines)
    if not found:
        return
    from docx.shared import Pt

    head = file.add_paragraph()
    head.add_run(title).bold = True
    head.paragraph_format.page_break_before = on_new_page
    head.paragraph_format.space_after, head.paragraph_format.keep_with_next = Pt(2), True
    for i, line in enumerate(found):
        paragraph = file.add_paragraph()
        paragraph.paragraph_format.space_after = 0
        if i == 0:
            _mark(paragraph, "begin")
            _instruct(paragraph, instruction)
            _mark(paragraph, "separate")
        run = paragraph.add_run(legal(f"{line.label}. {line.title}" if line.label else line.title))
        run.font.size = Pt(8)
        link = _element("hyperlink", anchor=line.anchor, history="1")
        link.append(run._r)
        paragraph._p.append(link)
        if i == len(found) - 1:
            _mark(paragraph, "end")


def _mark(paragraph: Paragraph, kind: str) -> None:
    """One of the three signs that a field consists of."""
    paragraph.add_run()._r.append(_element("fldChar", fldCharType=kind))


def _instruct(paragraph: Paragraph, instruction: str) -> None:
    from docx.oxml.ns import qn

    text = _element("instrText")
    text.set(qn("xml:space"), "preserve")
    text.text = f" {instruction} "
    paragraph.add_run()._r.append(text)


def _element(tag: str, **attributes: str) -> Any:
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    made = OxmlElement(f"w:{tag}")
    for key, value in attributes.items():
        made.set(qn(f"w:{key}"), value)
    return made
