"""Model: the frozen description of what we think happens, and its changed copies."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from carkinetics.errors import ConfigError, did_you_mean
from carkinetics.model.expression import Expression
from carkinetics.model.mixture import Mixture
from carkinetics.model.parts import Check, Input, Output, Parameter, ParameterSet, Quantity, State
from carkinetics.model.prior import PRIOR_KINDS, Prior

SET_HERE = "set for this analysis"  # source of what the model file does not say


@dataclass(frozen=True, eq=False)
class Model:
    """A kinetic model as its file describes it.

    Parameters
    ----------
    name, title, citation, doi, bibtex, notes : str
        Identification.
    purpose : str
        What it is for, in a sentence.
    identifiability : str
        What a schedule of samples can and cannot tell of its parameters.
    simulation_only : str
        Why it cannot be fitted; empty if it can.
    value_unit : str
        Unit of the predicted level, the first output. Time is in days.
    parameters : dict of str to Parameter
        In file order.
    inputs : dict of str to Input
        Declared inputs.
    constants : dict of str to str
        Unit of every constant; the numbers are the first of ``derived``.
    derived : dict of str to Expression
        In order of use.
    level : Expression or None
        The level as a closed form; None for a model of differential equations.
    states : tuple of State
        Differential equations; empty for a closed form.
    infusions : tuple of (float, float)
        Day and amount of every infusion of the publication; one of amount 1 on day 0 where the file has none.
    breaks : tuple of Expression
        Times at which the right-hand side jumps or the closed form has a kink.
    outputs : dict of str to Output
        What is measured, in file order; the first is the CAR-T level.
    quantities : dict of str to Quantity
        Derived numbers to report.
    checks : tuple of Check
        Published numbers the file must reproduce.
    sets : dict of str to ParameterSet
        Published values other than the typical ones; see `with_set`.
    mixture : Mixture or None
        Two classes of patients, where the publication has them.
    stiff : bool
        Whether the solver should be an implicit one.
    text : str
        The file.
    changes : tuple of (str, dict)
        What was changed since it was read: the calls of `with_priors`, `with_set`, `fix` and `in_unit`
        with their arguments, in order, so that they can be made again.
    """

    name: str
    title: str
    citation: str
    doi: str
    bibtex: str
    notes: str
    purpose: str
    identifiability: str
    simulation_only: str
    value_unit: str
    parameters: dict[str, Parameter]
    inputs: dict[str, Input]
    constants: dict[str, str]
    derived: dict[str, Expression]
    level: Expression | None
    states: tuple[State, ...]
    infusions: tuple[tuple[float, float], ...]
    breaks: tuple[Expression, ...]
    outputs: dict[str, Output]
    quantities: dict[str, Quantity]
    checks: tuple[Check, ...]
    sets: dict[str, ParameterSet]
    mixture: Mixture | None
    stiff: bool
    text: str
    changes: tuple[tuple[str, dict[str, Any]], ...] = ()

    def __repr__(self) -> str:
        kind = "closed form" if self.level is not None else f"{len(self.states)} differential equations"
        return f"<Model {self.name}: {self.title}; {kind}, level in {self.value_unit}; {', '.join(self.parameters)}>"

    @property
    def observed(self) -> Expression:
        """What the assay of the CAR-T level measures."""
        return self.output().of

    @property
    def error(self) -> str:
        """Residual error model of the CAR-T level."""
        return self.output().error

    @property
    def residual(self) -> float:
        """Typical residual standard deviation of the CAR-T level."""
        return self.output().residual

    @property
    def varying_inputs(self) -> list[str]:
        """Names of the inputs that change with time within a subject."""
        return [name for name, entry in self.inputs.items() if entry.varying]

    @property
    def infused(self) -> bool:
        """Whether the amounts of the infusions matter."""
        return any(state.infused is not None for state in self.states)

    @property
    def sha256(self) -> str:
        """SHA-256 of the file's text and of the changes made since."""
        changes = json.dumps(self.changes, sort_keys=True)
        return hashlib.sha256(f"{self.text}\n{changes}".encode()).hexdigest()

    @property
    def priors_changed(self) -> set[str]:
        """Names of the parameters whose prior is not the file's."""
        calls = ("with_priors", "in_unit")
        return {name for call, entries in self.changes if call in calls for name in entries if name != "unit"}

    @property
    def omega_priors_changed(self) -> set[str]:
        """Names of the parameters whose prior of the between-subject standard deviation is not the file's."""
        calls = ("with_priors", "in_unit")
        entries = [entry for call, entry in self.changes if call in calls]
        return {
            name
            for entry in entries
            for name, one in entry.items()
            if isinstance(one, Mapping) and "omega" in one
        }

    @property
    def free_parameters(self) -> list[str]:
        """Names of the parameters that are not fixed."""
        return [name for name, parameter in self.parameters.items() if not parameter.fixed]

    def require(self, name: str, where: str) -> Parameter:
        """The parameter of that name.

        Parameters
        ----------
        name : str
            Its name.
        where : str
            Place for the error message.

        Returns
        -------
        Parameter
            Its description.

        Raises
        ------
        ConfigError
            If the model has no such parameter.
        """
        if name not in self.parameters:
            raise ConfigError(
                f"{where}: model {self.name} has no parameter {name!r}{did_you_mean(name, self.parameters)}"
            )
        return self.parameters[name]

    def output(self, name: str | None = None) -> Output:
        """The output of that name.

        Parameters
        ----------
        name : str, optional
            Its name; the first output, which is the CAR-T level, if not given or empty.

        Returns
        -------
        Output
            Its description.

        Raises
        ------
        ConfigError
            If the model has no such output.
        """
        wanted = name or next(iter(self.outputs))
        if wanted not in self.outputs:
            raise ConfigError(
                f"model {self.name} has no output {wanted!r}{did_you_mean(wanted, self.outputs)}"
            )
        return self.outputs[wanted]

    def with_priors(self, **priors: Prior | Mapping[str, Any]) -> Model:
        """Copy with other priors for the typical values.

        Parameters
        ----------
        **priors : Prior or mapping
            By parameter; a mapping is read by `Prior.of` and may add ``omega``, the scale of the
            half-normal prior for the between-subject standard deviation.

        Returns
        -------
        Model
            The changed copy.

        Raises
        ------
        ConfigError
            If a name is unknown or a prior lives on another scale than its parameter.
        """
        parameters, entries = dict(self.parameters), {}
        for name, given in priors.items():
            entry = given.as_entry() if isinstance(given, Prior) else dict(given)
            entries[name] = dict(entry)
            old = self.require(name, "with_priors")
            omega_prior = float(entry.pop("omega", old.omega_prior))
            if not 0 < omega_prior < np.inf:
                raise ConfigError(
                    f"with_priors: omega of {name} is {omega_prior:g}; expected a scale above 0"
                )
            prior = Prior.of(entry, f"prior of {name}")
            if prior.transform != old.transform:
                right = next(kind for kind, (_, _, scale) in PRIOR_KINDS.items() if scale == old.transform)
                raise ConfigError(
                    f"prior of {name} is {prior.dist}; {name} lives on the {old.transform} scale: use {right}"
                )
            parameters[name] = replace(old, prior=prior, omega_prior=omega_prior, fixed=False)
        return replace(self, parameters=parameters, changes=(*self.changes, ("with_priors", entries)))

    def fix(self, **values: float) -> Model:
        """Copy with some parameters held at given values.

        Parameters
        ----------
        **values : float
            By parameter, on the natural scale.

        Returns
        -------
        Model
            The changed copy.

        Raises
        ------
        ConfigError
            If a name is unknown or a value is outside the parameter's range.
        """
        parameters = dict(self.parameters)
        for name, value in values.items():
            with np.errstate(all="ignore"):
                usable = np.isfinite(self.require(name, "fix").to_free(float(value)))
            if not usable:
                raise ConfigError(
                    f"fix: {name} = {value:g} is outside the {parameters[name].transform} scale"
                )
            parameters[name] = replace(parameters[name], typical=float(value), fixed=True)
        fixed = {name: float(value) for name, value in values.items()}
        return replace(self, parameters=parameters, changes=(*self.changes, ("fix", fixed)))

    def with_set(self, name: str) -> Model:
        """Copy with other published values as the typical ones; priors stay.

        A set that names a parameter which differs by class is of one class: the copy has no mixture.

        Parameters
        ----------
        name : str
            One of `sets`.

        Returns
        -------
        Model
            The changed copy.

        Raises
        ------
        ConfigError
            If the model has no such set.
        """
        if name not in self.sets:
            has = did_you_mean(name, self.sets) if self.sets else "; it has none"
            raise ConfigError(f"model {self.name} has no parameter set {name!r}{has}")
        values = self.sets[name].numbers
        parameters = {
            key: replace(entry, typical=values.get(key, entry.typical))
            for key, entry in self.parameters.items()
        }
        inputs = {
            key: replace(entry, default=values.get(key, entry.default)) for key, entry in self.inputs.items()
        }
        mixture = self.mixture if self.mixture and not {*self.mixture.shifts} & {*values} else None
        changes = (*self.changes, ("with_set", {"name": name}))
        return replace(self, parameters=parameters, inputs=inputs, mixture=mixture, changes=changes)

    def in_unit(self, unit: str, **priors: Prior | Mapping[str, Any]) -> Model:
        """Copy for levels of another assay, with new priors for everything that carries the level's unit.

        Parameters
        ----------
        unit : str
            For instance ``"cells/uL"``.
        **priors : Prior or mapping
            One for each parameter in the level's unit (and any other that should change).

        Returns
        -------
        Model
            The changed copy; typical values in the level's unit become the prior medians.

        Raises
        ------
        ConfigError
            If a parameter in the level's unit gets no prior, or an input is in it: numbers are never
            carried across assays.
        """
        for entry in self.inputs.values():
            if entry.unit == self.value_unit:
                raise ConfigError(
                    f"in_unit({unit!r}): the input {entry.name} of {self.name} is in {entry.unit}, which does not "
                    f"convert into {unit}; write a model file in {unit}"
                )
        levels = [name for name, p in self.parameters.items() if p.unit == self.value_unit]
        missing = [name for name in levels if name not in priors]
        if missing:
            raise ConfigError(
                f"in_unit({unit!r}): {missing[0]} of {self.name} is in {self.value_unit}, which does not convert "
                f"into {unit}; give a prior in {unit}, for instance "
                f'{missing[0]}={{"dist": "lognormal", "median": 100, "sigma": 2}}'
            )
        changed = self.with_priors(**priors)
        parameters = {
            # Where it was published it had another unit, and another value.
            name: replace(p, unit=unit, typical=p.prior.centre, source=SET_HERE) if name in levels else p
            for name, p in changed.parameters.items()
        }
        quantities = {
            name: replace(q, unit=unit) if q.unit == self.value_unit else q
            for name, q in self.quantities.items()
        }
        outputs = {
            name: replace(o, unit=unit) if o.unit == self.value_unit else o
            for name, o in self.outputs.items()
        }
        states = tuple(replace(s, unit=unit) if s.unit == self.value_unit else s for s in self.states)
        changes = (*self.changes, ("in_unit", {"unit": unit, **changed.changes[-1][1]}))
        return replace(
            changed,
            value_unit=unit,
            parameters=parameters,
            states=states,
            outputs=outputs,
            quantities=quantities,
            changes=changes,
        )
