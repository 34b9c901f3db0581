"""The best overall response of a series of visits, with or without confirmation (RECIST 1.1, table 3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

CR, PR, SD, PD, NE, NON = "CR", "PR", "SD", "PD", "NE", "non-CR/non-PD"


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
    for wanted, enough in ((CR, {CR}), (PR, {CR, PR})):
        for i, response in enumerate(responses):
            if response == wanted and (not confirm or _confirmed(i, enough, days, responses, confirm_days)):
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


def _confirmed(
    at: int, enough: set[str], days: list[float], responses: list[str], confirm_days: float
) -> bool:
    """Whether the next evaluable visits are as good until one is late enough; one in between that is worse ends it."""
    for day, response in zip(days[at + 1 :], responses[at + 1 :], strict=True):
        if response == NE:
            continue
        if response not in enough:
            return False
        if day - days[at] >= confirm_days:
            return True
    return False
