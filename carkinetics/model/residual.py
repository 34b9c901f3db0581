"""Residual error models.

The residual error models, by name
----------------------------------
``lognormal``     log level + sigma × normal (the default of the field)
``student_t``     log level + sigma × Student t with 4 degrees of freedom, for outliers
``additive``      level + sigma × normal
``proportional``  level + sigma·level × normal
``combined1``     sd = sigma_add + sigma_prop·level
``combined2``     sd = sqrt(sigma_add² + sigma_prop²·level²)
"""

from __future__ import annotations

from dataclasses import dataclass

from carkinetics.errors import ConfigError, did_you_mean


@dataclass(frozen=True, slots=True)
class ResidualError:
    """A residual error model.

    Parameters
    ----------
    name : str
        See the module's list.
    log_scale : bool
        Whether the residual is normal on the log of the level.
    student : bool
        Student t instead of normal.
    parameters : tuple of str
        Names of its standard deviations.
    """

    name: str
    log_scale: bool
    student: bool
    parameters: tuple[str, ...]


RESIDUAL_ERRORS = {
    error.name: error
    for error in (
        ResidualError("lognormal", True, False, ("sigma",)),
        ResidualError("student_t", True, True, ("sigma",)),
        ResidualError("additive", False, False, ("sigma",)),
        ResidualError("proportional", False, False, ("sigma",)),
        ResidualError("combined1", False, False, ("sigma_add", "sigma_prop")),
        ResidualError("combined2", False, False, ("sigma_add", "sigma_prop")),
    )
}


def residual_error(name: str) -> ResidualError:
    """Look up a residual error model.

    Parameters
    ----------
    name : str
        See the module's list.

    Returns
    -------
    ResidualError
        The model.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    if name not in RESIDUAL_ERRORS:
        raise ConfigError(f"error is {name!r}{did_you_mean(name, RESIDUAL_ERRORS)}")
    return RESIDUAL_ERRORS[name]
