"""How the chains explored: effective sample size as draws came in, energy, and where a funnel is.

A funnel is where the spread of the random effects, ω, and the effects themselves shrink together: data that say little of a
parameter in single subjects allow an ω near 0, and there the effects have no room. Gradient samplers diverge in its neck.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from carkinetics.errors import ConfigError, FitError
from carkinetics.fit.result import Fit
from carkinetics.fit.variability import effect_draws

Floats = NDArray[np.float64]
# Where data determine the effects, their width is the same at every omega and its correlation with omega small.
FUNNEL_CORRELATION, FUNNEL_WIDENING = 0.8, 3.0
FIFTH = 0.2
# The mean of five ranks that are uniform has a standard deviation of 0.13.
FEWEST_PLACED, NECK = 5, 0.2
FEWEST = 20  # draws per chain for an effective sample size


def e_bfmi(energy: Floats) -> Floats:
    """Energy Bayesian fraction of missing information of each chain.

    Parameters
    ----------
    energy : ndarray, shape (n_chain, n_draw)
        Of a Hamiltonian sampler.

    Returns
    -------
    ndarray, shape (n_chain,)
        Mean squared change of the energy over its variance; below 0.3 the tails are not explored.

    References
    ----------
    .. [1] Betancourt M. arXiv:1604.00695.

    Examples
    --------
    >>> e_bfmi(np.array([[0.0, 1.0, 0.0, 1.0]])).tolist()
    [4.0]
    """
    return np.asarray((np.diff(energy, axis=1) ** 2).mean(axis=1) / energy.var(axis=1))


def ess_growth(fit: Fit, *, points: int = 12) -> pd.DataFrame:
    """Effective sample size of every population quantity in the first draws of each chain.

    Parameters
    ----------
    fit : Fit
        Hierarchical.
    points : int
        At how many lengths.

    Returns
    -------
    pandas.DataFrame
        ``parameter, draws`` (of all chains together), ``bulk, tail``. Sizes that grow in proportion to the draws are those
        of chains that mix; one that levels off belongs to chains that went somewhere new.

    Raises
    ------
    FitError
        If the fit has no posterior, or too short chains.
    ConfigError
        If ``points`` is below 2.

    References
    ----------
    .. [1] Vehtari A et al. Bayesian Anal 2021;16:667-718.
    """
    from arviz_stats.base import array_stats  # takes two seconds to import

    if points < 2:
        raise ConfigError(f"ess_growth: points is {points}; expected 2 or more")
    if "posterior" not in fit.tree:
        raise FitError(f"an {fit.method} fit has no posterior; use fit_hierarchical")
    posterior = fit.tree["posterior"].to_dataset()
    chains, total = posterior.sizes["chain"], posterior.sizes["draw"]
    if total < 2 * FEWEST:
        raise FitError(f"ess_growth: chains have {total} draws; expected {2 * FEWEST} or more")
    lengths = np.unique(np.linspace(max(FEWEST, total // points), total, points).astype(int))
    rows = []
    for name in _moving(fit):
        draws = posterior[name].transpose("chain", "draw").to_numpy()
        for length in lengths:
            bulk, tail = (
                float(array_stats.ess(draws[:, :length], method=method, prob=prob))
                for method, prob in (("bulk", None), ("tail", 0.05))
            )
            rows.append((name, int(length * chains), bulk, tail))
    return pd.DataFrame(rows, columns=["parameter", "draws", "bulk", "tail"])


def _moving(fit: Fit) -> list[str]:
    """Population quantities that are estimated."""
    posterior = fit.tree["posterior"].to_dataset()
    names = [str(name) for name in posterior.data_vars if posterior[name].dims == ("chain", "draw")]
    return [
        name for name in names if float(posterior[name].std()) > 1e-12 * abs(float(posterior[name].mean()))
    ]


def funnels(fit: Fit) -> pd.DataFrame:
    """Where the spread of a random effect and the effects shrink together.

    Parameters
    ----------
    fit : Fit
        Hierarchical, with random effects.

    Returns
    -------
    pandas.DataFrame
        Indexed by random parameter: ``correlation`` over draws of log ω with the log of the SD of the subjects' effects;
        ``subject``, whose effect the data tell least; ``widening``, the SD of its effect in the fifth of the draws with the
        largest ω over that in the fifth with the smallest; ``divergences`` and ``divergent_at``, the mean rank of ω among
        divergent draws (0 in the neck, 1 at the mouth, NaN without); ``funnel``: correlation above 0.8 and widening above 3.

    Raises
    ------
    FitError
        If the fit has no random effects.

    Notes
    -----
    A funnel is a matter of the data, not of the sampler: the structured sampler, and non-centred effects in NUTS, move in it
    freely. Divergences in its neck say that the draws there are too few.
    """
    effects = effect_draws(fit)
    if not effects:
        raise FitError(f"the fit of {fit.model.name} has no random effects")
    diverged = divergent_draws(fit)
    rows = {}
    for name, eta in effects.items():
        log_omega = np.log(
            fit.tree["posterior"][f"{name}_omega"].transpose("chain", "draw").to_numpy().ravel()
        )
        together = (
            float(np.corrcoef(log_omega, np.log(eta.std(axis=1)))[0, 1]) if eta.shape[1] > 1 else np.nan
        )
        low, high = np.quantile(log_omega, [FIFTH, 1 - FIFTH])
        least = least_told(eta)
        widening = float(eta[log_omega >= high, least].std() / eta[log_omega <= low, least].std())
        rank = log_omega.argsort().argsort() / max(len(log_omega) - 1, 1)
        rows[name] = {
            "correlation": together, "subject": fit.data.subject_ids[least], "widening": widening,
            "divergences": int(diverged.sum()),
            "divergent_at": float(rank[diverged].mean()) if diverged.any() else np.nan,
            "funnel": together > FUNNEL_CORRELATION and widening > FUNNEL_WIDENING,
        }  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("parameter")


def least_told(eta: Floats) -> int:
    """Position of the subject whose effect varies most from draw to draw.

    Parameters
    ----------
    eta : ndarray, shape (n_draws, n_subject)
        Random effects.

    Returns
    -------
    int
        Counted from 0.
    """
    return int(eta.std(axis=0).argmax())


def divergent_draws(fit: Fit) -> NDArray[np.bool_]:
    """Which draws, of all chains in turn, end a divergent trajectory.

    Parameters
    ----------
    fit : Fit
        Hierarchical.

    Returns
    -------
    ndarray of bool, shape (n_draws,)
        None where the sampler has no trajectories.
    """
    posterior = fit.tree["posterior"].to_dataset()
    if "sample_stats" not in fit.tree or "diverging" not in fit.tree["sample_stats"]:
        return np.zeros(posterior.sizes["chain"] * posterior.sizes["draw"], dtype=bool)
    flags = fit.tree["sample_stats"]["diverging"].transpose("chain", "draw")
    return np.asarray(flags.to_numpy().ravel(), dtype=bool)


def where_divergent(fit: Fit) -> str:
    """In the neck of which funnel divergent draws lie, in words.

    Parameters
    ----------
    fit : Fit
        Hierarchical.

    Returns
    -------
    str
        Empty where they are too few to have a place, or lie all over.
    """
    if not fit.settings.get("random") or divergent_draws(fit).sum() < FEWEST_PLACED:
        return ""
    table = funnels(fit)
    lowest = table["divergent_at"].idxmin()
    rank = float(table.loc[lowest, "divergent_at"])
    if rank > NECK:
        return ""
    return f"at a low {lowest}_omega (mean rank {rank:.2f} of 0 to 1 among all draws)"
