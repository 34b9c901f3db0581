"""What a document needs to be cited and printed: numbers of tables and figures, a list of contents, short lists.

A table or figure has the same number on the page, in PDF and in Word: all formats are made of one numbered document.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count

from carkinetics.report.blocks import Block, Chart, Document, Picture, Section, Table

LONGEST_TITLE = 60  # letters


@dataclass(frozen=True)
class Entry:
    """A line of a list of contents.

    Parameters
    ----------
    label : str
        Such as ``Table 3``.
    title : str
        What it shows, without the explanation that a caption may have.
    anchor : str
        Its place in the document.
    """

    label: str
    title: str
    anchor: str


def numbered(sections: tuple[Section, ...]) -> tuple[Section, ...]:
    """Count tables and figures from the first section to the last.

    Parameters
    ----------
    sections : tuple of Section
        In order.

    Returns
    -------
    tuple of Section
        The same; a picture inside a chart is counted where its chart stands.
    """
    tables, figures = count(1), count(1)

    def one(block: Block) -> Block:
        if isinstance(block, Table):
            return replace(block, number=next(tables))
        if isinstance(block, Picture):
            return replace(block, number=next(figures))
        if isinstance(block, Chart):
            stills = tuple(replace(still, number=next(figures)) for still in block.pictures)
            return replace(block, pictures=stills)
        return block

    return tuple(
        replace(section, blocks=tuple(one(block) for block in section.blocks)) for section in sections
    )


def entries(sections: tuple[Section, ...], kind: str) -> Iterator[Entry]:
    """Lines of the list of tables, or of figures.

    Parameters
    ----------
    sections : tuple of Section
        Numbered.
    kind : {"table", "picture"}
        Of what.

    Yields
    ------
    Entry
        In order.
    """
    for block in (block for section in sections for block in section.blocks):
        for one in block.pictures if isinstance(block, Chart) else (block,):
            if isinstance(one, Table | Picture) and one.kind == kind and one.label:
                yield Entry(one.label, headline(one.caption), anchor(one))


def anchor(block: Table | Picture) -> str:
    """Place of a table or figure in the document.

    Parameters
    ----------
    block : Table or Picture
        Numbered.

    Returns
    -------
    str
        For instance ``"table-3"``; empty before it is counted.
    """
    return block.label.lower().replace(" ", "-")


def headline(caption: str) -> str:
    """A caption without its explanation.

    Parameters
    ----------
    caption : str
        What a table or figure shows, and what its signs mean.

    Returns
    -------
    str
        The first sentence; of a long one what stands before its colon or semicolon.

    Examples
    --------
    >>> headline("All subjects. Lines: observed percentiles."), headline("NCA: each subject")
    ('All subjects', 'NCA: each subject')
    >>> headline("Prior predictive check: the observed percentiles over those of 300 studies whose populations are prior draws.")
    'Prior predictive check'
    """
    short = caption.partition(". ")[0].rstrip(".")
    while len(short) > LONGEST_TITLE and (stop := max(short.rfind(": "), short.rfind("; "))) > 0:
        short = short[:stop]
    return short


def without_charts(document: Document) -> Document:
    """Replace charts by their pictures.

    Parameters
    ----------
    document : Document
        What to write.

    Returns
    -------
    Document
        For paper, Word and pages without scripts.
    """
    return replace(
        document,
        sections=tuple(
            replace(section, blocks=tuple(still for block in section.blocks for still in _still(block)))
            for section in document.sections
        ),
    )


def _still(block: Block) -> tuple[Block, ...]:
    return block.pictures if isinstance(block, Chart) else (block,)


def on_paper(document: Document) -> Document:
    """Prepare a document for paper: pictures instead of charts, long lists with their first rows.

    Parameters
    ----------
    document : Document
        What to write.

    Returns
    -------
    Document
        A list that was cut says so, and where the rest is.
    """
    still = without_charts(document)
    return replace(
        still,
        sections=tuple(
            replace(section, blocks=tuple(_cut(block) for block in section.blocks))
            for section in still.sections
        ),
    )


def _cut(block: Block) -> Block:
    if not isinstance(block, Table) or not block.on_paper or len(block.rows) <= block.on_paper:
        return block
    said = f"The first {block.on_paper} of {len(block.rows)} rows; the HTML report has all, and saves them as CSV."
    return replace(block, rows=block.rows[: block.on_paper], note=f"{said} {block.note}".strip())
