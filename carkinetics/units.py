"""Units of time, of transgene level and of dose, and how they convert.

Nothing is converted unless asked. qPCR (copies/µg DNA) and flow (cells/µL) measure different
things: going from one to the other needs the genome mass, the vector copy number and the white
cell count of the same draw, all given by the caller.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from carkinetics.errors import UnitError, did_you_mean

# Mass of DNA in one diploid human genome. Centres differ between 6.6 (diploid) and 3.3 (haploid),
# which moves every copies-per-cell number by two: always an argument, never a hidden constant.
DIPLOID_GENOME_PG = 6.6

DAYS = {"minute": 1 / 1440, "hour": 1 / 24, "day": 1.0, "week": 7.0, "month": 30.4375, "year": 365.25}

_ALIASES = {
    "min": "minute", "minutes": "minute",
    "h": "hour", "hr": "hour", "hours": "hour",
    "d": "day", "days": "day",
    "w": "week", "weeks": "week", "months": "month", "years": "year",
    "copies/µg": "copies/ug", "copies/μg": "copies/ug", "copies/ug gdna": "copies/ug",
    "copies/ug dna": "copies/ug", "copies per ug": "copies/ug", "copies/microgram": "copies/ug",
    "cells/µl": "cells/uL", "cells/μl": "cells/uL", "cells/ul": "cells/uL", "cells/mm3": "cells/uL",
    "copies/µl": "copies/uL", "copies/μl": "copies/uL", "copies/ul": "copies/uL",
    "percent": "%", "pg/ml": "pg/mL", "ng/ml": "ng/mL", "cells per kg": "cells/kg",
    "kg": "kg", "mm": "mm", "copies/cell": "copies/cell", "": "1", "none": "1", "dimensionless": "1",
}  # fmt: skip


def canonical_unit(text: str) -> str:
    """One spelling for each unit; an unknown unit is kept as written.

    Parameters
    ----------
    text : str
        For instance ``"copies/µg"``, ``"hours"``.

    Returns
    -------
    str
        For instance ``"copies/ug"``, ``"hour"``.

    Examples
    --------
    >>> canonical_unit("copies/µg"), canonical_unit("Days"), canonical_unit("AU")
    ('copies/ug', 'day', 'AU')
    """
    plain = " ".join(str(text).split())
    return _ALIASES.get(plain, _ALIASES.get(plain.lower(), plain))


def time_in_days(time: ArrayLike, unit: str) -> NDArray[np.float64]:
    """Convert times to days.

    Parameters
    ----------
    time : array_like
        Times in ``unit``.
    unit : {"minute", "hour", "day", "week", "month", "year"}
        A month is 30.4375 days.

    Returns
    -------
    ndarray
        Times in days.

    Raises
    ------
    UnitError
        If ``unit`` is not a unit of time.
    """
    name = canonical_unit(unit)
    if name not in DAYS:
        raise UnitError(f"time unit is {unit!r}{did_you_mean(name, DAYS)}")
    return np.asarray(time, dtype=float) * DAYS[name]


def area_unit(level_unit: str) -> str:
    """Unit of an area under a level curve over days.

    Parameters
    ----------
    level_unit : str
        For instance ``"copies/ug"``.

    Returns
    -------
    str
        For instance ``"copies*day/ug"``.

    Examples
    --------
    >>> area_unit("copies/ug"), area_unit("%")
    ('copies*day/ug', '%*day')
    """
    top, slash, bottom = canonical_unit(level_unit).partition("/")
    return f"{top}*day{slash}{bottom}"


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number that refuses to be added to a number of another kind.

    Parameters
    ----------
    value : float
        The number.
    unit : str
        Its unit, any spelling that `canonical_unit` knows.

    Examples
    --------
    >>> Quantity(50, "copies/ug") + Quantity(25, "copies/µg")
    Quantity(value=75.0, unit='copies/ug')
    """

    value: float
    unit: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", float(self.value))
        object.__setattr__(self, "unit", canonical_unit(self.unit))

    def _same(self, other: Quantity) -> float:
        if not isinstance(other, Quantity):
            raise UnitError(
                f"a value in {self.unit} can only be combined with another Quantity, not {other!r}"
            )
        if other.unit in DAYS and self.unit in DAYS:
            return other.value * DAYS[other.unit] / DAYS[self.unit]
        if other.unit != self.unit:
            raise UnitError(
                f"cannot combine {self.unit} with {other.unit}: they measure different things; "
                "convert one of them first, stating what the conversion assumes"
            )
        return other.value

    def __add__(self, other: Quantity) -> Quantity:
        return Quantity(self.value + self._same(other), self.unit)

    def __sub__(self, other: Quantity) -> Quantity:
        return Quantity(self.value - self._same(other), self.unit)


