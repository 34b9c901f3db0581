# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # From exposure to response and toxicity
#
# Exposure is measured after the outcome has begun, tumour burden drives both, and fourteen responders carry a slope. What can
# be said all the same, and what is refused. The trial is simulated; the last section has real patients.

# %%
import os
from pathlib import Path

import pandas as pd
from IPython.display import display

import carkinetics as ck

data = ck.example("nct05783089")
subjects = data.subjects.set_index("subject")
model = ck.load_model("stein2019").with_priors(
    cmax={"dist": "lognormal", "median": 1500, "sigma": 1.5},
    foldx={"dist": "lognormal", "median": 350, "sigma": 1.5},
)
fit = ck.fit_hierarchical(
    model, data.select(assay="qpcr"), covariates={"cmax": ["log(dose)", "log(wt)"]}, seed=1,
)  # fmt: skip
exposure = ck.exposure_from(fit, metrics=["cmax", "tmax", "auc_0_7", "auc_0_28"])
print(ck.diagnose(fit).attrs["verdict"])

# %% [markdown]
# ## Outcomes
#
# Response rates with intervals, by dose level; survival with the numbers at risk.

# %%
response = subjects["response"].isin(["CR", "PR"])
ck.proportions(response, subjects["dose_level"]).round(2)

# %%
dose = (subjects["dose_level"] >= 2e6).map({True: "2 × 10⁶ cells/kg", False: "up to 1 × 10⁶ cells/kg"})
ck.plot.survival_curves(subjects["pfs_day"], subjects["pfs_event"], dose.to_numpy(), label="Progression-free")

# %% [markdown]
# The response at every visit by RECIST 1.1, from sums of diameters; `derive_response` does the same from a table of lesions, and
# `derive_event` gives the time to progression, response or death with declared censoring. `write_report` has a section for both.

# %%
responses = ck.responses_from(data, "sld", confirm=True)
ck.plot.waterfall(responses, dose)

# %%
ck.plot.spider(responses, dose)

# %% [markdown]
# Every third patient, so that the bars stay legible.

# %%
shown = subjects.index[::3]
end = subjects.loc[shown, ["os_day", "os_event"]].set_axis(["time", "event"], axis=1)
ck.plot.swimmer(responses[responses["subject"].isin(shown)], end, dose.loc[shown])

# %% [markdown]
# ## Timing
#
# CRS mostly begins before the peak. What was there before it, not the peak, could have caused it.

# %%
timing = ck.onset_timing(fit, data, label="CRS")
print(timing.statement)
ck.plot.onset(fit, data, label="CRS")[0]

# %%
try:
    ck.fit_grade(exposure, data, "crs_grade >= 2", adjust="log(base_sum)")
except ck.CarkineticsError as refused:
    print(refused)

# %% [markdown]
# Sound is the hazard of a day given what was there by its beginning: exposure that changes with time. Fourteen days hold
# most CRS. After them levels go on while CRS does not come, which would be read as protection.

# %%
course = ck.exposure_course(fit, range(29), draws=100)
crs = {
    "outcome": "crs_grade >= 2", "onset": "crs_day", "window": 14, "adjust": "log(base_sum)", "label": "CRS of grade 2 or more",
}  # fmt: skip
by_baseline = {
    name: ck.fit_event(course, data, on="log(level)", baseline=name, **crs)
    for name in ("weibull", "piecewise")
}
for name, found in by_baseline.items():
    print(f"{name}: {found.statement}")

# %% [markdown]
# AUC0-28 is complete on day 28. Who progressed earlier has a smaller one for that reason alone, so it is refused. From a
# landmark on it is sound, and says whom it loses.

# %%
pfs = {"duration": "pfs_day", "event": "pfs_event", "on": "log(auc_0_28)", "adjust": "log(base_sum)"}
pfs["label"] = "progression or death"
try:
    ck.fit_event(exposure, data, **pfs)
except ck.CarkineticsError as refused:
    print(refused)

# %%
from_day_28 = ck.fit_event(exposure, data, landmark=28, **pfs)
print(from_day_28.statement)
ck.plot.event_curves(from_day_28, label="Progression-free")

# %%
from_day_28.excluded["reason"].value_counts().to_frame("subjects left out")

# %% [markdown]
# ## Confounding
#
# Adjust for tumour burden at baseline first: it drives expansion and response alike. If exposure itself matters, its two
# halves differ within low burden and within high burden.

