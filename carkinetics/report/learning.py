"""Sections on what was learnt: random effects, sensitivity to the priors, models side by side, covariates.

Sensitivities, comparisons, screens and searches are parts of the report like any other result: they take from seconds to
minutes and are made by their own verbs.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from carkinetics import plot
from carkinetics.diagnostics.contraction import UNTOLD
from carkinetics.diagnostics.known_later import known_later
from carkinetics.diagnostics.random_effects import effect_correlations, effect_trends, subject_covariates
from carkinetics.diagnostics.sensitivity import PULLED
from carkinetics.diagnostics.unconverged import NOT_CONVERGED
from carkinetics.fit import CovariateScreen, Fit, StepwiseSearch
from carkinetics.fit.pareto import GOOD_K
from carkinetics.fit.variability import SHRINKAGE_WARNING, shrinkage_table
from carkinetics.report import figures
from carkinetics.report.blocks import Block, Picture, Section, Table, Text
from carkinetics.report.images import picture
from carkinetics.report.parameters import contraction_table
from carkinetics.report.parts import Parts
from carkinetics.report.written import MISSING, listing, number, p_value, span

CLEAR = 0.01
MOST_COVARIATES = 6  # columns of one figure


def effect_section(parts: Parts) -> Section | None:
    """Shrinkage, distribution of random effects, their trends and correlations."""
    fit = parts.fit
    if fit is None or not fit.settings.get("random"):
        return None
    shrunk = shrinkage_table(fit)
    blocks: list[Block] = [_shrinkage(shrunk, parts.shown_warning)]
    if len(fit.data.subjects) > 1:
        said = ", ".join(f"{row.parameter} {row.sd_percent:.0f} %" for row in shrunk.itertuples())
        alt = f"Density of the random effects of {len(fit.data.subjects)} subjects against N(0, ω²). Shrinkage (SD type): {said}."
        caption = (
            "Random effects against the model's distribution. Draws of all subjects follow it where the model is right; their "
            "posterior means (ticks) are narrower by the shrinkage even then."
        )
        blocks.append(picture(plot.random_effects(fit), alt, caption, warning=parts.shown_warning))
        blocks += _trends(parts, fit) + _correlations(fit, parts.shown_warning)
    return Section("effects", "Random effects", tuple(blocks))


def _percent(value: float) -> str:
    return MISSING if np.isnan(value) else f"{value:.0f}"


def _shrinkage(shrunk: pd.DataFrame, warning: str) -> Table:
    rows = tuple(
        (
            row.parameter, number(row.omega), _percent(row.sd_percent), _percent(row.variance_percent),
            f"over {SHRINKAGE_WARNING:.0f} %" if row.warning else "",
        )
        for row in shrunk.itertuples()
    )  # fmt: skip
    note = (
        "SD type: 100 × (1 − SD(η) / ω); variance type: 100 × (1 − Var(η) / ω²); η the posterior mean of each subject's random "
        "effect, ω the posterior median. Over 30 % (SD type) nothing should be read off these means: neither a distribution, "
        "nor a correlation, nor a covariate's effect. The trends and correlations below are computed in draws instead."
    )
    heads = ("Parameter", "ω", "Shrinkage %, SD type", "Shrinkage %, variance type", "Remark")
    return Table("Shrinkage", heads, rows, note, warning, align="lrrrl")


def _trends(parts: Parts, fit: Fit) -> list[Block]:
    names = subject_covariates(fit).columns.tolist()
    if not names:
        return []
    later, table = _later(parts, fit), effect_trends(fit)
    earlier = [name for name in names if name not in later]
    pages = [
        _trend_page(parts, fit, table, earlier[first : first + MOST_COVARIATES])
        for first in range(0, len(earlier), MOST_COVARIATES)
    ]
    rows = tuple(
        (
            row.parameter, row.covariate, "later" if row.covariate in later else "before", row.kind, str(row.n), f"{row.strength:.2f}",
            span(row.lower, row.upper), p_value(row.p),
        )
        for row in table.assign(later=table["covariate"].isin(later)).sort_values(["later", "p"]).itertuples()
    )  # fmt: skip
    note = (
        "Known: before the infusion, or later, by the columns' names, the events of the data and the outcomes that are analysed here. What "
        "came later is a consequence of the kinetics or an outcome, and no covariate; it is not drawn."
    )
    heads = ("Random effect", "Column", "Known", "Kind", "Subjects", "Strength", "90 % interval", "p")
    title = "Random effects against columns of the subjects"
    return [
        *pages,
        Table(title, heads, rows, note, parts.shown_warning, "llllrrrr", folded=True, on_paper=20),
    ]


def _later(parts: Parts, fit: Fit) -> frozenset[str]:
    """Columns that are no covariates: known later, or an outcome of the report."""
    asked = " ".join(str(one.settings.get("outcome", "")) for one in parts.outcomes)
    return known_later(fit.data) | frozenset(re.findall(r"[A-Za-z_]\w*", asked))


def _trend_page(parts: Parts, fit: Fit, table: pd.DataFrame, shown: list[str]) -> Picture:
    pairs = table[table["covariate"].isin(shown)]
    clear = pairs[pairs["p"] < CLEAR].sort_values("p")
    said = [f"{row.parameter} with {row.covariate} (r {row.strength:.2f})" for row in clear.itertuples()]
    alt = (
        f"Random effects against {listing(shown, MOST_COVARIATES)}; with p below {CLEAR}: "
        f"{', '.join(said) or 'none'} of {len(pairs)} pairs."
    )
    caption = (
        "Random effects against covariates: what the model's own covariates leave unexplained. r: correlation, ratio: correlation ratio "
        f"(groups), over draws. A trend that is left is a reason to fit that covariate, and weaker here than it is. {len(table)} "
        "pairs were looked at, so that one in a hundred has p below 0.01 by chance."
    )
    return picture(plot.effects_by_covariate(fit, shown), alt, caption, warning=parts.shown_warning)


def _correlations(fit: Fit, warning: str) -> list[Block]:
    table = effect_correlations(fit)
    if table.empty:
        return []
    strongest = table.loc[table["correlation"].abs().idxmax()]
    alt = (
        f"Random effects against each other, {len(table)} pairs. The strongest correlation over draws is {strongest['correlation']:.2f}, of "
        f"{strongest['first']} with {strongest['second']} (p {p_value(strongest['p'])})."
    )
    pulled = (
        ""
        if fit.settings.get("correlated")
        else " The fit took random effects as independent, so that draws too are pulled to no correlation "
        "where the data of single subjects are weak: a correlation of 0 here is no evidence of none."
    )
    caption = (
        f"Posterior means of the random effects; the correlation and its p-value are over draws.{pulled}"
    )
    rows = tuple(
        (f"{row.first} with {row.second}", f"{row.correlation:.2f}", span(row.lower, row.upper), p_value(row.p), f"{row.of_means:.2f}")
        for row in table.itertuples()
    )  # fmt: skip
    note = f"Where the last column is far from the first, the data tell a combination of the two parameters better than either.{pulled}"
    heads = ("Pair", "Correlation over draws", "90 % interval", "p", "Of posterior means")
    return [
        picture(plot.effect_pairs(fit), alt, caption, warning=warning),
        Table(
            "Correlations of random effects", heads, rows, note, warning, align="lrrrr", folded=len(table) > 6
        ),
    ]


def contraction_section(parts: Parts) -> Section | None:
    """How much the data narrowed the priors, and how sensitive the posterior is to them."""
    fit, blocks = parts.fit, sensitivity_blocks(parts)
    if fit is not None:
        table = contraction_table(fit, warning=parts.shown_warning)
        blocks = (table, *blocks, *figures.prior_posterior(fit, parts.shown_warning))
    return Section("contraction", "From prior to posterior", blocks) if blocks else None


def sensitivity_blocks(parts: Parts) -> tuple[Block, ...]:
    """Tables and pictures of `carkinetics.prior_sensitivity`, beside the contraction.

    Parameters
    ----------
    parts : Parts
        What the report shows.

    Returns
    -------
    tuple of Block
        Two per table.
    """
    found: list[Block] = []
    for table in parts.sensitivities:
        told = table.attrs
        warning = "" if told.get("converged", not parts.warning) else NOT_CONVERGED
        rows = tuple(
            (
                str(name), f"{row['prior']:.3f}", f"{row['likelihood']:.3f}",
                f"{row['strongest_prior']} ({row['by_it']:.3f})", str(row["words"]),
            )
            for name, row in table.iterrows()
        )  # fmt: skip
        note = (
            "How far each posterior moves (cumulative Jensen-Shannon distance per doubling) when all priors, or the likelihood of "
            f"all subjects ({told['likelihood']}), are raised to a power near 1; Kallioinen et al. 2024. Sensitive from "
            f"{told['threshold']:g} on, and above the noise of {told['n_draws']} draws: {told['noise_prior']:.3f} and "
            f"{told['noise_likelihood']:.3f}. Words begin with those of the contraction. A possible conflict does not contradict “informed”: the "
            "data narrowed the prior, and what it still adds moves the result."
        )
        heads = ("Quantity", "To the priors", "To the data", "Prior that moves it most", "In words")
        lost = table.index[table["words"] == UNTOLD].tolist()
        torn = table.index[table["words"].str.endswith(PULLED)].tolist()
        alt = (
            f"Sensitivity of {len(table)} quantities to priors and data. Not informed by the data: {listing(lost) or 'none'}; "
            f"possible prior-data conflict: {listing(torn) or 'none'}."
        )
        caption = "Sensitivity of each quantity to its priors (filled) and to the data (open), the most prior-bound on top."
        found += [
            Table("Sensitivity to priors and data", heads, rows, note, warning, align="lrrll"),
            picture(plot.sensitivity(table), alt, caption, warning=warning),
        ]
    return tuple(found)


def comparison_section(parts: Parts) -> Section | None:
    """Models side by side, by leaving subjects out."""
    blocks: list[Block] = []
    for table in parts.comparisons:
        blocks += ranking_blocks(table, "" if "converged" in table else parts.warning)
    if len(parts.fits) > 1 and not parts.comparisons:
        names = [fit.name for fit, _ in parts.fits]
        blocks.append(
            Text(
                f"{len(names)} fits are shown ({listing(names)}) and not ranked: give the table of compare() to this report to rank them.",
                "caution",
            )
        )
    return Section("comparison", "Models compared", tuple(blocks)) if blocks else None


def ranking_blocks(table: pd.DataFrame, warning: str, unusable: frozenset[str] | None = None) -> list[Block]:
    """Table and pictures of `carkinetics.compare`.

    Parameters
    ----------
    table : pandas.DataFrame
        As it returns it.
    warning : str
        Stands above the table and the pictures.
    unusable : frozenset of str, optional
        Models that the warning is about; all if not given.

    Returns
    -------
    list of Block
        The table, differences and weights, differences by subject.
    """
    extra = [name for name in ("elpd_waic", "p_waic", "bic") if name in table]
    lost = table.index[~table["converged"].astype(bool)].map(str).tolist() if "converged" in table else []
    warning = warning or (f"{NOT_CONVERGED} ({listing(lost)})" if lost else "")
    rows = tuple(
        (
            f"{name}, not converged" if str(name) in lost else str(name), f"{row['elpd']:.1f} ({row['se']:.1f})", f"{row['difference']:.1f} ({row['difference_se']:.1f})",
            MISSING if np.isnan(row["difference_mcse"]) else f"{row['difference_mcse']:.1f}", str(row["verdict"]), MISSING if np.isnan(row["weight"]) else f"{row['weight']:.2f}",
            f"{row['bad_k']}; {row['largest_k']:.2f}", *(MISSING if np.isnan(row[one]) else f"{row[one]:.1f}" for one in extra),
        )
        for name, row in table.iterrows()
    )  # fmt: skip
    drawn = table.attrs.get("n_draws")
    note = (
        "elpd: sum over subjects of the log predictive density of each when it is left out, averaged over its random effects; "
        f"PSIS-LOO by subject{f' from {drawn} draws' if drawn else ''}. MCSE: Monte-Carlo error of the difference, from the number of draws. A difference below 2 of "
        "both errors together is not separated. Weight: in the mixture of the models' predictions that predicts best (stacking), not "
        "the probability that a model is true; none for a model that did not converge or has a Pareto k above 1. "
        f"k > {GOOD_K}: subjects whose Pareto k makes their weights unreliable and that were not refitted. WAIC and BIC, where shown, are secondary; "
        "n of the BIC is the number of subjects, and it is missing where that fit did not converge."
    )
    words = {"elpd_waic": "elpd (WAIC)", "p_waic": "p (WAIC)", "bic": "BIC"}
    heads = (
        "Model", "elpd (SE)", "Difference (SE)", "MCSE", "Verdict", "Weight", f"k > {GOOD_K}; largest",
        *(words[one] for one in extra),
    )  # fmt: skip
    marked = unusable or frozenset()
    warned = (
        None if unusable is None else frozenset(i for i, name in enumerate(table.index) if name in marked)
    )
    best, rest = str(table.index[0]), table.iloc[1:]
    said = "; ".join(
        f"{name} {row['difference']:.1f} (SE {row['difference_se']:.1f}, {row['verdict']}, weight {row['weight']:.2f})"
        for name, row in rest.iterrows()
    )
    each = table.attrs["subjects"]
    second = str(rest.index[0])
    ahead = each[best, "elpd"] - each[second, "elpd"]
    if (best, "n_obs") in each:
        ahead = ahead[each[best, "n_obs"] > 0]
    by_subject = f"{(ahead > 0).sum()} of {len(ahead)} subjects are predicted better by {best}, {(ahead < 0).sum()} by {second}."
    return [
        Table("Which model predicts a subject that it has not seen?", heads, rows, note, warning, align="lrrrlrr", warned=warned),
        picture(plot.comparison(table), f"{best} is first; difference of elpd: {said}.", "Differences of elpd and stacking weights.", warning=warning),
        picture(plot.comparison_by_subject(table), by_subject, f"{by_subject} A difference that rests on a few subjects is a question about them.", warning=warning),
    ]  # fmt: skip


def covariate_section(parts: Parts) -> Section | None:
    """Screens and stepwise searches for covariates."""
    blocks: list[Block] = []
    for screen in parts.screens:
        blocks += _screen(screen)
    for search in parts.searches:
        blocks += _search(search)
    return Section("covariates", "Search for covariates", tuple(blocks)) if blocks else None


def _screen(screen: CovariateScreen) -> list[Block]:
    settings = screen.settings
    rows = tuple(
        (
            f"{row.parameter} on {row.covariate}", span(row.low, row.high), number(row.ratio), span(row.lower, row.upper),
            f"{row.probability:.2f}", f"{row.kappa:.2f}", "named" if row.named else "",
        )
        for row in screen.table.itertuples()
    )  # fmt: skip
    note = (
        f"Regularised horseshoe on Gaussian summaries of {settings['subjects']} subjects' likelihoods. Ratio of the parameter (odds of a "
        f"fraction) between the ends of the covariate; named where the probability of a factor above {settings['factor']:g} exceeds "
        f"{settings['limit']:g}. κ: 1 for a slope that is shrunk to nothing, 0 for one that is left alone."
    )
    heads = ("Pair", "From, to", "Ratio", "90 % interval", "Probability", "κ", "")
    warning = "" if screen.converged else "not converged: draw longer"
    return [
        Text(screen.statement, "" if screen.converged else "bad"),
        Table("Screen of covariates", heads, rows, note, warning, align="lrrrrrl"),
        picture(
            plot.covariate_screen(screen),
            screen.statement,
            "Screened pairs; κ near 1: shrunk to nothing.",
            warning=warning,
        ),
    ]


def _search(search: StepwiseSearch) -> list[Block]:
    rows = tuple(
        (
            str(row.step), row.direction, f"{row.parameter} on {row.covariate}" if row.parameter else MISSING,
            f"{row.minus_two_ll:.2f}", f"{row.change:+.2f}",
            "taken" if row.taken else "" if row.converged else "not converged",
        )
        for row in search.steps.itertuples()
    )  # fmt: skip
    settings = search.settings
    note = f"In where −2LL falls by more than {settings['forward']:g}, out where it rises by less than {settings['backward']:g}."
    heads = ("Step", "Direction", "Pair", "−2LL", "Change", "")
    return [
        Text(f"{search.warning}.", "caution"),
        Table("Stepwise search", heads, rows, note, align="lllrrl", folded=len(rows) > 12),
    ]
