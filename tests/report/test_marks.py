"""What rests on an unconverged fit is marked, and nothing else."""

from dataclasses import replace

import pytest

from carkinetics.exposure import exposure_from
from carkinetics.report.learning import contraction_section, effect_section
from carkinetics.report.parts import NOT_CONVERGED, sort_parts
from carkinetics.report.sections import (
    exposure_section,
    gof_section,
    individual_section,
    parameter_section,
    vpc_section,
)


def warnings(section) -> set[str]:
    """Of the tables and pictures."""
    return {block.warning for block in section.blocks if hasattr(block, "warning")}


@pytest.fixture(scope="module")
def other(bad_fit):
    """An unconverged fit with a name of its own."""
    return replace(bad_fit, settings=bad_fit.settings | {"name": "other"})


@pytest.mark.parametrize(
    "section", [contraction_section, effect_section, gof_section, individual_section, vpc_section]
)
def test_a_second_fit_that_did_not_converge_does_not_mark_the_first(section, good_fit, other):
    assert warnings(section(sort_parts((good_fit, other), None))) == {""}


@pytest.mark.parametrize("section", [contraction_section, effect_section])
def test_the_first_is_marked_whatever_the_second(section, good_fit, other):
    assert warnings(section(sort_parts((other, good_fit), None))) == {NOT_CONVERGED}


def test_each_table_of_estimates_has_its_own_mark(good_fit, other):
    section = parameter_section(sort_parts((good_fit, other), None))
    marks = [block.warning for block in section.blocks if hasattr(block, "warning")]
    assert "" in marks
    assert NOT_CONVERGED in marks


def test_an_exposure_is_marked_by_the_fit_that_it_is_of(good_fit, other):
    good, bad = (exposure_from(fit, metrics=["cmax"]) for fit in (good_fit, other))
    assert warnings(exposure_section(sort_parts((good_fit, other, good), None))) == {""}
    assert warnings(exposure_section(sort_parts((good_fit, other, bad), None))) == {NOT_CONVERGED}
    unknown = replace(good, settings={key: value for key, value in good.settings.items() if key != "fit"})
    assert warnings(exposure_section(sort_parts((good_fit, other, unknown), None))) == {NOT_CONVERGED}
