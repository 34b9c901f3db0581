"""Who can be analysed in exposure against dose, and in which group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from carkinetics.dataset.table import Dataset
from carkinetics.errors import ConfigError, DataError, UnitError
from carkinetics.exposure.area import Floats
from carkinetics.exposure.by_dose import subject_groups
from carkinetics.exposure.table import Exposure
from carkinetics.response.inputs import usable_exposure

MINIMUM_SUBJECTS = 3


@dataclass(frozen=True, eq=False)
class Analysed:
    """Doses and exposures of the subjects that can be analysed.

    Parameters
    ----------
    observed : pandas.DataFrame
        ``subject, dose, value``, and ``group`` where there are groups.
    log_dose : ndarray, shape (n,)
        Of the subjects.
    log_values : ndarray, shape (n,) or (n_groups, n)
        Log of the point values; by measurement where the same subjects have several.
    log_samples : ndarray, shape (n_draws, ...), or None
        Their posterior draws; None when there are none.
    groups : tuple of str
        Names of the groups; empty without.
    group : ndarray of int, shape (n,), or None
        Group of each subject; None without groups, or where each subject is in all.
    excluded : pandas.DataFrame
        ``subject, reason`` of the others.
    unit : str
        Of the exposure; those of several measurements joined.
    dose_unit : str
        Of the dose.
    """

    observed: pd.DataFrame
    log_dose: Floats
    log_values: Floats
    log_samples: Floats | None
    groups: tuple[str, ...]
    group: np.ndarray | None
    excluded: pd.DataFrame
    unit: str
    dose_unit: str

    @property
    def n(self) -> int:
        """Number of subjects."""
        return len(self.log_dose)

    @property
    def ratio(self) -> float:
        """Highest over lowest dose."""
        return float(np.exp(np.ptp(self.log_dose)))


def analysed_subjects(
    exposure: Exposure | Mapping[str, Exposure], data: Dataset, metric: str, by: str | None, seed: int
) -> Analysed:
    """Exposures and doses of who can be analysed, with everybody else named.

    Parameters
    ----------
    exposure : Exposure or mapping of str to Exposure
        Metrics by subject, by one measurement or several.
    data : Dataset
        Doses, and the column of the groups.
    metric : str
        Metric of exposure.
    by : str or None
        Column of ``data.subjects``.
    seed : int
        Seed of the choice of draws where measurements have unequal numbers.

    Returns
    -------
    Analysed
        Arrays.

    Raises
    ------
    ConfigError
        If the groups do not make sense.
    DataError
        If fewer than 3 subjects or 2 different doses are left.
    UnitError
        If doses have more than one unit.
    """
    dose, dose_unit = _doses(data)
    reasons = dose.isna().map({True: "no dose", False: ""}).where(~(dose <= 0), "the dose is not above 0")
    if isinstance(exposure, Mapping):
        if by is not None or len(exposure) < 2:
            raise ConfigError(
                f"{len(exposure)} exposures and by={by!r}; expected two or more exposures without by=, or one"
            )
        return _several(exposure, dose, reasons, metric, dose_unit, seed)
    group = None
    if by is not None:
        group = subject_groups(data, by)
        reasons = reasons.where((reasons != "") | group.reindex(reasons.index).notna(), f"no {by}")
    values, samples, excluded = usable_exposure(exposure, metric, reasons, positive=True)
    amounts = _enough(dose.loc[values.index].to_numpy(), metric)
    observed = pd.DataFrame({"subject": values.index, "dose": amounts, "value": values.to_numpy()})
    names: tuple[str, ...] = ()
    codes = None
    if group is not None:
        own = group.loc[values.index].astype(str).to_numpy()
        found, codes = np.unique(own, return_inverse=True)
        names = tuple(found.tolist())
        if len(names) < 2:
            raise ConfigError(
                f"by={by!r}: all {len(own)} subjects are in {own[0]!r}; expected two or more groups"
            )
        observed["group"] = own
    return Analysed(
        observed, np.log(amounts), np.log(values.to_numpy()), None if samples is None else np.log(samples), names,
        codes, excluded, exposure.unit(metric), dose_unit,
    )  # fmt: skip


def _several(
    exposures: Mapping[str, Exposure],
    dose: pd.Series,
    reasons: pd.Series,
    metric: str,
    dose_unit: str,
    seed: int,
) -> Analysed:
    """Subjects with a usable exposure by every measurement: a covariance between measurements needs all of them."""
    each = {name: usable_exposure(one, metric, reasons, positive=True) for name, one in exposures.items()}
    left_out: dict[str, str] = {}
    for name, (_, _, excluded) in each.items():
        for subject, reason in excluded.itertuples(index=False):
            of_all = reasons.get(subject, "") == reason
            left_out.setdefault(subject, reason if of_all else f"{name}: {reason}")
    kept = [s for s in next(iter(each.values()))[0].index if all(s in v.index for v, _, _ in each.values())]
    amounts = _enough(dose.loc[kept].to_numpy(), metric)
    values = np.stack([v.loc[kept].to_numpy() for v, _, _ in each.values()])
    with_draws = [name for name, (_, samples, _) in each.items() if samples is not None]
    if with_draws and len(with_draws) < len(each):
        other = next(name for name in each if name not in with_draws)
        raise ConfigError(f"{with_draws[0]} has posterior draws and {other} has none; expected all or none")
    samples = None
    if with_draws:
        rng = np.random.default_rng([seed, 2])
        n_draws = min(len(samples) for _, samples, _ in each.values() if samples is not None)
        # Fits of different assays are independent of each other: any order of their draws is as good.
        parts = [
            drawn[rng.permutation(len(drawn))[:n_draws]][:, v.index.get_indexer(pd.Index(kept))]
            for v, drawn, _ in each.values()
            if drawn is not None
        ]
        samples = np.log(np.stack(parts, axis=1))
    observed = pd.concat(
        [
            pd.DataFrame({"subject": kept, "dose": amounts, "value": row, "group": name})
            for name, row in zip(each, values, strict=True)
        ],
        ignore_index=True,
    )
    units = list(dict.fromkeys(one.unit(metric) for one in exposures.values()))
    excluded = pd.DataFrame(list(left_out.items()), columns=["subject", "reason"])
    return Analysed(
        observed, np.log(amounts), np.log(values), samples, tuple(each), None, excluded, ", ".join(units), dose_unit
    )  # fmt: skip


def _enough(amounts: Floats, metric: str) -> Floats:
    if len(amounts) < MINIMUM_SUBJECTS or len(np.unique(amounts)) < 2:
        raise DataError(
            f"dose against {metric}: {len(amounts)} subjects at {len(np.unique(amounts))} doses; expected at least "
            f"{MINIMUM_SUBJECTS} subjects at 2 or more doses"
        )
    return amounts


def _doses(data: Dataset) -> tuple[pd.Series, str]:
    """First dose by subject and its unit."""
    units = data.doses["unit"].dropna().unique().tolist()
    if len(units) > 1:
        raise UnitError(
            f"doses are in {' and '.join(units)}; convert them to one unit before comparing subjects"
        )
    return data.first_dose(), str(units[0]) if units else ""
