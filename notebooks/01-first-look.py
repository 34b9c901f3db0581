# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # A first look: from a table to exposure with uncertainty
#
# Eighty-seven simulated patients received 0.1 to 2.0 × 10⁶ CAR-T cells per kg. We read their qPCR series, look at them,
# fit one patient, then all of them, and ask how much each patient was exposed to.

# %%
from pathlib import Path
from tempfile import mkdtemp

import carkinetics as ck

data = ck.example("nct05783089").select(assay="qpcr")
data

# %% [markdown]
# What is wrong with the table, or worth knowing? Errors come first.

# %%
ck.check(data)

# %%
ck.plot.profiles(data, by="dose_level")

# %% [markdown]
# Straight from the samples, without a model:

# %%
samples = ck.nca(data, metrics=["cmax", "tmax", "auc_0_28", "half_life"])
samples.wide().head()

# %% [markdown]
# ## One patient
#
# The model is a text file with its equations, its published numbers and where they were read. This trial is in solid
# tumours, where cells expand less than in leukaemia, so the prior for the peak is lower than the file's.

# %%
model = ck.load_model("stein2019").with_priors(cmax={"dist": "lognormal", "median": 2000, "sigma": 1.5})
richest = data.observations["subject"].value_counts().index[0]
alone = ck.fit_individuals(model, data.select(subjects=[richest]))
alone.parameters[["parameter", "median", "lower", "upper", "unit", "status"]]

# %%
ck.plot.individual_fits(alone)[0]

# %% [markdown]
# ## Everybody together
#
# Patients with few samples borrow from the others. To keep this page quick we take twenty of them and few draws; the
# study file beside the data has all of them.

# %%
some = data.select(subjects=data.subject_ids[::4][:20])
fit = ck.fit_hierarchical(
    model,
    some,
    random=["tmax", "cmax", "alpha"],
    covariates={"cmax": "log(dose / 1e6)"},
    draws=500,
    tune=500,
    seed=1,
)
fit.population()[["median", "lower", "upper", "unit"]].round(3)

# %% [markdown]
# Did it converge, and what did the data not inform? The verdict is one sentence.

# %%
found = ck.diagnose(fit)
print(found.attrs["verdict"])
found

# %%
ck.plot.individual_fits(fit, per_page=10)[0]

# %% [markdown]
# ## How much?
#
# The same metrics from the fitted curves, with the uncertainty of the fit.

# %%
exposure = ck.exposure_from(fit, metrics=["cmax", "tmax", "auc_0_28"])
exposure.table.head()

# %%
rise = ck.dose_exposure(exposure, some, "auc_0_28", seed=1)
print(rise.statement)

# %% [markdown]
# One page with all of it, to mail or to print:

# %%
report = ck.write_report(
    Path(mkdtemp()) / "first-look.html", some, fit, samples, exposure, rise, title="A first look"
)
print(f"{report.name}: {report.stat().st_size / 1e6:.1f} MB")
