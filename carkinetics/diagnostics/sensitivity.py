"""What would a little more, or less, of the prior or of the data change? Power-scaling, without a new fit.

The prior of all population values, or the likelihood of all subjects, is raised to a power near 1 by importance weights, and
the distance that each marginal posterior moves is measured (the cumulative Jensen-Shannon distance per doubling of the
power, arviz-stats). A quantity that moves with its prior and not with the data is one that the data do not inform; one that
moves with both may be torn between them.

The likelihood is the marginal one, averaged over each subject's random effects. Raising the conditional one would also ask
how well curves pass through points, which says nothing of the population, and its many terms drown the answer in noise:
the noise of a sensitivity grows with the spread of what is scaled and falls with the square root of the number of draws.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from carkinetics.diagnostics.contraction import (
    TOO_WIDE,
    UNTOLD,
    compared_draws,
    contraction,
    contraction_words,
)
from carkinetics.diagnostics.diagnose import diagnose
from carkinetics.diagnostics.marginal import marginal_log_likelihood
from carkinetics.errors import ConfigError, FitError, did_you_mean
from carkinetics.fit.chosen import choose_draws, take_draws
from carkinetics.fit.hierarchical import problem_of
from carkinetics.fit.log_prior import population_log_prior
from carkinetics.fit.result import Fit

Floats = NDArray[np.float64]
SENSITIVE = 0.05  # Kallioinen et al. 2024; a normal mean that the data alone determine has about 0.08
ALPHAS = (0.99, 1.01)
KINDS = ("marginal", "conditional")
SHUFFLES, NOISE_QUANTILE = 20, 0.9
PULLED, PRIOR_MOVES = "possible prior-data conflict", "its prior moves it"
NEITHER_MOVES, BELOW_NOISE = "neither moves it", "below the noise of the draws"
RESERVATIONS = (PULLED, PRIOR_MOVES, NEITHER_MOVES, BELOW_NOISE)


def prior_sensitivity(
    fit: Fit,
    *,
    likelihood: str = "marginal",
    threshold: float = SENSITIVE,
    n_draws: int = 1000,
    n_inner: int = 100,
    seed: int = 1,
) -> pd.DataFrame:
    """How much each population quantity depends on the priors, and how much on the data.

    Parameters
    ----------
    fit : Fit
        Hierarchical.
    likelihood : {"marginal", "conditional"}
        Averaged over each subject's random effects (some seconds per 100 draws), or the stored one at each subject's own
        parameters (at once, but with more noise; see the module).
    threshold : float
        From here on a quantity is called sensitive.
    n_draws, n_inner : int
        Posterior draws for the marginal likelihood, and draws of every subject's random effects at each of them.
    seed : int
        Of the choice of draws and of the inner ones.

    Returns
    -------
    pandas.DataFrame
        Indexed by population quantity, positive ones compared as logs: ``prior`` and ``likelihood`` (sensitivities), ``strongest_prior`` and ``by_it`` (the
        single prior that moves it most, and how much), ``contraction`` (see `carkinetics.diagnostics.contraction`) and
        ``words`` (see `sensitivity_words`). ``.attrs``: ``likelihood, threshold, n_draws`` and ``noise_prior, noise_likelihood``, below which nine in
        ten sensitivities lie where there is none; ``words`` count what exceeds both the threshold and this; ``converged``,
        whether the fit did.

    Raises
    ------
    FitError
        If the fit is not a hierarchical one.
    ConfigError
        If ``likelihood`` is something else, or ``threshold`` is not above 0.

    References
    ----------
    .. [1] Kallioinen N, Paananen T, Bürkner PC, Vehtari A. Stat Comput 2024;34:57.
    """
    if fit.method != "hierarchical":
        raise FitError("prior_sensitivity needs the posterior of a hierarchical fit; use fit_hierarchical")
    if likelihood not in KINDS or not threshold > 0:
        raise ConfigError(
            f"prior_sensitivity: likelihood is {likelihood!r}{did_you_mean(likelihood, KINDS)}; threshold {threshold!r} (above 0)"
        )
    learnt, posterior = contraction(fit), fit.tree["posterior"].to_dataset()
    draws = {name: after for name, (_, after) in compared_draws(fit).items()}
    names, values = list(draws), np.column_stack(list(draws.values()))
    terms = population_log_prior(problem_of(fit), posterior)
    prior = {str(name): terms[name].to_numpy().ravel() for name in terms.data_vars}
    rows, log_likelihood = _log_likelihood(fit, likelihood, n_draws, n_inner, seed)
    rng = np.random.default_rng(seed)
    whole = np.sum(list(prior.values()), axis=0)
    found = pd.DataFrame(
        {"prior": power_scaling(values, whole), "likelihood": power_scaling(values[rows], log_likelihood)},
        index=pd.Index(names, name="parameter"),
    )
    each = pd.DataFrame({name: power_scaling(values, term) for name, term in prior.items()}, index=names)
    found["strongest_prior"], found["by_it"] = each.idxmax(axis=1), each.max(axis=1)
    found["contraction"] = learnt["contraction"]
    noise = _noise(values, whole, rng), _noise(values[rows], log_likelihood, rng)
    limits = [max(threshold, one) for one in noise]
    found["words"] = [
        sensitivity_words(p >= limits[0], y >= limits[1], share, detectable=noise[1] <= threshold)
        for p, y, share in zip(found["prior"], found["likelihood"], found["contraction"], strict=True)
    ]
    found.attrs = {
        "likelihood": likelihood, "threshold": threshold, "n_draws": len(rows), "noise_prior": noise[0],
        "noise_likelihood": noise[1], "converged": bool(diagnose(fit).attrs["converged"]),
    }  # fmt: skip
    return found


def _log_likelihood(
    fit: Fit, kind: str, n_draws: int, n_inner: int, seed: int
) -> tuple[NDArray[np.intp], Floats]:
    """Which draws, and the log-likelihood of all subjects at each."""
    if kind == "conditional":
        stored = fit.tree["log_likelihood"]["subject"]
        found = stored.transpose("chain", "draw", ...).to_numpy().sum(axis=-1).ravel()
        return np.arange(len(found)), found
    total = int(np.prod([fit.tree["posterior"].sizes[dim] for dim in ("chain", "draw")]))
    n = min(n_draws, total)
    # Weights are made of differences between draws.
    each = marginal_log_likelihood(problem_of(fit), take_draws(fit, n, seed), n_inner, seed, common=True)
    return choose_draws(fit, n, seed), each.sum(axis=1)


def power_scaling(values: Floats, component: Floats) -> Floats:
    """Distance that each marginal distribution moves when one factor of the density is raised to a power.

    Parameters
    ----------
    values : ndarray, shape (n_draws, n_quantities)
        Draws.
    component : ndarray, shape (n_draws,)
        Log of the factor at each draw.

    Returns
    -------
    ndarray, shape (n_quantities,)
        Cumulative Jensen-Shannon distance per doubling of the power, at 1.

    Raises
    ------
    FitError
        If the log density is not finite at a draw.
    """
    from arviz_stats.base import array_stats  # takes two seconds to import

    if not np.isfinite(component).all():
        bad = int((~np.isfinite(component)).sum())
        raise FitError(f"power scaling: the log density is not finite at {bad} of {len(component)} draws")
    if not np.ptp(component) > 0:
        return np.zeros(values.shape[1])
    weights = []
    for alpha in ALPHAS:
        try:
            log_weight = array_stats.power_scale_lw(component[None], alpha=alpha, axis=(-2, -1))
        except (
            ValueError
        ):  # the largest weights are all the same, as where nothing is quantified: there is no tail to smooth
            log_weight = (alpha - 1) * component[None]
        weight = np.exp(log_weight - log_weight.max())
        weights.append(weight / weight.sum())
    # The distance does not change with scale, and its integrals lose digits on numbers of 1e4 beside some of 1e-3.
    scale = np.where(np.ptp(values, axis=0) > 0, values.std(axis=0), 1.0)
    return np.array(
        [float(array_stats.power_scale_sense(x[None], *weights, *ALPHAS)) for x in (values / scale).T]
    )


def _noise(values: Floats, component: Floats, rng: np.random.Generator) -> float:
    """Sensitivity that is exceeded once in ten where there is none: the component is dealt out to other draws."""
    chosen = values[:, rng.integers(0, values.shape[1], SHUFFLES)]
    each = [power_scaling(chosen[:, [k]], rng.permutation(component))[0] for k in range(SHUFFLES)]
    return float(np.quantile(each, NOISE_QUANTILE))


def sensitivity_words(prior: bool, likelihood: bool, share: float, *, detectable: bool = True) -> str:
    """Diagnosis in words, which begin with those of the contraction: it is told by all draws, a sensitivity by their tails.

    Parameters
    ----------
    prior, likelihood : bool
        Whether the quantity is sensitive to it.
    share : float
        Contraction; below 0.1 the posterior is as wide as the prior, whatever its slope elsewhere.
    detectable : bool
        Whether a sensitivity to the data at the threshold exceeds the noise of the draws; if not, none says nothing.

    Returns
    -------
    str
        ``"informed"`` or ``"weakly informed"``, alone where the data move the quantity, and else with a reservation of `RESERVATIONS`;
        or ``"not informed by the data"``, ``"wider than its prior"``.
    """
    words = contraction_words(share)
    if words in (UNTOLD, TOO_WIDE) or (likelihood and not prior):
        return words
    if prior:
        return f"{words}; {PULLED if likelihood else PRIOR_MOVES}"
    return f"{words}; {NEITHER_MOVES if detectable else BELOW_NOISE}"
