"""What a command answers: tables for a person, CSV for a pipe, JSON for a program; notes go to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    import pandas as pd


def answer(table: pd.DataFrame, output: Path | None, as_json: bool) -> None:
    """Write a table to the file that was named, or show it.

    Parameters
    ----------
    table : pandas.DataFrame
        The answer.
    output : pathlib.Path or None
        A CSV file.
    as_json : bool
        See `show`.
    """
    if output is None:
        show(table, as_json)
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(output, index=False, lineterminator="\n")
    say(str(output))


def show(table: pd.DataFrame, as_json: bool, *, empty: str = "no rows") -> None:
    """A table for a person, as CSV for a pipe, or as JSON.

    Parameters
    ----------
    table : pandas.DataFrame
        What to show.
    as_json : bool
        As JSON.
    empty : str
        What is said of a table without rows.
    """
    if as_json:
        say(json.dumps(json.loads(table.to_json(orient="records")), indent=2))
    elif table.empty:
        say(empty)
    elif not sys.stdout.isatty():
        say(table.to_csv(index=False, lineterminator="\n").rstrip("\n"))
    else:
        shown = Table(*map(str, table.columns))
        for row in table.itertuples(index=False):
            shown.add_row(*(_plain(f"{cell:.4g}" if isinstance(cell, float) else str(cell)) for cell in row))
        Console().print(shown)


def frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as a table; pandas is imported only here, so that help comes at once.

    Parameters
    ----------
    rows : sequence of mapping
        One mapping per row.

    Returns
    -------
    pandas.DataFrame
        The table.
    """
    import pandas as pd

    return pd.DataFrame(list(rows))


def _plain(text: str) -> str:
    """Square brackets of the data are not rich's markup."""
    from rich.markup import escape

    return escape(text)


def say(text: str) -> None:
    """Write a line of the answer.

    Parameters
    ----------
    text : str
        One line or more.
    """
    sys.stdout.write(text + "\n")


def note(text: str) -> None:
    """Write a line about progress.

    Parameters
    ----------
    text : str
        One line or more.
    """
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
