"""A layer: what a cytokine, an antibody or a tumour adds to a model of CAR-T levels, whichever that is.

A layer's file looks like a model's, with three differences. Every name that it defines is its prefix or begins with it,
so that it can be used twice (``as = "il6"``). What it takes from the model that it is put on stands under ``[needs]``; a
unit may be written in terms of it (``"pg/mL/({car})"``). And it may take CAR-T cells away: ``[loss]``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carkinetics.errors import ModelFileError, did_you_mean
from carkinetics.model.expression import parse
from carkinetics.model.place import Place
from carkinetics.model.shape import LINES, NAMED, check_shape
from carkinetics.shipped import shipped_folder

_TEXTS = ("citation", "doi", "bibtex", "notes", "identifiability")
_TOP = {"schema", "layer", "title", "prefix", "needs", "loss", "solver", *_TEXTS, *NAMED, *LINES}
# A name in an equation; the e of 1e6 is none.
_NAME = re.compile(r"(?<![\w.])[A-Za-z_]\w*")
_EQUATIONS = {"initial", "rate", "infused", "of", "value", "integral"}


@dataclass(frozen=True)
class Layer:
    """A layer as its file describes it, its names already those of the model that it is put on.

    Parameters
    ----------
    name : str
        Of the layer.
    place : Place
        Its file.
    table : dict
        What the file holds.
    renamed : dict of str to str
        Name in the file by name in the model.
    """

    name: str
    place: Place
    table: dict[str, Any]
    renamed: dict[str, str]

    def rename(self, names: Mapping[str, str], needs: Mapping[str, str], units: Mapping[str, str]) -> Layer:
        """Copy with other names, and with what it needs filled in.

        Parameters
        ----------
        names : mapping of str to str
            New name by old one, of what it defines.
        needs : mapping of str to str
            Equation by what the layer needs.
        units : mapping of str to str
            What stands in units and meanings for ``{NEED}``, the unit of a need, and for ``{as}``.

        Returns
        -------
        Layer
            The copy.
        """

        def equation(text: Any) -> Any:
            return _NAME.sub(lambda found: new.get(found.group(), found.group()), str(text))

        new = {**names, **needs}

        table = dict(self.table)
        for section in (*NAMED, *LINES):
            entries = table.get(section, {})
            table[section] = {
                names.get(name, name): _entry(section, entry, equation, units)
                for name, entry in entries.items()
            }
        for section in ("loss", "solver"):
            table[section] = _entry(section, table.get(section, {}), equation, units)
        return Layer(self.name, self.place, table, {new: old for old, new in names.items()})


def _entry(section: str, entry: Any, equation: Callable[[Any], Any], units: Mapping[str, str]) -> Any:
    if section == "derived":
        return equation(entry)
    if section == "constants":
        return _filled(entry, units)
    if not isinstance(entry, dict):
        return entry
    changed = dict(entry)
    for key, value in entry.items():
        if key in _EQUATIONS or (section == "loss" and key == "rate"):
            changed[key] = equation(value)
        elif key == "breaks":
            changed[key] = [equation(text) for text in value]
        elif key in ("unit", "meaning"):
            changed[key] = _filled(value, units)
    return changed


def _filled(text: Any, words: Mapping[str, str]) -> str:
    for name, word in words.items():
        text = str(text).replace(f"{{{name}}}", word)
    return str(text)


def read_layer(use: str, folder: Path, where: str) -> Layer:
    """Read a layer.

    Parameters
    ----------
    use : str
        A shipped layer's name, or the path of a ``.toml`` file.
    folder : pathlib.Path
        Where a path starts.
    where : str
        Place that names it, for error messages.

    Returns
    -------
    Layer
        The description.

    Raises
    ------
    ModelFileError
        If there is no such layer, or its file does not make sense.
    """
    known = {file.stem: file for file in layer_files()}
    path = folder / use if use.endswith(".toml") else known.get(use)
    if path is None:
        raise ModelFileError(
            f"{where}: there is no layer {use!r}{did_you_mean(use, known)}; or give a .toml file"
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
        table = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ModelFileError(f"{where}: layer {path.name} cannot be read: {error}") from None
    place = Place(text, path.name)
    _check(place, table)
    return Layer(str(table["layer"]), place, table, {})


def _check(place: Place, table: dict[str, Any]) -> None:
    if "value_unit" in table:
        raise ModelFileError(f"{place.file}: a model is no layer: name it as 'base'")
    check_shape(place, table, _TOP, " of a layer")
    for key in ("layer", "title", "prefix", "needs"):
        if key not in table:
            raise ModelFileError(f"{place.file}: {key!r} is missing in a layer")
    prefix = str(table["prefix"])
    for section in (*NAMED, *LINES):
        for name in place.table(section, table.get(section, {}), known=table.get(section, {})):
            if name != prefix and not name.startswith(f"{prefix}_"):
                raise ModelFileError(
                    f"{place.at(section, name) if section in LINES else place.at(f'{section}.{name}')}: every name that a "
                    f"layer defines is its prefix {prefix!r} or begins with {prefix + '_'!r}, so that it can be used twice"
                )
    for name, entry in table["needs"].items():
        place.table(f"needs.{name}", entry, "meaning", known=())
    for name, entry in table.get("parameters", {}).items():
        place.table(f"parameters.{name}", entry, "meaning", "unit", known=entry)
    if "loss" in table:
        place.table("loss", table["loss"], "rate", known=("integral", "meaning"))
    solver = place.table("solver", table.get("solver", {}), known=("breaks", "stiff"))
    place.flag("solver", "stiff", solver.get("stiff", False))
    _check_equations(place, table)


def _check_equations(place: Place, table: dict[str, Any]) -> None:
    """Equations use what the layer defines or needs, and nothing that only some models have."""
    known = [*names_of([table]), *table["needs"], "t", "amount"]
    for name, text in table.get("derived", {}).items():
        parse(text, known, where=place.at("derived", name))
    entries = {f"{kind}.{name}": entry for kind in NAMED for name, entry in table.get(kind, {}).items()}
    for section, entry in (entries | {"loss": table.get("loss", {})}).items():
        for key in _EQUATIONS & entry.keys():
            parse(entry[key], known, where=place.at(section, key))
    for text in table.get("solver", {}).get("breaks", []):
        parse(text, known, where=place.at("solver", "breaks"))


def names_of(tables: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Everything that these tables of a model or layer define.

    Parameters
    ----------
    tables : iterable of mapping
        Parsed files.

    Returns
    -------
    dict of str to str
        Section by name; an output called like a state counts as the state.
    """
    sections = ("quantities", "observations", *LINES, "inputs", "parameters", "states")
    return {name: section for table in tables for section in sections for name in table.get(section, {})}


def layer_files() -> list[Path]:
    """Paths of the shipped layers, in order of name.

    Returns
    -------
    list of pathlib.Path
        One per layer.
    """
    return sorted((shipped_folder("models") / "layers").glob("*.toml"))
