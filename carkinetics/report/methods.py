"""A methods paragraph and a parameter table that can be pasted into a manuscript."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from carkinetics.dataset.table import PREDOSE, is_censored
from carkinetics.diagnostics import diagnose
from carkinetics.diagnostics.diagnose import EBFMI, ESS, RHAT, rhat_words
from carkinetics.diagnostics.exploration import e_bfmi
from carkinetics.diagnostics.unconverged import NOT_CONVERGED
from carkinetics.errors import FitError
from carkinetics.fit import Fit
from carkinetics.fit.measured import fitted_rows, measured_outputs
from carkinetics.fit.pareto import GOOD_K
from carkinetics.report.blocks import Block, Section, Table, Text
from carkinetics.report.calibrations import calibration_section
from carkinetics.report.citations import citation
from carkinetics.report.method_words import method_sentences
from carkinetics.report.method_works import CALIBRATED
from carkinetics.report.parameters import parameter_table as parameter_block
from carkinetics.report.parts import Parts
from carkinetics.report.written import listing, percent

_ERRORS = {
    "lognormal": "additive on the log scale", "student_t": "Student-t distributed on the log scale", "additive": "additive",
    "proportional": "proportional", "combined1": "the sum of an additive and a proportional part",
    "combined2": "combined, with additive and proportional variances added",
}  # fmt: skip
_BLQ = {
    "M1": "left out (M1)",
    "M2": "left out, and the quantified values taken as conditional on being above the limit (M2)",
    "M3": "censored observations (M3): each contributes the probability of lying in the range it is known to lie in",
    "M4": "censored observations, conditional on positive values (M4)",
    "M5": "replaced by half the limit (M5)",
    "M6": "the first of a run replaced by half the limit and the others left out (M6)",
    "M7": "replaced by zero (M7)",
}


def methods_text(fit: Fit, *others: Any) -> str:
    """How a hierarchical fit was made, in a paragraph for a manuscript.

    Parameters
    ----------
    fit : Fit
        Hierarchical.
    *others : Exposure, DoseExposure, and any other result
        Of exposure, dose, outcomes, markers, predictive checks, `npde`, `loo_pit`, `calibrate`; tables of `compare` and
        `prior_sensitivity`. Each kind has a sentence.

    Returns
    -------
    str
        One paragraph. That of a fit that did not converge begins with saying so.

    Raises
    ------
    FitError
        If the fit is not a hierarchical one.
    """
    if fit.method != "hierarchical":
        raise FitError(f"methods_text: expected a hierarchical fit, found a fit of method {fit.method!r}")
    sentences = [*_data(fit), *_model(fit), *_prior(fit), *_sampling(fit), *method_sentences(others)]
    found = diagnose(fit)
    if not found.attrs["converged"]:
        sentences.insert(
            0, f"[{NOT_CONVERGED.capitalize()}: this fit is not to be published ({found.attrs['verdict']}).]"
        )
    return " ".join(" ".join(sentences).split())  # a package of unknown version leaves two spaces


def parameter_table(fit: Fit) -> pd.DataFrame:
    """Estimates of a hierarchical fit as the field prints them.

    Parameters
    ----------
    fit : Fit
        Hierarchical.

    Returns
    -------
    pandas.DataFrame
        Columns ``Block, Parameter (unit), Estimate, Posterior SD, 90 % CrI, IIV CV % (RSE %), Shrinkage %, R-hat, ESS`` as text with three significant
        digits; ``.attrs["note"]`` is the footnote and ``.attrs["warning"]`` is not empty if the fit did not converge. Paste
        it by ``.to_markdown()``, ``.to_latex()`` or ``.to_html()``.

    Raises
    ------
    FitError
        If the fit is not a hierarchical one.
    """
    if fit.method != "hierarchical":
        raise FitError(f"parameter_table: expected a hierarchical fit, found a fit of method {fit.method!r}")
    warning = "" if diagnose(fit).attrs["converged"] else NOT_CONVERGED
    table, rows, block = parameter_block(fit, warning=warning), [], ""
    for row in table.rows:
        if len(row) == 1:
            block = row[0]
        else:
            rows.append((block, *row))
    found = pd.DataFrame(rows, columns=["Block", *table.columns])
    found.attrs = {"note": table.note, "warning": warning}
    return found


def _data(fit: Fit) -> Iterator[str]:
    for one in measured_outputs(fit):
        used, rows = fitted_rows(fit, one.output), fit.data.observations
        # Below the limit are also those that M1, M2 and M6 leave out: of the used rows alone the share would be 0.
        rows = rows[(rows["assay"] == one.assay) & (rows["status"] != PREDOSE) & (rows["time"] > 0)]
        limits = sorted({f"{value:g}" for value in rows["lloq"].dropna()}, key=float)
        unit = fit.model.outputs[one.output].unit
        limit = f" (LLOQ {listing(limits, 3)} {unit})" if limits else ""
        yield (
            f"{len(used)} samples ({one.assay}, {unit}) of {used['subject'].nunique()} patients were analysed; of the {len(rows)} "
            f"taken after the infusion {percent(is_censored(rows).mean())} were below the limit of quantification{limit}."
        )


def _model(fit: Fit) -> Iterator[str]:
    model, settings = fit.model, fit.settings
    cited = f" ({model.citation.split('.')[0].split(',')[0]} et al., doi:{model.doi})" if model.doi else ""
    form = "differential equations" if model.states else "closed form"
    title = f"{model.title[:1].lower()}{model.title[1:]}"
    yield f"They were described by a hierarchical model of {title}{cited}, as {form}."
    random = listing(settings["random"], 20) or "no parameter"
    fixed = [name for name, one in model.parameters.items() if one.fixed]
    yield f"Between patients {random} varied log-normally (fractions logit-normally)" + (
        f"; {listing(fixed, 20)} {'was' if len(fixed) == 1 else 'were'} fixed." if fixed else "."
    )
    if settings.get("correlated"):
        yield f"Random effects of {listing(settings['correlated'], 20)} were correlated."
    moved = [f"{entry['parameter']} by {entry['text']}" for entry in settings.get("covariates", [])]
    if moved:
        yield f"Covariates: {listing(moved, 20)}."
    if fit.mixture:
        yield f"Patients belonged to one of two classes that differ in {listing(fit.mixture.shifts, 20)}."
    errors = [
        f"{_ERRORS[one.error.name]}{f' for {one.output}' if i else ''}"
        for i, one in enumerate(measured_outputs(fit))
    ]
    yield f"Residual error was {'; '.join(errors)}. Values below the limit were {_BLQ[settings['blq']]}."


def _prior(fit: Fit) -> Iterator[str]:
    changed = sorted(fit.model.priors_changed)
    yield "Priors are listed in the supplement" + (
        f"; those of {listing(changed, 20)} were set for this analysis, the others are of the model file."
        if changed
        else "."
    )


def _sampling(fit: Fit) -> Iterator[str]:
    settings, sizes = fit.settings, fit.tree["posterior"].sizes
    versions = settings.get("versions", {})
    engine = {
        "structured": "an adaptive Metropolis-within-Gibbs sampler that treats patients as independent given the population",
        "nutpie": f"the No-U-Turn sampler (nutpie {versions.get('nutpie', '')})",
    }.get(settings.get("sampler", ""), f"an approximation ({settings.get('sampler')})")
    yield (
        f"Posterior draws ({sizes['chain']} chains of {sizes['draw']}) were made by {engine} in carkinetics {versions.get('carkinetics', '')} "
        f"with PyMC {versions.get('pymc', '')}, seed {settings['seed']}."
    )
    yield _judged(fit)
    yield "Estimates are posterior medians with 90 % equal-tailed credible intervals."


def _judged(fit: Fit) -> str:
    """By what, and with which result: a criterion alone would read as one that was met."""
    if "pareto_k" in fit.settings:
        return f"The approximation was judged by Pareto's k of its weights, at most {GOOD_K} (found {fit.settings['pareto_k']:.2f})."
    table, stats = fit.population(), fit.tree["sample_stats"]
    trajectories = ""
    if "diverging" in stats:
        trajectories = f", no divergent transition (found {int(stats['diverging'].sum())})"
    if "energy" in stats:
        least = float(e_bfmi(stats["energy"].transpose("chain", "draw").to_numpy()).min())
        trajectories += f" and E-BFMI above {EBFMI} (smallest {least:.2f})"
    return (
        f"Convergence was judged by rank-normalised split R-hat below {RHAT} (largest {rhat_words(table['rhat'].max())}) and bulk and tail "
        f"effective sample sizes above {ESS} (smallest {table[['ess_bulk', 'ess_tail']].min().min():.0f}){trajectories}."
    )


def methods_section(parts: Parts) -> Section | None:
    """Text and references for a manuscript.

    Parameters
    ----------
    parts : Parts
        What the report shows.

    Returns
    -------
    Section or None
        None without a population fit.
    """
    if parts.fit is None:
        return None
    seen = parts.evidence
    checks = () if seen is None else (*seen.checks.values(), *seen.errors.values())
    used = (
        *checks, *parts.pits, *parts.sensitivities, *parts.comparisons, *parts.calibrations, *parts.observed, *parts.modelled, *parts.doses,
        *parts.markers, *parts.responses, *parts.outcomes,
    )  # fmt: skip
    also = (CALIBRATED,) if calibration_section(parts) is not None else ()
    blocks: list[Block] = [
        Text(methods_text(parts.fit, *used)),
        reference_table(parts.fit, *parts.individual, *used, also=also),
    ]
    return Section("methods", "For a manuscript", tuple(blocks))


def reference_table(*parts: Any, also: tuple[str, ...] = ()) -> Table:
    """What to cite, numbered.

    Parameters
    ----------
    *parts : Fit or any other result
        What was used.
    also : tuple of str
        As for `citation`.

    Returns
    -------
    Table
        One row per work.
    """
    rows = tuple((str(i), line) for i, line in enumerate(citation(*parts, also=also).splitlines(), 1))
    call = ", ".join(("fit", "bibtex=True", *((f"also={also}",) if also else ())))
    note = f"BibTeX: carkinetics.citation({call}); further results, such as those of npde and loo_pit, are cited beside the fit."
    return Table("References", ("No.", "Work"), rows, align="l", note=note, sortable=False)
