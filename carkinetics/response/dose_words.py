"""What dose and exposure have to do with each other, as sentences with numbers."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from carkinetics.exposure.metric_name import metric_name
from carkinetics.exposure.table import Exposure

_SENTENCES = {
    "proportional": "is proportional to dose",
    "not proportional": "is not proportional to dose",
    "cannot be shown": "cannot be shown to be proportional to dose, or not, with this design",
}


def dose_statement(
    table: pd.DataFrame, metric: str, verdict: str, interval: str, ratio: float, further: str
) -> str:
    """Put the verdict and its numbers into words.

    Parameters
    ----------
    table : pandas.DataFrame
        ``quantity, value, lower, upper``.
    metric, verdict : str
        As in the result.
    interval : str
        For instance ``"90% CI"``.
    ratio : float
        Highest over lowest dose.
    further : str
        Sentences that follow, each after a space.

    Returns
    -------
    str
        The statement.
    """
    row, name = table.set_index("quantity"), metric_name(metric)
    slope, region, fold = row.loc["slope"], row.loc["equivalence_region"], row.loc["fold_per_doubling"]
    flat = (
        " A slope of 0 is not ruled out; a rise of up to the upper limit is not ruled out either."
        if slope["lower"] <= 0 <= slope["upper"]
        else ""
    )
    return (
        f"{name} {_SENTENCES[verdict]}: slope {slope['value']:.2f} ({interval} {slope['lower']:.2f} to "
        f"{slope['upper']:.2f}) against {region['lower']:.2f} to {region['upper']:.2f} over a {ratio:.3g}-fold "
        f"dose range. Doubling the dose multiplies {name} by {fold['value']:.2f} ({fold['lower']:.2f} to "
        f"{fold['upper']:.2f}).{flat}{further}"
    )


def group_words(groups: pd.DataFrame, tau: tuple[float, ...], by: str, scale: float) -> str:
    """Slopes of groups in words.

    Parameters
    ----------
    groups : pandas.DataFrame
        ``group, slope, lower, upper``.
    tau : tuple of float
        SD between groups with its interval.
    by : str
        What the groups are.
    scale : float
        Of the half-normal prior of that SD.

    Returns
    -------
    str
        A sentence after a space.
    """
    each = ", ".join(
        f"{row.group} {row.slope:.2f} ({row.lower:.2f} to {row.upper:.2f})" for row in groups.itertuples()
    )
    return (
        f" By {by}, partially pooled: {each}; slopes differ with an SD of {tau[0]:.2f} ({tau[1]:.2f} to {tau[2]:.2f}; "
        f"half-normal prior, scale {scale:g})."
    )


def needed_words(n: int, per_level: int, levels: int, sd: float, power: float, one_group: bool) -> str:
    """How many subjects it would take, in words.

    Parameters
    ----------
    n, per_level, levels : int
        Subjects, subjects at each level, levels.
    sd : float
        Residual SD that was assumed.
    power : float
        Probability of success.
    one_group : bool
        Whether the number is for one group of several.

    Returns
    -------
    str
        A sentence after a space.
    """
    where = " of one group" if one_group else ""
    return (
        f" It would take {n:,} subjects{where} at these {levels} dose levels ({per_level:,} at each) to show a truly "
        f"proportional exposure to be so with a probability of {power:.0%}, at a residual SD of {sd:.2f} of its log."
    )


def pooling_caution(exposure: Exposure | Mapping[str, Exposure]) -> str:
    """Individual estimates of a fit that knows no dose are pulled towards one typical value for all doses.

    Parameters
    ----------
    exposure : Exposure or mapping of str to Exposure
        What was analysed.

    Returns
    -------
    str
        A sentence after a space, or nothing.
    """
    for one in exposure.values() if isinstance(exposure, Mapping) else [exposure]:
        known = any("dose" in text for text in one.settings.get("covariates", []))
        if one.draws is not None and not known:
            return (
                " The fit behind these exposures has no dose covariate, which pulls the slope towards 0; fit with "
                'covariates={"cmax": "log(dose)"} and read its slope.'
            )
    return ""
