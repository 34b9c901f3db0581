"""Forecasts of one patient, as they are held."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True, eq=False)
class Forecast:
    """What is known of one patient by a day, and what follows from it.

    Parameters
    ----------
    subject : str
        Who.
    upto : float or None
        Last day whose samples count; None for all.
    n_samples : int
        Samples that spoke.
    table : pandas.DataFrame
        ``metric, value, lower, upper, unit, missing``: posterior median and interval. A time to BLQ is 0 where the peak is below the
        LLOQ and infinity where the level stays above it for 20 years; ``missing`` says why there is no value.
    risks : pandas.DataFrame
        ``outcome, probability, lower, upper``: posterior predictive probability, and the interval of the probability.
    curve : pandas.DataFrame
        ``day, median, lower, upper`` of the latent level.
    observed : pandas.DataFrame
        All samples of the patient, and ``used``: whether it spoke.
    draws : pandas.DataFrame
        Parameters and metrics, one row per draw; with two classes of patients, ``member`` of the second one.
    pareto_k, ess : float
        Of the weights that the draws were chosen by, and how many draws they are worth.
    converged : bool
        Whether Pareto's k is at most 0.7, the draws are worth at least 100, and the fit itself converged.
    findings : pandas.DataFrame
        ``severity, rule, where, message``.
    statement : str
        The result as a sentence.
    settings : dict
        What was asked.
    """

    subject: str
    upto: float | None
    n_samples: int
    table: pd.DataFrame
    risks: pd.DataFrame
    curve: pd.DataFrame
    observed: pd.DataFrame
    draws: pd.DataFrame
    pareto_k: float
    ess: float
    converged: bool
    findings: pd.DataFrame
    statement: str
    settings: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        state = "" if self.converged else ", NOT CONVERGED"
        return (
            f"<Forecast of {self.subject} from {self.n_samples} samples, Pareto k {self.pareto_k:.2f}{state}>"
        )


@dataclass(frozen=True, eq=False)
class ForecastUpdates:
    """Forecasts of one patient as samples come.

    Parameters
    ----------
    forecasts : tuple of Forecast
        In order of time.
    """

    forecasts: tuple[Forecast, ...]

    def __repr__(self) -> str:
        counts = ", ".join(str(one.n_samples) for one in self.forecasts)
        return f"<ForecastUpdates of {self.forecasts[0].subject} from {counts} samples>"

    @property
    def converged(self) -> bool:
        """Whether all of them are."""
        return all(one.converged for one in self.forecasts)

    @property
    def table(self) -> pd.DataFrame:
        """Metrics of all: ``upto, n_samples``, the columns of `Forecast.table`, ``pareto_k, converged``."""
        return pd.concat([self._labelled(one, one.table) for one in self.forecasts], ignore_index=True)

    @property
    def risks(self) -> pd.DataFrame:
        """Risks of all: ``upto, n_samples``, the columns of `Forecast.risks`, ``pareto_k, converged``."""
        return pd.concat([self._labelled(one, one.risks) for one in self.forecasts], ignore_index=True)

    def _labelled(self, one: Forecast, table: pd.DataFrame) -> pd.DataFrame:
        labelled = table.assign(pareto_k=one.pareto_k, converged=one.converged)
        labelled.insert(0, "upto", np.nan if one.upto is None else one.upto)
        labelled.insert(1, "n_samples", one.n_samples)
        return labelled
