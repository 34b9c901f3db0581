import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carkinetics.errors import DataError, UnitError
from carkinetics.units import (
    DAYS,
    Quantity,
    area_unit,
    canonical_unit,
    cells_per_microlitre,
    copies_per_genome,
    copies_per_microgram,
    genomes_per_microgram,
    time_in_days,
    total_cells,
)

# Mass of the diploid human genome 6.6 pg; every number below follows from it by division.


def test_one_microgram_holds_151515_diploid_genomes() -> None:
    # Acceptance H1.
    assert genomes_per_microgram() == pytest.approx(151515.1515, abs=5e-5)
    assert genomes_per_microgram(3.3) == pytest.approx(2 * genomes_per_microgram())


def test_copies_per_microgram_become_copies_per_genome() -> None:
    # Acceptance H2.
    np.testing.assert_allclose(copies_per_genome([24000, 50]), [0.1584, 3.3e-4], rtol=1e-12)


def test_the_input_of_a_reaction_sets_the_smallest_level() -> None:
    # Acceptance H3: 0.2 µg hold 30303.03 genomes, and one copy in them is 5 copies/µg.
    assert 0.2 * genomes_per_microgram() == pytest.approx(30303.03, abs=5e-3)
    assert float(copies_per_microgram(1, dna_input_ug=0.2)) == 5.0
    with pytest.raises(UnitError, match="expected µg of DNA above 0"):
        copies_per_microgram(1, dna_input_ug=0)


def test_a_dose_per_kg_becomes_a_total() -> None:
    # Acceptance H4.
    assert float(total_cells(1e6, weight_kg=64)) == 6.4e7


def test_an_area_carries_its_unit() -> None:
    # Acceptance H5, first half.
    assert area_unit("copies/µg") == "copies*day/ug"
    assert area_unit("cells/µL") == "cells*day/uL"


@given(st.lists(st.floats(0, 1e4), min_size=2, max_size=20))
def test_an_area_over_hours_is_24_times_the_one_over_days(hours: list[float]) -> None:
    # Acceptance H5, second half: conversion first, and the same area comes out.
    time, level = np.sort(hours), np.linspace(1, 50, len(hours))
    over_days = np.trapezoid(level, time_in_days(time, "h"))
    assert np.trapezoid(level, time) == pytest.approx(24 * over_days, rel=1e-9, abs=1e-9)


def test_copies_and_cells_cannot_be_added() -> None:
    # Acceptance H6.
    with pytest.raises(UnitError, match=r"cannot combine copies/ug with cells/uL"):
        Quantity(50, "copies/µg") + Quantity(1, "cells/µL")
    with pytest.raises(UnitError, match="cannot combine"):
        Quantity(50, "copies/µg") - Quantity(1, "copies/cell")
    with pytest.raises(UnitError, match="only be combined with another Quantity"):
        Quantity(50, "copies/µg") + 1  # type: ignore[operator]
    assert issubclass(UnitError, DataError)


def test_times_of_two_units_can_be_added() -> None:
    assert Quantity(1, "day") + Quantity(12, "hours") == Quantity(1.5, "day")
    assert Quantity(1, "week") - Quantity(7, "d") == Quantity(0, "week")


@pytest.mark.parametrize(
    ("text", "unit"),
    [("copies/µg", "copies/ug"), ("copies/μg", "copies/ug"), ("Copies/ug DNA", "copies/ug"), ("cells/mm3", "cells/uL"),
     ("cells/μL", "cells/uL"), ("HR", "hour"), ("percent", "%"), ("  pg/ml ", "pg/mL"), ("AU", "AU")],
)  # fmt: skip
def test_spellings_of_a_unit_are_one(text: str, unit: str) -> None:
    assert canonical_unit(text) == unit
    assert canonical_unit(unit) == unit


@given(st.floats(-1e5, 1e5), st.sampled_from(sorted(DAYS)))
def test_time_conversion_is_a_factor(time: float, unit: str) -> None:
    assert float(time_in_days(time, unit)) == pytest.approx(time * DAYS[unit])


def test_an_unknown_unit_of_time_is_refused() -> None:
    with pytest.raises(UnitError, match="time unit is 'fortnight'; known are day, hour"):
        time_in_days(1, "fortnight")


def test_cells_per_microlitre_need_the_count_of_the_draw_and_the_copy_number() -> None:
    # models-catalogue 1.2, table: 24 000 copies/µg at WBC 2000/µL are 317 cells/µL at VCN 1 and 106 at VCN 3.
    assert float(cells_per_microlitre(24000, wbc_per_ul=2000, vcn=1)) == pytest.approx(317, abs=0.5)
    assert float(cells_per_microlitre(24000, wbc_per_ul=2000, vcn=3)) == pytest.approx(106, abs=0.5)
