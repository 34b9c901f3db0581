"""Does the other engine say the same? Two samplers on one posterior, compared by their population means."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from carkinetics.diagnostics.diagnose import diagnose
from carkinetics.errors import FitError
from carkinetics.fit.hierarchical import MAX_MINUTES, fit_hierarchical
from carkinetics.fit.result import Fit

# Of a few dozen quantities one exceeds 4 by chance about once in a thousand checks.
SUSPICIOUS = 4.0


def cross_check(
    fit: Fit,
    *,
    until: Mapping[str, float] | None = None,
    max_minutes: float = MAX_MINUTES,
    progress: bool = False,
) -> pd.DataFrame:
    """Draw from the same posterior with the other engine and compare.

    Parameters
    ----------
    fit : Fit
        A hierarchical fit.
    until : mapping, optional
        Goal of the other engine, as in `fit_hierarchical`.
    max_minutes : float
        Its limit.
    progress : bool
        Print what is being done.

    Returns
    -------
    pandas.DataFrame
        Indexed by population quantity: ``mean, other_mean, shift_sd`` (difference in posterior standard deviations) and
        ``z`` (difference over its Monte-Carlo error). ``.attrs`` holds both engines, the largest ``z``, and ``agree``,
        whether it stays below 4, and ``converged``, whether both fits did: chains that did not mix differ by less than their
        error seems to be, or by more.

    Raises
    ------
    FitError
        If the fit is not a hierarchical one.
    """
    if fit.method != "hierarchical":
        raise FitError("cross_check compares the two engines of fit_hierarchical; this is an individual fit")
    asked = fit.settings
    again = fit_hierarchical(
        fit.model, fit.data, random=asked["random"], covariates=asked["requested_covariates"],
        correlated=asked["correlated"], mixture=asked.get("mixture") or False, error=asked["errors"], blq=asked["blq"],
        assay=asked["assays"], sampler=other_engine(fit), until=until, max_minutes=max_minutes, chains=asked["chains"], seed=asked["seed"] + 1, progress=progress,
    )  # fmt: skip
    tables = [one.population() for one in (fit, again)]
    moving = tables[0].index[tables[0]["sd"] > 1e-12 * tables[0]["median"].abs()]
    means = [
        one.tree["posterior"].to_dataset()[list(moving)].mean(("chain", "draw")).to_dataarray().to_numpy()
        for one in (fit, again)
    ]
    errors = [table.loc[moving, "sd"] / np.sqrt(table.loc[moving, "ess_bulk"]) for table in tables]
    difference = means[0] - means[1]
    found = pd.DataFrame(
        {
            "mean": means[0], "other_mean": means[1], "shift_sd": difference / tables[0].loc[moving, "sd"],
            "z": difference / np.hypot(*errors),
        },
        index=moving,
    )  # fmt: skip
    table = judged(found, asked["sampler"], again.settings["sampler"])
    table.attrs["converged"] = all(bool(diagnose(one).attrs["converged"]) for one in (fit, again))
    return table


def judged(table: pd.DataFrame, sampler: str, other: str) -> pd.DataFrame:
    """The same table with its verdict in ``.attrs``.

    Parameters
    ----------
    table : pandas.DataFrame
        As `cross_check` returns it.
    sampler, other : str
        Which engines drew.

    Returns
    -------
    pandas.DataFrame
        ``.attrs``: ``sampler, other_sampler, largest_z, agree``.
    """
    largest = float(table["z"].abs().max())
    table.attrs = {
        "sampler": sampler, "other_sampler": other, "largest_z": largest, "agree": largest < SUSPICIOUS,
    }  # fmt: skip
    return table


def other_engine(fit: Fit) -> str:
    """The engine that did not draw.

    Parameters
    ----------
    fit : Fit
        A hierarchical fit.

    Returns
    -------
    str
        As ``sampler=`` takes it.
    """
    return "nuts" if fit.settings["sampler"] == "structured" else "structured"
