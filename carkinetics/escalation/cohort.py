"""What happened so far at each dose: cohorts as a user writes them, and the tally that a rule reads."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd

from carkinetics.errors import DataError, did_you_mean

COUNTS = ("n", "dlt", "grade2", "pending", "not_evaluable")
MOST = 100_000  # patients in a cohort

type Cohorts = Iterable[Cohort | Sequence[Any] | Mapping[str, Any]] | pd.DataFrame


@dataclass(frozen=True, slots=True)
class Cohort:
    """Patients who were treated at one dose, one after the other or together.

    Parameters
    ----------
    dose : float
        A dose of the design: its number, or its size where the design was given sizes.
    n : int
        Patients who count: with a complete DLT window, with a DLT, or still in their window.
    dlt : int
        Those with a dose-limiting toxicity.
    grade2 : int
        Those with a toxicity of grade 2 that is relevant for a titration, and no DLT.
    pending : int
        Those without a DLT who are still in their window.
    follow_up : tuple of float
        Days that each pending patient has been followed; only designs for times to an event need them.
    not_evaluable : int
        Patients beyond ``n`` who left before the end of the window without a DLT: they are replaced.
    """

    dose: float
    n: int
    dlt: int
    grade2: int = 0
    pending: int = 0
    follow_up: tuple[float, ...] = ()
    not_evaluable: int = 0


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts by dose, in the order of doses, and the dose given last.

    Parameters
    ----------
    n, dlt, grade2 : tuple of int
        Patients whose outcome is known, with a DLT, with a grade 2 and no DLT.
    current : int
        Number of the dose given last, from 1; 0 before the first patient.
    waiting : tuple of (int, float)
        Patients still in their window: the number of their dose and the days followed.
    """

    n: tuple[int, ...]
    dlt: tuple[int, ...]
    grade2: tuple[int, ...]
    current: int = 0
    waiting: tuple[tuple[int, float], ...] = ()

    @classmethod
    def empty(cls, doses: int) -> Tally:
        """Before the first patient."""
        zeros = (0,) * doses
        return cls(zeros, zeros, zeros)

    def after(self, level: int, n: int, dlt: int, grade2: int = 0) -> Tally:
        """With ``n`` more patients at dose number ``level``."""

        def added(old: tuple[int, ...], more: int) -> tuple[int, ...]:
            return (*old[: level - 1], old[level - 1] + more, *old[level:])

        return Tally(
            added(self.n, n), added(self.dlt, dlt), added(self.grade2, grade2), level, self.waiting
        )  # fmt: skip

    @property
    def treated(self) -> int:
        """Everyone: with a known outcome, or waiting for it."""
        return sum(self.n) + len(self.waiting)

    @property
    def given(self) -> tuple[int, ...]:
        """Everyone by dose: with a known outcome, or waiting for it."""
        if not self.waiting:
            return self.n
        counts = list(self.n)
        for level, _ in self.waiting:
            counts[level - 1] += 1
        return tuple(counts)

    @property
    def highest(self) -> int:
        """Number of the highest dose that was given; 0 before the first patient."""
        return max((level for level, count in enumerate(self.given, start=1) if count), default=0)

    def at(self, level: int) -> tuple[int, int]:
        """Patients with a known outcome, and DLTs, at a dose."""
        return self.n[level - 1], self.dlt[level - 1]

    def settled(self) -> Tally:
        """Without those who are waiting."""
        return replace(self, waiting=())


def tally_of(cohorts: Cohorts, doses: Sequence[float]) -> Tally:
    """Counts by dose.

    Parameters
    ----------
    cohorts : iterable of Cohort, tuple or mapping, or DataFrame
        In the order of treatment; a tuple is ``(dose, n, dlt)`` and may go on as `Cohort` does.
    doses : sequence of float
        The doses of the design.

    Returns
    -------
    Tally
        Those counts.

    Raises
    ------
    DataError
        If a dose is not one of the design's, or the counts of a cohort cannot be.

    Examples
    --------
    >>> tally_of([(1, 3, 0), (2, 3, 1)], doses=(1, 2, 3)).dlt
    (0, 1, 0)
    """
    tally = Tally.empty(len(doses))
    for number, cohort in enumerate(cohorts_as_given(cohorts), start=1):
        level = _level(cohort, doses, number)
        if cohort.n:  # a cohort of patients who are all replaced leaves the trial where it stood
            tally = tally.after(level, cohort.n - cohort.pending, cohort.dlt, cohort.grade2)
        days = cohort.follow_up or (float("nan"),) * cohort.pending
        tally = replace(tally, waiting=tally.waiting + tuple((level, float(day)) for day in days))
    return tally


