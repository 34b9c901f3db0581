"""What is measured, how, and in which form it is stored: one JSON record per run.

The form of a record
--------------------
``save_record`` writes ``results/<peer>-<problem>-n<N>-seed<seed>-<label>.json``. Every engine, ours too,
writes the same fields (a field that was not measured is left out or null):

===================== =====================================================================================
peer                  "stan", "nutpie", …; our own engines start with "carkinetics"
kind                  "sampling" or "gradient"
problem, n_subjects,  the data, as `problems` makes them
seed
label                 short name of the variant, such as "111100"
settings              mapping: chains, warm-up, draws, mask, tolerance, …
versions              package → version, with python
date, load_before     ISO time; load average (1 minute) before the run
status                "finished", "stopped at the time limit: …" or "failed: …"
compile_seconds       wall time of building and compiling, before the clock below starts
cpu_seconds           CPU of the process, its threads and all its children, without compilation
wall_seconds          wall time of the same part
peak_memory_mb        largest memory (proportional set size) of the process and its children
===================== =====================================================================================

sampling: ``min_ess_bulk``, ``min_ess_tail``, ``max_rhat`` over the population parameters (all from
`summarise`), ``worst`` (the parameter with the lowest bulk ESS), ``divergences``, ``gradients`` (leapfrog
steps, where the engine tells), ``ess_per_cpu_second`` (smaller of bulk and tail),
``bulk_ess_per_cpu_second`` (the number of engine comparisons that know bulk ESS only),
``chain_log_density`` (mean per chain: one low chain is a trapped chain) and ``parameters``: name → mean,
sd, mcse, ess_bulk, ess_tail, rhat.

gradient: ``milliseconds`` (median wall), ``milliseconds_min``, ``cpu_milliseconds`` (mean CPU of all
threads), ``evaluations``, ``relative_error`` of the gradient where a reference exists.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from arviz_stats.base import array_stats
from problems import Problem

RESULTS = Path(__file__).parent / "results"
_PROC = Path("/proc")


def say(text: str) -> None:
    """One line of progress, at once.

    Parameters
    ----------
    text : str
        The line.
    """
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def process_tree() -> dict[int, float]:
    """CPU seconds of this process and of its living descendants, by process id.

    Returns
    -------
    dict of int to float
        User and system time, with that of children that have ended.
    """
    parent, cpu = {}, {}
    for folder in _PROC.glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:  # ended in between
            continue
        pid = int(folder.name)
        parent[pid], cpu[pid] = int(fields[1]), sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    family = {os.getpid()}
    while more := {pid for pid, of in parent.items() if of in family} - family:
        family |= more
    return {pid: cpu[pid] for pid in family}


def memory_mb() -> float:
    """Memory of this process and its living descendants; shared pages are counted once.

    Returns
    -------
    float
        Sum of the proportional set sizes in MB.
    """
    total = 0
    for pid in process_tree():
        try:
            lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


class Meter:
    """Measures a block: CPU of the process tree, wall time and peak memory.

    Children are counted while they live and once they were waited for, so a pool of workers that is
    still open at the end of the block is in the sum.
    """

    def __init__(self, memory_every: float = 2.0):
        self.load_before = os.getloadavg()[0]
        self.cpu_seconds = self.wall_seconds = self.peak_memory_mb = 0.0
        self._every, self._done = memory_every, threading.Event()

    def __enter__(self) -> Self:
        self._watch = threading.Thread(target=self._watch_memory, daemon=True)
        self._watch.start()
        self.restart()
        return self

    def restart(self) -> None:
        """Set the clocks to zero: what came before was compilation."""
        self._cpu, self._wall = sum(process_tree().values()), time.perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ):
        self.stop()

    def stop(self) -> None:
        """Read the clocks and the memory; the second time it does nothing."""
        if self._done.is_set():
            return
        self.wall_seconds = time.perf_counter() - self._wall
        self.cpu_seconds = sum(process_tree().values()) - self._cpu
        self._done.set()
        self._watch.join()
        self.peak_memory_mb = max(self.peak_memory_mb, memory_mb())

    def _watch_memory(self) -> None:
        while not self._done.wait(self._every):
            self.peak_memory_mb = max(self.peak_memory_mb, memory_mb())

    def fields(self) -> dict[str, float]:
        """The measured numbers as fields of a record."""
        return {
            "load_before": round(self.load_before, 2),
            "cpu_seconds": round(self.cpu_seconds, 3),
            "wall_seconds": round(self.wall_seconds, 3),
            "peak_memory_mb": round(self.peak_memory_mb),
        }


def summarise(draws: np.ndarray, names: Sequence[str], cpu_seconds: float) -> dict[str, Any]:
    """ESS, R-hat and moments of the population parameters, as fields of a record.

    Parameters
    ----------
    draws : ndarray, shape (n_chains, n_draws, n_parameters)
        Posterior draws in the order of ``names``; omegas and sigmas as standard deviations.
    names : sequence of str
        From `shapes.population_names`.
    cpu_seconds : float
        CPU of warm-up and draws.

    Returns
    -------
    dict
        ESS and R-hat are ArviZ's rank-normalised ones; tail is the smaller of the 5 % and 95 % quantile.
    """
    table = {name: _one_parameter(draws[:, :, k]) for k, name in enumerate(names)}
    bulk = min(row["ess_bulk"] for row in table.values())
    tail = min(row["ess_tail"] for row in table.values())
    return {
        "min_ess_bulk": round(bulk, 1),
        "min_ess_tail": round(tail, 1),
        "max_rhat": max(row["rhat"] for row in table.values()),
        "worst": min(table, key=lambda name: table[name]["ess_bulk"]),
        "ess_per_cpu_second": round(min(bulk, tail) / cpu_seconds, 3),
        "bulk_ess_per_cpu_second": round(bulk / cpu_seconds, 3),
        "parameters": table,
    }


def _one_parameter(chains: np.ndarray) -> dict[str, float]:
    axes = {"chain_axis": 0, "draw_axis": 1}
    return {
        "mean": round(float(chains.mean()), 5),
        "sd": round(float(chains.std(ddof=1)), 5),
        "mcse": round(float(array_stats.mcse(chains, method="mean", **axes)), 6),
        "ess_bulk": round(float(array_stats.ess(chains, method="bulk", **axes)), 1),
        "ess_tail": round(float(array_stats.ess(chains, method="tail", prob=(0.05, 0.95), **axes)), 1),
        "rhat": round(float(array_stats.rhat(chains, **axes)), 5),
    }


def time_gradient(call: Callable[[], Any], repeats: int) -> dict[str, float]:
    """Cost of one call that was compiled before, as fields of a record.

    Parameters
    ----------
    call : callable
        Computes value and gradient and waits for them.
    repeats : int
        Number of calls.

    Returns
    -------
    dict
        The fields of kind "gradient".
    """
    walls, cpu = [], time.process_time()
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        walls.append(1e3 * (time.perf_counter() - start))
    return {
        "milliseconds": round(float(np.median(walls)), 4),
        "milliseconds_min": round(min(walls), 4),
        "cpu_milliseconds": round(1e3 * (time.process_time() - cpu) / repeats, 4),
        "evaluations": repeats,
    }


def save_record(
    peer: str, kind: str, problem: Problem, label: str, packages: Sequence[str], **fields: Any
) -> Path:
    """Write one record into the results folder.

    Parameters
    ----------
    peer, kind, label : str
        As in the table above.
    problem : Problem
        The data.
    packages : sequence of str
        Distributions whose versions matter.
    **fields
        The rest of the record.

    Returns
    -------
    pathlib.Path
        The file; a run with the same names replaces the former one.
    """
    record = {
        "peer": peer,
        "kind": kind,
        "problem": problem.name,
        "n_subjects": problem.n_subjects,
        "seed": problem.seed,
        "label": label,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {name: version(name) for name in packages} | {"python": platform.python_version()},
        "status": "finished",
        **fields,
    }
    RESULTS.mkdir(exist_ok=True)
    parts = (peer, problem.name.lower(), f"n{problem.n_subjects}", f"seed{problem.seed}", label)
    path = RESULTS / f"{'-'.join(part.replace(' ', '_') for part in parts if part)}.json"
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    say(json.dumps({key: value for key, value in record.items() if key != "parameters"}))
    return path


def load_records() -> list[dict[str, Any]]:
    """All stored records.

    Returns
    -------
    list of dict
        Sorted by file name.
    """
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))]
