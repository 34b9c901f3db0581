"""What kind of thing stands under each name of a model file, before anything is read from it."""

from __future__ import annotations

import keyword
import unicodedata
from collections.abc import Collection
from typing import Any

from carkinetics.errors import ModelFileError, did_you_mean
from carkinetics.model.place import Place

SCHEMA = 1
# Tables of things with a name of their own, and those whose entries are one line each.
NAMED = ("parameters", "inputs", "states", "observations", "quantities")
LINES = ("constants", "derived")
_TABLES = (*NAMED, "sets", "needs")
_SINGLE = ("observation", "closed_form", "solver", "loss", "mixture")
_LISTS = ("check", "layer")
_WORDS = ("name", "title", "base", "value_unit", "prefix")


def check_shape(place: Place, table: dict[str, Any], known: Collection[str], kind: str = "") -> None:
    """Refuse a file whose entries are of the wrong kind.

    Parameters
    ----------
    place : Place
        The file.
    table : dict
        Its parsed text.
    known : collection of str
        What may stand at its top.
    kind : str
        What the file is, for messages: ``" of a layer"``.

    Raises
    ------
    ModelFileError
        With the place of what is wrong.
    """
    for key in table:
        if key not in known:
            where = place.at(key).partition(": ")[0]
            raise ModelFileError(f"{where}: unknown entry {key!r}{kind}{did_you_mean(key, known)}")
    if table.get("schema") != SCHEMA:
        raise ModelFileError(
            f"{place.at('schema')} is {table.get('schema')!r}; this version reads schema = {SCHEMA}"
        )
    for key in _WORDS:
        if key in table and (not isinstance(table[key], str) or not table[key].strip()):
            raise ModelFileError(f"{place.at(key)} is {table[key]!r}; expected a text")
    for key in (*_TABLES, *LINES, *_SINGLE):
        # mixture = false in a composing file drops the classes of its base.
        if key in table and not (key == "mixture" and table[key] is False):
            _check_table(place, key, table[key])
    for key in _LISTS:
        entries = table.get(key, [])
        is_list = isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries)
        # A layer's file gives its own name under this word.
        if not is_list and not (key == "layer" and "prefix" in table):
            raise ModelFileError(f"{place.at(key)} is {entries!r}; expected one or more tables [[{key}]]")


def _check_table(place: Place, section: str, found: Any) -> None:
    if not isinstance(found, dict):
        raise ModelFileError(f"{place.at(section)} is {found!r}; expected a table [{section}]")
    if section in _TABLES:
        for name, entry in found.items():
            if not isinstance(entry, dict):
                hint = "; did you mean 'observation'?" if section == "observations" else ""
                raise ModelFileError(
                    f"{place.at(section, name)} is {entry!r}; expected a table [{section}.NAME]{hint}"
                )
    if section in LINES:
        for name, line in found.items():
            if isinstance(line, bool) or not isinstance(line, str | int | float):
                raise ModelFileError(f'{place.at(section, name)} is {line!r}; expected {name} = "EQUATION"')
    if section in ("closed_form", "solver"):
        require_list(place.at(section, "breaks"), found.get("breaks", []), '["EQUATION", ...]')


def require_list(where: str, found: Any, example: str) -> list[str]:
    """A list of texts; one text alone would be taken letter by letter.

    Parameters
    ----------
    where : str
        Place for error messages.
    found : object
        What stands there.
    example : str
        What would be right.

    Returns
    -------
    list of str
        The same.

    Raises
    ------
    ModelFileError
        If it is something else.
    """
    if not isinstance(found, list) or not all(isinstance(text, str | int | float) for text in found):
        raise ModelFileError(f"{where} is {found!r}; expected a list, {example}")
    return found


def check_name(where: str, name: str) -> None:
    """Refuse what equations could not name.

    Parameters
    ----------
    where : str
        Place for error messages.
    name : str
        A name that the file gives.

    Raises
    ------
    ModelFileError
        If it is none.
    """
    plain = unicodedata.normalize("NFKC", name)
    if not name.isidentifier():
        raise ModelFileError(f"{where}: {name!r} is not a name (letters, digits, _)")
    if keyword.iskeyword(name):
        raise ModelFileError(f"{where}: {name!r} is a word that equations cannot use as a name; rename it")
    if plain != name:
        raise ModelFileError(
            f"{where}: {name!r} is spelt with letters that equations read as {plain!r}; call it by plain letters"
        )
