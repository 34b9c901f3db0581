"""Papers of the methods that results rest on: convergence, censoring, predictive checks, sensitivity, calibration, responses.

Entries were compared with the publishers' pages, PubMed or what the authors' own packages ask for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from carkinetics.diagnostics import Calibration, LooPit, Npde, Vpc
from carkinetics.fit import Fit
from carkinetics.report.reference import Reference
from carkinetics.response import DoseExposure
from carkinetics.response.recist import MODIFIED

PREDICTION_CORRECTED = "bergstrand2011"
CALIBRATED = "talts2018"
_PKPD = "Journal of Pharmacokinetics and Pharmacodynamics"
_WORKS = {
    one.key: one
    for one in (
        Reference(
            "vehtari2021", "Vehtari, A. and Gelman, A. and Simpson, D. and Carpenter, B. and Bürkner, P.-C.",
            "Rank-normalization, folding, and localization: an improved R-hat for assessing convergence of MCMC (with discussion)",
            "Bayesian Analysis", "16", "667-718", "2021", "10.1214/20-BA1221", "R-hat and effective sample sizes",
        ),
        Reference(
            "beal2001", "Beal, S. L.", "Ways to fit a PK model with some data below the quantification limit", _PKPD, "28", "481-504",
            "2001", "10.1023/A:1012299115260", "methods M1 to M7 for BLQ values",
        ),
        Reference(
            "ahn2008", "Ahn, J. E. and others", "Likelihood based approaches to handling data below the quantification limit using NONMEM VI",
            _PKPD, "35", "401-421", "2008", "10.1007/s10928-008-9094-4", "M3 and M4",
        ),
        Reference(
            "brendel2006", "Brendel, K. and Comets, E. and Laffont, C. and Laveille, C. and Mentré, F.",
            "Metrics for external model evaluation with an application to the population pharmacokinetics of gliclazide",
            "Pharmaceutical Research", "23", "2036-2049", "2006", "10.1007/s11095-006-9067-5", "NPDE",
        ),
        Reference(
            "nguyen2012", "Nguyen, T. H. T. and Comets, E. and Mentré, F.",
            "Extension of NPDE for evaluation of nonlinear mixed effect models in presence of data below the quantification limit with "
            "applications to HIV dynamic model", _PKPD, "39", "499-518", "2012", "10.1007/s10928-012-9264-2", "NPDE of BLQ values",
        ),
        Reference(
            PREDICTION_CORRECTED, "Bergstrand, M. and Hooker, A. C. and Wallin, J. E. and Karlsson, M. O.",
            "Prediction-corrected visual predictive checks for diagnosing nonlinear mixed-effects models", "The AAPS Journal", "13",
            "143-151", "2011", "10.1208/s12248-011-9255-z", "visual predictive checks, prediction-corrected where predictions of a bin differ",
        ),
        Reference(
            "vehtari2017", "Vehtari, A. and Gelman, A. and Gabry, J.",
            "Practical Bayesian model evaluation using leave-one-out cross-validation and WAIC", "Statistics and Computing", "27",
            "1413-1432", "2017", "10.1007/s11222-016-9696-4", "PSIS-LOO",
        ),
        Reference(
            "kallioinen2024", "Kallioinen, N. and Paananen, T. and Bürkner, P.-C. and Vehtari, A.",
            "Detecting and diagnosing prior and likelihood sensitivity with power-scaling", "Statistics and Computing", "34", "57", "2024",
            "10.1007/s11222-023-10366-5", "sensitivity to priors and data by power-scaling",
        ),
        Reference(
            "smith2000", "Smith, B. P. and others",
            "Confidence interval criteria for assessment of dose proportionality", "Pharmaceutical Research", "17", "1278-1283", "2000",
            "10.1023/A:1026451721686", "dose proportionality",
        ),
        Reference(
            CALIBRATED, "Talts, S. and others", "Validating Bayesian inference algorithms with simulation-based calibration",
            "arXiv", "", "1804.06788", "2018", "", "simulation-based calibration", "misc",
        ),
        Reference(
            "eisenhauer2009", "Eisenhauer, E. A. and others",
            "New response evaluation criteria in solid tumours: revised RECIST guideline (version 1.1)", "European Journal of Cancer",
            "45", "228-247", "2009", "10.1016/j.ejca.2008.10.026", "responses of tumours",
        ),
        Reference(
            "byrne2004", "Byrne, M. J. and Nowak, A. K.",
            "Modified RECIST criteria for assessment of response in malignant pleural mesothelioma", "Annals of Oncology", "15", "257-260",
            "2004", "10.1093/annonc/mdh059", "responses of pleural mesothelioma",
        ),
    )
}  # fmt: skip
_OF_TABLES = {"noise_prior": "kallioinen2024", "subjects": "vehtari2017", "criteria": "eisenhauer2009"}


def methods_of(parts: tuple[Any, ...], also: tuple[str, ...] = ()) -> list[Reference]:
    """Papers of the methods behind results.

    Parameters
    ----------
    parts : tuple
        Results.
    also : tuple of str
        Keys of works that are used beside them.

    Returns
    -------
    list of Reference
        Each once, in the order in which an analysis uses them.
    """
    used = {*also, *(key for part in parts for key in _used_by(part))}
    return [work for key, work in _WORKS.items() if key in used]


def _used_by(part: Any) -> Iterator[str]:
    if isinstance(part, Fit) and part.method == "hierarchical":
        yield from _of_fit(part)
    elif isinstance(part, Npde):
        yield from ("brendel2006", "nguyen2012")
    elif isinstance(part, Vpc) and part.settings["corrected"]:
        yield PREDICTION_CORRECTED
    elif isinstance(part, LooPit):
        yield "vehtari2017"
    elif isinstance(part, DoseExposure):
        yield "smith2000"
    elif isinstance(part, Calibration):
        yield CALIBRATED
    elif isinstance(part, pd.DataFrame):  # tables of verbs leave their sign in the attributes
        yield from (work for sign, work in _OF_TABLES.items() if sign in part.attrs)
        if part.attrs.get("criteria") == MODIFIED:
            yield "byrne2004"


def _of_fit(fit: Fit) -> Iterator[str]:
    if "pareto_k" not in fit.settings:
        yield "vehtari2021"
    blq = str(fit.settings["blq"])
    if blq[:1] == "M":
        yield "beal2001"
    if blq in ("M3", "M4"):
        yield "ahn2008"
