"""Goodness of fit in the report: observations against predictions, residuals and prediction errors with their tests."""

from __future__ import annotations

from carkinetics import plot
from carkinetics.diagnostics import LooPit, Npde, residual_summary
from carkinetics.diagnostics.review import Evidence
from carkinetics.fit import Fit
from carkinetics.fit.measured import fitted_rows
from carkinetics.report.blocks import Block, Table, marked
from carkinetics.report.figures import output_names
from carkinetics.report.images import picture
from carkinetics.report.written import fixed, p_value

TEST_WORDS = {
    "mean": "Mean is 0",
    "variance": "Variance is 1",
    "normality": "Normal distribution",
    "combined": "All three together",
    "trend with time": "No trend with time",
    "trend with PRED": "No trend with the population prediction",
    "spread with time": "Spread does not change with time",
    "all": "All six together",
}
IWRES_WORDS = {
    "n": "Samples",
    "mean": "Mean",
    "sd": "Standard deviation",
    "epsilon_shrinkage": "ε-shrinkage, %",
    "normality": "Shapiro-Wilk W",
    "skewness": "Skewness",
    "trend_time": "Trend with time, Spearman rho",
    "trend_ipred": "Trend with the individual prediction, Spearman rho",
    "spread_ipred": "Spread with the individual prediction, Spearman rho",
}


def goodness_of_fit(fit: Fit, warning: str) -> tuple[Block, ...]:
    """Observations against predictions, and residuals.

    Parameters
    ----------
    fit : Fit
        Hierarchical.
    warning : str
        Stands above every picture and table.

    Returns
    -------
    tuple of Block
        Two pictures and a table per output.
    """
    found: list[Block] = []
    unseen = "BLQ samples (open triangles) are drawn at values imputed below their limit, so that they are not left out in silence."
    for output, name in output_names(fit).items():
        many = f"{len(fitted_rows(fit, output))} observations"
        alt = f"{name}Goodness of fit of {many}: observed against predicted, and residuals against time and prediction."
        caption = f"{name}Observed against population and individual predictions, and residuals. {unseen}"
        found.append(picture(plot.gof(fit, output=output), alt, caption, warning=warning))
        linear = (
            f"{name}The same observations and predictions on linear axes, where the peaks are seen. {unseen}"
        )
        found.append(
            picture(
                plot.observed_predicted(fit, output=output), f"{name}{many} against predictions, linear axes.", linear,
                warning=warning, folded=f"{name}Observed against predicted on linear axes",
            )
        )  # fmt: skip
        found.append(_residuals(fit, output, name, warning))
    return tuple(found)


def _residuals(fit: Fit, output: str, name: str, warning: str) -> Table:
    table = residual_summary(fit, output=output)
    rows = tuple(
        (
            IWRES_WORDS[str(row.Index)], *(_size(str(row.Index), one) for one in (row.expected, row.quantified, row.all)),
        )
        for row in table.itertuples()
    )  # fmt: skip
    note = (
        "IWRES: distance from the individual prediction in residual standard deviations (of a Student-t error as normal scores). With BLQ: those samples at imputed residuals; quantified "
        "samples alone lie above the limit by selection. ε-shrinkage = 100 × (1 − SD): over 30 % the individual predictions follow the samples so "
        "closely that these residuals and pictures hide a wrong model. No test: what shrinks residuals of fitted "
        "subjects also bends them, so that tests would reject right models; those of NPDE hold their level."
    )
    heads = ("Statistic", "Expected", "Quantified", "With BLQ")
    return Table(
        f"{name}Individual weighted residuals", heads, rows, note, warning, align="lr", sortable=False
    )


def _size(statistic: str, value: float) -> str:
    return fixed(value, 0 if statistic in ("n", "epsilon_shrinkage") else 2)


def prediction_errors(evidence: Evidence, warning: str) -> tuple[Block, ...]:
    """NPDE of every output, with their tests.

    Parameters
    ----------
    evidence : Evidence
        Of a hierarchical fit.
    warning : str
        Stands above every picture and table.

    Returns
    -------
    tuple of Block
        A sentence, a picture and a table per output.
    """
    found: list[Block] = []
    for output, name in output_names(evidence.fit).items():
        errors = evidence.errors[output]
        caption = (
            f"{name}Normalised prediction distribution errors: every observation in standard normal units of {errors.settings['n_sim']} "
            f"replicates with new subjects, samples of a subject decorrelated on the {errors.settings['scale']} scale. BLQ samples "
            "(open triangles) are drawn from the predicted values below their limit."
        )
        found += [
            marked(f"{name}{errors.statement}", warning),
            picture(plot.npde(errors), f"{name}{errors.statement}", caption, warning=warning),
            _tests(errors, name, warning),
        ]
    return tuple(found)


def left_out_places(pits: tuple[LooPit, ...], warning: str) -> tuple[Block, ...]:
    """Places of observations in what a fit without their subject predicts.

    Parameters
    ----------
    pits : tuple of LooPit
        From `carkinetics.loo_pit`.
    warning : str
        Stands above every picture.

    Returns
    -------
    tuple of Block
        One picture each.
    """
    caption = (
        "Distribution of the place of every observation in its predictive distribution, less a uniform one: with its own subject in the fit "
        "(PIT, dashed) and without it (LOO-PIT). "
    )
    return tuple(
        picture(plot.pit(one), one.statement, caption + one.statement, warning=warning) for one in pits
    )


def _tests(errors: Npde, name: str, warning: str) -> Table:
    rows = tuple(
        (
            TEST_WORDS[str(row.Index)],
            str(row.what),
            fixed(row.estimate, 2),
            fixed(row.expected, 2),
            p_value(row.p),
        )
        for row in errors.tests.itertuples()
    )
    lost = sum(errors.settings["left_out"].values())
    note = (
        "p: share of studies, replicated and observed, whose statistic is as far out; decorrelated samples of a subject are not independent, "
        f"and the replicates' are dependent in the same way. Together: by the smallest p.{f' {lost} samples have no NPDE.' if lost else ''}"
    )
    heads = ("Expected of the right model", "Test", "Estimate", "Expected", "p")
    return Table(f"{name}Tests of NPDE", heads, rows, note, warning, align="llr")
