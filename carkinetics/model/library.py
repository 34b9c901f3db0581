"""Lists, loads and validates model files.

A model file is TOML. It is checked as a whole when it is read: every equation uses only names defined
before it, every published number in a ``[[check]]`` entry can be computed, and the typical curve is
finite. A mistake names the file, the line and the near match.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from carkinetics.errors import ConfigError, ModelFileError, did_you_mean
from carkinetics.model.expression import Expression, parse
from carkinetics.model.observe import RESIDUAL_ERRORS
from carkinetics.model.prior import PRIOR_KINDS, TO_FREE, Prior
from carkinetics.model.spec import Check, Input, Model, Parameter, Quantity, State
from carkinetics.shipped import shipped_folder
from carkinetics.units import canonical_unit

SCHEMA = 1
STARTS = ("", "peak", "peak_time", "fold", "decline", "lag")
_TOP = {
    "schema", "name", "title", "citation", "doi", "value_unit", "notes", "parameters", "inputs", "derived",
    "closed_form", "states", "solver", "observation", "quantities", "check",
}  # fmt: skip
_PARAMETER = {
    "meaning", "unit", "typical", "transform", "omega", "omega_prior", "prior", "start", "fixed", "source",
}  # fmt: skip


def load_model(name_or_path: str | Path) -> Model:
    """Read a model.

    Parameters
    ----------
    name_or_path : str or pathlib.Path
        A shipped model's name (see `models`), or the path of a ``.toml`` file.

    Returns
    -------
    Model
        The description.

    Raises
    ------
    ConfigError
        If there is no such model.
    ModelFileError
        If the file does not make sense.

    Examples
    --------
    >>> load_model("stein2019").parameters["tmax"].typical
    9.3
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        known = {file.stem: file for file in model_files()}
        if str(name_or_path) not in known:
            raise ConfigError(f"no model {str(name_or_path)!r}{did_you_mean(str(name_or_path), known)}")
        path = known[str(name_or_path)]
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"model file {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ModelFileError(f"{path} is not UTF-8 text; a model is a TOML file") from None
    return model_from_text(text, path.name)


def model_files() -> list[Path]:
    """Paths of the shipped model files, in order of name.

    Returns
    -------
    list of pathlib.Path
        One per model.
    """
    return sorted(shipped_folder("models").glob("*.toml"))


def models() -> pd.DataFrame:
    """The shipped models.

    Returns
    -------
    pandas.DataFrame
        Columns ``name, title, kind, value_unit, parameters, citation, doi``.
    """
    rows = []
    for path in model_files():
        model = load_model(path)
        rows.append(
            {
                "name": model.name,
                "title": model.title,
                "kind": "closed form" if model.level is not None else "differential equations",
                "value_unit": model.value_unit,
                "parameters": ", ".join(model.parameters),
                "citation": model.citation,
                "doi": model.doi,
            }
        )
    return pd.DataFrame(rows)


