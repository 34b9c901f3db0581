"""A base model and layers → one model: the file that names them is short, and nothing is copied.

The result is an ordinary model file, written out as text, so that a fit that is saved with it needs no other file. What
is wrong in it is said with the place in the file from which it came.
"""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import tomli_w

from carkinetics.errors import ModelFileError, did_you_mean
from carkinetics.model.dimensions import Units
from carkinetics.model.expression import Expression, parse
from carkinetics.model.layer import Layer, names_of, read_layer
from carkinetics.model.place import Place
from carkinetics.model.reader import MODEL_TEXTS, read_model
from carkinetics.model.shape import LINES, NAMED, check_name, check_shape, require_list
from carkinetics.model.spec import Model
from carkinetics.model.unit_check import check_units
from carkinetics.shipped import shipped_folder
from carkinetics.units import canonical_unit

_OVERRIDES = ("parameters", "inputs", "observations")
_OWN = {
    "schema", "name", "title", "base", "layer", "value_unit", *MODEL_TEXTS, *_OVERRIDES, "constants", "derived",
    "quantities", "sets", "mixture", "check",
}  # fmt: skip
_LAYER_KEYS = ("as", "connect", "on")
_MIXTURE = ("mixture", "mixture.shift")
_MOVED = ("name", "title", "purpose", "check")
_WORD = re.compile(r"[^\W\d]\w*")


def compose(
    place: Place, table: dict[str, Any], folder: Path, within: tuple[str, ...] = ()
) -> tuple[Place, dict[str, Any]]:
    """Put layers on a base model.

    Parameters
    ----------
    place : Place
        The file that names them.
    table : dict
        Its parsed text; one without ``base`` comes back as it is.
    folder : pathlib.Path
        Where paths in it start.
    within : tuple of str
        Files that name this one as their base.

    Returns
    -------
    tuple of (Place, dict)
        The text of the whole model and what it holds.

    Raises
    ------
    ModelFileError
        If something that it names does not exist, is defined twice, or needs something that is not given.
    """
    if "base" not in table:
        return place, table
    check_shape(
        place, table, _OWN, " of a model with a base (to change an equation, change it in a copy of the base)"
    )
    base_place, base = _read_base(place, table, folder, within)
    work = _Composer(place, table, base_place, base)
    for number, entry in enumerate(table.get("layer", []), 1):
        work.put_on(number, entry, folder)
    work.finish()
    text = f"# Composed of {', '.join(work.parts)} by {place.file}.\n{tomli_w.dumps(work.merged)}"
    return Place(text, place.file, work.origins), work.merged


def _read_base(
    place: Place, table: dict[str, Any], folder: Path, within: tuple[str, ...]
) -> tuple[Place, dict[str, Any]]:
    use, where = str(table["base"]), place.at("base")
    known = {file.stem: file for file in shipped_folder("models").glob("*.toml")}
    path = folder / use if use.endswith(".toml") else known.get(use)
    if path is None:
        raise ModelFileError(
            f"{where}: there is no model {use!r}{did_you_mean(use, known)}; or give a .toml file"
        )
    here = str(path.resolve())
    if here in within:
        circle = " -> ".join([Path(file).name for file in within[within.index(here) :]] + [path.name])
        raise ModelFileError(f"{where}: a model cannot be the base of itself: {circle}")
    try:
        text = path.read_text(encoding="utf-8-sig")
        base = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ModelFileError(f"{where}: base {path.name} cannot be read: {error}") from None
    return compose(Place(text, path.name), base, path.parent, (*within, here))


