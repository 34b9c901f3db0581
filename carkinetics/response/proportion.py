"""Intervals of a proportion, such as a response rate."""

from __future__ import annotations

import pandas as pd

from carkinetics.errors import ConfigError, DataError, did_you_mean

METHODS = {"clopper-pearson": "beta", "wilson": "wilson", "jeffreys": "jeffreys"}


def binomial_interval(
    x: int, n: int, *, method: str = "clopper-pearson", level: float = 0.95
) -> tuple[float, float]:
    """Interval of a binomial proportion.

    Parameters
    ----------
    x, n : int
        Subjects with the outcome, of how many.
    method : {"clopper-pearson", "wilson", "jeffreys"}
        Exact (never covers too rarely), score, or equal-tailed posterior under Jeffreys' prior; its limits at 0 and n are 0 and 1.
    level : float
        Probability.

    Returns
    -------
    lower, upper : float
        The limits.

    Raises
    ------
    ConfigError
        If ``method`` or ``level`` is something else.
    DataError
        If ``x`` of ``n`` is impossible.

    References
    ----------
    .. [1] Brown LD, Cai TT, DasGupta A. Stat Sci 2001;16:101-133.

    Examples
    --------
    >>> [round(limit, 6) for limit in binomial_interval(6, 20)]
    [0.118932, 0.542789]
    """
    from statsmodels.stats.proportion import proportion_confint

    if method not in METHODS:
        raise ConfigError(f"method is {method!r}{did_you_mean(str(method), METHODS)}")
    if not 0 < level < 1:
        raise ConfigError(f"level is {level!r}; expected a probability between 0 and 1")
    if not (n > 0 and 0 <= x <= n and x == int(x) and n == int(n)):
        raise DataError(f"{x!r} of {n!r}; expected whole numbers, 0 <= x <= n and n above 0")
    low, high = proportion_confint(x, n, alpha=1 - level, method=METHODS[method])
    # Brown et al. set Jeffreys' limits at the ends, where the posterior's would leave the estimate outside.
    return (0.0 if x == 0 else float(low)), (1.0 if x == n else float(high))


def proportions(
    outcome: pd.Series, by: pd.Series | None = None, *, method: str = "clopper-pearson", level: float = 0.95
) -> pd.DataFrame:
    """Proportions with the outcome, such as response rates, overall and by group.

    Parameters
    ----------
    outcome : pandas.Series of bool
        One per subject.
    by : pandas.Series, optional
        Group of each, with the same index.
    method, level : str, float
        See `binomial_interval`.

    Returns
    -------
    pandas.DataFrame
        Indexed by group, ``all`` last: ``x, n, proportion, lower, upper``.

    Raises
    ------
    DataError
        If the outcome is unknown for somebody, or there is nobody.
    """
    if outcome.isna().any() or not len(outcome):
        raise DataError(
            f"the outcome is unknown for {int(outcome.isna().sum())} of {len(outcome)} subjects; say who counts"
        )
    chosen = outcome.astype(bool)
    groups = (
        {} if by is None else {key: chosen[index] for key, index in by.groupby(by, sort=True).groups.items()}
    )
    rows = {}
    for name, part in (groups | {"all": chosen}).items():
        x, n = int(part.sum()), len(part)
        low, high = binomial_interval(x, n, method=method, level=level)
        rows[name] = {"x": x, "n": n, "proportion": x / n, "lower": low, "upper": high}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("group").astype({"x": int, "n": int})
