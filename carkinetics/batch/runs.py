"""Which runs lie below a folder, what came out of each, and whether it is still as it was made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from carkinetics.batch.folder import MANIFEST
from carkinetics.batch.verify import BAD, read_manifest, verify_run
from carkinetics.errors import ConfigError

# Worst first.
STATES = (
    "unreadable", "not as it was made", "with failed steps", "not finished", "not converged", "model doubtful",
    "without a population fit", "converged and adequate",
)  # fmt: skip
UNREADABLE, CHANGED, FAILED, UNFINISHED, NOT_CONVERGED, INADEQUATE, NO_FIT, GOOD = STATES
RUN_COLUMNS = (
    "run", "title", "state", "verdict", "started", "finished", "seed", "models", "subjects", "intact", "integrity",
    "differs", "reports",
)  # fmt: skip
REPORTS = ("report.html", "report.docx", "report.pdf", "compare.html")
SOURCE = "source of carkinetics"


def list_runs(folder: str | Path, *, worst_first: bool = False) -> pd.DataFrame:
    """What became of every run below a folder.

    Parameters
    ----------
    folder : str or pathlib.Path
        Where run folders of `run_study` are, at any depth.
    worst_first : bool
        Unreadable, changed and failed runs first, then those that did not converge; the newest first otherwise.

    Returns
    -------
    pandas.DataFrame
        One row per run: ``run`` (its folder, seen from ``folder``), ``title, state`` (one of `STATES`), ``verdict, started,
        finished, seed, models, subjects`` (missing where it cannot be read), ``intact, integrity`` (as `verify_run` says),
        ``differs`` (packages whose version is not that of most runs) and ``reports`` (their files). ``.attrs["versions"]`` is a
        table of versions by run, ``.attrs["changed"]`` one of what is changed or missing.

    Raises
    ------
    ConfigError
        If there is no such folder, or no run in it.
    """
    place = Path(folder)
    if not place.is_dir():
        raise ConfigError(f"{place} is no folder; expected one with run folders below it")
    # A draft of a run that was killed begins with a dot, and so do folders that are no results.
    found = sorted(
        file.parent
        for file in place.rglob(MANIFEST)
        if not any(part.startswith(".") for part in file.relative_to(place).parts)
    )
    if not found:
        raise ConfigError(
            f"{place}: no run was found; expected folders with a {MANIFEST}, as `carkinetics run` makes"
        )
    rows, versions, changed = [], {}, []
    for run in found:
        name = run.relative_to(place).as_posix()
        try:
            manifest, checked = read_manifest(run), verify_run(run)
        except ConfigError as error:
            rows.append(_unreadable(name, str(error).replace(str(run), name)))
            continue
        rows.append(_row(run, name, manifest, checked))
        versions[name] = dict(manifest.get("versions", {}))
        if "source_sha256" in manifest:
            versions[name][SOURCE] = str(manifest["source_sha256"])[:12]
        changed.append(checked[checked["status"].isin(BAD)].assign(run=name))
    table = pd.DataFrame(rows, columns=list(RUN_COLUMNS))
    several = _differing(versions)
    table["differs"] = [", ".join(_unusual(several, name)) for name in table["run"]]
    table = _ordered(table, worst_first)
    table.attrs = {"versions": several, "changed": pd.concat(changed, ignore_index=True) if changed else None}
    return table


def _unreadable(name: str, reason: str) -> dict[str, Any]:
    return dict.fromkeys(RUN_COLUMNS, "") | {
        "run": name, "title": name, "state": UNREADABLE, "verdict": reason, "intact": False, "integrity": reason, "subjects": None,
        "reports": (),
    }  # fmt: skip


def _row(run: Path, name: str, manifest: Mapping[str, Any], checked: pd.DataFrame) -> dict[str, Any]:
    models = manifest.get("models")
    told = models.items() if isinstance(models, dict) else ()
    return {
        "run": name,
        "title": str(manifest.get("title") or name),
        "state": _state(manifest, bool(checked.attrs["intact"])),
        "verdict": _said(manifest),
        "started": str(manifest.get("started") or ""),
        "finished": str(manifest.get("finished") or ""),
        "seed": str(manifest.get("seed", "")),
        "models": ", ".join(
            f"{fit}: {one.get('name', '') if isinstance(one, dict) else one}" for fit, one in told
        ),
        "subjects": _subjects(run),
        "intact": bool(checked.attrs["intact"]),
        "integrity": checked.attrs["verdict"],
        "reports": tuple(file for file in REPORTS if (run / file).is_file()),
    }


def _state(manifest: Mapping[str, Any], intact: bool) -> str:
    """The worst that can be said of a run."""
    converged = manifest.get("converged")
    if not intact:
        return CHANGED
    if manifest.get("failed"):
        return FAILED
    if manifest.get("finished") is None:
        return UNFINISHED
    if converged is None:
        return NO_FIT
    if not converged:
        return NOT_CONVERGED
    return GOOD if all(note.get("adequate", True) for note in _diagnoses(manifest)) else INADEQUATE


def _diagnoses(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    steps = manifest["steps"].items()
    return [dict(record.get("note") or {}) for name, record in steps if name.startswith("diagnose.")]


def _said(manifest: Mapping[str, Any]) -> str:
    """Verdict of the run, and which steps failed."""
    failed = manifest.get("failed")
    steps = [entry for entry in failed if isinstance(entry, dict)] if isinstance(failed, list) else []
    missing = "; ".join(f"{entry.get('where', '')} failed: {entry.get('message', '')}" for entry in steps)
    return ". ".join(filter(None, (str(manifest.get("verdict") or ""), missing)))


def _subjects(run: Path) -> int | None:
    """How many, as the run read them; None where that cannot be told."""
    try:
        return len(pd.read_csv(run / "subjects.csv"))
    except (OSError, ValueError):
        return None


def _differing(versions: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """Versions by run, of the packages that not all runs had alike."""
    table = pd.DataFrame.from_dict({name: dict(told) for name, told in versions.items()}, orient="index")
    return table.loc[:, [name for name in table if len(table[name].unique()) > 1]]


def usual(values: Sequence[Any]) -> Any:
    """The value that most runs have; of equally frequent ones that of the first run.

    Parameters
    ----------
    values : sequence
        One per run.

    Returns
    -------
    object
        One of them.

    Examples
    --------
    >>> usual(["2.0", "2.1", "2.1"])
    '2.1'
    """
    return Counter(values).most_common(1)[0][0]


def _unusual(versions: pd.DataFrame, run: str) -> list[str]:
    if run not in versions.index:
        return []
    known = versions.fillna("")
    return [str(name) for name in known if known.at[run, name] != usual(known[name].tolist())]


def _ordered(table: pd.DataFrame, worst_first: bool) -> pd.DataFrame:
    newest = table.sort_values("started", ascending=False, kind="stable")
    if worst_first:
        newest = newest.sort_values("state", key=lambda column: column.map(STATES.index), kind="stable")
    return newest.reset_index(drop=True)
