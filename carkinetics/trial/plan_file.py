"""Trials as TOML files: one file says the design, the patients, the links, the visits, and where each number is from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from carkinetics.errors import ConfigError
from carkinetics.escalation.design_file import build, design_from, read_trial_file
from carkinetics.escalation.scenario import scenarios_from
from carkinetics.model.library import load_model
from carkinetics.trial.links import Antibodies, Cytokine, Links, Toxicity, Tumour
from carkinetics.trial.plan import Conduct, TrialPlan, Visits
from carkinetics.trial.population import Covariate, Population


def load_trial(name: str | Path) -> TrialPlan:
    """Read a trial from a TOML file.

    Parameters
    ----------
    name : str or pathlib.Path
        A shipped trial, or the path of a file.

    Returns
    -------
    TrialPlan
        For `simulate_trial` and `simulate_trials`.

    Raises
    ------
    ConfigError
        If there is no such trial, or the file says something that makes no sense: names the table and the entry.

    Examples
    --------
    >>> load_trial("nct05783089").n
    87
    """
    path, table = read_trial_file(name)
    where = path.name
    for key in ("name", "design", "kinetics"):
        if key not in table:
            raise ConfigError(
                f"{where}: {key!r} is missing; a trial that is simulated needs its design and its kinetics"
            )
    given = {
        "conduct": lambda: build(Conduct, table["conduct"], f"{where}: [conduct]"),
        "qpcr": lambda: build(Visits, table["qpcr"], f"{where}: [qpcr]"),
    }
    settings: dict[str, Any] = {key: make() for key, make in given.items() if key in table}
    settings |= {key: table[key] for key in ("cytokine_days", "antibody_days") if key in table}
    covariates = _tables(table, "covariates", where)
    design = design_from(table["design"], f"{where}: [design]")
    parts = dict(
        design=design,
        population=_population(table["kinetics"], f"{where}: [kinetics]"),
        links=_links(table, where),
        n=table.get("patients", 87),
        covariates={
            key: build(Covariate, own, f"{where}: [covariates.{key}]") for key, own in covariates.items()
        },
        dose_unit=table.get("dose_unit", "cells/kg"),
        name=table["name"],
        title=table.get("title", table["name"]),
        scenarios=scenarios_from(table.get("scenarios", {}), design, where),
        notes={key: _said(_tables(table, key, where)) for key in ("record", "ours")},
        **settings,
    )
    plan: TrialPlan = build(TrialPlan, parts, where)
    return plan


def _tables(table: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    """A table of the file, empty where it is not there."""
    found = table.get(key, {})
    if not isinstance(found, Mapping):
        raise ConfigError(f"{where}: [{key}] is {found!r}; expected a table")
    return found


def _population(table: Any, where: str) -> Population:
    if not isinstance(table, Mapping) or not isinstance(table.get("model"), str):
        raise ConfigError(
            f"{where}: 'model' is missing; expected the name of a library model or the path of its file"
        )
    own = {key: value for key, value in table.items() if key != "model"}
    model = load_model(table["model"])
    return build(Population, {"kinetics": model, **own}, where)


def _links(table: Mapping[str, Any], where: str) -> Links:
    made: dict[str, Any] = {}
    for key, kind in (("toxicity", Toxicity), ("tumour", Tumour), ("antibodies", Antibodies)):
        if key in table:
            made[key] = build(kind, table[key], f"{where}: [{key}]")
    if "tumour" not in table:
        made["tumour"] = None
    cytokines = _tables(table, "cytokines", where)
    made["cytokines"] = {
        name: build(Cytokine, own, f"{where}: [cytokines.{name}]") for name, own in cytokines.items()
    }
    return Links(**made)


def _said(table: Mapping[str, Any]) -> str:
    return "; ".join(f"{key}: {value}" for key, value in table.items())
