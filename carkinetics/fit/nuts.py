"""nutpie on the PyMC model: the general engine, from dispersed starts around an approximate fit.

Each random effect is sampled centred where the data determine it and as a standardised deviation where they do not.
"""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import logit

from carkinetics.errors import ConfigError, FitError
from carkinetics.fit.approximate import Approximation
from carkinetics.fit.failed import failed_solves
from carkinetics.fit.goal import Goal, Progress, how_far, progress_of
from carkinetics.fit.problem import Problem

if TYPE_CHECKING:
    from carkinetics.fit.precondition import Coupling

# A random effect is sampled centred when the data determine more than this share of its variance.
CENTRED_ABOVE = 0.5
# Solutions of differential equations bend more: shorter steps lose fewer trajectories.
TARGET_ACCEPT, TARGET_ACCEPT_ODE = 0.9, 0.95
MOST_DRAWS = 20_000
LOOK_EVERY = 5.0  # seconds


def choose_centred(problem: Problem, found: Approximation, asked: Iterable[str] | None) -> list[str]:
    """Random effects to sample centred: those asked for, or those that the data determine.

    Parameters
    ----------
    problem : Problem
        What is fitted.
    found : Approximation
        How much the data say about each random effect.
    asked : iterable of str or None
        The user's choice.

    Returns
    -------
    list of str
        Names, in the model's order.

    Raises
    ------
    ConfigError
        If a name has no random effect, or correlated effects are split.
    """
    if asked is not None:
        chosen = list(asked)
        for name in chosen:
            if name not in problem.random:
                raise ConfigError(
                    f"centred: {name} has no random effect; random is {', '.join(problem.random)}"
                )
        together = set(problem.correlated) & set(chosen)
        if together and together != set(problem.correlated):
            raise ConfigError(
                f"centred: the correlated {', '.join(problem.correlated)} go together; name all or none"
            )
        return chosen
    chosen = [name for name, share in found.information().items() if share > CENTRED_ABOVE]
    alone = [name for name in chosen if name not in problem.correlated]
    # Correlated effects are one block: centred if most of its members are determined by the data.
    most = 2 * (len(chosen) - len(alone)) > len(problem.correlated)
    return [name for name in problem.random if name in alone or (most and name in problem.correlated)]


@dataclasses.dataclass(frozen=True)
class NutsRun:
    """What nutpie returned, and how far it came.

    Parameters
    ----------
    tree : xarray.DataTree
        Groups ``posterior`` and ``sample_stats``.
    progress : Progress
        Of the population quantities.
    reached : bool
        Whether the goal was reached; also False where a fixed length was asked for and falls short of it.
    failed : dict
        Subjects whose equations could not be solved for proposals, warm-up included (`carkinetics.fit.failed`).
    """

    tree: xr.DataTree
    progress: Progress
    reached: bool
    failed: dict[str, Any] = dataclasses.field(default_factory=dict)