def model_from_text(
    text: str, file: str = "model", changes: Iterable[tuple[str, dict[str, Any]]] = ()
) -> Model:
    """Read a model from the text of its file.

    Parameters
    ----------
    text : str
        TOML.
    file : str
        Name for error messages.
    changes : iterable of (str, dict)
        `Model.changes` of a changed copy, made again.

    Returns
    -------
    Model
        The description.

    Raises
    ------
    ModelFileError
        If the text does not make sense.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ModelFileError(f"{file} is not valid TOML: {error}") from None
    try:
        model = _Reader(text, file, table).model()
    except ConfigError as error:  # a prior that cannot be: the file is at fault here, not a call
        raise ModelFileError(str(error)) from None
    for call, arguments in changes:
        model = getattr(model, call)(**arguments)
    return model


@dataclass(frozen=True)
class _Reader:
    """One pass over the parsed file, remembering where it came from."""

    text: str
    file: str
    table: dict[str, Any]

    def at(self, section: str, key: str = "") -> str:
        """``file, line 12: [section] key``: TOML readers forget lines, so look for the words."""
        lines = self.text.splitlines()
        header = re.compile(rf"\s*\[+\s*{re.escape(section)}\s*\]+")
        found = next((i for i, line in enumerate(lines) if header.match(line)), None)
        if found is None:
            head, _, last = section.rpartition(".")
            return self.at(head, last) if head else f"{self.file}: {key or section}"
        if key:
            word = re.compile(rf"\s*\"?{re.escape(key)}\"?\s*=")
            below = range(found + 1, len(lines))
            found = next((i for i in below if word.match(lines[i])), found)
        return f"{self.file}, line {found + 1}: [{section}]{' ' + key if key else ''}"

    def only(self, section: str, entry: Mapping[str, Any], known: Iterable[str]) -> None:
        """Refuse keys that nobody reads: a misspelt one would be ignored in silence."""
        for key in entry:
            if key not in set(known):
                raise ModelFileError(
                    f"{self.at(section, key)}: unknown key {key!r}{did_you_mean(key, known)}"
                )

    def need(self, section: str, entry: Mapping[str, Any], *keys: str) -> None:
        for key in keys:
            if key not in entry:
                raise ModelFileError(f"{self.at(section)}: {key!r} is missing")

    def number(self, section: str, key: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ModelFileError(f"{self.at(section, key)} is {value!r}; expected a number")
        return float(value)

    def model(self) -> Model:
        table = self.table
        for key in table:
            if key not in _TOP:
                raise ModelFileError(f"{self.file}: unknown entry {key!r}{did_you_mean(key, _TOP)}")
        if table.get("schema") != SCHEMA:
            raise ModelFileError(
                f"{self.file}: schema is {table.get('schema')!r}; this version reads schema = {SCHEMA}"
            )
        for key in ("name", "title", "value_unit", "parameters", "observation"):
            if key not in table:
                raise ModelFileError(f"{self.file}: {key!r} is missing")
        parameters = {name: self.parameter(name, entry) for name, entry in table["parameters"].items()}
        inputs = {name: self.input(name, entry) for name, entry in table.get("inputs", {}).items()}
        self.names_are_unique(parameters, inputs)
        known = [*parameters, *inputs, *table.get("states", {}), "t"]
        derived = self.derived(known)
        known += derived
        states = tuple(self.state(name, entry, known) for name, entry in table.get("states", {}).items())
        level, breaks = self.level_and_breaks(known, states)
        observed, error, residual = self.observation(known, level)
        model = Model(
            name=str(table["name"]),
            title=str(table["title"]),
            citation=str(table.get("citation", "")),
            doi=str(table.get("doi", "")),
            notes=" ".join(str(table.get("notes", "")).split()),
            value_unit=canonical_unit(table["value_unit"]),
            parameters=parameters,
            inputs=inputs,
            derived=derived,
            level=level,
            states=states,
            breaks=breaks,
            observed=observed,
            error=error,
            residual=residual,
            quantities=self.quantities([*parameters, *inputs, *derived]),
            checks=tuple(self.check(i, entry, known) for i, entry in enumerate(table.get("check", []), 1)),
            stiff=bool(table.get("solver", {}).get("stiff", False)),
            text=self.text,
        )
        return model

    def names_are_unique(self, parameters: Iterable[str], inputs: Iterable[str]) -> None:
        taken: set[str] = {"t", "level"}
        sections = {"parameters": parameters, "inputs": inputs, "states": self.table.get("states", {}),
                    "derived": self.table.get("derived", {})}  # fmt: skip
        for section, names in sections.items():
            for name in names:
                if name in taken:
                    raise ModelFileError(f"{self.at(section + '.' + name)}: the name {name!r} is taken")
                if not name.isidentifier():
                    raise ModelFileError(
                        f"{self.at(section + '.' + name)}: {name!r} is not a name (letters, digits, _)"
                    )
                taken.add(name)
        for name in self.table.get("quantities", {}):
            if name in parameters or name in ("sigma", "sigma_add", "sigma_prop"):
                raise ModelFileError(f"{self.at('quantities.' + name)}: the name {name!r} is taken")

    def parameter(self, name: str, entry: Any) -> Parameter:
        section = f"parameters.{name}"
        if not isinstance(entry, dict):
            raise ModelFileError(
                f"{self.at('parameters', name)} is {entry!r}; expected a table with unit, typical, prior"
            )
        self.only(section, entry, _PARAMETER)
        self.need(section, entry, "meaning", "unit", "typical", "prior")
        prior = Prior.of(entry["prior"], self.at(section, "prior"))
        transform = entry.get("transform", prior.transform)
        if transform not in TO_FREE or transform != prior.transform:
            right = {scale: kind for kind, (_, _, scale) in PRIOR_KINDS.items()}
            raise ModelFileError(
                f"{self.at(section, 'transform')} is {transform!r} but the prior is {prior.dist}; "
                f"pairs are {', '.join(f'{scale} with {kind}' for scale, kind in right.items())}"
            )
        typical = self.number(section, "typical", entry["typical"])
        with np.errstate(all="ignore"):
            if not np.isfinite(TO_FREE[transform](typical)):
                raise ModelFileError(
                    f"{self.at(section, 'typical')} is {typical:g}, outside the {transform} scale"
                )
        if entry.get("start", "") not in STARTS:
            raise ModelFileError(
                f"{self.at(section, 'start')}: {entry['start']!r}{did_you_mean(entry['start'], STARTS)}"
            )
        omega = self.number(section, "omega", entry["omega"]) if "omega" in entry else None
        if omega is not None and omega <= 0:
            raise ModelFileError(
                f"{self.at(section, 'omega')} is {omega:g}; expected a standard deviation above 0"
            )
        return Parameter(
            name=name,
            meaning=str(entry["meaning"]),
            unit=canonical_unit(entry["unit"]),
            typical=typical,
            transform=transform,
            prior=prior,
            omega=omega,
            omega_prior=self.number(section, "omega_prior", entry.get("omega_prior", 1.0)),
            start=str(entry.get("start", "")),
            fixed=bool(entry.get("fixed", False)),
            source=str(entry.get("source", "")),
        )

    def input(self, name: str, entry: Mapping[str, Any]) -> Input:
        section = f"inputs.{name}"
        self.only(section, entry, ("meaning", "unit", "event", "default"))
        self.need(section, entry, "meaning", "unit", "event", "default")
        return Input(
            name, str(entry["meaning"]), canonical_unit(entry["unit"]), str(entry["event"]),
            self.number(section, "default", entry["default"]),
        )  # fmt: skip

    def derived(self, known: list[str]) -> dict[str, Expression]:
        """Derived values in an order in which each uses only earlier ones; a cycle is an error."""
        texts = self.table.get("derived", {})
        drafts = {
            name: parse(text, [*known, *texts], where=self.at("derived", name))
            for name, text in texts.items()
        }
        ordered: dict[str, Expression] = {}
        while len(ordered) < len(drafts):
            ready = [n for n, e in drafts.items() if n not in ordered and e.names() <= {*known, *ordered}]
            if not ready:
                circle = [name for name in drafts if name not in ordered]
                raise ModelFileError(
                    f"{self.at('derived', circle[0])}: {', '.join(circle)} {'are defined by each other' if len(circle) > 1 else 'is defined by itself'}"
                )
            ordered.update({name: drafts[name] for name in ready})
        return ordered

    def state(self, name: str, entry: Mapping[str, Any], known: list[str]) -> State:
        section = f"states.{name}"
        self.only(section, entry, ("initial", "rate"))
        self.need(section, entry, "initial", "rate")
        states = set(self.table["states"])
        timeless = [other for other in known if other not in states and other != "t"]
        return State(
            name,
            parse(entry["initial"], timeless, where=self.at(section, "initial")),
            parse(entry["rate"], known, where=self.at(section, "rate")),
        )

    def level_and_breaks(
        self, known: list[str], states: tuple[State, ...]
    ) -> tuple[Expression | None, tuple[Expression, ...]]:
        closed = self.table.get("closed_form")
        if (closed is None) == (not states):
            raise ModelFileError(
                f"{self.file}: a model has either [closed_form] or [states], and this has neither or both"
            )
        section = "closed_form" if closed is not None else "solver"
        entry = closed if closed is not None else self.table.get("solver", {})
        self.only(section, entry, ("level", "breaks") if closed is not None else ("breaks", "stiff"))
        breaks = tuple(
            parse(text, [n for n in known if n != "t"], where=self.at(section, "breaks"))
            for text in entry.get("breaks", [])
        )
        if closed is None:
            return None, breaks
        self.need(section, closed, "level")
        return parse(closed["level"], known, where=self.at(section, "level")), breaks

    def observation(self, known: list[str], level: Expression | None) -> tuple[Expression, str, float]:
        entry = self.table["observation"]
        self.only("observation", entry, ("of", "error", "residual"))
        self.need("observation", entry, "of", "error")
        if entry["error"] not in RESIDUAL_ERRORS:
            raise ModelFileError(
                f"{self.at('observation', 'error')} is {entry['error']!r}{did_you_mean(str(entry['error']), RESIDUAL_ERRORS)}"
            )
        names = [*known, "level"] if level is not None else known
        observed = parse(entry["of"], names, where=self.at("observation", "of"))
        return (
            observed,
            str(entry["error"]),
            self.number("observation", "residual", entry.get("residual", 0.5)),
        )

    def quantities(self, known: list[str]) -> dict[str, Quantity]:
        found = {}
        for name, entry in self.table.get("quantities", {}).items():
            section = f"quantities.{name}"
            self.only(section, entry, ("meaning", "unit", "value"))
            self.need(section, entry, "meaning", "unit", "value")
            value = parse(entry["value"], known, where=self.at(section, "value"))
            found[name] = Quantity(name, str(entry["meaning"]), canonical_unit(entry["unit"]), value)
        return found

    def check(self, number: int, entry: Mapping[str, Any], known: list[str]) -> Check:
        self.only("check", entry, ("what", "value", "at", "expected", "tolerance", "unit", "source"))
        self.need("check", entry, "what", "expected", "tolerance", "source")
        if ("value" in entry) == ("at" in entry):
            raise ModelFileError(
                f"{self.file}: [[check]] number {number} needs either 'value' or 'at' (a time)"
            )
        timeless = [name for name in known if name != "t"]
        value = (
            parse(entry["value"], timeless, where=f"{self.file}: [[check]] number {number}")
            if "value" in entry
            else None
        )
        at = self.number("check", "at", entry["at"]) if "at" in entry else None
        return Check(
            str(entry["what"]), value, at, self.number("check", "expected", entry["expected"]),
            self.number("check", "tolerance", entry["tolerance"]), canonical_unit(entry.get("unit", "1")),
            str(entry["source"]),
        )  # fmt: skip
