"""The section on convergence: whether chains agree and explore, what the digits are worth, what is told only together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from carkinetics import plot
from carkinetics.diagnostics import monte_carlo_errors, population_correlations
from carkinetics.diagnostics.cross_check import SUSPICIOUS
from carkinetics.diagnostics.diagnose import rhat_words
from carkinetics.diagnostics.exploration import e_bfmi, ess_growth, funnels
from carkinetics.diagnostics.population_correlation import strongest_pairs
from carkinetics.errors import FitError
from carkinetics.fit import Fit
from carkinetics.fit.pareto import GOOD_K
from carkinetics.fit.stated_prior import stated_priors
from carkinetics.report import figures
from carkinetics.report.blocks import Block, Picture, Section, Table, Text
from carkinetics.report.images import picture
from carkinetics.report.parts import Parts
from carkinetics.report.written import MISSING, listing, number

TRACES, STRONGEST = 6, 10
TIED = 0.9


def convergence_section(parts: Parts) -> Section | None:
    """R-hat, effective sample size, divergences, energy, rank plots."""
    fit = parts.fit
    if fit is None:
        return None
    table = Table(
        "Did the chains agree, and explore?",
        ("Quantity", "Found", "Wanted"),
        tuple(convergence_rows(fit)),
        align="lll",
    )
    compared = tuple(_compared(one) for one in parts.checks)
    told = monte_carlo_errors(fit)
    explored = (*figures.ranks(fit), *exploration_blocks(fit), *_traces(fit, told))
    blocks = (
        table,
        *compared,
        _errors(told, parts.shown_warning),
        *explored,
        *correlation_blocks(fit, parts.shown_warning),
    )
    return Section("convergence", "Convergence", blocks)


def _errors(told: pd.DataFrame, warning: str) -> Table:
    """Every quantity with what its digits are worth."""
    rows = tuple(
        (
            str(row.Index), number(row.mean), number(row.mcse_mean), f"{row.share:.1%}", number(row.mcse_lower), number(row.mcse_upper),
            MISSING if np.isnan(row.rhat) else f"{row.rhat:.3f}", f"{row.ess_bulk:.0f}", f"{row.ess_tail:.0f}",
        )
        for row in told.itertuples()
    )  # fmt: skip
    note = (
        "MCSE: Monte-Carlo standard error, by which a number would move if the same posterior were drawn again, of the mean and of the ends of "
        "the 90 % interval, natural scale; digits below it mean nothing. In SD: that of the mean as a share of the posterior SD; 5 % belongs to 400 effective draws."
    )
    heads = (
        "Quantity", "Mean", "MCSE of the mean", "In SD", "MCSE of 5 %", "MCSE of 95 %", "R-hat", "Bulk ESS", "Tail ESS",
    )  # fmt: skip
    return Table("Monte-Carlo error of every population quantity", heads, rows, note, warning, folded=True)


def _traces(fit: Fit, told: pd.DataFrame) -> tuple[Block, ...]:
    """Draws in their order, of the quantities that mixed worst; an approximation has no order."""
    if "pareto_k" in fit.settings:
        return ()
    drawn = told.loc[[name for name in stated_priors(fit) if name in told.index]]
    worst = drawn[["ess_bulk", "ess_tail"]].min(axis=1).nsmallest(TRACES).index.map(str).tolist()
    caption = f"Draws in the order of sampling, one colour per chain, of the {len(worst)} quantities with the smallest effective sample size."
    alt = f"Traces of {listing(worst)}. The smallest effective sample size is {told.loc[worst[0], ['ess_bulk', 'ess_tail']].min():.0f}."
    shown = picture(plot.trace(fit, parameters=worst), alt, caption)
    return (replace(shown, folded="Traces of the quantities that mixed worst"),)


def correlation_blocks(fit: Fit, warning: str) -> tuple[Block, ...]:
    """Which population quantities the data tell only together.

    Parameters
    ----------
    fit : Fit
        Hierarchical.
    warning : str
        Stands above table and picture.

    Returns
    -------
    tuple of Block
        The strongest correlations, and the matrix; nothing for a single quantity.
    """
    matrix = population_correlations(fit)
    pairs = strongest_pairs(matrix)
    if pairs.empty:
        return ()
    tied = int((pairs["correlation"].abs() > TIED).sum())
    rows = tuple(
        (f"{row.first} with {row.second}", f"{row.correlation:.2f}")
        for row in pairs.head(STRONGEST).itertuples()
    )
    note = (
        f"Pearson's correlation over posterior draws, positive quantities as logs, fractions as logits; the strongest {len(rows)} of {len(pairs)}. "
        f"Beyond ±{TIED:g} ({tied} of them) the data tell a combination of the two rather than each."
    )
    first = pairs.iloc[0]
    alt = (
        f"Correlation matrix of {len(matrix)} population quantities; the strongest is {first['correlation']:.2f}, of {first['first']} with "
        f"{first['second']}; {tied} of {len(pairs)} are beyond ±{TIED:g}."
    )
    return (
        Table("Strongest correlations of population quantities", ("Pair", "Correlation"), rows, note, warning),
        picture(plot.correlations(fit), alt, "Correlations of all population quantities over posterior draws.", warning=warning),
    )  # fmt: skip


def convergence_rows(fit: Fit) -> list[tuple[str, str, str]]:
    """What tells whether chains agree and explore.

    Parameters
    ----------
    fit : Fit
        Hierarchical.

    Returns
    -------
    list of (str, str, str)
        Quantity, what was found, what is wanted.
    """
    population, stats = fit.population(), fit.tree["sample_stats"]
    subjects = fit.individual()
    rows = [
        ("R-hat, largest", _largest_rhat(population["rhat"]), "below 1.01"),
        ("Bulk effective sample size, smallest", _smallest(population["ess_bulk"]), "above 400"),
        ("Tail effective sample size, smallest", _smallest(population["ess_tail"]), "above 400"),
        (
            "R-hat of subjects' parameters, largest",
            f"{subjects['rhat'].max():.3f}" if len(subjects) else "–",
            "below 1.05",
        ),
    ]
    if "diverging" in stats:
        rows.append(("Divergent draws", f"{int(stats['diverging'].sum())} of {stats['diverging'].size}", "0"))
    if "energy" in stats and stats["energy"].sizes["draw"] > 3:
        fraction = e_bfmi(stats["energy"].to_numpy())
        rows.append(
            ("E-BFMI, smallest", f"{fraction.min():.2f} (chain {int(fraction.argmin())})", "above 0.3")
        )
    return [*rows, *_engine(fit.settings, stats)]


def _compared(check: pd.DataFrame) -> Table:
    """What the other engine says of the same posterior."""
    told = check.attrs
    rows = tuple(
        (str(row.Index), number(row.mean), number(row.other_mean), f"{row.shift_sd:+.3f}", f"{row.z:+.1f}")
        for row in check.itertuples()
    )
    verdict = "agree" if told["agree"] else "DISAGREE"
    warning = "" if told["agree"] else "the engines disagree: at least one did not draw from the posterior"
    if not told.get("converged", True):
        warning = warning or "not converged: at least one engine did not reach its goal"
    return Table(
        f"Two engines on one posterior {verdict}: largest |z| {told['largest_z']:.1f} of {len(check)}, below "
        f"{SUSPICIOUS:g} wanted",
        ("Mean of", told["sampler"], told["other_sampler"], "Shift, SD", "z"), rows, align="lrrrr",
        warning=warning,
    )  # fmt: skip


def _engine(settings: dict[str, Any], stats: Any) -> list[tuple[str, str, str]]:
    """Which engine made the draws, and the log posterior of each chain."""
    rows = []
    if settings.get("sampler") == "structured":
        made = f"structured sampler, {settings['warm_up']} + {settings['sweeps']} sweeps, one in {settings['every']} kept"
        rows.append(("Engine", made, "–"))
        for kind, share in settings["acceptance"].items():
            rows.append((f"Accepted, {kind.replace('_', ' ')}", f"{share:.0%}", "–"))
    elif "pareto_k" in settings:
        rows.append(("Engine", f"{settings['sampler']}: an approximation, {settings['draws']} draws", "–"))
        rows.append(("Pareto k of the weights", f"{settings['pareto_k']:.2f}", f"at most {GOOD_K}"))
    elif settings.get("sampler"):
        rows.append(("Engine", f"{settings['sampler']}, {settings['tune']} + {settings['draws']} draws", "–"))
    if "lp" in stats:
        means = ", ".join(f"{mean:.1f}" for mean in stats["lp"].mean("draw").to_numpy())
        rows.append(("Log posterior, mean of each chain", means, "alike"))
    return rows


def _largest_rhat(values: pd.Series) -> str:
    return "cannot be computed" if values.isna().all() else f"{rhat_words(values.max())} ({values.idxmax()})"


def _smallest(values: pd.Series) -> str:
    return "cannot be computed" if values.isna().all() else f"{values.min():.0f} ({values.idxmin()})"


def exploration_blocks(fit: Fit) -> tuple[Block, ...]:
    """Growth of the effective sample size, energy, and funnels.

    Parameters
    ----------
    fit : Fit
        Hierarchical.

    Returns
    -------
    tuple of Block
        Those pictures that the fit's draws allow.
    """
    if "pareto_k" in fit.settings:  # draws of an approximation are no chain that explores
        return ()
    found: list[Block] = []
    try:
        found.append(_growth(fit))
    except FitError as error:
        found.append(Text(f"No picture of the effective sample size: {error}."))
    stats = fit.tree["sample_stats"]
    if "energy" in stats and stats["energy"].sizes["draw"] > 3:
        least = float(e_bfmi(stats["energy"].transpose("chain", "draw").to_numpy()).min())
        alt = f"Energy of the draws and its change from draw to draw; the smallest E-BFMI of a chain is {least:.2f}, above 0.3 is wanted."
        caption = "Energy of NUTS. The two densities are alike in width where the tails are explored."
        found.append(picture(plot.energy(fit), alt, caption))
    if fit.settings.get("random"):
        found.append(_funnels(fit))
    return tuple(found)


def _growth(fit: Fit) -> Picture:
    table = ess_growth(fit)
    last = table[table["draws"] == table["draws"].max()].set_index("parameter")[["bulk", "tail"]].min(axis=1)
    alt = (
        f"Effective sample size against the number of draws. After {table['draws'].max()} draws the smallest is "
        f"{last.min():.0f}, of {last.idxmin()}, and the median over quantities {last.median():.0f}."
    )
    caption = (
        "Effective sample size as draws came in. Lines parallel to the dotted one belong to chains that mix; one that "
        "levels off, to chains that still find something new."
    )
    return picture(plot.ess(fit), alt, caption)


def _funnels(fit: Fit) -> Picture:
    table = funnels(fit)
    deep, diverged = table.index[table["funnel"]].tolist(), int(table["divergences"].iloc[0])
    said = (
        f"{listing(deep)}: ω and the effects shrink together" if deep else "no random effect shows a funnel"
    )
    where = ""
    if diverged:
        low = table["divergent_at"].idxmin()
        where = (
            f" The {diverged} divergent draws have the lowest ω for {low}: their mean rank among all draws is "
            f"{table.loc[low, 'divergent_at']:.2f}, from 0 in the neck to 1."
        )
    alt = f"Draws of each ω against the effect that the data tell least: {said}.{where}"
    caption = (
        "Where a funnel is. r: correlation of log ω with the log SD of the effects over draws; widening: how much wider the "
        "effect is at large than at small ω. A funnel (r above 0.8 and widening above 3) is a matter of data that say little of "
        "single subjects; crosses are divergent draws."
    )
    return picture(plot.funnel(fit), alt, caption)
