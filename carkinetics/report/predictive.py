"""Predictive checks in the report: what the fit, and its priors before it, expect of levels and of exposure."""

from __future__ import annotations

from collections.abc import Mapping

from carkinetics import plot
from carkinetics.diagnostics import ExposureCheck, check_exposure, prior_check
from carkinetics.diagnostics.exposure_check import VALUES
from carkinetics.diagnostics.replicate import Replicates
from carkinetics.diagnostics.vpc import check_replicates
from carkinetics.fit import Fit
from carkinetics.plot.style import metric_label
from carkinetics.report.blocks import Block, Table, marked
from carkinetics.report.figures import bins_in_words, output_names
from carkinetics.report.images import picture
from carkinetics.report.written import number, p_value, span

# Below, a prediction-corrected check is the plain one again.
FACTOR_THAT_MATTERS = 1.2
REPLICATES = 200  # of exposure: every one is a non-compartmental analysis


def predictive_checks(fit: Fit, made: Mapping[str, Replicates], warning: str) -> tuple[Block, ...]:
    """Prediction-corrected check where it differs from the plain one, prior predictive check, exposure.

    Parameters
    ----------
    fit : Fit
        Hierarchical.
    made : mapping of str to Replicates
        Replicated studies by output.
    warning : str
        Stands above every picture and table.

    Returns
    -------
    tuple of Block
        In this order.
    """
    return (*_corrected(fit, made, warning), *_prior(fit), *_exposure(fit, warning))


def _corrected(fit: Fit, made: Mapping[str, Replicates], warning: str) -> list[Block]:
    found: list[Block] = []
    for output, name in output_names(fit).items():
        check = check_replicates(made[output], fit.model, fit.data, corrected=True, output=output)
        low, high = check.settings["factors"]
        if high / low < FACTOR_THAT_MATTERS:
            continue
        alt = f"{name}Prediction-corrected visual predictive check. {check.statement}"
        caption = (
            f"{name}Prediction-corrected check: observed and simulated levels and each sample's LLOQ are multiplied to the typical prediction of "
            f"their bin (by {number(low)} to {number(high)}), so that dose and covariates do not blur the comparison; then censored at the "
            f"corrected limit (open triangles). {bins_in_words(check)} {check.statement}"
        )
        found.append(picture(plot.vpc(check), alt, caption, warning=warning))
    return found


def _prior(fit: Fit) -> list[Block]:
    """Not marked where the fit did not converge: it does not rest on it."""
    check = prior_check(fit)
    failed = check.settings["n_failed"]
    lost = f" {failed} replicates left the range of numbers and are not shown." if failed else ""
    caption = (
        f"Prior predictive check: the observed percentiles over those of {check.settings['n_sim']} studies whose populations were drawn "
        f"from the priors, before any data. {check.statement}{lost}"
    )
    alt = f"Prior predictive check. {check.statement}"
    return [picture(plot.vpc(check), alt, caption)]


def _exposure(fit: Fit, warning: str) -> list[Block]:
    check = check_exposure(fit, n_sim=REPLICATES)
    caption = (
        "Observed exposure of every subject (NCA) over its interval in replicated samples that were censored and analysed like the observed "
        "ones; above: posterior predictive p of the population's centre and spread. New subjects have new random effects, fitted ones "
        "their own."
    )
    return [
        marked(check.statement, warning),
        picture(plot.exposure_check(check), check.statement, caption, warning=warning),
        _exposure_table(check, warning),
    ]


def _exposure_table(check: ExposureCheck, warning: str) -> Table:
    rows: list[tuple[str, ...]] = []
    for kind, block in check.population.groupby("subjects", sort=False):
        rows.append((f"{kind} subjects".capitalize(),))
        rows += [
            (
                metric_label(row.metric, check.units[row.metric]), str(row.statistic),
                *_cells(row.statistic == VALUES, row.observed, row.median, row.lower, row.upper), p_value(row.p),
            )
            for row in block.itertuples()
        ]  # fmt: skip
    settings = check.settings
    note = (
        f"{settings['n_sim']} replicates; interval {settings['interval']}; NCA by {settings['method']}, BLQ values {settings['blq']}. p is twice "
        "the smaller tail, ties by half; the data helped to find what predicts them, most of all for fitted subjects, so that a small p "
        "counts and a large one proves little."
    )
    heads = ("Metric", "Statistic", "Observed", "Predicted", "Interval", "p")
    return Table(
        "Observed and predicted exposure", heads, tuple(rows), note, warning, align="llr", folded=True
    )


def _cells(counted: bool, observed: float, median: float, lower: float, upper: float) -> tuple[str, str, str]:
    if counted:
        return f"{observed:.0f}", f"{median:.0f}", f"{lower:.0f} to {upper:.0f}"
    return number(observed), number(median), span(lower, upper)
