"""Where every observation lies in its predictive distribution: PIT, and LOO-PIT with its subject left out.

Conventions
-----------
The predictive distribution is that of a new subject with this one's covariates and sampling times. For LOO-PIT the posterior
is that without the subject: draws of the population are weighted by the inverse of the subject's likelihood, averaged over
its random effects, with the tail of the weights smoothed (PSIS). Pareto's k above 0.7 says that a subject's weights are not to
be trusted. Of a BLQ value only an upper bound of its place is known: it is drawn uniformly below it, likewise above an upper
limit of quantification.

Samples of a subject lie together, high or low, so that the band of independent uniform numbers would be too narrow.
The band here is that of replicated studies, ranked among each other: simultaneous, by the extreme ranks of whole curves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import rankdata
from scipy.stats import t as student_t

from carkinetics.dataset.table import is_above, is_censored
from carkinetics.diagnostics.marginal import marginal_log_likelihood
from carkinetics.diagnostics.replicate import ceiling_of, limit_of, measured_level
from carkinetics.diagnostics.unconverged import RestsOnFit, convergence_of
from carkinetics.errors import ConfigError, FitError
from carkinetics.fit.chosen import Draws, stacked_posterior, take_draws
from carkinetics.fit.hierarchical import problem_of
from carkinetics.fit.measured import fitted_rows, measured_output
from carkinetics.fit.pareto import GOOD_K, smooth
from carkinetics.fit.predictive import add_random_effects, subject_levels, typical_parameters
from carkinetics.fit.problem import Measured
from carkinetics.fit.result import Fit
from carkinetics.model.observe import STUDENT_DF, TINY, draw_values, standard_deviation
from carkinetics.model.residual import ResidualError

Floats = NDArray[np.float64]
LEVEL = 0.9  # of the simultaneous band
GRID = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, eq=False)
class LooPit(RestsOnFit):
    """Places of all observations in their predictive distributions.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per fitted observation: ``subject, time, imputed, pit, loo_pit``, between 0 and 1.
    k : pandas.Series
        Pareto's k by subject.
    curve : pandas.DataFrame
        Distribution functions: ``x, pit, loo_pit`` (share of observations up to x), ``lower, upper`` (simultaneous band of
        replicated studies).
    settings : dict
        Draws, those of which a new subject could not be computed, repeats, level of the band, seed, output, and ``converged``: whether the fit did.
    """

    table: pd.DataFrame
    k: pd.Series
    curve: pd.DataFrame
    settings: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<{self._kind}: {len(self.table)} observations of {len(self.k)} subjects, largest k {self.k.max():.2f}>"

    @property
    def statement(self) -> str:
        """Whether the places are as uniform as the model says, in words."""
        c, worst = self.curve, int((self.curve["loo_pit"] - self.curve["x"]).abs().idxmax())
        outside = ((c["loo_pit"] < c["lower"]) | (c["loo_pit"] > c["upper"])).any()
        away = c.loc[worst, "loo_pit"] - c.loc[worst, "x"]
        bad = int((self.k > GOOD_K).sum())
        found = (
            f"LOO-PIT of {len(self.table)} observations {'leaves' if outside else 'stays within'} the simultaneous "
            f"{LEVEL:.0%} band of replicated studies; largest difference from uniform {away:+.2f} at {c.loc[worst, 'x']:.2f}."
        )
        return self._told(
            f"{found} Pareto's k is above {GOOD_K} for {bad} of {len(self.k)} subjects, whose places are not to be trusted."
            if bad
            else found
        )


def loo_pit(
    fit: Fit, *, n_draws: int = 400, n_repeats: int = 5, n_inner: int = 200, seed: int = 1, output: str = ""
) -> LooPit:
    """Place of every observation in what is predicted for its subject from all others.

    Parameters
    ----------
    fit : Fit
        Hierarchical.
    n_draws : int
        Posterior draws of the population; no more than there are.
    n_repeats : int
        New subjects at every draw.
    n_inner : int
        Draws of a subject's random effects for its likelihood, at every draw of the population.
    seed : int
        Seed of all random numbers.
    output : str
        Which output of the model; the CAR-T level if empty. The subject's other data are left out with it.

    Returns
    -------
    LooPit
        Places, Pareto's k by subject, and distribution functions with a band.

    Raises
    ------
    FitError
        If the fit is not hierarchical, or no new subject can be computed.
    ConfigError
        If a number is below 1, or the output does not exist.

    References
    ----------
    .. [1] Gelfand AE, Dey DK, Chang H. In: Bayesian Statistics 4. Oxford, 1992:147-167.
    .. [2] Säilynoja T, Bürkner PC, Vehtari A. Stat Comput 2022;32:32 (difference of distribution functions).
    .. [3] Myllymäki M et al. J R Stat Soc B 2017;79:381-404 (simultaneous bands by extreme ranks).
    """
    if fit.method != "hierarchical":
        raise FitError("loo_pit needs the posterior of a hierarchical fit; use fit_hierarchical")
    if min(n_draws, n_repeats, n_inner) < 1:
        raise ConfigError(
            f"loo_pit: n_draws, n_repeats and n_inner are {n_draws}, {n_repeats} and {n_inner}; expected at least 1"
        )
    one, rows = measured_output(fit, output), fitted_rows(fit, output).reset_index(drop=True)
    draws = take_draws(fit, min(n_draws, stacked_posterior(fit).sizes["sample"]), seed)
    place = {subject: i for i, subject in enumerate(fit.data.subject_ids)}
    index = rows["subject"].map(place).to_numpy(np.intp)
    rng = np.random.default_rng([seed, 4])
    low, high, values = _new_subjects(fit, one, draws, rows, index, n_repeats, rng)
    log_likelihood = marginal_log_likelihood(problem_of(fit), draws, n_inner, seed)
    usable = np.isfinite(low + high).all(axis=1)  # a new subject may have no solution
    if not usable.any():
        raise FitError("loo_pit: no new subject could be computed; the equations give no number for any draw")
    low, high, values = low[usable], high[usable], values[np.isfinite(values).all(axis=1)]
    weights, k = left_out_weights(log_likelihood[usable])
    u = rng.uniform(size=len(rows))

    def places(weight: Any) -> Floats:
        below, up_to = (weight * low).sum(axis=0), (weight * high).sum(axis=0)
        return np.asarray(np.clip(below + u * (up_to - below), 0.0, 1.0))

    table = pd.DataFrame(
        {
            "subject": rows["subject"], "time": rows["time"].astype(float),
            "imputed": is_censored(rows) | is_above(rows),
            "pit": places(1 / len(low)), "loo_pit": places(weights[:, index]),
        }
    )  # fmt: skip
    lower, upper = _band(values, limit_of(rows), ceiling_of(rows, fit.data), rng)
    curve = pd.DataFrame(
        {
            "x": GRID,
            **{name: _ecdf(table[name].to_numpy()) for name in ("pit", "loo_pit")},
            "lower": lower,
            "upper": upper,
        }
    )
    settings = {
        "n_draws": len(low), "n_failed": int((~usable).sum()), "n_repeats": n_repeats, "n_inner": n_inner, "band": f"{LEVEL:.0%} simultaneous",
        "seed": seed, "output": output, "converged": convergence_of(fit),
    }  # fmt: skip
    return LooPit(
        table, pd.Series(k, index=pd.Index(fit.data.subject_ids, name="subject"), name="k"), curve, settings
    )


def _new_subjects(
    fit: Fit,
    one: Measured,
    draws: Draws,
    rows: pd.DataFrame,
    index: NDArray[np.intp],
    n_repeats: int,
    rng: np.random.Generator,
) -> tuple[Floats, Floats, Floats]:
    """Probabilities up to the bounds of every observation at every draw, and measurements of all the new subjects."""
    bounds, centre, time = _bounds(rows, fit), typical_parameters(fit, draws, fit.data), rows["time"]
    names = zip(one.error.parameters, one.sigmas, strict=True)
    sigmas = {own: draws.sigmas[name][:, None] for own, name in names}
    low, high = np.zeros((2, len(draws.share), len(rows)))
    values = []
    for _ in range(n_repeats):
        drawn = add_random_effects(fit.model, draws, centre, rng)
        level = subject_levels(fit.model, fit.data, index, time.to_numpy(float), drawn, one.output)
        low += _cdf(one.error, bounds[0], level, sigmas) / n_repeats
        high += _cdf(one.error, bounds[1], level, sigmas) / n_repeats
        values.append(draw_values(one.error, level, sigmas, rng))
    return low, high, np.concatenate(values)


def left_out_weights(log_likelihood: Floats) -> tuple[Floats, Floats]:
    """Weights that turn draws of a posterior into draws of that without one subject.

    Parameters
    ----------
    log_likelihood : ndarray, shape (n_draws, n_subjects)
        Of every subject at every draw.

    Returns
    -------
    weights : ndarray, shape (n_draws, n_subjects)
        Smoothed; each column sums to 1.
    k : ndarray, shape (n_subjects,)
        Pareto's k.
    """
    # A likelihood of 0 at a draw says that the draw cannot be corrected: it gets no weight.
    log_weight = np.where(np.isfinite(log_likelihood), -log_likelihood, -np.inf)
    each = [smooth(column) for column in log_weight.T]
    return np.column_stack([weight for weight, _ in each]), np.array([k for _, k in each])


def _bounds(rows: pd.DataFrame, fit: Fit) -> tuple[Floats, Floats]:
    """Between which values each observation lies; equal for a quantified one."""
    value, blq, above = measured_level(rows), is_censored(rows), is_above(rows)
    low = np.where(blq, -np.inf, value)
    high = np.where(blq, limit_of(rows), np.where(above, np.inf, value))
    return low, high


def _cdf(error: ResidualError, value: Floats, level: Floats, sigmas: dict[str, Floats]) -> Floats:
    """Probability of a measurement up to a value, given the level."""
    level = np.maximum(level, TINY)
    sd = standard_deviation(error, level, sigmas)
    z = (np.log(np.maximum(value, TINY)) - np.log(level)) / sd if error.log_scale else (value - level) / sd
    z = np.where(np.isneginf(value), -np.inf, z)
    return np.asarray(student_t.cdf(z, STUDENT_DF) if error.student else ndtr(z))


def _ecdf(places: Floats) -> Floats:
    return np.asarray(np.searchsorted(np.sort(places), GRID, side="right") / len(places))


def _band(values: Floats, limit: Floats, ceiling: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Simultaneous band of distribution functions of replicated studies, each ranked among the others."""
    n = len(values)
    rank = (rankdata(values, axis=0) - rng.uniform(size=values.shape)) / n
    known = np.where(np.isnan(limit), -np.inf, limit)
    below, up_to = (values < known).mean(axis=0), (values <= ceiling).mean(axis=0)
    drawn = rng.uniform(size=values.shape)
    rank = np.where(
        values < known, drawn * below, np.where(values > ceiling, up_to + drawn * (1 - up_to), rank)
    )
    curves = np.array([_ecdf(one) for one in rank])
    extreme = np.minimum(
        rankdata(curves, axis=0), rankdata(-curves, axis=0)
    )  # of ties the mean: at 0 and 1 all are equal
    pointwise = np.quantile(extreme.min(axis=1), 1 - LEVEL) / n
    return np.quantile(curves, pointwise, axis=0), np.quantile(curves, 1 - pointwise, axis=0)
