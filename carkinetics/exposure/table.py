"""Exposure: how much transgene each subject had, one row per subject and metric.

Every metric that was asked for has a row. One that could not be computed has no value and says why in
``excluded``. ``lower`` and ``upper`` are the interval named in ``settings["interval"]``.

Metrics
-------
============================  =========================================================  ============
metric                        meaning                                                    unit
============================  =========================================================  ============
``cmax``, ``tmax``            largest level and the first time it is reached             level, day
``clast``, ``tlast``          last quantifiable level and its time                       level, day
``auc_last``                  area from the infusion to ``tlast``                        level × day
``auc_0_X``                   area from the infusion to day X (``auc_0_28``)             level × day
``auc_inf_obs``               ``auc_last`` + ``clast`` / ``lambda_z``                    level × day
``auc_inf_pred``              ``auc_last`` + ``clast_pred`` / ``lambda_z``               level × day
``auc_extrapolated_percent``  share of ``auc_inf_obs`` beyond ``tlast``                  %
``aumc_last``                 area under time × level, to ``tlast``                      level × day²
``lambda_z``, ``half_life``   terminal slope and ln 2 / slope                            1/day, day
``lambda_z_n``                points in the terminal regression                          1
``lambda_z_r2_adjusted``      its adjusted R²                                            1
``lambda_z_start``, ``_end``  first and last time in it                                  day
``span``                      (end − start) in half-lives                                1
``clast_pred``                level at ``tlast`` on the terminal line                    level
``persistence``               time with a quantifiable level: at least ``lower``,        day
                              less than ``upper`` (first BLQ after, or infinity)
``time_to_blq``               first day after the peak with a level below the LLOQ; of   day
                              a curve only
``doubling_time``             during expansion, as the model defines it; of a curve      day
                              only
``sampling_start``, ``_end``  first and last sample after the infusion, BLQ or not       day
============================  =========================================================  ============
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import xarray as xr

from carkinetics.errors import ConfigError, DataError, did_you_mean
from carkinetics.units import area_unit, canonical_unit

EXPOSURE_COLUMNS = ("subject", "metric", "value", "lower", "upper", "unit", "method", "excluded")

METRICS = (
    "cmax", "tmax", "tlast", "clast", "auc_last", "auc_0_28", "auc_0_84", "auc_0_180", "auc_inf_obs",
    "auc_inf_pred", "auc_extrapolated_percent", "aumc_last", "lambda_z", "lambda_z_n", "lambda_z_r2_adjusted",
    "lambda_z_start", "lambda_z_end", "span", "half_life", "clast_pred", "persistence", "sampling_start",
    "sampling_end",
)  # fmt: skip

OF_CURVE = ("time_to_blq", "doubling_time")  # what samples alone do not have

_WINDOW = re.compile(r"auc_0_(\d+(?:\.\d+)?)")
_LEVELS = ("cmax", "clast", "clast_pred")
_DAYS = (
    "tmax", "tlast", "half_life", "persistence", "time_to_blq", "doubling_time", "lambda_z_start", "lambda_z_end", "sampling_start", "sampling_end",
)  # fmt: skip


def window_end(metric: str) -> float | None:
    """Last day of a window such as ``auc_0_28``.

    Parameters
    ----------
    metric : str
        Name of a metric.

    Returns
    -------
    float or None
        Day on which the window ends; None when the metric is not an area from 0 to a day above 0.

    Examples
    --------
    >>> window_end("auc_0_10.5"), window_end("auc_last")
    (10.5, None)
    """
    match = _WINDOW.fullmatch(metric)
    return float(match[1]) if match and float(match[1]) > 0 else None


def metric_unit(metric: str, level_unit: str) -> str:
    """Name the unit of a metric.

    Parameters
    ----------
    metric : str
        Name of a metric.
    level_unit : str
        Unit of the level, for instance ``"copies/ug"``.

    Returns
    -------
    str
        For instance ``"copies*day/ug"``.

    Examples
    --------
    >>> metric_unit("auc_0_28", "copies/ug"), metric_unit("aumc_last", "copies/ug"), metric_unit("lambda_z", "%")
    ('copies*day/ug', 'copies*day^2/ug', '1/day')
    """
    if metric in _LEVELS:
        return canonical_unit(level_unit)
    if metric in _DAYS or metric.startswith("half_life_"):  # a model may have several
        return "day"
    if metric == "auc_extrapolated_percent":
        return "%"
    if metric.startswith("auc_"):
        return area_unit(level_unit)
    if metric == "aumc_last":
        return area_unit(level_unit).replace("*day", "*day^2")
    return "1/day" if metric == "lambda_z" else "1"


@dataclass(frozen=True, eq=False)
class Exposure:
    """Metrics of exposure, with posterior draws when they come from a fit.

    Parameters
    ----------
    table : pandas.DataFrame
        Long: ``subject, metric, value, lower, upper, unit, method, excluded``. ``excluded`` is empty
        for a metric with a value, and otherwise the reason why there is none.
    draws : xarray.Dataset, optional
        One variable per metric with dimensions ``chain, draw, subject``; None without a posterior.
    settings : dict
        What made the numbers: method, BLQ convention, kind and width of the interval.
    """

    table: pd.DataFrame
    draws: xr.Dataset | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        missing = [column for column in EXPOSURE_COLUMNS if column not in self.table.columns]
        if missing:
            raise DataError(
                f"exposure: column {missing[0]!r} is missing; expected {', '.join(EXPOSURE_COLUMNS)}"
            )
        twice = self.table.duplicated(["subject", "metric"])
        if twice.any():
            row = self.table[twice].iloc[0]
            raise DataError(
                f"exposure: subject {row['subject']} has {row['metric']} twice; expected one row each"
            )

    def __repr__(self) -> str:
        subjects, metrics = self.table["subject"].nunique(), self.table["metric"].nunique()
        without = int(self.table["value"].isna().sum())
        drawn = "no draws" if self.draws is None else "with draws"
        return f"<Exposure: {subjects} subjects, {metrics} metrics, {without} values missing, {drawn}>"

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics, in table order."""
        return list(dict.fromkeys(self.table["metric"]))

    @property
    def subject_ids(self) -> list[str]:
        """Subject identifiers, in table order."""
        return list(dict.fromkeys(self.table["subject"]))

    def rows(self, metric: str) -> pd.DataFrame:
        """Rows of one metric, indexed by subject.

        Parameters
        ----------
        metric : str
            Name of a metric in the table.

        Returns
        -------
        pandas.DataFrame
            The table's other columns.

        Raises
        ------
        ConfigError
            If the metric is not in the table.
        """
        chosen = self.table[self.table["metric"] == metric]
        if chosen.empty:
            raise ConfigError(f"no metric {metric!r} in this exposure{did_you_mean(metric, self.metrics)}")
        return chosen.set_index("subject").drop(columns="metric")

    def metric(self, name: str) -> pd.Series:
        """Values of one metric by subject.

        Parameters
        ----------
        name : str
            Name of a metric in the table.

        Returns
        -------
        pandas.Series
            Indexed by subject; NaN where the metric could not be computed.

        Raises
        ------
        ConfigError
            If the metric is not in the table.
        """
        return self.rows(name)["value"].rename(name)

    def unit(self, metric: str) -> str:
        """Name the unit of one metric.

        Parameters
        ----------
        metric : str
            Name of a metric in the table.

        Returns
        -------
        str
            For instance ``"copies*day/ug"``.
        """
        return str(self.rows(metric)["unit"].iloc[0])

    def wide(self) -> pd.DataFrame:
        """One row per subject, one column per metric.

        Returns
        -------
        pandas.DataFrame
            Indexed by subject, subjects and metrics in table order.
        """
        columns = {metric: self.metric(metric) for metric in self.metrics}
        return pd.DataFrame(columns, index=pd.Index(self.subject_ids, name="subject"))

    def samples(self, metric: str) -> pd.DataFrame | None:
        """Posterior draws of one metric.

        Parameters
        ----------
        metric : str
            Name of a metric.

        Returns
        -------
        pandas.DataFrame or None
            One row per draw (all chains in turn), one column per subject; None when there are no draws.

        Raises
        ------
        ConfigError
            If there are draws, but none of this metric.
        """
        if self.draws is None:
            return None
        if metric not in self.draws:
            known = [str(name) for name in self.draws.data_vars]
            raise ConfigError(f"no draws of metric {metric!r}{did_you_mean(metric, known)}")
        array = self.draws[metric].transpose("chain", "draw", "subject")
        subjects = pd.Index(array["subject"].to_numpy(), name="subject")
        return pd.DataFrame(array.to_numpy().reshape(-1, len(subjects)), columns=subjects)
