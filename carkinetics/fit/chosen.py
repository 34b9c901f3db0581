"""Some posterior draws of a fit, chosen at random, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from carkinetics.errors import ConfigError, FitError
from carkinetics.fit.measured import measured_outputs
from carkinetics.fit.result import Fit
from carkinetics.model.mixture import Mixture

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Draws:
    """Some posterior draws of a hierarchical fit, as arrays.

    Parameters
    ----------
    typical : dict of str to ndarray, shape (n_draws,)
        Every parameter of the model, the fixed ones too.
    omega : dict of str to ndarray, shape (n_draws,)
        Between-subject standard deviations of the random parameters.
    slopes : dict of str to ndarray, shape (n_draws,)
        Covariate slopes, and shifts of a class, by name.
    individual : dict of str to ndarray, shape (n_draws, n_subject)
        Parameters that differ between subjects.
    sigmas : dict of str to ndarray, shape (n_draws,)
        Residual standard deviations of all fitted outputs, by their names in the fit.
    correlated : tuple of str
        Parameters whose random effects are correlated.
    correlation : ndarray, shape (n_draws, n_correlated, n_correlated)
        Their correlation matrices.
    mixture : Mixture or None
        Two classes of subjects.
    share : ndarray, shape (n_draws,)
        Of the second class; 0 without classes.
    member : ndarray, shape (n_draws, n_subject)
        Probability of the fitted subjects to be of the second class at the draw; of no subjects without classes.
    """

    typical: dict[str, Floats]
    omega: dict[str, Floats]
    slopes: dict[str, Floats]
    individual: dict[str, Floats]
    sigmas: dict[str, Floats]
    correlated: tuple[str, ...]
    correlation: Floats
    mixture: Mixture | None
    share: Floats
    member: Floats


def take_draws(fit: Fit, n_draws: int | None, seed: int) -> Draws:
    """Choose posterior draws at random and hold them as arrays.

    Parameters
    ----------
    fit : Fit
        A fit with a posterior.
    n_draws : int or None
        How many; beyond what the posterior holds, draws are used again. None for all.
    seed : int
        Seed of the choice.

    Returns
    -------
    Draws
        The chosen draws.

    Raises
    ------
    FitError
        If the fit has no posterior.
    ConfigError
        If ``n_draws`` is below 1.
    """
    posterior = stacked_posterior(fit)
    chosen = choose_draws(fit, n_draws, seed)
    posterior = posterior.isel(sample=chosen)

    def values(name: str) -> Floats:
        return posterior[name].transpose("sample", ...).to_numpy().astype(float)

    typical = {}
    for name, parameter in fit.model.parameters.items():
        known = f"{name}_typical" in posterior
        typical[name] = values(f"{name}_typical") if known else np.full(len(chosen), parameter.typical)
    correlated: tuple[str, ...] = ()
    correlation = np.zeros((len(chosen), 0, 0))
    if "effect_correlation" in posterior:
        correlated = tuple(str(name) for name in posterior["effect"].to_numpy())
        correlation = values("effect_correlation")
    mixture = fit.mixture
    shifts = [mixture.shift_name(name) for name in mixture.shifts] if mixture else []
    return Draws(
        typical=typical,
        omega={name: values(f"{name}_omega") for name in fit.settings.get("random", [])},
        slopes={
            name: values(name) for name in [*(c["name"] for c in fit.settings.get("covariates", [])), *shifts]
        },
        individual={name: values(name) for name in fit.model.parameters if name in posterior},
        sigmas={name: values(name) for one in measured_outputs(fit) for name in one.sigmas},
        correlated=correlated,
        correlation=correlation,
        mixture=mixture,
        share=values(mixture.share_name) if mixture else np.zeros(len(chosen)),
        member=values(mixture.name) if mixture and mixture.name in posterior else np.zeros((len(chosen), 0)),
    )


def choose_draws(fit: Fit, n_draws: int | None, seed: int) -> NDArray[np.intp]:
    """Positions of the draws that `take_draws` takes, among those of all chains in turn.

    Parameters
    ----------
    fit, n_draws, seed
        As of `take_draws`.

    Returns
    -------
    ndarray of int, shape (n_draws,)
        Ascending, as long as there are enough.
    """
    total = stacked_posterior(fit).sizes["sample"]
    return np.arange(total) if n_draws is None else _choose(total, n_draws, seed)


def stacked_posterior(fit: Fit) -> xr.Dataset:
    """Draws of all chains in turn, along ``sample``.

    Parameters
    ----------
    fit : Fit
        A fit with a posterior.

    Returns
    -------
    xarray.Dataset
        Of the posterior.

    Raises
    ------
    FitError
        If there is none.
    """
    if "posterior" not in fit.tree:
        raise FitError(f"an {fit.method} fit has no posterior; use fit_hierarchical")
    return fit.tree["posterior"].to_dataset().stack(sample=("chain", "draw"), create_index=False)


def _choose(total: int, n: int, seed: int) -> NDArray[np.intp]:
    if n < 1:
        raise ConfigError(f"number of draws is {n}; expected at least 1")
    rng = np.random.default_rng(seed)
    rounds = [np.sort(rng.permutation(total)[: min(total, n - start)]) for start in range(0, n, total)]
    return np.concatenate(rounds)
