"""The tables of a model file that stand for themselves: parameters, inputs, parameter sets, classes and checks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from carkinetics.errors import ConfigError, ModelFileError, did_you_mean
from carkinetics.model.dimensions import unit
from carkinetics.model.expression import Expression
from carkinetics.model.mixture import KEYS, OPTIONAL, Mixture
from carkinetics.model.parts import Check, Input, Output, Parameter, ParameterSet
from carkinetics.model.place import Place
from carkinetics.model.prior import PRIOR_KINDS, TO_FREE, Prior
from carkinetics.model.series import INTERPOLATIONS
from carkinetics.units import canonical_unit

STARTS = ("", "peak", "peak_time", "fold", "decline", "lag")
SOURCES = ("event", "column", "assay")


def read_parameter(place: Place, name: str, entry: Any) -> Parameter:
    """Read ``[parameters.NAME]``.

    Parameters
    ----------
    place : Place
        The file.
    name : str
        Name of the parameter.
    entry : object
        What was found.

    Returns
    -------
    Parameter
        Its description.

    Raises
    ------
    ModelFileError
        If the entry does not make sense.
    """
    section = f"parameters.{name}"
    known = ("prior", "transform", "omega", "omega_prior", "start", "fixed", "source")
    entry = place.table(section, entry, "meaning", "unit", "typical", known=known)
    fixed = place.flag(section, "fixed", entry.get("fixed", False))
    if "prior" not in entry and not fixed:
        raise ModelFileError(
            f"{place.at(section)}: 'prior' is missing; only a parameter with fixed = true has none"
        )
    typical = place.number(section, "typical", entry["typical"])
    prior = Prior.of(entry["prior"], place.at(section, "prior")) if "prior" in entry else _no_prior(typical)
    transform = entry.get("transform", prior.transform)
    if transform != prior.transform:
        right = {scale: kind for kind, (_, _, scale) in PRIOR_KINDS.items()}
        raise ModelFileError(
            f"{place.at(section, 'transform')} is {transform!r} but the prior is {prior.dist}; "
            f"pairs are {', '.join(f'{scale} with {kind}' for scale, kind in right.items())}"
        )
    with np.errstate(all="ignore"):
        if not np.isfinite(TO_FREE[transform](typical)):
            raise ModelFileError(
                f"{place.at(section, 'typical')} is {typical:g}, outside the {transform} scale"
            )
    spreads = {
        key: place.number(section, key, entry[key]) for key in ("omega", "omega_prior") if key in entry
    }
    for key, spread in spreads.items():
        if spread <= 0:
            raise ModelFileError(
                f"{place.at(section, key)} is {spread:g}; expected a standard deviation above 0"
            )
    return Parameter(
        name=name,
        meaning=str(entry["meaning"]),
        unit=place.unit(section, entry["unit"]),
        typical=typical,
        transform=transform,
        prior=prior,
        omega=spreads.get("omega"),
        omega_prior=spreads.get("omega_prior", 1.0),
        start=place.choice(section, "start", entry.get("start", ""), STARTS),
        fixed=fixed,
        source=str(entry.get("source", "")),
    )


def _no_prior(typical: float) -> Prior:
    """In the place of the prior of a fixed parameter, which nothing uses: `Model.with_priors` asks for one."""
    return Prior("lognormal", typical, 1.0) if typical > 0 else Prior("normal", typical, 1.0)


def read_constant(place: Place, name: str, text: Any) -> tuple[Expression, str]:
    """Read a line of ``[constants]``, such as ``reference = "70 kg"``.

    Parameters
    ----------
    place : Place
        The file.
    name : str
        Name of the constant.
    text : object
        What was found.

    Returns
    -------
    tuple of (Expression, str)
        The number and its unit.

    Raises
    ------
    ModelFileError
        If it is not a number and a unit.
    """
    number, _, its = str(text).partition(" ")
    try:
        unit(its or "1")
        value = float(number)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise ModelFileError(
            f'{place.at("constants", name)} is {text!r}; expected a number and its unit, for instance "70 kg"'
        )
    return Expression("constant", (value,), number), canonical_unit(its)


def read_input(place: Place, name: str, entry: Any) -> Input:
    """Read ``[inputs.NAME]``.

    Parameters
    ----------
    place : Place
        The file.
    name : str
        Name of the input.
    entry : object
        What was found.

    Returns
    -------
    Input
        Its description.

    Raises
    ------
    ModelFileError
        If the entry does not make sense.
    """
    section = f"inputs.{name}"
    entry = place.table(section, entry, "meaning", "unit", "default", known=(*SOURCES, "interpolation"))
    sources = [key for key in SOURCES if key in entry]
    if len(sources) > 1:
        raise ModelFileError(
            f"{place.at(section, sources[1])}: {' and '.join(sources)} are both given; an input has one source "
            "(or none, if it is a constant)"
        )
    for key in sources:
        if not isinstance(entry[key], str) or not entry[key]:
            raise ModelFileError(
                f"{place.at(section, key)} is {entry[key]!r}; expected the name of the {key}"
            )
    if ("assay" in entry) != ("interpolation" in entry):
        raise ModelFileError(
            f"{place.at(section, 'interpolation')}: an input has both 'assay' and 'interpolation' "
            f"({', '.join(INTERPOLATIONS)}), or neither"
        )
    if "assay" in entry:
        place.choice(section, "interpolation", entry["interpolation"], INTERPOLATIONS)
    default = place.number(section, "default", entry["default"], infinite=True)
    if "event" in entry and place.unit(section, entry["unit"]) != "day":
        raise ModelFileError(
            f'{place.at(section, "unit")} is {entry["unit"]!r}; the time of an event is in days: write unit = "day"'
        )
    lowest = 0.0 if entry.get("interpolation") == "log" else -np.inf
    if "assay" in entry and not lowest < default < np.inf:
        raise ModelFileError(
            f"{place.at(section, 'default')} is {default:g}; expected a level{' above 0' if lowest == 0 else ''}, for "
            "subjects in whom it was never measured"
        )
    return Input(
        name=name,
        meaning=str(entry["meaning"]),
        unit=place.unit(section, entry["unit"]),
        event=entry.get("event", ""),
        default=default,
        column=entry.get("column", ""),
        assay=entry.get("assay", ""),
        interpolation=entry.get("interpolation", ""),
    )


def read_mixture(
    place: Place, entry: Any, parameters: Mapping[str, Parameter], taken: Iterable[str]
) -> Mixture:
    """Read ``[mixture]``.

    Parameters
    ----------
    place : Place
        The file.
    entry : object
        What was found.
    parameters : mapping of str to Parameter
        The file's parameters.
    taken : iterable of str
        Names that the class cannot have.

    Returns
    -------
    Mixture
        The class.

    Raises
    ------
    ModelFileError
        If the entry does not make sense, or shifts a parameter that does not vary.
    """
    entry = place.table("mixture", entry, *KEYS, known=OPTIONAL)
    try:
        found = Mixture.of(entry, place.at("mixture"))
    except ConfigError as error:
        raise ModelFileError(str(error)) from None
    if found.name in {*taken}:
        raise ModelFileError(f"{place.at('mixture', 'class')}: the name {found.name!r} is taken")
    for name in found.shifts:
        where = place.at("mixture.shift", name)
        if name not in parameters:
            raise ModelFileError(f"{where}: there is no parameter {name!r}{did_you_mean(name, parameters)}")
        if parameters[name].fixed or not parameters[name].omega:
            raise ModelFileError(
                f"{where}: {name} is the same for everyone in a class; only a parameter with omega can differ by class"
            )
    return found


def read_set(place: Place, name: str, entry: Any, given: Mapping[str, Parameter | Input]) -> ParameterSet:
    """Read ``[sets.NAME]``.

    Parameters
    ----------
    place : Place
        The file.
    name : str
        Name of the set.
    entry : object
        What was found.
    given : mapping of str to Parameter or Input
        What may have a value.

    Returns
    -------
    ParameterSet
        Its description.

    Raises
    ------
    ModelFileError
        If the entry does not make sense.
    """
    section = f"sets.{name}"
    entry = place.table(section, entry, "meaning", "source", "values")
    values = _values(place, section, entry["values"], given)
    return ParameterSet(name, str(entry["meaning"]), str(entry["source"]), values)


def _values(
    place: Place, section: str, values: Any, given: Mapping[str, Parameter | Input]
) -> dict[str, float]:
    where = place.at(section, "values")
    if not isinstance(values, Mapping):
        raise ModelFileError(f"{where} is {values!r}; expected {{ name = number }}")
    numbers = {}
    for name, value in values.items():
        if name not in given:
            raise ModelFileError(
                f"{where}: there is no parameter or input {name!r}{did_you_mean(name, given)}"
            )
        one = given[name]
        numbers[name] = place.number(section, "values", value, infinite=isinstance(one, Input))
        if isinstance(one, Parameter):
            with np.errstate(all="ignore"):
                if np.isnan(
                    one.to_free(numbers[name])
                ):  # 0 for a rate is its limit, and says that there is none
                    raise ModelFileError(f"{where}: {name} = {value:g} is outside the {one.transform} scale")
    return numbers


def read_check(
    place: Place,
    section: str,
    entry: Any,
    value: Expression | None,
    outputs: Mapping[str, Output],
    sets: Mapping[str, ParameterSet],
    given: Mapping[str, Parameter | Input],
) -> Check:
    """Read ``[[check]]``.

    Parameters
    ----------
    place : Place
        The file.
    section : str
        ``"check 1"`` for the first.
    entry : object
        What was found.
    value : Expression or None
        Its parsed ``value``.
    outputs : mapping of str to Output
        The file's outputs, the CAR-T level first.
    sets : mapping of str to ParameterSet
        The file's parameter sets.
    given : mapping of str to Parameter or Input
        What may have a value.

    Returns
    -------
    Check
        Its description.

    Raises
    ------
    ModelFileError
        If the entry does not make sense.
    """
    known = ("value", "at", "peak", "unit", "output", "set", "values", "infusions")
    entry = place.table(section, entry, "what", "expected", "tolerance", "source", known=known)
    where = place.at(section)
    if sum(key in entry for key in ("value", "at", "peak")) != 1:
        raise ModelFileError(f"{where} needs one of 'value', 'at' (a time) and 'peak' (two times)")
    for key in ("output", "infusions"):
        if key in entry and "value" in entry:
            raise ModelFileError(
                f"{where} has {key!r}, which says nothing about a 'value': give 'at' or 'peak'"
            )
    output = str(entry.get("output", next(iter(outputs))))
    if output not in outputs:
        raise ModelFileError(f"{where}: there is no output {output!r}{did_you_mean(output, outputs)}")
    if entry.get("set", "") not in ("", *sets):
        raise ModelFileError(
            f"{where}: there is no set {entry['set']!r}{did_you_mean(str(entry['set']), sets)}"
        )
    values = sets[entry["set"]].numbers if "set" in entry else {}
    tolerance = place.number(section, "tolerance", entry["tolerance"])
    if tolerance < 0:
        raise ModelFileError(f"{place.at(section, 'tolerance')} is {tolerance:g}; expected 0 or more")
    at = place.number(section, "at", entry["at"]) if "at" in entry else None
    peak = read_pairs(place.at(section, "peak"), [entry["peak"]])[0] if "peak" in entry else None
    if (at is not None and at < 0) or (peak is not None and not 0 <= peak[0] < peak[1]):
        key = "at" if peak is None else "peak"
        raise ModelFileError(
            f"{place.at(section, key)} is {entry[key]!r}; expected a day from 0 on, or two for a peak, the earlier first"
        )
    return Check(
        what=str(entry["what"]),
        value=value,
        at=at,
        peak=peak,
        expected=place.number(section, "expected", entry["expected"]),
        tolerance=tolerance,
        unit=place.unit(section, entry.get("unit", "1" if value is not None else outputs[output].unit)),
        source=str(entry["source"]),
        output=str(entry.get("output", "")),
        numbers=values | _values(place, section, entry.get("values", {}), given),
        infusions=read_pairs(place.at(section, "infusions"), entry.get("infusions", [])),
    )


def read_pairs(where: str, found: Any) -> tuple[tuple[float, float], ...]:
    """Read pairs of numbers, such as ``[[0, 1e8], [7, 1e8]]``.

    Parameters
    ----------
    where : str
        Place for error messages.
    found : object
        What was found.

    Returns
    -------
    tuple of (float, float)
        The pairs.

    Raises
    ------
    ModelFileError
        If it is something else.
    """
    try:
        pairs = tuple((float(one), float(other)) for one, other in found)
    except (TypeError, ValueError):
        pairs = ((np.nan, np.nan),)
    if not np.isfinite(pairs).all():
        raise ModelFileError(f"{where} is {found!r}; expected pairs of two numbers")
    return pairs
