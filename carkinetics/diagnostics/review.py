"""Does the fit describe the data it was made from? Convergence, then everything that speaks against the model.

A fit can converge perfectly to the wrong model. The rules here look for what a wrong one leaves behind: percentiles and BLQ shares
outside what new studies would show, prediction errors that are not standard normal, samples far from their subject's curve,
neighbours whose residuals are alike, subjects far from all others, random effects that still follow a covariate. Each is a
warning, since none proves which part of the model is wrong; thresholds are such that a right model is rarely spoken against
(tests/FAULTS.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import pandas as pd
from scipy import stats

from carkinetics.dataset.table import PREDOSE, is_censored
from carkinetics.diagnostics.binning import time_bins
from carkinetics.diagnostics.compare import loo
from carkinetics.diagnostics.diagnose import diagnose
from carkinetics.diagnostics.known_later import known_later
from carkinetics.diagnostics.npde import Npde, npde
from carkinetics.diagnostics.omnibus import omnibus_p
from carkinetics.diagnostics.random_effects import effect_trends
from carkinetics.diagnostics.replicate import limit_of, replicates
from carkinetics.diagnostics.residuals import normal_scores, residuals
from carkinetics.diagnostics.sensitivity import PULLED, prior_sensitivity
from carkinetics.diagnostics.vpc import Vpc, vpc
from carkinetics.errors import FitError
from carkinetics.findings import Finding, findings_table
from carkinetics.fit.measured import measured_output, measured_outputs
from carkinetics.fit.pareto import GOOD_K
from carkinetics.fit.result import Fit
from carkinetics.fit.variability import effect_draws

# p-values of single rules; each is a few among many, so that 5 % would speak against every second right model.
LEVEL = 0.01
STRICT = 0.001
REPLICATES = 500
FAR_SAMPLE, FAR_SUBJECT = 4.5, 4.0  # standard deviations
FEWEST = 20  # residuals, for their distribution
MOST_NAMED = 4
CENSORING, FEW_BLQ = ("M3", "M4"), 0.05
CONFLICT = "prior-conflict"


class Evidence:
    """What the rules look at, each computed once, when it is first looked at.

    Parameters
    ----------
    fit : Fit
        Hierarchical.
    seed : int
        Of the simulations.
    """

    def __init__(self, fit: Fit, seed: int = 1) -> None:
        self.fit, self.seed = fit, seed
        self.outputs = [one.output for one in measured_outputs(fit)]

    @cached_property
    def checks(self) -> dict[str, Vpc]:
        """Prediction-corrected checks by output."""
        return {
            output: vpc(self.fit, n_sim=REPLICATES, corrected=True, seed=self.seed, output=output)
            for output in self.outputs
        }

    @cached_property
    def errors(self) -> dict[str, Npde]:
        """NPDE by output, as `npde` gives them by default."""
        return {output: npde(self.fit, seed=self.seed, output=output) for output in self.outputs}

    @cached_property
    def residuals(self) -> dict[str, pd.DataFrame]:
        """IWRES as standard normal scores, robustly centred and scaled: an outlier would hide in the spread that it makes."""
        found = {}
        for output in self.outputs:
            table = residuals(self.fit, seed=self.seed, output=output)
            known = table[~table["imputed"] & table["iwres"].notna()].copy()
            z = normal_scores(known["iwres"], measured_output(self.fit, output).error)
            spread = stats.median_abs_deviation(z, scale="normal") if len(z) else 1.0
            known["z"] = (z - np.median(z)) / spread if len(z) and spread > 0 else z
            found[output] = known
        return found


def review(
    fit: Fit, *, thorough: bool = False, seed: int = 1, evidence: Evidence | None = None
) -> pd.DataFrame:
    """Whether a fit converged, and whether it describes the data.

    Parameters
    ----------
    fit : Fit
        Hierarchical.
    thorough : bool
        Also leave each subject out and scale the priors, which takes half a minute or more.
    seed : int
        Of the simulations.
    evidence : Evidence, optional
        Of this fit, for who uses it afterwards; its seed counts.

    Returns
    -------
    pandas.DataFrame
        Findings of `diagnose` and of the rules here, worst first: ``severity, rule, where, message``. ``.attrs``: ``converged``;
        ``adequate``, whether it converged and no rule speaks against model or priors; ``verdict``, in a sentence.

    Raises
    ------
    FitError
        If the fit is not a hierarchical one.
    """
    if fit.method != "hierarchical":
        raise FitError(
            f"review needs a hierarchical fit, found a fit of method {fit.method!r}; use fit_hierarchical"
        )
    first, case = diagnose(fit), evidence or Evidence(fit, seed)
    found = [Finding(**row) for row in first.to_dict("records")]
    against = [finding for rule in (*RULES, *(THOROUGH if thorough else ())) for finding in rule(case)]
    speaking = [
        one
        for one in (*found, *against)
        if one.severity == "warning" and (one in against or one.rule == CONFLICT)
    ]
    table = findings_table([*found, *against])
    converged = bool(first.attrs["converged"])
    verdict = str(first.attrs["verdict"])
    if speaking:
        words = list(dict.fromkeys(_WORDS[one.rule] for one in speaking))
        verdict += f"; but {', '.join(words)}: see the warnings" if converged else f"; and {', '.join(words)}"
    elif converged:
        verdict += "; nothing speaks against the model"
    table.attrs = {"converged": converged, "adequate": converged and not speaking, "verdict": verdict}
    return table


_WORDS = {
    "percentiles": "new studies would show other levels",
    "blq-own": "curves and BLQ samples disagree",
    "blq-method": "BLQ samples are not censored",
    "blq-share": "shares of BLQ samples differ from those of simulated studies",
    "prediction-errors": "NPDE depart from those of the model",
    "outlying-samples": "some samples are far from their curves",
    "heavy-tails": "residuals have heavy tails",
    "neighbours": "curves have another shape than the samples",
    "outlying-subjects": "some subjects are far from all others",
    "covariate-left": "random effects follow a covariate",
    "influential-subjects": "single subjects decide",
    "prior-pull": "prior and data pull in different directions",
    CONFLICT: "a prior is at odds with the data",
}


def _place(case: Evidence, output: str) -> str:
    return output if len(case.outputs) > 1 else "all samples"


def _percentiles(case: Evidence) -> Iterator[Finding]:
    for output, check in case.checks.items():
        p = check.settings["p"]["percentiles"]
        if p < LEVEL:
            rows = check.percentiles.fillna(
                {"observed": 0.0, "lower": 0.0, "upper": 0.0}
            )  # NaN: below the LLOQ
            yield Finding(
                "warning", "percentiles", _place(case, output),
                f"the observed percentiles are not those of simulated studies (all together p {p:.2g}); {_outside(rows)}",
            )  # fmt: skip


def _blq(case: Evidence) -> Iterator[Finding]:
    for output, check in case.checks.items():
        p, rows = check.settings["p"]["blq"], check.blq
        if p < LEVEL:
            more = (rows["observed"] > rows["median"]).mean() > 0.5
            yield Finding(
                "warning", "blq-share", _place(case, output),
                f"the shares of BLQ samples are not those of simulated studies (all together p {p:.2g}), mostly {'more' if more else 'fewer'} "
                f"than predicted; {_outside(rows)}",
            )  # fmt: skip


def _own_blq(case: Evidence) -> Iterator[Finding]:
    """BLQ samples among new samples of the very subjects: of a likelihood that leaves such samples out, the sharpest test."""
    for output in case.outputs:
        made = replicates(case.fit, same_subjects=True, n_draws=REPLICATES, seed=case.seed, output=output)
        rows, limit = made.observations, limit_of(made.observations)
        known = np.isfinite(limit) & (rows["time"].to_numpy(float) > 0)
        value = made.value[np.isfinite(made.value).all(axis=1)][:, known]
        if not known.any() or not len(value):
            continue
        number = time_bins(rows.loc[known, "time"].to_numpy(float), "nominal")
        below = pd.DataFrame((value < limit[known]).T).groupby(number).sum().to_numpy().T
        seen = pd.Series(is_censored(rows[known])).groupby(number).sum().to_numpy()
        p = omnibus_p(seen, below)
        if p < LEVEL:
            yield Finding(
                "warning", "blq-own", _place(case, output),
                f"{int(seen.sum())} samples are BLQ where the fitted curves of the same subjects expect {below.sum(axis=1).mean():.0f} (all time "
                f"bins together p {p:.2g})",
            )  # fmt: skip


def _blq_method(case: Evidence) -> Iterator[Finding]:
    method, first = case.fit.settings["blq"], measured_output(case.fit)
    rows = case.fit.data.observations
    rows = rows[(rows["assay"] == first.assay) & (rows["status"] != PREDOSE)]
    share = is_censored(rows).mean()
    if method not in CENSORING and share > FEW_BLQ:
        yield Finding(
            "warning", "blq-method", method,
            f"{share:.0%} of the samples are BLQ and are {'left out' if method in ('M1', 'M2') else 'replaced by a number'} ({method}); declines "
            "and persistence are biased by that: use M3",
        )  # fmt: skip


def _outside(rows: pd.DataFrame) -> str:
    """How many are outside their bands, and when."""
    outside = rows[(rows["observed"] < rows["lower"]) | (rows["observed"] > rows["upper"])]
    days = [f"{day:g}" for day in sorted(outside["time"].unique())]
    when = (
        f", on day {', '.join(days[:MOST_NAMED])}{' and others' if len(days) > MOST_NAMED else ''}"
        if days
        else ""
    )
    return f"{len(outside)} of {len(rows)} are outside their 90 % bands{when}"


def _prediction_errors(case: Evidence) -> Iterator[Finding]:
    for output, errors in case.errors.items():
        if errors.tests.loc["all", "p"] < LEVEL:
            yield Finding("warning", "prediction-errors", _place(case, output), errors.statement)


def _outlying_samples(case: Evidence) -> Iterator[Finding]:
    for output, table in case.residuals.items():
        far = table[table["z"].abs() > FAR_SAMPLE].sort_values("z", key=np.abs, ascending=False)
        if len(far):
            named = [
                f"subject {row.subject} day {row.time:g} ({row.z:+.1f} SD)"
                for row in far.head(MOST_NAMED).itertuples()
            ]
            more = f" and {len(far) - MOST_NAMED} more" if len(far) > MOST_NAMED else ""
            yield Finding(
                "warning", "outlying-samples", _place(case, output),
                f"{len(far)} of {len(table)} quantified samples lie more than {FAR_SAMPLE:g} SD from their subject's curve: "
                f"{', '.join(named)}{more}; look at the samples, or let errors be Student-t",
            )  # fmt: skip


def _tails(case: Evidence) -> Iterator[Finding]:
    for output, table in case.residuals.items():
        z = table["z"].to_numpy(float)
        if len(z) < FEWEST:
            continue
        found = stats.kurtosistest(z)
        if found.statistic > 0 and found.pvalue < STRICT:
            yield Finding(
                "warning", "heavy-tails", _place(case, output),
                f"residuals have an excess kurtosis of {stats.kurtosis(z):.1f} (p {found.pvalue:.1g}): errors of another shape or of "
                "different sizes, or samples that do not belong",
            )  # fmt: skip


def _neighbours(case: Evidence) -> Iterator[Finding]:
    for output, table in case.residuals.items():
        ordered = table.sort_values(["subject", "time"], kind="stable")
        before = ordered.groupby("subject")["z"].shift(1)
        known = before.notna()
        if known.sum() < FEWEST:
            continue
        r, p = stats.pearsonr(
            before[known].clip(-3, 3), ordered.loc[known, "z"].clip(-3, 3), alternative="greater"
        )
        if p < STRICT:
            yield Finding(
                "warning", "neighbours", _place(case, output),
                f"residuals of samples that follow each other are alike (correlation {r:.2f}, p {p:.1g}): the curves have another shape "
                "than the samples",
            )  # fmt: skip


def _outlying_subjects(case: Evidence) -> Iterator[Finding]:
    posterior = case.fit.tree["posterior"].to_dataset()
    for name, eta in effect_draws(case.fit).items():
        omega = float(posterior[f"{name}_omega"].median())
        z = pd.Series(eta.mean(axis=0) / omega, index=case.fit.data.subject_ids)
        far = z[z.abs() > FAR_SUBJECT].sort_values(key=np.abs, ascending=False)
        if len(far):
            named = ", ".join(
                f"{subject} ({value:+.1f} ω)" for subject, value in far.head(MOST_NAMED).items()
            )
            yield Finding(
                "warning", "outlying-subjects", name,
                f"{name} of {len(far)} subjects lies more than {FAR_SUBJECT:g} ω from the typical one: {named}",
            )  # fmt: skip


def _covariate_left(case: Evidence) -> Iterator[Finding]:
    if not case.fit.settings.get("random"):
        return
    table, known = effect_trends(case.fit), known_later(case.fit.data)
    for row in table[table["p"] * len(table) < LEVEL].sort_values("p").itertuples():
        later = row.covariate in known
        what = (
            "its name is that of an outcome, and what came after the infusion is a consequence, no covariate"
            if later
            else ("a covariate, if it was known before the infusion; a consequence, if it is an outcome")
        )
        yield Finding(
            "note" if later else "warning", "covariate-left", str(row.parameter),
            f"the random effects of {row.parameter} still follow {row.covariate} (strength {row.strength:.2f}, n {row.n}, p {row.p:.1g} among "
            f"{len(table)} pairs): {what}",
        )  # fmt: skip


def _influence(case: Evidence) -> Iterator[Finding]:
    table = loo(case.fit, seed=case.seed)
    bad = table[table["k"] > GOOD_K]
    if len(bad):
        named = ", ".join(map(str, bad.sort_values("k", ascending=False).index[:MOST_NAMED]))
        yield Finding(
            "warning" if len(bad) > 0.1 * len(table) else "note", "influential-subjects", f"{len(bad)} subjects",
            f"leaving out one of {len(bad)} subjects moves the posterior by more than weights can follow (Pareto k above {GOOD_K}): {named}",
        )  # fmt: skip


def _pull(case: Evidence) -> Iterator[Finding]:
    table = prior_sensitivity(case.fit, seed=case.seed)
    for row in table[table["words"].str.endswith(PULLED)].itertuples():
        yield Finding(
            "warning", "prior-pull", str(row.Index),
            f"{row.Index} moves with the priors (sensitivity {row.prior:.2f}, most with that of {row.strongest_prior}) and with the data ({row.likelihood:.2f})",
        )  # fmt: skip


RULES = (
    _percentiles, _blq, _own_blq, _blq_method, _prediction_errors, _outlying_samples, _tails, _neighbours, _outlying_subjects, _covariate_left,
)  # fmt: skip
THOROUGH = (_influence, _pull)
