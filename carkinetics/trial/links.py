"""From the curve of a virtual patient to toxicity, tumour, survival, cytokines and antibodies: declared links.

Every link is a small table of numbers with a source. Where no publication gives a number it is ours, chosen so that a trial
looks like those of mesothelin CAR-T cells; the sources say which.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from carkinetics.errors import ConfigError
from carkinetics.escalation.arguments import number, whole
from carkinetics.fit.covariate import covariate_values
from carkinetics.trial.settings import refuse_numbers, refuse_slopes

Floats = NDArray[np.float64]
Patients = Mapping[str, Any]
METRICS = ("cmax", "tmax", "auc_0_28")


def _score(frame: pd.DataFrame, terms: Mapping[str, float], where: str) -> Floats:
    """Sum of slopes times texts over exposures, covariates and dose."""
    total = np.zeros(len(frame))
    for text, slope in terms.items():
        total += slope * covariate_values(frame, text, where)
    return total


def _logistic(uniform: Floats) -> Floats:
    return np.log(uniform / (1 - uniform))


@dataclass(frozen=True)
class Toxicity:
    """Cytokine release, other toxicity, and which of it limits the dose.

    Parameters
    ----------
    crs : mapping of str to float
        Slopes of the latent CRS score (logistic scale) on texts over ``cmax``, ``tmax``, ``auc_0_28``, ``dose`` and covariates.
    crs_cuts : tuple of float
        Score above which the grade is at least 1, 2, 3 and 4.
    crs_before_peak : float
        Mean days from the onset of CRS to the peak (gamma with shape 3).
    crs_dlt : float
        Probability that CRS of grade 3 limits the dose; that of grade 4 always does.
    other_dlt, other_dlt_per_dose : float
        Probability of another DLT: a constant, and a slope per 1e6 of the unit of dose.
    other_grade2 : float
        Probability of another relevant toxicity of grade 2.
    tocilizumab_from, steroid_from : int
        CRS grade from which they are given.
    source : str
        Where the numbers come from.
    """

    crs: Mapping[str, float] = field(default_factory=lambda: {"log(cmax / 1500)": 1.1})
    crs_cuts: tuple[float, ...] = (0.3, 2.0, 3.6, 5.2)
    crs_before_peak: float = 3.9
    crs_dlt: float = 0.4
    other_dlt: float = 0.02
    other_dlt_per_dose: float = 0.04
    other_grade2: float = 0.10
    tocilizumab_from: int = 2
    steroid_from: int = 3
    source: str = (
        "ours. CRS goes with Cmax and with tumour burden in other products (Awasthi 2020, Blood Adv 4:560); 7 of 20 had CRS "
        "under huCART-meso (NCT03054298)"
    )

    def __post_init__(self) -> None:
        cuts = self.crs_cuts if isinstance(self.crs_cuts, (tuple, list)) else ()
        object.__setattr__(
            self, "crs_cuts", tuple(number(cut, "one of crs_cuts", "toxicity") for cut in cuts)
        )
        if list(self.crs_cuts) != sorted(self.crs_cuts) or len(self.crs_cuts) != 4:
            raise ConfigError(
                f"toxicity: crs_cuts is {self.crs_cuts}; expected four increasing numbers, for grades 1 to 4"
            )
        refuse_slopes(self.crs, "toxicity: crs")
        refuse_numbers(
            self,
            "toxicity",
            above=("crs_before_peak",),
            share=("crs_dlt", "other_dlt", "other_grade2"),
            plain=("other_dlt_per_dose",),
        )
        for name in ("tocilizumab_from", "steroid_from"):
            whole(getattr(self, name), name, "toxicity", most=5)

    def of(self, frame: pd.DataFrame, luck: Mapping[str, Floats], window: float) -> dict[str, NDArray[Any]]:
        """What happens to patients.

        Parameters
        ----------
        frame : pandas.DataFrame
            ``dose``, covariates, ``cmax``, ``tmax`` and ``auc_0_28``.
        luck : mapping of str to ndarray, shape (n_patients,)
            Uniform numbers by what they decide.
        window : float
            Days in which a DLT counts.

        Returns
        -------
        dict of str to ndarray, shape (n_patients,)
            ``crs_grade, crs_day, other_dlt_day, dlt, dlt_day, grade2, toci_day, steroid_day``; days are NaN where it did not
            happen.
        """
        score = _score(frame, self.crs, "toxicity.crs") + _logistic(luck["crs"])
        grade = np.digitize(score, self.crs_cuts)
        before = stats.gamma.ppf(luck["crs_onset"], 3, scale=self.crs_before_peak / 3)
        onset = np.maximum(frame["tmax"].to_numpy() - before, 0.5)
        # Limiting CRS is called so some days after it began.
        crs_limits = (grade >= 4) | ((grade >= 3) & (luck["crs_limits"] < self.crs_dlt))
        crs_day = np.where(crs_limits, onset + 3.0, np.inf)
        chance = np.clip(self.other_dlt + self.other_dlt_per_dose * frame["dose"].to_numpy() / 1e6, 0, 1)
        other_day = np.where(luck["other"] < chance, 1.0 + luck["other_day"] * (window - 1.0), np.inf)
        first = np.minimum(crs_day, other_day)
        dlt = first <= window
        toci = onset + 0.3 + 1.7 * luck["tocilizumab"]
        steroid = toci + 0.2 + 1.3 * luck["steroid"]
        other2 = luck["other_grade2"] < self.other_grade2
        return {
            "crs_grade": grade,
            "crs_day": np.where(grade > 0, onset, np.nan),
            "other_dlt_day": np.where(np.isfinite(other_day), other_day, np.nan),
            "dlt": dlt,
            "dlt_day": np.where(dlt, first, np.nan),
            "grade2": ~dlt & (((grade == 2) & (onset <= window)) | other2),
            "toci_day": np.where(grade >= self.tocilizumab_from, toci, np.nan),
            "steroid_day": np.where(grade >= self.steroid_from, steroid, np.nan),
        }


@dataclass(frozen=True)
class Tumour:
    """Size of the tumour, and survival with and without progression.

    Parameters
    ----------
    burden : str
        Covariate with the sum of target diameters before treatment, mm.
    shrinkage, shrinkage_spread : float
        Typical rate of shrinkage per day, and the SD of its logarithm between patients.
    shrinkage_on : mapping of str to float
        Slopes of the log rate on texts over exposures, dose and covariates.
    growth, growth_spread : float
        Typical rate of regrowth per day, and the SD of its logarithm.
    noise : float
        SD of the log of a measured sum.
    new_lesion_per_day : float
        Hazard of a new lesion.
    scan_every : float
        Days between assessments.
    death, death_progressed : float
        Hazard of death per day before and after progression.
    source : str
        Where the numbers come from.

    Notes
    -----
    Size relative to baseline is exp(-shrinkage t) + exp(growth t) - 1 [1]_.

    References
    ----------
    .. [1] Stein WD, et al. Tumor growth rates derived from data for patients in a clinical trial correlate strongly with
       patient survival. Oncologist 2008;13:1046-1054.
    """

    burden: str = "base_sum"
    shrinkage: float = 0.004
    shrinkage_spread: float = 0.9
    shrinkage_on: Mapping[str, float] = field(default_factory=lambda: {"log(cmax / 1500)": 0.45})
    growth: float = 0.0022
    growth_spread: float = 0.7
    noise: float = 0.05
    new_lesion_per_day: float = 0.0025
    scan_every: float = 42.0
    death: float = 1 / 900
    death_progressed: float = 1 / 180
    source: str = (
        "ours: median PFS some 18 and OS some 37 weeks, one in four responds; huCART-meso had 12.3 and 26.1 weeks and no "
        "response (NCT03054298, abstract), gavo-cel one response in five (NCT03907852)"
    )

    def __post_init__(self) -> None:
        if not isinstance(self.burden, str):
            raise ConfigError(f"tumour: burden is {self.burden!r}; expected the name of a covariate")
        refuse_slopes(self.shrinkage_on, "tumour: shrinkage_on")
        refuse_numbers(
            self,
            "tumour",
            above=("scan_every", "new_lesion_per_day", "death", "death_progressed"),
            least=("shrinkage", "shrinkage_spread", "growth", "growth_spread", "noise"),
        )


@dataclass(frozen=True)
class Cytokine:
    """A cytokine that rises with the level of CAR-T cells.

    Parameters
    ----------
    base, spread : float
        Median before treatment (pg/mL), and the SD of its logarithm between patients.
    rise : float
        Slope of its logarithm on log(1 + level / half).
    lloq : float
        Limit of quantification.
    half : float
        Level of CAR-T cells from which on it matters.
    noise : float
        SD of the log of a measured value.
    """

    base: float
    spread: float
    rise: float
    lloq: float
    half: float = 300.0
    noise: float = 0.3

    def __post_init__(self) -> None:
        refuse_numbers(
            self, "cytokine", above=("base", "lloq", "half"), least=("spread", "noise"), plain=("rise",)
        )


@dataclass(frozen=True)
class Antibodies:
    """Anti-drug antibodies, and what they do to the cells.

    Parameters
    ----------
    existing, existing_titre : float
        Share of patients with antibodies before the infusion, and their titre.
    induced, fold : float
        Share in whom they rise, and how many-fold.
    onset : float
        Day from which on the rise is seen.
    loss : float
        Additional rate of loss of CAR-T cells per day from the onset on, where antibodies rose.
    lloq : float
        Lowest titre that is reported.
    source : str
        Where the numbers come from.
    """

    existing: float = 0.16
    existing_titre: float = 40.0
    induced: float = 0.35
    fold: float = 8.0
    onset: float = 14.0
    loss: float = 0.0
    lloq: float = 10.0
    source: str = "ours; 8 of 14 had antibodies under a murine scFv (Haas 2019, Mol Ther 27:1919), fewer are expected here"

    def __post_init__(self) -> None:
        refuse_numbers(
            self,
            "antibodies",
            above=("existing_titre", "fold", "lloq"),
            least=("onset", "loss"),
            share=("existing", "induced"),
        )


@dataclass(frozen=True)
class Links:
    """All links from the curve to what a trial sees.

    Parameters
    ----------
    toxicity : Toxicity
        CRS and dose-limiting toxicity.
    tumour : Tumour or None
        Size, progression and survival; None for a trial of toxicity alone.
    cytokines : mapping of str to Cytokine
        By assay.
    antibodies : Antibodies or None
        Anti-drug antibodies.
    """

    toxicity: Toxicity = Toxicity()
    tumour: Tumour | None = Tumour()
    cytokines: Mapping[str, Cytokine] = field(default_factory=dict)
    antibodies: Antibodies | None = None
