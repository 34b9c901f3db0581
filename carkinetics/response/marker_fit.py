"""When and how much does a cytokine rise with the expansion of CAR-T cells: turnover on top of a kinetic fit.

The kinetics stay as they were fitted. At each of a number of draws of the kinetic posterior the curves are taken as
known, the cytokine is fitted to all subjects together, and the draws of all these fits are pooled, so that intervals
carry what is not known of the kinetics. The cytokine does not feed back on them: a joint fit of a composed model lets
daily cytokine samples bend the curves of weekly CAR-T samples, and whatever is wrong in the driver with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from carkinetics.dataset.table import Dataset, is_censored
from carkinetics.diagnostics import loo
from carkinetics.diagnostics.ranking import rank
from carkinetics.errors import ConfigError, DataError, FitError, did_you_mean
from carkinetics.fit import Fit, fit_hierarchical
from carkinetics.fit.pareto import GOOD_K
from carkinetics.model.prior import Prior
from carkinetics.response.marker_draws import KineticDraws, PooledDraws
from carkinetics.response.turnover import loss_rate, turnover_model

DRIVERS = {"level": "{unit}", "expansion": "{unit}/day"}
TOCILIZUMAB = ("block", "drop", "ignore")
UNTIL = {"ess": 100.0, "rhat": 1.05}  # of each of many fits whose draws are pooled


@dataclass(frozen=True, eq=False)
class MarkerModel:
    """A cytokine driven by CAR-T expansion.

    Parameters
    ----------
    table : pandas.DataFrame
        Indexed by parameter: ``value`` (median), ``lower, upper, unit`` and ``missing``, the share of the variance that comes from
        what is not known of the kinetics. ``lag`` and ``fold`` are the medians of the subjects'.
    subjects : pandas.DataFrame
        Indexed by subject: ``n, n_blq, n_above`` (samples; those below the LLOQ and above the ULOQ), and with ``_lower`` and
        ``_upper``: ``car_peak_day`` and ``peak_day`` of the fitted curves, ``lag`` (from the one to the other; negative where the cytokine
        peaks first), ``peak`` and ``fold`` over the level without CAR-T cells.
    curve : pandas.DataFrame
        ``subject, time, marker, marker_lower, marker_upper, car, car_lower, car_upper``.
    observed : pandas.DataFrame
        Samples of the cytokine, as fitted, and of the CAR-T level, of the same subjects.
    draws : pandas.DataFrame
        ``kinetic_draw`` and the population's values at every pooled draw.
    excluded : pandas.DataFrame
        ``subject, reason``.
    fits : tuple of Fit
        The cytokine's fit at each kinetic draw.
    statement : str
        The result in words.
    settings : dict
        Driver, half-life, tocilizumab, draws, and how kinetics and cytokine were put together.
    """

    table: pd.DataFrame
    subjects: pd.DataFrame
    curve: pd.DataFrame
    observed: pd.DataFrame
    draws: pd.DataFrame
    excluded: pd.DataFrame
    fits: tuple[Fit, ...]
    statement: str
    settings: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        lag = self.table.loc["lag"]
        return (
            f"<MarkerModel: {self.settings['assay']} by {self.settings['driver']}, {len(self.subjects)} subjects, "
            f"lag {lag['value']:.2f} days ({lag['lower']:.2f} to {lag['upper']:.2f})>"
        )


def fit_marker(
    fit: Fit,
    data: Dataset,
    assay: str,
    *,
    driver: str = "level",
    half_life: float | Mapping[str, Any] | None = None,
    delay: float | None = None,
    tocilizumab: str = "block",
    priors: Mapping[str, Mapping[str, Any] | float] | None = None,
    error: str = "lognormal",
    blq: str = "M3",
    kinetic_draws: int = 20,
    draws: int = 50,
    method: str = "laplace",
    interval: float = 0.90,
    seed: int = 1,
) -> MarkerModel:
    """Fit the turnover of a cytokine on top of fitted CAR-T kinetics.

    Parameters
    ----------
    fit : Fit
        A hierarchical fit of the CAR-T level.
    data : Dataset
        The cytokine, and events ``tocilizumab``; subjects by the names that they have in the fit. Values below the LLOQ and above the
        ULOQ are censored.
    assay : str
        The cytokine.
    driver : {"level", "expansion"}
        What releases it: the CAR-T level, or how fast the level rises (0 while it falls). The effect saturates in both.
    half_life : float or mapping, optional
        Days: fixed, or a log-normal prior. If not given, the published half-life of IL-6 (0.18), IL-10 (0.15) or IFN-gamma (0.46), fixed:
        daily samples do not tell it.
    delay : float, optional
        Days by which release follows the driver, negative if it is ahead. If not given, it is estimated, different in every subject,
        with the prior Normal(0, 3).
    tocilizumab : {"block", "drop", "ignore"}
        ``"block"`` estimates the share of the loss that it stops from the first dose on (levels of IL-6 rise after it); ``"drop"`` leaves
        samples after it out; ``"ignore"`` treats them as any others.
    priors : mapping, optional
        Priors of ``base`` (level without CAR-T cells), ``rise`` (largest, in multiples of it) and ``half`` (driver at half of it), or numbers that
        fix them. If not given: log-normal around the median first sample (BLQ as half of its limit), 20, and the median of the subjects' largest drivers, with
        sigma 1.5, 2 and 1.5.
    error, blq : str
        Residual error and BLQ method, as in `carkinetics.fit_hierarchical`.
    kinetic_draws, draws : int
        Draws of the kinetics, and of the cytokine's posterior at each of them.
    method : {"laplace", "mcmc"}
        How the cytokine's posterior is drawn from: by a Gaussian with importance weights, in a second for each kinetic draw, or by
        `carkinetics.fit_hierarchical`'s samplers.
    interval : float
        Probability of the equal-tailed intervals.
    seed : int
        Of everything random.

    Returns
    -------
    MarkerModel
        Parameters, lags, curves and a sentence.

    Raises
    ------
    ConfigError
        If a setting makes no sense.
    DataError
        If the cytokine was not measured in subjects of the fit.
    FitError
        If the fit is not a hierarchical one, or its curves cannot be computed.

    Notes
    -----
    ``rise`` and ``half`` are told apart only where some subjects expand far above ``half``; ``fold`` and ``lag`` do not need that.
    What is not known of a subject's kinetics counts as a difference in its ``delay``, so ``delay_omega`` is larger than the truth
    where CAR-T samples are sparse. Subjects are taken as alike in all but ``base``, ``rise`` and ``delay``.

    References
    ----------
    .. [1] Hardiansyah D, Ng CM. Clin Transl Sci 2019;12:343-349 (turnover and half-lives).
    .. [2] Plummer M. Stat Comput 2015;25:37-43 (fits on top of others, without feedback).
    """
    _refuse(fit, driver, tocilizumab, method, kinetic_draws, draws, interval)
    chosen, excluded = _usable(fit, data, assay, tocilizumab)
    kinetics = KineticDraws.of(fit, chosen, driver, kinetic_draws, seed)
    unit, car_unit = chosen.unit(assay), fit.model.output().unit
    given = _priors(chosen, kinetics, loss_rate(assay, half_life), delay, priors or {})
    block = tocilizumab == "block" and bool((chosen.events["event"] == "tocilizumab").any())
    model = turnover_model(unit, DRIVERS[driver].format(unit=car_unit), given, block=block, error=error)
    asked: dict[str, Any] = {"method": method, "blq": blq, "assay": assay}
    asked |= {"draws": draws, "chains": 1} if method == "laplace" else {"until": UNTIL}
    half = given["half"]
    fits = tuple(
        fit_hierarchical(model, one, seed=seed + k, **asked)
        for k, one in enumerate(kinetics.datasets(chosen, half.centre if isinstance(half, Prior) else half))
    )
    found = PooledDraws(fits, kinetics, draws, seed, interval)
    settings = {
        "assay": assay, "car_assay": fit.settings["assay"], "unit": unit, "car_unit": car_unit, "driver": driver, "half_life": half_life or "published, fixed",
        "delay": "estimated" if delay is None else delay, "tocilizumab": tocilizumab if block or tocilizumab == "drop" else "no effect",
        "joined": f"on top of the kinetic fit: its curves as known at each of {len(fits)} posterior draws, pooled; no feedback of the "
        "cytokine on the kinetics",
        "kinetic_model": fit.model.name, "kinetic_draws": len(fits), "draws": draws, "method": method, "seed": seed, "error": error, "blq": blq,
        "pareto_k": [one.settings.get("pareto_k", np.nan) for one in fits], "poor": sum(_is_poor(one) for one in fits), "interval": f"{100 * interval:g}% equal-tailed",
    }  # fmt: skip
    table, subjects = found.table(model), found.subjects(chosen)
    levels = fit.observations[
        (fit.observations["assay"] == fit.settings["assay"])
        & fit.observations["subject"].isin(subjects.index)
    ]
    observed = pd.concat([chosen.observations, levels], ignore_index=True)
    return MarkerModel(
        table, subjects, found.curve(), observed, found.population, excluded, fits,
        _statement(table, subjects, settings, interval), settings,
    )  # fmt: skip


def compare_markers(
    results: Mapping[str, MarkerModel], *, kinetic_draws: int = 5, n_draws: int = 50, seed: int = 1
) -> pd.DataFrame:
    """Rank drivers by how well they predict the cytokine of a subject that is left out.

    Parameters
    ----------
    results : mapping of str to MarkerModel
        Fits of the same samples on top of the same kinetic fit with the same seed, by name.
    kinetic_draws : int
        Draws of the kinetics at which subjects are left out, no more than there are.
    n_draws : int
        Draws of the cytokine's posterior at each of them, no more than there are.
    seed : int
        Of the choice of draws.

    Returns
    -------
    pandas.DataFrame
        As `carkinetics.compare` returns it; each subject's density is averaged over the kinetic draws.

    Raises
    ------
    ConfigError
        If there are fewer than two, or they are of other samples or kinetics.

    Notes
    -----
    The kinetics of the subject that is left out are still known: the question is what releases the cytokine, given the cells.
    """
    if len(results) < 2:
        raise ConfigError("compare_markers: give two results or more, by name")
    (first, one), *others = results.items()
    same = ("assay", "kinetic_model", "kinetic_draws", "seed", "error", "blq")
    for name, other in others:
        differs = [key for key in same if one.settings[key] != other.settings[key]]
        if differs or not one.observed.equals(other.observed):
            raise ConfigError(
                f"compare_markers: {first} and {name} differ in {differs[0] if differs else 'their samples'}; fit both alike but for the driver"
            )
    return rank({name: _left_out(result, kinetic_draws, n_draws, seed) for name, result in results.items()})


def _left_out(result: MarkerModel, kinetic_draws: int, n_draws: int, seed: int) -> pd.DataFrame:
    """Density of each subject that is left out, averaged over draws of the kinetics."""
    each = [loo(one, n_draws=n_draws, n_inner=100, seed=seed) for one in result.fits[:kinetic_draws]]
    elpd = np.logaddexp.reduce([table["elpd"] for table in each]) - np.log(len(each))
    return each[0].assign(elpd=elpd, k=np.max([table["k"] for table in each], axis=0))


def _refuse(
    fit: Fit, driver: str, tocilizumab: str, method: str, kinetic_draws: int, draws: int, interval: float
) -> None:
    if fit.method != "hierarchical":
        raise FitError("fit_marker needs the posterior of a hierarchical kinetic fit; use fit_hierarchical")
    for name, value, known in (
        ("driver", driver, DRIVERS), ("tocilizumab", tocilizumab, TOCILIZUMAB), ("method", method, ("laplace", "mcmc")),
    ):  # fmt: skip
        if value not in known:
            raise ConfigError(f"{name} is {value!r}{did_you_mean(value, known)}")
    if kinetic_draws < 2 or draws < 10 or not 0 < interval < 1:
        raise ConfigError(
            f"kinetic_draws, draws and interval are {kinetic_draws}, {draws} and {interval}; expected at least 2, at least 10, and a number "
            "between 0 and 1"
        )


def _usable(fit: Fit, data: Dataset, assay: str, tocilizumab: str) -> tuple[Dataset, pd.DataFrame]:
    """The cytokine of the subjects that have it and a curve; who is left out, and why."""
    if assay in fit.settings.get("assays", {}).values():
        raise ConfigError(
            f"assay {assay!r} was part of the fit, so its posterior knows it already; fit the CAR-T level alone first"
        )
    rows = data.select(assay=assay).observations
    measured = set(rows["subject"])
    reasons = {s: f"no sample of {assay}" for s in fit.data.subject_ids if s not in measured}
    reasons |= dict.fromkeys(measured - set(fit.data.subject_ids), "not in the kinetic fit")
    keep = [s for s in fit.data.subject_ids if s in measured]
    if len(keep) < 2:
        raise DataError(
            f"{assay} was measured in {len(keep)} of the {len(fit.data.subject_ids)} subjects of the fit; expected at least 2. Are subjects "
            "named the same in both?"
        )
    chosen = data.select(assay=assay, subjects=keep)
    rows = chosen.observations
    # Before the infusion and on day 0 the level is the base alike; a likelihood has no days before 0.
    rows = rows.assign(time=rows["time"].clip(lower=0.0))
    if tocilizumab == "drop":
        given = chosen.events[chosen.events["event"] == "tocilizumab"].groupby("subject")["time"].min()
        rows = rows[rows["time"] <= rows["subject"].map(given).fillna(np.inf)].reset_index(drop=True)
    order = fit.data.subjects[["subject"]]
    subjects = order[order["subject"].isin(keep)].reset_index(drop=True)
    excluded = pd.DataFrame(sorted(reasons.items()), columns=["subject", "reason"])
    return replace(chosen, observations=rows, subjects=subjects), excluded


def _priors(
    data: Dataset, kinetics: KineticDraws, kout: Prior | float, delay: float | None, given: Mapping[str, Any]
) -> dict[str, Prior | float]:
    first = data.observations.sort_values("time", kind="stable").groupby("subject").first()
    start = np.where(is_censored(first), first["upper"] / 2, first["lower"])  # above the ULOQ: the ULOQ
    found: dict[str, Prior | float] = {
        "base": Prior("lognormal", float(np.median(start[start > 0])), 1.5),
        "rise": Prior("lognormal", 20.0, 2.0),
        "half": Prior("lognormal", float(np.median(kinetics.driver.max(axis=2))), 1.5),
        "kout": kout,
        "delay": Prior("normal", 0.0, 3.0) if delay is None else float(delay),
    }
    for name, value in given.items():
        if name not in ("base", "rise", "half"):
            raise ConfigError(f"priors: {name!r}{did_you_mean(name, ('base', 'rise', 'half'))}")
        if not isinstance(value, Mapping):
            found[name] = float(value)
            continue
        prior = Prior.of(value, f"priors: {name}")
        if prior.dist != "lognormal":
            raise ConfigError(
                f"priors: {name} is above 0 and needs a lognormal prior; found a {prior.dist} one"
            )
        found[name] = prior
    return found


def _is_poor(fit: Fit) -> bool:
    """Whether draws of an approximation could not be corrected, or a sampler missed its goal."""
    k = fit.settings.get("pareto_k")
    return not fit.settings["reached"] if k is None else k > GOOD_K


def _statement(table: pd.DataFrame, subjects: pd.DataFrame, settings: dict[str, Any], interval: float) -> str:
    def say(name: str, digits: str = ".3g") -> str:
        row = table.loc[name]
        return f"{row['value']:{digits}} ({100 * interval:g}% CrI {row['lower']:{digits}} to {row['upper']:{digits}})"

    lag = table.loc["lag"]
    order = (
        "first"
        if lag["upper"] < 0
        else "after the cells"
        if lag["lower"] > 0
        else "not clearly before or after the cells"
    )
    what = "the CAR-T level" if settings["driver"] == "level" else "the rise of the CAR-T level"
    text = (
        f"{settings['assay']} in {len(subjects)} subjects ({subjects['n'].sum()} samples, {subjects['n_blq'].sum()} below the LLOQ, "
        f"{subjects['n_above'].sum()} above the ULOQ), driven by {what}: it peaks {order}, the median lag to the peak of the CAR-T level "
        f"is {say('lag', '.2g')} days."
    )  # fmt: skip
    if "block" in table.index:
        text += f" Tocilizumab stops the share {say('block', '.2f')} of its loss."
    if "delay" not in table.index:
        text += f" The delay behind the driver is fixed at {settings['delay']:g} days, so the lag is little more than an assumption."
    if settings["poor"]:
        missed = (
            f"the approximation is not near enough (Pareto k above {GOOD_K}): confirm by method='mcmc'"
            if settings["method"] == "laplace"
            else "the sampler did not reach its goal"
        )
        text += f" At {settings['poor']} of {settings['kinetic_draws']} kinetic draws {missed}."
    return text
