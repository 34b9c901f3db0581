"""A page over many run folders, with links to their reports."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from carkinetics.batch.runs import (
    CHANGED,
    FAILED,
    GOOD,
    INADEQUATE,
    NO_FIT,
    NOT_CONVERGED,
    STATES,
    UNFINISHED,
    UNREADABLE,
    list_runs,
    usual,
)
from carkinetics.batch.verify import NOTICE
from carkinetics.report.blocks import Block, Facts, Section, Table, Text
from carkinetics.report.build import document_writer
from carkinetics.report.written import MISSING

INDEX = "index.html"
FILE_WORDS = "open"
TITLE = "Runs"
DOUBTFUL = frozenset((UNREADABLE, CHANGED, FAILED, UNFINISHED, NOT_CONVERGED))
WARNING = (
    "to be looked at (in red): unreadable, not as made, not finished, with failed steps, or not converged"
)
PAGE = "report.html"
FILES = {"report.docx": "Word", "report.pdf": "PDF", "compare.html": "Fits"}


def write_index(
    folder: str | Path,
    path: str | Path | None = None,
    *,
    title: str = TITLE,
    worst_first: bool = False,
    runs: pd.DataFrame | None = None,
    interactive: bool = True,
) -> Path:
    """Write a page over all runs below a folder: what came out of each, and whether it is still as it was made.

    Parameters
    ----------
    folder : str or pathlib.Path
        Where run folders of `run_study` are, at any depth.
    path : str or pathlib.Path, optional
        The file, ``.html``, ``.docx`` or ``.pdf``; ``index.html`` in ``folder`` if not given. Links to reports are relative to it.
    title : str
        Heading of the page.
    worst_first : bool
        Order of the runs, see `list_runs`.
    runs : pandas.DataFrame, optional
        From `list_runs` of the same folder, if it is there already.
    interactive : bool
        Whether tables can be sorted and saved as CSV.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    ConfigError
        If there is no run below the folder, or the path cannot be written as for `write_report`.
    """
    target = Path(folder) / INDEX if path is None else Path(path)
    write = document_writer(target, interactive=interactive)
    runs = list_runs(folder, worst_first=worst_first) if runs is None else runs
    to = {name: _seen_from(target, Path(folder) / name) for name in runs["run"]}
    made = (
        Section("verdict", "Verdict", tuple(_verdict(runs))),
        Section("runs", "Runs", (_runs_table(runs, to), Text(NOTICE), _made_table(runs))),
        Section("versions", "Versions", (_versions_table(runs),)),
        *_changed(runs),
    )
    return write(title, made)


def _seen_from(page: Path, run: Path) -> str:
    """Address of a folder for links in a page; empty where there is none, as on another drive."""
    try:
        return quote(Path(os.path.relpath(run.resolve(), page.resolve().parent)).as_posix())
    except ValueError:
        return ""


def _verdict(runs: pd.DataFrame) -> Iterator[Block]:
    counts = runs["state"].value_counts()
    said = [f"{counts[state]} {state}" for state in STATES if state in counts]
    bad = set(counts.index) & DOUBTFUL
    tone = "bad" if bad else "good" if set(counts.index) == {GOOD} else "caution"
    yield Text(f"{len(runs)} run{'s' if len(runs) > 1 else ''}: {', '.join(said)}.", tone)
    unlike = int((runs["differs"] != "").sum())
    if unlike:
        yield Text(f"{unlike} were made with other versions than most, see Versions.", "caution")
    known = runs.loc[runs["started"] != "", "started"]
    dates = [f"{day[:10]}" for day in (known.min(), known.max())] if len(known) else []
    yield Facts(
        (
            ("Runs", str(len(runs))),
            ("Converged and adequate", str(int(counts.get(GOOD, 0)))),
            ("Model doubtful", str(int(counts.get(INADEQUATE, 0)))),
            ("Without a population fit", str(int(counts.get(NO_FIT, 0)))),
            ("To be looked at", str(int(sum(counts.get(state, 0) for state in DOUBTFUL)))),
            *((("From, to", " to ".join(dict.fromkeys(dates))),) if dates else ()),
        )
    )


def _runs_table(runs: pd.DataFrame, to: dict[str, str]) -> Table:
    """One row per run; files of no run have no column."""
    files = [name for name in FILES if any(name in found for found in runs["reports"])]
    rows: list[tuple[str, ...]] = []
    links: dict[tuple[int, int], str] = {}
    for i, row in enumerate(runs.itertuples()):
        as_made = f"{'yes' if row.intact else 'no'}{f', other {row.differs}' if row.differs else ''}"
        cells = (_name(row), row.state, row.verdict or MISSING, as_made)
        # The name of a run leads to its page.
        places = {name: len(cells) + k for k, name in enumerate(files)} | {PAGE: 0}
        links |= {(i, places[name]): f"{to[row.run]}/{name}" for name in row.reports if to[row.run]}
        rows.append((*cells, *(FILE_WORDS if name in row.reports else MISSING for name in files)))
    marked = frozenset(i for i, state in enumerate(runs["state"]) if state in DOUBTFUL)
    return Table(
        "What was run, and what came out", ("Run", "State", "Verdict", "As made", *(FILES[name] for name in files)), tuple(rows), align="l",
        warning=WARNING if marked else "", warned=marked, warned_columns=frozenset((1, 2)), links=links,
        note="State: the worst that can be said of a run. As made: whether the hashes of its files, its log and the inputs that were found are those that it wrote down, and which packages have not the version of most runs.",
    )  # fmt: skip


def _made_table(runs: pd.DataFrame) -> Table:
    """When and of what; in a table of its own, so that verdicts have room."""
    rows = tuple(
        (
            _name(row), row.started[:16].replace("T", " ") or MISSING, row.seed or MISSING, row.models or MISSING,
            MISSING if pd.isna(row.subjects) else f"{row.subjects:.0f}",
        )
        for row in runs.itertuples()
    )  # fmt: skip
    return Table(
        "When, and of what", ("Run", "Started (UTC)", "Seed", "Models", "Subjects"), rows, align="llrlr"
    )


def _name(row: Any) -> str:
    return row.title if row.title == row.run else f"{row.title} ({row.run})"


def _versions_table(runs: pd.DataFrame) -> Table | Text:
    table = runs.attrs["versions"].fillna(MISSING)
    if table.empty:
        return Text("All runs whose manifest can be read were made with the same versions.")
    order = [run for run in runs["run"] if run in table.index]
    most = {name: usual(table[name].tolist()) for name in table}
    rows = tuple(
        (
            run,
            *(
                f"{table.at[run, name]}{'' if table.at[run, name] == most[name] else ' (differs)'}"
                for name in table
            ),
        )
        for run in order
    )
    note = "Packages that not all runs had alike; differs: not what most runs have. The source is told by the first letters of its hash."
    return Table("Versions that differ between the runs", ("Run", *map(str, table)), rows, note, align="l")


def _changed(runs: pd.DataFrame) -> Iterator[Section]:
    table = runs.attrs["changed"]
    if table is None or table.empty:
        return
    rows = tuple(
        tuple(str(value) for value in row) for row in table[["run", "what", "status", "detail"]].to_numpy()
    )
    shown = Table("What is changed or missing", ("Run", "What", "Status", "Detail"), rows, align="l")
    yield Section("changed", "Not as they were made", (shown,))
