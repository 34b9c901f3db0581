"""Where in a model file something stands, and what may stand there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from carkinetics.errors import ModelFileError, did_you_mean

_HEADER = re.compile(r"\s*\[+[\w.\"' -]+\]+\s*(#.*)?$")


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
            For instance ``"parameters.tmax"``.
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
        lines = self.text.splitlines()
        header = re.compile(rf"\s*\[+\s*{re.escape(section)}\s*\]+")
        found = next((i for i, line in enumerate(lines) if header.match(line)), None)
        if found is None and section.startswith("observations.") and "[observation]" in lines:
            return self.at("observation", key)
        if found is None:
            head, _, last = section.rpartition(".")
            return self.at(head, last) if head else f"{self.file}: {key or section}"
        if key:
            word = re.compile(rf"\s*\"?{re.escape(key)}\"?\s*=")
            end = next((i for i in range(found + 1, len(lines)) if _HEADER.match(lines[i])), len(lines))
            found = next((i for i in range(found + 1, end) if word.match(lines[i])), found)
        return f"{self.file}, line {found + 1}: [{section}]{' ' + key if key else ''}"

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

    def number(self, section: str, key: str, value: Any) -> float:
        """A value that must be a number.

        Parameters
        ----------
        section, key : str
            Where it stands.
        value : object
            What was found.

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
        return float(value)

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
