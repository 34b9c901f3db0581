"""The log of a run folder: who did what, when, with which result; a file that only grows.

Every line ends with a digest of itself and of the line before it, so that a line that was changed, taken out or put in
between shows. That finds accidents and careless edits. It is no signature: who can write the file can write the digests anew,
and nobody has proved who he is. This alone is not what 21 CFR Part 11 asks of electronic records.
"""

from __future__ import annotations

import getpass
import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path

DIGITS = 16  # of the digest; enough against chance


def system_user() -> str:
    """Name of the operating-system user of this process.

    Returns
    -------
    str
        From the system's accounts where there are such, not from the environment, which anybody can set.
    """
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except ImportError:  # not a Unix
        return getpass.getuser()
    except KeyError:  # a container's user without an account
        return f"uid {os.getuid()}"


class RunLog:
    """A log to which lines are added.

    Parameters
    ----------
    path : str or pathlib.Path
        The file; made with the first line.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.user = system_user()

    def add(self, step: str, message: str) -> None:
        """Add one line: time, user, step, message, digest.

        Parameters
        ----------
        step : str
            What it is about.
        message : str
            In one line; line breaks become spaces.
        """
        when = datetime.now(UTC).isoformat(timespec="seconds")
        text = "\t".join((when, self.user, step, " ".join(message.split())))
        lines = _lines(self.path)
        before = lines[-1].rpartition("\t")[2] if lines else ""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{text}\t{_digest(before, text)}\n")


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def _digest(before: str, text: str) -> str:
    return hashlib.sha256(f"{before}\n{text}".encode()).hexdigest()[:DIGITS]


def broken_lines(path: str | Path) -> list[int]:
    """Lines of a log that are not as they were written, or do not follow the line before them.

    Parameters
    ----------
    path : str or pathlib.Path
        The log.

    Returns
    -------
    list of int
        Numbers of the lines, from 1. Lines that were cut off at the end do not show.
    """
    found, before = [], ""
    for number, line in enumerate(_lines(Path(path)), 1):
        text, _, digest = line.rpartition("\t")
        if digest != _digest(before, text):
            found.append(number)
        before = digest
    return found