class _Composer:
    """The growing model, and where each part of it came from."""

    def __init__(self, place: Place, table: dict[str, Any], base_place: Place, base: dict[str, Any]) -> None:
        self.place, self.table = place, table
        read_model(base_place, base)  # what is wrong in the base is said of the base
        self.parts = [str(base["name"])]
        self.merged = copy.deepcopy({key: value for key, value in base.items() if key not in _MOVED})
        self.checks = [
            (copy.deepcopy(entry), base_place, f"check {number}")
            for number, entry in enumerate(base.get("check", []), 1)
        ]
        self.origins: dict[str, tuple[Place, str, str]] = {}
        if "observation" in self.merged:
            self.merged["observations"] = {"level": self.merged.pop("observation")}
            self.origins["observations.level"] = (base_place, "observation", "")
        for section in ("closed_form", "solver", "infusions", *_MIXTURE):
            self.origins[section] = (base_place, section, "")
        for name in base.get("sets", {}):
            self.origins[f"sets.{name}"] = (base_place, f"sets.{name}", "")
        self.origins["value_unit"] = (place if "value_unit" in table else base_place, "value_unit", "")
        self.remember(base_place, base, {})
        self.merged |= {key: table[key] for key in ("name", "title", "purpose") if key in table}
        if "value_unit" in table:
            self.change_unit(canonical_unit(base["value_unit"]), canonical_unit(table["value_unit"]))
        self.override()
        self.model, self.units = self.read()

    def remember(self, place: Place, table: Mapping[str, Any], renamed: Mapping[str, str]) -> None:
        for section in NAMED:
            for name in table.get(section, {}):
                self.origins.setdefault(
                    f"{section}.{name}", (place, f"{section}.{renamed.get(name, name)}", "")
                )
        for section in LINES:
            for name in table.get(section, {}):
                self.origins.setdefault(f"{section}.{name}", (place, section, renamed.get(name, name)))

    def change_unit(self, old: str, new: str) -> None:
        """Levels of another assay: everything in the level's unit changes it, and no published number is carried over."""
        self.merged["value_unit"] = new
        for section in ("states", "observations", "quantities"):
            for entry in self.merged.get(section, {}).values():
                if canonical_unit(entry.get("unit", old)) == old and ("unit" in entry or section == "states"):
                    entry["unit"] = new
        self.checks = []
        self.merged.pop("sets", None)
        for name, entry in self.merged["parameters"].items():
            if canonical_unit(entry["unit"]) != old:
                continue
            given = self.table.get("parameters", {}).get(name, {})
            needed = {"typical"} if entry.get("fixed") or given.get("fixed") else {"typical", "prior"}
            if not needed <= set(given):
                raise ModelFileError(
                    f"{self.place.at('value_unit')} is {new!r}: give [parameters.{name}] a typical value and a prior in {new}, "
                    f"as those of {self.parts[0]} are in {old}, which does not convert"
                )
            entry["unit"] = new

    def override(self) -> None:
        """What the file says of the base's own parameters, inputs and outputs replaces what the base says."""
        for section in _OVERRIDES:
            for name in list(self.table.get(section, {})):
                if name in self.merged.get(section, {}):
                    self.replace(section, name)

    def replace(self, section: str, name: str) -> None:
        entry = self.table[section][name]
        self.merged[section][name] |= entry
        self.origins[f"{section}.{name}"] = (self.place, f"{section}.{name}", "")
        if {"typical", "default"} & entry.keys():
            self.checks = []  # they are about the base's numbers

    def read(self) -> tuple[Model, Units]:
        place = Place("", self.place.file, self.origins)
        model = read_model(place, {"name": "whole", "title": "whole", **self.whole()})
        return model, check_units(place, model)

    def whole(self) -> dict[str, Any]:
        """The model so far; breaks of layers without states are those of the closed form."""
        merged = dict(self.merged)
        if not merged.get("states"):
            breaks = merged.pop("solver", {}).get("breaks", [])
            form = merged["closed_form"]
            merged["closed_form"] = form | {"breaks": [*form.get("breaks", []), *breaks]}
        return merged

    def put_on(self, number: int, entry: dict[str, Any], folder: Path) -> None:
        where = self.place.at(f"layer {number}")
        for key in entry:
            if key not in ("use", *_LAYER_KEYS):
                raise ModelFileError(
                    f"{where}: unknown key {key!r}{did_you_mean(key, ('use', *_LAYER_KEYS))}"
                )
        if "use" not in entry:
            raise ModelFileError(f"{where}: 'use' is missing; it names the layer")
        layer = read_layer(str(entry["use"]), folder, where)
        prefix, asked = str(layer.table["prefix"]), str(entry.get("as", layer.table["prefix"]))
        check_name(self.place.at(f"layer {number}", "as"), asked)
        mine = {name: asked + name[len(prefix) :] for name in names_of([layer.table])}
        self.refuse_twice(where, layer, mine, asked)
        needs, units = self.connect(where, layer, entry.get("connect", {}))
        layer = layer.rename(mine, needs, units | {"as": asked})
        self.merge(layer)
        self.lose(where, layer, asked, entry.get("on"))
        self.parts.append(layer.name if asked == prefix else f"{layer.name} as {asked}")
        try:
            self.model, self.units = self.read()
        except ModelFileError as error:
            raise ModelFileError(
                f"{where}: {self.parts[-1]} on {', '.join(self.parts[:-1])}: {error}"
            ) from None

    def refuse_twice(self, where: str, layer: Layer, mine: dict[str, str], asked: str) -> None:
        here, there = names_of([self.merged]), names_of([layer.table])
        for old, new in mine.items():
            if new in here:
                kind = {"states": "the state", "observations": "the output"}.get(there[old], "")
                origin = self.origins[f"{here[new]}.{new}"]
                raise ModelFileError(
                    f"{where}: layer {layer.name} defines {kind + ' ' if kind else ''}{new!r} "
                    f"({layer.place.at(f'{there[old]}.{old}')}), which {origin[0].at(origin[1], origin[2])} defines already; "
                    f'use one of the two, or give this one names of its own with as = "{asked}2"'
                )

    def connect(self, where: str, layer: Layer, given: Any) -> tuple[dict[str, str], dict[str, str]]:
        """What stands for each need in the layer's equations, and its unit."""
        if not isinstance(given, dict):
            raise ModelFileError(f'{where}: connect is {given!r}; expected {{ NEED = "EQUATION" }}')
        needs = layer.table["needs"]
        for key in given:
            if key not in needs:
                raise ModelFileError(
                    f"{where}: layer {layer.name} needs no {key!r}{did_you_mean(key, needs)}"
                )
        model, units = self.model, self.units
        known = sorted(name for name in units.known if name != "amount")
        texts, found = {}, {}
        for need, entry in needs.items():
            # The CAR-T level is the one thing that every model has.
            text = given.get(need, model.output().of.text if need == "car" else "")
            if not text:
                raise ModelFileError(
                    f"{where}: layer {layer.name} needs {need!r} ({entry['meaning']}) from the model: say which with "
                    f'connect = {{ {need} = "EQUATION" }}; known are {", ".join(known)}'
                )
            place = f"{where}: connect {need}"
            if later := sorted({*_WORD.findall(str(text))} & self.table.get("derived", {}).keys()):
                raise ModelFileError(
                    f"{place} uses {later[0]!r} of this file, whose own equations come after the layers; write it out there"
                )
            expression = parse(text, known, where=place)
            texts[need] = text if str(text).isidentifier() else f"({text})"
            found[need] = units.say(units.of(expression, place)).replace("no unit", "1")
        return texts, found

    def merge(self, layer: Layer) -> None:
        for section in (*NAMED, *LINES):
            for name, value in layer.table[section].items():
                self.merged.setdefault(section, {})[name] = copy.deepcopy(value)
        self.remember(layer.place, layer.table, layer.renamed)
        for name in layer.table["parameters"]:
            if name in self.table.get("parameters", {}):
                self.replace("parameters", name)
            parameter = self.merged["parameters"][name]
            if "typical" not in parameter:
                unknown = [
                    one for one in self.table.get("parameters", {}) if one not in self.merged["parameters"]
                ]
                near = get_close_matches(name, unknown, n=1)
                raise ModelFileError(
                    f"{self.place.at(f'parameters.{near[0]}') if near else self.place.file}: give [parameters.{name}] a typical "
                    f"value and a prior: it is the {parameter['meaning']}, in {parameter['unit']}, which layer {layer.name} "
                    "cannot know"
                )
        for section in ("inputs", "observations"):
            for name in layer.table[section]:
                if name in self.table.get(section, {}):
                    self.replace(section, name)
        solver, mine = self.merged.setdefault("solver", {}), layer.table["solver"]
        solver["breaks"] = [*solver.get("breaks", []), *mine.get("breaks", [])]
        solver["stiff"] = solver.get("stiff", False) or mine.get("stiff", False)
        for key in ("notes", "identifiability", "bibtex"):
            if layer.table.get(key):
                self.merged[key] = f"{self.merged.get(key, '').strip()}\n{layer.table[key]}".strip()
        if not (citation := str(layer.table.get("citation", "None:"))).startswith("None:"):
            self.merged["citation"] = (
                f"{self.merged.get('citation', '')}; {layer.name}: {citation}".removeprefix("; ")
            )

    def lose(self, where: str, layer: Layer, asked: str, on: Any) -> None:
        """Take CAR-T cells away: as a factor on a closed form, as a loss from states."""
        loss = layer.table["loss"]
        if not loss:
            if on is not None:
                raise ModelFileError(f"{where}: layer {layer.name} takes no cells away, so 'on' says nothing")
            return
        _, units = self.read()
        for key, its in (("rate", "1/day"), ("integral", "1")):
            if key in loss:
                there = layer.place.at("loss", key)
                units.require(
                    parse(loss[key], sorted(units.known), where=there), its, there, f"the {key} of a loss"
                )
        self.checks = [one for one in self.checks if "value" in one[0]]
        if "closed_form" in self.merged:
            if on is not None:
                raise ModelFileError(
                    f"{where}: 'on' names states, and the level of {self.parts[0]} is a closed form"
                )
            lost = loss.get("integral")
            if lost is None:
                lost = f"{asked}_lost"
                self.merged["states"][lost] = {"unit": "1", "initial": "0", "rate": loss["rate"]}
                self.origins[f"states.{lost}"] = (layer.place, "loss", "rate")
            form = self.merged["closed_form"]
            form["level"] = f"({form['level']}) * exp(-({lost}))"
            return
        states = self.merged["states"]
        chosen = self.car_states() if on is None else require_list(f"{where}: on", on, '["STATE", ...]')
        if not chosen or len({*chosen}) < len(chosen):
            raise ModelFileError(f"{where}: on is {chosen!r}; expected the states that lose cells, each once")
        for name in chosen:
            if name not in states:
                raise ModelFileError(f"{where}: on names {name!r}{did_you_mean(str(name), states)}")
            states[name]["rate"] = f"({states[name]['rate']}) - ({loss['rate']}) * {name}"

    def car_states(self) -> list[str]:
        """The states of which the CAR-T level is made."""
        model, _ = self.read()
        states = {state.name for state in model.states}
        found: set[str] = set()
        open_: list[Expression] = [model.output().of]
        while open_:
            for name in open_.pop().names():
                if name in states:
                    found.add(name)
                elif name in model.derived:
                    open_.append(model.derived[name])
        return [state.name for state in model.states if state.name in found]

    def finish(self) -> None:
        """What the file adds itself: texts, constants, quantities, classes, checks."""
        self.refuse_unknown()
        self.add_own()
        for key in (*MODEL_TEXTS, "mixture"):
            if key in self.table:
                self.merged[key] = self.table[key]
        if "mixture" in self.table:
            self.origins |= {section: (self.place, section, "") for section in _MIXTURE}
            if self.table["mixture"] is False:
                del self.merged["mixture"]
        own = [(entry, self.place, f"check {i}") for i, entry in enumerate(self.table.get("check", []), 1)]
        for number, (_, place, section) in enumerate([*self.checks, *own], 1):
            self.origins[f"check {number}"] = (place, section, "")
        if checks := [entry for entry, _, _ in [*self.checks, *own]]:
            self.merged["check"] = checks
        self.merged = self.whole()

    def refuse_unknown(self) -> None:
        """Changes of what neither base nor layers have."""
        for section in _OVERRIDES:
            for name in self.table.get(section, {}):
                if name not in self.merged.get(section, {}):
                    raise ModelFileError(
                        f"{self.place.at(f'{section}.{name}')}: neither base nor layers have {name!r}"
                        f"{did_you_mean(name, self.merged.get(section, {}))}"
                    )

    def add_own(self) -> None:
        """Named things of the file itself, which change nothing that is there."""
        for section in ("constants", "derived", "quantities", "sets"):
            for name, entry in self.table.get(section, {}).items():
                line = section in LINES
                if name in self.merged.get(section, {}):
                    there = self.origins[f"{section}.{name}"]
                    raise ModelFileError(
                        f"{self.place.at(section, name) if line else self.place.at(f'{section}.{name}')}: "
                        f"{there[0].at(there[1], there[2])} is called so already; give this another name, or change that one "
                        "in a copy of its file"
                    )
                self.merged.setdefault(section, {})[name] = entry
                self.origins[f"{section}.{name}"] = (
                    self.place, section if line else f"{section}.{name}", name if line else "",
                )  # fmt: skip
