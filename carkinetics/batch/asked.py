"""What a study file asks for, once it is checked: the data, the fits, everything after them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Settings = Mapping[str, Any]
REPORT_FORMATS = ("html", "docx", "pdf")
# Keys of [fit.NAME] that ask something of a fit once it is there: each is a step of its own.
AFTER_A_FIT = ("cross_check", "sensitivity", "screen", "stepwise", "loo_pit", "forest")


@dataclass(frozen=True)
class DataConfig:
    """Where the data are and how to read them.

    Parameters
    ----------
    paths : tuple of pathlib.Path
        The tables, to be read as one.
    assay : str or None
        The assay to analyse; None where there is only one.
    settings : mapping
        Arguments of `read_nonmem`.
    """

    paths: tuple[Path, ...]
    assay: str | None
    settings: Settings


@dataclass(frozen=True)
class FitConfig:
    """One hierarchical fit.

    Parameters
    ----------
    name : str
        Of the section ``[fit.NAME]`` and of the files.
    model : str
        Name of a shipped model, or the path of a model file.
    value_unit : str or None
        Unit of the levels if it is not the model's.
    priors, fix : mapping
        Changes to the model.
    settings : mapping
        Arguments of `fit_hierarchical`.
    after : mapping
        What is asked of the fit, by key of `AFTER_A_FIT`: whether the other engine draws from the same posterior too,
        whether sensitivity to priors is measured, which covariates are screened or searched stepwise, whether places of observations are
        computed without their subject, and whether the effects of covariates on exposure are shown (where there are any, unless refused).
    """

    name: str
    model: str
    value_unit: str | None = None
    priors: Settings = field(default_factory=dict)
    fix: Settings = field(default_factory=dict)
    settings: Settings = field(default_factory=dict)
    after: Settings = field(default_factory=dict)


@dataclass(frozen=True)
class StudyConfig:
    """A checked study file.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    text : str
        Its text.
    seed : int
        Seed of everything random.
    output : pathlib.Path
        The run folder.
    data : DataConfig
        ``[data]``.
    fits : tuple of FitConfig
        ``[fit.NAME]`` in file order.
    nca : mapping
        Arguments of `nca`.
    exposure_fit : str or None
        Fit from which exposure is computed; None: from the observations.
    exposure : mapping
        Arguments of `exposure_from`.
    tumour : mapping or None
        Arguments of `responses_from`; None: no ``[tumour]``.
    dose_metrics : tuple of str
        Metrics regressed on dose; empty: no ``[dose]``.
    dose : mapping
        Further arguments of `dose_exposure`.
    responses : dict of str to mapping
        Arguments of `fit_grade` by the NAME of ``[response.NAME]``, in file order.
    events : dict of str to mapping
        Arguments of `fit_event`, and ``days``, by the NAME of ``[event.NAME]``, in file order.
    title : str
        Of the report.
    report_fit : str or None
        Fit that the report shows in full.
    report_formats : tuple of str
        Of `REPORT_FORMATS`, ``html`` first.
    compared : tuple of str
        Fits to be ranked.
    """

    path: Path
    text: str
    seed: int
    output: Path
    data: DataConfig
    fits: tuple[FitConfig, ...]
    nca: Settings
    exposure_fit: str | None
    exposure: Settings
    tumour: Settings | None
    dose_metrics: tuple[str, ...]
    dose: Settings
    responses: dict[str, Settings]
    events: dict[str, Settings]
    title: str
    report_fit: str | None
    report_formats: tuple[str, ...] = REPORT_FORMATS[:1]
    compared: tuple[str, ...] = ()
