"""What one cell of a table says: a number, a limit, a word for BLQ, or nothing.

Laboratories write what they could not quantify in many ways. Every spelling known here is one of
the kinds below; a text that is none of them stays ``text`` and is never guessed at.

==================  ================================================================
kind                examples
==================  ================================================================
``number``          ``24000``, ``2.4e4``, ``-1``
``less``            ``<50``: detected or not, below that number
``more``            ``>1e6``, ``>ULOQ``: above the upper limit of quantification
``blq``             ``BLQ``, ``BQL``, ``BLLOQ``, ``<LLOQ``
``not_detected``    ``ND``, ``not detected``, ``<LOD``
``missing``         empty, ``.``, ``NA``, ``-``
``infinite``        ``inf``
``text``            anything else
==================  ================================================================
"""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

Kind = Literal["number", "less", "more", "blq", "not_detected", "missing", "infinite", "text"]

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][+-]?\d+)?"
_IS_NUMBER = re.compile(_NUMBER, re.ASCII)
_IS_LIMIT = re.compile(rf"([<≤>≥])\s*=?\s*({_NUMBER})", re.ASCII)
_WHOLE_FLOAT = re.compile(r"(\d+)\.0+", re.ASCII)

_BLQ = {"blq", "bql", "blloq", "bloq", "<lloq", "<loq", "below lloq", "below loq"}
_NOT_DETECTED = {"nd", "n.d.", "not detected", "undetected", "undetectable", "<lod", "below lod"}
_ABOVE = {"alq", "aql", "auloq", ">uloq", "above uloq"}
_MISSING = {"", ".", "na", "n/a", "nan", "null", "not done", "<na>", "nat"}
_INFINITE = {"inf", "+inf", "-inf", "infinity", "-infinity"}


@dataclass(frozen=True, slots=True)
class Cell:
    """Meaning of one cell.

    Parameters
    ----------
    kind : str
        One of the kinds of the module's table.
    number : float
        The number or limit, NaN where there is none.
    """

    kind: Kind
    number: float = np.nan


def read_cell(text: str) -> Cell:
    """Meaning of one cell.

    Parameters
    ----------
    text : str
        The cell as written.

    Returns
    -------
    Cell
        Kind and number.

    Examples
    --------
    >>> read_cell(" < 50 "), read_cell("BQL"), read_cell("2.4e4")
    (Cell(kind='less', number=50.0), Cell(kind='blq', number=nan), Cell(kind='number', number=24000.0))
    """
    plain = " ".join(text.lower().split())
    tight = plain.replace("< ", "<").replace("> ", ">")
    if plain in _MISSING or set(plain) == {"-"}:
        return Cell("missing")
    if tight in _BLQ:
        return Cell("blq")
    if tight in _NOT_DETECTED:
        return Cell("not_detected")
    if tight in _ABOVE:
        return Cell("more")
    if limit := _IS_LIMIT.fullmatch(plain):
        return Cell("less" if limit[1] in "<≤" else "more", _to_float(limit[2]))
    if plain in _INFINITE:
        return Cell("infinite")
    if _IS_NUMBER.fullmatch(plain):
        number = _to_float(plain)
        return Cell("number", number) if np.isfinite(number) else Cell("infinite")
    return Cell("text")


def _to_float(text: str) -> float:
    """Number of a text that may use the Fortran exponent D."""
    return float(text.replace("d", "e").replace("D", "e"))


def number_in(text: str) -> float:
    """The finite number in a cell, or NaN.

    Parameters
    ----------
    text : str
        The cell as written.

    Returns
    -------
    float
        NaN if the cell holds anything but a finite number.
    """
    cell = read_cell(text)
    return cell.number if cell.kind == "number" else np.nan


def is_missing(text: str) -> bool:
    """Whether a cell says nothing.

    Parameters
    ----------
    text : str
        The cell as written.

    Returns
    -------
    bool
        True for an empty cell and for the usual words for a missing value.
    """
    return read_cell(text).kind == "missing"


def cell_text(value: object) -> str:
    """Text of a typed cell (spreadsheet, Parquet, DataFrame), exact for numbers.

    Parameters
    ----------
    value : object
        What the cell holds.

    Returns
    -------
    str
        Empty for a missing value; a whole number without decimals.

    Examples
    --------
    >>> cell_text(1.0), cell_text(0.1), cell_text(None), cell_text(" 001 ")
    ('1', '0.1', '', '001')
    """
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return ""
    if isinstance(value, float | np.floating):
        number = float(value)
        return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)
    return str(value).strip()


def identifier(text: str) -> str:
    """Identifier of a subject or an assay: the text itself, but ``1.0`` is ``1``.

    Parameters
    ----------
    text : str
        The cell as written.

    Returns
    -------
    str
        Leading zeros are kept.

    Examples
    --------
    >>> identifier("001"), identifier("1.0"), identifier("101-004")
    ('001', '1', '101-004')
    """
    plain = text.strip()
    whole = _WHOLE_FLOAT.fullmatch(plain)
    return whole[1] if whole else plain


def natural_order(text: str) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """Sort key that puts subject 2 before subject 10.

    Parameters
    ----------
    text : str
        Identifier.

    Returns
    -------
    tuple
        To be used as a sort key.

    Examples
    --------
    >>> sorted(["10", "2", "A3", "A20"], key=natural_order)
    ['2', '10', 'A3', 'A20']
    """
    parts = [part for part in re.split(r"([0-9]+)", text) if part]
    digits = [part.lstrip("0") for part in parts]
    key = tuple(
        (0, len(bare), bare) if part[0] in "0123456789" else (1, 0, part)
        for part, bare in zip(parts, digits, strict=True)
    )
    return key, text
