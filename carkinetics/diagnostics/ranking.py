"""Models in order of how well they predict subjects that are left out: differences, their two errors, weights."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd

from carkinetics.diagnostics.criteria import stacking_weights
from carkinetics.errors import ConfigError
from carkinetics.fit.pareto import GOOD_K

SEPARATED = 2.0  # standard errors
MOST, PRECISE = (
    3200,
    0.25,
)  # draws; share of the standard error that the Monte-Carlo error of a difference may have
# From here on the density of a left-out subject has no mean that weights could estimate (Vehtari A et al. JMLR 2024;25:72).
HOPELESS_K = 1.0
UNUSABLE = "not converged"


def rank(each: Mapping[str, pd.DataFrame], *, unusable: Collection[str] = ()) -> pd.DataFrame:
    """Put models in order of how well they predict subjects that are left out.

    Parameters
    ----------
    each : mapping of str to pandas.DataFrame
        `loo` of the same subjects, by name: ``elpd``, and ``k``, ``how`` and ``.attrs["mcse"]`` where they are known.
    unusable : collection of str
        Those that did not converge: they come last, none of them is the best, and they have no weight.

    Returns
    -------
    pandas.DataFrame
        Indexed by name, best first: ``elpd, se`` (√n times the SD over subjects, with n - 1), ``difference`` (to the best), ``difference_se``,
        ``difference_mcse`` (Monte-Carlo error, from the number of draws; NaN where it is not known), ``verdict`` (``"best"``,
        ``"not separated"`` up to 2 of both errors together, or where one subject has none, ``"worse"``, ``"cannot be compared"`` where both find a
        subject impossible, ``"not converged"``), ``largest_k, bad_k`` (subjects with k above 0.7 that no converged refit replaced) and
        ``weight`` in the mixture that predicts best (`carkinetics.diagnostics.criteria.stacking_weights`, among the models that can
        be relied on: NaN for one that did not converge, has a k above 1 or finds a subject impossible, and where fewer than two are left).
        ``.attrs["subjects"]`` holds `loo` of every fit, side by side.

    Raises
    ------
    ConfigError
        If they are not of the same subjects in the same order.
    """
    units = next(iter(each.values())).index
    for name, table in each.items():
        if not table.index.equals(units):
            raise ConfigError(
                f"compare: {name} leaves out other subjects than {next(iter(each))}, or in another order"
            )
    mcse = pd.Series({name: float(table.attrs.get("mcse", np.nan)) for name, table in each.items()})
    each = {name: {"k": np.nan, "how": ""} | dict(table) for name, table in each.items()}
    each = {name: pd.DataFrame(table, index=units) for name, table in each.items()}
    elpd = pd.DataFrame({name: table["elpd"] for name, table in each.items()})
    usable = [name for name in elpd if name not in unusable] or list(elpd)
    best, n = str(elpd[usable].sum().idxmax()), len(elpd)
    with np.errstate(invalid="ignore"):  # impossible less impossible is no number, and said to be none
        behind = elpd.sub(elpd[best], axis=0)
    unrefitted = {name: table["k"].where(table["how"] != "refit") for name, table in each.items()}
    found = pd.DataFrame(
        {
            "elpd": elpd.sum(),
            "se": np.sqrt(n) * _sd(elpd),
            "difference": behind.sum(skipna=False),
            "difference_se": np.sqrt(n) * _sd(behind),
            "difference_mcse": np.sqrt(mcse**2 + mcse[best] ** 2),
            "largest_k": {name: table["k"].max() for name, table in each.items()},
            "bad_k": {name: int((k > GOOD_K).sum()) for name, k in unrefitted.items()},
        }
    )
    found.loc[best, "difference_mcse"] = 0.0
    found.insert(5, "verdict", _verdicts(found, best, unusable))
    trusted = [
        name
        for name, k in unrefitted.items()
        if name not in unusable and not (k > HOPELESS_K).any() and np.isfinite(elpd[name]).all()
    ]
    found["weight"] = np.nan
    if len(trusted) > 1:  # of one alone there is no mixture
        found.loc[trusted, "weight"] = stacking_weights(elpd[trusted])
    found["last"] = found.index.isin(list(unusable))
    found = found.sort_values(["last", "elpd"], ascending=[True, False]).drop(columns="last")
    found.attrs["subjects"] = pd.concat(each, axis=1)
    return found


def _verdicts(found: pd.DataFrame, best: str, unusable: Collection[str]) -> pd.Series:
    """Of one subject there is no standard error, and equal models have one of 0."""
    error = np.hypot(found["difference_se"], found["difference_mcse"].fillna(0.0))
    far = (found["difference"].abs() > SEPARATED * error) | np.isneginf(found["difference"])
    words = pd.Series(np.where(far, "worse", "not separated"), index=found.index)
    words[found["difference"].isna()] = "cannot be compared"
    words[best] = "best"
    words[words.index.isin(list(unusable))] = UNUSABLE
    return words


def draws_wanted(found: pd.DataFrame, now: int) -> int:
    """How many draws make the Monte-Carlo error of every open difference small beside its standard error.

    Parameters
    ----------
    found : pandas.DataFrame
        From `rank`.
    now : int
        Draws that it is from.

    Returns
    -------
    int
        From ``now`` to 3200. A difference that is clear in spite of its Monte-Carlo error asks for no more.
    """
    clear = found["difference"].abs() - 2 * found["difference_mcse"] > SEPARATED * found["difference_se"]
    rows = found[~clear & (found["difference_se"] > 0) & found["verdict"].isin(["worse", "not separated"])]
    times = (rows["difference_mcse"] / (PRECISE * rows["difference_se"])).max() ** 2
    return int(np.clip(np.ceil(now * times), now, max(MOST, now))) if np.isfinite(times) else now


def _sd(each: pd.DataFrame) -> pd.Series:
    """Standard deviation of every column; NaN where a subject is impossible, or alone."""
    values = each.to_numpy(float)
    known = np.isfinite(values).all(axis=0) & (len(values) > 1)
    return pd.Series(
        np.where(known, np.where(known, values, 0.0).std(axis=0, ddof=min(len(values) - 1, 1)), np.nan),
        index=each.columns,
    )