def genomes_per_microgram(genome_mass_pg: float = DIPLOID_GENOME_PG) -> float:
    """Genomes in one microgram of DNA.

    Parameters
    ----------
    genome_mass_pg : float
        Mass of one genome in picograms; 6.6 for the diploid human genome.

    Returns
    -------
    float
        Number of genomes.

    Examples
    --------
    >>> round(genomes_per_microgram(), 4)
    151515.1515
    """
    return 1e6 / genome_mass_pg


def copies_per_genome(
    copies_per_ug: ArrayLike, *, genome_mass_pg: float = DIPLOID_GENOME_PG
) -> NDArray[np.float64]:
    """Transgene copies per genome (per nucleated cell, for the diploid mass).

    Parameters
    ----------
    copies_per_ug : array_like
        Transgene copies per µg genomic DNA.
    genome_mass_pg : float
        Mass of one genome in picograms.

    Returns
    -------
    ndarray
        Copies per genome.

    Examples
    --------
    >>> round(float(copies_per_genome(24000)), 6)
    0.1584
    """
    return np.asarray(copies_per_ug, dtype=float) * genome_mass_pg * 1e-6


def copies_per_microgram(copies: ArrayLike, *, dna_input_ug: float = 1.0) -> NDArray[np.float64]:
    """Copies counted in one reaction, per microgram of DNA that went in.

    Parameters
    ----------
    copies : array_like
        Copies in the reaction. One copy gives the smallest level the reaction can hold.
    dna_input_ug : float
        DNA input in µg.

    Returns
    -------
    ndarray
        Copies per µg.

    Raises
    ------
    UnitError
        If the input is not above 0.

    Examples
    --------
    >>> float(copies_per_microgram(1, dna_input_ug=0.2))
    5.0
    """
    if not dna_input_ug > 0:
        raise UnitError(f"dna_input_ug is {dna_input_ug!r}; expected µg of DNA above 0")
    return np.asarray(copies, dtype=float) / dna_input_ug


def cells_per_microlitre(
    copies_per_ug: ArrayLike,
    *,
    wbc_per_ul: ArrayLike,
    vcn: float,
    genome_mass_pg: float = DIPLOID_GENOME_PG,
) -> NDArray[np.float64]:
    """CAR-positive cells per µL of blood from a qPCR level of the same draw.

    Parameters
    ----------
    copies_per_ug : array_like
        Transgene copies per µg genomic DNA.
    wbc_per_ul : array_like
        Nucleated cells per µL in the sampled fraction, of the same draw.
    vcn : float
        Vector copies per transduced cell.
    genome_mass_pg : float
        Mass of one genome in picograms.

    Returns
    -------
    ndarray
        Cells per µL.

    Notes
    -----
    After lymphodepletion the white cell count changes 10 to 100 fold, so one factor for a whole
    series would be wrong: give the count of every draw.

    Examples
    --------
    >>> round(float(cells_per_microlitre(24000, wbc_per_ul=2000, vcn=1)), 1)
    316.8
    """
    per_cell = copies_per_genome(copies_per_ug, genome_mass_pg=genome_mass_pg)
    return per_cell * np.asarray(wbc_per_ul, dtype=float) / vcn


def total_cells(cells_per_kg: ArrayLike, *, weight_kg: ArrayLike) -> NDArray[np.float64]:
    """Total dose from a dose per kilogram.

    Parameters
    ----------
    cells_per_kg : array_like
        CAR-positive cells per kg body weight.
    weight_kg : array_like
        Body weight in kg.

    Returns
    -------
    ndarray
        CAR-positive cells.

    Examples
    --------
    >>> float(total_cells(1e6, weight_kg=64))
    64000000.0
    """
    return np.asarray(cells_per_kg, dtype=float) * np.asarray(weight_kg, dtype=float)
