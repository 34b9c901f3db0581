"""Results → one self-contained HTML file: what was measured, what was fitted, what follows, what to distrust."""

from __future__ import annotations

import os
import platform
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from carkinetics.dataset.table import CENSORED, PREDOSE
from carkinetics.errors import ConfigError
from carkinetics.report.blocks import listing, percent
from carkinetics.report.escalations import escalation_names
from carkinetics.report.parts import Parts, sort_parts
from carkinetics.report.remarks import verdict
from carkinetics.report.sections import sections, session_section

PACKAGES = ("carkinetics", "pymc", "nutpie", "arviz", "numpy", "scipy", "pandas", "matplotlib")


def write_report(
    path: str | Path,
    *parts: Any,
    title: str = "CAR-T cellular kinetics",
    findings: pd.DataFrame | None = None,
) -> Path:
    """Write results into one HTML file that needs nothing else to be read.

    Parameters
    ----------
    path : str or pathlib.Path
        The file; its folder is made. It appears whole or not at all.
    *parts : Dataset, Fit, Exposure, and any other result
        Of dose, outcome, event, joint, marker or antibody analyses, forests and onsets, simulated trials, paths of escalations
        and characteristics of trials, in any order. The first population fit is shown in full, of any further one the
        estimates. The tables of `cross_check`, `prior_sensitivity` and `compare` are parts too, and so are
        screens and stepwise searches for covariates.
    title : str
        Heading of the page.
    findings : pandas.DataFrame, optional
        Further remarks for the list of warnings: ``severity, rule, where, message``.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    ConfigError
        If a part is of another type, there is nothing to report, or the path is a folder.
    """
    sorted_parts = sort_parts(parts, findings)
    versions = {name: version(name) for name in PACKAGES} | {"python": platform.python_version()}
    shown = [*sections(sorted_parts), session_section(sorted_parts, versions)]
    environment = Environment(
        loader=PackageLoader("carkinetics.report", "."), autoescape=True, undefined=StrictUndefined
    )
    page = environment.get_template("page.html.j2").render(
        title=title,
        made=f"Made {datetime.now(UTC):%Y-%m-%d %H:%M} UTC by carkinetics {versions['carkinetics']}",
        verdict=verdict(sorted_parts),
        facts=_facts(sorted_parts),
        sections=shown,
        versions=versions,
    )
    return _write(Path(path), page)


def _facts(parts: Parts) -> list[tuple[str, str]]:
    """A few numbers for the head of the page."""
    facts = []
    if parts.data is not None:
        observed = parts.data.observations
        after = observed[(observed["status"] != PREDOSE) & (observed["time"] > 0)]
        status = after.loc[after["assay"].isin(parts.assays), "status"]
        samples, below = len(status), int(status.isin(CENSORED).sum())
        facts += [
            ("Subjects", str(len(parts.data.subjects))),
            (f"Samples ({listing(parts.assays)})", str(samples)),
        ]
        facts.append(("Below the LLOQ", percent(below / samples if samples else float("nan"))))
    if parts.fit is not None:
        draws = parts.fit.tree["posterior"].sizes
        facts += [("Model", parts.fit.model.name), ("Draws", f"{draws['chain']} × {draws['draw']}")]
    if parts.escalations or parts.simulations:
        facts.append(("Dose escalation", escalation_names(parts)))
    return facts


def _write(target: Path, text: str) -> Path:
    """Write a file that appears whole or not at all."""
    if target.is_dir():
        raise ConfigError(f"{target} is a folder; expected a file, such as {target / 'report.html'}")
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=target.parent, suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(draft, 0o644)  # a temporary file is private; a report is to be passed on
        os.replace(draft, target)
    finally:
        Path(draft).unlink(missing_ok=True)
    return target
