"""Whether a fit converged, and what the data did not inform.

The verdict holds for population quantities: rank-normalised R-hat below 1.01, bulk and tail effective sample
size above 400, no divergence, E-BFMI above 0.3, no chain away from the others. Subjects' parameters are many,
so one above 1.01 by chance is reported and only one above 1.05 fails the fit.
Thresholds: Vehtari A et al. Bayesian Anal 2021;16:667-718; Betancourt M. arXiv:1604.00695.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from carkinetics.diagnostics.contraction import (
    NOT_INFORMED,
    WEAKLY_INFORMED,
    WIDER,
    contraction,
    estimated_rows,
)
from carkinetics.diagnostics.exploration import e_bfmi, where_divergent
from carkinetics.diagnostics.informing import informing_days, informing_words
from carkinetics.diagnostics.random_effects import shrinkage_findings
from carkinetics.findings import Finding, findings_table
from carkinetics.fit.measured import measured_outputs
from carkinetics.fit.pareto import GOOD_K
from carkinetics.fit.result import Fit

RHAT, RHAT_SUBJECT, ESS, EBFMI = 1.01, 1.05, 400, 0.3
# A chain whose mean log posterior lies this many standard deviations of a chain below the best one is trapped.
LP_GAP = 3.0
CONFLICT = 2.6  # standard deviations: outside the central 99 % of the prior


def diagnose(fit: Fit) -> pd.DataFrame:
    """Findings about a fit and one verdict.

    Parameters
    ----------
    fit : Fit
        Any fit.

    Returns
    -------
    pandas.DataFrame
        Columns ``severity, rule, where, message``, worst first. ``.attrs["converged"]`` is the verdict and
        ``.attrs["verdict"]`` says it in a sentence with the reason.
    """
    if fit.method == "individual":
        findings = list(_individual(fit))
        table = findings_table(findings)
        done, total = _count_converged(fit)
        table.attrs = {"converged": done == total, "verdict": f"{done} of {total} subjects converged"}
        return table
    findings = [finding for rule in RULES for finding in rule(fit)]
    table = findings_table(findings)
    errors = [finding.message for finding in findings if finding.severity == "error"]
    population = estimated_rows(fit)
    trajectories = ", no divergences" if "diverging" in fit.tree["sample_stats"] else ""
    good = (
        f"converged: R-hat at most {rhat_words(population['rhat'].max())}, effective sample size at least "
        f"{population[['ess_bulk', 'ess_tail']].min().min():.0f}{trajectories}"
    )
    if "pareto_k" in fit.settings:
        good = f"approximate ({fit.settings['sampler']}), corrected by weights with Pareto k {fit.settings['pareto_k']:.2f}"
    table.attrs = {"converged": not errors, "verdict": f"not converged: {errors[0]}" if errors else good}
    return table


def rhat_words(value: float) -> str:
    """R-hat with as many digits as tell on which side of the threshold it is.

    Parameters
    ----------
    value : float
        R-hat.

    Returns
    -------
    str
        Three decimals, or four where three are those of the threshold.

    Examples
    --------
    >>> rhat_words(1.00963), rhat_words(1.0042)
    ('1.0096', '1.004')
    """
    text = f"{value:.3f}"
    return f"{value:.4f}" if text == f"{RHAT:.3f}" else text


def _count_converged(fit: Fit) -> tuple[int, int]:
    status = fit.parameters.drop_duplicates("subject")["status"]
    return int((status == "converged").sum()), len(status)


def _individual(fit: Fit) -> Iterator[Finding]:
    for row in fit.parameters.drop_duplicates("subject").itertuples():
        if row.status != "converged":
            yield Finding(
                "warning", "individual-fit", f"subject {row.subject}", f"{row.status}: {row.message}"
            )


def _approximation(fit: Fit) -> Iterator[Finding]:
    """Draws that are no Markov chain: their weights say how far they are from the posterior."""
    if "pareto_k" not in fit.settings:
        return
    k, name = fit.settings["pareto_k"], fit.settings["sampler"]
    if k <= GOOD_K:
        yield Finding(
            "warning", "approximation", "method",
            f"{name} is an approximation; its draws were corrected by their weights, whose Pareto k is {k:.2f}",
        )  # fmt: skip
    else:
        yield Finding(
            "error", "approximation", "method",
            f"{name} is an approximation whose Pareto k is {k:.2f}, above {GOOD_K}: intervals may be far off; "
            "method='mcmc' draws from the posterior",
        )  # fmt: skip


def _rhat(fit: Fit) -> Iterator[Finding]:
    population = estimated_rows(fit)["rhat"]
    if population.isna().any() or population.empty:
        chains = fit.settings["chains"]
        yield Finding(
            "error",
            "rhat",
            "population",
            f"R-hat cannot be computed from {chains} chains of {fit.settings['draws']} draws",
        )
        return
    worst = population.idxmax()
    if population.max() >= RHAT:
        n = int((population >= RHAT).sum())
        yield Finding(
            "error",
            "rhat",
            str(worst),
            f"R-hat is {rhat_words(population.max())} for {worst} ({n} of {len(population)} above {RHAT}); draw longer",
        )
    individual = fit.individual()
    above = individual[~(individual["rhat"] < RHAT)]
    if len(above):
        top = above.loc[above["rhat"].fillna(np.inf).idxmax()]
        yield Finding(
            "note" if top["rhat"] < RHAT_SUBJECT else "error", "rhat-subject", f"subject {top['subject']}",
            f"R-hat is {top['rhat']:.3f} for {top['parameter']} ({len(above)} of {len(individual)} individual values above {RHAT})",
        )  # fmt: skip


def _effective_sample_size(fit: Fit) -> Iterator[Finding]:
    population = estimated_rows(fit)
    for column, word in (("ess_bulk", "bulk"), ("ess_tail", "tail")):
        ess = population[column]
        if not (ess > ESS).all():
            worst = ess.fillna(0.0).idxmin()
            yield Finding(
                "error",
                f"ess-{word}",
                str(worst),
                f"{word} effective sample size is {ess[worst]:.0f} for {worst}; more than {ESS} is needed",
            )


def _divergences(fit: Fit) -> Iterator[Finding]:
    if "diverging" not in fit.tree["sample_stats"]:  # the structured sampler has no trajectories
        return
    count = int(fit.tree["sample_stats"]["diverging"].sum())
    if count:
        total = fit.tree["sample_stats"]["diverging"].size
        place = where_divergent(fit)
        yield Finding(
            "error",
            "divergences",
            "sampler",
            f"{count} of {total} draws diverged{f', {place}' if place else ''}; raise target_accept or reconsider a prior that allows omega near 0",
        )


def _energy(fit: Fit) -> Iterator[Finding]:
    if "energy" not in fit.tree["sample_stats"]:
        return
    energy = fit.tree["sample_stats"]["energy"].to_numpy()
    if energy.shape[1] < 4:
        return
    fraction = e_bfmi(energy)
    worst = int(fraction.argmin())
    if not fraction[worst] >= EBFMI:
        yield Finding(
            "error",
            "e-bfmi",
            f"chain {worst}",
            f"E-BFMI is {fraction[worst]:.2f}, below {EBFMI}: the tails are not explored",
        )


def _trapped_chain(fit: Fit) -> Iterator[Finding]:
    stats = fit.tree["sample_stats"]
    if "lp" not in stats or stats["lp"].sizes["chain"] < 2:
        return
    lp = stats["lp"].to_numpy()
    means, spread = lp.mean(axis=1), np.median(lp.std(axis=1))
    for chain in np.flatnonzero(means < means.max() - LP_GAP * spread):
        yield Finding(
            "error", "trapped-chain", f"chain {chain}",
            f"its log posterior is {means[chain]:.0f}, {means.max() - means[chain]:.0f} below the best chain: a worse mode",
        )  # fmt: skip


def _tree_depth(fit: Fit) -> Iterator[Finding]:
    stats = fit.tree["sample_stats"]
    if "reached_max_treedepth" in stats and (hits := int(stats["reached_max_treedepth"].sum())):
        yield Finding(
            "note", "tree-depth", "sampler", f"{hits} draws reached the longest trajectory: slow, not wrong"
        )


def _failed_solves(fit: Fit) -> Iterator[Finding]:
    """Proposals whose equations could not be solved were refused; many of them mean a place never visited."""
    for subject, entry in fit.settings.get("failed_solves", {}).items():
        values = ", ".join(f"{name} {value:.3g}" for name, value in entry["first"].items())
        yield Finding(
            "note", "failed-solve", f"subject {subject}",
            f"the equations could not be solved for {entry['count']} proposed sets of parameters, which were refused; "
            f"the first was {values}",
        )  # fmt: skip


def _rarely_moved(fit: Fit) -> Iterator[Finding]:
    for subject in fit.settings.get("rarely_moved", []):
        yield Finding(
            "warning", "rarely-moved", f"subject {subject}",
            "fewer than 5 % of the proposals for this subject were accepted: its posterior is explored slowly",
        )  # fmt: skip


def _several_modes(fit: Fit) -> Iterator[Finding]:
    subjects = fit.settings.get("several_modes", [])
    if subjects:
        more = f" and {len(subjects) - 5} more" if len(subjects) > 5 else ""
        yield Finding(
            "note", "several-modes", f"subjects {', '.join(subjects[:5])}{more}",
            f"{len(subjects)} subjects' data allow more than one explanation; the sampler jumps between them",
        )  # fmt: skip


def _unmeasured(fit: Fit) -> Iterator[Finding]:
    for output in fit.model.outputs:
        if output not in fit.settings.get("assays", fit.model.outputs):
            yield Finding(
                "note", "unmeasured-output", output,
                f"no assay of the data measures the model's {output}: it is predicted, not fitted",
            )  # fmt: skip


def _not_informed(fit: Fit) -> Iterator[Finding]:
    learnt = contraction(fit)
    weak = learnt[learnt["contraction"] < WEAKLY_INFORMED]
    if weak.empty:
        return
    days = informing_days(fit)
    for row in weak[weak["contraction"] >= WIDER].itertuples():
        name = str(row.Index)
        parameter = name.removesuffix("_typical")
        reason = f"; {informing_words(days.loc[parameter])}" if parameter in days.index else ""
        yield Finding(
            "warning" if row.contraction < NOT_INFORMED else "note", "prior-dominated", name,
            f"{name} is {row.words}: the posterior variance is {1 - row.contraction:.0%} of the prior's{reason}",
        )  # fmt: skip


def _wider_than_prior(fit: Fit) -> Iterator[Finding]:
    """Data narrow a prior that they agree with; a wider posterior is a conflict, or chains that did not meet."""
    learnt, rhat = contraction(fit), fit.population()["rhat"]
    for row in learnt[learnt["contraction"] < WIDER].itertuples():
        name = str(row.Index)
        why = (
            "prior and data contradict each other, or the data allow explanations far apart"
            if rhat[name] <= RHAT
            else f"its chains did not meet (R-hat {rhat[name]:.2f})"
        )
        yield Finding(
            "warning", "wider-than-prior", name,
            f"{name} is {row.words}: the posterior variance is {1 - row.contraction:.0%} of the prior's; {why}",
        )  # fmt: skip


def _prior_conflict(fit: Fit) -> Iterator[Finding]:
    """A typical value that its prior held to be next to impossible: one of the two is wrong."""
    population = fit.population()
    for name in fit.model.free_parameters:
        parameter = fit.model.parameters[name]
        median = population.loc[f"{name}_typical", "median"]
        away = (parameter.to_free(median) - parameter.prior.location) / parameter.prior.spread
        if abs(away) > CONFLICT:
            unit = "" if parameter.unit == "1" else f" {parameter.unit}"
            yield Finding(
                "warning", "prior-conflict", f"{name}_typical",
                f"{name}_typical is {median:.3g}{unit}, {abs(away):.1f} SD {'above' if away > 0 else 'below'} "
                f"the centre of its prior, {parameter.prior}: reconsider the prior or the model",
            )  # fmt: skip


def _swapped_rates(fit: Fit) -> Iterator[Finding]:
    """The fast and the slow decline are told apart by size alone."""
    posterior = fit.tree["posterior"].to_dataset()
    fast, slow = (posterior.get(name, posterior.get(f"{name}_typical")) for name in ("alpha", "beta"))
    if fast is None or slow is None:
        return
    share = float((fast < slow).mean())
    if share > 0.05:
        yield Finding(
            "warning",
            "rates-swap",
            "alpha, beta",
            f"the slow rate exceeds the fast one in {share:.0%} of individual draws: the two phases are not told apart",
        )


def _before_the_infusion(fit: Fit) -> Iterator[Finding]:
    """A CAR-T level is zero then; a cytokine or a tumour is not, but the model begins with the infusion."""
    for one in measured_outputs(fit)[1:]:
        rows = fit.data.observations
        early = rows[(rows["assay"] == one.assay) & (rows["time"] < 0)]
        if len(early):
            yield Finding(
                "warning",
                "before-infusion",
                f"assay {one.assay}",
                f"{len(early)} samples of {early['subject'].nunique()} subjects from before day 0 are not in the fit, which begins with the "
                "infusion; give them day 0 if they are its baseline",
            )


RULES = (
    _approximation, _trapped_chain, _rhat, _effective_sample_size, _divergences, _energy, _tree_depth, _rarely_moved, _failed_solves,
    _several_modes, _unmeasured, _prior_conflict, _not_informed, _wider_than_prior, _swapped_rates, _before_the_infusion, shrinkage_findings,
)  # fmt: skip
