"""Exposure by dose group: the table of a clinical study report.

Levels, areas and the terminal slope are described by geometric mean and geometric CV, because they are
skewed and compared as ratios; times (Tmax, Tlast) by median and range only. Terminal slopes whose adjusted R² is below 0.90 are
left out of the groups, as `nca_findings` warns of them; persistence is censored at the last sample, and its median is that of
Kaplan and Meier.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from carkinetics.dataset.table import Dataset
from carkinetics.errors import ConfigError, did_you_mean
from carkinetics.exposure.follow_up import UNTIL_LOST, beyond, median_time, times_until_lost
from carkinetics.exposure.table import Exposure, window_end
from carkinetics.fit.variability import cv_percent

GEOMETRIC = (
    "cmax", "clast", "clast_pred", "auc_last", "auc_inf_obs", "auc_inf_pred", "aumc_last", "lambda_z", "half_life",
)  # fmt: skip

OF_SLOPE = ("lambda_z", "half_life")
COLUMNS = (
    "n", "n_missing", "n_left_out", "n_beyond", "geometric_mean", "geometric_cv_percent", "median", "min", "max",
)  # fmt: skip
LABEL_ROUNDING = 0.05  # of a label of two digits, as reading makes them
MOST_AMOUNTS = 8  # amounts by body weight differ in everybody, and then the level is the group


def subject_groups(data: Dataset, by: str) -> pd.Series:
    """Group of each subject.

    Parameters
    ----------
    data : Dataset
        Subjects and doses.
    by : str
        A column of ``data.subjects``; ``"dose"`` and, where there is no such column, ``"dose_level"``
        mean the amount of the first infusion.

    Returns
    -------
    pandas.Series
        Indexed by subject.

    Raises
    ------
    ConfigError
        If there is no such column.
    """
    columns = [column for column in data.subjects.columns if column != "subject"]
    if by in columns:
        return data.subjects.set_index("subject")[by]
    if by in ("dose", "dose_level"):
        return data.first_dose().rename(by)
    raise ConfigError(
        f"by is {by!r}, which is not a column of subjects{did_you_mean(by, [*columns, 'dose'])}"
    )


def dose_unit(data: Dataset, by: str | None) -> str:
    """Unit of groups by dose: none where they are codes such as 1, 2 and 3.

    Parameters
    ----------
    data : Dataset
        Subjects and doses.
    by : str or None
        How subjects are grouped.

    Returns
    -------
    str
        That of the doses, if all have one and the groups are the amounts given, up to the digits of a label; else empty.
    """
    units = data.doses["unit"].dropna().unique()
    if by not in ("dose", "dose_level") or len(units) != 1:
        return ""
    amount, level = data.first_dose(), pd.to_numeric(subject_groups(data, by), errors="coerce")
    both = amount.notna() & subject_groups(data, by).notna()
    same = np.isclose(level[both], amount[both], rtol=LABEL_ROUNDING)
    return str(units[0]) if both.any() and same.all() else ""


def dose_grouping(data: Dataset) -> str:
    """What tells dose groups apart: the amount given, rather than a code for it.

    Parameters
    ----------
    data : Dataset
        Subjects and doses.

    Returns
    -------
    str
        ``"dose"`` where ``dose_level`` is a code, every subject with one has an amount in one unit, and the amounts are few;
        else ``"dose_level"``.
    """
    if "dose_level" not in data.subjects or dose_unit(data, "dose_level") or not dose_unit(data, "dose"):
        return "dose_level"
    amount, level = data.first_dose(), data.subjects.set_index("subject")["dose_level"]
    known = bool(amount[level.notna()].notna().all())
    return "dose" if known and amount.nunique() <= MOST_AMOUNTS else "dose_level"


def dose_groups(data: Dataset) -> pd.Series | None:
    """Dose of each subject, or its level where that is all there is to group by, if there are several.

    Parameters
    ----------
    data : Dataset
        Subjects and doses.

    Returns
    -------
    pandas.Series or None
        Indexed by subject; None without doses, and with one dose only.
    """
    try:
        groups = subject_groups(data, dose_grouping(data))
    except ConfigError:
        return None
    return groups if len(groups.dropna().unique()) > 1 else None


def _describe(values: pd.Series, geometric: bool) -> dict[str, float]:
    """One cell of the table, a row of numbers."""
    known = values.dropna()
    row: dict[str, float] = {"n": len(known), "n_missing": len(values) - len(known)}
    row |= {"geometric_mean": np.nan, "geometric_cv_percent": np.nan}
    if geometric and len(known) and (known > 0).all():
        logs = np.log(known)
        row["geometric_mean"] = float(np.exp(logs.mean()))
        if len(known) > 1:
            row["geometric_cv_percent"] = float(cv_percent(logs.std(ddof=1)))
    return row | {"median": known.median(), "min": known.min(), "max": known.max()}


def described(exposure: Exposure, metric: str) -> pd.DataFrame:
    """Rows of a metric whose quantiles say something.

    Parameters
    ----------
    exposure : Exposure
        Of samples or of a fit.
    metric : str
        One of it.

    Returns
    -------
    pandas.DataFrame
        Rows of the table with a value, without slopes that are no lines; none of a persistence that is censored in some.
    """
    rows = exposure.table[(exposure.table["metric"] == metric) & exposure.table["value"].notna()]
    if metric in UNTIL_LOST and beyond(exposure, metric).any():
        return rows.iloc[:0]
    return rows[~rows["subject"].isin(_weak(exposure, metric))]


def _weak(exposure: Exposure, metric: str) -> list[str]:
    """Subjects whose terminal slope is no line, if the metric is one of the slope."""
    return list(exposure.settings.get("weak_slopes", {})) if metric in OF_SLOPE else []


def _of_group(exposure: Exposure, metric: str, values: pd.Series) -> dict[str, float]:
    """What is said of the values of one group: slopes that are no lines left out, censored times as such."""
    weak = values.index.isin(_weak(exposure, metric))
    row = _describe(values[~weak], metric in GEOMETRIC or window_end(metric) is not None)
    row |= {"n_left_out": int(weak.sum()), "n_beyond": int(beyond(exposure, metric)[values.index].sum())}
    if metric in UNTIL_LOST:
        known = times_until_lost(exposure, metric).reindex(values.dropna().index)
        time, event = known["time"], known["event"].astype(bool)
        row |= {"median": median_time(time, event), "min": time.min(), "max": time.max()}
    return {name: row[name] for name in COLUMNS}


def nca_by(exposure: Exposure, data: Dataset, by: str = "dose_level") -> pd.DataFrame:
    """Exposure metrics by group.

    Parameters
    ----------
    exposure : Exposure
        Metrics by subject.
    data : Dataset
        The subjects' groups.
    by : str
        A column of ``data.subjects``, or ``"dose"`` for the amount of the first infusion; ``"dose_level"``
        falls back to that amount where the subjects have no such column.

    Returns
    -------
    pandas.DataFrame
        One row per group and metric: the group, ``metric, unit, n, n_missing, n_left_out, n_beyond, geometric_mean,
        geometric_cv_percent, median, min, max``. ``n_left_out``: half-lives and slopes of lines with an adjusted R² below 0.90,
        which are not described. ``n_beyond``, of ``n``: values that rest on time after the subject's last sample: censored for
        persistence, whose ``median`` is infinite where it is not reached, extrapolated by the model for areas. Geometric columns
        are empty for times, for counts, and where a value is 0. Subjects without a group come last, under a missing group.

    Raises
    ------
    ConfigError
        If there is no such column.
    """
    groups = subject_groups(data, by)
    table = exposure.table.assign(**{by: exposure.table["subject"].map(groups)})
    rows = []
    order = sorted(table[by].dropna().unique())
    blocks = [(group, table[table[by] == group]) for group in order]
    if table[by].isna().any():
        blocks.append((np.nan, table[table[by].isna()]))
    for group, block in blocks:
        for metric, part in block.groupby("metric", sort=False):
            name = str(metric)
            head = {by: group, "metric": name, "unit": part["unit"].iloc[0]}
            rows.append(head | _of_group(exposure, name, part.set_index("subject")["value"]))
    return pd.DataFrame(rows)
