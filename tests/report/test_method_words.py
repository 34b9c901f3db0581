from dataclasses import replace

import pandas as pd

import carkinetics as ck
from carkinetics.report.method_words import method_sentences
from carkinetics.report.methods import methods_section
from carkinetics.report.parts import sort_parts


def said(*parts) -> str:
    return " ".join(method_sentences(parts))


def test_each_kind_of_result_has_its_sentence(good_fit, observed, modelled, dose, grade):
    assert said(modelled).startswith(
        "Exposure (Cmax, Tmax, AUC day 0–28, half-life) was computed from the curve"
    )
    assert "linear-up/log-down rule" in said(observed)
    assert said(dose).startswith(
        "AUC day 0–28 was related to dose by a power model (flat-prior regression per posterior draw)"
    )
    assert said(dose).endswith(
        "(90% equal-tailed) of the ratio of dose-normalised exposures at the highest and at the lowest dose lies within 0.8 to 1.25."
    )
    peak = replace(dose, metric="cmax")
    assert said(peak, dose).startswith("Cmax and AUC day 0–28 were related to dose by a power model")
    assert said(grade) == (
        "crs_grade >= 3 was related to Cmax (log) by logistic regression. Exposures entered the regressions as posterior draws, so that their "
        "uncertainty is part of the intervals."
    )
    check = ck.vpc(good_fit, n_sim=20, corrected=True)
    assert "prediction-corrected visual predictive checks of 20 simulated studies" in said(check)
    assert "prediction-corrected" not in said(ck.vpc(good_fit, n_sim=20))
    assert "rest on 60 replicates" in said(ck.npde(good_fit, n_sim=60))


def test_tables_of_verbs_are_told_by_their_sign():
    power, ranking = pd.DataFrame(), pd.DataFrame(index=["base", "gate"])
    power.attrs["noise_prior"], ranking.attrs["subjects"] = 0.1, pd.DataFrame()
    assert "power-scaling" in said(power)
    assert "Models (base, gate) were compared" in said(ranking)
    sizes = pd.DataFrame()
    sizes.attrs = {"criteria": "recist 1.1", "confirm": True, "confirm_days": 28.0}
    assert said(sizes).endswith("by RECIST 1.1, CR and PR confirmed after 28 days.")
    assert said(pd.DataFrame(), "a text") == ""


def test_a_label_is_capitalised_and_a_landmark_belongs_to_the_outcome(grade):
    later = replace(grade, settings=grade.settings | {"label": "severe CRS", "landmark": 28.0})
    assert said(later).startswith("Severe CRS after day 28 was related to Cmax (log) by logistic")


def test_only_exposures_that_were_drawn_are_said_to_be(grade):
    known = replace(
        grade,
        settings=grade.settings
        | {"label": "known", "exposure": "point values; their uncertainty is not carried"},
    )
    assert said(grade, known).endswith(
        "Exposures entered the regressions of crs_grade >= 3 as posterior draws, so that their uncertainty is part of the intervals. Exposures "
        "entered the regressions of known as point values, so that their uncertainty is no part of the intervals."
    )
    assert "posterior draws" not in said(known)


def test_what_responses_rest_on_is_told():
    sums = pd.DataFrame()
    sums.attrs = {"criteria": "recist 1.1", "confirm": False, "confirm_days": 28.0, "assay": "sld", "unseen": ["a"],
                  "columns": {"pfs": {"duration": "pfs_day", "event": "pfs_event"}}}  # fmt: skip
    assert said(sums) == (
        "Responses of tumours were derived from sums of target diameters (sld) by RECIST 1.1, CR and PR not confirmed; progression that was "
        "recorded (pfs_day) and that the sums do not show, in 1 patient, counted as new lesions."
    )
    sums.attrs |= {"columns": {"new_lesion": "new_lesion_day"}, "unseen": []}
    assert "(sld) and recorded new lesions by RECIST 1.1" in said(sums)


def test_what_was_made_alike_is_told_once(modelled, grade):
    assert said(modelled, modelled) == said(modelled)
    assert said(grade, grade).count("posterior draws") == 1


def test_the_report_tells_what_it_shows(good_fit, observed, modelled, dose, grade):
    text = methods_section(sort_parts((good_fit, observed, modelled, dose, grade), None)).blocks[0].text
    for words in (
        "visual predictive checks",
        "prediction distribution errors",
        "power model",
        "Cmax (log) by logistic regression",
    ):
        assert words in text
