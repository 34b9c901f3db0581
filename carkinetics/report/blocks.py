"""What a section of the report is made of: text, tables, figures, equations.

Blocks hold plain text; the template escapes it. Only figures and equations are markup, made by us.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure

WIDE, TALL, PIXELS = 800, 700, 96  # CSS pixels; of them in an inch


@dataclass(frozen=True)
class Text:
    """A paragraph.

    Parameters
    ----------
    text : str
        Plain text.
    tone : {"", "good", "bad", "caution"}
        A coloured box round it, or none.
    """

    text: str
    tone: str = ""
    kind: str = "text"


def marked(statement: str, warning: str) -> Text:
    """A sentence that stands alone on the page: what it says of a fit that did not converge begins with that.

    Parameters
    ----------
    statement : str
        What a result says.
    warning : str
        What stands above its pictures and tables; nothing if empty.

    Returns
    -------
    Text
        In red with a warning.

    Examples
    --------
    >>> marked("None differs.", "not converged").text
    'Not converged. None differs.'
    """
    if not warning:
        return Text(statement)
    said = f"{warning[:1].upper()}{warning[1:]}."
    return Text(statement if statement.startswith(said) else f"{said} {statement}", "bad")


@dataclass(frozen=True)
class Table:
    """A table.

    Parameters
    ----------
    caption : str
        What it shows.
    columns : sequence of str
        Heads.
    rows : sequence of sequence of str
        Cells; a row with one cell is a heading over the rows below it.
    note : str
        Footnote.
    warning : str
        Stands in red above the table, such as "not converged".
    warned : frozenset of int or None
        Rows that the warning is about, counted from 0; None for all.
    align : str
        ``l`` for a column of words, ``r`` for one of numbers; the last letter goes on to the last column.
    folded : bool
        Shown only when opened.
    warned_columns : frozenset of int or None
        Columns that the warning is about, counted from 0; None for those of numbers.
    links : mapping of (int, int) to str
        Where a cell leads, by row and column: a relative address, which a saved CSV has too.
    on_paper : int
        How many rows PDF and Word show; all if 0.
    sortable : bool
        Whether a reader may want the rows in another order.
    number : int
        Which table of the document it is, see `carkinetics.report.paper`; 0 before it is counted.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    warning: str = ""
    align: str = "lr"
    warned: frozenset[int] | None = None
    folded: bool = False
    warned_columns: frozenset[int] | None = None
    links: Mapping[tuple[int, int], str] = field(default_factory=dict)
    on_paper: int = 0
    sortable: bool = True
    number: int = 0
    kind: str = "table"

    @property
    def label(self) -> str:
        """What it is cited by, such as ``Table 3``."""
        return f"Table {self.number}" if self.number else ""

    def is_number(self, column: int) -> bool:
        """Whether a column, counted from 0, is aligned as numbers."""
        return self.align[min(column, len(self.align) - 1)] == "r"

    def is_warned(self, row: int) -> bool:
        """Whether the warning is about a row, counted from 0."""
        return bool(self.warning) and (self.warned is None or row in self.warned)

    def is_marked(self, row: int, column: int) -> bool:
        """Whether the warning is about a cell, counted from 0."""
        about = self.is_number(column) if self.warned_columns is None else column in self.warned_columns
        return about and self.is_warned(row)

    def link(self, row: int, column: int) -> str:
        """Where a cell leads; empty if nowhere."""
        return self.links.get((row, column), "")


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Drawn when a page is written, in the format that the page can hold.
    alt : str
        What a reader who cannot see it should know.
    caption : str
        Text below it.
    warning : str
        Stands in red above it.
    folded : str
        Title under which it is shown only when opened; always shown if empty.
    number : int
        Which figure of the document it is; 0 before it is counted.
    """

    figure: Figure
    alt: str
    caption: str
    warning: str = ""
    folded: str = ""
    number: int = 0
    kind: str = "picture"

    @property
    def label(self) -> str:
        """What it is cited by, such as ``Figure 7``."""
        return f"Figure {self.number}" if self.number else ""

    @property
    def width(self) -> int:
        """CSS pixels."""
        return int(self.figure.get_size_inches()[0] * PIXELS)

    @property
    def height(self) -> int:
        """CSS pixels."""
        return int(self.figure.get_size_inches()[1] * PIXELS)

    @property
    def is_wide(self) -> bool:
        """Whether it has so many panels that a phone should scroll it rather than shrink it."""
        return self.width > WIDE

    @property
    def is_tall(self) -> bool:
        """Whether it has so many rows of panels that paper should give it a page of its own."""
        return self.height > TALL


@dataclass(frozen=True, eq=False)
class Chart:
    """Figures that a reader with a browser can explore, subject by subject.

    Parameters
    ----------
    title : str
        Names the chart for the choice of a subject.
    content : callable
        Gives what is drawn, ready for JSON; called only where a chart can be shown.
    pictures : sequence of Picture
        The same in print, in Word, and without scripts.
    caption : str
        Text below the chart.
    warning : str
        Stands in red above it.
    """

    title: str
    content: Callable[[], dict[str, Any]]
    pictures: tuple[Picture, ...]
    caption: str
    warning: str = ""
    kind: str = "chart"

    @property
    def label(self) -> str:
        """What its pictures are cited by, such as ``Figures 9 to 11``."""
        labels = [one.label for one in self.pictures if one.label]
        if len(labels) < 2:
            return "".join(labels)
        return f"Figures {self.pictures[0].number} to {self.pictures[-1].number}"


@dataclass(frozen=True)
class Facts:
    """A few numbers with their names, such as how many subjects there are.

    Parameters
    ----------
    pairs : sequence of (str, str)
        Name and value.
    """

    pairs: tuple[tuple[str, str], ...]
    kind: str = "facts"


@dataclass(frozen=True)
class Equations:
    """Equations in MathML.

    Parameters
    ----------
    lines : sequence of markupsafe.Markup
        One per equation.
    """

    lines: tuple[Markup, ...]
    kind: str = "equations"


Block = Text | Table | Picture | Chart | Facts | Equations


@dataclass(frozen=True)
class Section:
    """A section of the page.

    Parameters
    ----------
    anchor : str
        Its place in the address.
    title : str
        Its heading.
    blocks : sequence of Block
        In order.
    """

    anchor: str
    title: str
    blocks: tuple[Block, ...] = field(default_factory=tuple)


@dataclass(frozen=True)
class Document:
    """All of a report, before it is written in some format.

    Parameters
    ----------
    title : str
        Heading.
    made : str
        When, and by which version.
    generator : str
        Program and version.
    sections : sequence of Section
        The verdict first.
    """

    title: str
    made: str
    generator: str
    sections: tuple[Section, ...]
