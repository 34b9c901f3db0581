"""Every equation of a model adds and compares like with like, and gives the unit of what it is the equation of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from carkinetics.errors import ModelFileError
from carkinetics.model.dimensions import Units, unit
from carkinetics.model.place import Place
from carkinetics.model.spec import Model


def check_units(place: Place, model: Model) -> Units:
    """Refuse a model whose units do not agree.

    Parameters
    ----------
    place : Place
        Its file.
    model : Model
        What was read from it.

    Returns
    -------
    Units
        Of every name in its equations.

    Raises
    ------
    ModelFileError
        If a unit cannot be read, or an equation adds or gives what it should not.
    """
    _check_texts(place, model)
    given: list[Any] = [*model.parameters.values(), *model.inputs.values(), *model.states]
    units = Units({entry.name: entry.unit for entry in given} | model.constants)
    for name, expression in model.derived.items():
        if name not in model.constants:
            units.known[name] = units.of(expression, place.at("derived", name))
    _check_course(place, model, units)
    for output in model.outputs.values():
        where = place.at(f"observations.{output.name}", "of")
        units.require(output.of, output.unit, where, f"the output {output.name}")
    for quantity in model.quantities.values():
        where = place.at(f"quantities.{quantity.name}", "value")
        units.require(quantity.value, quantity.unit, where, f"the quantity {quantity.name}")
    for number, check in enumerate(model.checks, 1):
        if check.value is not None:
            where = place.at(f"check {number}", "value")
            units.require(check.value, check.unit, where, "what is expected")
        elif check.unit != (its := model.output(check.output).unit):
            raise ModelFileError(
                f"{place.at(f'check {number}', 'unit')} is {check.unit!r}; the output is in {its!r}"
            )
    return units


def _check_texts(place: Place, model: Model) -> None:
    groups: list[tuple[str, Iterable[Any]]] = [
        ("parameters", model.parameters.values()), ("inputs", model.inputs.values()), ("states", model.states),
        ("observations", model.outputs.values()), ("quantities", model.quantities.values()),
    ]  # fmt: skip
    for section, group in groups:
        for entry in group:
            try:
                unit(entry.unit)
            except ValueError:
                where = place.at(f"{section}.{entry.name}", "unit")
                raise ModelFileError(
                    f"{where} is {entry.unit!r}, which is no unit; write for instance 'cells/uL', '1/day' or '1'"
                ) from None


def _check_course(place: Place, model: Model, units: Units) -> None:
    """The closed form or the differential equations, and the breaks."""
    for state in model.states:
        section, its = f"states.{state.name}", f"the state {state.name}"
        units.require(state.initial, state.unit, place.at(section, "initial"), its)
        units.require(
            state.rate, f"({state.unit})/day", place.at(section, "rate"), f"the rate of {state.name}"
        )
        if state.infused is not None:
            units.require(state.infused, state.unit, place.at(section, "infused"), its)
    for expression in model.breaks:
        where = place.at("closed_form" if model.level is not None else "solver", "breaks")
        units.require(expression, "day", where, "time")
    level = model.derived.get("level", model.level)
    if level is not None:
        where = place.at("closed_form", "level")
        units.require(level, model.value_unit, where, "value_unit")
        units.known["level"] = unit(model.value_unit)
