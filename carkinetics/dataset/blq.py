"""How much of each assay is BLQ, by time: the table that every report shows."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from carkinetics.dataset.table import PREDOSE, Dataset, is_censored
from carkinetics.errors import DataError

# Middles between the usual visits: days 1, 3, 7, 10, 14, 21, 28, months 2, 3, 6, 9, 12.
VISIT_EDGES = (0.0, 2.0, 5.0, 8.5, 12.0, 17.5, 24.5, 45.0, 75.0, 135.0, 225.0, 320.0, 450.0)


def blq_table(data: Dataset, edges: Sequence[float] | None = None) -> pd.DataFrame:
    """Count and share of BLQ samples by assay and time bin.

    Parameters
    ----------
    data : Dataset
        The data.
    edges : sequence of float, optional
        Days that part the bins, increasing; times before the first and after the last edge have
        bins of their own. The middles between the usual visits if not given.

    Returns
    -------
    pandas.DataFrame
        One row per assay and bin that holds a sample: ``assay, from, to`` (day, ``from`` < time ≤
        ``to``), ``n, n_blq, percent_blq``. Samples after the first infusion, as everywhere else.

    Raises
    ------
    DataError
        If the edges do not increase.

    Examples
    --------
    >>> from carkinetics.dataset import read_nonmem
    >>> frame = pd.DataFrame({"ID": [1, 2, 3], "TIME": [28, 28, 27], "DV": ["<50", 900, 120]})
    >>> blq_table(read_nonmem(frame, value_unit="copies/ug"))[["from", "to", "n", "n_blq"]].to_numpy().tolist()
    [[24.5, 45.0, 3.0, 1.0]]
    """
    inner = [float(edge) for edge in (VISIT_EDGES if edges is None else edges)]
    if not inner or not all(a < b for a, b in pairwise(inner)):
        raise DataError(f"edges are {inner}; expected days that increase")
    bounds = np.array([-np.inf, *inner, np.inf])
    rows = data.observations
    samples = rows[(rows["status"] != PREDOSE) & (rows["time"] > 0)]
    bins = np.searchsorted(bounds, samples["time"].to_numpy(dtype=float), side="left") - 1
    counted = samples.assign(_bin=bins, _blq=is_censored(samples)).groupby(["assay", "_bin"])["_blq"]
    table = counted.agg(n="size", n_blq="sum").reset_index()
    return pd.DataFrame(
        {
            "assay": table["assay"],
            "from": bounds[table["_bin"].to_numpy(dtype=int)],
            "to": bounds[table["_bin"].to_numpy(dtype=int) + 1],
            "n": table["n"].astype("int64"),
            "n_blq": table["n_blq"].astype("int64"),
            "percent_blq": 100.0 * table["n_blq"] / table["n"],
        }
    )
