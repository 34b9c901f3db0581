# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # A hierarchical fit, choice by choice
#
# All patients are fitted together: a population, patients that differ from it, samples that scatter round each patient's
# curve. Every choice below has a default. This page shows what each does, on simulated patients whose truth we know.

# %%
import pandas as pd

import carkinetics as ck

truth = {"foldx": 350.0, "tmax": 11.0, "cmax": 1500.0, "alpha": 0.16, "fb": 0.02, "beta": 0.01}
spread = {"foldx": 0.8, "tmax": 0.25, "cmax": 1.0, "alpha": 0.4, "fb": 0.6, "beta": 0.4}
visits = (1, 3, 5, 7, 10, 14, 21, 28, 42, 60, 90, 150, 240)
model = ck.load_model("stein2019")
data = ck.simulate(
    model,
    {"times": visits, "lloq": 25, "doses": (0.1e6, 0.3e6, 1e6, 2e6), "assay": "qpcr"},
    n=32,
    seed=2,
    typical=truth,
    omega=spread,
    sigma=0.4,
    on_log_dose={"cmax": 0.5},
)
ck.plot.profiles(data, by="dose_level")

# %% [markdown]
# ## What varies
#
# `foldx` is the expansion from day 0 to the peak, `cmax` the peak, `tmax` its day; `alpha` and `beta` are the fast and the slow decline
# and `fb` the share of the peak that declines slowly. Each patient has a value of its own, log-normal round the typical one (logit-normal
# for a fraction), with a standard deviation called omega. The model file says which parameters vary; `random=` says otherwise.
#
# How well could this design tell? Before any sampling, a Laplace approximation answers in a second, with standard errors. It is
# a start and a quick look, not the answer.

# %%
quick = ck.fit_population(model, data)
quick

# %% [markdown]
# ## Priors
#
# The file's priors are for leukaemia, where the peak is near 24 000 copies/µg. In solid tumours it is lower; what is believed before the data
# belongs into the prior, with its source.

# %%
solid = model.with_priors(
    cmax={"dist": "lognormal", "median": 2000, "sigma": 1.5, "source": "earlier solid-tumour trials, wide"},
    fb={"dist": "logitnormal", "median": 0.02, "sigma": 1.2},
    beta={"dist": "lognormal", "median": 0.01, "sigma": 1.0},
)
pd.DataFrame([{"parameter": name, "prior": str(one.prior)} for name, one in solid.parameters.items()])

# %% [markdown]
# ## The fit
#
# Dose moves the peak here: `covariates={"cmax": "log(dose / 1e6)"}` lets `log(cmax)` rise in a straight line with it. Dividing by 10⁶ centres the
# covariate, so that the typical peak is that of 10⁶ cells per kg; without, it would be that of one cell, and the sampler would
# have to move along a long thin ridge.

# %%
fit = ck.fit_hierarchical(solid, data, covariates={"cmax": "log(dose / 1e6)"}, seed=1)
print(ck.diagnose(fit).attrs["verdict"])
found = fit.population()
known = (
    {f"{name}_typical": value for name, value in truth.items()}
    | {f"{name}_omega": value for name, value in spread.items()}
    | {"sigma": 0.4, "cmax_on_log_dose_1e6": 0.5}
)
table = found.loc[
    [name for name in known if name in found.index], ["median", "lower", "upper", "rhat", "ess_bulk"]
]
table.insert(0, "truth", pd.Series(known))
table["inside"] = table["truth"].between(table["lower"], table["upper"])
table.round(4)

# %% [markdown]
# What did the data narrow, and what is the prior given back? The slow decline needs levels above the limit in the third month and later; few
# patients have them.

# %%
ck.plot.prior_posterior(fit, parameters=["cmax_typical", "foldx_typical", "alpha_typical", "beta_typical"])[0]

# %%
ck.plot.individual_fits(fit, per_page=8)[0]

# %% [markdown]
# ## BLQ samples
#
# Almost half of these samples are below the limit. M3, the default, uses what is known of them: that they lie below it. M1 leaves them out,
# which keeps the patients' high late samples and loses their low ones: the slow share `fb` comes out too large. M5 puts half the limit in
# their place, a level that never falls: `beta` comes out five times too small.

# %%
below = float((data.observations["status"] != "quantified").mean())
print(f"{below:.0%} of the samples are BLQ")
others = {
    blq: ck.fit_hierarchical(solid, data, covariates={"cmax": "log(dose / 1e6)"}, blq=blq, seed=1)
    for blq in ("M1", "M5")
}
blq_matters = pd.DataFrame(
    {name: one.population()["median"] for name, one in {"M3": fit, **others}.items()}
).loc[["alpha_typical", "fb_typical", "beta_typical", "sigma"]]
blq_matters.insert(0, "truth", pd.Series(known))
blq_matters.round(4)

# %% [markdown]
# ## With the covariate, or without it?
#
# Whole patients are left out in turn. A model is better when it predicts them better; `difference` stands beside its standard error. Here
# the interval of the slope is above 0, and yet 32 patients that differ tenfold in their peaks are not predicted better with it than
# without: the two are not separated. `bad_k` counts patients for whom the weights are unreliable.

# %%
without = ck.fit_hierarchical(solid, data, seed=1)
ck.compare({"with dose": fit, "without": without}, n_draws=200)

# %% [markdown]
# What the slope means for exposure, with the range that counts as no difference:

# %%
forest = ck.covariate_forest(fit, metrics=["cmax", "auc_0_28"])
print(forest.statement)
ck.plot.forest(forest)

# %% [markdown]
# ## Random effects that go together
#
# Patients who expand more may also expand longer. `correlated=` gives some random effects, or all, a full correlation matrix with an LKJ(2)
# prior. These patients were simulated without, and the interval says so.

# %%
together = ck.fit_hierarchical(
    solid, data, covariates={"cmax": "log(dose / 1e6)"}, correlated=["tmax", "cmax"], seed=1
)
together.population().loc[["corr_tmax_cmax"], ["median", "lower", "upper"]].round(2)

# %% [markdown]
# ## Two engines, one posterior
#
# The structured sampler draws in seconds; nutpie draws the same posterior from the PyMC model by NUTS. Where effects are well informed they
# are sampled centred (the patient's value itself), where they are not, non-centred (its deviation in units of omega), so that neither
# funnels. `cross_check(fit)` compares the means of both, in units of their Monte-Carlo error.

# %%
small = data.select(subjects=data.subject_ids[:16])
fast = ck.fit_hierarchical(solid, small, random=["tmax", "cmax", "alpha"], seed=1)
agree = ck.cross_check(fast)
print(f"centred: {', '.join(fast.settings['centred']) or 'none'}; largest |z| {agree.attrs['largest_z']:.1f}")
agree.round(3)

# %% [markdown]
# ## Into a manuscript

# %%
print(ck.methods_text(fit))

# %%
ck.parameter_table(fit).drop(columns=["R-hat", "ESS"]).head(12)
