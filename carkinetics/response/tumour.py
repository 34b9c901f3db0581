"""Tumour size under the fitted CAR-T curve, and the day on which the model sees it progress.

One joint fit: the level's curve kills, sizes say how well. From each posterior draw comes a curve of sizes for every
subject and from that the day of 20 % growth above the smallest size so far, which is the part of progression-free
survival that sizes can explain: new lesions and deaths are not in it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from carkinetics.dataset.table import QUANTIFIED, Dataset
from carkinetics.errors import ConfigError
from carkinetics.fit import Fit, fit_hierarchical
from carkinetics.fit.predictive import individual_curves
from carkinetics.model.library import with_layer
from carkinetics.model.spec import Model

Floats = NDArray[np.float64]
OUTPUT = "tumour"
GROWTH, MINIMUM = 0.2, 5.0  # RECIST 1.1: Eisenhauer EA et al. Eur J Cancer 2009;45:228-247


def fit_tumour(
    model: Model, data: Dataset, assay: str, *, level: str | None = None, layer: str = "tumour_claret",
    half: float | None = None, **settings: Any,
) -> Fit:  # fmt: skip
    """Fit tumour size together with the CAR-T level that kills.

    Parameters
    ----------
    model : Model
        Kinetics.
    data : Dataset
        CAR-T levels and sizes. The size before the infusion counts as that on day 0.
    assay : str
        The sizes, in mm.
    level : str, optional
        The assay of the CAR-T level; that in the model's unit if not given.
    layer : str
        A layer that defines the output ``tumour`` (see `carkinetics.layers`).
    half : float, optional
        CAR-T level at half of the largest killing, fixed; the median of the subjects' largest quantified levels if not given.
    **settings : Any
        For `carkinetics.fit_hierarchical`.

    Returns
    -------
    Fit
        With outputs of the level and ``tumour``; see `progression_by_model`.

    Raises
    ------
    ConfigError
        If ``half`` makes no sense, or it is not clear which assay is that of the level.
    DataError
        If there is nothing to fit.
    """
    first = next(iter(model.outputs))
    if level is None:
        names = [n for n in data.assays["assay"] if data.unit(n) == model.value_unit and n != assay]
        if len(names) != 1:
            raise ConfigError(
                f"fit_tumour: {len(names)} assays are in {model.value_unit}; name the one of the CAR-T level by level="
            )
        level = str(names[0])
    rows = data.select(assay=[level, assay]).observations
    if half is None:
        seen = rows[(rows["assay"] == level) & (rows["status"] == QUANTIFIED)]
        half = float(seen.groupby("subject")["value"].max().median())
    if not (np.isfinite(half) and half > 0):
        raise ConfigError(f"fit_tumour: half is {half!r}; expected a level above 0")
    size = (data.observations["assay"] == assay).to_numpy()
    # A likelihood has no days before 0, where the level is zero by construction; a tumour is not.
    times = np.where(size, data.observations["time"].clip(lower=0.0), data.observations["time"])
    moved = replace(data, observations=data.observations.assign(time=times))
    composed = with_layer(model, layer, **_half(layer, half))
    return fit_hierarchical(composed, moved, assay={first: level, OUTPUT: assay}, **settings)


def _half(layer: str, half: float) -> dict[str, dict[str, float]]:
    """The layer of a formula has no killing, and no level at half of it."""
    return {} if layer == "tumour_biexponential" else {"tumour_half": {"typical": half}}


def progression_by_model(
    fit: Fit, *, output: str = OUTPUT, horizon: float = 730.0, step: float = 1.0, n_draws: int = 200, interval: float = 0.90,
    seed: int = 1,
) -> pd.DataFrame:  # fmt: skip
    """Day on which each subject's fitted tumour has grown by 20 % above its smallest size so far.

    Parameters
    ----------
    fit : Fit
        With sizes in mm.
    output : str
        The sizes.
    horizon, step : float
        Last day that is looked at, and the days between two looks.
    n_draws : int
        Posterior draws.
    interval : float
        Probability of the equal-tailed intervals.
    seed : int
        Of the choice of draws.

    Returns
    -------
    pandas.DataFrame
        Indexed by subject: ``day, day_lower, day_upper`` (infinite after the horizon), ``nadir_day, nadir`` (medians; size in mm) and
        ``share``, the draws that progress within the horizon. ``.attrs["median"]`` is the median day over subjects with its interval, from
        the median at each draw.

    Raises
    ------
    ConfigError
        If horizon or step make no sense.

    Notes
    -----
    Growth has to be 20 % and 5 mm, as in RECIST 1.1, between visits too: what is seen at visits comes later, and new lesions and deaths
    come on top. A day beyond the last size of a subject is a forecast.

    Examples
    --------
    >>> import carkinetics as ck  # doctest: +SKIP
    >>> data = ck.example("nct05783089")  # doctest: +SKIP
    >>> fit = ck.fit_tumour(ck.load_model("stein2019"), data, "sld")  # doctest: +SKIP
    >>> by_size = ck.progression_by_model(fit)["day"]  # doctest: +SKIP
    >>> by_size.to_frame().join(data.subjects.set_index("subject")["pfs_day"])  # doctest: +SKIP
    """
    if not (0 < step < horizon < np.inf):
        raise ConfigError(f"horizon and step are {horizon!r} and {step!r}; expected 0 < step < horizon")
    time = np.arange(0.0, horizon + step / 2, step)
    size = individual_curves(fit, time, n_draws, seed, output=output).to_numpy()
    day = first_progression(time, size)
    tails = [0.5, (1 - interval) / 2, (1 + interval) / 2]

    def summary(values: Floats) -> Floats:
        # Between two infinite days an interpolated quantile would be undefined.
        return np.quantile(values, tails, axis=0, method="inverted_cdf")

    middle, low, high = summary(day)
    found = pd.DataFrame(
        {"day": middle, "day_lower": low, "day_upper": high, "nadir_day": np.median(time[size.argmin(axis=2)], axis=0),
         "nadir": np.median(size.min(axis=2), axis=0), "share": np.isfinite(day).mean(axis=0)},
        index=pd.Index(fit.data.subject_ids, name="subject"),
    )  # fmt: skip
    each = np.quantile(day, 0.5, axis=1, method="inverted_cdf")
    found.attrs["median"] = dict(
        zip(("day", "lower", "upper"), (float(x) for x in summary(each)), strict=True)
    )
    return found


def first_progression(time: Floats, size: Floats, growth: float = GROWTH, minimum: float = MINIMUM) -> Floats:
    """First day on which a size exceeds the smallest before it by a share and by an absolute amount.

    Parameters
    ----------
    time : ndarray, shape (n_time,)
        Days.
    size : ndarray, shape (..., n_time)
        Sizes in mm.
    growth, minimum : float
        Share of the smallest size, and mm.

    Returns
    -------
    ndarray, shape (...,)
        Days; infinite where it did not happen.

    Examples
    --------
    >>> first_progression(np.array([0.0, 42, 84, 126]), np.array([[100.0, 50, 54, 60], [20, 20, 24, 25], [50, 40, 40, 40]])).tolist()
    [126.0, 126.0, inf]
    """
    smallest = np.minimum.accumulate(size, axis=-1)
    grown = (size >= smallest * (1 + growth)) & (size >= smallest + minimum)
    return np.where(grown.any(axis=-1), time[grown.argmax(axis=-1)], np.inf)
