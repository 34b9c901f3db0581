from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from carkinetics.dataset.table import DOSE_COLUMNS, OBSERVATION_COLUMNS, Dataset
from carkinetics.exposure import Exposure
from carkinetics.exposure.table import EXPOSURE_COLUMNS, metric_unit


def study(
    values,
    *,
    metric: str = "auc_0_28",
    doses=None,
    spread: float | None = None,
    n_draws: int = 400,
    **columns,
) -> tuple[Exposure, Dataset]:
    """Build an exposure and its dataset; with a spread, log-normal draws around the values."""
    ids = [f"s{i:02d}" for i in range(len(values))]
    level = np.asarray(values, dtype=float)
    unit = metric_unit(metric, "copies/ug")
    reasons = ["" if np.isfinite(v) else "all values below the LLOQ" for v in level]
    rows = [
        (s, metric, v, np.nan, np.nan, unit, "test", r) for s, v, r in zip(ids, level, reasons, strict=True)
    ]
    draws = None
    if spread is not None:
        noise = np.random.default_rng(7).standard_normal((2, n_draws // 2, len(ids)))
        dims = ("chain", "draw", "subject")
        draws = xr.Dataset({metric: (dims, level * np.exp(spread * noise))}, coords={"subject": ids})
    given = [(s, 0.0, d, "cells/kg", i) for i, (s, d) in enumerate(zip(ids, doses or [], strict=False))]
    data = Dataset(
        observations=pd.DataFrame(columns=list(OBSERVATION_COLUMNS)),
        subjects=pd.DataFrame({"subject": ids, **columns}),
        doses=pd.DataFrame(given, columns=list(DOSE_COLUMNS)),
    )
    return Exposure(pd.DataFrame(rows, columns=list(EXPOSURE_COLUMNS)), draws), data


@pytest.fixture(scope="session")
def make_study() -> Callable[..., tuple[Exposure, Dataset]]:
    return study
