"""Units of equations: what cannot be added is refused with the place, and units agree by kind and size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carkinetics.errors import ModelFileError
from carkinetics.model.dimensions import Units, same, unit
from carkinetics.model.expression import parse
from carkinetics.model.library import model_from_text
from carkinetics.shipped import shipped_folder

STEIN = (shipped_folder("models") / "stein2019.toml").read_text(encoding="utf-8")
NAMES = {
    "copies": "copies/ug", "cells": "cells/uL", "k": "1/day", "tau": "day", "n": "1", "kill": "uL/(cells day)",
    "blasts": "%", "big": "1e9 cells", "il6": "pg/mL", "hourly": "1/hour",
}  # fmt: skip


def of(text):
    units = Units(NAMES)
    return units.of(
        parse(text, [*NAMES, "t", "amount"], where="ours.toml, line 3: [derived] x"), "ours.toml, line 3"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("k * copies", "copies/(ug day)"),
        ("kill * cells * copies", "copies/ug/day"),
        ("copies * exp(-k * t) + 0", "copies/ug"),
        ("maximum(t - tau, 0)", "day"),
        ("log(2) / k", "day"),
        ("sqrt(cells * cells)", "cells/uL"),
        ("cells ** 2 / cells", "cells/uL"),
        ("(cells / cells) ** n", "1"),
        ("where(t > tau, k, 0)", "1/day"),
        ("cells > cells", "1"),
        ("-abs(copies)", "copies/ug"),
        ("il6 * k", "1e-3 ng/(mL day)"),
        ("cells * 2", "1e6 cells/L"),
        ("n * amount + copies", "copies/ug"),  # what an infusion adds is known only with the data
        ("cells / 0", "1"),
    ],
)
def test_the_unit_of_an_equation(text, expected):
    assert same(of(text), unit(expected))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("copies + cells", "adds 'copies', which is in copies/ug, and 'cells', which is in cells/uL: correct"),
        ("k - hourly", "subtracts 'k', which is in 1/day, and 'hourly', which is in 1/hour: they differ by a factor of 24"),
        ("cells + 1909", r"'1909', which is in no unit; give 1909 a name and a unit: \[constants\] NAME = \"1909 UNIT\""),
        ("minimum(t, k)", "compares 't', which is in day, and 'k', which is in 1/day"),
        ("t > cells", "compares 't', which is in day, and 'cells'"),
        ("where(t > tau, k, tau)", "chooses between 'k', which is in 1/day, and 'tau'"),
        ("exp(-k)", "exp of '-k', which is in 1/day; divide it by a reference"),
        ("log(copies * k)", r"log of 'copies \* k'"),
        ("cells ** n", "raises 'cells', which is in cells/uL, to a power that is no number; divide"),
        ("n ** tau", "a power of 'tau', which is in day"),
        ("1 - blasts", "'blasts', which is in %"),
    ],
)  # fmt: skip
def test_a_clash_is_named(text, said):
    with pytest.raises(ModelFileError, match=r"ours\.toml, line 3.*" + said):
        of(text)


@given(st.sampled_from(sorted(NAMES)), st.sampled_from(sorted(NAMES)), st.integers(1, 4))
def test_products_and_powers_come_back(one, other, power):
    assert same(of(f"{one} * {other} / {other}"), unit(NAMES[one]))
    assert same(of(f"({one} / {other}) ** {power} * {other} ** {power}"), of(f"{one} ** {power}"))


def test_an_unknown_word_is_a_kind_of_its_own():
    assert same(unit("titre"), unit("titre"))
    assert not same(unit("titre"), unit("1"))
    assert not same(unit("AU"), unit("titre"))
    assert same(unit("cells/uL"), unit("1e9 cells/L")) is False
    for text in ("cells/", "3 +", "-1 day", "0 day"):
        with pytest.raises(ValueError, match=r".*"):
            unit(text)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('rho = "log(foldx) / tmax"', 'rho = "log(cmax) / tmax"', r"\[derived\] rho: log of 'cmax', which is in copies/ug"),
        ('r0 = "cmax / foldx"', 'r0 = "cmax / tmax"', r"\[closed_form\] level: "),
        ('breaks = ["tmax"]', 'breaks = ["alpha"]', r"\[closed_form\] breaks = 'alpha' is in 1/day, but time is in day"),
        ('value = "log(2) / rho"\n\n', 'value = "rho"\n\n', r"\[quantities\.doubling_time\] value"),
        ('unit = "1/day"\ntypical = 0.16', 'unit = "1/hour"\ntypical = 0.16', r"\[closed_form\] level: exp of '-alpha \* after', whose units do not cancel: .* factor of 24"),
        ('unit = "day"\ntypical = 9.3', 'unit = "day//"\ntypical = 9.3', r"\[parameters.tmax\] unit is 'day//', which is no"),
        ('value = "log(2) / rho"\nexpected', 'value = "rho"\nexpected', r"\[\[check\]\] value = 'rho' is in 1/day"),
    ],
)  # fmt: skip
def test_a_file_with_a_clash_is_refused_with_its_line(old, new, said):
    assert old in STEIN
    with pytest.raises(ModelFileError, match=r"ours\.toml(, line \d+)?: " + said):
        model_from_text(STEIN.replace(old, new), "ours.toml")


def test_an_output_and_a_state_have_the_unit_that_they_say():
    text = (shipped_folder("models") / "effector_memory_tumour.toml").read_text(encoding="utf-8")
    tumour = text.replace('of = "tumour"\nunit = "1"', 'of = "tumour"\nunit = "mm"')
    with pytest.raises(
        ModelFileError, match=r"\[observations\.tumour\] of = 'tumour' is in no unit, but the output"
    ):
        model_from_text(tumour, "ours.toml")
    initial = text.replace('initial = "e0"', 'initial = "t50"')
    with pytest.raises(
        ModelFileError, match=r"\[states\.effector\] initial = 't50' is in no unit, but the state effector"
    ):
        model_from_text(initial, "ours.toml")
    rate = text.replace('rate = "rm * effector - (dm + theta * contact) * memory"', 'rate = "memory"')
    with pytest.raises(ModelFileError, match=r"but the rate of memory is in \(copies/ug\)/day"):
        model_from_text(rate, "ours.toml")
