"""Where in a model file something stands, and what may stand there."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from carkinetics.errors import ModelFileError, did_you_mean
from carkinetics.units import canonical_unit

_HEADER = re.compile(r"\s*\[+([^\[\]=]+)\]+\s*(#.*)?$")


@lru_cache(maxsize=64)
def _headers(text: str) -> list[tuple[int, str]]:
    """Lines of a file at which a table begins, and its name; those of a list of tables are numbered: ``check 2``."""
    found, inside, counts = [], "", dict[str, int]()
    for i, line in enumerate(text.splitlines()):
        header = _HEADER.match(line)
        if header and not inside:
            name = re.sub(r"[\s\"']", "", header.group(1))
            if line.lstrip().startswith("[["):
                counts[name] = counts.get(name, 0) + 1
                name = f"{name} {counts[name]}"
            found.append((i, name))
        # An odd number of triple quotes opens or closes a text of several lines, in which no table begins.
        for quotes in ('"""', "'''"):
            if line.count(quotes) % 2 and inside in ("", quotes):
                inside = "" if inside else quotes
    return found


@dataclass(frozen=True)
class Place:
    """The text of a model file: checks entries and says where they stand.

    Parameters
    ----------
    text : str
        TOML.
    file : str
        Name for error messages.
    origins : dict of str to (Place, str, str)
        Sections (``"states.car"``) and single lines (``"derived.rho"``) that were taken from another file: which,
        and section and key there.
    """

    text: str
    file: str
    origins: dict[str, tuple[Place, str, str]] = field(default_factory=dict)

    def at(self, section: str, key: str = "") -> str:
        """``file, line 12: [section] key``: TOML readers forget lines, so look for the words.

        Parameters
        ----------
        section : str
            For instance ``"parameters.tmax"``; ``"check 2"`` is the second ``[[check]]``.
        key : str
            What stands in it.

        Returns
        -------
        str
            The start of an error message.
        """
        for name in (f"{section}.{key}", section):
            if name in self.origins:
                place, there, its_key = self.origins[name]
                return place.at(there, key if name == section else its_key)
        headers = _headers(self.text)
        lines = self.text.splitlines()
        begin = next((i for i, name in headers if name in (section, f"{section} 1")), None)
        if (
            begin is None
            and section.startswith("observations.")
            and any(name == "observation" for _, name in headers)
        ):
            return self.at("observation", key)
        if begin is None:
            return self._at_top(section, key)
        line = begin
        if key:
            end = next((i for i, _ in headers if i > begin), len(lines))
            line = self._line_of(key, begin + 1, end, begin)
        shown = f"[[{section.split()[0]}]]" if " " in section else f"[{section}]"
        return f"{self.file}, line {line + 1}: {shown}{' ' + key if key else ''}"

    def _at_top(self, section: str, key: str) -> str:
        """A section without a header of its own: a line of the table above it, or of the file's beginning."""
        head, _, last = section.rpartition(".")
        if head:
            return self.at(head, last)
        headers = _headers(self.text)
        line = self._line_of(section, 0, headers[0][0] if headers else len(self.text.splitlines()), -1)
        if line < 0:  # no [states], but [states.car]
            line = next((i for i, name in headers if name.startswith(f"{section}.")), -1)
        if line < 0:
            return f"{self.file}: {key or section}"
        return f"{self.file}, line {line + 1}: {section}{' ' + key if key else ''}"

    def _line_of(self, key: str, begin: int, end: int, default: int) -> int:
        word = re.compile(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[=.]")
        lines = self.text.splitlines()
        return next((i for i in range(begin, end) if word.match(lines[i])), default)

    def table(self, section: str, entry: Any, *needed: str, known: Iterable[str] = ()) -> dict[str, Any]:
        """An entry that must be a table with certain keys.

        Parameters
        ----------
        section : str
            Where it stands.
        entry : object
            What was found.
        *needed : str
            Keys that it must have.
        known : iterable of str
            Keys that it may have as well. Others are refused: a misspelt one would be ignored in silence.

        Returns
        -------
        dict
            The entry.

        Raises
        ------
        ModelFileError
            If it is no table, or has other keys.
        """
        if not isinstance(entry, Mapping):
            raise ModelFileError(
                f"{self.at(section)} is {entry!r}; expected a table with {', '.join(needed) or 'keys'}"
            )
        allowed = {*needed, *known}
        for key in entry:
            if key not in allowed:
                raise ModelFileError(
                    f"{self.at(section, key)}: unknown key {key!r}{did_you_mean(key, allowed)}"
                )
        for key in needed:
            if key not in entry:
                raise ModelFileError(f"{self.at(section)}: {key!r} is missing")
        return dict(entry)

    def number(self, section: str, key: str, value: Any, *, infinite: bool = False) -> float:
        """A value that must be a number.

        Parameters
        ----------
        section, key : str
            Where it stands.
        value : object
            What was found.
        infinite : bool
            Whether it may be infinite.

        Returns
        -------
        float
            The number.

        Raises
        ------
        ModelFileError
            If it is none.
        """
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ModelFileError(f"{self.at(section, key)} is {value!r}; expected a number")
        if math.isnan(value) or (math.isinf(value) and not infinite):
            raise ModelFileError(f"{self.at(section, key)} is {value}; expected a finite number")
        return float(value)

    def unit(self, section: str, value: Any) -> str:
        """A unit, as a model keeps it; whether it is one is seen with the equations.

        Parameters
        ----------
        section : str
            Where it stands, under ``unit``.
        value : object
            What was found.

        Returns
        -------
        str
            Its canonical spelling.

        Raises
        ------
        ModelFileError
            If it is no text.
        """
        if not isinstance(value, str):
            raise ModelFileError(
                f"{self.at(section, 'unit')} is {value!r}; expected a text, for instance '1/day'"
            )
        return canonical_unit(value)

    def choice(self, section: str, key: str, value: Any, known: Iterable[str]) -> str:
        """A value that must be one of some words.

        Parameters
        ----------
        section, key : str
            Where it stands.
        value : object
            What was found.
        known : iterable of str
            The words.

        Returns
        -------
        str
            The word.

        Raises
        ------
        ModelFileError
            If it is none of them.
        """
        if value not in list(known):
            raise ModelFileError(f"{self.at(section, key)} is {value!r}{did_you_mean(str(value), known)}")
        return str(value)

    def flag(self, section: str, key: str, value: Any) -> bool:
        """A value that must be true or false.

        Parameters
        ----------
        section, key : str
            Where it stands.
        value : object
            What was found.

        Returns
        -------
        bool
            The value.

        Raises
        ------
        ModelFileError
            If it is neither.
        """
        if not isinstance(value, bool):
            raise ModelFileError(f"{self.at(section, key)} is {value!r}; expected true or false")
        return value
