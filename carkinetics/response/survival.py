"""Time to an event without a model of it: Kaplan-Meier, log-rank, competing risks.

statsmodels computes; what is here says what was wrong with the input, adds the median with its interval by the rule that R
uses, and puts results into tables.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from carkinetics.errors import ConfigError, DataError, did_you_mean
from carkinetics.exposure.area import Floats

BANDS = ("log-log", "log", "plain")


def times_and_events(time: ArrayLike, event: ArrayLike) -> tuple[Floats, NDArray[np.int64], pd.Index]:
    """Times and indicators of an event, checked.

    Parameters
    ----------
    time : array_like, shape (n,)
        From the start to the event or to censoring, 0 or more.
    event : array_like, shape (n,)
        1 or True for an event, 0 or False for a censored time; 2 and more for other kinds of events.

    Returns
    -------
    time, event : ndarray
        As numbers.
    labels : pandas.Index
        What the rows are called.

    Raises
    ------
    DataError
        If they differ in length, or hold something else.
    """
    label = time.index if isinstance(time, pd.Series) else pd.RangeIndex(len(np.atleast_1d(np.asarray(time))))
    if isinstance(time, pd.Series) and isinstance(event, pd.Series) and not time.index.equals(event.index):
        raise DataError("time and event are series with different indices; take both from one table")
    when = np.asarray(pd.to_numeric(pd.Series(np.asarray(time)), errors="coerce"), dtype=float)
    kind = np.asarray(pd.to_numeric(pd.Series(np.asarray(event)), errors="coerce"), dtype=float)
    if when.ndim != 1 or when.shape != kind.shape or not len(when):
        raise DataError(
            f"{len(when)} times and {len(kind)} events; expected one of each per subject, at least one"
        )
    bad = ~(np.isfinite(when) & (when >= 0))
    if bad.any():
        raise DataError(
            f"row {label[bad][0]!r}: time is {np.asarray(time, dtype=object)[bad][0]!r}; expected 0 or more"
        )
    bad = ~np.isin(kind, np.arange(100))
    if bad.any():
        raise DataError(
            f"row {label[bad][0]!r}: event is {np.asarray(event, dtype=object)[bad][0]!r}; expected 0 (censored) or 1"
        )
    return when, kind.astype(np.int64), label


def _only_one_kind(kind: NDArray[np.int64], label: pd.Index) -> None:
    if (kind > 1).any():
        row = label[kind > 1][0]
        raise DataError(
            f"row {row!r}: event is {kind[kind > 1][0]}; expected 0 (censored) or 1. Several kinds of events compete: see "
            "aalen_johansen"
        )


def _band(survival: Floats, se: Floats, level: float, transform: str) -> tuple[Floats, Floats]:
    """Pointwise limits of a survival curve on the scale of ``transform``."""
    z = stats.norm.ppf((1 + level) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        if transform == "plain":
            low, high = survival - z * se, survival + z * se
        elif transform == "log":
            width = z * se / survival
            low, high = survival * np.exp(-width), survival * np.exp(width)
        else:
            width = z * se / np.abs(survival * np.log(survival))
            low, high = survival ** np.exp(width), survival ** np.exp(-width)
    # Where nobody is left the limits are not defined, as in R.
    gone = survival <= 0
    return np.where(gone, np.nan, np.clip(low, 0, 1)), np.where(gone, np.nan, np.clip(high, 0, 1))


def _crossing(times: Floats, curve: Floats, at: float) -> float:
    """First time at which a curve is below ``at``; the middle of the interval on which it equals it."""
    curve = np.where(np.isnan(curve), 0.0, curve)
    below = np.flatnonzero(curve < at - 1e-12)
    equal = np.flatnonzero(np.abs(curve - at) <= 1e-12)
    if equal.size:
        first = times[equal[0]]
        return float((first + times[below[0]]) / 2) if below.size else float(first)
    return float(times[below[0]]) if below.size else np.inf


def survival_table(
    time: ArrayLike, event: ArrayLike, *, level: float = 0.95, transform: str = "log-log"
) -> pd.DataFrame:
    """Kaplan-Meier estimate at every event time, with numbers at risk.

    Parameters
    ----------
    time, event : array_like, shape (n,)
        See `kaplan_meier`.
    level : float
        Of the pointwise limits.
    transform : {"log-log", "log", "plain"}
        Scale on which they are symmetric.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``time``: ``at_risk, events, survival, se`` (Greenwood), ``lower, upper``.

    Raises
    ------
    ConfigError
        If ``level`` or ``transform`` is something else.
    DataError
        If times or events are not what they should be.

    References
    ----------
    .. [1] Kaplan EL, Meier P. J Am Stat Assoc 1958;53:457-481.
    """
    from statsmodels.duration.survfunc import SurvfuncRight

    if transform not in BANDS:
        raise ConfigError(f"transform is {transform!r}{did_you_mean(str(transform), BANDS)}")
    if not 0 < level < 1:
        raise ConfigError(f"level is {level!r}; expected a probability between 0 and 1")
    when, kind, label = times_and_events(time, event)
    _only_one_kind(kind, label)
    columns = ["at_risk", "events", "survival", "se", "lower", "upper"]
    if not kind.any():
        return pd.DataFrame(columns=columns, index=pd.Index([], name="time", dtype=float), dtype=float)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", RuntimeWarning
        )  # the variance where nobody is left is 0 times infinity
        found = SurvfuncRight(when, kind)
    survival = np.asarray(found.surv_prob, dtype=float)
    se = np.where(survival > 0, found.surv_prob_se, np.nan)
    low, high = _band(survival, se, level, transform)
    data = [np.asarray(found.n_risk, int), np.asarray(found.n_events, int), survival, se, low, high]
    return pd.DataFrame(dict(zip(columns, data, strict=True)), index=pd.Index(found.surv_times, name="time"))


def kaplan_meier(
    time: ArrayLike, event: ArrayLike, *, level: float = 0.95, transform: str = "log-log"
) -> pd.Series:
    """Kaplan-Meier estimate of survival.

    Parameters
    ----------
    time : array_like, shape (n,)
        From the start to the event or to censoring, 0 or more.
    event : array_like, shape (n,)
        1 for an event, 0 for a censored time.
    level : float
        Of the interval of the median.
    transform : {"log-log", "log", "plain"}
        Scale on which the pointwise limits are symmetric, from which the interval of the median comes.

    Returns
    -------
    pandas.Series
        Survival just after each event time. In ``.attrs``: ``median, lower, upper`` (infinite where not reached), ``level,
        n, events``. More of it: `survival_table`.

    Raises
    ------
    ConfigError
        If ``level`` or ``transform`` is something else.
    DataError
        If times or events are not what they should be.

    References
    ----------
    .. [1] Kaplan EL, Meier P. J Am Stat Assoc 1958;53:457-481.
    .. [2] Brookmeyer R, Crowley J. Biometrics 1982;38:29-41.

    Examples
    --------
    >>> curve = kaplan_meier([1, 2, 3, 4], [1, 0, 1, 1])
    >>> [round(p, 3) for p in curve], curve.attrs["median"]
    ([0.75, 0.375, 0.0], 3.0)
    """
    table = survival_table(time, event, level=level, transform=transform)
    times = table.index.to_numpy(float)
    curve = table["survival"].rename("survival")
    curve.attrs = {
        "median": _crossing(times, curve.to_numpy(), 0.5),
        "lower": _crossing(times, table["lower"].to_numpy(), 0.5),
        "upper": _crossing(times, np.where(np.isnan(table["upper"]), 1.0, table["upper"]), 0.5),
        "level": level,
        "n": len(np.atleast_1d(np.asarray(time))),
        "events": int(table["events"].sum()),
    }
    return curve


def at_risk(time: ArrayLike, at: ArrayLike) -> NDArray[np.int64]:
    """Numbers at risk, for the row under a survival curve.

    Parameters
    ----------
    time : array_like, shape (n,)
        To the event or to censoring.
    at : array_like, shape (m,)
        When they are wanted.

    Returns
    -------
    ndarray of int, shape (m,)
        Subjects whose time is not before.
    """
    return np.asarray((np.asarray(time, float)[:, None] >= np.asarray(at, float)).sum(axis=0), dtype=np.int64)


def log_rank(time: ArrayLike, event: ArrayLike, group: ArrayLike, *, rho: float = 0.0) -> pd.Series:
    """Log-rank test, or its relative that weighs early events more.

    Parameters
    ----------
    time, event : array_like, shape (n,)
        See `kaplan_meier`.
    group : array_like, shape (n,)
        Two or more groups.
    rho : float
        0 for the log-rank test, 1 for Peto's version of Wilcoxon's (weights S(t-)**rho).

    Returns
    -------
    pandas.Series
        ``chi2, df, p``. In ``.attrs["groups"]`` a row per group: ``n, observed, expected``.

    Raises
    ------
    DataError
        If times or events are not what they should be, or there is one group.

    References
    ----------
    .. [1] Harrington DP, Fleming TR. Biometrika 1982;69:553-566.
    """
    from statsmodels.duration.survfunc import survdiff

    when, kind, label = times_and_events(time, event)
    _only_one_kind(kind, label)
    groups = pd.Series(np.asarray(group))
    if len(groups) != len(when) or groups.isna().any():
        raise DataError(f"group has {groups.notna().sum()} values for {len(when)} times; expected one each")
    if groups.nunique() < 2:
        raise DataError(
            f"all {len(groups)} subjects are in the group {groups.iloc[0]!r}; a comparison needs two"
        )
    arguments = {"weight_type": "fh", "fh_p": rho} if rho else {}
    chi2, p = survdiff(when, kind, groups.to_numpy(), **arguments)
    found = pd.Series({"chi2": float(chi2), "df": groups.nunique() - 1, "p": float(p)})
    found.attrs["groups"] = _observed_and_expected(when, kind, groups)
    return found


def _observed_and_expected(time: Floats, event: NDArray[np.int64], group: pd.Series) -> pd.DataFrame:
    rows = []
    times = np.unique(time[event == 1])
    deaths = np.array([((time == t) & (event == 1)).sum() for t in times])
    risk = at_risk(time, times)
    for name, index in group.groupby(group).groups.items():
        mine = np.asarray(index)
        share = at_risk(time[mine], times) / risk
        rows.append(
            {
                "group": name,
                "n": len(mine),
                "observed": int(event[mine].sum()),
                "expected": float(deaths @ share),
            }
        )
    return pd.DataFrame(rows).set_index("group")


def aalen_johansen(time: ArrayLike, cause: ArrayLike) -> pd.DataFrame:
    """Cumulative incidence of competing events.

    One minus Kaplan-Meier of one cause takes the others for censoring, and is too high.

    Parameters
    ----------
    time : array_like, shape (n,)
        To the first event of any kind, or to censoring.
    cause : array_like, shape (n,)
        0 for censored, 1, 2, … for the kind of event.

    Returns
    -------
    pandas.DataFrame
        Indexed by event times: a column for each cause, and ``survival``, free of all of them; they add up to 1.

    Raises
    ------
    DataError
        If times or causes are not what they should be.

    References
    ----------
    .. [1] Aalen OO, Johansen S. Scand J Stat 1978;5:141-150.

    Examples
    --------
    >>> aalen_johansen([1, 2, 3, 4], [1, 2, 0, 1]).round(3).loc[4].tolist()
    [0.75, 0.25, 0.0]
    """
    when, kind, _ = times_and_events(time, cause)
    times = np.unique(when[kind > 0])
    risk = at_risk(when, times)
    causes = [int(one) for one in np.unique(kind[kind > 0])]
    counts = {one: np.array([((when == t) & (kind == one)).sum() for t in times]) for one in causes}
    survival = np.cumprod(1 - sum(counts.values(), np.zeros(len(times))) / risk)
    before = np.concatenate([[1.0], survival[:-1]]) if len(times) else survival
    incidence = {one: np.cumsum(before * count / risk) for one, count in counts.items()}
    return pd.DataFrame(incidence | {"survival": survival}, index=pd.Index(times, name="time"))
