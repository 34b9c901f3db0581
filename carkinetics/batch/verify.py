"""Whether a run folder, and what it was made from, are still as they were when it was made."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd

from carkinetics.batch.folder import LOG, MANIFEST, sha256_of
from carkinetics.batch.log import broken_lines
from carkinetics.batch.run import ROOMS, source_sha256
from carkinetics.errors import ConfigError

SAME, CHANGED, MISSING, EXTRA, UNKNOWN, OTHER = (
    "same", "changed", "missing", "not of this run", "not found", "another version",
)  # fmt: skip
# What makes a result doubtful. Another version of a package is told, because the same numbers may not come again with it.
BAD = (CHANGED, MISSING)
NOTICE = (
    "Hashes find accidents and careless edits. They are no signatures and prove neither who made a file nor that nobody meant to "
    "deceive; this alone is not compliance with 21 CFR Part 11."
)
Row = tuple[str, str, str, str]


def verify_run(folder: str | Path) -> pd.DataFrame:
    """Compute the hashes of a run folder again and say what changed.

    Parameters
    ----------
    folder : str or pathlib.Path
        What `carkinetics.run_study` made.

    Returns
    -------
    pandas.DataFrame
        ``kind`` (``output, input, log, manifest, version, file``), ``what, status`` (``same, changed, missing, not of this run, not found,
        another version``) and ``detail``, what is wrong first. ``.attrs["intact"]`` is whether nothing is changed or missing,
        ``.attrs["verdict"]`` says it in a sentence, ``.attrs["notice"]`` what that does not prove.

    Raises
    ------
    ConfigError
        If the folder is no run folder, or its manifest cannot be read.
    """
    place = Path(folder)
    manifest = read_manifest(place)
    rows = [
        *_outputs(place, manifest),
        *_extra(place, manifest),
        *_log(place, manifest),
        *_inputs(place, manifest),
        *_versions(manifest),
    ]
    table = pd.DataFrame(rows, columns=["kind", "what", "status", "detail"])
    order = table["status"].map({CHANGED: 0, MISSING: 0, UNKNOWN: 1, EXTRA: 1, OTHER: 2, SAME: 3})
    table = table.iloc[order.argsort(kind="stable")].reset_index(drop=True)
    table.attrs = {
        "intact": not table["status"].isin(BAD).any(), "verdict": _verdict(table, manifest), "notice": NOTICE
    }  # fmt: skip
    return table


def read_manifest(place: Path) -> dict[str, Any]:
    """Read the manifest of a run folder.

    Parameters
    ----------
    place : pathlib.Path
        The folder.

    Returns
    -------
    dict
        Of the shape that a run gives it.

    Raises
    ------
    ConfigError
        If there is none, or it has another shape.
    """
    file = place / MANIFEST
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        _expect_shape(found)
    except OSError:
        raise ConfigError(
            f"{place} is no run folder: it has no {MANIFEST}; expected a folder that `carkinetics run` made"
        ) from None
    except KeyError as error:
        raise ConfigError(f"{file} is damaged (it has no {error})") from None
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{file} is damaged ({error})") from None
    return dict(found)


def _expect_shape(manifest: Mapping[str, Any]) -> None:
    """Whatever is read of a manifest is where it is looked for; a failure is told by the reader."""
    for name, record in _table("steps", _table("the manifest", manifest)["steps"]).items():
        _texts(f"files of {name}", _table(name, record).get("files"))
    for name, entry in _table("inputs", manifest.get("inputs", {})).items():
        _texts(name, {key: _table(name, entry).get(key) for key in ("place", "sha256")})
    _texts("versions", manifest.get("versions", {}))


def _table(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{name} is {value!r}; expected a table")
    return value


def _texts(name: str, value: Any) -> None:
    for key, one in _table(name, value).items():
        if not isinstance(one, str):
            raise TypeError(f"{key} of {name} is {one!r}; expected text")


def _outputs(place: Path, manifest: Mapping[str, Any]) -> Iterator[Row]:
    for step, record in manifest["steps"].items():
        for name, digest in record["files"].items():
            yield ("output", name, *_compared(place / name, digest, MISSING, f"step {step}"))


def _compared(file: Path, digest: str, absent: str, about: str) -> tuple[str, str]:
    if not file.is_file():
        return absent, about
    found = sha256_of(file)
    return (
        (SAME, about)
        if found == digest
        else (CHANGED, f"{about}; SHA-256 was {digest[:12]}…, is {found[:12]}…")
    )


def _extra(place: Path, manifest: Mapping[str, Any]) -> Iterator[Row]:
    known = {name for record in manifest["steps"].values() for name in record["files"]} | {MANIFEST, LOG}
    for file in sorted(place.rglob("*")):
        name = file.relative_to(place).as_posix()
        if file.is_file() and name not in known:
            yield "file", name, EXTRA, "no step of the run wrote it"


def _log(place: Path, manifest: Mapping[str, Any]) -> Iterator[Row]:
    log = place / LOG
    if not log.is_file():
        yield "log", LOG, MISSING, "the log of the run"
        return
    try:
        broken, lines = broken_lines(log), log.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        yield "log", LOG, CHANGED, "it is not UTF-8 text"
        return
    shown = ", ".join(map(str, broken[:5])) + (f" and {len(broken) - 5} more" if len(broken) > 5 else "")
    detail = f"line {shown} is not as it was written" if broken else f"{len(lines)} lines"
    yield "log", LOG, CHANGED if broken else SAME, detail
    started = max((i for i, line in enumerate(lines) if "\trun\tstarted: " in line), default=0)
    told = [line.split("\t") for line in lines[started:] if "\trun\tmanifest SHA-256 " in line]
    told = [fields for fields in told if len(fields) > 3]  # a line that was cut is told above
    if told:
        digest = told[-1][3].removeprefix("manifest SHA-256 ")
        yield ("manifest", MANIFEST, *_compared(place / MANIFEST, digest, MISSING, "as the log has it"))
    elif manifest.get("finished") is not None:  # a run that was interrupted has sealed nothing yet
        yield (
            "log",
            f"{LOG}, end",
            MISSING,
            "the run finished, and the line with the hash of its manifest is not there",
        )


def _inputs(place: Path, manifest: Mapping[str, Any]) -> Iterator[Row]:
    """The study file and the data, where they were at the time."""
    for what, entry in manifest.get("inputs", {}).items():
        yield (
            "input",
            what,
            *_compared(place / entry["place"], entry["sha256"], UNKNOWN, f"looked for at {entry['place']}"),
        )


def _versions(manifest: Mapping[str, Any]) -> Iterator[Row]:
    for name, then in manifest.get("versions", {}).items():
        try:
            now = platform.python_version() if name == "python" else version(name)
        except PackageNotFoundError:
            now = "not installed"
        yield (
            "version",
            name,
            SAME if now == then else OTHER,
            f"{then} then, {now} now" if now != then else then,
        )
    if "source_sha256" in manifest:
        same = manifest["source_sha256"] == source_sha256(ROOMS)
        yield (
            "version",
            "source of carkinetics",
            SAME if same else OTHER,
            "" if same else "its files differ from those of the run",
        )


def _verdict(table: pd.DataFrame, manifest: Mapping[str, Any]) -> str:
    bad = table[table["status"].isin(BAD)]
    made = f"{len(table[table['kind'] == 'output'])} files of {len(manifest['steps'])} steps"
    if len(bad):
        first = ", ".join(f"{row.what} {row.status}" for row in bad.head(3).itertuples())
        more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
        return f"NOT as it was made: {first}{more}"
    parts = [f"{made} are as they were made"]
    lost = table[(table["kind"] == "input") & (table["status"] == UNKNOWN)]
    if len(lost):
        parts.append(f"{len(lost)} inputs were not found and not compared")
    others = table[table["status"] == OTHER]["what"].tolist()
    if others:
        parts.append(f"{', '.join(others)} of another version now")
    if manifest.get("finished") is None:
        parts.append("the run did not finish")
    return "; ".join(parts)
