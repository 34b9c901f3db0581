"""A measured quantity between its measurements, such as the white cell count over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from carkinetics.errors import ConfigError, did_you_mean

INTERPOLATIONS = ("linear", "log", "constant")


@dataclass(frozen=True, eq=False)
class Series:
    """Values at increasing times, and how they are joined.

    Before the first and after the last time the nearest value holds.

    Parameters
    ----------
    time : ndarray, shape (n,)
        Days since infusion, strictly increasing; at least one.
    value : ndarray, shape (n,)
        Finite; above 0 where the interpolation is ``"log"``.
    interpolation : {"linear", "log", "constant"}
        Linear in the value, linear in its log, or the last value carried forward.

    Raises
    ------
    ConfigError
        If the numbers are not as said.

    Examples
    --------
    >>> count = Series(np.array([0.0, 10.0]), np.array([100.0, 10000.0]), "log")
    >>> [round(float(x), 6) for x in count([-3.0, 5.0, 20.0])]
    [100.0, 1000.0, 10000.0]
    """

    time: NDArray[np.float64]
    value: NDArray[np.float64]
    interpolation: str = "linear"

    def __post_init__(self) -> None:
        if self.interpolation not in INTERPOLATIONS:
            raise ConfigError(
                f"interpolation is {self.interpolation!r}{did_you_mean(self.interpolation, INTERPOLATIONS)}"
            )
        time, value = np.asarray(self.time, dtype=float), np.asarray(self.value, dtype=float)
        if time.ndim != 1 or time.shape != value.shape or not len(time):
            raise ConfigError(
                f"a series has times of shape {time.shape} and values of shape {value.shape}; expected one value "
                "for each of one or more times"
            )
        if not np.isfinite(time).all() or not (np.diff(time) > 0).all():
            raise ConfigError("the times of a series must be finite and strictly increasing")
        lowest = 0.0 if self.interpolation == "log" else -np.inf
        wrong = ~(np.isfinite(value) & (value > lowest))
        if wrong.any():
            raise ConfigError(
                f"a series has the value {value[wrong][0]:g} on day {time[wrong][0]:g}; expected a number"
                f"{' above 0, as its log is interpolated' if self.interpolation == 'log' else ''}"
            )
        object.__setattr__(self, "time", time)
        object.__setattr__(self, "value", value)

    @classmethod
    def of(cls, time: ArrayLike, value: ArrayLike, interpolation: str = "linear") -> Series:
        """Series of measurements in any order; those at the same time are averaged.

        Parameters
        ----------
        time, value : array_like, shape (n,)
            Days since infusion, and what was measured.
        interpolation : {"linear", "log", "constant"}
            How values are joined, and on which scale they are averaged.

        Returns
        -------
        Series
            In order of time.

        Raises
        ------
        ConfigError
            If a number makes no sense.

        Examples
        --------
        >>> Series.of([7, 0, 7], [4, 1, 6]).value.tolist()
        [1.0, 5.0]
        """
        given = (np.atleast_1d(np.asarray(x, dtype=float)) for x in (time, value))
        at, measured = np.broadcast_arrays(*given)
        distinct, which = np.unique(at, return_inverse=True)
        on_log = interpolation == "log" and bool((measured > 0).all())
        total = np.bincount(which.ravel(), np.log(measured) if on_log else measured, len(distinct))
        mean = total / np.bincount(which.ravel(), minlength=len(distinct))
        return cls(distinct, np.exp(mean) if on_log else mean, interpolation)

    @property
    def knots(self) -> NDArray[np.float64]:
        """Times at which the interpolated value has a kink or jumps."""
        changes = np.diff(self.value) != 0
        return self.time[np.append(False, changes) | np.append(changes, False)]

    def __call__(self, time: Any) -> NDArray[np.float64]:
        """Interpolated values.

        Parameters
        ----------
        time : array_like
            Days since infusion, any shape.

        Returns
        -------
        ndarray
            Same shape.
        """
        at = np.asarray(time, dtype=float)
        if self.interpolation == "constant":
            before = np.searchsorted(self.time, at, side="right") - 1
            return self.value[np.maximum(before, 0)]
        if self.interpolation == "log":
            return np.exp(np.interp(at, self.time, np.log(self.value)))
        return np.interp(at, self.time, self.value)
