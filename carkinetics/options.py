"""What more than one verb is asked: options that look the same everywhere, and what is looked at before the work."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from carkinetics.errors import ConfigError

MAX_SEED = 2**63 - 1

Seed = Annotated[int, typer.Option(help="Seed of everything random.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="File to write.")]
AsJson = Annotated[bool, typer.Option("--json", help="Answer as JSON, for scripts.")]


def expect_seed(seed: int) -> None:
    """Refuse a seed that no generator takes.

    Parameters
    ----------
    seed : int
        As typed.

    Raises
    ------
    ConfigError
        If it is negative or too large.
    """
    if not 0 <= seed <= MAX_SEED:
        raise ConfigError(f"--seed is {seed}; expected a whole number from 0 to 2**63 - 1")


def expect_writable(output: Path, option: str = "--output") -> None:
    """Find out before the work, and not after it, that its result cannot be saved.

    Parameters
    ----------
    output : pathlib.Path
        The file; its folder is made.
    option : str
        That named it, for the message.

    Raises
    ------
    ConfigError
        If it is a folder, or its folder cannot be written to.
    """
    if output.is_dir():
        raise ConfigError(f"{option} {output} is a folder; expected a file")
    _try(output.parent, output, option)


def expect_folder(output: Path) -> None:
    """The same for a folder.

    Parameters
    ----------
    output : pathlib.Path
        The folder; it is made.

    Raises
    ------
    ConfigError
        If it is a file, or cannot be written to.
    """
    if output.is_file():
        raise ConfigError(f"--output {output} is a file; expected a folder")
    _try(output, output)


def _try(folder: Path, output: Path, option: str = "--output") -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(f"{option} {output} cannot be written: {error.strerror}") from None


def numbers(option: str, text: str) -> list[float]:
    """Numbers between commas.

    Parameters
    ----------
    option : str
        For the message.
    text : str
        As typed.

    Returns
    -------
    list of float
        At least one.

    Raises
    ------
    ConfigError
        If one of them is no number.
    """
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(
            f"{option} is {text!r}; expected numbers with commas, such as 0.05,0.1,0.2"
        ) from None
