"""The sections of the report, one function each, in the order in which they are read.

A section says what it has; a part that was not given leaves its section out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from carkinetics.diagnostics.replicate import replicates
from carkinetics.fit import Fit
from carkinetics.fit.measured import measured_outputs
from carkinetics.model import Model
from carkinetics.report import figures
from carkinetics.report.blocks import Block, Section, Table, Text
from carkinetics.report.calibrations import calibration_section
from carkinetics.report.convergence import convergence_section
from carkinetics.report.doses import dose_section
from carkinetics.report.equations import model_equations
from carkinetics.report.escalations import escalation_section
from carkinetics.report.exposures import group_table, missing_table, subject_table
from carkinetics.report.goodness import goodness_of_fit, left_out_places, prediction_errors
from carkinetics.report.identification import identification_section
from carkinetics.report.learning import (
    comparison_section,
    contraction_section,
    covariate_section,
    effect_section,
)
from carkinetics.report.markers import marker_section
from carkinetics.report.measured import data_section
from carkinetics.report.methods import methods_section
from carkinetics.report.outcomes import response_section
from carkinetics.report.parameters import description_table, parameter_table, prior_table
from carkinetics.report.parts import NOT_CONVERGED, Parts
from carkinetics.report.predictive import predictive_checks
from carkinetics.report.remarks import warning_section
from carkinetics.report.tumours import tumour_section
from carkinetics.report.verdict import verdict_section
from carkinetics.report.written import number, span


def model_section(parts: Parts) -> Section | None:
    """Equations, citation, parameters of the model that is shown in full."""
    fit = parts.fit or (parts.individual[0] if parts.individual else None)
    if fit is None:
        return None
    model = fit.model
    doi = f" doi:{model.doi}" if model.doi else ""
    blocks: list[Block] = [
        Text(f"{model.name}: {model.title}. Levels in {model.value_unit}, time t in days.{_others(model)}")
    ]
    if model.citation:
        blocks.append(Text(f"{model.citation}.{doi}"))
    blocks.append(model_equations(model))
    blocks.append(description_table(model))
    if parts.fit is not None:
        blocks.append(Text(_how_fitted(parts.fit)))
    if model.notes:
        blocks.append(Text(f"Notes of the model file: {model.notes}"))
    return Section("model", "Model", tuple(blocks))


def _others(model: Model) -> str:
    """What the model says beside the CAR-T level."""
    others = [f"{one.meaning or name} ({one.unit})" for name, one in list(model.outputs.items())[1:]]
    return f" It also says: {'; '.join(others)}." if others else ""


def _how_fitted(fit: Fit) -> str:
    settings = fit.settings
    moved = [f"{c['parameter']} by {c['text']}" for c in settings.get("covariates", [])]
    measured = measured_outputs(fit)
    errors = [f"{one.error.name} of {one.output} (assay {one.assay})" for one in measured]
    texts = [
        f"Residual error: {'; '.join(errors) if len(measured) > 1 else settings['error']}. "
        f"BLQ values: {settings['blq']}.",
        f"Differ between subjects at random: {', '.join(settings['random']) or 'nothing'}.",
        f"Covariates: {', '.join(moved)}." if moved else "No covariates.",
        f"Correlated random effects: {', '.join(settings['correlated'])}."
        if settings.get("correlated")
        else "",
        f"Two classes of subjects: in {fit.mixture.name}{f' ({fit.mixture.meaning})' if fit.mixture.meaning else ''} "
        f"{', '.join(fit.mixture.shifts)} differ; curves called typical are those of the other class."
        if fit.mixture
        else "",
    ]
    return " ".join(text for text in texts if text)


def prior_section(parts: Parts) -> Section | None:
    """Every prior with its source."""
    return None if parts.fit is None else Section("priors", "Priors", (prior_table(parts.fit),))


def parameter_section(parts: Parts) -> Section | None:
    """Estimates of every population fit, and of fits of single subjects."""
    blocks: list[Block] = []
    for fit, found in parts.fits:
        warning = "" if found.attrs["converged"] else NOT_CONVERGED
        table = parameter_table(fit, warning=warning)
        title = table.caption if len(parts.fits) == 1 else f"{table.caption}, {fit.name}"
        blocks.append(replace(table, caption=title))
    blocks += [_individual_table(fit) for fit in parts.individual]
    return Section("parameters", "Parameter estimates", tuple(blocks)) if blocks else None


def _individual_table(fit: Fit) -> Table:
    """Spread of the estimates of subjects fitted alone."""
    each = fit.individual()
    good = each[each["status"] == "converged"]
    total, done = each["subject"].nunique(), good["subject"].nunique()
    rows = []
    for name, parameter in fit.model.parameters.items():
        values = good.loc[good["parameter"] == name, "median"]
        if len(values):
            low, middle, high = values.quantile([0.25, 0.5, 0.75])
            rows.append(
                (
                    f"{name} ({parameter.unit})",
                    number(middle),
                    span(low, high),
                    span(values.min(), values.max()),
                )
            )
    note = (
        f"Each subject alone, by least squares with BLQ values censored: {done} of {total} converged. Median, quartiles "
        "and range over those subjects; no population, no shrinkage, and few samples per subject."
    )
    heads = ("Parameter (unit)", "Median of subjects", "Quartiles", "Range")
    return Table("Subjects fitted one at a time", heads, tuple(rows), note=note)


def individual_section(parts: Parts) -> Section | None:
    """A panel per subject."""
    fit = parts.fit or (parts.individual[0] if parts.individual else None)
    if fit is None:
        return None
    return Section("individual", "Individual fits", figures.individual_fits(fit, parts.shown_warning))


def vpc_section(parts: Parts) -> Section | None:
    """Simulated studies beside the observed one."""
    fit = parts.fit
    if fit is None:
        return None
    made = {one.output: replicates(fit, output=one.output) for one in measured_outputs(fit)}
    blocks = (
        *figures.vpc(fit, made, parts.shown_warning),
        *predictive_checks(fit, made, parts.shown_warning),
    )
    return Section("vpc", "Predictive checks", blocks)


def gof_section(parts: Parts) -> Section | None:
    """Observations against predictions, and residuals."""
    if parts.fit is None or parts.evidence is None:
        return None
    blocks = (
        *goodness_of_fit(parts.fit, parts.shown_warning),
        *prediction_errors(parts.evidence, parts.shown_warning),
        *left_out_places(parts.pits, parts.warning),
    )
    return Section("gof", "Goodness of fit", blocks)


def exposure_section(parts: Parts) -> Section | None:
    """By dose group and by subject; NCA beside the model."""
    data = parts.data
    observed = [("NCA" if i == 0 else f"NCA {i + 1}", one) for i, one in enumerate(parts.observed)]
    modelled = [("Model" if i == 0 else f"Model {i + 1}", one) for i, one in enumerate(parts.modelled)]
    if data is None or not observed + modelled:
        return None
    warning = max((parts.warning_of(one) for _, one in modelled), default="")
    blocks: list[Block] = [group_table([*observed, *modelled], data, warning=warning)]
    if observed and modelled:
        blocks.append(
            Text(
                "NCA describes the samples, with their noise and only at sampling days; the model describes the curve "
                "behind them. Cmax of the model is therefore often lower where the noise is large, and higher where no "
                "sample was near the peak."
            )
        )
    for name, one in observed + modelled:
        blocks.append(subject_table(name, one, warning=parts.warning_of(one)))
        missing = missing_table(name, one)
        blocks += [missing] if missing else []
    return Section("exposure", "Exposure", tuple(blocks))


def session_section(parts: Parts, versions: dict[str, str]) -> Section:
    """What is needed to get the same numbers again.

    Parameters
    ----------
    parts : Parts
        What the report shows.
    versions : dict of str to str
        Packages of this session.

    Returns
    -------
    Section
        Versions, hashes, seeds, settings.
    """
    rows: list[tuple[str, ...]] = []
    if parts.data is not None:
        rows += [("Data",), ("source", parts.data.source), ("SHA-256", parts.data.sha256)]
    for fit, _ in parts.fits:
        settings = fit.settings
        rows += [
            (f"Fit of {fit.name}",),
            ("model SHA-256", fit.model.sha256),
            ("data SHA-256", fit.data.sha256),
        ]
        for key in (
            "made",
            "seed",
            "chains",
            "draws",
            "tune",
            "target_accept",
            "sampler",
            "seconds",
            "centred",
        ):
            if key in settings and not (key in _OF_NUTS and settings.get("sampler") == "structured"):
                value = settings[key]
                rows.append(
                    (key, ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value))
                )
        rows += [(f"{name} at the fit", str(text)) for name, text in settings.get("versions", {}).items()]
    for one in (*parts.observed, *parts.modelled):
        rows.append((f"Exposure, {one.settings.get('engine', one.settings.get('source', 'model'))}",))
        rows += [
            (key, str(value)) for key, value in one.settings.items() if isinstance(value, str | int | float)
        ]
    rows += [("This report",), *versions.items()]
    return Section(
        "session",
        "Session",
        (Table("How to get the same numbers again", ("Item", "Value"), tuple(rows), align="l"),),
    )


# Asked of every fit, and read by one engine only.
_OF_NUTS = ("tune", "target_accept")
SECTIONS: tuple[Callable[[Parts], Section | None], ...] = (
    verdict_section,
    identification_section,
    data_section,
    model_section,
    prior_section,
    convergence_section,
    parameter_section,
    contraction_section,
    effect_section,
    individual_section,
    vpc_section,
    gof_section,
    comparison_section,
    covariate_section,
    calibration_section,
    exposure_section,
    dose_section,
    tumour_section,
    response_section,
    marker_section,
    escalation_section,
    methods_section,
    warning_section,
)


def sections(parts: Parts) -> Iterator[Section]:
    """Every section that has something to show, but the session.

    Parameters
    ----------
    parts : Parts
        What the report shows.

    Yields
    ------
    Section
        In order.
    """
    for make in SECTIONS:
        section = make(parts)
        if section is not None and section.blocks:
            yield section
