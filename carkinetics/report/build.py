"""Results → one file to be read, signed and kept: HTML, Word or PDF."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from carkinetics.errors import ConfigError, did_you_mean
from carkinetics.report.blocks import Document, Section
from carkinetics.report.html import page
from carkinetics.report.paper import numbered
from carkinetics.report.parts import sort_parts
from carkinetics.report.pdf import pdf
from carkinetics.report.sections import sections, session_section
from carkinetics.report.word import word

PACKAGES = ("carkinetics", "pymc", "nutpie", "arviz", "numpy", "scipy", "pandas", "matplotlib")


def write_report(
    path: str | Path,
    *parts: Any,
    title: str = "CAR-T cellular kinetics",
    findings: pd.DataFrame | None = None,
    interactive: bool = True,
) -> Path:
    """Write results into one file that needs nothing else to be read.

    Parameters
    ----------
    path : str or pathlib.Path
        The file; its folder is made. It appears whole or not at all. Its ending says what is written: ``.html``, ``.docx``
        (Word; needs the extra ``word``) or ``.pdf`` (needs Chromium or Chrome), all with the same content.
    *parts : Dataset, Fit, Exposure, and any other result
        Of dose, outcome, event, joint, marker or antibody analyses, forests and onsets, simulated trials, paths of escalations
        and characteristics of trials, in any order. The first population fit is shown in full, of any further one the
        estimates. The tables of `cross_check`, `prior_sensitivity`, `compare`, `derive_response` and `responses_from` are
        parts too, and so are screens and stepwise searches for covariates.
    title : str
        Heading of the page.
    findings : pandas.DataFrame, optional
        Further remarks for the list of warnings: ``severity, rule, where, message``.
    interactive : bool
        Whether the HTML page has charts to explore, tables to sort and to save as CSV. Without, there is no script in it.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    ConfigError
        If a part is of another type, there is nothing to report, the path is a folder or has another ending, or what
        writes that format is not installed.
    """
    write = document_writer(path, interactive=interactive)
    sorted_parts = sort_parts(parts, findings)
    return write(title, (*sections(sorted_parts), session_section(sorted_parts, package_versions())))


def package_versions() -> dict[str, str]:
    """Versions of this session.

    Returns
    -------
    dict of str to str
        By package, and of Python.
    """
    return {name: version(name) for name in PACKAGES} | {"python": platform.python_version()}


def document_writer(
    path: str | Path, *, interactive: bool = True
) -> Callable[[str, tuple[Section, ...]], Path]:
    """Look at the path before anything is computed for the page.

    Parameters
    ----------
    path : str or pathlib.Path
        The file; its ending says what is written.
    interactive : bool
        As in `write_report`.

    Returns
    -------
    callable
        Writes a title and sections into the file, whole or not at all, and returns its path.

    Raises
    ------
    ConfigError
        If the path is a folder or has another ending.
    """
    target = Path(path)
    write = _writer(target, interactive)

    def finish(title: str, shown: tuple[Section, ...]) -> Path:
        ours = f"carkinetics {version('carkinetics')}"
        made = f"Made {datetime.now(UTC):%Y-%m-%d %H:%M} UTC by {ours}"
        return _write(
            target, write(Document(title=title, made=made, generator=ours, sections=numbered(shown)))
        )

    return finish


def _writer(target: Path, interactive: bool) -> Callable[[Document], bytes]:
    """Choose what writes the file, before anything is computed for it."""
    if target.is_dir():
        raise ConfigError(f"{target} is a folder; expected a file, such as {target / 'report.html'}")
    writers: dict[str, Callable[[Document], bytes]] = {
        ".html": partial(_html, interactive=interactive),
        ".htm": partial(_html, interactive=interactive),
        ".docx": word,
        ".pdf": pdf,
    }
    ending = target.suffix.lower()
    if ending not in writers:
        raise ConfigError(
            f"{target}: a report is .html, .docx or .pdf, found {ending or 'no ending'}{did_you_mean(ending, writers)}"
        )
    return writers[ending]


def _html(document: Document, *, interactive: bool) -> bytes:
    return page(document, interactive=interactive).encode()


def _write(target: Path, content: bytes) -> Path:
    """Write a file that appears whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=target.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(draft, 0o644)  # a temporary file is private; a report is to be passed on
        os.replace(draft, target)
    finally:
        Path(draft).unlink(missing_ok=True)
    return target
