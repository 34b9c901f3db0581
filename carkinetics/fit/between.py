"""What a fit is asked about differences between subjects, checked: random effects, their correlations, classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from carkinetics.errors import ConfigError
from carkinetics.fit.covariate import Covariate
from carkinetics.model.mixture import Mixture
from carkinetics.model.spec import Model


def read_random(
    model: Model, random: Iterable[str] | None, correlated: Iterable[str] | bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Which parameters have a random effect, and which of these are correlated.

    Parameters
    ----------
    model : Model
        Whose parameters.
    random : iterable of str or None
        As asked; those with an omega in the model file if None.
    correlated : iterable of str or bool
        As asked; True for all.

    Returns
    -------
    tuple of (tuple of str, tuple of str)
        Both in the order of the model.

    Raises
    ------
    ConfigError
        If a name is unknown, fixed or has no random effect, or one alone is to be correlated.
    """
    chosen = (
        [n for n in model.free_parameters if model.parameters[n].omega] if random is None else list(random)
    )
    for name in chosen:
        if model.require(name, "random").fixed:
            raise ConfigError(
                f"random: {name} is fixed at {model.parameters[name].typical:g}; it cannot vary"
            )
    together = chosen if correlated is True else list(correlated or ())
    for name in together:
        if name not in chosen:
            raise ConfigError(
                f"correlated: {name} has no random effect; random is {', '.join(chosen) or 'empty'}"
            )
    if len(together) == 1:
        raise ConfigError(
            f"correlated: {together[0]} alone cannot be correlated; name at least two parameters"
        )
    order = list(model.parameters)
    return tuple(sorted(set(chosen), key=order.index)), tuple(sorted(set(together), key=order.index))


def read_mixture(
    model: Model,
    random: tuple[str, ...],
    correlated: tuple[str, ...],
    covariates: Iterable[Covariate],
    asked: Mixture | Mapping[str, Any] | bool | None,
) -> Mixture | None:
    """Two classes of subjects, if the fit has them.

    Parameters
    ----------
    model : Model
        Which may bring its own.
    random, correlated : tuple of str
        From `read_random`.
    covariates : iterable of Covariate
        Of the fit.
    asked : Mixture, mapping, bool or None
        As asked; False leaves those of the model out.

    Returns
    -------
    Mixture or None
        None without classes.

    Raises
    ------
    ConfigError
        If a name is taken, or a parameter cannot differ by class.
    """
    if asked is False:
        return None
    found = model.mixture if asked is None or asked is True else asked
    if found is None:
        if asked:
            raise ConfigError(f"mixture: model {model.name} has none; give one as a mapping")
        return None
    chosen = found if isinstance(found, Mixture) else Mixture.of(found)
    if chosen.name in {*model.parameters, *model.inputs, *model.outputs, "sigma"}:
        raise ConfigError(f"mixture: the name {chosen.name!r} is taken; call the class something else")
    for name in chosen.shifts:
        model.require(name, "mixture")
        if name not in random:
            raise ConfigError(
                f"mixture: {name} has no random effect, and only random effects can differ by class; random is "
                f"{', '.join(random) or 'empty'}. Fit without classes by mixture=False"
            )
    outside = [name for name in chosen.shifts if correlated and name not in correlated]
    if outside:
        raise ConfigError(
            f"mixture: {outside[0]} differs by class and is not among the correlated {', '.join(correlated)}; put it there"
        )
    for covariate in covariates:
        if covariate.name in {chosen.shift_name(name) for name in chosen.shifts}:
            raise ConfigError(
                f"mixture: {covariate.name!r} is a covariate's slope already; call the class something else"
            )
    return chosen
