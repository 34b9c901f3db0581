"""The best overall response of a series of visits, with or without confirmation (RECIST 1.1, table 3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

CONFIRM_DAYS = 28.0
CR, PR, SD, PD, NE, NON = "CR", "PR", "SD", "PD", "NE", "non-CR/non-PD"
CODES = (CR, PR, SD, NON, PD, NE)
# How responses are spelled out in tables, in lower case.
SPELLED = {code.lower(): code for code in CODES} | {
    "complete response": CR, "partial response": PR, "stable disease": SD, "progressive disease": PD, "not evaluable": NE,
    "inevaluable": NE,
}  # fmt: skip


def best_so_far(
    days: Sequence[float] | np.ndarray,
    responses: Sequence[str],
    *,
    confirm: bool,
    confirm_days: float,
    minimum_sd_days: float,
) -> list[str]:
    """Best overall response after every visit.

    Parameters
    ----------
    days : sequence of float
        Since the baseline.
    responses : sequence of str
        At each visit.
    confirm : bool
        Whether CR and PR need a confirming visit.
    confirm_days : float
        How much later that is at least.
    minimum_sd_days : float
        From when on stable disease counts.

    Returns
    -------
    list of str
        One per visit; what comes after progression does not count.
    """
    end = responses.index(PD) + 1 if PD in responses else len(responses)
    found = []
    for n in range(1, len(responses) + 1):
        known = min(n, end)
        found.append(
            _best(list(days[:known]), list(responses[:known]), confirm, confirm_days, minimum_sd_days)
        )
    return found


def _best(
    days: list[float], responses: list[str], confirm: bool, confirm_days: float, minimum_sd_days: float
) -> str:
    for wanted in (CR, PR):
        for i, response in enumerate(responses):
            if response == wanted and (not confirm or is_confirmed(i, days, responses, confirm_days)):
                return wanted
    # A response that was not confirmed is at least a disease that did not grow, at its own day.
    stable = [
        r for d, r in zip(days, responses, strict=True) if r in (CR, PR, SD, NON) and d >= minimum_sd_days
    ]
    if stable:
        return NON if set(stable) == {NON} else SD
    if PD in responses:
        return PD
    shrunk = next((i for i, response in enumerate(responses) if response in (CR, PR)), None)
    if shrunk is None:
        return NE
    # Table 3: before stable disease counts, CR or PR and then something worse is progression.
    worse = {SD, PR} if responses[shrunk] == CR else {SD}
    return PD if worse & {*responses[shrunk + 1 :]} else NE


def is_confirmed(
    at: int, days: Sequence[float] | np.ndarray, responses: Sequence[str], confirm_days: float
) -> bool:
    """Whether the next evaluable visits are as good until one is late enough; one in between that is worse ends it.

    Parameters
    ----------
    at : int
        Place of the CR or PR that is to be confirmed.
    days : sequence of float
        Of the visits, in order.
    responses : sequence of str
        At each visit.
    confirm_days : float
        How much later the confirming visit is at least.

    Returns
    -------
    bool
        A PR is confirmed by CR too, a CR by CR only.

    Examples
    --------
    >>> [is_confirmed(at, [28, 56, 84, 112], ["PR", "SD", "PR", "CR"], 28) for at in (0, 2)]
    [False, True]
    """
    enough = {CR} if responses[at] == CR else {CR, PR}
    for day, response in zip(days[at + 1 :], responses[at + 1 :], strict=True):
        if response == NE:
            continue
        if response not in enough:
            return False
        if day - days[at] >= confirm_days:
            return True
    return False


def until_progression(responses: pd.DataFrame) -> pd.DataFrame:
    """Visits up to and including the first with progression, which are those that a best change is taken of.

    Parameters
    ----------
    responses : pandas.DataFrame
        ``subject, day, response`` of every visit.

    Returns
    -------
    pandas.DataFrame
        Its rows; all of who did not progress.
    """
    first = responses[responses["response"] == PD].groupby("subject")["day"].min()
    return responses[~(responses["day"] > responses["subject"].map(first))]


def response_codes(recorded: pd.Series) -> pd.Series:
    """Recorded responses as RECIST's codes.

    Parameters
    ----------
    recorded : pandas.Series
        Codes or names.

    Returns
    -------
    pandas.Series
        With its index: codes; empty where nothing was recorded, and what is no response as it is.

    Examples
    --------
    >>> response_codes(pd.Series(["pr", "Partial response", None, "yes"])).tolist()
    ['PR', 'PR', '', 'yes']
    """
    texts = recorded.where(recorded.notna(), "").astype(str).str.split().str.join(" ")
    return texts.map(lambda text: SPELLED.get(text.lower(), text))
