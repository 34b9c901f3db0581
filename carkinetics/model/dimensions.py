"""Units of every equation of a model: what is added or compared must be of one kind and one size.

Numbers are never converted: ``1/hour`` is refused beside ``1/day`` just as ``copies/ug`` is beside ``cells/uL``. A
number in an equation has no unit, except that 0, and a plain number where a value is given (``initial = "100"``),
suit any. What an infusion adds has the unit of the doses, which only the data know.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from carkinetics.errors import ModelFileError
from carkinetics.model.expression import Expression
from carkinetics.model.formula import plain

if TYPE_CHECKING:
    import pint

_UNITS = """
pico- = 1e-12 = p-
nano- = 1e-9 = n-
micro- = 1e-6 = u- = µ-
milli- = 1e-3 = m-
kilo- = 1e3 = k-
mega- = 1e6 = M-
day = [time] = d
minute = day / 1440 = min
hour = day / 24 = h
week = 7 * day
month = 30.4375 * day
year = 365.25 * day
gram = [mass] = g
litre = [volume] = L
metre = [length] = m
cell = [cell] = cells
copy = [copy] = copies
percent = 0.01 = %
"""
_WORD = re.compile(r"(?<![\w.])[A-Za-zµ]\w*")
_DO = {
    "+": "adds",
    "-": "subtracts",
    "minimum": "compares",
    "maximum": "compares",
    "where": "chooses between",
}
_NEEDS_NUMBER = ("exp", "log", "softplus", "logistic")


class Unit(NamedTuple):
    """A size and powers of base units; ``base`` is None for what suits any unit."""

    size: float
    base: Any = None


ANY = Unit(1.0)


@functools.cache
def _registry() -> pint.UnitRegistry:
    import pint  # half a second, which only reading a model should wait for

    registry = pint.UnitRegistry(None)
    for line in _UNITS.strip().splitlines():
        registry.define(line)
    return registry


@functools.cache
def unit(text: str) -> Unit:
    """Read a unit.

    Parameters
    ----------
    text : str
        For instance ``"copies/ug"`` or ``"L/(1e9 cells day)"``. A word that is no known unit is a kind of its own.

    Returns
    -------
    Unit
        Comparable by `same`.

    Raises
    ------
    ValueError
        If the text is no unit.

    Examples
    --------
    >>> same(unit("cells/uL"), unit("1e6 cells/L")), same(unit("1/day"), unit("1/hour"))
    (True, False)
    """
    registry = _registry()
    for word in _WORD.findall(text):
        if word not in registry:
            registry.define(f"{word} = [{word}]")
    try:
        found = registry.Quantity(text).to_base_units()
        size = float(found.magnitude)
    except Exception:  # whatever the library's parser throws at a text that it cannot read
        raise ValueError(text) from None
    if not 0 < size < np.inf:
        raise ValueError(text)
    return Unit(size, found._units)


def same(one: Unit, other: Unit) -> bool:
    """Whether numbers in the two units can be added as they are."""
    if one.base is None or other.base is None:
        return True
    return one.base == other.base and bool(np.isclose(one.size, other.size, rtol=1e-9))


class Units:
    """The units of the names of a model, and what they make of its equations.

    Parameters
    ----------
    names : mapping of str to str
        Unit of every parameter, input and state.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self.known = {name: unit(text) for name, text in names.items()} | {"t": unit("day"), "amount": ANY}
        self.spelt = {self._key(unit(text)): text for text in {*names.values(), "day"}}

    def say(self, one: Unit) -> str:
        """A unit as the model's author spells it, else in base units."""
        if one.base is None:
            return "any unit"
        if same(one, unit("1")):
            return "no unit"
        if (text := self.spelt.get(self._key(one))) is not None:
            return text
        size = "" if np.isclose(one.size, 1.0, rtol=1e-9) else f"{one.size:.6g} "
        return (
            f"{size}{_registry().Unit(one.base)}"
            if one.base
            else f"units that cancel up to a factor of {size.strip()}"
        )

    @staticmethod
    def _key(one: Unit) -> tuple[str, str]:
        return f"{one.size:.9g}", str(one.base)

    def of(self, node: Expression, where: str) -> Unit:
        """Unit of an expression.

        Parameters
        ----------
        node : Expression
            What to look at.
        where : str
            Place for error messages.

        Returns
        -------
        Unit
            Its unit.

        Raises
        ------
        ModelFileError
            If things of different units are added, compared, or put where a plain number is needed.
        """
        match node.op, node.args:
            case "constant", (value,):
                return ANY if value == 0 else unit("1")
            case "name", (name,):
                return self.known[name]
            case "neg" | "abs", (inner,):
                return self.of(inner, where)
            case "*", (left, right):
                return _times(self.of(left, where), self.of(right, where), 1)
            case "/", (left, right):
                return _times(self.of(left, where), self.of(right, where), -1)
            case "sqrt", (inner,):
                return _power(self.of(inner, where), 0.5)
            case "**", (base, power):
                return self._raised(base, power, where)
            case name, (inner,) if name in _NEEDS_NUMBER:
                self._number(inner, f"{name} of", where)
                return unit("1")
            case "where", (condition, left, right):
                self.of(condition, where)
                return self._alike("where", left, right, where)
            case op, (left, right):
                found = self._alike(op, left, right, where)
                return found if op in _DO else unit("1")
        raise AssertionError(f"no unit of {node.op}")

    def require(self, node: Expression, wanted: str, where: str, because: str) -> None:
        """Refuse an equation that does not give the unit it should.

        Parameters
        ----------
        node : Expression
            The equation; one without names suits any unit.
        wanted : str
            The unit.
        where : str
            Where it stands.
        because : str
            Whose unit that is, for the error message.

        Raises
        ------
        ModelFileError
            If the units do not agree.
        """
        found = self.of(node, where)
        if node.names() and not same(found, unit(wanted)):
            raise ModelFileError(
                f"{where} = {node.text!r} is in {self.say(found)}, but {because} is in {wanted}"
                f"{_remedy(found, unit(wanted))}"
            )

    def _alike(self, op: str, left: Expression, right: Expression, where: str) -> Unit:
        one, other = self.of(left, where), self.of(right, where)
        if not same(one, other):
            number = next((side for side in (left, right) if not side.names()), None)
            remedy = (
                _remedy(one, other)
                if number is None
                else f'; give {plain(number)} a name and a unit: [constants] NAME = "{plain(number)} UNIT"'
            )
            raise ModelFileError(
                f"{where}: {_DO.get(op, 'compares')} {plain(left)!r}, which is in {self.say(one)}, and {plain(right)!r}, "
                f"which is in {self.say(other)}{remedy}"
            )
        return other if one.base is None else one

    def _number(self, node: Expression, what: str, where: str) -> None:
        found = self.of(node, where)
        if not same(found, unit("1")):
            what = f"{where}: {what} {plain(node)!r}"
            if not found.base:
                raise ModelFileError(
                    f"{what}, whose units do not cancel: they differ by a factor of {found.size:.6g}"
                )
            raise ModelFileError(
                f"{what}, which is in {self.say(found)}; divide it by a reference in that unit"
            )

    def _raised(self, base: Expression, power: Expression, where: str) -> Unit:
        self._number(power, "a power of", where)
        found = self.of(base, where)
        if found.base is None or same(found, unit("1")):
            return found
        if power.op != "constant":
            raise ModelFileError(
                f"{where}: raises {plain(base)!r}, which is in {self.say(found)}, to a power that is no number; divide "
                f"it by a reference in that unit first, as in (a / b)**n"
            )
        return _power(found, float(power.args[0]))


def _remedy(one: Unit, other: Unit) -> str:
    if one.base == other.base:
        return (
            f": they differ by a factor of {max(one.size / other.size, other.size / one.size):.6g}, and numbers are never "
            "converted; a number in an equation has no unit unless it has a name, under [constants]"
        )
    return ": correct the equation, or the unit of something in it (a number has none)"


def _times(one: Unit, other: Unit, sign: int) -> Unit:
    if one.base is None or other.base is None:
        return ANY
    return Unit(one.size * other.size**sign, one.base * other.base if sign > 0 else one.base / other.base)


def _power(one: Unit, exponent: float) -> Unit:
    return one if one.base is None else Unit(one.size**exponent, one.base**exponent)
