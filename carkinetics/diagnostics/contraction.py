"""How much narrower the posterior of a population quantity is than its prior."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from carkinetics.errors import FitError
from carkinetics.fit.result import Fit
from carkinetics.fit.stated_prior import stated_priors

# Contraction is 1 - posterior / prior variance. Below 0.75 the posterior SD is more than half of the prior's.
NOT_INFORMED, WEAKLY_INFORMED = 0.1, 0.75
# The variance of 400 effective draws has a standard error of 7 %: beyond three of them the posterior is wider than the prior.
WIDER = -0.25
UNTOLD, TOO_WIDE = "not informed by the data", "wider than its prior"


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
        positive quantity is compared on the log scale, a typical fraction on the logit scale. The prior's SD is exact where
        the prior is stated, and that of its draws for a quantity that is computed from others.

    Raises
    ------
    FitError
        If the fit is not a hierarchical one.
    """
    rows, stated = {}, stated_priors(fit)
    for name, (before, after) in compared_draws(fit).items():
        before, after = before[np.isfinite(before)], after[np.isfinite(after)]
        sds = stated[name].sd if name in stated else float(before.std(ddof=1)), float(after.std(ddof=1))
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
        By quantity; positive ones as logs, a typical fraction as a logit, slopes and correlations as they are.

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
    found, stated = {}, stated_priors(fit)
    for name in estimated_rows(fit).index:
        computed = np.asarray if (prior[name] < 0).any() else np.log
        to_free = stated[name].to_free if name in stated else computed
        with np.errstate(divide="ignore", invalid="ignore"):
            before, after = (
                np.asarray(to_free(draws[name].to_numpy().ravel()), float) for draws in (prior, posterior)
            )
        found[str(name)] = (before, after)
    return found


def contraction_words(share: float) -> str:
    """Contraction in words.

    Parameters
    ----------
    share : float
        1 minus posterior over prior variance.

    Returns
    -------
    str
        ``"wider than its prior"`` (data cannot widen a prior that they agree with), ``"not informed by the data"``,
        ``"weakly informed"`` or ``"informed"``.
    """
    if share < WIDER:
        return TOO_WIDE
    if share < NOT_INFORMED:
        return UNTOLD
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
