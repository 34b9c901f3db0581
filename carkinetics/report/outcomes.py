"""The section on outcomes: what each analysis found, and how many were tried."""

from __future__ import annotations

from carkinetics.diagnostics.unconverged import NOT_CONVERGED
from carkinetics.report import outcome_figures
from carkinetics.report.blocks import Block, Section, Table, marked
from carkinetics.report.parts import Parts
from carkinetics.report.written import number, span
from carkinetics.response import EventModel, ExposureResponse, GradeModel, JointModel
from carkinetics.response.analysis_words import (
    analysis_name,
    counted,
    event_counts,
    exposure_name,
    outcome_definition,
    outcome_name,
)

Outcome = GradeModel | EventModel | ExposureResponse | JointModel


def response_section(parts: Parts) -> Section | None:
    """How outcomes go with exposure."""
    blocks: list[Block] = []
    for timing in parts.onsets:
        blocks.append(marked(timing.statement, parts.warning))
        if parts.fit is not None and parts.data is not None:
            blocks += outcome_figures.onset(timing, parts.fit, parts.data, parts.warning)
    for part in parts.outcomes:
        model = part.outcome if isinstance(part, JointModel) else part
        drawn = isinstance(model, ExposureResponse) or str(model.settings["exposure"]).startswith("posterior")
        warning = parts.warning_if_drawn(drawn)
        if isinstance(part, JointModel) and not part.converged:
            warning = NOT_CONVERGED
        blocks.append(marked(part.statement, warning))
        if isinstance(model, GradeModel) and model.settings["family"] == "binary":
            blocks += outcome_figures.exposure_response(model, parts.data, warning)
        if isinstance(model, EventModel) and not model.settings["changes_with_time"]:
            blocks += outcome_figures.event_curves(model, warning)
        blocks.append(_pooled(model, warning) if isinstance(model, ExposureResponse) else _coefficients(model, warning))  # fmt: skip
        if isinstance(model, GradeModel) and len(model.per_cut):
            blocks.append(_cuts(model, warning))
    if parts.outcomes:
        blocks.append(_tried(parts.outcomes))
    return Section("response", "Exposure and response", tuple(blocks)) if blocks else None


def _coefficients(model: GradeModel | EventModel, warning: str) -> Table:
    rows = tuple(
        (
            str(row.parameter).replace("_", " "),
            number(row.value),
            span(row.lower, row.upper),
            f"{number(row.naive)} ({span(row.naive_lower, row.naive_upper)})",
            str(row.unit),
        )
        for row in model.table.itertuples()
    )
    settings = model.settings
    note = (
        f"{_defined(model)}Model: {settings['model']}. Prior: {settings['prior']}. Exposure: {settings['exposure']}. Interval: "
        f"{settings['interval']}. {_counts(model)}. Point values: the same regression with "
        "exposures taken as known."
    )
    head = ("Coefficient", "Median", "Interval", "At point values", "Unit")
    return Table(_regression_of(model), head, rows, note, warning, "lrrrl")


def _counts(model: GradeModel | EventModel) -> str:
    if model.settings.get("family") in ("continuous", "count"):
        return counted(model.n, "subject")
    return event_counts(model.events, model.n)


def _regression_of(model: GradeModel | EventModel | ExposureResponse) -> str:
    kind = str(model.settings["model"])
    return f"{kind[:1].upper()}{kind[1:]} regression of {analysis_name(model.settings)}"


def _defined(model: GradeModel | EventModel | ExposureResponse) -> str:
    """The expression behind a label: a reader has to find once what was counted."""
    expression = outcome_definition(model.settings)
    return f"Outcome: {expression}. " if expression else ""


def _pooled(model: ExposureResponse, warning: str) -> Table:
    rows = tuple(
        (
            exposure_name(model.settings) if term == model.settings["on"] else str(term),
            number(row["coef"]),
            span(row["lower"], row["upper"]),
            f"{number(row['naive_coef'])} ({span(row['naive_lower'], row['naive_upper'])})",
            f"{100 * row['missing']:.0f} %",
        )
        for term, row in model.table.iterrows()
    )
    note = f"{_defined(model)}{model.settings['draws']} posterior draws of the exposures, pooled by Rubin's rules."
    head = ("Term", "Estimate", "Interval", "At point values", "Variance from exposure")
    return Table(_regression_of(model), head, rows, note, warning, "lrrrr")


def _cuts(model: GradeModel, warning: str) -> Table:
    rows = tuple(
        (row.cut, number(row.slope), span(row.lower, row.upper), "yes" if row.agrees else "no")
        for row in model.per_cut.itertuples()
    )
    note = "A logistic regression of each cut alone, at point values. Odds are proportional where the slopes agree."
    head = ("Cut", "Slope", "Interval", "Holds the common slope")
    return Table(f"Are the odds of {outcome_name(model.settings)} proportional?", head, rows, note, warning, "lrrl")  # fmt: skip


def _tried(models: tuple[Outcome, ...]) -> Table:
    """Every pair of exposure and outcome, and what chance alone would give."""
    rows, pairs, expected = [], set(), 0.0
    for model in models:
        low, high, text = _effect(model)
        excluded = not low <= 1 <= high
        adjusted = ", ".join(model.settings["adjust"]) or "nothing"
        rows.append(
            (
                exposure_name(model.settings),
                outcome_name(model.settings),
                adjusted,
                text,
                "yes" if excluded else "no",
            )
        )
        pairs.add((model.settings["on"], model.settings["outcome"]))  # whatever they are called
        expected += 1 - _level(model)
    note = (
        f"{len(rows)} {'analysis' if len(rows) == 1 else 'analyses'} of {counted(len(pairs), 'pair')}. If exposure went with none of these outcomes, {expected:.1f} of their intervals would be "
        "expected to exclude 1 by chance. Pairs that were tried and left out of this report are not counted."
    )
    head = ("Exposure", "Outcome", "Adjusted for", "Effect", "Excludes no effect")
    return Table("All pairs of exposure and outcome", head, tuple(rows), note, "", "lllrl")


def _effect(part: Outcome) -> tuple[float, float, str]:
    """Interval of the effect, 1 for none, and its text."""
    model = part.outcome if isinstance(part, JointModel) else part
    if isinstance(model, ExposureResponse):
        row = model.table.loc[model.settings["on"]]
        low, value, high = row["ratio_lower"], row["ratio"], row["ratio_upper"]
        return low, high, f"{number(value)} ({span(low, high)})"
    slope = model.table.set_index("parameter").loc["slope"]
    at = int(model.table.index[model.table["parameter"] == "slope"][0]) + 1
    shown = model.table.iloc[at + (model.table["parameter"].iloc[at] == "ec50")]
    low, high = (float(slope[side]) for side in ("lower", "upper"))
    around = (
        (1 + low, 1 + high) if low * high > 0 else (0.0, 2.0)
    )  # the sign of the slope decides, on any scale
    return *around, f"{number(shown['value'])} ({span(shown['lower'], shown['upper'])})"


def _level(model: Outcome) -> float:
    level = model.settings.get("level")
    return float(level) if level else float(str(model.settings["interval"]).split("%")[0]) / 100
