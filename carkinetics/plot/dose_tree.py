"""Dose-transition pathways: every way the next cohorts can go, as a tree."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from carkinetics.errors import ConfigError, DataError
from carkinetics.escalation.cohort import dose_text
from carkinetics.plot.axes import legend_shared, new_axes
from carkinetics.plot.style import BLACK, GREY, ORANGE, SKY, VERMILION, styled

ROW, COLUMN = 0.34, 2.35  # inches
MOST_ROWS = 120
FILL = {"up": SKY, "stay": "#F2F2F2", "down": ORANGE, "stop": "white", "first": "#F2F2F2"}
WORDS = {"up": "higher dose", "stay": "same dose", "down": "lower dose", "stop": "end of the trial"}


@dataclass(eq=False)
class _Node:
    """A cohort that is to be treated, or an end; and the branches by what can happen in it."""

    dose: float | None
    n: int
    mtd: float | None
    branches: list[tuple[str, float, _Node]]  # outcome, probability, what follows
    x: int = 0
    y: float = 0.0

    @cached_property
    def key(self) -> tuple[Any, ...]:
        """Equal for subtrees that say the same, whatever the probabilities."""
        below = tuple((label, node.key) for label, _, node in self.branches)
        return (self.dose, self.n, self.mtd, below)

    def text(self) -> str:
        if self.dose is None:
            return f"stop, MTD {dose_text(self.mtd)}" if self.mtd else "stop, no dose"
        return f"{self.n} at {dose_text(self.dose)}"


@styled
def dose_paths(paths: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Every way the next cohorts can go, as a tree.

    Parameters
    ----------
    paths : pandas.DataFrame
        From `carkinetics.dose_paths`; with probabilities if a truth was given.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    matplotlib.axes.Axes
        A box for each cohort, with its patients and its dose; branches by the DLTs in it, as thick as they are probable.
        Outcomes that lead to the same are one branch.

    Raises
    ------
    DataError
        If the table is none of paths.
    ConfigError
        If there are more than 120 ends to draw.
    """
    if not isinstance(paths, pd.DataFrame) or "dose_1" not in paths or paths.empty:
        raise DataError(
            "dose_paths: expected the table that carkinetics.dose_paths gives, with a cohort at least"
        )
    known = "probability" in paths
    weights = paths["probability"].to_numpy(float) if known else np.ones(len(paths))
    root = _grown(paths.assign(weight=weights), 1)
    _joined(root)
    ends = _place(root, 0, 0)
    if ends > MOST_ROWS:
        raise ConfigError(
            f"dose_paths: {ends} different ends cannot be read in one picture; look fewer cohorts ahead"
        )
    depth = _depth(root)
    if ax is None:
        ax = new_axes(1.2 + COLUMN * depth, max(2.4, 1.2 + ROW * ends))
    _draw(ax, root, "first", known, 1.0)
    ax.set_xlim(-0.32, depth + 0.42)
    ax.set_ylim(ends - 0.4, -0.6)
    ax.axis("off")
    for column in range(depth + 1):
        head = f"cohort {column + 1}" if column < depth else "then"
        ax.text(
            column,
            1.0,
            head,
            transform=ax.get_xaxis_transform(),
            ha="center",
            va="bottom",
            fontsize=9,
            color=GREY,
        )
    handles = [Patch(facecolor=FILL[kind], edgecolor=GREY, label=words) for kind, words in WORDS.items()]
    legend_shared(ax, handles, columns=4)
    return ax