def cohorts_as_given(cohorts: Cohorts) -> list[Cohort]:
    """Cohorts from tuples, mappings or a table, before anything is made of their doses.

    Parameters
    ----------
    cohorts : iterable of Cohort, tuple or mapping, or DataFrame
        In the order of treatment.

    Returns
    -------
    list of Cohort
        Those cohorts.

    Raises
    ------
    DataError
        If one cannot be read.
    """
    return [
        _counted(_cohort(entry, number), number) for number, entry in enumerate(_entries(cohorts), start=1)
    ]


def _entries(cohorts: Cohorts) -> list[Any]:
    if isinstance(cohorts, pd.DataFrame):
        return [{str(k): v for k, v in row.items()} for row in cohorts.to_dict("records")]
    if isinstance(cohorts, (str, Mapping, Cohort)) or not isinstance(cohorts, Iterable):
        raise DataError(
            f"cohorts is {cohorts!r}; expected a list of (dose, n, dlt), in the order of treatment"
        )
    return list(cohorts)


def _cohort(entry: Any, number: int) -> Cohort:
    known = [field.name for field in fields(Cohort)]
    if isinstance(entry, Cohort):
        return entry
    if isinstance(entry, Mapping):
        for name in entry:
            if name not in known:
                raise DataError(
                    f"cohort {number}: {name!r} is no field of a cohort{did_you_mean(str(name), known)}"
                )
        missing = [name for name in known[:3] if name not in entry]
        if missing:
            raise DataError(f"cohort {number}: {', '.join(missing)} not given; expected dose, n and dlt")
        return Cohort(**entry)
    if isinstance(entry, str) or not isinstance(entry, Sequence) or not 3 <= len(entry) <= len(known):
        raise DataError(f"cohort {number} is {entry!r}; expected (dose, n, dlt)")
    return Cohort(*entry)


def _level(cohort: Cohort, doses: Sequence[float], number: int) -> int:
    if isinstance(cohort.dose, numbers.Real) and not isinstance(cohort.dose, bool):
        for level, dose in enumerate(doses, start=1):
            if np.isclose(float(cohort.dose), dose, rtol=1e-9, atol=0):
                return level
    known = ", ".join(dose_text(dose) for dose in doses)
    raise DataError(
        f"cohort {number}: dose is {cohort.dose!r}; the doses of the design are {known}. Patients dosed off-plan "
        "are counted by cohorts_from(), at the dose received"
    )


def _counted(cohort: Cohort, number: int) -> Cohort:
    """The cohort with whole numbers, as a table may hold 3.0, and days as floats; looked at."""
    counts = {name: _count(getattr(cohort, name), name, number) for name in COUNTS}
    cohort = replace(cohort, **counts, follow_up=_days(cohort.follow_up, number))
    where = f"cohort {number}" + (
        f" at dose {cohort.dose:g}" if isinstance(cohort.dose, numbers.Real) else ""
    )
    if cohort.dlt > cohort.n:
        raise DataError(f"{where}: {cohort.dlt} DLTs among {cohort.n} patients; expected at most {cohort.n}")
    if cohort.dlt + cohort.grade2 + cohort.pending > cohort.n:
        raise DataError(
            f"{where}: {cohort.dlt} with a DLT, {cohort.grade2} with grade 2 and no DLT and {cohort.pending} pending are "
            f"more than its {cohort.n} patients; each patient counts once"
        )
    days = cohort.follow_up
    if days and len(days) != cohort.pending:
        raise DataError(f"{where}: {len(days)} follow_up days for {cohort.pending} pending patients")
    return cohort


def _count(value: Any, name: str, number: int) -> int:
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not real or float(value) % 1 or not 0 <= float(value) <= MOST:
        raise DataError(f"cohort {number}: {name} is {value!r}; expected a whole number from 0 to {MOST:,}")
    return int(value)


def _days(given: Any, number: int) -> tuple[float, ...]:
    if (
        given is None or given is pd.NA or (isinstance(given, float) and np.isnan(given))
    ):  # an empty cell of a table
        return ()
    days = (
        list(given)
        if isinstance(given, (Sequence, np.ndarray)) and not isinstance(given, str)
        else [given, None]
    )
    for day in days:
        if isinstance(day, bool) or not isinstance(day, numbers.Real) or not 0 <= float(day) < np.inf:
            raise DataError(f"cohort {number}: follow_up is {given!r}; expected a list of days, 0 or more")
    return tuple(float(day) for day in days)


def dose_text(dose: float) -> str:
    """A dose as one writes it: 3, 0.5, 1e6, 2.5e6.

    Parameters
    ----------
    dose : float
        Number or size of a dose.

    Returns
    -------
    str
        Its text.

    Examples
    --------
    >>> dose_text(3e5), dose_text(2.5e6), dose_text(4)
    ('3e5', '2.5e6', '4')
    """
    if dose < 1e4:
        return f"{dose:g}"
    power = int(np.floor(np.log10(dose) + 1e-12))
    return f"{dose / 10**power:g}e{power}"
