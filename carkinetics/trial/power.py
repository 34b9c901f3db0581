"""What a simulated trial shows: its counts, and what its kinetic analyses would be able to say."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from carkinetics.escalation.arguments import number
from carkinetics.exposure.area import auc
from carkinetics.response.binary import logistic_firth
from carkinetics.response.power import power_model
from carkinetics.trial.escalate import ESCALATION, TITRATION
from carkinetics.trial.outcomes import CR, PR
from carkinetics.trial.plan import TrialPlan
from carkinetics.trial.simulate import Block, patients_at

Floats = NDArray[np.float64]
LEVEL = 0.90  # of the intervals
FEWEST = 5  # subjects, and responders and others, below which no slope is estimated


def dose_truth(plan: TrialPlan, *, n: int = 4000, seed: int = 0) -> pd.DataFrame:
    """True probabilities at every dose, from the plan's own kinetics and links.

    They are those of patients who receive just that dose, whatever share of products the plan lets fall short.

    Parameters
    ----------
    plan : TrialPlan
        Whose.
    n : int
        Virtual patients at every dose, the same ones.
    seed : int
        Of them.

    Returns
    -------
    pandas.DataFrame
        Index ``dose``: ``true_dlt``, ``true_grade2`` (in those without a DLT), ``true_crs2`` (CRS of grade 2 or more),
        ``true_response`` (CR or PR) and the median ``true_cmax``. The Monte-Carlo error of a probability is at most
        0.5 / sqrt(n).
    """
    rows = []
    for level in range(1, len(plan.design.doses) + 1):
        frame, toxicity, courses = patients_at(plan, level, n, seed)
        response = np.isin(courses.best, [CR, PR]).mean() if courses is not None else np.nan
        rows.append(
            {
                "dose": plan.design.doses[level - 1], "true_dlt": toxicity["dlt"].mean(),
                "true_grade2": toxicity["grade2"][~toxicity["dlt"]].mean(), "true_crs2": (toxicity["crs_grade"] >= 2).mean(),
                "true_response": response, "true_cmax": float(np.median(frame["cmax"])),
            }
        )  # fmt: skip
    return pd.DataFrame(rows).set_index("dose")


def dose_counts(block: Block) -> NDArray[np.intp]:
    """Patients and DLTs of the escalation, then of all, summed over trials.

    Parameters
    ----------
    block : Block
        Simulated trials.

    Returns
    -------
    ndarray, shape (n_doses, 4)
        One row per dose.
    """
    level = block.of_treated(block.escalations.level) - 1
    dlt = _dlt(block)
    early = np.isin(block.of_treated(block.escalations.phase), [ESCALATION, TITRATION])
    doses = len(block.plan.design.doses)
    return np.column_stack(
        [np.bincount(level[mask], minlength=doses) for mask in (early, early & dlt, level >= 0, dlt)]
    )


def _dlt(block: Block) -> NDArray[np.bool_]:
    """A DLT that was seen: not one after the patient had left."""
    return block.of_treated(block.escalations.toxicity["dlt"] & block.escalations.evaluable).astype(bool)


def trial_metrics(block: Block) -> pd.DataFrame:
    """One row per trial.

    Parameters
    ----------
    block : Block
        Simulated trials.

    Returns
    -------
    pandas.DataFrame
        ``trial``; ``selected`` dose, 0 for none; ``n``, ``dlt``; ``escalation_days`` to the selection and ``days`` to the
        last infusion; ``responders``; then the kinetic analyses from the samples as an NCA would see them:
        ``quantified`` subjects with a value above the LLOQ, ``cmax_ratio`` (geometric mean of observed over true Cmax),
        ``slope``, ``slope_lower``, ``slope_upper`` of log Cmax on log dose, ``response_slope`` and its limits, of the
        log odds of response on log AUC0-28 (Firth). NaN where a slope cannot be estimated.
    """
    found = block.escalations
    doses = np.array([0.0, *block.plan.design.doses])
    dlt, infused = _dlt(block), block.of_treated(found.infused)
    cmax, area = observed(block)
    responded = None if block.courses is None else np.isin(block.courses.best, [CR, PR])
    groups = block.frame.groupby("trial").indices
    rows = []
    for t, trial in enumerate(block.trials.tolist()):
        own = groups[t]
        dose, true = (block.frame[name].to_numpy(float)[own] for name in ("dose", "cmax"))
        row = {
            "trial": trial, "selected": doses[found.selected[t]], "n": len(own), "dlt": int(dlt[own].sum()),
            "escalation_days": found.ended[t], "days": infused[own].max(),
            "responders": np.nan if responded is None else int(responded[own].sum()),
            "quantified": int(np.isfinite(cmax[own]).sum()),
            "cmax_ratio": float(np.exp(np.nanmean(np.log(cmax[own] / true)))) if np.isfinite(cmax[own]).any() else np.nan,
        }  # fmt: skip
        row |= _dose_slope(dose, cmax[own])
        row |= _response_slope(area[own], None if responded is None else responded[own])
        rows.append(row)
    return pd.DataFrame(rows)


def observed(block: Block) -> tuple[Floats, Floats]:
    """Cmax and AUC0-28 of the samples, one per treated patient; NaN where nothing is above the LLOQ.

    Parameters
    ----------
    block : Block
        Simulated trials.

    Returns
    -------
    cmax, auc_0_28 : ndarray, shape (n_treated,)
        The highest quantified value; the area to day 28, or to the last sample before it, with 0 at the infusion and
        BLQ values as half the LLOQ.
    """
    days, read = block.samples
    lloq = block.plan.qpcr.lloq
    with np.errstate(invalid="ignore"):
        seen = (days > 0) & (read >= lloq)
        value = np.where(read < lloq, lloq / 2, read)
    cmax = np.where(seen, value, -np.inf).max(axis=1)
    cmax = np.where(np.isfinite(cmax), cmax, np.nan)
    area = np.full(len(days), np.nan)
    for i in np.flatnonzero(np.isfinite(cmax)):
        use = (days[i] > 0) & (days[i] <= 28.0 + 3.0)
        time, level = np.append(0.0, days[i][use]), np.append(0.0, value[i][use])
        if len(time) > 2:
            area[i] = auc(time, level, end=min(28.0, time[-1]))
    return cmax, area


def _dose_slope(dose: Floats, cmax: Floats) -> dict[str, float]:
    use = np.isfinite(cmax)
    names = ("slope", "slope_lower", "slope_upper")
    if use.sum() < FEWEST or len(np.unique(dose[use])) < 2:
        return dict.fromkeys(names, np.nan)
    row = power_model(dose[use], cmax[use], level=LEVEL).loc["log(dose)"]
    return dict(zip(names, (row["coef"], row["lower"], row["upper"]), strict=True))


def _response_slope(area: Floats, responded: NDArray[np.bool_] | None) -> dict[str, float]:
    names = ("response_slope", "response_lower", "response_upper")
    use = np.isfinite(area)
    if responded is None or min(responded[use].sum(), (~responded[use]).sum()) < FEWEST:
        return dict.fromkeys(names, np.nan)
    fitted = logistic_firth(np.log(area[use]), responded[use].astype(float))
    b, se = fitted.coefficients[1], np.sqrt(fitted.covariance[1, 1])
    half = stats.norm.ppf((1 + LEVEL) / 2) * se
    return dict(zip(names, (b, b - half, b + half), strict=True))


def power_table(trials: pd.DataFrame, *, narrower: float = 0.5) -> pd.DataFrame:
    """How often the kinetic analyses of simulated trials say something.

    Parameters
    ----------
    trials : pandas.DataFrame
        From `simulate_trials`.
    narrower : float
        Width of the dose slope's 90 % interval that is asked for.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``question``: ``value``, its Monte-Carlo standard error ``se``, and the number of ``trials`` in which the
        question could be asked. A trial without the slope counts as one that did not find it.

    Raises
    ------
    ConfigError
        If the width is not above 0.
    """
    number(narrower, "narrower (a width)", "power_table", above=0)
    n = len(trials)
    width = trials["slope_upper"] - trials["slope_lower"]
    yes = {
        f"dose-exposure slope: 90 % interval narrower than {narrower:g}": width < narrower,
        "dose-exposure slope: 90 % interval above 0": trials["slope_lower"] > 0,
        "exposure-response slope: 90 % interval above 0": trials["response_lower"] > 0,
    }
    asked = {"dose": trials["slope"].notna().sum(), "exposure": trials["response_slope"].notna().sum()}
    rows = [
        (
            question,
            found.mean(),
            np.sqrt(found.mean() * (1 - found.mean()) / n),
            asked[question.split("-")[0]],
        )
        for question, found in yes.items()
    ]
    for question, column in (("width of the dose-exposure slope's 90 % interval, median", width),
                             ("dose-exposure slope, median", trials["slope"]),
                             ("observed Cmax over true Cmax, median", trials["cmax_ratio"])):  # fmt: skip
        known = column.dropna()
        # Of a median: 1.2533 standard errors of the mean, as for a normal sample.
        error = 1.2533 * known.std() / np.sqrt(len(known)) if len(known) > 1 else np.nan
        rows.append((question, known.median(), error, len(known)))
    return pd.DataFrame(rows, columns=["question", "value", "se", "trials"]).set_index("question")
