"""Dataset: what was measured, in tidy tables with units on everything.

Conventions
-----------
Time is in days since the first infusion. One assay has one unit. A value that is not quantified
keeps its row: ``status`` says what the laboratory said, ``lower`` and ``upper`` say between which
two levels the truth lies, and these two columns are all that a likelihood needs.

====================  ============================================  ==========  ==========
status                meaning                                       lower       upper
====================  ============================================  ==========  ==========
``quantified``        a number at or above the LLOQ                 value       value
``below_lloq``        detected, below the LLOQ                      LOD, or 0   LLOQ
``not_detected``      nothing found                                 0           LOD, or LLOQ
``above_uloq``        above the ULOQ                                ULOQ        infinity
``predose``           before the infusion: zero by construction     0           0
====================  ============================================  ==========  ==========

Only CAR-T levels are zero by construction before the infusion. A cytokine, an antibody titre or a
tumour size (``kind`` "marker" in ``assays``) exists without CAR-T cells, and has no ``predose`` rows.

Tables may carry more columns than the named ones: ``reported`` (what stood in the cell) and ``file``
(which of several files) on observations, ``cells`` and ``cells_per_kg`` on doses.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from carkinetics.errors import DataError, did_you_mean

OBSERVATION_COLUMNS = (
    "subject", "assay", "time", "value", "status", "lower", "upper", "lod", "lloq", "unit", "row",
)  # fmt: skip
DOSE_COLUMNS = ("subject", "time", "amount", "unit", "row")
EVENT_COLUMNS = ("subject", "time", "event", "value", "row")
ASSAY_COLUMNS = ("assay", "unit", "lloq", "lod")
EXCLUDED_COLUMNS = ("row", "subject", "time", "assay", "found", "rule", "reason")
REMARK_COLUMNS = ("severity", "rule", "subject", "where", "message")

# Where a value stood in the source is not part of what was measured: left out of the hash.
PROVENANCE = ("row", "file")

QUANTIFIED, BELOW_LLOQ, NOT_DETECTED, PREDOSE = "quantified", "below_lloq", "not_detected", "predose"
ABOVE_ULOQ = "above_uloq"
CENSORED = (BELOW_LLOQ, NOT_DETECTED)
STATUSES = (QUANTIFIED, *CENSORED, ABOVE_ULOQ, PREDOSE)


CAR, MARKER = "car", "marker"
_COUNTS_CELLS = re.compile(r"\b(copies|cells|genomes)\b|^%")

_NUMBERS = dict.fromkeys(("time", "value", "amount", "lower", "upper", "lod", "lloq", "uloq"), "float64")
_DTYPES = {**_NUMBERS, "cells": "float64", "cells_per_kg": "float64", "row": "int64"}


def typed_table(rows: Iterable[dict[str, object]], columns: Iterable[str]) -> pd.DataFrame:
    """Table with fixed columns and types, also when there are no rows.

    Parameters
    ----------
    rows : iterable of dict
        One per row.
    columns : iterable of str
        Column names, in order.

    Returns
    -------
    pandas.DataFrame
        Numbers as float, ``row`` as int, the rest as text.
    """
    names = list(columns)
    table = pd.DataFrame(list(rows), columns=names)
    return table.astype({name: _DTYPES.get(name, "str") for name in names})


def _empty(columns: Iterable[str]) -> pd.DataFrame:
    return typed_table([], columns)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Observations, subjects, doses and events of one or more trials.

    Parameters
    ----------
    observations : pandas.DataFrame
        One row per sample and assay: ``subject, assay, time`` (day), ``value`` (NaN where nothing
        was quantified), ``status, lower, upper, lod, lloq, unit, row`` (line of the source file).
    subjects : pandas.DataFrame
        One row per subject: ``subject``, covariates, outcomes.
    doses : pandas.DataFrame
        One row per infusion: ``subject, time`` (day), ``amount, unit`` (``"cells/kg"`` or ``"cells"``), ``row``.
    events : pandas.DataFrame
        Comedication and other timed events: ``subject, time`` (day), ``event, value, row``.
    assays : pandas.DataFrame
        One row per assay: ``assay, unit, lloq, lod`` (the usual limits; a row of its own may differ)
        and, as read, ``kind``: ``"car"`` or ``"marker"``, and ``uloq`` where one is known.
    excluded : pandas.DataFrame
        Rows of the source that are not in the tables above: ``row, subject, time, assay, found, rule, reason``.
    remarks : pandas.DataFrame
        What the reader saw and the tables no longer show: ``severity, rule, subject`` (empty if it
        concerns the whole table), ``where, message``. `carkinetics.check` repeats them.
    source : str
        Where the data came from.
    """

    observations: pd.DataFrame
    subjects: pd.DataFrame
    doses: pd.DataFrame = field(default_factory=lambda: _empty(DOSE_COLUMNS))
    events: pd.DataFrame = field(default_factory=lambda: _empty(EVENT_COLUMNS))
    assays: pd.DataFrame = field(default_factory=lambda: _empty(ASSAY_COLUMNS))
    excluded: pd.DataFrame = field(default_factory=lambda: _empty(EXCLUDED_COLUMNS))
    remarks: pd.DataFrame = field(default_factory=lambda: _empty(REMARK_COLUMNS))
    source: str = ""

    def __post_init__(self) -> None:
        for name, columns in TABLES.items():
            table = getattr(self, name)
            missing = [column for column in columns if column not in table.columns]
            if missing:
                raise DataError(f"{name}: column {missing[0]!r} is missing; expected {', '.join(columns)}")
        for name in ("observations", "doses", "events"):
            subjects = getattr(self, name)["subject"]
            stray = subjects[~subjects.isin(self.subjects["subject"])]
            if len(stray):
                raise DataError(
                    f"{name}: subject {stray.iloc[0]!r} is not among the {len(self.subjects)} rows of subjects; take subjects out "
                    "of every table by data.select(subjects=[...])"
                )

    def __repr__(self) -> str:
        counts = self.observations["status"].value_counts()
        censored = int(sum(counts.get(status, 0) for status in CENSORED))
        assays = ", ".join(f"{row.assay} ({row.unit})" for row in self.assays.itertuples())
        return (
            f"<Dataset: {len(self.subjects)} subjects, {len(self.observations)} observations "
            f"({censored} BLQ), {len(self.doses)} doses, {len(self.excluded)} rows excluded; {assays}>"
        )

    @property
    def subject_ids(self) -> list[str]:
        """Subject identifiers in table order."""
        return self.subjects["subject"].tolist()

    @property
    def sha256(self) -> str:
        """SHA-256 of what was measured: all tables but ``remarks``, without file names and line numbers."""
        digest = hashlib.sha256()
        for name in TABLES:
            if name == "remarks":
                continue
            table: pd.DataFrame = getattr(self, name).drop(columns=list(PROVENANCE), errors="ignore")
            digest.update(name.encode())
            digest.update(table.to_csv(index=False, lineterminator="\n", float_format="%.17g").encode())
        return digest.hexdigest()

    def unit(self, assay: str) -> str:
        """Unit of one assay.

        Parameters
        ----------
        assay : str
            Name of the assay.

        Returns
        -------
        str
            Its unit, such as ``"copies/ug"``.

        Raises
        ------
        DataError
            If there is no such assay.
        """
        return str(self._assay_row(assay)["unit"])

    def kind(self, assay: str) -> str:
        """Whether an assay measures CAR-T cells.

        Parameters
        ----------
        assay : str
            Name of the assay.

        Returns
        -------
        {"car", "marker"}
            As the data say; by its unit where they do not.

        Raises
        ------
        DataError
            If there is no such assay.
        """
        row = self._assay_row(assay)
        return str(row["kind"]) if "kind" in row else kind_of_unit(str(row["unit"]))

    def _assay_row(self, assay: str) -> pd.Series:
        rows = self.assays[self.assays["assay"] == assay]
        if rows.empty:
            raise DataError(f"no assay {assay!r} in the data{did_you_mean(assay, self.assays['assay'])}")
        return rows.iloc[0]

    def select(
        self,
        *,
        assay: str | Iterable[str] | None = None,
        subjects: Iterable[str] | None = None,
        observations: Iterable[bool] | None = None,
    ) -> Dataset:
        """Copy with only some assays, subjects or observations.

        Parameters
        ----------
        assay : str or iterable of str, optional
            Assays to keep. Subjects without such an observation stay.
        subjects : iterable of str, optional
            Subjects to keep, in table order.
        observations : iterable of bool, shape (len(self.observations),), optional
            True for the rows of `observations` to keep, as in ``data.select(observations=data.observations["time"] < 60)``.
            Subjects of whom none is left stay.

        Returns
        -------
        Dataset
            The selection.

        Raises
        ------
        DataError
            If an assay or a subject is not in the data, or ``observations`` is not one truth value for each row.
        """
        chosen = self if observations is None else self._keep_rows(observations)
        if assay is not None:
            names = [assay] if isinstance(assay, str) else list(assay)
            for name in names:
                self._assay_row(name)
            chosen = replace(
                chosen,
                observations=chosen.observations[chosen.observations["assay"].isin(names)].reset_index(
                    drop=True
                ),
                assays=chosen.assays[chosen.assays["assay"].isin(names)].reset_index(drop=True),
            )
        if subjects is not None:
            ids = {str(subject) for subject in subjects}
            unknown = sorted(ids - set(self.subject_ids))
            if unknown:
                raise DataError(
                    f"no subject {unknown[0]!r} in the data{did_you_mean(unknown[0], self.subject_ids)}"
                )
            tables = {
                name: getattr(chosen, name)
                for name in ("observations", "subjects", "doses", "events", "excluded")
            }
            kept = {
                name: t[t["subject"].astype(str).isin(ids)].reset_index(drop=True)
                for name, t in tables.items()
            }
            about = chosen.remarks["subject"].astype(str)
            kept["remarks"] = chosen.remarks[about.isin(ids) | (about == "")].reset_index(drop=True)
            chosen = replace(chosen, **kept)
        return chosen

    def _keep_rows(self, wanted: Iterable[bool]) -> Dataset:
        if isinstance(wanted, pd.Series) and not wanted.index.equals(self.observations.index):
            raise DataError(
                "observations is a series with another index than data.observations (sorted or filtered?), so that its rows "
                "would be taken for others; compute it from data.observations as it stands"
            )
        keep = np.asarray(list(wanted) if isinstance(wanted, Iterable) else wanted)
        keep = keep.astype(bool) if keep.shape == (0,) else keep  # an empty list has no type
        if keep.shape != (len(self.observations),) or keep.dtype != bool:
            raise DataError(
                f"observations is {keep.dtype} of shape {keep.shape}; expected True or False for each of the "
                f"{len(self.observations)} rows of data.observations"
            )
        return replace(self, observations=self.observations[keep].reset_index(drop=True))

    def first_dose(self) -> pd.Series:
        """Amount of the first infusion of each subject.

        Returns
        -------
        pandas.Series
            Indexed by subject, NaN where no infusion is known.
        """
        first = self.doses.sort_values("time", kind="stable").drop_duplicates("subject")
        return first.set_index("subject")["amount"].astype(float).reindex(self.subject_ids)

    def save(self, folder: str | Path) -> Path:
        """Write every table as a Parquet file; `load_dataset` reads them back.

        Parameters
        ----------
        folder : str or pathlib.Path
            Made if absent.

        Returns
        -------
        pathlib.Path
            The folder.
        """
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        for name in TABLES:
            getattr(self, name).to_parquet(target / f"{name}.parquet", index=False)
        about = {"source": self.source, "sha256": self.sha256}
        (target / ABOUT_FILE).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        return target