# %%
ck.plot.quadrants(
    exposure.metric("cmax"), subjects["base_sum"], response, exposure_label="Cmax (copies/µg DNA)",
    burden_label="Sum of diameters at baseline (mm)", outcome_label="response",
)  # fmt: skip

# %%
objective = {"outcome": "response in ['CR', 'PR']", "label": "objective response", "adjust": "log(base_sum)"}
adjusted = ck.fit_grade(exposure, data, **objective)
print(adjusted.statement)
ck.plot.exposure_response(adjusted, dose=subjects["dose_level"])

# %% [markdown]
# How strong would an unmeasured confounder have to be, to explain the association away? (Estimate, and the limit nearer 1.)

# %%
row = adjusted.table.set_index("parameter").loc["odds_ratio_per_doubling"]
[round(value, 2) for value in ck.e_value(row["value"], row["lower"], scale="odds")]

# %% [markdown]
# ## The uncertainty of exposure
#
# Exposures are known up to their posterior. On point values the interval leaves that out; in two stages it is carried, and
# the slope is flattened; jointly the outcome speaks on the exposures too.

# %%
joint = ck.fit_joint(fit, data, **objective, method="weights", draws=150)
print(joint.statement)
two_stage, jointly = (
    table.set_index("parameter").loc["odds_ratio_per_doubling"] for table in (joint.two_stage, joint.table)
)
pd.DataFrame(
    {
        "point values": two_stage[["naive", "naive_lower", "naive_upper"]].to_numpy(),
        "two stages": two_stage[["value", "lower", "upper"]].to_numpy(),
        "joint": jointly[["value", "lower", "upper"]].to_numpy(),
    },
    index=["odds ratio per doubling", "lower", "upper"],
).T.astype(float).round(2)

# %% [markdown]
# ## Grades
#
# One slope for all grades is an assumption. A logistic regression of every cut alone checks it. (The timing is not checked
# here, with `onset=""`: this shows the model, not the cause.)

# %%
grades = ck.fit_grade(exposure, data, "crs_grade", adjust="log(base_sum)", onset="")
print(grades.statement)
grades.per_cut.round(2)

# %% [markdown]
# ## Cytokines
#
# A cytokine made and lost on top of the kinetics: does it peak before the cells, or after? Thirty patients and few kinetic
# draws keep the page quick; the sentence says what that costs.

# %%
sampled = data.observations.query("assay == 'il6'")["subject"].value_counts().index[:30]
il6 = ck.fit_marker(fit, data.select(subjects=sampled), "il6", kinetic_draws=3)
print(il6.statement)
ck.plot.marker(il6)[0, 0]

# %%
ck.plot.marker_lag(il6)

# %% [markdown]
# Peaks keep what is not known: below the LLOQ a value lies between 0 and it, above the ULOQ it has no upper end.

# %%
ck.marker_summary(data, ["il6", "ifng"]).groupby("assay")[
    ["peak_lower", "peak_upper", "peak_day", "fold_lower"]
].median().round(1)

# %% [markdown]
# ## Antibodies
#
# Who lived longer had more time to become positive. "Ever positive" is refused; the onset as a time is an input of the model.

# %%
titres = data.observations.query("assay == 'ada'").rename(columns={"time": "day", "value": "titre"})
antibodies = ck.antibody_status(
    titres[["subject", "day", "titre"]].fillna({"titre": 0}), boost_factor=4, transient_days=112
)
antibodies["status"].value_counts().to_frame("subjects")

# %%
positive = antibodies["status"].isin(["boosted", "induced"])
try:
    ck.antibody_effect(model, data.select(assay="qpcr"), positive)
except ck.CarkineticsError as refused:
    print(refused)

# %% [markdown]
# With the onset: a loss of CAR-T cells that begins then, against none. Twelve patients who became positive and twelve who did
# not keep the page quick; with so few, a small loss cannot be told from none.

# %%
few = pd.concat([antibodies[antibodies["status"] == kind].head(12) for kind in ("induced", "negative")])
effect = ck.antibody_effect(
    model, data.select(assay="qpcr", subjects=few.index), few["onset"], effects=["step"], n_draws=100, seed=1
)
print(effect.statement)

# %% [markdown]
# ## Dose
#
# A power model on posterior exposures, and the covariates beside it as ratios to a typical patient.

