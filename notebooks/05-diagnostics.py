# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Is the fit to be believed? One good fit and three bad ones
#
# Chains that agree have found *a* posterior. Whether model, priors and data belong together is another question. This page asks it of four
# fits: a right one, one with the wrong model, one with a bad prior, and one whose data hold samples that do not belong.

# %%
from dataclasses import replace

import numpy as np
import pandas as pd

import carkinetics as ck

pd.set_option("display.max_colwidth", None)  # messages whole
visits = (1, 3, 5, 7, 10, 14, 21, 28, 42, 60, 90, 150, 240)
typical = {"foldx": 350.0, "tmax": 11.0, "cmax": 1500.0, "alpha": 0.16, "fb": 0.02, "beta": 0.01}
between = {"foldx": 0.8, "tmax": 0.25, "cmax": 1.0, "alpha": 0.4, "fb": 0.6, "beta": 0.4}
model = ck.load_model("stein2019").with_priors(
    cmax={"dist": "lognormal", "median": 2000, "sigma": 1.5},
    fb={"dist": "logitnormal", "median": 0.02, "sigma": 1.2},
    beta={"dist": "lognormal", "median": 0.01, "sigma": 1.0},
)


def simulate(**changed):
    """Thirty patients at two doses; what is given replaces their typical values."""
    design = {"times": visits, "lloq": 25, "doses": (0.3e6, 1e6), "assay": "qpcr"}
    return ck.simulate(model, design, 30, seed=3, typical=typical | changed, omega=between, sigma=0.4)


data = simulate()
effects = ["foldx", "tmax", "cmax", "alpha", "fb"]

# %% [markdown]
# ## A good fit
#
# Before the fit: what do the priors expect of such a study? Bands that hold the data, and are wider than them, are what one wants.

# %%
ck.plot.vpc(ck.prior_check(model, data, random=effects, seed=1))[0, 0]

# %%
good = ck.fit_hierarchical(model, data, random=effects, seed=1)
found = ck.review(good)
print(found.attrs["verdict"])
found

# %% [markdown]
# Did the chains find the same distribution, and is the effective sample size still growing in proportion to the draws?

# %%
ck.plot.ranks(good, parameters=["cmax_typical", "alpha_typical", "beta_typical", "foldx_omega"])[0]

# %%
ck.plot.ess(good)[0]

# %% [markdown]
# Would new studies of this model look like the observed one? Levels are corrected for dose, the LLOQ of each sample with them, and then
# censored; the lower panel has the share of BLQ samples.

# %%
ck.plot.vpc(good, corrected=True)[0, 0]

# %% [markdown]
# Prediction errors in standard normal units, samples of a patient decorrelated, BLQ samples drawn from below their limit:

# %%
errors = ck.npde(good)
print(errors.statement)
ck.plot.npde(errors)[0, 0]

# %% [markdown]
# And the numbers that people act on: peak, its day, area and last quantifiable sample, computed from simulated samples as from the observed ones.

# %%
exposure = ck.check_exposure(good, n_sim=100)
print(exposure.statement)
ck.plot.exposure_check(exposure)[0, 0]

# %% [markdown]
# What did the data tell, and what did the priors? Shrinkage says how far patients' estimates are drawn to the typical one; prior sensitivity
# what would change if the prior were a little stronger.

# %%
sensitivity = ck.prior_sensitivity(good, n_draws=400)
sensitivity[["prior", "likelihood", "strongest_prior", "contraction", "words"]].round(2)

# %%
ck.plot.sensitivity(sensitivity)

# %%
ck.plot.random_effects(good)[0]

# %% [markdown]
# ## The wrong model
#
# Here persistence is a tenth of the peak, and the model is told that there is none. The chains agree perfectly.

# %%
persistent = simulate(fb=0.1, beta=0.006)
one_phase = ck.load_model("stein2019").with_priors(cmax={"dist": "lognormal", "median": 2000, "sigma": 1.5})
wrong = ck.fit_hierarchical(one_phase.fix(fb=1e-6, beta=1.0), persistent, seed=1)
print(ck.review(wrong).attrs["verdict"])
ck.review(wrong).query("severity == 'warning'")[["rule", "message"]]

