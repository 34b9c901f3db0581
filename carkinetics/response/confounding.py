"""Tumour burden drives expansion, response and toxicity alike: what an association could hide."""

from __future__ import annotations

import numpy as np
import pandas as pd

from carkinetics.errors import ConfigError, DataError, did_you_mean

SCALES = ("risk", "odds", "hazard")


def quadrant_table(exposure: pd.Series, burden: pd.Series, outcome: pd.Series) -> pd.DataFrame:
    """Subjects with the outcome by halves of exposure and of baseline tumour burden.

    If exposure itself matters, its halves differ within low burden and within high burden.

    Parameters
    ----------
    exposure, burden : pandas.Series
        Indexed by subject.
    outcome : pandas.Series of bool
        Indexed by subject.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``burden`` and ``exposure`` (``low`` up to the median, ``high`` above): ``x`` of ``n``. ``.attrs["medians"]`` has the
        two limits, ``.attrs["rows"]`` how many subjects have all three.

    Raises
    ------
    DataError
        If fewer than 4 subjects have all three.
    """
    rows = pd.DataFrame({"exposure": exposure, "burden": burden, "outcome": outcome}).dropna()
    if len(rows) < 4:
        raise DataError(f"{len(rows)} subjects have exposure, burden and outcome; expected at least 4")
    medians = {name: float(rows[name].median()) for name in ("exposure", "burden")}
    half = {name: np.where(rows[name] > limit, "high", "low") for name, limit in medians.items()}
    groups = rows["outcome"].astype(bool).groupby([half["burden"], half["exposure"]])
    cells = pd.MultiIndex.from_product([["low", "high"], ["low", "high"]], names=["burden", "exposure"])
    table = pd.DataFrame({"x": groups.sum(), "n": groups.size()}).reindex(cells, fill_value=0).astype(int)
    table.attrs = {"medians": medians, "rows": len(rows)}
    return table


def e_value(ratio: float, limit: float | None = None, *, scale: str = "risk") -> tuple[float, float]:
    """How strong an unmeasured confounder would have to be to explain an association away.

    Parameters
    ----------
    ratio : float
        Risk, odds or hazard ratio, above 0.
    limit : float, optional
        The limit of its interval that is nearer to 1.
    scale : {"risk", "odds", "hazard"}
        Odds and hazard ratios of a common outcome (more than some 15 %) are taken to risk ratios by VanderWeele's approximations.

    Returns
    -------
    estimate, interval : float
        Least risk ratio that the confounder needs with both exposure and outcome, to move the estimate, and the limit, to 1. The second
        is 1 where the interval holds 1, NaN without a limit.

    Raises
    ------
    ConfigError
        If a ratio is not above 0, or the scale is something else.

    References
    ----------
    .. [1] VanderWeele TJ, Ding P. Ann Intern Med 2017;167:268-274.

    Examples
    --------
    >>> [round(value, 2) for value in e_value(3.9, 1.8)]
    [7.26, 3.0]
    """
    if scale not in SCALES:
        raise ConfigError(f"scale is {scale!r}{did_you_mean(str(scale), SCALES)}")
    for value in (ratio, 1.0 if limit is None else limit):
        if not 0 < value < np.inf:
            raise ConfigError(f"ratio or limit is {value!r}; expected a number above 0")

    def needed(value: float) -> float:
        risk = _as_risk(value, scale)
        risk = max(risk, 1 / risk)
        return float(risk + np.sqrt(risk * (risk - 1)))

    if limit is None:
        return needed(ratio), np.nan
    crossed = (limit <= 1) if ratio >= 1 else (limit >= 1)
    return needed(ratio), 1.0 if crossed else needed(limit)


def _as_risk(ratio: float, scale: str) -> float:
    if scale == "odds":
        return float(np.sqrt(ratio))
    if scale == "hazard":
        return float((1 - 0.5 ** np.sqrt(ratio)) / (1 - 0.5 ** np.sqrt(1 / ratio)))
    return ratio
