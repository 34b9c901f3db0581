"""What a reader should know before trusting non-compartmental metrics.

Each rule looks at one subject's metrics and says what is weak. A terminal half-life is the weakest of all:
it needs a straight line (adjusted R²), enough days (span), enough points and a small extrapolated share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pandas as pd

from carkinetics.exposure.table import Exposure
from carkinetics.exposure.terminal import MINIMUM_POINTS
from carkinetics.findings import Finding, findings_table

R2_POOR, R2_FAIR = 0.85, 0.90
SPAN_SHORT, SPAN_FAIR = 2.0, 3.0
EXTRAPOLATED_LARGE = 20.0
CARRY_OVER_DAYS = 1.0

Row = dict[str, float]
_Rule = Callable[[Row, Row], Iterator[Finding]]


def _terminal_fit(row: Row, upper: Row) -> Iterator[Finding]:
    r2 = row["lambda_z_r2_adjusted"]
    if r2 < R2_FAIR:
        yield Finding(
            "warning" if r2 < R2_POOR else "note",
            "terminal-fit",
            "",
            f"adjusted R² of the terminal line is {r2:.3f}; at least {R2_FAIR:g} is usual, so the half-life is uncertain",
        )


def _terminal_span(row: Row, upper: Row) -> Iterator[Finding]:
    span = row["span"]
    if span < SPAN_FAIR:
        yield Finding(
            "warning" if span < SPAN_SHORT else "note",
            "terminal-span",
            "",
            f"the terminal line covers {span:.2f} half-lives (day {row['lambda_z_start']:g} to "
            f"{row['lambda_z_end']:g}, half-life {row['half_life']:.3g} d); {SPAN_FAIR:g} are usual",
        )


def _terminal_points(row: Row, upper: Row) -> Iterator[Finding]:
    if row["lambda_z_n"] == MINIMUM_POINTS:
        message = f"the terminal phase rests on {MINIMUM_POINTS} points; one of them moves the half-life"
        yield Finding("warning", "terminal-points", "", message)


def _extrapolated(row: Row, upper: Row) -> Iterator[Finding]:
    share = row["auc_extrapolated_percent"]
    if share > EXTRAPOLATED_LARGE:
        message = f"{share:.1f} % of the area to infinity is extrapolated; at most {EXTRAPOLATED_LARGE:g} % is usual"
        yield Finding("warning", "auc-extrapolated", "", message)


def _peak_at_end(row: Row, upper: Row) -> Iterator[Finding]:
    if row["tmax"] == row["sampling_end"]:
        message = f"Cmax is the last sample (day {row['tmax']:g}): the true peak is later or higher"
        yield Finding("warning", "cmax-at-last-sample", "", message)


def _peak_at_start(row: Row, upper: Row) -> Iterator[Finding]:
    if row["tmax"] == row["sampling_start"]:
        message = f"Cmax is the first sample (day {row['tmax']:g}): the true peak may be earlier and higher"
        yield Finding("warning", "cmax-at-first-sample", "", message)


def _peak_on_first_day(row: Row, upper: Row) -> Iterator[Finding]:
    if row["tmax"] <= CARRY_OVER_DAYS:
        message = f"Cmax is on day {row['tmax']:g}, within 24 h: it may be the infused cells and not their expansion"
        yield Finding("warning", "cmax-on-first-day", "", message)


def _still_quantifiable(row: Row, upper: Row) -> Iterator[Finding]:
    if upper["persistence"] == float("inf"):
        message = f"still quantifiable at the last sample (day {row['persistence']:g}): persistence is at least that"
        yield Finding("note", "persistence-censored", "", message)


# Each rule with the metrics that it reads: a comparison with a missing metric (NaN) is false.
_RULES: tuple[tuple[_Rule, tuple[str, ...]], ...] = (
    (_terminal_fit, ("lambda_z_r2_adjusted",)),
    (_terminal_span, ("span", "lambda_z_start", "lambda_z_end", "half_life")),
    (_terminal_points, ("lambda_z_n",)),
    (_extrapolated, ("auc_extrapolated_percent",)),
    (_peak_at_end, ("tmax", "sampling_end")),
    (_peak_at_start, ("tmax", "sampling_start")),
    (_peak_on_first_day, ("tmax",)),
    (_still_quantifiable, ("persistence",)),
)


def _per_subject(exposure: Exposure) -> Iterator[Finding]:
    """Every rule on every subject."""
    values = exposure.wide()
    uppers = pd.DataFrame({metric: exposure.rows(metric)["upper"] for metric in exposure.metrics})
    for subject in values.index:
        row, upper = values.loc[subject].to_dict(), uppers.loc[subject].to_dict()
        for rule, needs in _RULES:
            if set(needs) <= set(row):
                for found in rule(row, upper):
                    yield Finding(found.severity, found.rule, f"subject {subject}", found.message)


def _missing(exposure: Exposure) -> Iterator[Finding]:
    """Metrics without a value, together by metric and reason."""
    without = exposure.table[exposure.table["excluded"] != ""]
    n = exposure.table["subject"].nunique()
    for (metric, reason), rows in without.groupby(["metric", "excluded"], sort=False):
        where = "subjects " + ", ".join(rows["subject"].astype(str))
        yield Finding("note", "metric-missing", where, f"{metric} for {len(rows)} of {n} subjects: {reason}")


def _settings(exposure: Exposure) -> Iterator[Finding]:
    """Rows left out, values above the upper limit, and infusions after the first."""
    for reason, count in exposure.settings.get("rows_left_out", {}).items():
        yield Finding("note", "rows-left-out", "all subjects", f"{count} rows are not in the areas: {reason}")
    for subject, count in exposure.settings.get("above_uloq", {}).items():
        message = (
            f"{count} values are above the upper limit of quantification and count as that limit: Cmax and areas are "
            "at least what is said"
        )
        yield Finding("warning", "above-uloq", f"subject {subject}", message)
    for subject, days in exposure.settings.get("repeat_infusions", {}).items():
        listed = ", ".join(f"{day:g}" for day in days)
        message = (
            f"infused again on day {listed}; metrics count from the first infusion over the whole series"
        )
        yield Finding("note", "repeat-infusion", f"subject {subject}", message)


def nca_findings(exposure: Exposure) -> pd.DataFrame:
    """List the weaknesses of non-compartmental metrics, worst first.

    Parameters
    ----------
    exposure : Exposure
        Result of `nca`. A rule whose metrics are not in it is not applied.

    Returns
    -------
    pandas.DataFrame
        Columns ``severity, rule, where, message``.

    Notes
    -----
    Warned of: adjusted R² below 0.85 (noted below 0.90); span below 2 half-lives (noted below 3); a terminal
    phase of 3 points; more than 20 % extrapolated; Cmax in the first or last sample, or within 24 h. Noted:
    persistence censored by the last sample, values above the upper limit (a warning), metrics without a value, rows left out, repeated infusions.
    """
    return findings_table([*_per_subject(exposure), *_missing(exposure), *_settings(exposure)])
