"""Verbs round whole runs: is a run folder as it was made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import carkinetics as ck
from carkinetics.options import AsJson
from carkinetics.terminal import note, show

FAILED = 1


def verify(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder that `carkinetics run` made.")],
    everything: Annotated[bool, typer.Option("--all", help="Also what is the same.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compute the hashes of a run folder and its inputs again; exit 1 if something is changed or missing."""
    found = ck.verify_run(folder)
    shown = found if everything else found[found["status"] != "same"]
    if as_json or len(shown):
        show(shown, as_json)
    note(f"{folder}: {found.attrs['verdict']}")
    note(found.attrs["notice"])
    if not found.attrs["intact"]:
        raise typer.Exit(FAILED)
