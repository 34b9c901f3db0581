"""The stored records → the tables of RESULTS.md.

    python table.py

Only the part between the two markers is written; text above and below it is kept. Records of our own
engines (peer "carkinetics…", written by ``ours.py`` in the form that `measure` describes) come first in
every table, in bold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measure import load_records, say

PAGE = Path(__file__).parent / "RESULTS.md"
BEGIN, END = "<!-- tables: begin (written by table.py) -->", "<!-- tables: end -->"
OURS = "carkinetics"
GATE = 1.01  # R-hat below which a run counts

Record = dict[str, Any]
Column = tuple[str, Callable[[Record], str]]

NEW_PAGE = f"""# Benchmarks: our engines beside other people's

Problems, data and priors: `problems.py`. Everything here was run by `peers/run.sh` and `ours.py`.

## Our engine

(`ours.py` writes its records into `results/`; say here what they show.)

{BEGIN}
{END}
"""

METHOD = """## How it was measured

- Every engine reads the same data, priors and likelihood (M3) from `problems.py`; times are in days, parameters on the
  free scale. The data are bit for bit those of the first measurements of this project at the same N and seed.
- CPU-seconds are user and system time of the process, its threads and its children from the first warm-up iteration to
  the last draw, without imports and compilation. Compile seconds are wall time of a first, uncached build.
- ESS and R-hat are ArviZ's (rank-normalised; tail: the smaller of the 5 % and 95 % quantile), the smallest ESS and
  largest R-hat over all population parameters; omegas and sigmas as standard deviations. A run counts only with
  R-hat < 1.01 ("passes"). ESS of one run moves by about 20 % with the sampler's seed.
- Memory is the largest proportional set size of the process tree, looked at every 2 seconds, so a run of a few seconds
  shows little more than its end.
- Two cores that others used at the same time (see the load): wall times move by a factor of 2, CPU times by some
  20-50 %. Compare ratios of CPU-seconds within one table, not numbers across days.
- nutpie and PyMC start where they start by themselves, Stan and numpyro at the prior's centre with a little jitter. A
  chain that settles on a wrong mode shows in the column of log densities by chain, which are comparable within a row only.
- Gradient rows: Stan's is the whole log density with priors, JAX's and diffrax's the log likelihood with respect to the
  8 parameters of each of 30 subjects at the truth, pm.ode's the same for one subject."""


def number(value: float | None, digits: int = 0) -> str:
    """A number for a cell; a dash where there is none."""
    return "–" if value is None else f"{value:,.{digits}f}"


def field(name: str, digits: int = 0) -> Callable[[Record], str]:
    """Column that shows one field of the record."""
    return lambda record: number(record.get(name), digits)


def engine(record: Record) -> str:
    """Peer and variant; ours in bold."""
    name = f"{record['peer']} {record['label']}"
    return f"**{name}**" if record["peer"].startswith(OURS) else name


def length(record: Record) -> str:
    """Chains × (warm-up + draws)."""
    settings = record.get("settings", {})
    if not {"chains", "tune", "draws"} <= settings.keys():
        return "–"
    return f"{settings['chains']} × ({settings['tune']} + {settings['draws']})"


def verdict(record: Record) -> str:
    """Whether the run counts, or why it ended."""
    if record["status"] != "finished":
        return record["status"]
    return "passes" if record["max_rhat"] < GATE else f"R-hat ≥ {GATE}"


def cost_of_gradient(record: Record) -> str:
    """CPU microseconds per leapfrog step, where all steps were counted."""
    if not record.get("gradients"):
        return "–"
    return number(1e6 * record["cpu_seconds"] / record["gradients"])


def densities(record: Record) -> str:
    """Mean log density of each chain."""
    return " ".join(f"{value:.0f}" for value in record.get("chain_log_density", [])) or "–"


SAMPLING: tuple[Column, ...] = (
    ("engine", engine),
    ("chains × (warm-up + draws)", length),
    ("bulk ESS", field("min_ess_bulk")),
    ("tail ESS", field("min_ess_tail")),
    ("R-hat", field("max_rhat", 3)),
    ("divergences", field("divergences")),
    ("CPU s", field("cpu_seconds", 1)),
    ("wall s", field("wall_seconds", 1)),
    ("compile s", field("compile_seconds", 1)),
    ("bulk ESS / CPU s", field("bulk_ess_per_cpu_second", 2)),
    ("ESS / CPU s", field("ess_per_cpu_second", 2)),
    ("µs CPU / gradient", cost_of_gradient),
    ("MB", field("peak_memory_mb")),
    ("load", field("load_before", 1)),
    ("log density by chain", densities),
    ("", verdict),
)
GRADIENT: tuple[Column, ...] = (
    ("engine", engine),
    ("ms", field("milliseconds", 2)),
    ("ms, fastest", field("milliseconds_min", 2)),
    ("CPU ms", field("cpu_milliseconds", 2)),
    (
        "relative error",
        lambda record: "–" if record.get("relative_error") is None else f"{record['relative_error']:.0e}",
    ),
    ("compile s", field("compile_seconds", 1)),
    ("load", field("load_before", 1)),
    ("of", lambda record: record.get("settings", {}).get("of", "–")),
)