def sample_nuts(
    pymc_model: Any, problem: Problem, found: Approximation, goal: Goal, *, draws: int | None, tune: int, chains: int,
    cores: int, seed: int, target_accept: float, coupling: Coupling | None, say: Callable[[str], None],
    others: Mapping[str, NDArray[np.float64]] | None = None,
) -> NutsRun:  # fmt: skip
    """Compile and run nutpie, for a number of draws or until a goal is reached.

    Parameters
    ----------
    pymc_model : pymc.Model
        From `carkinetics.fit.graph.build_pymc_model`.
    problem, found : Problem, Approximation
        What is fitted, and where chains start.
    goal : Goal
        What to reach where no number of draws is given.
    draws, tune, chains, cores, seed, target_accept
        Of nutpie.
    coupling : Coupling or None
        To sample in coordinates in which population and subjects are less coupled.
    say : callable
        Is told what is being done.
    others : mapping of str to ndarray, optional
        Where variables start that the model has beside those of the problem.

    Returns
    -------
    NutsRun
        The draws.

    Raises
    ------
    FitError
        If the sampler could not start.
    """
    import nutpie

    from carkinetics.fit.precondition import precondition  # imports PyMC

    say("compiling the model for nutpie (some 10 to 30 seconds)")
    moved = precondition(pymc_model, coupling) if coupling else pymc_model
    compiled = nutpie.compile_pymc_model(moved)
    names = [variable.name for variable in moved.value_vars]

    def start(chain_seed: Any) -> NDArray[np.float64]:
        rng = np.random.default_rng(chain_seed)
        point = starting_point(problem, found, rng)
        point |= {name: at + 0.1 * rng.standard_normal(np.shape(at)) for name, at in (others or {}).items()}
        if coupling:
            point |= coupling.standardise(point)
        return np.concatenate([np.ravel(point[name]) for name in names])

    if len(start(0)) != compiled.n_dim:
        raise FitError(f"the starting point has {len(start(0))} numbers, the compiled model {compiled.n_dim}")
    compiled = dataclasses.replace(compiled, initial_point_func=start)
    length = f"{draws} draws" if draws else "draws until the goal is reached"
    say(f"nutpie: {chains} chains of {tune} + {length}, {compiled.n_dim} dimensions")
    asked = {
        "tune": tune, "chains": chains, "seed": seed, "progress_bar": False, "save_warmup": False,
        "target_accept": target_accept,
    }  # fmt: skip
    failures = problem.layout.failures
    failures[:] = 0.0
    try:
        if draws is not None:
            tree = nutpie.sample(compiled, draws=draws, cores=min(cores, chains), **asked)
        else:
            # All chains at a time: with fewer threads the last ones would only start when the first have ended.
            running = nutpie.sample(compiled, draws=MOST_DRAWS, cores=chains, blocking=False, **asked)
            tree = _until(running, problem, goal, say)
    except FitError:
        raise
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]  # below it stands a backtrace of another language
        raise FitError(
            f"nutpie stopped: {reason}{_where(failed_solves(problem, failures[:, 0], failures[:, 1:]))}"
        ) from error
    quality = progress_of(population_draws(problem, tree))
    failed = failed_solves(problem, failures[:, 0], failures[:, 1:])
    if coupling:
        own = {variable.name for variable in moved.free_RVs}
        kept = tree["posterior"].to_dataset().drop_vars(own)
        tree = xr.DataTree.from_dict({"posterior": kept, "sample_stats": tree["sample_stats"].to_dataset()})
    return NutsRun(tree, quality, quality.meets(goal), failed)


def _where(failed: dict[str, Any]) -> str:
    if not failed:
        return ""
    subject, entry = next(iter(failed.items()))
    values = ", ".join(f"{name} {value:.3g}" for name, value in entry["first"].items())
    return (
        f"; the equations could not be solved for {len(failed)} subjects, first for {subject} with {values}"
    )


def _until(running: Any, problem: Problem, goal: Goal, say: Callable[[str], None]) -> xr.DataTree:
    began, pause = time.monotonic(), LOOK_EVERY
    while True:
        time.sleep(min(pause, max(goal.seconds_left, 0.1)))
        finished = _is_finished(running)
        tree = None if finished else _quietly(running.inspect)
        if tree is not None:
            quality = progress_of(population_draws(problem, tree))
            if quality.meets(goal) or goal.seconds_left <= 0:
                break
            say(how_far(quality, goal, time.monotonic() - began))
        elif finished or goal.seconds_left <= 0:
            break
        pause = min(1.3 * pause, 60.0)
    tree = _quietly(running.wait if finished else running.abort)
    if tree is None:
        raise FitError(f"nutpie did not finish its warm-up within {goal.minutes:g} minutes")
    return tree


def _quietly(look: Callable[[], Any]) -> xr.DataTree | None:
    with warnings.catch_warnings():  # a run that has only begun has more chains than draws
        warnings.simplefilter("ignore", UserWarning)
        return _whole(look())


def _is_finished(running: Any) -> bool:
    try:
        return bool(running.is_finished)
    except TimeoutError:  # what nutpie 0.16 says of a sampler that is still running
        return False


def _whole(tree: xr.DataTree) -> xr.DataTree | None:
    """Draws that every chain has, or None before there are any: chains run at their own pace."""
    if tree is None or "posterior" not in tree or not tree["posterior"].data_vars:
        return None
    posterior = tree["posterior"].to_dataset()
    first = posterior[next(iter(posterior.data_vars))]
    there = first.notnull().all([d for d in first.dims if d not in ("chain", "draw")])
    n = int(there.sum("draw").min())
    if n < 20:
        return None
    parts = {
        name: tree[name].to_dataset().isel(draw=slice(None, n)) for name in ("posterior", "sample_stats")
    }
    return xr.DataTree.from_dict(parts)


