"""Figures of data and fits: which pictures are shown, how many, and what they say in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

import numpy as np

from carkinetics import plot
from carkinetics.dataset import Dataset
from carkinetics.diagnostics.replicate import Replicates
from carkinetics.diagnostics.residuals import misfit
from carkinetics.diagnostics.vpc import Vpc, check_replicates
from carkinetics.exposure.by_dose import dose_grouping, dose_groups, dose_unit
from carkinetics.fit import Fit
from carkinetics.fit.measured import measured_output, measured_outputs
from carkinetics.report import charts
from carkinetics.report.blocks import Block, Chart, Picture
from carkinetics.report.images import picture
from carkinetics.report.written import listing, number

PER_PAGE, COLUMNS = 20, 4  # panels of a picture, which fill a page of paper
# A visual predictive check by dose needs enough subjects in each group to have percentiles.
MOST_STRATA, FEWEST_IN_STRATUM = 4, 6


def output_names(fit: Fit) -> dict[str, str]:
    """Fitted outputs, and how a caption names each.

    Parameters
    ----------
    fit : Fit
        Hierarchical.

    Returns
    -------
    dict of str to str
        Ends with a colon and a space; empty where there is one output only.
    """
    names = [one.output for one in measured_outputs(fit)]
    words = {name: f"{name.replace('_', ' ')}: " for name in names}
    return {name: words[name][:1].upper() + words[name][1:] if len(names) > 1 else "" for name in names}


def dose_words(data: Dataset) -> str:
    """What `dose_groups` are: the dose with its unit, or a level that is a code.

    Parameters
    ----------
    data : Dataset
        Subjects and doses.

    Returns
    -------
    str
        Such as ``"dose (cells/kg)"``.
    """
    unit = dose_unit(data, dose_grouping(data))
    return f"dose ({unit})" if unit else "dose level"


def profiles(data: Dataset, assays: Iterable[str]) -> tuple[Block, ...]:
    """Observed levels, by dose level where there are several.

    Parameters
    ----------
    data : Dataset
        What was measured.
    assays : iterable of str
        Which assays.

    Returns
    -------
    tuple of Block
        One chart per assay.
    """
    groups = dose_groups(data)
    by = "subject" if groups is None else dose_grouping(data)
    found: list[Block] = []
    for assay in assays:
        rows = data.observations[data.observations["assay"] == assay]
        alt = (
            f"Observed {assay} levels of {rows['subject'].nunique()} subjects on a log axis against days since infusion; "
            f"highest {number(rows['value'].max())}, last sample on day {number(rows['time'].max())}."
        )
        colour = "" if by == "subject" else f" Colour: {dose_words(data)}."
        caption = f"Observed levels, {assay}. Open triangles: below the limit of quantification, drawn at it.{colour}"
        still = picture(plot.profiles(data, by=by, assay=assay), alt, caption)
        content = partial(charts.profile_chart, data, str(assay), groups)
        found.append(
            Chart(f"Observed levels, {assay}", content, (still,), f"{caption} Point at a sample to read it.")
        )
    return tuple(found)


def ranks(fit: Fit) -> tuple[Block, ...]:
    """Rank plots of the population parameters.

    Parameters
    ----------
    fit : Fit
        Hierarchical.

    Returns
    -------
    tuple of Block
        One picture.
    """
    drawn = plot.ranks(fit)
    alt = f"Rank histograms of {len(drawn)} population quantities, one line per chain."
    caption = (
        "Ranks of every chain's draws among all draws. Chains that agree have flat histograms; a slope or a bump means that "
        "a chain stayed elsewhere."
    )
    return (picture(drawn, alt, caption),)


def prior_posterior(fit: Fit, warning: str) -> tuple[Block, ...]:
    """Prior and posterior of the population parameters.

    Parameters
    ----------
    fit : Fit
        Hierarchical.
    warning : str
        Stands above the picture.

    Returns
    -------
    tuple of Block
        One picture.
    """
    drawn = plot.prior_posterior(fit)
    alt = (
        f"Prior and posterior density of {len(drawn)} population quantities; the table above has the widths."
    )
    caption = "Prior (grey) and posterior (blue) densities. Where they coincide, the estimate is the prior."
    return (picture(drawn, alt, caption, warning=warning),)


def individual_fits(fit: Fit, warning: str) -> tuple[Block, ...]:
    """A panel per subject, twenty to a picture, those that are fitted worst first.

    Parameters
    ----------
    fit : Fit
        Any fit.
    warning : str
        Stands above every picture.

    Returns
    -------
    tuple of Block
        One chart per output, with as many pictures as are needed.
    """
    pages = range(1, -(-len(fit.data.subject_ids) // PER_PAGE) + 1)
    caption = (
        "Points: observed; open triangles: BLQ at the LLOQ; line: fitted curve; triangles at the foot: infusions; "
        "dotted line: LLOQ. All subjects have the same axes. Point at a sample to read it. Subjects that are fitted worst come first; in "
        "brackets the mean of their squared IWRES, about 1 where the residual error is right."
    )
    return tuple(
        Chart(
            f"{name}Individual fits",
            partial(charts.fit_chart, fit, output),
            tuple(_individual_page(fit, output, name, page, warning) for page in pages),
            caption,
            warning,
        )
        for output, name in output_names(fit).items()
    )


def _individual_page(fit: Fit, output: str, name: str, page: int, warning: str) -> Picture:
    far = misfit(fit, output=output).iloc[(page - 1) * PER_PAGE : page * PER_PAGE]
    shown = far.index.tolist()
    alt = f"{name}Observed and fitted levels against time, those fitted worst first, for subjects {listing(shown, PER_PAGE)}."
    band = (
        ", with its 90 % band; dashed: typical subject at the same covariates"
        if fit.method == "hierarchical"
        else ""
    )
    known = far[np.isfinite(far)]
    between = f" (mean squared IWRES {known.iloc[0]:.1f} to {known.iloc[-1]:.1f})" if len(known) else ""
    caption = f"{name}Subjects {shown[0]} to {shown[-1]}, worst fitted first{between}. Points: observed; open triangles: BLQ at the LLOQ; line: fitted curve{band}."
    figure = plot.individual_fits(
        fit, order="worst", page=page, per_page=PER_PAGE, output=output, columns=COLUMNS
    )
    return picture(figure, alt, caption, warning=warning)


def vpc(fit: Fit, made: Mapping[str, Replicates], warning: str) -> tuple[Block, ...]:
    """Visual predictive check of all subjects, and by dose level where the groups are large enough.

    Parameters
    ----------
    fit : Fit
        Hierarchical.
    made : mapping of str to Replicates
        Replicated studies by output.
    warning : str
        Stands above every picture.

    Returns
    -------
    tuple of Block
        One per output, and one by dose level.
    """
    checks = [
        (f"{name}All subjects", check_replicates(made[output], fit.model, fit.data, output=output))
        for output, name in output_names(fit).items()
    ]
    groups = dose_groups(fit.data)
    if groups is not None:
        sizes = groups.value_counts()
        if len(sizes) <= MOST_STRATA and sizes.min() >= FEWEST_IN_STRATUM:
            first = measured_output(fit).output
            by = dose_grouping(fit.data)
            title = f"By {dose_words(fit.data)}"
            checks.append((title, check_replicates(made[first], fit.model, fit.data, by=by)))
    found: list[Block] = []
    for title, check in checks:
        blq = check.blq
        alt = (
            f"{title}: observed 5th, 50th and 95th percentiles over the simulated ones in {len(blq)} time bins. "
            f"{check.statement}"
        )
        settings = check.settings
        caption = (
            f"{title}. Lines: observed 5th, 50th and 95th percentiles; bands: the same percentiles in {settings['n_sim']} "
            f"simulated studies ({settings['interval']}). Below: share of samples BLQ. "
            f"Simulated values are censored like the observed ones. {bins_in_words(check)} {check.statement}"
        )
        found.append(picture(plot.vpc(check), alt, caption, warning=warning))
    return tuple(found)


def bins_in_words(check: Vpc) -> str:
    """Say by which rule the times of a check were put into bins, and where the bins are.

    Parameters
    ----------
    check : Vpc
        Any.

    Returns
    -------
    str
        A sentence.
    """
    rule = check.settings["bins"]
    words = {
        "nominal": "times closer than about 10 % share one, wide ones are cut into equal counts",
        "count": "of about equal counts",
    }.get(rule if isinstance(rule, str) else "", "as asked for")
    each = check.points.groupby("bin")["time"].agg(["min", "max", "size"]).to_dict("records")
    spans = [
        f"{e['min']:.4g}" + (f" to {e['max']:.4g}" if e["max"] > e["min"] else "") + f" (n = {e['size']})"
        for e in each
    ]
    return f"Bins of time ({words}): days {', '.join(spans)}."
