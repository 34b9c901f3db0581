"""What a study file asks for: its models, its data, and each result when something first asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from carkinetics.batch.after_fit import AFTER_READERS
from carkinetics.batch.asked import FitConfig, StudyConfig
from carkinetics.dataset import read_nonmem
from carkinetics.errors import CarkineticsError, ConfigError
from carkinetics.exposure import exposure_course, exposure_from, nca
from carkinetics.fit import load_fit
from carkinetics.model import Model, load_model
from carkinetics.response import EventModel, dose_exposure, fit_event, fit_grade, responses_from

COMPARED_SUBJECTS = "compare-subjects.csv"


class Study:
    """A study file with its models and its data; ``study["fit.base"]`` is the result of that step.

    Parameters
    ----------
    config : StudyConfig
        The checked file.
    seed : int
        Seed of everything random.
    folder : pathlib.Path
        The run folder, where fits were saved.
    talk : bool
        Whether a fit tells on the standard error stream how far it is.
    """

    def __init__(self, config: StudyConfig, seed: int, folder: Path, *, talk: bool = False) -> None:
        self.config = config
        self.talk = talk
        self.seed = seed
        self.folder = folder
        self.models = {entry.name: _model(entry) for entry in config.fits}
        self.all_assays = read_nonmem(config.data.paths, **config.data.settings)
        assay = config.data.assay
        self.data = self.all_assays if assay is None else self.all_assays.select(assay=assay)
        self._results: dict[str, Any] = {}

    def __getitem__(self, step: str) -> Any:
        """The result of a step: the table of observations has none, a diagnosis is made from its fit."""
        if step not in self._results:
            self._results[step] = self._result(*step.partition(".")[::2])
        return self._results[step]

    def _result(self, kind: str, name: str) -> Any:
        config = self.config
        match kind:
            case "nca":
                return nca(self.data, **config.nca)
            case "individual":
                return load_fit(self.folder / "fit/individual.nc")
            case "fit":
                return load_fit(self.folder / f"fit/{name}.nc")
            case _ if kind in AFTER_READERS:
                return AFTER_READERS[kind](self.folder, self[f"fit.{name}"], name)
            case "compare":
                told: dict[str, Any] = {
                    "dtype": {"fit": str, "subject": str},
                    "keep_default_na": False,
                    "na_values": [""],
                }
                ranking = pd.read_csv(self.folder / "compare.csv", **told).set_index("fit")
                each = pd.read_csv(self.folder / COMPARED_SUBJECTS, **told).set_index(["fit", "subject"])
                by_fit = {name: each.loc[name] for name in each.index.unique("fit")}
                ranking.attrs["subjects"] = pd.concat(by_fit, axis=1)
                return ranking
            case "exposure":
                return exposure_from(self[f"fit.{config.exposure_fit}"], **config.exposure)
            case "tumour":
                return responses_from(self.all_assays, **(config.tumour or {}))
            case "dose":
                return dose_exposure(self[self.exposure_step], self.data, name, seed=self.seed, **config.dose)
            case "response":
                settings = config.responses[name]
                return fit_grade(self[self.exposure_step], self.data, seed=self.seed, **settings)
            case "event":
                return self._event(dict(config.events[name]))
        raise KeyError(kind)

    def candidates(self, name: str, key: str) -> Any:
        """Covariates that ``[fit.NAME]`` wants looked at by ``screen`` or ``stepwise``."""
        return next(entry.after[key] for entry in self.config.fits if entry.name == name)

    def _event(self, settings: dict[str, Any]) -> EventModel:
        days, fit = settings.pop("days", None), self.config.exposure_fit
        exposure = self[self.exposure_step]
        if days is not None:
            if fit is None:
                raise ConfigError(
                    "days: exposure that changes with time comes from a fit; add [fit.NAME] and [exposure]"
                )
            exposure = exposure_course(self[f"fit.{fit}"], days, seed=self.seed)
        return fit_event(exposure, self.data, seed=self.seed, **settings)

    @property
    def exposure_step(self) -> str:
        """The step whose exposures the regressions use: those of a fit, or those of the observations."""
        return "nca" if self.config.exposure_fit is None else "exposure"


def _model(entry: FitConfig) -> Model:
    """The model of one fit, with the changes asked for."""
    try:
        model = load_model(entry.model)
        if entry.value_unit is not None and entry.value_unit != model.value_unit:
            model = model.in_unit(entry.value_unit, **entry.priors)
        elif entry.priors:
            model = model.with_priors(**entry.priors)
        return model.fix(**entry.fix) if entry.fix else model
    except CarkineticsError as error:
        raise type(error)(f"[fit.{entry.name}] {error}") from None