# %% [markdown]
# The fit takes one slow decline for both phases. The predictive check shows when that goes wrong: peaks are simulated too low, the weeks after
# them too high. Residuals of samples that follow each other are alike, because curves have another shape than the samples.

# %%
ck.plot.vpc(wrong)[0, 0]

# %%
ck.plot.individual_fits(wrong, order="worst", per_page=8)[0]

# %% [markdown]
# A model with persistence predicts patients better that neither has seen:

# %%
better = ck.fit_hierarchical(model, persistent, random=effects, seed=1)
ck.compare({"one phase": wrong, "two phases": better}, n_draws=100).round(2)

# %% [markdown]
# ## A bad prior
#
# The peak of leukaemia, 24 000 copies/µg, held to be known within a factor of two, for patients with solid tumours. The prior predictive check
# shows it before any sampling: the data lie below the bands.

# %%
certain = model.with_priors(cmax={"dist": "lognormal", "median": 24000, "sigma": 0.35})
ck.plot.vpc(ck.prior_check(certain, data, random=effects, seed=1))[0, 0]

# %%
pulled = ck.fit_hierarchical(certain, data, random=effects, seed=1)
print(ck.review(pulled).attrs["verdict"])
pd.DataFrame({"good": good.population()["median"], "bad prior": pulled.population()["median"]}).loc[
    ["cmax_typical", "cmax_omega", "sigma"]
].round(2)

# %% [markdown]
# The predictive check after the fit is content: random effects have become wide enough to reach the data. Prior and posterior beside each
# other tell.

# %%
ck.plot.prior_posterior(pulled, parameters=["cmax_typical", "cmax_omega"])[0]

# %% [markdown]
# ## Samples that do not belong
#
# Ten quantified samples are a hundred times too high: a decimal point, another patient's tube.

# %%
table = data.observations.copy()
quantified = np.flatnonzero((table["status"] == "quantified").to_numpy())
mistaken = np.random.default_rng(4).choice(quantified, 10, replace=False)
for column in ("value", "lower", "upper"):
    table.loc[mistaken, column] *= 100
spoilt = replace(data, observations=table)
misled = ck.fit_hierarchical(model, spoilt, random=effects, seed=1)
print(ck.review(misled).attrs["verdict"])
ck.review(misled).query("rule in ['outlying-samples', 'heavy-tails']")[["rule", "message"]]

# %% [markdown]
# Patients fitted worst come first; residuals show the rest.

# %%
ck.plot.individual_fits(misled, order="worst", per_page=8)[0]

# %%
ck.plot.gof(misled)[0, 0]

# %% [markdown]
# Samples are looked into, not deleted. Where they have to stay, Student-t errors let a few of them be far off at a price that the others do not pay:

# %%
robust = ck.fit_hierarchical(model, spoilt, random=effects, error="student_t", seed=1)
truth = pd.Series({f"{name}_typical": value for name, value in typical.items()} | {"sigma": 0.4})
fits = {
    "truth": truth,
    "lognormal": misled.population()["median"],
    "student_t": robust.population()["median"],
}
pd.DataFrame(fits).loc[["tmax_typical", "cmax_typical", "alpha_typical", "fb_typical", "sigma"]].round(3)

# %% [markdown]
# ## What said what
#
# | | convergence | predictive check | NPDE | residuals | priors | leave-one-out |
# |---|---|---|---|---|---|---|
# | wrong model | content | peaks too low, week 4 too high | content | neighbours alike | – | prefers the other |
# | bad prior | content | content after, not before | content | content | conflict | – |
# | outliers | content | – | not normal | heavy tails, named | – | – |
#
# Nothing sees everything. `ck.review(fit)` asks most of these at once, and the report begins with its verdict; tests/FAULTS.md has ten planted
# faults and what caught each.

# %%
pd.DataFrame(
    {
        name: ck.review(fit).attrs
        for name, fit in {"good": good, "wrong": wrong, "prior": pulled, "outliers": misled}.items()
    }
).T[["converged", "adequate", "verdict"]]
