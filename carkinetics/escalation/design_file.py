"""Designs as TOML: the table [design] of a trial's file, its scenarios, and how an object is made of a table."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from carkinetics.errors import ConfigError, did_you_mean
from carkinetics.escalation.blrm import Blrm, BlrmPrior
from carkinetics.escalation.boin import Boin
from carkinetics.escalation.crm import Crm
from carkinetics.escalation.design import Design
from carkinetics.escalation.i3plus3 import I3Plus3
from carkinetics.escalation.mtpi import Keyboard, Mtpi, Mtpi2
from carkinetics.escalation.safety import EliminateOverdose, MaxDose, NoSkipping, Staggered, WaitForWindow
from carkinetics.escalation.scenario import Scenario, scenarios_from
from carkinetics.escalation.stops import StopAfter, StopAtDose, StopForPrecision
from carkinetics.escalation.three_plus_three import ThreePlusThree
from carkinetics.escalation.tite import TiteBoin, TiteCrm
from carkinetics.escalation.titration import AcceleratedTitration
from carkinetics.shipped import shipped_folder

RULES: dict[str, type[Design]] = {
    "3+3": ThreePlusThree, "boin": Boin, "mtpi": Mtpi, "mtpi-2": Mtpi2, "keyboard": Keyboard, "i3+3": I3Plus3, "crm": Crm,
    "blrm": Blrm, "tite-crm": TiteCrm, "tite-boin": TiteBoin,
}  # fmt: skip
AROUND: dict[str, type[Design]] = {
    "stop_after": StopAfter, "stop_at_dose": StopAtDose, "stop_for_precision": StopForPrecision,
    "eliminate_overdose": EliminateOverdose, "no_skipping": NoSkipping, "max_dose": MaxDose, "staggered": Staggered,
    "wait_for_window": WaitForWindow,
}  # fmt: skip
SCHEMA = 1
_TOP = (
    "schema", "name", "title", "record", "ours", "patients", "dose_unit", "design", "conduct", "kinetics", "covariates",
    "toxicity", "tumour", "cytokines", "antibodies", "qpcr", "cytokine_days", "antibody_days", "scenarios",
)  # fmt: skip


def trials() -> list[str]:
    """Names of the trials that come with the package.

    Returns
    -------
    list of str
        For `load_trial`.

    Examples
    --------
    >>> "nct05783089" in trials()
    True
    """
    return sorted(path.stem for path in (shipped_folder("data") / "trials").glob("*.toml"))


def load_design(name: str | Path) -> Design:
    """Read the design of a trial's file; the rest of a trial need not be there.

    Parameters
    ----------
    name : str or pathlib.Path
        A shipped trial, or the path of a file with a table ``[design]``.

    Returns
    -------
    Design
        That rule.

    Raises
    ------
    ConfigError
        If there is no such file, or its design makes no sense.

    Examples
    --------
    >>> load_design("nct05783089").name
    'titration, then 3+3 (B)'
    """
    path, table = read_trial_file(name)
    if "design" not in table:
        raise ConfigError(f"{path.name}: [design] is missing; expected a table with rule and doses")
    return design_from(table["design"], f"{path.name}: [design]")


def load_scenarios(name: str | Path) -> dict[str, Scenario]:
    """Read the scenarios of a trial's file.

    Parameters
    ----------
    name : str or pathlib.Path
        A shipped trial, or the path of a file with tables ``[design]`` and ``[scenarios.NAME]``.

    Returns
    -------
    dict of str to Scenario
        By name; empty where the file has none.

    Raises
    ------
    ConfigError
        If there is no such file, or its design or a scenario makes no sense.

    Examples
    --------
    >>> list(load_scenarios("nct05783089"))
    ['from_cells', 'steep', 'toxic']
    """
    path, table = read_trial_file(name)
    return scenarios_from(table.get("scenarios", {}), load_design(name), path.name)


def read_trial_file(name: str | Path) -> tuple[Path, dict[str, Any]]:
    """The tables of a trial's file, their names checked.

    Parameters
    ----------
    name : str or pathlib.Path
        A shipped trial, or the path of a file.

    Returns
    -------
    path : pathlib.Path
        Of the file.
    table : dict
        What it says.

    Raises
    ------
    ConfigError
        If there is no such file, it is no TOML, or a table has an unknown name.
    """
    path = Path(name)
    if path.suffix != ".toml":
        path = shipped_folder("data") / "trials" / f"{name}.toml"
        if not path.is_file():
            raise ConfigError(
                f"no trial {str(name)!r}{did_you_mean(str(name), trials())}; or give the path of a .toml file"
            )
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise ConfigError(f"{path}: cannot be read: {problem}") from problem
    for key in table:
        if key not in _TOP:
            raise ConfigError(f"{path}: {key!r} is no part of a trial{did_you_mean(key, _TOP)}")
    if table.get("schema", SCHEMA) != SCHEMA:
        raise ConfigError(
            f"{path}: schema is {table['schema']!r}; expected {SCHEMA}, which this version reads"
        )
    for key in ("name", "title"):
        if not isinstance(table.get(key, ""), str):
            raise ConfigError(f"{path}: {key} is {table[key]!r}; expected a text")
    return path, table


def design_from(table: Mapping[str, Any], where: str) -> Design:
    """The design that a table describes.

    Parameters
    ----------
    table : mapping
        ``rule``, one of ``3+3, boin, mtpi, mtpi-2, keyboard, i3+3, crm, blrm, tite-crm, tite-boin``, and the arguments of
        that design; ``titration``, a table with the arguments of `AcceleratedTitration`; ``around``, tables with a ``rule``, one
        of ``stop_after, stop_at_dose, stop_for_precision, eliminate_overdose, no_skipping, max_dose, staggered,
        wait_for_window``, and its arguments, the innermost first; ``stop_after``, a number of patients, as the outermost.
    where : str
        Place for messages.

    Returns
    -------
    Design
        That rule, with a titration in front and an end where they are given.

    Raises
    ------
    ConfigError
        If a name is unknown or an argument makes no sense.

    Examples
    --------
    >>> design_from({"rule": "boin", "doses": 5, "target": 0.25, "stop_after": 24}, "[design]").name
    'BOIN (0.25)'
    """
    if not isinstance(table, Mapping) or "rule" not in table:
        raise ConfigError(f"{where}: 'rule' is missing; known are {', '.join(RULES)}")
    rule = str(table["rule"])
    if rule not in RULES:
        raise ConfigError(f"{where}: rule is {rule!r}{did_you_mean(rule, RULES)}")
    own = {
        key: value for key, value in table.items() if key not in ("rule", "titration", "around", "stop_after")
    }
    if rule == "blrm" and "prior" in own:
        own["prior"] = build(BlrmPrior, own["prior"], f"{where} prior")
    for key, kind, word in (("titration", Mapping, "a table"), ("around", list, "a list of tables")):
        if key in table and not isinstance(table[key], kind):
            raise ConfigError(f"{where}: {key} is {table[key]!r}; expected {word}")
    design: Design = build(RULES[rule], own, where, tuples=False)
    if "titration" in table:
        design = build(AcceleratedTitration, {"design": design, **table["titration"]}, f"{where} titration")
    around = [
        *table.get("around", []),
        *([{"rule": "stop_after", "n": table["stop_after"]}] if "stop_after" in table else []),
    ]
    for entry in around:
        rule = str(entry.get("rule", "")) if isinstance(entry, Mapping) else repr(entry)
        if rule not in AROUND:
            raise ConfigError(f"{where} around: rule is {rule!r}{did_you_mean(rule, AROUND)}")
        more = {key: value for key, value in entry.items() if key != "rule"}
        design = build(AROUND[rule], {"design": design, **more}, f"{where} {rule}")
    return design


def build(make: Callable[..., Any], table: Any, where: str, *, tuples: bool = True) -> Any:
    """An object from a table whose keys are its fields.

    Parameters
    ----------
    make : type
        A dataclass.
    table : object
        What the file says.
    where : str
        Place for messages.
    tuples : bool
        Whether lists become tuples.

    Returns
    -------
    object
        Made by ``make``.

    Raises
    ------
    ConfigError
        If it is no table, a key is unknown, or a value makes no sense; with its place.
    """
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where} is {table!r}; expected a table")
    known = [field.name for field in fields(make)]  # type: ignore[arg-type]
    for key in table:
        if key not in known:
            raise ConfigError(f"{where}: {key!r} is not known{did_you_mean(key, known)}")
    values = {
        key: tuple(value) if tuples and isinstance(value, list) else value for key, value in table.items()
    }
    try:
        return make(**values)
    except (ConfigError, TypeError) as problem:
        raise ConfigError(f"{where}: {problem}") from problem
