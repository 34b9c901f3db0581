"""The 3+3 rule in its three variants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, override

from carkinetics.errors import ConfigError
from carkinetics.escalation.arguments import dose_levels, whole
from carkinetics.escalation.cohort import Tally
from carkinetics.escalation.design import Decision, Design

VARIANTS = {
    "A": "no way down: the MTD is the dose below the one that failed, also where that had 3 patients only (after a "
    "titration, 1); the top dose is accepted at 0 of 3 or up to 1 of 6",
    "B": "after a dose failed the one below is filled to 6: the MTD has at most 1 DLT among 6; the top dose is accepted "
    "at 0 of 3 or up to 1 of 6",
    "C": "as B, and the top dose is filled to 6 too before it is accepted",
}


@dataclass(frozen=True)
class ThreePlusThree(Design):
    """Three patients, and three more after one DLT.

    Parameters
    ----------
    doses : int or sequence of float
        How many there are, or their sizes in increasing order.
    variant : str
        ``"A"``, ``"B"`` or ``"C"``, without a default because they select different doses (see Notes).
    start : int
        Number of the first dose.

    Raises
    ------
    ConfigError
        If the variant is not said, or a number makes no sense.

    Notes
    -----
    At a dose: 0 of 3 with a DLT, go up; 1 of 3, treat 3 more and go up at 1 of 6; 2 or more, the dose has failed.
    Variant A has no way down: the MTD is the dose below the one that failed. Variant B fills that dose to 6, and the MTD
    is the highest dose with at most 1 DLT among 6. Variant C fills the top dose to 6 as well. More than 6 patients at a
    dose (an expansion) are judged by the same share, 1 in 6.

    References
    ----------
    .. [1] Storer BE. Design and analysis of phase I clinical trials. Biometrics 1989;45:925-937.

    Examples
    --------
    >>> print(ThreePlusThree(doses=5, variant="B").decide([(1, 3, 0), (2, 3, 1)]))
    stay: treat 3 at dose 2. 1 of 3 with a DLT at dose 2.
    """

    doses: Any  # a count or sizes on the way in, a tuple of sizes once it exists
    variant: str = ""
    start: int = 1
    cohort_size = 3

    def __post_init__(self) -> None:
        object.__setattr__(self, "doses", dose_levels(self.doses, "ThreePlusThree"))
        if not isinstance(self.variant, str) or self.variant not in VARIANTS:
            choices = "; ".join(f"{name!r}, {words}" for name, words in VARIANTS.items())
            raise ConfigError(
                f"ThreePlusThree: variant is {self.variant!r}; choose one, as they select different doses: {choices}"
            )
        whole(self.start, "start", "ThreePlusThree", most=len(self.doses))

    @property
    def name(self) -> str:
        """The variant too, as it matters."""
        return f"3+3 ({self.variant})"

    @property
    def ends(self) -> bool:
        """Every path ends with a dose that failed or with the top dose."""
        return True

    @override
    def rule(self, tally: Tally) -> Decision:
        level = tally.current
        if not level:
            return self.treat(tally, self.start, 3, "The first cohort")
        n, dlt = tally.at(level)
        if self._failed(tally, level):
            return self._after_failure(tally)
        so_far = f"{dlt} of {n} with a DLT at {self.say(level)}"
        below_a_failure = level < len(self.doses) and self._failed(tally, level + 1)
        if n < 3 and not (below_a_failure and self.variant != "A"):
            return self.treat(tally, level, 3 - n, so_far)
        if n < 6 and (n > 3 or dlt == 1):
            return self.treat(tally, level, 6 - n, so_far)
        if level == len(self.doses):
            return self._at_the_end(tally, level, f"{so_far}, the top dose", fill=self.variant == "C")
        if below_a_failure:
            return self._at_the_end(
                tally, level, f"{so_far}; the next dose has failed", fill=self.variant != "A"
            )
        return self.treat(tally, level + 1, self._up_to_three(tally, level + 1), so_far)

    @override
    def select(self, tally: Tally) -> Decision:
        # The highest dose that has passed so far.
        note = f"The trial was stopped before {self.name} had ended."
        for level in range(len(self.doses), 0, -1):
            n, dlt = tally.at(level)
            if n >= 3 and not self._failed(tally, level) and (dlt == 0 or 6 * dlt <= n):
                few = ("The dose has fewer than 6 patients.",) if n < 6 and self.variant != "A" else ()
                return self.stop(level, f"{dlt} of {n} with a DLT at {self.say(level)}", notes=(note, *few))
        return self.stop(0, "No dose has passed so far", notes=(note,))

    def _up_to_three(self, tally: Tally, level: int) -> int:
        """Patients of the first cohort at a dose that may have been visited before."""
        n = tally.at(level)[0]
        return 3 - n if n < 3 else 6 - n if n < 6 else 3

    def _after_failure(self, tally: Tally) -> Decision:
        lowest = next(level for level in range(1, tally.current + 1) if self._failed(tally, level))
        n, dlt = tally.at(lowest)
        closed = tuple(range(lowest, len(self.doses) + 1))
        why = f"{dlt} of {n} with a DLT at {self.say(lowest)}, which has failed"
        if lowest == 1:
            return self.stop(0, f"{why}; it is the lowest", closed=closed)
        return self._at_the_end(tally, lowest - 1, why, fill=self.variant != "A", closed=closed)

    def _at_the_end(
        self, tally: Tally, level: int, why: str, *, fill: bool, closed: tuple[int, ...] = ()
    ) -> Decision:
        """Select the dose, after filling it to 6 where the variant wants that."""
        n, dlt = tally.at(level)
        if fill and n < 6:
            return self.treat(tally, level, 6 - n, f"{why}; {self.say(level)} is filled to 6", closed=closed)
        notes = () if n >= 3 else (f"Only {n} patient{'s' * (n != 1)} had this dose.",)
        if n < 6 and not fill and level != tally.current:  # of the current dose the reason has spoken
            why = f"{why}; {dlt} of {n} at {self.say(level)}"
        return self.stop(level, why, closed=closed, notes=notes)

    def _failed(self, tally: Tally, level: int) -> bool:
        """Whether a dose, or one below it, had too many DLTs: 2 or more, and more than 1 in 6."""
        return any(
            dlt >= 2 and 6 * dlt > n for n, dlt in zip(tally.n[:level], tally.dlt[:level], strict=True)
        )
