"""Exposure metrics taken straight from the observations (non-compartmental).

A qPCR series is noisy, unevenly spaced, and ends below the limit of quantification. This file turns one
subject's series into a few numbers without assuming a model.

Conventions
-----------
Time is in days since the first infusion. Areas start there, at level 0 unless a sample was taken on day 0
(see `carkinetics.exposure.blq`); they join samples by `carkinetics.exposure.area`, and the terminal slope
is that of `carkinetics.exposure.terminal`.

A window such as ``auc_0_28`` needs sampling up to its end. Where the last samples of the window are BLQ and
left out, the level from Tlast on is Clast falling by lambda_z; without a lambda_z the area stops at Tlast,
and ``method`` says so.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import pandas as pd

from carkinetics.dataset.table import CAR, Dataset
from carkinetics.errors import ConfigError, did_you_mean
from carkinetics.exposure.area import METHODS, auc, aumc, check_method
from carkinetics.exposure.blq import ALL_BLQ, BLQ_CONVENTIONS, Profile, profile
from carkinetics.exposure.table import EXPOSURE_COLUMNS, METRICS, Exposure, metric_unit, window_end
from carkinetics.exposure.terminal import MINIMUM_POINTS, TerminalPhase, terminal_slope

MINIMUM_SAMPLES = 2
INTERVAL = "none; persistence and an all-BLQ Cmax lie between lower and upper by BLQ"


class _Measured(NamedTuple):
    """One metric of one subject."""

    value: float = math.nan
    lower: float = math.nan
    upper: float = math.nan
    method: str = "nca: observed"
    excluded: str = ""


@dataclass(frozen=True)
class _Subject:
    """What the metrics of one subject are computed from."""

    profile: Profile
    method: str

    @property
    def tlast(self) -> float:
        return float(self.profile.quantified_time[-1])

    @property
    def clast(self) -> float:
        return float(self.profile.quantified_level[-1])

    @property
    def peak(self) -> int:
        return int(self.profile.quantified_level.argmax())

    @cached_property
    def phase(self) -> TerminalPhase:
        return terminal_slope(self.profile.quantified_time, self.profile.quantified_level)

    def auc_to(self, day: float) -> float:
        return auc(self.profile.time, self.profile.level, start=0.0, end=day, method=self.method)

    def aumc_last(self) -> float:
        inside = self.profile.time <= self.tlast
        return aumc(self.profile.time[inside], self.profile.level[inside], method=self.method)

    def auc_inf(self, level: float) -> float:
        return self.auc_to(self.tlast) + level / self.phase.lambda_z


_Formulas = dict[str, Callable[[_Subject], float]]

_OBSERVED: _Formulas = {
    "cmax": lambda s: float(s.profile.quantified_level[s.peak]),
    "tmax": lambda s: float(s.profile.quantified_time[s.peak]),
    "tlast": lambda s: s.tlast,
    "clast": lambda s: s.clast,
}
_SAMPLING: _Formulas = {
    "sampling_start": lambda s: float(s.profile.sampled[0]),
    "sampling_end": lambda s: float(s.profile.sampled[-1]),
}
_TERMINAL: _Formulas = {
    "lambda_z": lambda s: s.phase.lambda_z,
    "lambda_z_n": lambda s: float(s.phase.n),
    "lambda_z_r2_adjusted": lambda s: s.phase.r2_adjusted,
    "lambda_z_start": lambda s: s.phase.start,
    "lambda_z_end": lambda s: s.phase.end,
    "span": lambda s: s.phase.span,
    "half_life": lambda s: s.phase.half_life,
    "clast_pred": lambda s: s.phase.level(s.tlast),
}
_AREAS: _Formulas = {
    "auc_last": lambda s: s.auc_to(s.tlast),
    "aumc_last": lambda s: s.aumc_last(),
}
_EXTRAPOLATED: _Formulas = {
    "auc_inf_obs": lambda s: s.auc_inf(s.clast),
    "auc_inf_pred": lambda s: s.auc_inf(s.phase.level(s.tlast)),
    "auc_extrapolated_percent": lambda s: 100 * (1 - s.auc_to(s.tlast) / s.auc_inf(s.clast)),
}
_AREA_FORMULAS = _AREAS | _EXTRAPOLATED
KNOWN = (*_OBSERVED, *_SAMPLING, *_TERMINAL, *_AREA_FORMULAS, "persistence")


def _persistence(subject: _Subject) -> _Measured:
    """Time with a quantifiable level, known up to the gap between two samples."""
    later = subject.profile.blq_time[subject.profile.blq_time > subject.tlast]
    return _Measured(subject.tlast, subject.tlast, float(later.min()) if len(later) else math.inf)


def _window(subject: _Subject, end: float, rule: str) -> _Measured:
    """Area from the infusion to a day."""
    sampled, tlast = float(subject.profile.sampled[-1]), subject.tlast
    if end > sampled:
        reason = f"last sample on day {sampled:g}, before the window ends on day {end:g}"
        return _Measured(method=rule, excluded=reason)
    if end <= float(subject.profile.time[-1]):
        return _Measured(subject.auc_to(end), method=rule)
    if subject.phase.reason:
        return _Measured(subject.auc_to(tlast), method=f"{rule}; BLQ after day {tlast:g}, stops there")
    slope = subject.phase.lambda_z
    tail = subject.clast * -math.expm1(-slope * (end - tlast)) / slope
    return _Measured(
        subject.auc_to(tlast) + tail, method=f"{rule}; BLQ after day {tlast:g}, falls by lambda_z"
    )


def _area(subject: _Subject, metric: str) -> _Measured:
    """Compute an area, or say why there is none."""
    rule, end = f"nca: {subject.method}", window_end(metric)
    if len(subject.profile.sampled) < MINIMUM_SAMPLES:
        reason = (
            f"an area needs {MINIMUM_SAMPLES} samples after the infusion; has {len(subject.profile.sampled)}"
        )
        return _Measured(method=rule, excluded=reason)
    if end is not None:
        return _window(subject, end, rule)
    if metric in _EXTRAPOLATED and subject.phase.reason:
        return _Measured(method=rule, excluded=f"no lambda_z: {subject.phase.reason}")
    return _Measured(_AREA_FORMULAS[metric](subject), method=rule)


def _measure(subject: _Subject, metric: str) -> _Measured:
    """One metric of one subject, or the reason why there is none, and whether a value above the ULOQ is in it."""
    found = _measure_plain(subject, metric)
    n = subject.profile.n_above
    return found._replace(method=f"{found.method}; {n} above the ULOQ counted as the ULOQ") if n else found


def _measure_plain(subject: _Subject, metric: str) -> _Measured:
    if metric in _SAMPLING and len(subject.profile.sampled):
        return _Measured(_SAMPLING[metric](subject))
    if subject.profile.problem:
        below = metric == "cmax" and subject.profile.problem == ALL_BLQ
        limits = (0.0, subject.profile.lloq) if below else (math.nan, math.nan)
        return _Measured(lower=limits[0], upper=limits[1], excluded=subject.profile.problem)
    if metric in _OBSERVED:
        return _Measured(_OBSERVED[metric](subject))
    if metric == "persistence":
        return _persistence(subject)
    if metric in _TERMINAL:
        rule, reason = "nca: log-linear regression", subject.phase.reason
        if reason:
            return _Measured(method=rule, excluded=reason)
        return _Measured(_TERMINAL[metric](subject), method=rule)
    return _area(subject, metric)


def metric_values(series: Profile, metrics: Iterable[str], method: str = METHODS[0]) -> list[float]:
    """Values of metrics of one series, as `nca` computes them.

    Parameters
    ----------
    series : Profile
        One subject's samples.
    metrics : iterable of str
        Metrics that exist.
    method : {"linear-up/log-down", "linear"}
        How two samples are joined.

    Returns
    -------
    list of float
        NaN where `nca` would give a reason instead of a value.
    """
    subject = _Subject(series, method)
    return [_measure_plain(subject, name).value for name in metrics]


def checked_metrics(metrics: Iterable[str] | None) -> list[str]:
    """Names of metrics that samples have.

    Parameters
    ----------
    metrics : iterable of str, optional
        Any; all of ``METRICS`` if not given.

    Returns
    -------
    list of str
        The same.

    Raises
    ------
    ConfigError
        If one does not exist.
    """
    names = list(METRICS if metrics is None else metrics)
    for name in names:
        if name not in KNOWN and window_end(name) is None:
            raise ConfigError(
                f"metric is {name!r}{did_you_mean(name, METRICS)} (any window is auc_0_X, X in days)"
            )
    return names


def _only_assay(data: Dataset, assay: str | None) -> str:
    """Choose the assay asked for, or the only one there is, or the only one of CAR-T levels."""
    known = data.assays["assay"].tolist()
    if assay is not None and assay not in known:
        raise ConfigError(f"assay is {assay!r}{did_you_mean(assay, known)}")
    if assay is not None:
        return assay
    of_cells = known if len(known) == 1 else [name for name in known if data.kind(name) == CAR]
    if len(of_cells) != 1:
        raise ConfigError(f"the data have {len(known)} assays ({', '.join(known)}); name one by assay=")
    return str(of_cells[0])


def _settings(data: Dataset, assay: str, method: str, blq: str, left_out: Counter[str]) -> dict[str, Any]:
    """How the numbers were made."""
    infusions = data.doses.groupby("subject", sort=False)["time"].apply(
        lambda days: sorted(days.astype(float))
    )
    return {
        "engine": "nca",
        "method": method,
        "blq": blq,
        "assay": assay,
        "interval": INTERVAL,
        "start": "day 0 at level 0 unless sampled then; no extrapolation backwards",
        "window_tail": "BLQ at the end of a window: Clast falling by lambda_z; without lambda_z to Tlast only",
        "terminal": f"best adjusted R2, at least {MINIMUM_POINTS} points, Cmax left out, within 1e-4 more points",
        "rows_left_out": dict(left_out),
        "repeat_infusions": {str(s): days[1:] for s, days in infusions.items() if len(days) > 1},
    }


def nca(
    data: Dataset,
    *,
    method: str = METHODS[0],
    blq: str = "zero-before-then-drop",
    metrics: Iterable[str] | None = None,
    assay: str | None = None,
) -> Exposure:
    """Exposure metrics of every subject, straight from the observations.

    Parameters
    ----------
    data : Dataset
        Observations, in days since the first infusion.
    method : {"linear-up/log-down", "linear"}
        How two samples are joined.
    blq : {"zero-before-then-drop", "zero", "half-lloq", "lloq", "drop"}
        What a BLQ value counts as, by its place in the series; see `carkinetics.exposure.blq`.
    metrics : iterable of str, optional
        Metrics to compute, by default ``METRICS``; any window is ``auc_0_X`` with X in days.
    assay : str, optional
        Assay to use; needed when the data have more than one of CAR-T levels.

    Returns
    -------
    Exposure
        A row for every subject and metric, with the reason where there is no value.

    Raises
    ------
    ConfigError
        If the method, the convention, a metric or the assay does not exist, or the assay is not named.

    Notes
    -----
    With repeated infusions all metrics count from the first one, over the whole series; the later
    infusions are in ``settings["repeat_infusions"]`` and `nca_findings` reports them.

    References
    ----------
    .. [1] Gabrielsson J, Weiner D. Pharmacokinetic and Pharmacodynamic Data Analysis. 5th ed. 2016.
    """
    check_method(method)
    if blq not in BLQ_CONVENTIONS:
        raise ConfigError(f"blq is {blq!r}{did_you_mean(blq, BLQ_CONVENTIONS)}")
    names, chosen = checked_metrics(metrics), _only_assay(data, assay)
    unit = data.unit(chosen)
    observations = data.observations[data.observations["assay"] == chosen]
    by_subject = {str(subject): rows for subject, rows in observations.groupby("subject", sort=False)}

    table: list[dict[str, Any]] = []
    left_out: Counter[str] = Counter()
    above: dict[str, int] = {}
    for subject in data.subject_ids:
        series = profile(by_subject.get(str(subject), observations.iloc[:0]), blq)
        left_out += series.left_out
        above |= {str(subject): series.n_above} if series.n_above else {}
        state = _Subject(series, method)
        for name in names:
            row = {"subject": subject, "metric": name, "unit": metric_unit(name, unit)}
            table.append(row | _measure(state, name)._asdict())
    return Exposure(
        pd.DataFrame(table, columns=list(EXPOSURE_COLUMNS)),
        settings=_settings(data, chosen, method, blq, left_out) | {"above_uloq": above},
    )
