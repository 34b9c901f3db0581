"""Ranks of true values among posterior draws, and what they say of the inference that made the draws.

Conventions
-----------
A rank is the number of `N_RANKS` posterior draws that lie below the true value. If a population is drawn from the prior, data
from the population, and draws from the posterior given the data, every rank from 0 to `N_RANKS` is equally likely [1]_. The log
likelihood is ranked too: a sampler that ignores the data and returns the prior gives uniform ranks of every parameter, but not
of it [2]_.

References
----------
.. [1] Talts S et al. Validating Bayesian inference algorithms with simulation-based calibration. arXiv:1804.06788.
.. [2] Modrák M et al. Simulation-based calibration checking for Bayesian computation: the choice of test quantities shapes
   sensitivity. Bayesian Anal 2025;20:461-488.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest, chisquare, kstest

N_RANKS = 99
COVERAGES = (50, 90)
ABOUT = ("replicate", "status", "message", "ess", "rhat", "blq", "seconds")
DONE, SHORT, NO_TRUTH, BROKEN = "done", "goal missed", "no solution", "failed"
USED = (DONE, SHORT)  # a replicate that mixed badly is not left out: that would hide it
# A departure is one that happens in fewer than one of a hundred right calibrations, whatever the number of quantities.
LEVEL = 0.01
FEWEST = 20  # replicates; of fewer, ten bins of a histogram are mostly empty


@dataclass(frozen=True, eq=False)
class Calibration:
    """What simulation-based calibration found.

    Parameters
    ----------
    ranks : pandas.DataFrame
        One row per replicate: ``replicate, status, message, ess, rhat, blq`` (share of samples), ``seconds`` and a column per quantity with
        the rank of its true value, 0 to 99. A replicate whose truth has no solution (``"no solution"``), or whose fit
        could not be made (``"failed"``), has no ranks.
    settings : dict
        Model, design, options, seed.
    """

    ranks: pd.DataFrame
    settings: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return (
            f"<Calibration of {self.settings.get('model', 'a model')}: {self.n} replicates, {self.verdict}>"
        )

    @property
    def used(self) -> pd.DataFrame:
        """Ranks alone, of the replicates that have them."""
        rows = self.ranks[self.ranks["status"].isin(USED)]
        return rows.drop(columns=list(ABOUT))

    @property
    def n(self) -> int:
        """Number of replicates with ranks."""
        return len(self.used)

    @property
    def table(self) -> pd.DataFrame:
        """One row per quantity: see `rank_table`."""
        return rank_table(self.used)

    @property
    def calibrated(self) -> bool | None:
        """Whether the ranks are uniform as far as can be seen; None of fewer than 20 replicates."""
        return None if self.n < FEWEST else bool(self.departures.empty)

    @property
    def departures(self) -> pd.DataFrame:
        """Rows of `table` whose ranks are not uniform, with as many tests as there are quantities allowed for."""
        table = self.table
        return table[table["p"] * len(table) < LEVEL].sort_values("p")

    @property
    def verdict(self) -> str:
        """In a few words."""
        if self.calibrated is None:
            return f"too few replicates to judge (fewer than {FEWEST})"
        if self.calibrated:
            return "no departure from uniform ranks"
        worst = self.departures.index[0]
        return f"NOT calibrated: ranks of {worst} are not uniform (p {self.departures['p'].iloc[0]:.1g})"

    @property
    def statement(self) -> str:
        """What a reader of a report has to know."""
        settings, counts = self.settings, self.ranks["status"].value_counts()
        parameters = self.table.drop(index="log_likelihood", errors="ignore")
        covered = f"{100 * parameters['cover_90'].mean():.0f} %" if self.n else "none"
        lost = [f"{counts[s]} {words}" for s, words in _LOST.items() if counts.get(s)]
        return (
            f"{settings.get('model', 'The model')} with {settings.get('subjects', '?')} patients and this schedule: 90 % intervals held "
            f"{covered} of the true values of {len(parameters)} quantities in {self.n} simulated data sets; {self.verdict}."
            + (f" Of the data sets {'; '.join(lost)}." if lost else "")
        )


_LOST = {
    SHORT: "stopped before the sampler's goal (counted)",
    NO_TRUTH: "had a drawn truth that the equations have no solution for (not counted)",
    BROKEN: "could not be fitted (not counted)",
}


def rank_table(ranks: pd.DataFrame) -> pd.DataFrame:
    """Uniformity and coverage of every quantity.

    Parameters
    ----------
    ranks : pandas.DataFrame
        A column per quantity, ranks from 0 to 99.

    Returns
    -------
    pandas.DataFrame
        Indexed by quantity: ``n``; ``mean`` and ``variance`` of the rank as a share of 100 (0.5 and 0.0833 if uniform); ``chi2_p`` of ten
        bins (five below 50 replicates), ``ks_p``; ``p``, twice the smaller of them and at most 1; ``cover_50, cover_90``, shares of
        true values inside the central intervals; ``low_90, high_90``, the exact 95 % interval of the latter.

    Examples
    --------
    >>> table = rank_table(pd.DataFrame({"cmax_typical": range(100)}))
    >>> float(table.loc["cmax_typical", "cover_90"]), float(table.loc["cmax_typical", "chi2_p"])
    (0.9, 1.0)
    """
    rows = {str(name): _of_one(ranks[name].dropna().to_numpy(float)) for name in ranks}
    columns = ["n", "mean", "variance", "chi2_p", "ks_p", "p", "cover_50", "cover_90", "low_90", "high_90"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("quantity")


def _of_one(ranks: NDArray[np.float64]) -> Mapping[str, float]:
    n, u = len(ranks), (ranks + 0.5) / (N_RANKS + 1)
    if n == 0:
        return {"n": 0}
    counts = np.histogram(u, 10 if n >= 50 else 5, (0, 1))[0]
    chi2, ks = float(chisquare(counts).pvalue), float(kstest(u, "uniform").pvalue)
    inside = {c: int((np.abs(u - 0.5) < c / 200).sum()) for c in COVERAGES}
    exact = binomtest(inside[90], n).proportion_ci(0.95)
    return {
        "n": n, "mean": u.mean(), "variance": u.var(), "chi2_p": chi2, "ks_p": ks, "p": min(1.0, 2 * min(chi2, ks)),
        **{f"cover_{c}": k / n for c, k in inside.items()}, "low_90": exact.low, "high_90": exact.high,
    }  # fmt: skip