def population_draws(problem: Problem, tree: xr.DataTree) -> NDArray[np.float64]:
    """Typical values, omegas, slopes and residual standard deviations, shape (n_chains, n_draws, n).

    Parameters
    ----------
    problem : Problem
        What is fitted.
    tree : xarray.DataTree
        With the group ``posterior``.

    Returns
    -------
    ndarray
        On the natural scale.
    """
    names = [f"{name}_typical" for name in problem.model.free_parameters]
    names += [f"{name}_omega" for name in problem.random]
    names += problem.slope_names + problem.sigma_names
    names += [problem.mixture.share_name] if problem.mixture else []
    posterior = tree["posterior"]
    columns = [posterior[name].transpose("chain", "draw").to_numpy()[:, :, None] for name in names]
    if problem.correlated:
        rows, cols = np.tril_indices(len(problem.correlated), -1)
        correlation = posterior["effect_correlation"].transpose("chain", "draw", ...).to_numpy()
        columns.append(correlation[:, :, rows, cols])
    return np.concatenate(columns, axis=2)


def starting_point(problem: Problem, found: Approximation, rng: np.random.Generator) -> dict[str, Any]:
    """A point near the approximate fit, wider than the posterior is likely to be.

    Parameters
    ----------
    problem : Problem
        What is fitted.
    found : Approximation
        Approximate fit.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    dict of str to ndarray
        On the sampler's scale, for every name that `build_pymc_model` may give a value variable: both the
        centred and the non-centred form of a random effect are there.
    """
    n = problem.n_subjects
    point: dict[str, Any] = {}
    location: dict[str, float] = {}
    omegas, slopes_found, modes, covariance = found.omega, found.slopes, found.modes, found.covariance
    for name, value in found.location.items():
        prior = problem.model.parameters[name].prior
        error = min(2 * omegas[name] / np.sqrt(n), prior.spread) if name in omegas else 0.1 * prior.spread
        location[name] = value + error * rng.standard_normal()
        point[f"{name}_location"] = location[name]
    slopes = {}
    for covariate in problem.covariates:
        slopes[covariate.name] = (
            slopes_found[covariate.name] + 0.1 * covariate.prior.spread * rng.standard_normal()
        )
        point[covariate.name] = slopes[covariate.name]
    mixture = problem.mixture
    if mixture:
        for name, shift in problem.shift_names.items():
            noise = 0.1 * mixture.shifts[name].spread * rng.standard_normal()
            point[shift] = slopes_found[shift] + noise
        point[f"{mixture.share_name}_location"] = logit(found.share) + 0.3 * rng.standard_normal()
    for name, value in found.sigmas.items():
        point[f"{name}_log__"] = np.log(value) + 0.1 * rng.standard_normal()
    omega = {name: max(value, 0.1) * np.exp(0.2 * rng.standard_normal()) for name, value in omegas.items()}
    for k, name in enumerate(problem.random):
        mean = location[name] + problem.shift(name, slopes)
        spread = np.sqrt(covariance[:, k, k])
        individual = modes[:, k] + spread * rng.standard_normal(n)
        point[f"{name}_omega_log__"] = np.log(omega[name])
        point[f"{name}_individual"] = individual
        point[f"{name}_z"] = (individual - mean) / omega[name]
    if mixture:
        together = problem.correlated or tuple(mixture.shifts)
        point["mixture_individual"] = np.column_stack([point[f"{name}_individual"] for name in together])
    if problem.correlated:
        point["effect_individual"] = np.column_stack(
            [point[f"{name}_individual"] for name in problem.correlated]
        )
        point["effect_z"] = np.column_stack([point[f"{name}_z"] for name in problem.correlated])
        point["effect_chol_cholesky-cov-packed__"] = _packed_diagonal(
            [omega[name] for name in problem.correlated]
        )
    return point


def _packed_diagonal(omega: list[float]) -> NDArray[np.float64]:
    """Uncorrelated effects in the packed lower triangle, the logs of the diagonal in it."""
    triangle = np.diag(np.log(omega))
    return triangle[np.tril_indices(len(omega))]
