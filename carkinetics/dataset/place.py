"""Where something stood in the source, in words."""

from collections.abc import Iterable
from typing import Any

import pandas as pd


def place(row: Any) -> str:
    """Place of one row of an observation, dose or event table.

    Parameters
    ----------
    row : namedtuple
        As from ``itertuples``, with ``subject`` and ``row``, and ``file`` where there are several.

    Returns
    -------
    str
        For instance ``"subject 101-004, row 17"``.
    """
    file = getattr(row, "file", "")
    return f"subject {row.subject}, {file + ' ' if file else ''}row {row.row}"


def rows_in_words(table: pd.DataFrame) -> str:
    """Places of all rows of a table, by file where there are several.

    Parameters
    ----------
    table : pandas.DataFrame
        With ``row``, and ``file`` where there are several.

    Returns
    -------
    str
        For instance ``"rows 3-5, 9"`` or ``"a.csv rows 3-5; b.csv row 2"``.
    """
    if "file" not in table:
        return numbers_in_words(table["row"])
    parts = table.groupby("file", sort=True)["row"]
    return "; ".join(f"{file} {numbers_in_words(rows)}".strip() for file, rows in parts)


def numbers_in_words(numbers: Iterable[int]) -> str:
    """Row numbers with runs drawn together.

    Parameters
    ----------
    numbers : iterable of int
        Row numbers, in any order.

    Returns
    -------
    str
        For instance ``"rows 3-5, 9"``.

    Examples
    --------
    >>> numbers_in_words([9, 3, 4, 5]), numbers_in_words([7])
    ('rows 3-5, 9', 'row 7')
    """
    ordered = sorted({int(number) for number in numbers})
    runs: list[list[int]] = []
    for number in ordered:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    parts = [str(a) if a == b else f"{a}-{b}" for a, b in runs]
    return f"{'row' if len(ordered) == 1 else 'rows'} {', '.join(parts)}"
