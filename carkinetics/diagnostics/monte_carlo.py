"""How far estimates would move if the same posterior were drawn again: Monte-Carlo standard errors."""

from __future__ import annotations

import pandas as pd

from carkinetics.diagnostics.contraction import estimated_rows
from carkinetics.errors import FitError
from carkinetics.fit.result import INTERVAL, Fit


def monte_carlo_errors(fit: Fit) -> pd.DataFrame:
    """Monte-Carlo standard errors of every estimated population quantity, beside what they rest on.

    Parameters
    ----------
    fit : Fit
        Hierarchical.

    Returns
    -------
    pandas.DataFrame
        Indexed by parameter: ``mean, sd``; ``mcse_mean, mcse_sd, mcse_lower, mcse_upper`` (of the mean, of the SD and of the ends of
        the 90 % interval), all on the natural scale; ``share`` (of the mean's error in the SD); ``rhat, ess_bulk, ess_tail``.

    Raises
    ------
    FitError
        If the fit is not a hierarchical one.

    References
    ----------
    .. [1] Vehtari A et al. Bayesian Anal 2021;16:667-718.
    """
    from arviz_stats.base import array_stats  # takes two seconds to import

    if fit.method != "hierarchical":
        raise FitError(f"monte_carlo_errors needs draws; a fit of method {fit.method!r} has none")
    posterior, table, tail = fit.tree["posterior"].to_dataset(), estimated_rows(fit), (1 - INTERVAL) / 2
    found = {}
    for name in table.index:
        draws = posterior[name].transpose("chain", "draw").to_numpy()
        errors = {
            "mcse_mean": array_stats.mcse(draws, method="mean"),
            "mcse_sd": array_stats.mcse(draws, method="sd"),
            "mcse_lower": array_stats.mcse(draws, method="quantile", prob=tail),
            "mcse_upper": array_stats.mcse(draws, method="quantile", prob=1 - tail),
        }
        sd = float(draws.std(ddof=1))
        found[name] = {
            "mean": float(draws.mean()), "sd": sd, **{key: float(value) for key, value in errors.items()},
            "share": float(errors["mcse_mean"]) / sd,
        }  # fmt: skip
    frame = pd.DataFrame.from_dict(found, orient="index").rename_axis("parameter")
    return frame.join(table[["rhat", "ess_bulk", "ess_tail"]])
