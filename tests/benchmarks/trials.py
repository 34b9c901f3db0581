"""How long simulated trials take, beside a plain Python loop over the same rules.

    uv run python tests/benchmarks/trials.py

Writes nothing: the table goes to stdout, and TRIALS.md has one run of it.
"""

import time

import numpy as np
import pandas as pd

import carkinetics as ck
from carkinetics.escalation.characteristics import simulate_counts
from carkinetics.escalation.cohort import Tally
from carkinetics.trial.power import trial_metrics
from carkinetics.trial.simulate import simulate_block

TRUTH = (0.05, 0.12, 0.25, 0.40, 0.55)


def one_by_one(design, trials: int, seed: int) -> np.ndarray:
    """One trial after the other, the rule asked afresh for every cohort: the loop one would write first."""
    rng, selected = np.random.default_rng(seed), np.zeros(trials, dtype=int)
    for trial in range(trials):
        tally = Tally.empty(len(design.doses))
        while (decision := design.rule(tally)).action != "stop":
            dlt = int(rng.binomial(decision.n, TRUTH[decision.level - 1]))
            tally = tally.after(decision.level, decision.n, dlt)
        selected[trial] = decision.mtd_level
    return selected


def timed(work, repeats: int = 3) -> float:
    """Seconds of the fastest of several runs."""
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def counts(name: str, design) -> dict:
    done = timed(lambda: simulate_counts(design, (TRUTH, None), 10_000, 1))
    plain = 5 * timed(lambda: one_by_one(design, 2000, 1), repeats=1)
    return {"what": f"10,000 trials, {name}", "seconds": done, "plain loop": plain, "ratio": plain / done}


def cells(trials: int = 1000) -> dict:
    plan = ck.load_trial("nct05783089")
    done = timed(lambda: ck.simulate_trials(plan, trials, 1), repeats=1)
    few = trials // 50
    plain = 50 * timed(
        lambda: [trial_metrics(simulate_block(plan, 1, np.array([k]))) for k in range(few)], repeats=1
    )
    return {
        "what": f"{trials:,} trials of 87 patients from cells",
        "seconds": done,
        "plain loop": plain,
        "ratio": plain / done,
    }


if __name__ == "__main__":
    rows = [
        counts("3+3 (B), 5 doses", ck.ThreePlusThree(doses=5, variant="B")),
        counts("BOIN, 30 patients", ck.StopAfter(ck.Boin(doses=5, target=0.25), n=30)),
        counts(
            "CRM, 30 patients",
            ck.StopAfter(ck.Crm(5, skeleton=[0.05, 0.12, 0.25, 0.4, 0.55], target=0.25), n=30),
        ),
        cells(),
    ]
    print(pd.DataFrame(rows).round(2).to_string(index=False))
