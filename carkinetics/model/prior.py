"""Prior: a distribution named by quantities people can argue about.

Every prior is normal on the free scale of its parameter (log, logit or the natural one), so that a
prior and the between-subject spread add up there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.special import expit, logit

from carkinetics.errors import ConfigError, did_you_mean

Transform = Literal["log", "logit", "identity"]
TO_FREE = {"log": np.log, "logit": logit, "identity": np.asarray}
FROM_FREE = {"log": np.exp, "logit": expit, "identity": np.asarray}
# How each named prior is written: its two quantities and the free scale on which it is normal.
PRIOR_KINDS: dict[str, tuple[str, str, Transform]] = {
    "lognormal": ("median", "sigma", "log"),
    "logitnormal": ("median", "sigma", "logit"),
    "normal": ("mean", "sd", "identity"),
}


@dataclass(frozen=True, slots=True)
class Prior:
    """A distribution named by quantities people can argue about.

    Parameters
    ----------
    dist : {"lognormal", "logitnormal", "normal"}
        Kind.
    centre : float
        Median (lognormal, logitnormal) or mean (normal), on the natural scale.
    spread : float
        Standard deviation on the free scale, above 0.
    source : str
        Where it was read, or the reason for it.

    Examples
    --------
    >>> prior = Prior.of({"dist": "lognormal", "median": 10, "sigma": 0.5})
    >>> round(float(prior.as_scipy().median()), 6)
    10.0
    """

    dist: str
    centre: float
    spread: float
    source: str = ""

    @classmethod
    def of(cls, entry: Mapping[str, Any], where: str = "prior") -> Prior:
        """Read ``{"dist": "lognormal", "median": 10, "sigma": 0.5}``.

        Parameters
        ----------
        entry : mapping
            As in a model file.
        where : str
            Place for error messages.

        Returns
        -------
        Prior
            The distribution.

        Raises
        ------
        ConfigError
            If a key is missing or unknown, or a number makes no sense.
        """
        if not isinstance(entry, Mapping):
            raise ConfigError(
                f'{where} is {entry!r}; expected a prior, for instance {{ dist = "lognormal", median = 10, sigma = 0.5 }}'
            )
        dist = str(entry.get("dist", ""))
        if dist not in PRIOR_KINDS:
            raise ConfigError(f"{where}: dist is {dist!r}{did_you_mean(dist, PRIOR_KINDS)}")
        centre_key, spread_key, transform = PRIOR_KINDS[dist]
        known = {"dist", centre_key, spread_key, "source"}
        for key in entry:
            if key not in known:
                raise ConfigError(f"{where}: a {dist} prior has no {key!r}{did_you_mean(key, known)}")
        try:
            if any(isinstance(entry[key], bool | str) for key in (centre_key, spread_key)):
                raise TypeError
            centre, spread = float(entry[centre_key]), float(entry[spread_key])
        except KeyError as missing:
            raise ConfigError(
                f"{where}: a {dist} prior needs {centre_key} and {spread_key}; {missing} is missing"
            ) from None
        except (TypeError, ValueError):
            raise ConfigError(
                f"{where}: {centre_key} and {spread_key} must be numbers; found "
                f"{entry[centre_key]!r} and {entry[spread_key]!r}"
            ) from None
        with np.errstate(all="ignore"):
            usable = np.isfinite(TO_FREE[transform](centre))
        if not usable or not 0 < spread < np.inf:
            raise ConfigError(
                f"{where}: a {dist} prior cannot have {centre_key} {centre:g} and {spread_key} {spread:g}"
            )
        return cls(dist, centre, spread, str(entry.get("source", "")))

    @property
    def transform(self) -> Transform:
        """The free scale on which the prior is normal."""
        return PRIOR_KINDS[self.dist][2]

    @property
    def location(self) -> float:
        """Mean on the free scale."""
        return float(TO_FREE[self.transform](self.centre))

    def as_scipy(self) -> Any:
        """Frozen SciPy distribution.

        Returns
        -------
        scipy.stats.rv_frozen
            On the natural scale; on the logit scale for a logitnormal.
        """
        from scipy import stats  # takes a second to import, which no command line should wait for

        if self.dist == "lognormal":
            return stats.lognorm(self.spread, scale=self.centre)
        return stats.norm(self.location, self.spread)

    def as_entry(self) -> dict[str, Any]:
        """The mapping that `Prior.of` reads.

        Returns
        -------
        dict
            With the keys of the kind of prior.
        """
        centre_key, spread_key, _ = PRIOR_KINDS[self.dist]
        return {"dist": self.dist, centre_key: self.centre, spread_key: self.spread, "source": self.source}

    def __str__(self) -> str:
        centre_key, spread_key, _ = PRIOR_KINDS[self.dist]
        return f"{self.dist}({centre_key} {self.centre:g}, {spread_key} {self.spread:.4g})"
