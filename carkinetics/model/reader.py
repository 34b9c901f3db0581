"""The parsed TOML of a model file → Model, or what is wrong with it and where.

Every equation uses only names that are defined, derived values are put into an order in which each uses
earlier ones, and what holds at one moment (an initial value, a break) uses nothing that changes with time.
A model may have a closed form and differential equations: then the level is one more derived value.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from carkinetics.errors import ModelFileError
from carkinetics.model.dimensions import unit
from carkinetics.model.entries import (
    read_check,
    read_constant,
    read_input,
    read_mixture,
    read_pairs,
    read_parameter,
    read_set,
)
from carkinetics.model.expression import SCALAR, Expression, evaluate, parse
from carkinetics.model.parts import Check, Input, Output, Parameter, ParameterSet, Quantity, State
from carkinetics.model.place import Place
from carkinetics.model.residual import RESIDUAL_ERRORS
from carkinetics.model.shape import LINES, check_name, check_shape
from carkinetics.model.solve import complete_values, with_derived
from carkinetics.model.spec import Model
from carkinetics.model.unit_check import check_units
from carkinetics.units import canonical_unit

AMOUNT = "amount"
_NEEDED = ("schema", "name", "title", "value_unit", "parameters")
MODEL_TEXTS = ("citation", "doi", "bibtex", "notes", "purpose", "identifiability", "simulation_only")
_TOP = {
    *_NEEDED, *MODEL_TEXTS, "constants", "inputs", "derived", "closed_form", "states", "infusions", "solver", "observation", "observations",
    "quantities", "sets", "mixture", "check",
}  # fmt: skip
# What equations call time, level and dose, and the arguments of `predict`, to which parameters are passed by name.
_RESERVED = {"t", "level", AMOUNT, "model", "times", "output", "infusions", "series"}
_OUTPUT = ("residual", "unit", "meaning")


def read_model(place: Place, table: dict[str, Any]) -> Model:
    """Read a model.

    Parameters
    ----------
    place : Place
        The text of the file, for error messages.
    table : dict
        The parsed text.

    Returns
    -------
    Model
        The description.

    Raises
    ------
    ModelFileError
        If the file does not make sense.
    """
    _check_top(place, table)
    _check_names(place, table)
    parameters = {name: read_parameter(place, name, entry) for name, entry in table["parameters"].items()}
    inputs = {name: read_input(place, name, entry) for name, entry in table.get("inputs", {}).items()}
    return _Reader(place, table, parameters, inputs).model()


def _check_top(place: Place, table: dict[str, Any]) -> None:
    check_shape(place, table, _TOP)
    for key in _NEEDED:
        if key not in table:
            raise ModelFileError(f"{place.file}: {key!r} is missing")
    try:
        unit(canonical_unit(table["value_unit"]))
    except ValueError:
        raise ModelFileError(
            f"{place.at('value_unit')} is {table['value_unit']!r}, which is no unit; write for instance 'copies/ug' or 'cells/uL'"
        ) from None
    if ("observation" in table) == ("observations" in table):
        raise ModelFileError(
            f"{place.file}: a model has either [observation] or one or more [observations.NAME], and this has "
            f"{'both' if 'observation' in table else 'neither'}"
        )


def _check_names(place: Place, table: dict[str, Any]) -> None:
    taken = dict.fromkeys(_RESERVED, "what equations call time, the level or an argument")
    for section in ("parameters", "constants", "inputs", "states", "derived"):
        for name in table.get(section, {}):
            where = place.at(f"{section}.{name}")
            if name in taken:
                raise ModelFileError(
                    f"{where}: the name {name!r} is taken by {taken[name]}; rename one of the two"
                )
            check_name(where, name)
            taken[name] = place.at(section, name) if section in LINES else where
    _check_fit_names(place, table)


def _check_fit_names(place: Place, table: dict[str, Any]) -> None:
    """A fit adds names to those of parameters and quantities, and they must not meet."""
    parameters = table["parameters"]
    made = {f"{name}_{tail}": f"the {tail} of {name}" for name in parameters for tail in ("typical", "omega")}
    if label := (table.get("mixture") or {}).get("class"):
        made[f"{label}_share"] = "the share of a class"
        made |= {f"{name}_on_{label}": f"the shift of {name} in a class" for name in parameters}
    for section in ("parameters", "quantities"):
        for name in table.get(section, {}):
            where = place.at(f"{section}.{name}")
            # A fit calls its residual errors so, those of further outputs by the output's name.
            if name == "sigma" or name.startswith("sigma_"):
                raise ModelFileError(f"{where}: the name {name!r} is taken by a residual error; rename it")
            if name in made:
                raise ModelFileError(f"{where}: a fit calls {made[name]} {name!r}; rename this")
            if section == "quantities" and name in parameters:
                raise ModelFileError(f"{where}: the name {name!r} is taken by a parameter; rename it")


class _Reader:
    """One pass over the equations, which know each other's names."""

    def __init__(
        self, place: Place, table: dict[str, Any], parameters: dict[str, Parameter], inputs: dict[str, Input]
    ) -> None:
        self.place, self.table, self.parameters, self.inputs = place, table, parameters, inputs
        self.given: dict[str, Parameter | Input] = {**parameters, **inputs}
        self.constants = {
            name: read_constant(place, name, text) for name, text in table.get("constants", {}).items()
        }
        known = [*self.given, *self.constants, *table.get("states", {}), "t"]
        constants = {name: number for name, (number, _) in self.constants.items()}
        self.derived = constants | self.read_derived(known)
        self.known = [*known, *self.derived]
        self.timeless = {*parameters, *(name for name, entry in inputs.items() if not entry.varying)}
        for name, expression in self.derived.items():
            if expression.names() <= self.timeless:
                self.timeless.add(name)

    def model(self) -> Model:
        table, place = self.table, self.place
        states = tuple(self.state(name, entry) for name, entry in table.get("states", {}).items())
        level, breaks, stiff = self.equations(states)
        outputs = self.outputs(level)
        sets = {
            name: read_set(place, name, entry, self.given) for name, entry in table.get("sets", {}).items()
        }
        texts: dict[str, Any] = {key: " ".join(str(table.get(key, "")).split()) for key in MODEL_TEXTS}
        model = Model(
            name=str(table["name"]),
            title=str(table["title"]),
            **texts | {"bibtex": str(table.get("bibtex", "")).strip()},
            value_unit=canonical_unit(table["value_unit"]),
            parameters=self.parameters,
            inputs=self.inputs,
            constants={name: its for name, (_, its) in self.constants.items()},
            derived=self.derived,
            level=level,
            states=states,
            infusions=self.infusions(),
            breaks=breaks,
            outputs=outputs,
            quantities=self.quantities(),
            checks=tuple(
                self.check(i, entry, outputs, sets) for i, entry in enumerate(table.get("check", []), 1)
            ),
            sets=sets,
            mixture=read_mixture(place, table["mixture"], self.parameters, self.known)
            if "mixture" in table
            else None,
            stiff=stiff,
            text=place.text,
        )
        _check_log_states(place, model)
        check_units(place, model)
        return model

    def infusions(self) -> tuple[tuple[float, float], ...]:
        where = self.place.at("infusions")
        found = read_pairs(where, self.table.get("infusions", [[0.0, 1.0]]))
        if (
            not found
            or found[0][0] != 0
            or min(amount for _, amount in found) < 0
            or sorted(found) != list(found)
        ):
            raise ModelFileError(
                f"{where} is {self.table['infusions']!r}; expected [[day, amount], ...] in order of time from day 0 on"
            )
        if "infusions" in self.table and "states" not in self.table:
            raise ModelFileError(f"{where}: a closed form does not see infusions; leave them out")
        return found

    def read_derived(self, known: list[str]) -> dict[str, Expression]:
        """Derived values in an order in which each uses only earlier ones; a cycle is an error."""
        texts = dict(self.table.get("derived", {}))
        if "states" in self.table and "closed_form" in self.table:
            texts["level"] = self.closed_form()["level"]
        drafts = {
            name: parse(text, [*known, *texts], where=self.place.at("derived", name))
            for name, text in texts.items()
        }
        ordered: dict[str, Expression] = {}
        while len(ordered) < len(drafts):
            ready = [n for n, e in drafts.items() if n not in ordered and e.names() <= {*known, *ordered}]
            if not ready:
                circle = [name for name in drafts if name not in ordered]
                raise ModelFileError(
                    f"{self.place.at('derived', circle[0])}: {', '.join(circle)} "
                    f"{'are defined by each other' if len(circle) > 1 else 'is defined by itself'}: one of them has to come "
                    "from parameters, inputs, states or t"
                )
            ordered.update({name: drafts[name] for name in ready})
        return ordered

    def still(self, text: Any, where: str, also: Iterable[str] = ()) -> Expression:
        """An equation that holds at one moment."""
        extra = set(also)
        expression = parse(text, [*self.known, *extra], where=where)
        moving = sorted(expression.names() - self.timeless - extra)
        if moving:
            raise ModelFileError(
                f"{where} = {expression.text!r} uses {moving[0]!r}, which changes with time; allowed are "
                "parameters, inputs that do not vary, and derived values of these"
            )
        return expression

    def state(self, name: str, entry: Any) -> State:
        section = f"states.{name}"
        entry = self.place.table(section, entry, "initial", "rate", known=("unit", "log", "infused"))
        at = self.place.at
        return State(
            name,
            self.still(entry["initial"], at(section, "initial")),
            parse(entry["rate"], self.known, where=at(section, "rate")),
            self.place.unit(section, entry.get("unit", self.table["value_unit"])),
            self.place.flag(section, "log", entry.get("log", False)),
            self.still(entry["infused"], at(section, "infused"), [AMOUNT]) if "infused" in entry else None,
        )

    def closed_form(self) -> dict[str, Any]:
        return self.place.table("closed_form", self.table["closed_form"], "level", known=("breaks",))

    def equations(self, states: tuple[State, ...]) -> tuple[Expression | None, tuple[Expression, ...], bool]:
        """The closed form if there is nothing else, the breaks, and whether the solver should be implicit."""
        if "closed_form" not in self.table and not states:
            raise ModelFileError(
                f"{self.place.file}: a model has [closed_form], [states] or both, and this has neither"
            )
        breaks = self.breaks("closed_form", self.closed_form()) if "closed_form" in self.table else ()
        if not states:
            if "solver" in self.table:
                raise ModelFileError(
                    f"{self.place.at('solver')}: a closed form has no solver; its breaks stand under [closed_form]"
                )
            where = self.place.at("closed_form", "level")
            return parse(self.closed_form()["level"], self.known, where=where), breaks, False
        solver = self.place.table("solver", self.table.get("solver", {}), known=("breaks", "stiff"))
        stiff = self.place.flag("solver", "stiff", solver.get("stiff", False))
        return None, breaks + self.breaks("solver", solver), stiff

    def breaks(self, section: str, entry: dict[str, Any]) -> tuple[Expression, ...]:
        where = self.place.at(section, "breaks")
        return tuple(self.still(text, where) for text in entry.get("breaks", []))

    def outputs(self, level: Expression | None) -> dict[str, Output]:
        if "observation" in self.table:
            only = self.output("level", "observation", self.table["observation"], level)
            found = {"level": only}
        else:
            found = {}
            for name, entry in self.table["observations"].items():
                found[name] = self.output(name, f"observations.{name}", entry, level)
                self.check_output_name(found[name])
        if not found:
            raise ModelFileError(f"{self.place.at('observations')}: no output; add [observations.NAME]")
        first, value_unit = next(iter(found.values())), canonical_unit(self.table["value_unit"])
        if first.unit != value_unit:
            section = "observation" if "observation" in self.table else f"observations.{first.name}"
            raise ModelFileError(
                f"{self.place.at(section, 'unit')} is {first.unit!r} but value_unit is {value_unit!r}: the first "
                "output is the CAR-T level, whose unit is value_unit"
            )
        return found

    def output(self, name: str, section: str, entry: Any, level: Expression | None) -> Output:
        entry = self.place.table(section, entry, "of", "error", known=_OUTPUT)
        names = [*self.known, "level"] if level is not None else self.known
        residual = self.place.number(section, "residual", entry.get("residual", 0.5))
        if not 0 < residual < np.inf:
            raise ModelFileError(
                f"{self.place.at(section, 'residual')} is {residual:g}; expected a standard deviation above 0"
            )
        return Output(
            name=name,
            meaning=str(entry.get("meaning", "CAR-T level" if name == "level" else name.replace("_", " "))),
            unit=self.place.unit(section, entry.get("unit", self.table["value_unit"])),
            of=parse(entry["of"], names, where=self.place.at(section, "of")),
            error=self.place.choice(section, "error", entry["error"], RESIDUAL_ERRORS),
            residual=residual,
        )

    def check_output_name(self, output: Output) -> None:
        """An output may be called like the state that it shows, and like nothing else."""
        where, name = self.place.at(f"observations.{output.name}"), output.name
        check_name(where, name)
        shows_it = name in self.table.get("states", {}) and name in output.of.names()
        if name in ({*self.known, *_RESERVED} - {"level"}) and not shows_it:
            raise ModelFileError(
                f"{where}: the name {name!r} is taken; only an output that shows a state may be called like it"
            )

    def quantities(self) -> dict[str, Quantity]:
        found = {}
        for name, entry in self.table.get("quantities", {}).items():
            section = f"quantities.{name}"
            entry = self.place.table(section, entry, "meaning", "unit", "value")
            value = self.still(entry["value"], self.place.at(section, "value"))
            found[name] = Quantity(
                name, str(entry["meaning"]), self.place.unit(section, entry["unit"]), value
            )
        return found

    def check(
        self, number: int, entry: Any, outputs: dict[str, Output], sets: dict[str, ParameterSet]
    ) -> Check:
        section = f"check {number}"
        value = self.still(entry["value"], self.place.at(section, "value")) if "value" in entry else None
        return read_check(self.place, section, entry, value, outputs, sets, self.given)


