"""What can go wrong, as a tree.

CarkineticsError
├── DataError            the table cannot be what it claims to be
│   └── UnitError        two quantities of different kinds were about to be mixed
├── ModelFileError       the model file cannot be read or does not make sense
├── FitError             the engine gave no usable answer
└── ConfigError          study.toml or a call asks for something that does not exist

FitWarning               an answer exists, and a reader should know its weakness
"""

from collections.abc import Iterable
from difflib import get_close_matches


class CarkineticsError(Exception):
    """Everything that carkinetics raises on purpose."""


class DataError(CarkineticsError, ValueError):
    """The table cannot be what it claims to be."""


class UnitError(DataError):
    """Two quantities of different kinds were about to be mixed."""


class ModelFileError(CarkineticsError, ValueError):
    """The model file cannot be read or does not make sense."""


class FitError(CarkineticsError, RuntimeError):
    """The engine gave no usable answer."""


class ConfigError(CarkineticsError, ValueError):
    """A setting or an argument names something that does not exist."""


class ReportError(CarkineticsError, RuntimeError):
    """The report could not be written in the format that was asked for."""


class FitWarning(UserWarning):
    """An answer exists, and a reader should know its weakness."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """End of an error message: the near match if there is one, else the whole list.

    Parameters
    ----------
    name : str
        What was found.
    known : iterable of str
        What would have been right.

    Returns
    -------
    str
        ``"; did you mean 'tmax'?"`` or ``"; known are alpha, beta"``.

    Examples
    --------
    >>> did_you_mean("tmx", ["cmax", "tmax"])
    "; did you mean 'tmax'?"
    >>> did_you_mean("zeta", ["cmax", "tmax"])
    '; known are cmax, tmax'
    """
    names = sorted(known)
    near = get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known are {', '.join(names)}" if names else ""
