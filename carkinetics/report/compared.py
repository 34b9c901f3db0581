"""Fits that are compared on one page: their names, what speaks against each, and their ranking or why there is none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import pandas as pd

from carkinetics.diagnostics.compare import CRITERIA, compare
from carkinetics.errors import ConfigError, FitError, did_you_mean
from carkinetics.fit import Fit
from carkinetics.report.parts import Parts, sort_parts


@dataclass(frozen=True, eq=False)
class Compared:
    """What a page that compares fits is made of.

    Parameters
    ----------
    fits : mapping of str to Fit
        By their names on the page.
    parts : Parts
        The same fits with their reviews; data only if all fits saw the same.
    ranking : pandas.DataFrame or None
        From `carkinetics.compare`.
    refusal : str
        Why there is no ranking.
    """

    fits: Mapping[str, Fit]
    parts: Parts
    ranking: pd.DataFrame | None
    refusal: str = ""

    @property
    def reviews(self) -> dict[str, pd.DataFrame]:
        """Findings of every fit, by name."""
        return {name: found for name, (_, found) in zip(self.fits, self.parts.fits, strict=True)}

    @property
    def unusable(self) -> frozenset[str]:
        """Fits that did not converge."""
        return frozenset(name for name, found in self.reviews.items() if not found.attrs["converged"])

    @property
    def warning(self) -> str:
        """What stands above everything that shows a fit which did not converge."""
        names = [name for name in self.fits if name in self.unusable]
        return f"not converged: do not use the numbers of {', '.join(names)}" if names else ""

    def warning_of(self, name: str) -> str:
        """The same for what shows one fit only."""
        return f"{name} did not converge: do not use these numbers" if name in self.unusable else ""

    def head(self, name: str) -> str:
        """Name of a fit over its column, which says in print and in Word too that it did not converge."""
        return f"{name} (not converged)" if name in self.unusable else name


def gather(
    fits: Mapping[str, Fit], criteria: Iterable[str], refit: bool, ranking: pd.DataFrame | None
) -> Compared:
    """Review the fits and rank them; fits that cannot be ranked are shown all the same.

    Parameters
    ----------
    fits : mapping of str to Fit
        Hierarchical, by name.
    criteria, refit
        For `carkinetics.compare`.
    ranking : pandas.DataFrame or None
        Its table, where it is there already.

    Returns
    -------
    Compared
        All that the sections need.

    Raises
    ------
    ConfigError
        If there are fewer than two fits, a name is empty or there twice, a criterion is unknown or the ranking is of others.
    FitError
        If a fit is not a hierarchical one.
    """
    named = _named(fits)
    asked = list(criteria)
    for name in asked:
        if name not in CRITERIA:
            raise ConfigError(f"write_comparison: no criterion {name!r}{did_you_mean(name, CRITERIA)}")
    refusal = ""
    if ranking is None:
        try:
            ranking = compare(named, criteria=asked, refit=refit)
        except ConfigError as error:
            refusal = str(error).removeprefix("compare: ")
    elif set(map(str, ranking.index)) != set(named) or "subjects" not in ranking.attrs:
        raise ConfigError(
            f"write_comparison: the ranking is of {', '.join(map(str, ranking.index))}; expected the table of compare() of "
            f"{', '.join(named)}"
        )
    parts = sort_parts(named.values(), None)
    same = len({fit.data.sha256 for fit in named.values()}) == 1
    return Compared(named, parts if same else replace(parts, data=None), ranking, refusal)


def _named(fits: Mapping[str, Fit]) -> dict[str, Fit]:
    """The fits under the names that the page gives them, instead of those that they had in a study."""
    if len(fits) < 2:
        raise ConfigError(f"write_comparison: found {len(fits)} fits; expected two or more, by name")
    found: dict[str, Fit] = {}
    for key, fit in fits.items():
        name = str(key).strip()
        if not name or name in found:
            raise ConfigError(
                f"write_comparison: the name {name!r} is {'there twice' if name else 'empty'}; expected one for each fit"
            )
        if fit.method != "hierarchical":
            raise FitError(
                f"write_comparison: {name} is a fit of method {fit.method!r}; expected hierarchical ones (fit_hierarchical)"
            )
        found[name] = replace(fit, settings=fit.settings | {"name": name})
    return found
