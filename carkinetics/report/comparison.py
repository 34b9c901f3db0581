"""Several fits of the same data → one page: which predicts best, in what they differ, what each says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from carkinetics import plot
from carkinetics.diagnostics.ranking import UNUSABLE
from carkinetics.diagnostics.residuals import misfit
from carkinetics.diagnostics.vpc import vpc
from carkinetics.fit import Fit
from carkinetics.fit.measured import measured_output
from carkinetics.report.blocks import Block, Facts, Section, Text
from carkinetics.report.build import document_writer, package_versions
from carkinetics.report.compared import Compared, gather
from carkinetics.report.images import picture
from carkinetics.report.learning import ranking_blocks
from carkinetics.report.methods import reference_table
from carkinetics.report.remarks import warning_section
from carkinetics.report.sections import session_section
from carkinetics.report.side_by_side import (
    ESTIMATE_NOTE,
    EXPOSURE_NOTE,
    aligned,
    convergence_table,
    estimates,
    exposures,
    settings_tables,
)
from carkinetics.report.verdict import convergence, facts, worst_warnings
from carkinetics.report.written import listing
from carkinetics.response.analysis_words import counted

WORST = 4  # subjects, shown under each fit


def write_comparison(
    path: str | Path,
    fits: Mapping[str, Fit],
    *,
    title: str = "Fits compared",
    criteria: Iterable[str] = (),
    refit: bool = False,
    ranking: pd.DataFrame | None = None,
    interactive: bool = True,
) -> Path:
    """Write a page that compares several population fits of the same data.

    Parameters
    ----------
    path : str or pathlib.Path
        The file: ``.html``, ``.docx`` or ``.pdf``, as for `write_report`.
    fits : mapping of str to Fit
        Two hierarchical fits or more, by the names that the page gives them.
    title : str
        Heading of the page.
    criteria : iterable of str
        Secondary columns of the ranking, see `carkinetics.compare`.
    refit : bool
        Fit again without every subject whose Pareto k is too large, see `carkinetics.compare`.
    ranking : pandas.DataFrame, optional
        Table of `carkinetics.compare` for these names, if it is there already; computed otherwise.
    interactive : bool
        Whether tables of the HTML page can be sorted and saved as CSV. Without, there is no script in it.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    ConfigError
        If there are fewer than two fits, a name is empty or there twice, a criterion is unknown, the ranking is of other fits,
        or the path cannot be written as for `write_report`.
    FitError
        If a fit is not a hierarchical one.

    Notes
    -----
    Fits that `carkinetics.compare` refuses to rank, such as fits of other observations, are shown all the same: the page says
    why there is no ranking.
    """
    write = document_writer(path, interactive=interactive)
    compared = gather(fits, criteria, refit, ranking)
    made = (
        verdict_section(compared), difference_section(compared), ranking_section(compared),
        Section("convergence", "Convergence", (convergence_table(compared),)),
        Section("parameters", "Parameter estimates", (aligned("Estimates side by side", compared, estimates, ESTIMATE_NOTE),)),
        Section("exposure", "Exposure", (aligned("The numbers that matter", compared, exposures, EXPOSURE_NOTE),)),
        check_section(compared), individual_section(compared), warning_section(compared.parts),
        Section("references", "References", (reference_table(*compared.fits.values()),)),
        session_section(compared.parts, package_versions()),
    )  # fmt: skip
    return write(title, made)


def verdict_section(compared: Compared) -> Section:
    """Which fit predicts best, whether each can be believed, the worst warnings.

    Parameters
    ----------
    compared : Compared
        The fits.

    Returns
    -------
    Section
        Coloured boxes, and a few numbers.
    """
    about = facts(compared.parts).pairs if compared.parts.data is not None else ()
    pairs = [pair for pair in about if pair[0] not in ("Model", "Draws")]
    pairs.append(("Fits", str(len(compared.fits))))
    blocks: list[Block] = [_best(compared), *convergence(compared.parts)]
    if compared.parts.data is None:
        blocks.append(
            Text("The fits saw different data: differences between them are also those of the data.", "bad")
        )
    # What speaks against a fit stands in its own box: here errors in the data, and how many remarks there are.
    remarks = [box for box in worst_warnings(compared.parts) if box.tone != "caution"]
    blocks += [*remarks, Facts(tuple(pairs))]
    return Section("verdict", "Verdict", tuple(blocks))


def _best(compared: Compared) -> Text:
    """The ranking in a sentence; its colour is that of the weakest link."""
    table = compared.ranking
    if table is None:
        return Text(f"Not ranked: {compared.refusal}.", "bad")
    best, rest = str(table.index[0]), table.iloc[1:]
    rest = rest[rest["verdict"] != UNUSABLE]  # what is to be said of those comes last
    others = [f"{compared.head(str(name))} is {_behind(row)}" for name, row in rest.iterrows()]
    separated = bool((rest["verdict"] == "worse").all())
    ahead = "predicts a subject that it has not seen best"
    if not separated:
        ahead = "comes first in predicting a subject that it has not seen, but is not clearly the best"
    text = "; ".join([f"{compared.head(best)} {ahead}", *others]) + "."
    if not others:
        text = f"There is nothing to rank {compared.head(best)} against."
    unsure = int(table["bad_k"].sum())
    if unsure:
        text += f" For {counted(unsure, 'subject')} the weights cannot be relied on (Pareto k)."
    if compared.unusable:
        names = ", ".join(name for name in compared.fits if name in compared.unusable)
        return Text(f"{text} The place of {names} cannot be relied on: not converged.", "bad")
    return Text(text, "good" if separated and not unsure and _adequate(compared, best) else "caution")


def _behind(row: pd.Series) -> str:
    if np.isnan(row["difference"]):
        return "not comparable: it finds a subject impossible"
    return f"{row['verdict']} (difference of elpd {row['difference']:.1f}, SE {row['difference_se']:.1f})"


def _adequate(compared: Compared, name: str) -> bool:
    return bool(compared.reviews[name].attrs["adequate"])


def difference_section(compared: Compared) -> Section:
    """The settings in which the fits differ, and all settings.

    Parameters
    ----------
    compared : Compared
        The fits.

    Returns
    -------
    Section
        Two tables.
    """
    differing, every = settings_tables(compared)
    first = differing or Text("The fits have the same settings.", "caution")
    return Section("differences", "What differs", (first, every))


def ranking_section(compared: Compared) -> Section:
    """Leave-one-subject-out, or why the fits cannot be ranked.

    Parameters
    ----------
    compared : Compared
        The fits.

    Returns
    -------
    Section
        A table and two pictures, or a sentence.
    """
    if compared.ranking is None:
        return Section("ranking", "Ranking", (Text(f"Not ranked: {compared.refusal}.", "bad"),))
    return Section(
        "ranking", "Ranking", tuple(ranking_blocks(compared.ranking, compared.warning, compared.unusable))
    )


def check_section(compared: Compared) -> Section:
    """Visual predictive checks on the same axes.

    Parameters
    ----------
    compared : Compared
        The fits.

    Returns
    -------
    Section
        One picture, or several where fits have other units.
    """
    checks = {name: vpc(fit) for name, fit in compared.fits.items()}
    blocks: list[Block] = []
    for unit in dict.fromkeys(check.unit for check in checks.values()):
        alike = {name: check for name, check in checks.items() if check.unit == unit}
        said = " ".join(f"{name}: {check.statement}" for name, check in alike.items())
        caption = (
            "Lines: observed 5th, 50th and 95th percentiles; bands: the same percentiles in simulated studies of each fit. Below: share of "
            f"samples BLQ. Simulated values are censored like the observed ones. {said}"
        )
        axes = plot.vpc_compared(alike, marked=compared.unusable)
        alt = f"Visual predictive checks of {listing(alike)} on the same axes. {said}"
        blocks.append(picture(axes, alt, caption, warning=compared.warning))
    return Section("vpc", "Predictive checks", tuple(blocks))


def individual_section(compared: Compared) -> Section:
    """The subjects that some fit describes worst, under every fit.

    Parameters
    ----------
    compared : Compared
        The fits.

    Returns
    -------
    Section
        A row of panels per fit.
    """
    worst = worst_subjects(compared.fits)
    if not worst:
        return Section(
            "individual", "Worst fitted subjects", (Text("The fits have no subject in common.", "caution"),)
        )
    blocks: list[Block] = [
        Text(
            f"{listing(worst, WORST)}: the subjects with the largest mean squared residual under some fit, in the same order under each. "
            "Subjects that all fits describe badly are a question about their samples; those that one fit describes badly, about that fit."
        )
    ]
    for name, fit in compared.fits.items():
        first = measured_output(fit).output
        axes = plot.individual_fits(fit, subjects=worst, columns=WORST, output=first)
        alt = f"{name}: observed and fitted levels against time for subjects {listing(worst, WORST)}."
        caption = f"{name}. Points: observed; open triangles: BLQ at the LLOQ; line: fitted curve with its 90 % band; dashed: typical subject."
        blocks.append(picture(axes, alt, caption, warning=compared.warning_of(name)))
    return Section("individual", "Worst fitted subjects", tuple(blocks))


def worst_subjects(fits: Mapping[str, Fit]) -> list[str]:
    """Subjects of all fits with the largest misfit under any of them, worst first.

    Parameters
    ----------
    fits : mapping of str to Fit
        By name.

    Returns
    -------
    list of str
        A few; none if the fits share no subject.
    """
    each = pd.concat(
        [misfit(fit, output=measured_output(fit).output) for fit in fits.values()], axis=1, join="inner"
    )
    return [
        str(subject) for subject in each.max(axis=1).sort_values(ascending=False, kind="stable").index[:WORST]
    ]
