from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from carkinetics.dataset.table import DOSE_COLUMNS, Dataset

Series = dict[str, tuple[list[float], list[float]]]


def build(
    series: Series,
    *,
    lloq: float = 50.0,
    unit: str = "copies/ug",
    predose: bool = True,
    doses: dict[str, list[tuple[float, float]]] | None = None,
    subjects: pd.DataFrame | None = None,
) -> Dataset:
    """Build a Dataset of one assay from times and levels by subject; a level below the LLOQ is BLQ."""
    rows = []
    for subject, (time, level) in series.items():
        for t, c in zip(time, level, strict=True):
            before = predose and t <= 0 and c < lloq
            status = "predose" if before else "quantified" if c >= lloq else "below_lloq"
            value = c if status == "quantified" else np.nan
            lower, upper = (0.0, 0.0) if before else (c, c) if status == "quantified" else (0.0, lloq)
            rows.append((subject, "qpcr", t, value, status, lower, upper, np.nan, lloq, unit, len(rows) + 2))
    columns = ["subject", "assay", "time", "value", "status", "lower", "upper", "lod", "lloq", "unit", "row"]
    given = [(s, t, a, "cells/kg", 0) for s, infusions in (doses or {}).items() for t, a in infusions]
    return Dataset(
        observations=pd.DataFrame(rows, columns=columns),
        subjects=pd.DataFrame({"subject": list(series)}) if subjects is None else subjects,
        doses=pd.DataFrame(given, columns=list(DOSE_COLUMNS)),
        assays=pd.DataFrame([("qpcr", unit, lloq, np.nan)], columns=["assay", "unit", "lloq", "lod"]),
    )


@pytest.fixture(scope="session")
def make_data() -> Callable[..., Dataset]:
    return build
