"""Which of several models would have predicted a subject that it had not seen? Leave-one-subject-out, by PSIS.

The likelihood of a subject is averaged over its random effects: a subject that is left out has none. Conditional
likelihoods, one per observation, would ask how well a curve that was bent through a subject's points passes between
them, and their weights rarely have a usable Pareto k. For several models to be compared on one output, the subject's
other data (tumour, lymphocytes) are left out with it, and only the output is predicted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from carkinetics.diagnostics.criteria import monte_carlo_error, psis, waic
from carkinetics.diagnostics.diagnose import diagnose
from carkinetics.diagnostics.marginal import marginal_log_likelihood
from carkinetics.diagnostics.ranking import draws_wanted, rank
from carkinetics.diagnostics.refit import left_out_density
from carkinetics.errors import ConfigError, FitError, did_you_mean
from carkinetics.fit.chosen import take_draws
from carkinetics.fit.hierarchical import problem_of
from carkinetics.fit.pareto import GOOD_K
from carkinetics.fit.population import fit_population
from carkinetics.fit.result import Fit
from carkinetics.model.residual import RESIDUAL_ERRORS

CRITERIA = ("waic", "bic")
WAIC = ("elpd_waic", "p_waic")
FIRST = 400  # draws of a ranking


def loo(
    fit: Fit,
    *,
    output: str = "",
    n_draws: int = 400,
    n_inner: int = 200,
    seed: int = 1,
    refit: bool = False,
    progress: bool = False,
) -> pd.DataFrame:
    """Expected log predictive density of each subject when it is left out.

    Parameters
    ----------
    fit : Fit
        A hierarchical fit.
    output : str
        Whose data are predicted; the CAR-T level if empty.
    n_draws, n_inner : int
        Posterior draws, and draws of every subject's random effects at each of them.
    seed : int
        Of the choice of draws and of the inner ones.
    refit : bool
        Fit again without every subject whose Pareto k is above 0.7, which takes as long as the fit did for each of them, and
        take its density from that fit.
    progress : bool
        Print which subject is left out, to the standard error stream.

    Returns
    -------
    pandas.DataFrame
        Indexed by subject: ``elpd``, ``k`` (Pareto's k of its weights; above 0.7 the weights are unreliable), ``n_obs`` and
        ``how``: ``"psis"``, ``"refit"`` or ``"refit, not converged"``. Subjects without any observation of the output have
        ``elpd`` 0. ``elpd_waic`` and ``p_waic`` (`carkinetics.diagnostics.criteria.waic`) are secondary, and NaN for all
        where subjects have other outputs than the one that is predicted or a draw makes a subject impossible. ``.attrs["mcse"]``:
        Monte-Carlo standard error of the sum of elpd, from the number of draws.

    Raises
    ------
    FitError
        If the fit is not a hierarchical one.
    ConfigError
        If it is no fit, or there is no such output.

    References
    ----------
    Vehtari A, Gelman A, Gabry J. Practical Bayesian model evaluation using leave-one-out cross-validation and WAIC. Stat
    Comput 2017;27:1413-1432. Merkle EC, Furr D, Rabe-Hesketh S. Bayesian comparison of latent variable models. Psychometrika
    2019;84:802-829 (why the likelihood is the marginal one).
    """
    if not isinstance(fit, Fit):
        raise ConfigError(f"loo: expected a Fit, found {type(fit).__name__}; log-likelihoods go to psis_loo")
    if fit.method != "hierarchical":
        raise FitError("loo needs the posterior of a hierarchical fit; use fit_hierarchical")
    wanted = fit.model.output(output).name
    whole = problem_of(fit)
    if wanted not in [one.output for one in whole.measured]:
        raise ConfigError(f"loo: output {wanted!r} was not fitted")
    draws = take_draws(
        fit, min(n_draws, fit.tree["posterior"].to_dataset().sizes["draw"] * fit.settings["chains"]), seed
    )
    left_out = marginal_log_likelihood(whole, draws, n_inner, seed)
    part = whole if len(whole.measured) == 1 else problem_of(fit, wanted)
    predicted = left_out if part is whole else marginal_log_likelihood(part, draws, n_inner, seed)
    count = part.observations.groupby("subject").size().reindex(part.data.subject_ids, fill_value=0)
    rows = [psis(left_out[:, i], predicted[:, i]) for i in range(whole.n_subjects)]
    found = pd.DataFrame(rows, columns=["elpd", "k"], index=pd.Index(whole.data.subject_ids, name="subject"))
    found = found.assign(n_obs=count.to_numpy(), how="psis")
    found["elpd"] = found["elpd"].where(found["n_obs"] > 0, 0.0)
    if refit:
        for subject in found.index[(found["k"] > GOOD_K) & (found["n_obs"] > 0)]:
            density, converged = left_out_density(fit, part, subject, n_draws, n_inner, seed, progress)
            found.loc[subject, "elpd"] = density
            found.loc[subject, "how"] = "refit" if converged else "refit, not converged"
    usual = part is whole and np.isfinite(left_out).all()
    second = waic(left_out).set_axis(found.index) if usual else dict.fromkeys(WAIC, np.nan)
    found = found.assign(**{name: second[name] for name in WAIC})
    psis_rows = (found["how"] == "psis").to_numpy()
    found.attrs["mcse"] = monte_carlo_error(left_out[:, psis_rows], predicted[:, psis_rows])
    return found


def compare(
    fits: Mapping[str, Fit | pd.DataFrame],
    *,
    output: str = "",
    n_draws: int | None = None,
    n_inner: int = 200,
    seed: int = 1,
    refit: bool = False,
    criteria: Iterable[str] = (),
    progress: bool = False,
) -> pd.DataFrame:
    """Rank fits of the same observations by how well they predict a subject that is left out.

    Parameters
    ----------
    fits : mapping of str to Fit or pandas.DataFrame
        Hierarchical fits; the models may differ, the observations of the CAR-T level may not. Or what `loo` or
        `carkinetics.diagnostics.psis_loo` found already, for all: then no other argument counts, and nothing is said of convergence.
    output : str
        Whose data are predicted, by its name in every model; the CAR-T level of each if empty.
    n_draws : int, optional
        As in `loo`. If not given, from 400 on as many as it takes (3200 at most) until the Monte-Carlo error of each difference is
        below a quarter of its standard error, or the difference is settled in spite of it.
    n_inner, seed : int
        As in `loo`.
    refit : bool
        As in `loo`.
    criteria : iterable of str
        Secondary columns: ``"waic"`` for ``elpd_waic`` and ``p_waic``, by subject with the marginal likelihood; ``"bic"`` for
        ``bic``, from `carkinetics.fit_population` with the same settings, no priors, and n the number of subjects; NaN where that fit did not
        converge.
    progress : bool
        As in `loo`.

    Returns
    -------
    pandas.DataFrame
        As `rank` returns it, with ``converged`` behind the verdict (whether the fit did; those that did not come last, have the
        verdict ``"not converged"`` and no weight), and the ``criteria``. ``.attrs["n_draws"]``: how many draws it took.

    Raises
    ------
    ConfigError
        If there are fewer than two fits, they saw different observations or report densities on different scales, or a
        criterion is unknown or not defined for a fit.
    FitError
        If a fit is not a hierarchical one.
    """
    if len(fits) < 2:
        raise ConfigError("compare: give two fits or more, by name")
    tables = {name: one for name, one in fits.items() if isinstance(one, pd.DataFrame)}
    if len(tables) == len(fits):
        return rank(tables)
    if tables:
        raise ConfigError(
            f"compare: {next(iter(tables))} is a table beside fits; expected the one or the other"
        )
    return _compared(
        {name: one for name, one in fits.items() if not isinstance(one, pd.DataFrame)}, list(criteria), output=output,
        n_draws=n_draws, n_inner=n_inner, seed=seed, refit=refit, progress=progress,
    )  # fmt: skip


def _compared(
    fits: Mapping[str, Fit], asked: list[str], *, output: str, n_draws: int | None, **settings: Any
) -> pd.DataFrame:
    for name in asked:
        if name not in CRITERIA:
            raise ConfigError(f"compare: no criterion {name!r}{did_you_mean(name, CRITERIA)}")
    _check_alike(fits, output)
    bic = {name: _bic(fit) for name, fit in fits.items()} if "bic" in asked else {}
    done = {name: bool(diagnose(fit).attrs["converged"]) for name, fit in fits.items()}
    lost = [name for name, converged in done.items() if not converged]
    now = FIRST if n_draws is None else n_draws
    each = _left_out(fits, now, output, **settings)
    found = rank(each, unusable=lost)
    if n_draws is None and (more := draws_wanted(found, now)) > now:
        now = more
        each = _left_out(fits, now, output, **settings)
        found = rank(each, unusable=lost)
    told = found.attrs | {"n_draws": now}
    found.insert(found.columns.get_loc("verdict") + 1, "converged", pd.Series(done))
    if "waic" in asked:
        found = found.assign(**_waic_columns(each))
    if "bic" in asked:
        found = found.assign(bic=pd.Series(bic))
    found.attrs = told
    return found


def _left_out(fits: Mapping[str, Fit], n_draws: int, output: str, **settings: Any) -> dict[str, pd.DataFrame]:
    return {name: loo(fit, output=output, n_draws=n_draws, **settings) for name, fit in fits.items()}


def _waic_columns(each: Mapping[str, pd.DataFrame]) -> dict[str, pd.Series]:
    for name, table in each.items():
        if table["elpd_waic"].isna().any():
            raise ConfigError(
                f"compare: WAIC of {name} is not defined: its subjects have other outputs than the one that is predicted, or "
                "a draw makes a subject impossible; leave criteria='waic' out"
            )
    return {
        column: pd.Series({name: float(table[column].sum()) for name, table in each.items()})
        for column in ("elpd_waic", "p_waic")
    }


def _bic(fit: Fit) -> float:
    """Of the maximum-likelihood fit with the same settings; n is the number of subjects."""
    asked = fit.settings
    found = fit_population(
        fit.model, fit.data, random=asked["random"], covariates=asked["requested_covariates"], blq=asked["blq"],
        correlated=asked["correlated"], error=asked["errors"], assay=asked["assays"],
        mixture=None if asked.get("mixture") else False,
    )  # fmt: skip
    return found.bic if found.converged else np.nan


def _check_alike(fits: Mapping[str, Fit], output: str) -> None:
    (first, one), *others = fits.items()
    for name, fit in fits.items():
        if fit.method != "hierarchical":
            raise FitError(f"compare: {name} is an individual fit; use fit_hierarchical")
    for name, other in others:
        a, b = (_rows(fit, output) for fit in (one, other))
        if len(a) != len(b) or not (a == b).all(axis=None):
            raise ConfigError(
                f"compare: {first} was fitted to {len(a)} observations of this output and {name} to {len(b)}, or to other "
                "values; fit both to the same data"
            )
        errors = [fit.settings["errors"][fit.model.output(output).name] for fit in (one, other)]
        if len({RESIDUAL_ERRORS[error].log_scale for error in errors}) > 1:
            raise ConfigError(
                f"compare: the residual errors of {first} ({errors[0]}) and {name} ({errors[1]}) are on different scales, "
                "so their densities are not comparable; fit both with errors on the log scale, or both without"
            )


def _rows(fit: Fit, output: str) -> pd.DataFrame:
    assay = fit.settings["assays"][fit.model.output(output).name]
    rows = fit.observations[fit.observations["assay"] == assay]
    rows = rows.sort_values(["subject", "time"], kind="stable")[
        ["subject", "time", "value", "lower", "upper"]
    ]
    return rows.reset_index(drop=True).fillna(-1.0)
