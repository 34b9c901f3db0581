"""Tables of what was assumed and of what was estimated.

The parameter table has the field's layout: natural scale, three significant digits, the standard deviation
of the posterior (also on the natural scale, not that of the logarithm), fixed parameters as FIX.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.special import ndtri

from carkinetics.diagnostics import contraction, informing_days
from carkinetics.diagnostics.contraction import estimated_rows
from carkinetics.fit import Fit
from carkinetics.fit.measured import measured_outputs
from carkinetics.fit.stated_prior import stated_priors
from carkinetics.fit.variability import cv_percent, shrinkage_table
from carkinetics.model import Model
from carkinetics.report.blocks import Table
from carkinetics.report.written import MISSING, number, span

COLUMNS = (
    "Parameter (unit)", "Estimate", "Posterior SD", "90 % CrI", "IIV CV % (RSE %)", "Shrinkage %", "R-hat", "ESS",
)  # fmt: skip
NOTE = (
    "Estimate: posterior median; CrI: equal-tailed credible interval; both on the natural scale. "
    "IIV CV % = 100 × √(exp(ω²) − 1) with ω the between-subject SD of the log; for a fraction the SD of its logit "
    "is given instead, and above ω = 1 the factor ×/÷ around the typical value within which 90 % of subjects lie; RSE % = 100 × posterior SD of ω / ω. Shrinkage % = 100 × (1 − SD(η) / ω), η the posterior mean of each subject's random effect. "
    "R-hat: rank-normalised and split; ESS: the smaller of bulk and tail effective sample size. FIX: not estimated. "
    "ω rows are standard deviations, never variances."
)
MEMBERS = " (members: "  # what follows is of one fit, and no part of the name
LARGEST_CV_OMEGA = 1.0
_Row = tuple[str, ...]


def parameter_table(fit: Fit, *, warning: str = "") -> Table:
    """Estimates of a hierarchical fit, in blocks.

    Parameters
    ----------
    fit : Fit
        Hierarchical.
    warning : str
        Stands above the table.

    Returns
    -------
    Table
        Structural, derived, covariate, class, between-subject, correlation and residual rows.
    """
    rows: list[_Row] = []
    for title, block in (
        ("Structural parameters (typical subject)", _structural(fit)),
        ("Derived from them", _derived(fit)),
        ("Covariate effects (on the free scale: log, or logit of a fraction)", _covariates(fit)),
        ("Classes of subjects", _classes(fit)),
        ("Between subjects (ω)", _between(fit)),
        ("Correlations of random effects", _correlations(fit)),
        ("Residual error", _residual(fit)),
    ):
        found = list(block)
        if found:
            rows += [(title,), *found]
    return Table("Population parameters", COLUMNS, tuple(rows), note=NOTE, warning=warning)


def _estimate(label: str, row: pd.Series, cv: str = "", shrunk: str = "") -> _Row:
    return (
        label, number(row["median"]), number(row["sd"]), span(row["lower"], row["upper"]), cv, shrunk,
        _rhat(row["rhat"]), _count(min(row["ess_bulk"], row["ess_tail"])),
    )  # fmt: skip


def _rhat(value: float) -> str:
    return MISSING if np.isnan(value) else f"{value:.3f}"


def _count(value: float) -> str:
    return MISSING if np.isnan(value) else f"{value:.0f}"


def _labelled(name: str, unit: str) -> str:
    return name if unit in ("", "1") else f"{name} ({unit})"


def _structural(fit: Fit) -> Iterator[_Row]:
    population, shrunk = fit.population(), shrinkage_table(fit).set_index("parameter")
    for name, parameter in fit.model.parameters.items():
        label = _labelled(name, parameter.unit)
        if parameter.fixed:
            yield (label, number(parameter.typical), "FIX", "", "", "", "", "")
            continue
        cv = shrinkage = ""
        if name in shrunk.index:
            omega = float(shrunk.at[name, "omega"])
            logs = parameter.transform == "log"
            rse = f" ({100 * population.at[f'{name}_omega', 'sd'] / omega:.0f})" if omega > 0 else ""
            cv = (_spread(omega) if logs else f"{number(omega)}, SD of {parameter.transform}") + rse
            shrinkage = _count(shrunk.at[name, "sd_percent"])
        yield _estimate(label, population.loc[f"{name}_typical"], cv, shrinkage)


def _spread(omega: float) -> str:
    """CV in %, or the factor within which 90 % of subjects lie: at ω = 5 the CV is 3e7 %, set by subjects that do not exist."""
    return (
        number(cv_percent(omega))
        if omega <= LARGEST_CV_OMEGA
        else f"×/÷ {number(np.exp(ndtri(0.95) * omega))}"
    )


def _derived(fit: Fit) -> Iterator[_Row]:
    population, estimated = fit.population(), estimated_rows(fit).index
    for name, quantity in fit.model.quantities.items():
        if f"{name}_typical" not in population.index:
            continue
        label, row = _labelled(quantity.meaning, quantity.unit), population.loc[f"{name}_typical"]
        fixed = f"{name}_typical" not in estimated  # of fixed parameters alone
        yield (label, number(row["median"]), "FIX", "", "", "", "", "") if fixed else _estimate(label, row)


def _covariates(fit: Fit) -> Iterator[_Row]:
    population = fit.population()
    for covariate in fit.settings.get("covariates", []):
        centre = f", centred at {number(covariate['centre'])}" if covariate["centre"] else ""
        yield _estimate(
            f"{covariate['parameter']} on {covariate['text']}{centre}", population.loc[covariate["name"]]
        )


def _classes(fit: Fit) -> Iterator[_Row]:
    mixture, population = fit.mixture, fit.population()
    if mixture is None:
        return
    members = int((fit.classes() > 0.5).sum())
    label = f"share of the class {mixture.name}{MEMBERS}{members} of {len(fit.classes())} subjects probably in it)"
    yield _estimate(label, population.loc[mixture.share_name])
    for name in mixture.shifts:
        unit = fit.model.parameters[name].unit
        yield _estimate(
            _labelled(f"{name} in the class {mixture.name}", unit),
            population.loc[f"{name}_typical_{mixture.name}"],
        )
        yield _estimate(
            f"{name}: shift of the class on the free scale", population.loc[mixture.shift_name(name)]
        )


def _between(fit: Fit) -> Iterator[_Row]:
    population = fit.population()
    for name in fit.settings.get("random", []):
        row = population.loc[f"{name}_omega"]
        yield _estimate(f"ω {name} ({row['unit']})", row)


def _correlations(fit: Fit) -> Iterator[_Row]:
    posterior = fit.tree["posterior"]
    if "effect_correlation" not in posterior:
        return
    draws = posterior["effect_correlation"].stack(sample=("chain", "draw"), create_index=False)
    names = [str(name) for name in posterior["effect"].to_numpy()]
    for i, first in enumerate(names):
        for j in range(i):
            values = draws.isel(effect=i, effect_aux=j).to_numpy()
            low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
            spread = number(values.std(ddof=1))
            yield (f"{first} with {names[j]}", number(middle), spread, span(low, high), "", "", "", "")


def _residual(fit: Fit) -> Iterator[_Row]:
    population = fit.population()
    for one in measured_outputs(fit):
        for name in one.sigmas:
            row = population.loc[name]
            yield _estimate(f"{name} ({row['unit']}; {one.error.name} error)", row)


def prior_table(fit: Fit) -> Table:
    """Every prior, what it says in numbers, and where it comes from.

    Parameters
    ----------
    fit : Fit
        Hierarchical.

    Returns
    -------
    Table
        One row per population quantity that has a prior.
    """
    rows = []
    for one in stated_priors(fit).values():
        low, middle, high = one.quantile([0.05, 0.5, 0.95])
        rows.append((one.quantity, one.text, number(middle), span(low, high), one.source))
    note = (
        "lognormal and logitnormal priors are named by their median and by the SD of the log or logit; an ω has a "
        "half-normal prior named by its scale, so that its median is 0.674 of it; a correlation has the margin of an LKJ matrix."
    )
    columns = ("Quantity", "Prior", "Median", "90 % interval", "Source")
    return Table("What was assumed before the data", columns, tuple(rows), note=note, align="llrrl")


def contraction_table(fit: Fit, *, warning: str = "") -> Table:
    """How much the data narrowed every prior, in words.

    Parameters
    ----------
    fit : Fit
        Hierarchical.
    warning : str
        Stands above the table.

    Returns
    -------
    Table
        One row per population quantity.
    """
    learnt = contraction(fit)
    own, days = stated_priors(fit), informing_days(fit)
    rows = tuple(
        (
            str(row.Index),
            number(row.prior_sd),
            number(row.posterior_sd),
            f"{row.contraction:.2f}",
            str(row.words),
            *_shown_on(days, str(row.Index).removesuffix("_typical")),
        )
        for row in learnt.itertuples()
        if row.Index in own
    )
    note = (
        "Contraction = 1 − posterior variance / prior variance, on the log scale for positive quantities and on the "
        "logit scale for fractions. Below 0.1 the data say nothing: the estimate is the prior. Below −0.25 the posterior is wider than the prior: prior and data "
        "contradict each other, or chains did not meet. A parameter shows on the days on which "
        "four fifths of its squared effect on the typical log level lie, within the first year or the follow-up."
    )
    columns = (
        "Quantity",
        "Prior SD",
        "Posterior SD",
        "Contraction",
        "In words",
        "Shows on days",
        "Quantified then",
    )
    return Table(
        "How much the data narrowed each prior", columns, rows, note=note, warning=warning, align="lrrrlrr"
    )


def _shown_on(days: pd.DataFrame, parameter: str) -> tuple[str, str]:
    """Days and samples of one parameter; nothing for what is no typical value."""
    if parameter not in days.index or np.isnan(days.loc[parameter, "first"]):
        return MISSING, MISSING
    row = days.loc[parameter]
    return span(row["first"], row["last"]), f"{row['quantified']:.0f} of {row['samples']:.0f}"


def description_table(model: Model) -> Table:
    """Parameters of a model as its file describes them.

    Parameters
    ----------
    model : Model
        The description.

    Returns
    -------
    Table
        Meaning, unit, typical value and source of each parameter.
    """
    rows = tuple(
        (
            name, parameter.meaning, parameter.unit, number(parameter.typical) + (" FIX" if parameter.fixed else ""),
            number(parameter.omega) if parameter.omega is not None else MISSING, parameter.source,
        )
        for name, parameter in model.parameters.items()
    )  # fmt: skip
    columns = ("Parameter", "Meaning", "Unit", "Typical value", "ω (SD)", "Source")
    return Table("Parameters of the model", columns, rows, align="lllrrl")
