"""Who could be treated: the kinetics and the covariates of virtual patients."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from carkinetics.errors import ConfigError, did_you_mean
from carkinetics.escalation.arguments import number, whole
from carkinetics.exposure.curve_metrics import areas, peak
from carkinetics.fit.chosen import Draws, take_draws
from carkinetics.fit.covariate import covariate_values
from carkinetics.fit.result import Fit
from carkinetics.model.course import Course
from carkinetics.model.residual import residual_error
from carkinetics.model.solve import complete_values, curve
from carkinetics.model.spec import Model
from carkinetics.trial.settings import refuse_slopes

Floats = NDArray[np.float64]
KINDS = ("lognormal", "normal", "share", "choice")


@dataclass(frozen=True)
class Covariate:
    """How a covariate is spread over patients.

    Parameters
    ----------
    kind : {"lognormal", "normal", "share", "choice"}
        ``lognormal`` by ``median`` and ``sigma``, ``normal`` by ``mean`` and ``sd``, ``share`` of patients with a 1 instead of a 0,
        ``choice`` of words by their ``shares``.
    median, sigma, mean, sd, share : float
        What the kind needs.
    shares : mapping of str to float
        Probability by word; they sum to 1.
    least, most : float
        Values outside are moved to these limits.
    digits : int or None
        Decimals that are kept.
    source : str
        Where the numbers come from.
    """

    kind: str
    median: float = np.nan
    sigma: float = np.nan
    mean: float = np.nan
    sd: float = np.nan
    share: float = np.nan
    shares: Mapping[str, float] = field(default_factory=dict)
    least: float = -np.inf
    most: float = np.inf
    digits: int | None = None
    source: str = ""

    def __post_init__(self) -> None:
        needs = {
            "lognormal": ("median", "sigma"), "normal": ("mean", "sd"), "share": ("share",), "choice": ("shares",)
        }  # fmt: skip
        if not isinstance(self.kind, str) or self.kind not in needs:
            raise ConfigError(f"covariate: kind is {self.kind!r}{did_you_mean(str(self.kind), KINDS)}")
        bounds: dict[str, dict[str, float]] = {
            "median": {"above": 0}, "sigma": {"least": 0}, "sd": {"least": 0}, "share": {"least": 0, "most": 1}
        }  # fmt: skip
        for name in needs[self.kind]:
            if name != "shares":
                number(getattr(self, name), f"{name} of a {self.kind}", "covariate", **bounds.get(name, {}))
        if self.kind == "choice":
            refuse_slopes(self.shares, "covariate: shares")
            if min(self.shares.values(), default=0) < 0 or abs(sum(self.shares.values()) - 1) > 1e-9:
                raise ConfigError(
                    f"covariate: shares is {self.shares!r}; expected probabilities that sum to 1"
                )
        if self.digits is not None:
            whole(self.digits, "digits", "covariate", least=0, most=12)
        if (
            not all(isinstance(end, numbers.Real) for end in (self.least, self.most))
            or not self.least < self.most
        ):
            raise ConfigError(
                f"covariate: least is {self.least!r}, most {self.most!r}; expected least below most"
            )

    def values(self, uniform: Floats) -> NDArray[Any]:
        """One value for each number between 0 and 1.

        Parameters
        ----------
        uniform : ndarray
            Those numbers.

        Returns
        -------
        ndarray
            Values of the same shape: the covariate's quantiles.
        """
        if self.kind == "choice":
            edges = np.cumsum(list(self.shares.values()))
            return np.array(list(self.shares), dtype=object)[
                np.searchsorted(edges[:-1], uniform, side="right")
            ]
        if self.kind == "share":
            return (uniform < self.share).astype(int)
        normal = stats.norm.ppf(uniform)
        drawn = (
            self.median * np.exp(self.sigma * normal)
            if self.kind == "lognormal"
            else self.mean + self.sd * normal
        )
        drawn = np.clip(drawn, self.least, self.most)
        if self.digits is None:
            return drawn
        return np.round(drawn, self.digits).astype(int if self.digits == 0 else float)


@dataclass(frozen=True, eq=False)
class Population:
    """Kinetics of the patients who could be treated.

    Parameters
    ----------
    kinetics : Model or Fit
        A library model: its typical values and spread, the same in every trial. A hierarchical fit: every trial has a
        population of its own, one draw of the posterior, so that what is not known of it is part of the result.
    typical, omega : mapping, optional
        What differs from a model's typical values and between-subject standard deviations (free scale).
    effects : mapping of str to mapping of str to float, optional
        With a model: parameter, then a text over covariates and ``dose``, then the slope on the free scale, for
        instance ``{"cmax": {"log(dose / 1e6)": 0.3}}``. A fit brings its own.
    sigma : float, optional
        Residual standard deviation of the CAR-T level; the model's typical one, or the fit's draws, if not given.
    source : str
        Where the numbers come from.

    Raises
    ------
    ConfigError
        If a name is unknown, or settings of a model are given beside a fit.
    """

    kinetics: Model | Fit
    typical: Mapping[str, float] = field(default_factory=dict)
    omega: Mapping[str, float] = field(default_factory=dict)
    effects: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    sigma: float | None = None
    source: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.kinetics, (Model, Fit)):
            raise ConfigError(f"kinetics is {self.kinetics!r}; expected a Model or a Fit")
        if isinstance(self.kinetics, Fit):
            given = [name for name in ("typical", "omega", "effects") if getattr(self, name)]
            if given:
                raise ConfigError(
                    f"kinetics is a fit, which brings its own {', '.join(given)}; leave them out"
                )
        else:
            for name in ("typical", "omega"):
                refuse_slopes(getattr(self, name), name)
            complete_values(self.model, {**self.typical, **self.omega})
            for name, value in self.typical.items():
                with np.errstate(all="ignore"):
                    inside = name not in self.model.parameters or np.isfinite(
                        self.model.parameters[name].to_free(value)
                    )
                if not inside:
                    raise ConfigError(f"typical: {name} is {value!r}, which {self.model.name} cannot have")
            for name, value in self.omega.items():
                number(value, f"omega of {name}", "kinetics", least=0)
        if not isinstance(self.effects, Mapping):
            raise ConfigError(f"effects is {self.effects!r}; expected slopes by parameter and text")
        for name in self.effects:
            if name not in self.model.parameters:
                raise ConfigError(
                    f"effects: {self.model.name} has no parameter {name!r}{did_you_mean(name, self.model.parameters)}"
                )
            refuse_slopes(self.effects[name], f"effects: {name}")
        if self.sigma is not None:
            number(self.sigma, "sigma", "kinetics", above=0)

    @property
    def model(self) -> Model:
        """What predicts."""
        return self.kinetics if isinstance(self.kinetics, Model) else self.kinetics.model

    @cached_property
    def random(self) -> tuple[str, ...]:
        """Parameters that differ between patients beyond their covariates."""
        if isinstance(self.kinetics, Fit):
            return tuple(self.kinetics.settings["random"])
        return tuple(
            name
            for name, parameter in self.model.parameters.items()
            if self.omega.get(name, 0.0 if parameter.fixed else parameter.omega or 0.0) > 0
        )

    @cached_property
    def texts(self) -> list[tuple[str, str, float, str | float]]:
        """Covariate effects: parameter, text, centre, and the slope or its name in the posterior."""
        if isinstance(self.kinetics, Fit):
            return [
                (entry["parameter"], entry["text"], float(entry["centre"]), str(entry["name"]))
                for entry in self.kinetics.settings.get("covariates", [])
            ]
        return [(name, text, 0.0, slope) for name, own in self.effects.items() for text, slope in own.items()]

    @property
    def depends_on_dose(self) -> bool:
        """Whether the dose moves anything."""
        read = any(entry.column == "dose" for entry in self.model.inputs.values())
        return bool(self.model.infused) or read or any("dose" in text for _, text, _, _ in self.texts)

    @cached_property
    def draws(self) -> Draws | None:
        """All posterior draws of a fit; None for a model."""
        return take_draws(self.kinetics, None, 0) if isinstance(self.kinetics, Fit) else None

    def draw_for(self, rng: np.random.Generator) -> int:
        """Which posterior draw is the population of a trial.

        Parameters
        ----------
        rng : numpy.random.Generator
            Of the trial.

        Returns
        -------
        int
            Its position; 0 for a model.
        """
        return 0 if self.draws is None else int(rng.integers(len(next(iter(self.draws.typical.values())))))

    def parameters(
        self, frame: pd.DataFrame, luck: Mapping[str, Floats], draw: NDArray[np.intp]
    ) -> dict[str, Floats]:
        """Parameters of patients.

        Parameters
        ----------
        frame : pandas.DataFrame
            Their covariates and ``dose``.
        luck : mapping of str to ndarray, shape (n_patients,)
            Standard normals ``eta_NAME`` and the uniform ``member``.
        draw : ndarray of int, shape (n_patients,)
            The posterior draw that is the population each comes from.

        Returns
        -------
        dict of str to ndarray, shape (n_patients,)
            Every parameter and input of the model, natural scale.
        """
        n, model, draws = len(frame), self.model, self.draws
        centre, omega = self._centre(n, draw)
        free = {name: model.parameters[name].to_free(value) for name, value in centre.items()}
        for name, text, middle, slope in self.texts:
            by = draws.slopes[str(slope)][draw] if draws is not None else float(slope)
            free[name] = free[name] + by * (covariate_values(frame, text, f"effects.{name}") - middle)
        mixture = model.mixture if draws is None else draws.mixture
        if mixture is not None:
            share = mixture.share.centre if draws is None else draws.share[draw]
            member = luck["member"] < share
            for name, prior in mixture.shifts.items():
                shift = prior.centre if draws is None else draws.slopes[mixture.shift_name(name)][draw]
                free[name] = free[name] + shift * member
        for name, eta in self._etas(luck, draw).items():
            free[name] = free[name] + omega[name] * eta
        values = {
            name: np.asarray(model.parameters[name].from_free(x), dtype=float) for name, x in free.items()
        }
        for name, entry in model.inputs.items():
            read = entry.column in frame  # "" is no column
            values[name] = frame[entry.column].to_numpy(float) if read else np.full(n, float(entry.default))
        return values

    def _centre(self, n: int, draw: NDArray[np.intp]) -> tuple[dict[str, Floats], dict[str, Any]]:
        """Typical values and between-subject standard deviations, one per patient."""
        if self.draws is not None:
            typical = {name: self.draws.typical[name][draw] for name in self.model.parameters}
            return typical, {name: omega[draw] for name, omega in self.draws.omega.items()}
        known = complete_values(self.model, self.typical)
        typical = {name: np.full(n, float(known[name])) for name in self.model.parameters}
        return typical, {
            name: self.omega.get(name, self.model.parameters[name].omega) for name in self.random
        }

    def _etas(self, luck: Mapping[str, Floats], draw: NDArray[np.intp]) -> dict[str, Floats]:
        etas, draws = {name: luck[f"eta_{name}"] for name in self.random}, self.draws
        if draws is not None and draws.correlated:
            factor = np.linalg.cholesky(draws.correlation)[draw]
            together = np.einsum(
                "nij,nj->ni", factor, np.stack([etas[name] for name in draws.correlated], axis=-1)
            )
            etas |= {name: together[:, i] for i, name in enumerate(draws.correlated)}
        return etas

    def sigmas(self, draw: NDArray[np.intp]) -> dict[str, Any]:
        """Residual standard deviations of the CAR-T level.

        Parameters
        ----------
        draw : ndarray of int, shape (n_patients,)
            As in `parameters`.

        Returns
        -------
        dict of str to float or ndarray, shape (n_patients, 1)
            By the names of the error model.
        """
        error = residual_error(self.model.error)
        if self.draws is None or self.sigma is not None:
            return dict.fromkeys(error.parameters, self.model.residual if self.sigma is None else self.sigma)
        return {name: self.draws.sigmas[name][draw][:, None] for name in error.parameters}

    def exposures(self, values: Mapping[str, Floats], dose: Floats) -> dict[str, Floats]:
        """Exposure of the true curve.

        Parameters
        ----------
        values : mapping of str to ndarray, shape (n_patients,)
            From `parameters`.
        dose : ndarray, shape (n_patients,)
            Dose of each.

        Returns
        -------
        dict of str to ndarray, shape (n_patients,)
            ``cmax``, ``tmax`` (days) and ``auc_0_28``.
        """

        def one(own: dict[str, Floats], course: Course) -> tuple[Floats, ...]:
            return *peak(self.model, own, course), areas(self.model, own, [28.0], course=course)[0]

        return dict(zip(("cmax", "tmax", "auc_0_28"), self._by_dose(values, dose, one), strict=True))

    def levels(self, days: Floats, values: Mapping[str, Floats], dose: Floats) -> Floats:
        """True level.

        Parameters
        ----------
        days : ndarray, shape (n_patients, n_days)
            When.
        values : mapping of str to ndarray, shape (n_patients,)
            From `parameters`.
        dose : ndarray, shape (n_patients,)
            Dose of each.

        Returns
        -------
        ndarray, shape (n_patients, n_days)
            In the unit of the model; 0 before the infusion.
        """

        def one(own: dict[str, Floats], course: Course, day: Floats) -> tuple[Floats]:
            columns = {name: value[:, None] for name, value in own.items()}
            return (curve(self.model, day, columns, infusions=course.infusions),)

        return self._by_dose(values, dose, one, days)[0]

    def _by_dose(
        self, values: Mapping[str, Floats], dose: Floats, compute: Any, *more: Floats
    ) -> tuple[Floats, ...]:
        """All at once, or dose by dose where the dose is infused into a state."""
        if not self.model.infused:
            return compute(dict(values), Course(self.model.infusions), *more)
        parts: tuple[Floats, ...] = ()
        for amount in np.unique(dose):
            at = dose == amount
            found = compute(
                {name: value[at] for name, value in values.items()}, Course(((0.0, float(amount)),)), *(x[at] for x in more)
            )  # fmt: skip
            parts = parts or tuple(np.empty((len(dose), *one.shape[1:])) for one in found)
            for all_of_it, one in zip(parts, found, strict=True):
                all_of_it[at] = one
        return parts
