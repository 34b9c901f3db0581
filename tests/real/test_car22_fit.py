"""Real patients, the whole way: CD22 CAR-T cells by flow cytometry, weekly samples, 28 days.

No limit of detection comes with the data: 0.04 cells/µL, the smallest positive value, is taken. The follow-up holds
nothing about persistence, so the slow phase is fixed at Stein's values; everything else is estimated.
"""

import numpy as np
import pandas as pd
import pytest

import carkinetics as ck
from carkinetics.diagnostics import contraction
from carkinetics.diagnostics.replicate import predictive_coverage
from carkinetics.fit.predictive import new_subjects

pytestmark = pytest.mark.slow
LOD = 0.04
RANDOM = ["foldx", "tmax", "cmax", "alpha"]


def test_the_fit_converges(fit):
    verdict = ck.diagnose(fit)
    assert verdict.attrs["converged"], verdict.attrs["verdict"]


def test_the_peak_is_where_the_samples_are_and_of_their_size(fit, levels):
    population = fit.population()
    assert 10 < population.loc["tmax_typical", "median"] < 17
    # Median of each expanding patient's largest count is some 500 to 600 cells/µL; non-expanders pull cmax down.
    assert 80 < population.loc["cmax_typical", "median"] < 800
    assert population.loc["cmax_omega", "median"] > 1.5
    nca, model_based = ck.nca(levels), ck.exposure_from(fit, ["cmax", "auc_0_28"])
    both = pd.concat([nca.metric("cmax"), model_based.metric("cmax")], axis=1, keys=["nca", "model"]).dropna()
    both = both[(both > LOD).all(axis=1)]
    assert np.corrcoef(np.log(both.T))[0, 1] > 0.9


def test_the_expansion_is_said_to_be_weakly_informed(fit):
    learnt = contraction(fit)
    assert learnt.loc["foldx_typical", "words"] == "weakly informed"
    assert learnt.loc["cmax_typical", "words"] == "informed"
    findings = ck.diagnose(fit)
    assert "foldx_typical" in set(findings.loc[findings["rule"] == "prior-dominated", "where"])


def test_patients_without_any_detectable_cell_stay_in_the_fit(fit, levels):
    only_blq = levels.observations.groupby("subject")["status"].apply(lambda s: (s != "quantified").all())
    silent = [s for s in only_blq.index[only_blq] if s in set(fit.observations["subject"])]
    assert len(silent) >= 2
    peaks = fit.individual("cmax").set_index("subject")["median"]
    assert (peaks[silent] < peaks.median() / 10).all()


def test_samples_that_the_fit_has_not_seen_are_covered_as_often_as_it_says(curve, levels):
    # The last sample of every second patient is held out. 25 to 30 samples: 90 % ± 3 standard errors.
    rows = levels.observations
    last = rows[rows["status"] != "predose"].groupby("subject").tail(1)
    enough = rows["subject"].map(rows["subject"].value_counts()) >= 3
    held = last.index[enough[last.index]][::2]
    from dataclasses import replace

    seen = replace(levels, observations=rows.drop(index=held).reset_index(drop=True))
    unseen = replace(levels, observations=rows.loc[held].reset_index(drop=True))
    fit = ck.fit_hierarchical(curve, seen, random=RANDOM, draws=1500, tune=1500, target_accept=0.95, seed=23)
    coverage = predictive_coverage(fit, unseen)
    n = coverage["n_quantified"] + coverage["n_blq"]
    assert n >= 20
    assert coverage["covered"] == pytest.approx(0.9, abs=3 * np.sqrt(0.09 / n))


def test_another_cd19_product_has_the_same_order_of_magnitude(fit, external_data):
    # Axi-cel in lymphoma (Kimmel 2021, ZUMA-1 subset): medians 27.5, 9.1, 2.1 cells/µL at days 7, 14, 28; another
    # product and disease, so only the spread of new patients of this fit is asked to reach them.
    summary = pd.read_csv(external_data / "kimmel2021-zuma1" / "zuma1_moffitt_car_summary.csv")
    summary = summary[summary["day"] <= 28]
    assert len(summary) == 3
    days = summary["day"].to_numpy(float)
    curves = new_subjects(fit, 200, n_draws=50, seed=1)
    levels = np.asarray(
        ck.model.solve.curve(fit.model, days, {n: v.to_numpy()[..., None] for n, v in curves.items()})
    )
    low, high = np.quantile(levels.reshape(-1, len(days)), [0.05, 0.95], axis=0)
    assert ((low < summary["median_car_per_ul"]) & (summary["median_car_per_ul"] < high)).all()
