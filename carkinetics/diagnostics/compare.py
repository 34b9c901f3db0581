"""Which of several models would have predicted a subject that it had not seen? Leave-one-subject-out, by PSIS.

The likelihood of a subject is averaged over its random effects: a subject that is left out has none. Conditional
likelihoods, one per observation, would ask how well a curve that was bent through a subject's points passes between
them, and their weights rarely have a usable Pareto k. For several models to be compared on one output, the subject's
other data (tumour, lymphocytes) are left out with it, and only the output is predicted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from carkinetics.errors import ConfigError, FitError
from carkinetics.fit.approximate import approximation_at, individual_gaussians
from carkinetics.fit.chosen import Draws, take_draws
from carkinetics.fit.effects import Coefficients, make_effects
from carkinetics.fit.em import laplace_em
from carkinetics.fit.hierarchical import problem_of
from carkinetics.fit.objective import subject_log_likelihood
from carkinetics.fit.pareto import GOOD_K
from carkinetics.fit.problem import Problem
from carkinetics.fit.result import Fit
from carkinetics.model.residual import RESIDUAL_ERRORS

Floats = NDArray[np.float64]
SEPARATED = 2.0  # standard errors


def loo(fit: Fit, *, output: str = "", n_draws: int = 400, n_inner: int = 200, seed: int = 1) -> pd.DataFrame:
    """Expected log predictive density of each subject when it is left out.

    Parameters
    ----------
    fit : Fit
        A hierarchical fit.
    output : str
        Whose data are predicted; the CAR-T level if empty.
    n_draws, n_inner : int
        Posterior draws, and draws of every subject's random effects at each of them.
    seed : int
        Of the choice of draws and of the inner ones.

    Returns
    -------
    pandas.DataFrame
        Indexed by subject: ``elpd``, ``k`` (Pareto's k of its weights; above 0.7 its ``elpd`` is unreliable) and
        ``n_obs``. Subjects without any observation of the output have ``elpd`` 0.

    Raises
    ------
    FitError
        If the fit is not a hierarchical one.
    ConfigError
        If there is no such output.

    References
    ----------
    Vehtari A, Gelman A, Gabry J. Practical Bayesian model evaluation using leave-one-out cross-validation and WAIC. Stat
    Comput 2017;27:1413-1432. Merkle EC, Furr D, Rabe-Hesketh S. Bayesian comparison of latent variable models. Psychometrika
    2019;84:802-829 (why the likelihood is the marginal one).
    """
    if fit.method != "hierarchical":
        raise FitError("loo needs the posterior of a hierarchical fit; use fit_hierarchical")
    wanted = fit.model.output(output).name
    whole = problem_of(fit)
    if wanted not in [one.output for one in whole.measured]:
        raise ConfigError(f"loo: output {wanted!r} was not fitted")
    draws = take_draws(
        fit, min(n_draws, fit.tree["posterior"].to_dataset().sizes["draw"] * fit.settings["chains"]), seed
    )
    left_out = _log_likelihood(whole, draws, n_inner, seed)
    part = whole if len(whole.measured) == 1 else problem_of(fit, wanted)
    predicted = left_out if part is whole else _log_likelihood(part, draws, n_inner, seed)
    count = part.observations.groupby("subject").size().reindex(part.data.subject_ids, fill_value=0)
    rows = [_psis(left_out[:, i], predicted[:, i]) for i in range(whole.n_subjects)]
    found = pd.DataFrame(rows, columns=["elpd", "k"], index=pd.Index(whole.data.subject_ids, name="subject"))
    return found.assign(n_obs=count.to_numpy()).assign(elpd=lambda t: t["elpd"].where(t["n_obs"] > 0, 0.0))


def compare(
    fits: Mapping[str, Fit], *, output: str = "", n_draws: int = 400, n_inner: int = 200, seed: int = 1
) -> pd.DataFrame:
    """Rank fits of the same observations by how well they predict a subject that is left out.

    Parameters
    ----------
    fits : mapping of str to Fit
        Hierarchical fits; the models may differ, the observations of the CAR-T level may not.
    output : str
        Whose data are predicted, by its name in every model; the CAR-T level of each if empty.
    n_draws, n_inner, seed : int
        As in `loo`.

    Returns
    -------
    pandas.DataFrame
        Indexed by name, best first: ``elpd, se, difference`` (to the best), ``difference_se``, ``verdict`` (``"best"``,
        ``"not separated"`` below 2 standard errors, ``"worse"``), ``largest_k, bad_k`` (subjects with k above 0.7).
        ``.attrs["subjects"]`` holds `loo` of every fit, side by side.

    Raises
    ------
    ConfigError
        If there are fewer than two fits, or they saw different observations or report densities on different scales.
    FitError
        If a fit is not a hierarchical one.
    """
    if len(fits) < 2:
        raise ConfigError("compare: give two fits or more, by name")
    _check_alike(fits, output)
    each = {
        name: loo(fit, output=output, n_draws=n_draws, n_inner=n_inner, seed=seed)
        for name, fit in fits.items()
    }
    return rank(each)


def rank(each: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Put models in order of how well they predict subjects that are left out.

    Parameters
    ----------
    each : mapping of str to pandas.DataFrame
        `loo` of the same subjects, by name.

    Returns
    -------
    pandas.DataFrame
        As `compare` returns it.
    """
    elpd = pd.DataFrame({name: table["elpd"] for name, table in each.items()})
    best, n = elpd.sum().idxmax(), len(elpd)
    behind = elpd.sub(elpd[best], axis=0)
    found = pd.DataFrame(
        {
            "elpd": elpd.sum(),
            "se": np.sqrt(n) * elpd.std(ddof=1),
            "difference": behind.sum(),
            "difference_se": np.sqrt(n) * behind.std(ddof=1),
            "largest_k": {name: table["k"].max() for name, table in each.items()},
            "bad_k": {name: int((table["k"] > GOOD_K).sum()) for name, table in each.items()},
        }
    ).sort_values("elpd", ascending=False)
    close = found["difference"].abs() < SEPARATED * found["difference_se"]
    found.insert(4, "verdict", np.where(close, "not separated", "worse"))
    found.loc[best, "verdict"] = "best"
    found.attrs["subjects"] = pd.concat(each, axis=1)
    return found


def _check_alike(fits: Mapping[str, Fit], output: str) -> None:
    (first, one), *others = fits.items()
    for name, fit in fits.items():
        if fit.method != "hierarchical":
            raise FitError(f"compare: {name} is an individual fit; use fit_hierarchical")
    for name, other in others:
        a, b = (_rows(fit, output) for fit in (one, other))
        if len(a) != len(b) or not (a == b).all(axis=None):
            raise ConfigError(
                f"compare: {first} was fitted to {len(a)} observations of this output and {name} to {len(b)}, or to other "
                "values; fit both to the same data"
            )
        errors = [fit.settings["errors"][fit.model.output(output).name] for fit in (one, other)]
        if len({RESIDUAL_ERRORS[error].log_scale for error in errors}) > 1:
            raise ConfigError(
                f"compare: the residual errors of {first} ({errors[0]}) and {name} ({errors[1]}) are on different scales, "
                "so their densities are not comparable; fit both with errors on the log scale, or both without"
            )


def _rows(fit: Fit, output: str) -> pd.DataFrame:
    assay = fit.settings["assays"][fit.model.output(output).name]
    rows = fit.observations[fit.observations["assay"] == assay]
    rows = rows.sort_values(["subject", "time"], kind="stable")[
        ["subject", "time", "value", "lower", "upper"]
    ]
    return rows.reset_index(drop=True).fillna(-1.0)


def _log_likelihood(problem: Problem, draws: Draws, n_inner: int, seed: int) -> Floats:
    """Log-likelihood of every subject at every draw, shape (n_draws, n_subject)."""
    effects, model = make_effects(problem), problem.model
    values = {name: model.parameters[name].to_free(draws.typical[name]) for name in model.free_parameters}
    values |= draws.slopes
    sd = (
        np.column_stack([draws.omega[name] for name in problem.random])
        if problem.random
        else np.empty((0, 0))
    )
    modes = laplace_em(problem).modes
    found = np.empty((len(next(iter(values.values()))), problem.n_subjects))
    for s in range(len(found)):
        between = _between(problem, draws, s, sd)
        state = approximation_at(
            problem, _at(effects.mean, values, s), _at(effects.shared, values, s), between,
            np.array([draws.sigmas[name][s] for name in problem.sigma_names]), modes,
        )  # fmt: skip
        if problem.mixture is None:
            found[s], _ = subject_log_likelihood(individual_gaussians(state), n_inner, seed)
            continue
        of_class = []
        for member, share in ((0.0, 1 - draws.share[s]), (1.0, draws.share[s])):
            effects_there = state.effects.with_membership(np.full(problem.n_subjects, member))
            there = individual_gaussians(replace(state, effects=effects_there))
            of_class.append(np.log(share) + subject_log_likelihood(there, n_inner, seed)[0])
        found[s] = np.logaddexp(*of_class)
    return found


def _at(coefficients: Coefficients, values: Mapping[str, Floats], s: int) -> Floats:
    return np.array([values[name][s] for name in coefficients.names], dtype=float)


def _between(problem: Problem, draws: Draws, s: int, sd: Floats) -> Floats:
    q = len(problem.random)
    correlation = np.eye(q)
    block = [problem.random.index(name) for name in draws.correlated]
    if block:
        correlation[np.ix_(block, block)] = draws.correlation[s]
    return correlation * np.outer(sd[s], sd[s]) if q else np.empty((0, 0))


def _psis(left_out: Floats, predicted: Floats) -> tuple[float, float]:
    """Expected log density of ``predicted`` without the subject, whose log-likelihood is ``left_out``."""
    from arviz_stats.base import array_stats  # takes two seconds to import

    usable = np.isfinite(left_out) & np.isfinite(predicted)
    if usable.sum() < 20:
        return -np.inf, np.inf
    log_weight, k = array_stats.psislw(left_out[usable])
    log_weight = log_weight - np.logaddexp.reduce(log_weight)
    return float(np.logaddexp.reduce(log_weight + predicted[usable])), float(k)