def check_used(place: Place, model: Model) -> None:
    """Refuse a parameter that no equation uses: it would be estimated as its prior.

    Parameters
    ----------
    place : Place
        The file.
    model : Model
        What was read from it.

    Raises
    ------
    ModelFileError
        If there is one.
    """
    equations = [
        *model.derived.values(), *model.breaks, *(one.of for one in model.outputs.values()),
        *(one.value for one in model.quantities.values()), *([model.level] if model.level is not None else []),
    ]  # fmt: skip
    for state in model.states:
        equations += [state.initial, state.rate, *([state.infused] if state.infused is not None else [])]
    used = frozenset[str]().union(*(equation.names() for equation in equations))
    for name in model.free_parameters:
        if name not in used:
            raise ModelFileError(
                f"{place.at(f'parameters.{name}')}: no equation uses {name!r}; leave it out, or let it be fixed = true"
            )


def _check_log_states(place: Place, model: Model) -> None:
    """The log of a state that starts at 0 is no number, so such a state cannot be solved as its log."""
    known, amount = with_derived(model, complete_values(model, {}), SCALAR), model.infusions[0][1]
    for state in (one for one in model.states if one.log):
        initial = evaluate(state.initial, known, SCALAR)
        infused = 0.0 if state.infused is None else evaluate(state.infused, {**known, AMOUNT: amount}, SCALAR)
        if not 0 < initial + infused < np.inf:
            plus = "" if state.infused is None else f" with what an infusion of amount {amount:g} adds"
            raise ModelFileError(
                f"{place.at('states.' + state.name, 'initial')}{plus} is {initial + infused:g} at the typical "
                "values; a state with log = true starts above 0 (leave out log = true for one that starts at 0)"
            )
