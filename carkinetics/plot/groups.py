"""Groups of subjects as colour and, for who cannot see it, hatching and shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.colors import to_rgba
from matplotlib.patches import Patch

from carkinetics.diagnostics.binning import stratum_order
from carkinetics.errors import DataError
from carkinetics.plot.style import PALETTE, group_label
from carkinetics.response.tumour_outcome import UNKNOWN_GROUP

# Beside the colours of groups: printed in grey, and to readers who see them alike, groups are told apart by these.
HATCHES = ("", "////", "....", "\\\\\\\\", "xxxx", "----", "oooo", "++++")
SHAPES = ("o", "s", "^", "D", "v", "P", "<", ">")


@dataclass(frozen=True)
class Look:
    """How a group is drawn.

    Parameters
    ----------
    colour : str
        Of bars, lines and symbols.
    hatch : str
        Of bars.
    shape : str
        Of symbols.
    """

    colour: str
    hatch: str
    shape: str

    def patch(self, name: str, alpha: float) -> Patch:
        """Entry of a legend."""
        return Patch(label=group_label(name), **self.bar(alpha))

    def bar(self, alpha: float) -> dict[str, Any]:
        """Arguments of a bar whose hatching is seen on its face."""
        return {
            "facecolor": to_rgba(self.colour, alpha), "edgecolor": to_rgba(self.colour, min(1.0, 1.4 * alpha)), "hatch": self.hatch,
            "linewidth": 0.6,
        }  # fmt: skip


def groups_of(
    subjects: list[str], by: Mapping[str, object] | pd.Series | None
) -> tuple[dict[str, str], dict[str, Look]]:
    """Group of each subject, as text, and how the groups are drawn.

    Parameters
    ----------
    subjects : list of str
        Who is drawn.
    by : mapping or pandas.Series or None
        Group by subject; who has a missing one is in a group of its own. Looks are those of all its groups, drawn or not, so that several
        figures with one ``by`` show a group alike.

    Returns
    -------
    groups : dict of str to str
        By subject; empty texts without ``by``.
    looks : dict of str to Look
        By group, of those with a subject that is drawn.

    Raises
    ------
    DataError
        If a subject is not in ``by``, or there are more groups than can be told apart.
    """
    if by is None:
        return dict.fromkeys(subjects, ""), looks_of({"": ""})
    given = {str(key): UNKNOWN_GROUP if pd.isna(value) else str(value) for key, value in dict(by).items()}
    lacking = [subject for subject in subjects if subject not in given]
    if lacking:
        raise DataError(f"by has no group for subject {lacking[0]!r}")
    groups = {subject: given[subject] for subject in subjects}
    return groups, {name: look for name, look in looks_of(given).items() if name in groups.values()}


def looks_of(groups: Mapping[str, str]) -> dict[str, Look]:
    """Colour, hatching and shape of each group, in order.

    Parameters
    ----------
    groups : mapping of str to str
        By subject.

    Returns
    -------
    dict of str to Look
        By group: numbers by size, then words.

    Raises
    ------
    DataError
        If there are more groups than can be told apart.
    """
    names = stratum_order(list(groups.values()))
    if len(names) > len(PALETTE):
        raise DataError(f"by has {len(names)} groups; at most {len(PALETTE)} colours can be told apart")
    return {
        name: Look(*look) for name, look in zip(names, zip(PALETTE, HATCHES, SHAPES, strict=True), strict=False)
    }  # fmt: skip
