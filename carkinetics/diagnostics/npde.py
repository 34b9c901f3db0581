"""Normalised prediction distribution errors: observations in standard normal units of what the model predicts.

Conventions
-----------
The predictive distribution of a subject's samples is that of replicates with new random effects and residuals, drawn
over the posterior. Everything is computed on the scale of the residual error: the log for a log-normal one, where samples
of a subject are nearer to jointly normal than on the natural scale.

A BLQ value is drawn from the simulated ones of its row that lie below the row's LLOQ (a uniform rank below the probability of
being BLQ [2]_), and so is every *simulated* BLQ value: a draw by itself, it has lost what it had to do with the other samples of its
subject, in the data and in the replicates alike. Likewise above an upper limit of quantification.

``npd`` is the normal quantile of an observation's rank among the replicates of its row. For ``npde`` observed and simulated
samples of a subject are first decorrelated, in the order of time: L⁻¹ (y − mean), with mean and covariance LLᵀ of the
replicates [1]_. The decorrelated observation itself is ``pwres``, the population weighted residual.

Decorrelated is not independent where the predictive distribution is not normal; tests allow for it by asking the replicates,
see `carkinetics.diagnostics.npde_tests`.

References
----------
.. [1] Brendel K et al. Pharm Res 2006;23:2036-2049.
.. [2] Nguyen THT, Comets E, Mentré F. J Pharmacokinet Pharmacodyn 2012;39:499-518.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from carkinetics.dataset.table import is_above, is_censored
from carkinetics.diagnostics.npde_tests import DISTRIBUTION, TRENDS, npde_tests
from carkinetics.diagnostics.prediction_errors import Limited, prediction_errors
from carkinetics.diagnostics.replicate import ceiling_of, limit_of, measured_level, replicates
from carkinetics.diagnostics.unconverged import RestsOnFit, convergence_of
from carkinetics.errors import ConfigError, FitError
from carkinetics.fit.measured import fitted_rows, measured_output
from carkinetics.fit.result import Fit
from carkinetics.model.observe import TINY

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Npde(RestsOnFit):
    """Prediction distribution errors of every fitted observation, and their tests.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per observation: ``subject, time, status, imputed, dv`` (imputed for a BLQ row), ``pred, npd, pwres, npde``.
    tests : pandas.DataFrame
        As `carkinetics.diagnostics.npde_tests.npde_tests` returns it; ``p`` of ``all`` is that of all tests together.
    settings : dict
        Number of replicates, those that failed, observations left out, scale, BLQ, seed, output, and ``converged``: whether the fit did.
    """

    table: pd.DataFrame
    tests: pd.DataFrame
    settings: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<{self._kind}: {len(self.table)} observations, combined p = {self.tests.loc['combined', 'p']:.3g}>"

    @property
    def statement(self) -> str:
        """What the tests found, in words."""
        p = self.tests["p"]
        if np.isnan(p["combined"]):
            return self._told(
                f"Too few observations for a test of NPDE: {int(self.table['npde'].notna().sum())}."
            )
        found = [
            _WORDS[name] for group in (DISTRIBUTION, TRENDS) for name in group if p[name] < 0.05 / len(group)
        ]
        many = int(self.table["npde"].notna().sum())
        head = (
            f"NPDE of {many} observations: mean {self.tests.loc['mean', 'estimate']:.2f} (expected 0), variance "
            f"{self.tests.loc['variance', 'estimate']:.2f} (expected 1), combined p = {p['combined']:.2g}."
        )
        if not found:
            return self._told(f"{head} No departure from the model was found.")
        return self._told(f"{head} Departures: {'; '.join(found)}.")


_WORDS = {
    "mean": "levels are predicted too high or too low",
    "variance": "variability is predicted too large or too small",
    "normality": "the distribution has another shape than predicted",
    "trend with time": "errors change with time",
    "trend with PRED": "errors change with the predicted level",
    "spread with time": "variability changes with time otherwise than predicted",
}


def npde(fit: Fit, *, n_sim: int = 1000, seed: int = 1, output: str = "") -> Npde:
    """Compare every observation with its predictive distribution, samples of a subject decorrelated.

    Parameters
    ----------
    fit : Fit
        Hierarchical.
    n_sim : int
        Number of replicates; more than any subject has samples, and better ten times as many.
    seed : int
        Seed of the replicates and of the imputed ranks.
    output : str
        Which output of the model; the CAR-T level if empty.

    Returns
    -------
    Npde
        Errors and tests; see the module for definitions.

    Raises
    ------
    FitError
        If the fit has no posterior, or too few replicates can be computed.
    ConfigError
        If it is no fit, the output does not exist, or there are too few replicates for a covariance.

    References
    ----------
    .. [1] Brendel K et al. Pharm Res 2006;23:2036-2049.
    .. [2] Nguyen THT, Comets E, Mentré F. J Pharmacokinet Pharmacodyn 2012;39:499-518.
    """
    if not isinstance(fit, Fit):
        raise ConfigError(
            f"npde: expected a Fit, found {type(fit).__name__}; arrays go to npde_from_simulations"
        )
    rows = fitted_rows(fit, output).reset_index(drop=True)
    most = int(rows.groupby("subject").size().max()) if len(rows) else 0
    if n_sim <= most:
        raise ConfigError(f"npde: n_sim is {n_sim}; a subject has {most} samples: expected more replicates")
    made = replicates(fit, rows=rows, n_draws=n_sim, seed=seed, output=output)
    error, rng = measured_output(fit, output).error, np.random.default_rng([seed, 3])
    computed = np.isfinite(made.value).all(axis=1)
    if computed.sum() <= most:
        raise FitError(
            f"npde: only {int(computed.sum())} of {n_sim} replicates could be computed; too few for a covariance"
        )

    def scaled(value: Floats) -> Floats:
        return np.log(np.maximum(value, TINY)) if error.log_scale else value

    limit, blq = limit_of(rows), is_censored(rows)
    seen = Limited(
        scaled(np.where(blq, np.nan, measured_level(rows))), blq, is_above(rows),
        np.where(np.isnan(limit), -np.inf, scaled(limit)), scaled(ceiling_of(rows, fit.data)),
    )  # fmt: skip
    found, studies = prediction_errors(seen, scaled(made.value[computed]), rows["subject"].to_numpy(), rng)
    table = pd.DataFrame(
        {
            "subject": rows["subject"], "time": rows["time"].astype(float), "status": rows["status"],
            "imputed": seen.blq | seen.above, "dv": np.exp(found["value"]) if error.log_scale else found["value"],
            "pred": made.typical, **found[["npd", "pwres", "npde"]],
        }
    )  # fmt: skip
    settings = {
        "n_sim": int(computed.sum()), "n_failed": int((~computed).sum()),
        "left_out": {"no variance in the replicates": int(table["npde"].isna().sum())},
        "scale": "log" if error.log_scale else "natural",
        "blq": "drawn from the simulated values below the row's LLOQ, in the data and in every replicate",
        "seed": seed, "output": output, "converged": convergence_of(fit),
    }  # fmt: skip
    return Npde(table, npde_tests(table["npde"], table["time"], table["pred"], studies), settings)


def npde_from_simulations(
    observed: ArrayLike,
    simulated: ArrayLike,
    subject: ArrayLike,
    *,
    time: ArrayLike | None = None,
    pred: ArrayLike | None = None,
    lloq: ArrayLike | None = None,
    blq: ArrayLike | None = None,
    seed: int = 1,
) -> Npde:
    """Prediction distribution errors of any observations and simulations, made elsewhere or by hand.

    Parameters
    ----------
    observed : array_like, shape (n,)
        On the scale on which errors are additive: logs for a log-normal error. NaN is missing, and left out.
    simulated : array_like, shape (n_sim, n)
        Replicates of the same observations, before any censoring; more than any subject has observations.
    subject : array_like, shape (n,)
        Whose each observation is.
    time : array_like, shape (n,), optional
        A subject's observations are decorrelated in this order; in that of the rows if not given, and trends with time are
        not tested.
    pred : array_like, shape (n,), optional
        Predictions. The median of the simulations if not given; then a trend with it is not tested, because ranks among simulations
        go against the noise of their median.
    lloq : array_like, shape () or (n,), optional
        Limit of quantification, on the same scale.
    blq : array_like of bool, shape (n,), optional
        Which observations are BLQ; those below ``lloq`` if not given.
    seed : int
        Of what is imputed, and of ties.

    Returns
    -------
    Npde
        As `npde` returns it; ``dv`` is on the scale that was given.

    Raises
    ------
    ConfigError
        If shapes do not fit together, a simulation is not finite, there are too few, or a BLQ value has no limit.

    References
    ----------
    .. [1] Brendel K et al. Pharm Res 2006;23:2036-2049.
    .. [2] Nguyen THT, Comets E, Mentré F. J Pharmacokinet Pharmacodyn 2012;39:499-518.

    Examples
    --------
    >>> draws = np.random.default_rng(1).normal(size=(2000, 3))
    >>> found = npde_from_simulations([0.0, 1.0, -9.0], draws, ["A", "A", "B"], lloq=[-5, -5, -0.5])
    >>> found.table["pwres"].round(1).tolist()[:2], found.table["imputed"].tolist()
    ([-0.0, 1.0], [False, False, True])
    """
    y, sims, whose = (
        np.asarray(observed, float),
        np.asarray(simulated, float),
        np.asarray(subject, dtype=object),
    )
    if y.ndim != 1 or sims.ndim != 2 or sims.shape[1] != len(y) or whose.shape != y.shape:
        raise ConfigError(
            f"npde_from_simulations: observed, simulated and subject have shapes {y.shape}, {sims.shape} and {whose.shape}; "
            "expected (n,), (n_sim, n) and (n,)"
        )
    most = int(pd.Series(whose).value_counts().max()) if len(y) else 0
    if len(sims) <= max(most, 1) or not np.isfinite(sims).all():
        raise ConfigError(
            f"npde_from_simulations: {len(sims)} simulations, {int((~np.isfinite(sims)).sum())} numbers of them not finite; expected "
            f"finite ones, and more than the {most} observations of a subject"
        )
    floor = np.broadcast_to(np.asarray(-np.inf if lloq is None else lloq, float), y.shape)
    floor = np.where(np.isnan(floor), -np.inf, floor)
    below = y < floor if blq is None else np.broadcast_to(np.asarray(blq, bool), y.shape)
    if np.isneginf(floor[below]).any():
        raise ConfigError("npde_from_simulations: a BLQ observation has no lloq")
    known = {
        name: np.full(y.shape, np.nan) if given is None else np.asarray(given, float)
        for name, given in (("time", time), ("pred", np.median(sims, axis=0) if pred is None else pred))
    }
    order = np.arange(len(y)) if time is None else np.argsort(known["time"], kind="stable")
    none = np.zeros(y.shape, bool)
    seen = Limited(
        np.where(below, np.nan, y)[order], below[order], none, floor[order], np.full(y.shape, np.inf)
    )
    found, studies = prediction_errors(seen, sims[:, order], whose[order], np.random.default_rng([seed, 3]))
    back = np.argsort(order)
    found, studies = found.iloc[back].reset_index(drop=True), studies[:, back]
    table = pd.DataFrame(
        {
            "subject": whose, "time": known["time"], "status": np.where(below, "below_lloq", np.where(np.isnan(y), "missing", "quantified")),
            "imputed": below, "dv": found["value"], "pred": known["pred"], **found[["npd", "pwres", "npde"]],
        }
    )  # fmt: skip
    settings = {
        "n_sim": len(sims), "n_failed": 0, "scale": "as given", "seed": seed, "output": "",
        "left_out": {"missing, or no variance in the simulations": int(table["npde"].isna().sum())},
        "blq": "drawn from the simulated values below the row's LLOQ, in the data and in every replicate",
    }  # fmt: skip
    against = np.full(y.shape, np.nan) if pred is None else known["pred"]
    return Npde(table, npde_tests(table["npde"], known["time"], against, studies), settings)
