"""A table of samples on the command line: the options that say how it is to be read, and the reading."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

import carkinetics as ck
from carkinetics.errors import ConfigError

DataPath = Annotated[
    Path, typer.Argument(metavar="DATA", help="Table with NONMEM-style columns: CSV, Excel or Parquet.")
]
ValueUnit = Annotated[
    list[str] | None,
    typer.Option(help="Unit of DV: copies/ug, or for several assays qpcr=copies/ug; repeat."),
]
Lloq = Annotated[
    list[str] | None, typer.Option(help="Lower limit of quantification in that unit: 25, or qpcr=25; repeat.")
]
Lod = Annotated[
    list[str] | None, typer.Option(help="Limit of detection in that unit: 10, or qpcr=10; repeat.")
]
Uloq = Annotated[
    list[str] | None,
    typer.Option(help="Upper limit of quantification in that unit: 1e6, or qpcr=1e6; repeat."),
]
Subjects = Annotated[
    Path | None, typer.Option(help="Table with one row per subject: covariates and outcomes.")
]
Column = Annotated[
    list[str] | None, typer.Option(help="ROLE=COLUMN of the table, such as DV=AVAL; repeat for more.")
]
TimeUnit = Annotated[str, typer.Option(help="Unit of TIME.")]
DoseUnit = Annotated[str, typer.Option(help="Unit of AMT: cells/kg or cells.")]
Assay = Annotated[str | None, typer.Option(help="Assay to use, if there are several.")]


def read_table(
    path: Path, value_unit: list[str] | None, lloq: list[str] | None, lod: list[str] | None, uloq: list[str] | None, time_unit: str,
    dose_unit: str, assay: str | None, subjects: Path | None, column: list[str] | None,
) -> ck.Dataset:  # fmt: skip
    """A table as the options say; each is that of `carkinetics.read_nonmem`.

    Returns
    -------
    Dataset
        Of one assay, where one was chosen.
    """
    data = ck.read_nonmem(
        path, value_unit=_by_assay("value-unit", value_unit, assay, str), lloq=_by_assay("lloq", lloq, assay, float),
        lod=_by_assay("lod", lod, assay, float), uloq=_by_assay("uloq", uloq, assay, float), time_unit=time_unit,
        dose_unit=dose_unit, subjects=subjects,
        columns={role: name for role, (name,) in pairs_of("column", column, "ROLE=COLUMN, such as DV=AVAL", 1).items()},
    )  # fmt: skip
    return data if assay is None else data.select(assay=assay)


def _by_assay[T](
    option: str, texts: list[str] | None, assay: str | None, read: Callable[[str], T]
) -> T | dict[object, T] | None:
    """``25``, or ``qpcr=25`` repeated; a plain value belongs to the assay that was chosen."""
    expected = f"one value, or ASSAY=VALUE once for each assay, such as --{option} qpcr={'25' if read is float else 'copies/ug'}"
    plain = [text for text in texts or [] if "=" not in text]
    try:
        if plain and len(texts or []) == 1:
            return read(plain[0]) if assay is None else {assay: read(plain[0])}
        pairs = pairs_of(option, texts, expected, 1)
        return {name: read(value) for name, (value,) in pairs.items()} or None
    except ValueError as problem:
        if isinstance(problem, ConfigError):
            raise
        raise ConfigError(f"--{option} is {', '.join(texts or [])!r}; expected {expected}") from None


def pairs_of(option: str, texts: list[str] | None, expected: str, most: int = 0) -> dict[str, list[str]]:
    """``cmax=log(dose)``, repeated, as a mapping.

    Parameters
    ----------
    option : str
        For the message.
    texts : list of str or None
        As typed.
    expected : str
        What would be right.
    most : int
        How many values one name may have; any number if 0.

    Returns
    -------
    dict of str to list of str
        Values by name.

    Raises
    ------
    ConfigError
        If a text has no name or no value, or a name comes too often.
    """
    found: dict[str, list[str]] = {}
    for text in texts or []:
        name, equals, value = text.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise ConfigError(f"--{option} is {text!r}; expected {expected}")
        found.setdefault(name.strip(), []).append(value.strip())
        if most and len(found[name.strip()]) > most:
            raise ConfigError(f"--{option} gives {name.strip()!r} twice: {', '.join(found[name.strip()])}")
    return found
