"""A work that can be cited, in one line and as BibTeX."""

from __future__ import annotations

from dataclasses import dataclass

NO_BRACES = str.maketrans("", "", "{}")


@dataclass(frozen=True)
class Reference:
    """One work.

    Parameters
    ----------
    key : str
        BibTeX key.
    authors : str
        As BibTeX takes them.
    title, venue, volume, pages, year, doi : str
        As printed.
    what : str
        What it is cited for.
    kind : str
        BibTeX type.
    """

    key: str
    authors: str
    title: str
    venue: str
    volume: str
    pages: str
    year: str
    doi: str
    what: str
    kind: str = "article"

    @property
    def text(self) -> str:
        """In one line."""
        names = self.authors.replace(" and others", " et al").replace(" and ", ", ").translate(NO_BRACES)
        place = ":".join(filter(None, (f"{self.venue} {self.volume}".rstrip(), self.pages)))
        return ". ".join(filter(None, (names.rstrip("."), self.title, place, self.year))) + (
            f". doi:{self.doi}" if self.doi else "."
        )

    @property
    def bibtex(self) -> str:
        """As an entry."""
        where = {"article": "journal", "inproceedings": "booktitle"}.get(self.kind, "howpublished")
        fields = {
            "author": self.authors, "title": f"{{{self.title}}}", where: self.venue.replace("&", r"\&"), "volume": self.volume,
            "pages": self.pages.replace("-", "--"), "year": self.year, "doi": self.doi,
        }  # fmt: skip
        lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
        return "\n".join([f"@{self.kind}{{{self.key},", *lines, "}"])
