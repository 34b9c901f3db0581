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
# Exposure is measured after the outcome has begun, tumour burden drives both, and twenty patients carry a slope. What can
# be said all the same, and what is refused. The trial is simulated.

# %%
import pandas as pd

import carkinetics as ck

data = ck.example("nct05783089")
subjects = data.subjects.set_index("subject")
qpcr = data.select(assay="qpcr")
model = ck.load_model("stein2019").with_priors(
    cmax={"dist": "lognormal", "median": 1500, "sigma": 1.5},
    foldx={"dist": "lognormal", "median": 350, "sigma": 1.5},
)
fit = ck.fit_hierarchical(model, qpcr, seed=1)
exposure = ck.exposure_from(fit, metrics=["cmax", "tmax", "auc_0_7", "auc_0_28"])
print(ck.diagnose(fit).attrs["verdict"])

# %% [markdown]
# ## Outcomes
#
# Response rates with intervals, by dose level; survival with the numbers at risk.

# %%
response = subjects["response"].isin(["CR", "PR"])
ck.proportions(response, subjects["dose_level"])

# %%
ck.plot.survival_curves(
    subjects["pfs_day"], subjects["pfs_event"], (subjects["dose_level"] >= 2e6).map({True: "2e6", False: "lower"}).to_numpy(),
    label="Progression-free",
)  # fmt: skip

# %% [markdown]
# The sums of diameters as the change of one target lesion. From a table of lesions, `derive_response` gives the response at
# every visit by RECIST 1.1, and `derive_event` the time to progression, response or death with declared censoring.

# %%
sizes = data.observations.query("assay == 'sld'")
lesions = pd.DataFrame(
    {"subject": sizes["subject"], "day": sizes["time"], "lesion": "all targets", "kind": "target", "size_mm": sizes["value"],
     "status": ""}
)  # fmt: skip
responses = ck.derive_response(lesions, confirm=True)
ck.plot.waterfall(responses, subjects["dose_level"])

# %%
ck.plot.spider(responses, subjects["dose_level"])

# %% [markdown]
# ## Timing
#
# AUC0-28 is complete on day 28. Who progressed earlier has a smaller one for that reason alone, so the analysis is refused.

# %%
try:
    ck.exposure_response(exposure, data, duration="pfs_day", event="pfs_event", on="log(auc_0_28)")
except ck.CarkineticsError as refused:
    print(refused)

# %% [markdown]
# From a landmark on it is sound; it says whom it loses.

# %%
from_day_28 = ck.exposure_response(
    exposure,
    data,
    duration="pfs_day",
    event="pfs_event",
    on="log(auc_0_28)",
    adjust="log(base_sum)",
    landmark=28,
)
print(from_day_28.statement)
from_day_28.table.round(3)

# %%
from_day_28.excluded["reason"].value_counts()

# %% [markdown]
# CRS mostly begins before the peak. What was there before it, not the peak, could have caused it.

# %%
try:
    ck.exposure_response(exposure, data, outcome="crs_grade >= 2", on="log(cmax)", onset="crs_day")
except ck.CarkineticsError as refused:
    print(refused)

# %% [markdown]
# ## Confounding, and the uncertainty of exposure
#
# Adjust for baseline tumour burden first. `missing` is the share of the variance that comes from exposures being known only
# up to their posterior; the regression on point values, which leaves it out, stands beside it.

# %%
adjusted = ck.exposure_response(
    exposure, data, outcome="response in ['CR', 'PR']", on="log(cmax)", adjust="log(base_sum)"
)
print(adjusted.statement)
adjusted.table.round(3)

# %%
ck.plot.quadrants(
    exposure.metric("cmax"), subjects["base_sum"], response, exposure_label="Cmax (copies/µg DNA)",
    burden_label="Sum of diameters at baseline (mm)", outcome_label="response",
)  # fmt: skip

# %% [markdown]
# How strong would an unmeasured confounder have to be, to explain the association away?

# %%
row = adjusted.table.loc["log(cmax)"]
ck.e_value(row["ratio"], row["ratio_lower"], scale="odds")

# %% [markdown]
# ## Cytokines and antibodies
#
# Peaks keep what is not known: below the LLOQ a value lies between 0 and it, above the ULOQ it has no upper end.

# %%
ck.marker_summary(data, ["il6", "ifng"]).groupby("assay")[["peak_lower", "peak_day", "fold_lower"]].median()

# %%
titres = data.observations.query("assay == 'ada'").rename(columns={"time": "day", "value": "titre"})[
    ["subject", "day", "titre"]
]
antibodies = ck.antibody_status(titres.fillna({"titre": 0}), boost_factor=4, transient_days=112)
antibodies["status"].value_counts()