# %%
proportional = ck.dose_exposure(exposure, data, "cmax")
print(proportional.statement)
ck.plot.dose_exposure(proportional, exposure=exposure)

# %%
ck.plot.forest(ck.covariate_forest(fit, n_draws=200))

# %% [markdown]
# ## Real patients
#
# CD22 CAR-T cells in children and young adults with leukaemia (Blood 2021;138:2469-2484). The data are not part of the
# package: this section is skipped where neither `CARKINETICS_EXTERNAL_DATA` nor a folder `shared/data-external` beside the
# checkout has them.

# %%
beside = Path(ck.__file__).resolve().parents[2] / "shared" / "data-external"
folder = Path(os.environ.get("CARKINETICS_EXTERNAL_DATA", beside)) / "car22-nci"
if folder.is_dir():
    table = pd.read_csv(folder / "tidy_patients.csv")
    burden = pd.to_numeric(table["MARROW_BURDEN_PCT"], errors="coerce").clip(0.01)
    patients = ck.read_nonmem(
        folder / "tidy_car_kinetics.csv", columns={"TIME": "TIME_DAY", "DV": "ABS_CAR_PER_UL"}, value_unit="cells/uL",
        lloq=0.04, subjects=table.assign(burden=burden), default_assay="flow",
    )  # fmt: skip
    curve = ck.load_model("stein2019").in_unit(
        "cells/uL", cmax={"dist": "lognormal", "median": 100, "sigma": 2, "omega": 2},
        tmax={"dist": "lognormal", "median": 13, "sigma": 0.4}, alpha={"dist": "lognormal", "median": 0.2, "sigma": 0.7},
    ).fix(fb=0.0079, beta=0.0032)  # fmt: skip
    real = ck.fit_hierarchical(curve, patients, random=["foldx", "tmax", "cmax", "alpha"], seed=22)
    print(ck.diagnose(real).attrs["verdict"])
    print(ck.onset_timing(real, patients, "crs_day", "crs_max_grade").statement)
    display(ck.plot.onset(real, patients, "crs_day", "crs_max_grade")[0])
else:
    print("Skipped: no real patients' data here.")

# %% [markdown]
# Every CRS began before the peak. HLH comes later: its odds are asked jointly with the kinetics, its hazard with the level
# of the day. The hazard of CRS goes with the level of the day less than Cmax, unchecked, would have it.

# %%
if folder.is_dir():
    levels, peaks = (
        ck.exposure_course(real, range(29), draws=100),
        ck.exposure_from(real, metrics=["cmax", "tmax"]),
    )
    hlh = ck.fit_joint(real, outcome="hlh == 1", adjust="log(burden)", method="weights", draws=100)
    unchecked = ck.fit_grade(peaks, patients, "crs_max_grade >= 2", adjust="log(burden)", onset="")
    asked = {"on": "log(level)", "adjust": "log(burden)"}
    hlh_day = ck.fit_event(levels, patients, outcome="hlh == 1", onset="hlh_day", **asked)
    crs_day = ck.fit_event(
        levels,
        patients,
        outcome="crs_max_grade >= 2",
        onset="crs_day",
        window=14,
        baseline="piecewise",
        **asked,
    )
    found = {"HLH, Cmax, joint (odds)": hlh, "HLH, level of the day (hazard)": hlh_day,
             "CRS ≥ 2, Cmax, not checked (odds)": unchecked, "CRS ≥ 2, level of the day (hazard)": crs_day}  # fmt: skip
    rows = {
        name: each.table[each.table["parameter"].str.endswith("ratio_per_doubling")].iloc[0]
        for name, each in found.items()
    }
    display(
        pd.DataFrame(rows)
        .T[["value", "lower", "upper", "naive", "naive_lower", "naive_upper"]]
        .astype(float)
        .round(2)
    )

# %% [markdown]
# Response 0 is a complete remission without measurable disease. The files do not say when it was
# assessed; about day 28, after the peak, is assumed. Above a few hundred cells/µL more expansion does not go with more of it:
# the lowest quarter of patients makes the slope.

# %%
if folder.is_dir():
    remission = ck.fit_grade(peaks, patients, "response == 0", adjust="log(burden)")
    print(remission.statement)
    display(ck.plot.exposure_response(remission))

# %% [markdown]
# Naive estimates leave the uncertainty of exposure out, and are the larger ones nearly everywhere. Manufacturing changed with
# the dose, few patients carry each line, and nothing here was randomised to exposure.
