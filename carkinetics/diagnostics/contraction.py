"""How much narrower the posterior of a population quantity is than its prior."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logit

from carkinetics.errors import FitError
from carkinetics.fit.result import Fit

# Contraction is 1 - posterior / prior variance. Below 0.75 the posterior SD is more than half of the prior's.
NOT_INFORMED, WEAKLY_INFORMED = 0.1, 0.75


def contraction(fit: Fit) -> pd.DataFrame:
    """How much narrower the posterior of each population quantity is than its prior.

    Parameters
    ----------
    fit : Fit
        A hierarchical fit.

    Returns
    -------
    pandas.DataFrame
        Indexed by parameter: ``prior_sd, posterior_sd, contraction`` (1 - variance ratio) and ``words``. A
        positive quantity is compared on the log scale, a typical fraction on the logit scale.

    Raises
    ------
    FitError
        If the fit is not a hierarchical one.
    """
    rows = {}
    for name, (before, after) in compared_draws(fit).items():
        before, after = before[np.isfinite(before)], after[np.isfinite(after)]
        sds = float(before.std(ddof=1)), float(after.std(ddof=1))
        share = 1 - (sds[1] / sds[0]) ** 2
        rows[name] = {
            "prior_sd": sds[0],
            "posterior_sd": sds[1],
            "contraction": share,
            "words": contraction_words(share),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("parameter")


def compared_draws(fit: Fit) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Draws of every estimated population quantity from prior and posterior, on the scale where they are compared.

    Parameters
    ----------
    fit : Fit
        A hierarchical fit.

    Returns
    -------
    dict of str to tuple of ndarray, shapes (n_prior,) and (n_posterior,)
        By quantity; positive ones as logs, a typical fraction as a logit.

    Raises
    ------
    FitError
        If the fit is not a hierarchical one.
    """
    if fit.method != "hierarchical":
        raise FitError(
            f"contraction compares a posterior with its prior; a fit of method {fit.method!r} has neither: use fit_hierarchical"
        )
    prior, posterior = fit.tree["prior"].to_dataset(), fit.tree["posterior"].to_dataset()
    found = {}
    for name in estimated_rows(fit).index:
        to_free = _comparison_scale(fit, name, positive=not (prior[name] < 0).any())
        with np.errstate(divide="ignore", invalid="ignore"):
            before, after = (
                np.asarray(to_free(draws[name].to_numpy().ravel()), float) for draws in (prior, posterior)
            )
        found[str(name)] = (before, after)
    return found


def _comparison_scale(fit: Fit, name: str, *, positive: bool) -> Callable[[Any], Any]:
    parameter = fit.model.parameters.get(name.removesuffix("_typical"))
    if parameter is not None and name.endswith("_typical"):
        return parameter.to_free
    if fit.mixture and name == fit.mixture.share_name:
        return logit
    return np.log if positive else np.asarray


def contraction_words(share: float) -> str:
    """Contraction in words.

    Parameters
    ----------
    share : float
        1 minus posterior over prior variance.

    Returns
    -------
    str
        ``"not informed by the data"``, ``"weakly informed"`` or ``"informed"``.
    """
    if share < NOT_INFORMED:
        return "not informed by the data"
    return "weakly informed" if share < WEAKLY_INFORMED else "informed"


def estimated_rows(fit: Fit) -> pd.DataFrame:
    """Population quantities less those of fixed parameters, whose draws differ by rounding only.

    Parameters
    ----------
    fit : Fit
        Hierarchical.

    Returns
    -------
    pandas.DataFrame
        Rows of ``fit.population()``.
    """
    table = fit.population()
    return table[
        ~(table["sd"] <= 1e-12 * table["median"].abs())
    ]  # an SD that is no number stays, to be found