def markdown(columns: Sequence[Column], records: Sequence[Record]) -> str:
    """A markdown table, one row per record."""
    lines = [" | ".join(name for name, _ in columns), " | ".join("---" for _ in columns)]
    lines += [" | ".join(show(record) for _, show in columns) for record in records]
    return "\n".join(f"| {line} |" for line in lines)


def ordered(records: list[Record], key: Callable[[Record], float]) -> list[Record]:
    """Ours first, then by the key."""
    return sorted(records, key=lambda record: (not record["peer"].startswith(OURS), key(record)))


def section(kind: str, problem: str, n_subjects: int, seed: int, records: list[Record]) -> str:
    """Title and table of one problem and kind."""
    what = "sampling" if kind == "sampling" else "one value and gradient"
    title = f"## {problem}, {n_subjects} subjects, seed {seed}: {what}"
    if kind == "gradient":
        rows = ordered(records, lambda record: record.get("milliseconds", np.inf))
        return f"{title}\n\n{markdown(GRADIENT, rows)}"
    rows = ordered(records, lambda record: -record.get("bulk_ess_per_cpu_second", -1.0))
    parts = [title, markdown(SAMPLING, rows)]
    with_draws = [record for record in rows if "parameters" in record]
    if len(with_draws) > 1:
        parts.append(agreement(with_draws))
    return "\n\n".join(parts)


def agreement(records: list[Record]) -> str:
    """Posterior mean ± sd of every parameter by engine, and how far apart they are."""
    reference = max(records, key=lambda record: record["min_ess_bulk"])
    names = list(reference["parameters"])
    columns: list[Column] = [("posterior mean ± sd", engine)]
    columns += [(name, lambda r, name=name: _moments(r["parameters"].get(name))) for name in names]
    apart: Column = (f"largest shift in sd, and z, from {engine(reference)}", lambda r: _apart(r, reference))
    return _transposed([*columns, apart], records)


def _moments(row: dict[str, float] | None) -> str:
    return "–" if row is None else f"{row['mean']:.3f} ± {row['sd']:.3f}"


def _apart(record: Record, reference: Record) -> str:
    if record is reference:
        return "–"
    shift, z = 0.0, 0.0
    for name, row in record["parameters"].items():
        other = reference["parameters"][name]
        gap = abs(row["mean"] - other["mean"])
        shift = max(shift, gap / other["sd"])
        z = max(z, gap / np.hypot(row["mcse"], other["mcse"]))
    return f"{shift:.2f}, {z:.1f}"


def _transposed(columns: Sequence[Column], records: Sequence[Record]) -> str:
    """A markdown table with one column per record."""
    rows = [[name, *(show(record) for record in records)] for name, show in columns]
    rows.insert(1, ["---"] * len(rows[0]))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def about_the_runs(records: list[Record]) -> str:
    """Dates and versions of what was measured."""
    dates = sorted(record["date"][:10] for record in records)
    versions: dict[str, set[str]] = {}
    for record in records:
        for package, version in record["versions"].items():
            versions.setdefault(package, set()).add(version)
    listed = ", ".join(f"{name} {'/'.join(sorted(found))}" for name, found in sorted(versions.items()))
    days = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
    return f"Measured {days} with {listed}."


def tables(records: list[Record]) -> str:
    """Everything between the markers."""
    if not records:
        return "No records yet."
    keys = ("kind", "problem", "n_subjects", "seed")
    groups: dict[tuple, list[Record]] = {}
    for record in records:
        groups.setdefault(tuple(record[key] for key in keys), []).append(record)
    # P1 before P2, the cost of a gradient before sampling.
    in_order = sorted(groups, key=lambda group: (group[1], group[0], group[2], group[3]))
    sections = [section(*group, groups[group]) for group in in_order]
    if not any(record["peer"].startswith(OURS) for record in records):
        sections.insert(0, "No record of our own engine yet.")
    return "\n\n".join([about_the_runs(records), *sections, METHOD])


def main() -> None:
    """Write the page."""
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else NEW_PAGE
    before, rest = page.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    PAGE.write_text(f"{before}{BEGIN}\n\n{tables(load_records())}\n\n{END}{after}", encoding="utf-8")
    say(f"{PAGE.name} written")


if __name__ == "__main__":
    main()
