"""Cost over the number of patients, from the stored records: one figure.

    python scaling.py

P1 with 20, 90, 300 and 1,000 patients: CPU-seconds until the gate, the approximate fit, and one value and gradient.
Dashed lines are proportional to N. Writes scaling.svg.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from measure import load_records

FIGURE = Path(__file__).with_name("scaling.svg")
SHOWN = (
    ("carkinetics structured", "", "until ESS 400 and R-hat 1.01, CPU-s", "#0072B2", "o"),
    ("carkinetics", "laplace-em", "Laplace-EM, CPU-s", "#009E73", "s"),
    ("carkinetics", "gradient", "one value and gradient, CPU-ms", "#D55E00", "^"),
)


def points(peer: str, label: str) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of patients and costs of all records of one kind."""
    found = []
    for record in load_records():
        if record["peer"] != peer or record["problem"] != "P1" or record["seed"] != 1:
            continue
        if label and record["label"] == label:
            cost = record["cpu_milliseconds"] * (1e-3 if label == "laplace-em" else 1.0)
            found.append((record["n_subjects"], cost))
        elif not label and record["label"].startswith("approximate"):
            found.append((record["n_subjects"], record["cpu_seconds"]))
    return tuple(np.array(sorted(found), dtype=float).T)  # type: ignore[return-value]


def main() -> None:
    """Draw it."""
    figure, axes = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    for peer, label, words, colour, marker in SHOWN:
        n, cost = points(peer, label)
        axes.plot(n, cost, marker, color=colour, label=words, alpha=0.8)
        per_patient = np.exp(np.mean(np.log(cost / n)))
        ends = np.array([15, 1400])
        axes.plot(ends, per_patient * ends, "--", color=colour, linewidth=0.8)
    axes.set(xscale="log", yscale="log", xlabel="Patients (about 15 samples each)", ylabel="Cost")
    axes.set_xticks([20, 90, 300, 1000], ["20", "90", "300", "1,000"])
    axes.minorticks_off()
    axes.legend(frameon=False)
    axes.set_title("Cost is linear in the number of patients (dashed: proportional)", fontsize=10)
    plt.rcParams["svg.hashsalt"] = "carkinetics"
    figure.savefig(FIGURE, metadata={"Date": None})


if __name__ == "__main__":
    main()