TABLES: dict[str, tuple[str, ...]] = {
    "observations": OBSERVATION_COLUMNS,
    "subjects": ("subject",),
    "doses": DOSE_COLUMNS,
    "events": EVENT_COLUMNS,
    "assays": ASSAY_COLUMNS,
    "excluded": EXCLUDED_COLUMNS,
    "remarks": REMARK_COLUMNS,
}

ABOUT_FILE = "dataset.json"


def load_dataset(folder: str | Path) -> Dataset:
    """Read what `Dataset.save` wrote.

    Parameters
    ----------
    folder : str or pathlib.Path
        The folder given to `Dataset.save`.

    Returns
    -------
    Dataset
        Equal to the saved one, table by table and type by type.

    Raises
    ------
    DataError
        If a file is missing or unreadable, or if the content no longer has the hash written beside it.
    """
    place = Path(folder)
    try:
        about = json.loads((place / ABOUT_FILE).read_text(encoding="utf-8"))
        tables = {name: pd.read_parquet(place / f"{name}.parquet") for name in TABLES}
    except (OSError, ValueError) as problem:
        raise DataError(f"{place}: not a folder written by Dataset.save: {problem}") from problem
    data = Dataset(**tables, source=str(about.get("source", "")))
    if data.sha256 != about.get("sha256"):
        raise DataError(f"{place}: the tables were changed after they were saved; save the dataset again")
    return data


