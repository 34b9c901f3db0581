"""What is asked of a prediction, looked at before the work."""

from __future__ import annotations

from carkinetics.errors import ConfigError
from carkinetics.escalation.arguments import number, whole
from carkinetics.fit.result import Fit


def refuse_settings(
    where: str, *, draws: int, seed: int, interval: float, least: int = 1, horizon: float | None = None
) -> None:
    """Complain of draws, a seed, an interval or a horizon that make no sense.

    Parameters
    ----------
    where : str
        Whose they are, for messages.
    draws, seed : int
        Whole numbers, from ``least`` and from 0.
    interval : float
        Probability of intervals, between 0 and 1.
    least : int
        Fewest draws.
    horizon : float or None
        Day until which an event counts, above 0; None if not given.

    Raises
    ------
    ConfigError
        If one is not.
    """
    whole(draws, "draws", where, least=least)
    whole(seed, "seed", where, least=0)
    number(interval, "interval", where, above=0, below=1)
    if horizon is not None:
        number(horizon, "horizon", where, above=0)


def refuse_other(given: object, kind: type | tuple[type, ...], where: str) -> None:
    """Complain of something that is not what it stands for.

    Parameters
    ----------
    given : object
        To look at.
    kind : type or tuple of type
        What it must be.
    where : str
        Whose argument it is, for messages.

    Raises
    ------
    ConfigError
        If it is something else.
    """
    if not isinstance(given, kind):
        names = " or a ".join(one.__name__ for one in (kind if isinstance(kind, tuple) else (kind,)))
        hint = ", from fit_hierarchical or known_population" if kind is Fit else ""
        raise ConfigError(f"{where}: a {type(given).__name__} stands where a {names} is expected{hint}")
