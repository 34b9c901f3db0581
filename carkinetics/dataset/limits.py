"""Between which two levels the truth lies: units and limits of each assay, and the status of a row.

A limit on the row (columns LLOQ, LOD and ULOQ, or a cell ``<25`` or ``>1e6``) goes before the limit of the assay: a
sample with little DNA has a higher LLOQ than its neighbours.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np

from carkinetics.dataset.cell import Cell, identifier, is_missing, number_in
from carkinetics.dataset.place import numbers_in_words
from carkinetics.dataset.record import Row
from carkinetics.dataset.table import (
    ABOVE_ULOQ,
    BELOW_LLOQ,
    CAR,
    CENSORED,
    MARKER,
    NOT_DETECTED,
    PREDOSE,
    QUANTIFIED,
    kind_of_unit,
)
from carkinetics.errors import DataError, UnitError, did_you_mean
from carkinetics.units import canonical_unit


@dataclass(frozen=True, slots=True)
class Reading:
    """Status and interval of one sample, see `carkinetics.dataset.table`.

    Parameters
    ----------
    status : str
        One of the statuses of a Dataset.
    value : float
        Level, NaN where nothing was quantified.
    lower, upper : float
        The truth lies between; ``upper`` is NaN if no limit is known.
    lloq, lod : float
        Limits of this sample, NaN if unknown.
    """

    status: str
    value: float
    lower: float
    upper: float
    lloq: float
    lod: float


def refusal(cell: Cell, cens: float, kind: str = CAR, uloq: float = np.nan) -> tuple[str, str] | None:
    """Rule and reason why a cell cannot be an observation; None if it can.

    Parameters
    ----------
    cell : Cell
        The DV cell.
    cens : float
        The CENS column, NaN if absent.
    kind : {"car", "marker"}
        A marker may be negative (a change from baseline).
    uloq : float
        Upper limit of quantification of the sample, NaN if unknown.

    Returns
    -------
    tuple of str or None
        Rule and reason.
    """
    above, below = (
        cens == -1 or cell.kind == "more",
        cens == 1 or cell.kind in ("less", "blq", "not_detected"),
    )
    if above and below:
        return "right-censored", "said to be below one limit and above another; expected one of the two"
    if above and np.isnan(cell.number) and np.isnan(uloq):
        return "right-censored", "above the upper limit of quantification, which is not known: give uloq="
    if above and kind == CAR and cell.number <= 0:
        return "value-is-number", "expected an upper limit of quantification above 0"
    if not np.isnan(cens) and cens not in (0, 1, -1):
        return (
            "value-is-number",
            f"CENS is {cens:g}; expected 0 (quantified), 1 (below LLOQ) or -1 (above ULOQ)",
        )
    if cell.kind == "missing" and cens not in (1, -1):
        return "value-missing", "no value"
    if cell.kind in ("text", "infinite") or (cell.kind == "less" and not cell.number > 0):
        return "value-is-number", "expected a number, a limit such as '<50', or BLQ, ND"
    if kind == CAR and cell.kind == "number" and cell.number < 0:
        return "value-not-negative", "a level cannot be negative; is the column on a log scale?"
    return None


def unread_limits(rows: Sequence[Row], kinds: Mapping[str, str]) -> dict[tuple[str, str], list[Row]]:
    """Cells of LLOQ, LOD, ULOQ and LIMIT that are not a limit, so that the assay's usual one goes in their place.

    Parameters
    ----------
    rows : sequence of Row
        Observation rows with their assay.
    kinds : mapping of str to str
        Assay → ``"car"`` or ``"marker"``.

    Returns
    -------
    dict
        (column, text) → its rows.
    """
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        sound = {
            "LLOQ": number_in(row["LLOQ"]) > 0,
            "LOD": number_in(row["LOD"]) > 0,
            "ULOQ": number_in(row["ULOQ"]) > 0,
            "LIMIT": not np.isnan(lower_limit(row, kinds[row.assay])),
        }
        for column, is_limit in sound.items():
            if not is_limit and not is_missing(row[column]):
                found.setdefault((column, row[column]), []).append(row)
    return found


def lower_limit(row: Row, kind: str) -> float:
    """LIMIT of a row, NaN if it has none.

    Parameters
    ----------
    row : Row
        An observation.
    kind : {"car", "marker"}
        A marker may be negative, a level not.

    Returns
    -------
    float
        The lower end of a censored interval.
    """
    limit = number_in(row["LIMIT"])
    return np.nan if kind == CAR and limit < 0 else limit


def read_level(
    cell: Cell,
    time: float,
    *,
    lloq: float,
    lod: float,
    cens: float,
    limit: float,
    kind: str = CAR,
    uloq: float = np.nan,
) -> Reading:
    """Status and interval of one sample.

    Parameters
    ----------
    cell : Cell
        The DV cell, one that `refusal` lets pass.
    time : float
        Days since the first infusion.
    lloq, lod : float
        Limits of the sample, NaN if unknown.
    cens : float
        CENS as in Monolix: 1 says that the value is the upper limit of an interval, -1 the lower one.
    limit : float
        LIMIT as in Monolix: the lower limit, NaN if not given.
    kind : {"car", "marker"}
        A marker is not zero by construction before the infusion.
    uloq : float
        Upper limit of quantification of the sample, NaN if unknown.

    Returns
    -------
    Reading
        Status, value and interval.
    """
    if cens == -1 or cell.kind == "more" or (cell.kind == "number" and cens != 1 and cell.number > uloq):
        own = np.isnan(uloq) or cens == -1 or cell.kind == "more"
        bound = cell.number if own and not np.isnan(cell.number) else uloq
        return Reading(ABOVE_ULOQ, np.nan, bound, np.inf, lloq, lod)
    if kind == MARKER and cens != 1 and np.isnan(lloq) and np.isnan(lod) and cell.kind == "number":
        return Reading(QUANTIFIED, cell.number, cell.number, cell.number, lloq, lod)  # 0 mm: a lesion is gone
    reading = _reading(cell, lloq=lloq, lod=lod, cens=cens, limit=limit)
    if time <= 0 and kind == CAR and reading.status in CENSORED:
        return Reading(PREDOSE, np.nan, 0.0, 0.0, reading.lloq, lod)
    return reading


def _reading(cell: Cell, *, lloq: float, lod: float, cens: float, limit: float) -> Reading:
    """Status and interval of a sample after the infusion."""
    if cens == 1 and cell.kind in ("number", "missing", "blq", "not_detected"):
        upper = cell.number if cell.kind == "number" and cell.number > 0 else lloq
        lower = limit if not np.isnan(limit) else _lower_end(lod, upper)
        return _censored(BELOW_LLOQ, lower, upper, upper, lod)
    if cell.kind == "less":
        if cell.number <= lod:
            return _censored(NOT_DETECTED, 0.0, cell.number, lloq, lod)
        lower = limit if cens == 1 and not np.isnan(limit) else _lower_end(lod, cell.number)
        return _censored(BELOW_LLOQ, lower, cell.number, cell.number, lod)
    undetected = cell.kind == "not_detected" or (
        cell.kind == "number" and (cell.number == 0 or cell.number < lod)
    )
    if undetected:
        return _censored(NOT_DETECTED, 0.0, lloq if np.isnan(lod) else lod, lloq, lod)
    if cell.kind == "blq" or cell.number < lloq:
        return _censored(BELOW_LLOQ, _lower_end(lod, lloq), lloq, lloq, lod)
    return Reading(QUANTIFIED, cell.number, cell.number, cell.number, lloq, lod)


def _lower_end(lod: float, upper: float) -> float:
    """The LOD where it leaves room below the upper end, else 0."""
    return 0.0 if np.isnan(lod) or lod >= upper else lod


def _censored(status: str, lower: float, upper: float, lloq: float, lod: float) -> Reading:
    """A value that was not quantified."""
    return Reading(status, np.nan, lower, upper, lloq, lod)


def by_assay[T](
    argument: T | Mapping[object, T] | None, assays: Sequence[str], names: Mapping[str, str], what: str
) -> dict[str, T]:
    """An argument given once, or per assay, as a dict by assay.

    Parameters
    ----------
    argument : object, mapping or None
        One value, or values by assay (by DVID where that was given a name).
    assays : sequence of str
        Assays in the data.
    names : mapping of str to str
        DVID → assay name.
    what : str
        Name of the argument, for messages.

    Returns
    -------
    dict
        By assay; without the assays that were not mentioned.

    Raises
    ------
    DataError
        If one value is given for several assays, or an assay is not in the data.
    """
    if argument is None:
        return {}
    if not isinstance(argument, Mapping):
        if len(assays) > 1:
            hint = ", ".join(f"{assay!r}: ..." for assay in assays)
            raise DataError(
                f"{what}={argument!r} was given for several assays ({', '.join(assays)}); "
                f"give one for each: {what}={{{hint}}}"
            )
        return dict.fromkeys(assays, argument)
    chosen = {}
    for key, value in argument.items():
        name = identifier(str(key))
        name = names.get(name, name)
        if name not in assays:
            raise DataError(f"{what}: no assay {name!r} in the data{did_you_mean(name, assays)}")
        chosen[name] = value
    return chosen


def positive_limits(limits: Mapping[str, float], what: str) -> dict[str, float]:
    """Limits as numbers above 0.

    Parameters
    ----------
    limits : mapping
        By assay.
    what : str
        Name of the argument, for messages.

    Returns
    -------
    dict
        By assay.

    Raises
    ------
    DataError
        If a limit is not a finite number above 0.
    """
    checked: dict[str, float] = {}
    for assay, limit in limits.items():
        if isinstance(limit, bool) or not isinstance(limit, Real) or not 0 < limit < np.inf:
            raise DataError(
                f"{what} of assay {assay!r} is {limit!r}; expected a number above 0 in the assay's unit"
            )
        checked[assay] = float(limit)
    return checked


def assay_units(rows: Sequence[Row], given: Mapping[str, str]) -> dict[str, str]:
    """The one unit of each assay, from the UNIT column and from the caller.

    Parameters
    ----------
    rows : sequence of Row
        Observation rows with their assay.
    given : mapping
        Units by assay that the caller gave.

    Returns
    -------
    dict
        Assay → unit, in its canonical spelling.

    Raises
    ------
    UnitError
        If an assay has two units.
    DataError
        If an assay has none.
    """
    units: dict[str, str] = {}
    for assay in dict.fromkeys(row.assay for row in rows):
        found: dict[str, list[int]] = {}
        for row in rows:
            if row.assay == assay and not is_missing(row["UNIT"]):
                found.setdefault(canonical_unit(row["UNIT"]), []).append(row.line)
        if len(found) > 1:
            each = "; ".join(f"{unit} in {numbers_in_words(lines)}" for unit, lines in found.items())
            raise UnitError(
                f"assay {assay!r} has {len(found)} units: {each}; one assay has one unit: "
                "convert the values, or tell the assays apart by a DVID column"
            )
        told = canonical_unit(given[assay]) if assay in given else None
        written = next(iter(found), None)
        if told and written and told != written:
            raise UnitError(
                f"value_unit of assay {assay!r} is {told}, but the UNIT column says {written} "
                f"in {numbers_in_words(found[written])}; they measure different things"
            )
        unit = told or written
        if not unit:
            raise DataError(
                f"assay {assay!r} has no unit; expected a UNIT column or value_unit={{{assay!r}: 'copies/ug'}}"
            )
        units[assay] = unit
    return units


def usual_limit(rows: Sequence[Row], column: str, given: float | None) -> float:
    """The usual limit of one assay: what the caller gave, else the commonest of the rows.

    Parameters
    ----------
    rows : sequence of Row
        Observation rows of the assay.
    column : {"LLOQ", "LOD", "ULOQ"}
        Which limit.
    given : float, optional
        What the caller gave.

    Returns
    -------
    float
        NaN if no limit is known.
    """
    if given is not None:
        return given
    seen = [number for row in rows if (number := number_in(row[column])) > 0]
    return max(sorted(set(seen)), key=seen.count) if seen else np.nan


def assay_kinds(
    units: Mapping[str, str], markers: Iterable[object] | None, names: Mapping[str, str]
) -> dict[str, str]:
    """Which assays measure CAR-T cells, and which something that exists without them.

    Parameters
    ----------
    units : mapping
        Assay → unit.
    markers : iterable, optional
        Assays that are markers; the units decide if not given.
    names : mapping of str to str
        DVID → assay name.

    Returns
    -------
    dict
        Assay → ``"car"`` or ``"marker"``.

    Raises
    ------
    DataError
        If a marker is not in the data.
    """
    if markers is None:
        return {assay: kind_of_unit(unit) for assay, unit in units.items()}
    given: dict[object, str] = dict.fromkeys(markers, MARKER)
    told: dict[str, str] = by_assay(given, list(units), names, "markers")
    return {assay: told.get(assay, CAR) for assay in units}