def is_censored(observations: pd.DataFrame) -> np.ndarray:
    """Which observations are below the limit of quantification (the pre-dose zeros are not).

    Parameters
    ----------
    observations : pandas.DataFrame
        With a ``status`` column.

    Returns
    -------
    ndarray of bool
        One per row.
    """
    return observations["status"].isin(CENSORED).to_numpy()


def is_above(observations: pd.DataFrame) -> np.ndarray:
    """Which observations are above the upper limit of quantification.

    Parameters
    ----------
    observations : pandas.DataFrame
        With a ``status`` column.

    Returns
    -------
    ndarray of bool
        One per row.
    """
    return (observations["status"] == ABOVE_ULOQ).to_numpy()


def kind_of_unit(unit: str) -> str:
    """Whether a unit counts CAR-T cells or their genes, or something that exists without them.

    Parameters
    ----------
    unit : str
        Unit of an assay.

    Returns
    -------
    {"car", "marker"}
        ``"car"`` for copies, cells, genomes and percentages.

    Examples
    --------
    >>> [kind_of_unit(unit) for unit in ("copies/ug", "cells/uL", "%", "pg/mL", "mm", "titre")]
    ['car', 'car', 'car', 'marker', 'marker', 'marker']
    """
    return CAR if _COUNTS_CELLS.search(unit) else MARKER


def car_observations(data: Dataset) -> pd.DataFrame:
    """Observations of CAR-T levels, without markers such as cytokines and tumour size.

    Parameters
    ----------
    data : Dataset
        As read, or simulated; without ``kind`` in its assays the unit decides.

    Returns
    -------
    pandas.DataFrame
        Rows of ``observations``.
    """
    assays = [name for name in data.assays["assay"] if data.kind(name) == CAR]
    return data.observations[data.observations["assay"].isin(assays)]
