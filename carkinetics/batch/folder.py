"""The run folder: what a step wrote, from which inputs, and whether that is still so.

A step writes into a draft folder. When it has finished, its files move to their places and the manifest
remembers the hash of its inputs and of every file. A step is kept when its inputs have the same hash and
its files are intact; so an interrupted run goes on where it stopped, and a damaged file is made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

import pandas as pd

from carkinetics.batch.log import RunLog
from carkinetics.errors import ConfigError

MANIFEST, LOG = "manifest.json", "log.txt"
_DRAFT = ".draft-"


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file.

    Parameters
    ----------
    path : str or pathlib.Path
        The file.

    Returns
    -------
    str
        Hexadecimal digest.
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def key_of(inputs: Mapping[str, Any]) -> str:
    """Hash of everything a step depends on.

    Parameters
    ----------
    inputs : mapping
        JSON values, paths as text.

    Returns
    -------
    str
        Hexadecimal SHA-256.
    """
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, default=str).encode()).hexdigest()


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV, the same bytes on every system.

    Parameters
    ----------
    table : pandas.DataFrame
        Without its index.
    path : pathlib.Path
        The file.
    """
    table.to_csv(path, index=False, lineterminator="\n")


@dataclass
class Draft:
    """Where a step writes.

    Parameters
    ----------
    folder : pathlib.Path
        Its files stand here at the same relative paths as later in the run folder.
    note : dict
        JSON values to keep in the manifest beside the step.
    """

    folder: Path
    note: dict[str, Any] = field(default_factory=dict)

    def path(self, name: str) -> Path:
        """Place for one file; its folder is made."""
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        return target


class RunFolder:
    """A folder with a manifest and a log that only grows.

    Parameters
    ----------
    path : str or pathlib.Path
        Made if absent.

    Raises
    ------
    ConfigError
        If the place is a file, or its manifest cannot be read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if self.path.exists() and not self.path.is_dir():
            raise ConfigError(f"output {self.path} is a file; expected a folder")
        self.path.mkdir(parents=True, exist_ok=True)
        for left in self.path.glob(f"{_DRAFT}*"):  # of a run that was killed
            shutil.rmtree(left)
        self.manifest: dict[str, Any] = {"steps": {}}
        if (self.path / MANIFEST).exists():
            try:
                self.manifest |= json.loads((self.path / MANIFEST).read_text(encoding="utf-8"))
            except ValueError as error:
                raise ConfigError(
                    f"{self.path / MANIFEST} is damaged ({error}); delete it to start anew"
                ) from None

    def log(self, step: str, message: str) -> None:
        """Add one line, see `carkinetics.batch.log`."""
        RunLog(self.path / LOG).add(step, message)

    def describe(self, **facts: Any) -> None:
        """Put facts about the whole run into the manifest."""
        steps = self.manifest.pop("steps")
        self.manifest |= {**facts, "steps": steps}  # the steps last: they are the long part
        draft = self.path / f"{MANIFEST}.part"
        draft.write_text(json.dumps(self.manifest, indent=2, default=str) + "\n", encoding="utf-8")
        os.replace(draft, self.path / MANIFEST)

    def seal(self) -> None:
        """Tell the log the hash of the manifest, which has those of all files."""
        self.log("run", f"manifest SHA-256 {sha256_of(self.path / MANIFEST)}")

    def note(self, step: str) -> dict[str, Any]:
        """What a finished step noted."""
        return dict(self.manifest["steps"][step]["note"])

    def is_done(self, step: str, inputs: Mapping[str, Any]) -> bool:
        """Whether a step was finished from the same inputs and all its files are as they were."""
        record = self.manifest["steps"].get(step)
        if record is None or record["key"] != key_of(inputs):
            return False
        return all(
            (self.path / name).is_file() and sha256_of(self.path / name) == digest
            for name, digest in record["files"].items()
        )

    @contextmanager
    def making(self, step: str, inputs: Mapping[str, Any]) -> Iterator[Draft]:
        """Let a step write its files; they appear together with their record, or not at all.

        Parameters
        ----------
        step : str
            Name of the step.
        inputs : mapping
            Everything it depends on.

        Yields
        ------
        Draft
            Where to write.
        """
        draft = Draft(Path(tempfile.mkdtemp(prefix=_DRAFT, dir=self.path)))
        start = monotonic()
        self.log(step, "started")
        try:
            yield draft
            files = sorted(
                p.relative_to(draft.folder).as_posix() for p in draft.folder.rglob("*") if p.is_file()
            )
            digests = {name: sha256_of(draft.folder / name) for name in files}
            before = self.manifest["steps"].pop(step, {"files": {}})["files"]
            self.describe()  # from here until the end the step counts as not done
            for name in before.keys() - digests.keys():
                (self.path / name).unlink(missing_ok=True)
            for name in files:
                (self.path / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(draft.folder / name, self.path / name)
        except BaseException as error:
            self.log(step, f"stopped: {str(error) or type(error).__name__}")
            raise
        finally:
            shutil.rmtree(draft.folder, ignore_errors=True)
        seconds = round(monotonic() - start, 1)
        self.manifest["steps"][step] = {
            "key": key_of(inputs),
            "files": digests,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": seconds,
            "note": draft.note,
        }
        self.describe()
        wrote = ", ".join(f"{name} {digest[:12]}" for name, digest in digests.items())
        self.log(step, f"finished in {seconds:g} s from inputs {key_of(inputs)[:12]}: {wrote}")
