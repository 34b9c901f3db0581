"""The file that a calibration keeps its ranks in: settings in the first line, then a table, one row per replicate."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from carkinetics.diagnostics.calibration import ABOUT, Calibration
from carkinetics.errors import ConfigError


def known_ranks(keep: str | Path | None, settings: Mapping[str, Any]) -> pd.DataFrame:
    """Replicates that a file has already.

    Parameters
    ----------
    keep : str, pathlib.Path or None
        The file, which need not exist.
    settings : mapping
        What tells this calibration from another.

    Returns
    -------
    pandas.DataFrame
        One row per replicate; none without a file.

    Raises
    ------
    ConfigError
        If the file belongs to another calibration.
    """
    if keep is None or not Path(keep).exists():
        return pd.DataFrame(columns=list(ABOUT))
    found = read_calibration(keep)
    other = [key for key in settings if found.settings.get(key) != settings[key]]
    if other:
        told = "; ".join(f"{key} {found.settings.get(key)!r} there, {settings[key]!r} here" for key in other)
        raise ConfigError(f"calibrate: {keep} belongs to another calibration: {told}; give another file")
    return found.ranks


def read_calibration(path: str | Path) -> Calibration:
    """Read what `calibrate` kept.

    Parameters
    ----------
    path : str or pathlib.Path
        A CSV file whose first line holds the settings.

    Returns
    -------
    Calibration
        As it was.

    Raises
    ------
    ConfigError
        If the file is not one of these.
    """
    place = Path(path)
    try:
        with place.open(encoding="utf-8") as file:
            head = file.readline()
            settings = json.loads(head.removeprefix("# "))
            ranks = pd.read_csv(file)
    except (OSError, ValueError) as problem:
        raise ConfigError(f"{place} is not a calibration that was kept: {problem}") from None
    if not isinstance(settings, dict) or not set(ABOUT) <= set(ranks):
        raise ConfigError(
            f"{place} is not a calibration that was kept: expected settings in its first line and columns {', '.join(ABOUT)}"
        )
    return Calibration(ranks, settings)


def write_ranks(place: Path, ranks: pd.DataFrame, settings: Mapping[str, Any]) -> None:
    """Write a file that appears whole or not at all.

    Parameters
    ----------
    place : pathlib.Path
        The file; its folder is made.
    ranks : pandas.DataFrame
        One row per replicate.
    settings : mapping
        What tells this calibration from another.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = place.with_suffix(".part")
    text = ranks.sort_values("replicate").to_csv(index=False, lineterminator="\n")
    draft.write_text(f"# {json.dumps(settings)}\n{text}", encoding="utf-8")
    os.replace(draft, place)