def _grown(rows: pd.DataFrame, k: int) -> _Node:
    """The kth cohort of rows that share all before it."""
    first = rows.iloc[0]
    dose = first.get(f"dose_{k}")
    if dose is None or pd.isna(dose):  # the decision after the last cohort, or an end before it
        stops = first["action"] == "stop"
        end = None if stops or pd.isna(first["dose"]) else float(first["dose"])
        return _Node(end, int(first["n"]), float(first["mtd"] or 0) if stops else None, [])
    names = [f"dlt_{k}"] + (
        [f"grade2_{k}"] if f"grade2_{k}" in rows and pd.notna(first[f"grade2_{k}"]) else []
    )
    total = rows["weight"].sum()
    branches = []
    for counts, own in rows.groupby(names, sort=True):
        label = str(int(counts[0])) if len(counts) == 1 else _both(int(counts[0]), int(counts[1]))
        branches.append((label, float(own["weight"].sum() / total) if total else 0.0, _grown(own, k + 1)))
    return _Node(float(dose), int(first[f"n_{k}"]), None, branches)


def _joined(node: _Node) -> None:
    """Outcomes that lead to the same become one branch."""
    for _, _, below in node.branches:
        _joined(below)
    kept: dict[tuple[Any, ...], tuple[list[str], float, _Node]] = {}
    for label, share, below in node.branches:
        labels, so_far, first = kept.get(below.key, ([], 0.0, below))
        kept[below.key] = ([*labels, label], so_far + share, first)
    node.branches = [(_range(labels), share, below) for labels, share, below in kept.values()]


def _both(dlt: int, grade2: int) -> str:
    """DLTs and grade 2 in words."""
    parts = [f"{count} {word}" for count, word in ((dlt, "DLT"), (grade2, "grade 2")) if count]
    return ", ".join(parts) or "no event"


def _range(labels: list[str]) -> str:
    """``0``, ``2–3``, ``no event or 1 grade 2``."""
    whole = [int(label) for label in labels if label.isdigit()]
    if len(whole) == len(labels) > 1 and whole[-1] - whole[0] == len(whole) - 1:
        return f"{whole[0]}–{whole[-1]}"
    if whole:
        return ", ".join(labels)
    return " or ".join(labels) if len(labels) <= 2 else f"{labels[0]} … {labels[-1]}"


def _place(node: _Node, x: int, y: int) -> int:
    """Give every end a row of its own, and a node the middle of its ends; returns the next free row."""
    node.x = x
    if not node.branches:
        node.y = float(y)
        return y + 1
    for _, _, below in node.branches:
        y = _place(below, x + 1, y)
    node.y = float(np.mean([node.branches[0][2].y, node.branches[-1][2].y]))
    return y


def _depth(node: _Node) -> int:
    return 0 if not node.branches else 1 + max(_depth(below) for _, _, below in node.branches)


def _draw(ax: Axes, node: _Node, kind: str, known: bool, reached: float) -> None:
    box = {"boxstyle": "round,pad=0.3", "facecolor": FILL[kind], "edgecolor": GREY, "linewidth": 0.9}
    if kind == "stop" and not node.mtd:
        box["edgecolor"] = VERMILION
    ax.text(node.x, node.y, node.text(), ha="center", va="center", fontsize=8.5, bbox=box, zorder=4)
    for label, share, below in node.branches:
        probability = reached * share
        width = 0.6 + 5.0 * probability if known else 1.0
        ax.plot([node.x, node.x + 0.36, below.x], [node.y, below.y, below.y], color=GREY, linewidth=width, zorder=2,
                solid_capstyle="round", solid_joinstyle="round")  # fmt: skip
        counted = label[0].isdigit() and label[-1].isdigit() and "grade" not in label
        words = f"{label} DLT" if counted else label
        words += f"{' · ' if counted else chr(10)}{_percent(share)}" if known else ""
        ax.text(node.x + 0.5, below.y, words, ha="center", va="center", fontsize=7.5, color=BLACK, zorder=3,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6})  # fmt: skip
        _draw(ax, below, _kind(below, node.dose), known, probability)


def _kind(node: _Node, before: float | None) -> str:
    if node.dose is None:
        return "stop"
    return "stay" if before is None or node.dose == before else "up" if node.dose > before else "down"


def _percent(share: float) -> str:
    if 0 < share < 0.0005:
        return "<0.1 %"
    return f"{100 * share:.0f} %" if share >= 0.095 or share == 0 else f"{100 * share:.1f} %"
