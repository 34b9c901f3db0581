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
    for key in ("cytokine_days", "antibody_days"):
        if key in table:
            settings[key] = tuple(float(day) for day in table[key])
    covariates = table.get("covariates", {})
    design = design_from(table["design"], f"{where}: [design]")
    return TrialPlan(
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
        notes={"record": _said(table.get("record", {})), "ours": _said(table.get("ours", {}))},
        **settings,
    )


def _population(table: Mapping[str, Any], where: str) -> Population:
    if "model" not in table:
        raise ConfigError(
            f"{where}: 'model' is missing; expected the name of a library model or the path of its file"
        )
    own = {key: value for key, value in table.items() if key not in ("model", "fixed")}
    model = load_model(table["model"])
    return build(Population, {"kinetics": model, **own}, where)


def _links(table: Mapping[str, Any], where: str) -> Links:
    made: dict[str, Any] = {}
    for key, kind in (("toxicity", Toxicity), ("tumour", Tumour), ("antibodies", Antibodies)):
        if key in table:
            made[key] = build(kind, table[key], f"{where}: [{key}]")
    if "tumour" not in table:
        made["tumour"] = None
    cytokines = table.get("cytokines", {})
    made["cytokines"] = {
        name: build(Cytokine, own, f"{where}: [cytokines.{name}]") for name, own in cytokines.items()
    }
    return Links(**made)


def _said(table: Mapping[str, Any]) -> str:
    return "; ".join(f"{key}: {value}" for key, value in table.items())
