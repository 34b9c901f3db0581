"""Operating characteristics: what a design does under assumed true DLT probabilities, exactly or by simulation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from carkinetics.errors import ConfigError
from carkinetics.escalation.arguments import number, whole
from carkinetics.escalation.cohort import Tally
from carkinetics.escalation.design import Decision, Design, layers
from carkinetics.escalation.stops import StopAfter
from carkinetics.escalation.tite_trials import tite_trials
from carkinetics.escalation.tree import MOST_COHORTS, Rates, all_ends, endless, true_rates
from carkinetics.workers import in_blocks

# A design without an end of its own is ended here, and the table says so.
DEFAULT_N = 30
# A selected dose is an overdose above this where neither the design nor the caller has a target: 1 in 3, as 3+3 is
# usually read.
DEFAULT_OVERDOSE = 0.33
BLOCK = 1000  # trials of one stream of random numbers, so that results do not depend on the number of workers
PER_DESIGN = (
    "p_overdose", "p_overdose_se", "overdose_above", "expected_n", "expected_n_se", "expected_dlt", "share_at_overdose", "how",
)  # fmt: skip
WORTH_A_POOL = 15.0  # seconds of work left, below which starting other processes does not pay


def operating_characteristics(
    design: Design,
    truth: Sequence[float],
    grade2: Sequence[float] | None = None,
    *,
    exact: bool = True,
    trials: int = 10_000,
    seed: int = 0,
    overdose: float | None = None,
    accrual_days: float | None = None,
    workers: int | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """What a design does where the truth is known.

    Parameters
    ----------
    design : Design
        The rule. One that never ends by itself is stopped after 30 patients; ``StopAfter`` sets another number.
    truth : sequence of float
        DLT probability by dose, not falling.
    grade2 : sequence of float, optional
        Probability of grade 2 in patients without a DLT, by dose, where the design counts grade 2.
    exact : bool
        Enumerate all outcomes; otherwise simulate.
    trials : int
        Trials to simulate.
    seed : int
        Of the simulation; the result does not depend on ``workers``.
    overdose : float, optional
        A dose with a higher DLT probability is an overdose; the design's target, or 0.33, if not given.
    accrual_days : float, optional
        Mean days between patients: simulate in calendar time (`tite_trials`, whose defaults hold for the rest). A design for
        times to an event needs it; ``exact`` does not matter then.
    workers : int, optional
        Processes; by default as many as there are cores where that pays.
    progress : bool
        Show a bar on stderr.

    Returns
    -------
    pandas.DataFrame
        Index ``dose``, 0 for none selected; ``p_select``, the expected ``n`` and ``dlt`` at the dose, and, where simulated,
        their Monte-Carlo standard errors ``*_se``. ``attrs`` has the totals, P(an overdose is selected), the share of
        patients at overdoses, P(the selected dose was given to fewer than three) and how all this was found; in calendar time
        also the mean ``duration`` in days.

    Raises
    ------
    ConfigError
        If a probability, a number of trials or the size of the tree makes no sense.

    Examples
    --------
    >>> from carkinetics.escalation.three_plus_three import ThreePlusThree
    >>> table = operating_characteristics(ThreePlusThree(doses=5, variant="A"), [0.05, 0.1, 0.2, 0.3, 0.5])
    >>> table["p_select"].round(4).tolist()
    [0.0266, 0.0914, 0.257, 0.3161, 0.2558, 0.0531]
    """
    where = "operating_characteristics"
    rates = true_rates(design, truth, grade2)
    limit = overdose_limit(design, overdose, where)
    whole(seed, "seed", where, least=0)
    if workers is not None:
        whole(workers, "workers", where)
    ended = design if design.ends else StopAfter(design, n=DEFAULT_N)
    if accrual_days is None and design.uses_waiting:
        raise ConfigError(
            f"{design.name} decides by how long patients were followed, so that it matters when they come: give accrual_days="
        )
    if exact and accrual_days is None:
        table = _exact(ended, rates)
    else:
        whole(trials, "trials", where, least=2)
        table = (
            _simulated(ended, rates, trials, seed, workers, progress)
            if accrual_days is None
            else _in_time(ended, rates, trials, seed, accrual_days)
        )
    toxic = np.array([0.0, *rates[0]]) > limit
    overdosed = float(table["p_select"][toxic].sum())
    if "trials" in table.attrs:
        table.attrs["p_overdose_se"] = float(np.sqrt(overdosed * (1 - overdosed) / table.attrs["trials"]))
    table.attrs |= {
        "design": design.name,
        "truth": rates[0],
        "stopped_after": None if design.ends else DEFAULT_N,
        "expected_n": float(table["n"].sum()),
        "expected_dlt": float(table["dlt"].sum()),
        "overdose_above": limit,
        "p_overdose": overdosed,
        "share_at_overdose": float(table["n"][toxic].sum() / table["n"].sum()),
    }
    return table


def overdose_limit(design: Design, given: float | None, where: str) -> float:
    """DLT probability above which a dose is an overdose.

    Parameters
    ----------
    design : Design
        With a target, or without.
    given : float or None
        What was asked for; the design's target, or 0.33, if not given.
    where : str
        Whose question it is, for messages.

    Returns
    -------
    float
        A probability.

    Raises
    ------
    ConfigError
        If it is none.
    """
    if given is None:
        return float(getattr(design, "target", DEFAULT_OVERDOSE))
    return number(given, "overdose", where, least=0, most=1)


def _table(design: Design, selected: np.ndarray, n: np.ndarray, dlt: np.ndarray) -> pd.DataFrame:
    index = pd.Index([0, *design.doses], name="dose")
    return pd.DataFrame({"p_select": selected, "n": [0.0, *n], "dlt": [0.0, *dlt]}, index=index)


def _exact(design: Design, rates: Rates) -> pd.DataFrame:
    ends = all_ends(design, rates)
    chance = ends.probability
    level = np.array([decision.mtd_level for decision in ends.decisions])
    n = np.array([tally.n for tally in ends.tallies])
    dlt = np.array([tally.dlt for tally in ends.tallies])
    selected = np.bincount(level, chance, minlength=len(design.doses) + 1)
    table = _table(design, selected, chance @ n, chance @ dlt)
    few = (level > 0) & (n[np.arange(len(n)), level - 1] < 3)
    table.attrs |= {"how": f"exact, {len(chance):,} ends", "p_fewer_than_3": float(chance[few].sum())}
    return table


@dataclass(frozen=True)
class Trials:
    """Simulated trials, one row each.

    Parameters
    ----------
    n, dlt : ndarray, shape (n_trials, n_doses)
        Patients and DLTs.
    selected : ndarray, shape (n_trials,)
        Number of the selected dose; 0 for none.
    """

    n: np.ndarray
    dlt: np.ndarray
    selected: np.ndarray


def _simulated(
    design: Design, rates: Rates, trials: int, seed: int, workers: int | None, progress: bool
) -> pd.DataFrame:
    done = simulate_counts(design, rates, trials, seed, workers=workers, progress=progress)
    return _counted(design, done, f"{trials:,} simulated trials, seed {seed}")


def _in_time(design: Design, rates: Rates, trials: int, seed: int, accrual_days: float) -> pd.DataFrame:
    """Trials whose patients come one after the other, each with a window."""
    inner = layers(design)[-1]
    window = {"window": inner.window} if hasattr(inner, "window") else {}
    done = tite_trials(
        design, rates[0], grade2=rates[1], accrual_days=accrual_days, trials=trials, seed=seed, **window
    )
    how = f"{trials:,} trials simulated in time, a patient every {accrual_days:g} days, seed {seed}"
    table = _counted(design, Trials(done.n, done.dlt, done.selected), how)
    table.attrs["duration"] = float(done.duration.mean())
    return table


def _counted(design: Design, done: Trials, how: str) -> pd.DataFrame:
    """Means over simulated trials, with their Monte-Carlo standard errors."""
    trials, doses = done.n.shape
    selected = np.bincount(done.selected, minlength=doses + 1) / trials
    table = _table(design, selected, done.n.mean(axis=0), done.dlt.mean(axis=0))
    table["p_select_se"] = np.sqrt(selected * (1 - selected) / trials)
    table["n_se"] = [0.0, *(done.n.std(axis=0, ddof=1) / np.sqrt(trials))]
    table["dlt_se"] = [0.0, *(done.dlt.std(axis=0, ddof=1) / np.sqrt(trials))]
    few = (done.selected > 0) & (done.n[np.arange(trials), done.selected - 1] < 3)
    table.attrs |= {
        "how": how,
        "trials": trials,
        "p_fewer_than_3": float(few.mean()),
        "expected_n_se": float(done.n.sum(axis=1).std(ddof=1) / np.sqrt(trials)),
    }
    return table


def simulate_counts(
    design: Design,
    rates: Rates,
    trials: int,
    seed: int,
    *,
    workers: int | None = None,
    progress: bool = False,
) -> Trials:
    """Trials that end, by counts alone.

    Parameters
    ----------
    design : Design
        A rule that ends.
    rates : tuple
        What `true_rates` gives.
    trials : int
        How many.
    seed : int
        Of all of them; a block of trials has a stream of its own.
    workers : int, optional
        Processes; by default as many as there are cores where that pays.
    progress : bool
        Show a bar on stderr.

    Returns
    -------
    Trials
        One row each.
    """
    sizes = [min(BLOCK, trials - start) for start in range(0, trials, BLOCK)]
    blocks = list(zip(sizes, np.random.SeedSequence(seed).spawn(len(sizes)), strict=True))
    known: dict[bytes, tuple[Decision, bool]] = {}
    parts = in_blocks(
        partial(_block, design, rates, known),
        partial(_block, design, rates, None),
        blocks,
        workers=workers,
        worth=WORTH_A_POOL,
        progress=progress,
    )
    return Trials(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("n", "dlt", "selected"))
    )


def _block(
    design: Design,
    rates: Rates,
    known: dict[bytes, tuple[Decision, bool]] | None,
    trials: int,
    stream: np.random.SeedSequence,
) -> Trials:
    """Trials side by side, cohort by cohort; a rule is asked once for all trials with the same counts."""
    known = {} if known is None else known
    rng = np.random.default_rng(stream)
    doses = len(design.doses)
    # Columns: n, DLTs and grade 2 by dose, the dose given last.
    state = np.zeros((trials, 3 * doses + 1), dtype=np.int16)
    selected = np.zeros(trials, dtype=np.int64)
    alive = np.arange(trials)
    p = np.array(rates[0])
    q = None if rates[1] is None else np.array(rates[1])
    for _ in range(MOST_COHORTS):
        if not len(alive):
            break
        level, n, sees, ended = _decide(design, known, state[alive], doses)
        selected[alive[ended]] = level[ended]
        alive, level, n, sees = alive[~ended], level[~ended], n[~ended], sees[~ended]
        at = level - 1
        dlt = rng.binomial(n, p[at])
        state[alive, at] += n
        state[alive, doses + at] += dlt
        if q is not None and sees.any():
            state[alive, 2 * doses + at] += np.where(sees, rng.binomial(n - dlt, q[at]), 0)
        state[alive, -1] = level
    else:
        raise endless(design)
    return Trials(state[:, :doses].astype(int), state[:, doses : 2 * doses].astype(int), selected)


def _decide(
    design: Design, known: dict[bytes, tuple[Decision, bool]], state: np.ndarray, doses: int
) -> tuple[np.ndarray, ...]:
    """Next dose (or the selected one), patients, whether grade 2 matters and whether it is the end, by trial."""
    rows = np.ascontiguousarray(state).view(np.dtype((np.void, state.itemsize * state.shape[1]))).ravel()
    unique, first, which = np.unique(rows, return_index=True, return_inverse=True)
    answers = []
    for key, at in zip(unique.tolist(), first, strict=True):
        if key not in known:
            *counts, current = state[at].tolist()
            n, dlt, grade2 = (tuple(counts[k * doses : (k + 1) * doses]) for k in range(3))
            tally = Tally(n, dlt, grade2, current)
            known[key] = design.rule(tally), design.sees_grade2(tally)
        decision, sees = known[key]
        end = decision.action == "stop"
        answers.append((decision.mtd_level if end else decision.level, decision.n, sees, end))
    return tuple(np.array(column)[which] for column in zip(*answers, strict=True))


def compare_designs(
    designs: Mapping[str, Design],
    truths: Mapping[str, Sequence[float]],
    grade2: Mapping[str, Sequence[float]] | None = None,
    *,
    exact: bool = True,
    trials: int = 10_000,
    seed: int = 0,
    overdose: float | None = None,
    accrual_days: float | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Operating characteristics of several designs under several truths.

    Parameters
    ----------
    designs : mapping of str to Design
        By the name they are to have in the table.
    truths : mapping of str to sequence of float
        DLT probabilities by dose, by scenario.
    grade2 : mapping, optional
        Probability of grade 2 by scenario, where a design counts it.
    exact : bool
        Enumerate all outcomes; otherwise simulate.
    trials : int
        Trials to simulate.
    seed : int
        Of the simulation.
    overdose : float, optional
        A dose with a higher DLT probability is an overdose; each design's target, or 0.33, if not given.
    accrual_days : float, optional
        Mean days between patients: simulate in calendar time, as designs for times to an event need.
    progress : bool
        Show a bar on stderr for every simulation.

    Returns
    -------
    pandas.DataFrame
        A row per scenario, design and dose (0 for none): ``p_select``, ``n``, ``dlt``, ``truth``, and, the same for all doses
        of a design, ``p_overdose``, ``overdose_above``, ``expected_n``, ``expected_dlt``, ``share_at_overdose`` and ``how``;
        where simulated, the Monte-Carlo standard errors ``p_select_se, n_se, dlt_se, p_overdose_se, expected_n_se``.

    Raises
    ------
    ConfigError
        If there is nothing to compare.
    """
    for name, given in (("designs", designs), ("truths", truths)):
        if not isinstance(given, Mapping) or not given:
            raise ConfigError(
                f"compare_designs: {name} is {given!r}; expected at least one, by the name it is to have"
            )
    parts = []
    for scenario, truth in truths.items():
        for name, design in designs.items():
            table = operating_characteristics(
                design,
                truth,
                (grade2 or {}).get(scenario),
                exact=exact,
                trials=trials,
                seed=seed,
                overdose=overdose,
                accrual_days=accrual_days,
                progress=progress,
            )
            part = table.reset_index()
            part.insert(0, "scenario", scenario)
            part.insert(1, "design", name)
            part["truth"] = [np.nan, *truth]
            parts.append(part.assign(**{key: table.attrs[key] for key in PER_DESIGN if key in table.attrs}))
    return pd.concat(parts, ignore_index=True)
