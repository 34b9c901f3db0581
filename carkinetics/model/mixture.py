"""Two classes of patients that nobody sees, such as those in whom the cells expand and those in whom they do not.

The class is a covariate with the values 0 and 1 that was not measured: its effect adds to parameters on their free
scale, and the share of patients who have it is one more number of the population.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from carkinetics.errors import ConfigError, did_you_mean
from carkinetics.model.prior import Prior

KEYS = ("class", "share", "shift")
OPTIONAL = ("meaning", "source")


@dataclass(frozen=True, slots=True)
class Mixture:
    """A second class of patients, and by how much its parameters differ from the typical ones.

    Parameters
    ----------
    name : str
        Of the class. A fit calls its share ``NAME_share`` and the shift of ``cmax`` ``cmax_on_NAME``.
    share : Prior
        Logit-normal; for the share of patients who belong to it.
    shifts : dict of str to Prior
        By parameter: normal; for what the class adds on the free scale. Simulations use its mean.
    meaning, source : str
        What it is and where it was read.

    Examples
    --------
    >>> kind = Mixture.of(
    ...     {
    ...         "class": "low",
    ...         "share": {"dist": "logitnormal", "median": 0.2, "sigma": 0.7},
    ...         "shift": {"cmax": {"dist": "normal", "mean": -3, "sd": 0.5}},
    ...     }
    ... )
    >>> kind.share_name, kind.shift_name("cmax")
    ('low_share', 'cmax_on_low')
    """

    name: str
    share: Prior
    shifts: dict[str, Prior]
    meaning: str = ""
    source: str = ""

    @classmethod
    def of(cls, entry: Mapping[str, Any], where: str = "mixture") -> Mixture:
        """Read the table ``[mixture]`` of a model file, or the same as a mapping.

        Parameters
        ----------
        entry : mapping
            ``class``, ``share`` and ``shift``; ``meaning`` and ``source`` if wanted.
        where : str
            Place for error messages.

        Returns
        -------
        Mixture
            The class.

        Raises
        ------
        ConfigError
            If a key is missing or unknown, or a prior is of the wrong kind.
        """
        known = (*KEYS, *OPTIONAL)
        if not isinstance(entry, Mapping):
            raise ConfigError(f"{where} is {entry!r}; expected a table with {', '.join(KEYS)}")
        for key in entry:
            if key not in known:
                raise ConfigError(f"{where}: unknown key {key!r}{did_you_mean(str(key), known)}")
        for key in KEYS:
            if key not in entry:
                raise ConfigError(f"{where}: {key!r} is missing; it needs {', '.join(KEYS)}")
        name, shift = str(entry["class"]), entry["shift"]
        if not name.isidentifier():
            raise ConfigError(f"{where}: class is {name!r}; expected a name (letters, digits, _)")
        if not isinstance(shift, Mapping) or not shift:
            raise ConfigError(
                f"{where}: shift is {shift!r}; expected a prior by parameter, for instance "
                '{cmax = {dist = "normal", mean = -3, sd = 0.5}}'
            )
        return cls(
            name,
            _prior(entry["share"], "logitnormal", f"{where}: share"),
            {key: _prior(one, "normal", f"{where}: shift of {key}") for key, one in shift.items()},
            " ".join(str(entry.get("meaning", "")).split()),
            str(entry.get("source", "")),
        )

    @property
    def share_name(self) -> str:
        """What a fit calls the share."""
        return f"{self.name}_share"

    def shift_name(self, parameter: str) -> str:
        """What a fit calls the shift of a parameter."""
        return f"{parameter}_on_{self.name}"

    def __str__(self) -> str:
        shifts = ", ".join(f"{name} by {prior}" for name, prior in self.shifts.items())
        about = f" ({self.meaning})" if self.meaning else ""
        return f"{self.name}{about}, share {self.share}, shifts {shifts} on the free scale"

    def as_entry(self) -> dict[str, Any]:
        """The mapping that `Mixture.of` reads.

        Returns
        -------
        dict
            Of texts and numbers.
        """
        return {
            "class": self.name,
            "share": self.share.as_entry(),
            "shift": {name: prior.as_entry() for name, prior in self.shifts.items()},
            "meaning": self.meaning,
            "source": self.source,
        }


def _prior(entry: Any, dist: str, where: str) -> Prior:
    prior = Prior.of(entry, where)
    if prior.dist != dist:
        raise ConfigError(f"{where} has a {prior.dist} prior; it must be {dist}")
    return prior
