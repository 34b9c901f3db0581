# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Mechanistic models: competition, antigen, layers, and classes of patients
#
# An empirical curve says how high the level was. A mechanistic model says why, and needs more than levels to be told
# apart from it. We fit two, with lymphocytes or tumour observed in some of the patients, and ask whether they predict a
# patient that they have not seen better than the empirical curve does.

# %%
from pathlib import Path

import carkinetics as ck

ck.models()[["name", "purpose", "use"]]

# %% [markdown]
# ## Competition with lymphocytes
#
# In kimmel2021 CAR-T cells grow into the space that lymphodepletion leaves, and are crowded out when normal T cells come
# back. What can data tell of it?

# %%
competition = ck.load_model("kimmel2021")
print(competition.identifiability)
ck.plot.model_course(competition, days=90)[0]

# %% [markdown]
# Twelve patients, simulated, which keeps the page quick; lymphocytes were counted in every second one. The tumour was not
# measured, so killing cannot be learnt: its only free parameter is fixed.

# %%
competition = competition.fix(kb=4.05)
visits = (1, 3, 5, 7, 10, 14, 21, 28, 42, 60, 90)
design = {"times": visits, "lloq": 0.05, "assay": "flow"}
counted = {"lymphocytes": {"times": visits[::2], "lloq": 1, "every": 2, "assay": "lymphocytes"}}
competing = ck.simulate(competition, design, 12, seed=6, others=counted)
why = ck.fit_hierarchical(competition, competing, seed=1)
print(ck.diagnose(why).attrs["verdict"])
why.population()[["median", "lower", "upper", "ess_bulk"]]

# %% [markdown]
# The empirical model of the same levels, in cells/µL. A level in another unit needs its own prior; nothing is converted.

# %%
empirical = ck.load_model("stein2019").in_unit(
    "cells/uL",
    cmax={"dist": "lognormal", "median": 30, "sigma": 1.5},
    foldx={"dist": "lognormal", "median": 100, "sigma": 1.5},
)
how_high = ck.fit_hierarchical(empirical, competing.select(assay="flow"), seed=1)
print(ck.diagnose(how_high).attrs["verdict"])

# %% [markdown]
# Which predicts the levels of a patient it has not seen? Whole patients are left out, with their lymphocytes; `difference`
# is in units of log density, beside its standard error, and `k` says for how many patients the answer is unreliable.

# %%
ranking = ck.compare({"competition": why, "empirical": how_high}, n_draws=100)
ranking

# %%
ranking.attrs["subjects"].head()

# %% [markdown]
# ## Antigen-driven expansion
#
# Cells expand as long as they find tumour. Tumour size was measured in every second patient.

# %%
antigen = ck.load_model("effector_memory_tumour")
year = (1, 4, 7, 10, 14, 21, 28, 60, 90, 180)
sized = {"tumour": {"times": year[::2], "lloq": 0.01, "every": 2}}
driven = ck.simulate(antigen, {"times": year, "lloq": 50}, 12, seed=7, others=sized)
by_antigen = ck.fit_hierarchical(antigen, driven, seed=1, max_minutes=3)
print(ck.diagnose(by_antigen).attrs["verdict"])

# %%
levels = driven.select(assay="qpcr")
by_curve = ck.fit_hierarchical(ck.load_model("stein2019"), levels, seed=1)
ck.compare({"antigen": by_antigen, "empirical": by_curve}, n_draws=100)

# %%
ck.plot.individual_fits(by_antigen, output="tumour")[0]

# %% [markdown]
# ## Layers
#
# A cytokine on top of any model is a short file, not a copy. Here IL-6 is released while cells expand, and not by their
# level: `connect` says so. (In the 48 patients of a CD22 trial with daily IL-6 that is what the data prefer.)

# %%
Path("expansion_il6.toml").write_text("""
schema = 1
name = "expansion_il6"
title = "stein2019 with IL-6 that is released until the peak"
base = "stein2019"

[[layer]]
use = "cytokine"
as = "il6"
connect = { car = "where(t < tmax, level, 0)" }

[parameters.il6_per]
typical = 0.01
prior = { dist = "lognormal", median = 0.01, sigma = 1.5 }
""")
ck.plot.model_course(ck.load_model("expansion_il6.toml"), days=60)[0]

# %% [markdown]
# ## Two classes of patients
#
# In some patients the cells hardly expand. One log-normal population lies between the two kinds and describes neither; a
# mixture says that a patient belongs to one of two classes, which nobody sees.

# %%
Path("two_classes.toml").write_text("""
schema = 1
name = "two_classes"
title = "stein2019, and patients in whom cells hardly expand"
base = "stein2019"

[mixture]
class = "silent"
share = { dist = "logitnormal", median = 0.2, sigma = 0.8 }
meaning = "cells hardly expand"

[mixture.shift]
cmax = { dist = "normal", mean = -4, sd = 1.5 }
""")
two_classes = ck.load_model("two_classes.toml")
mixed = ck.simulate(two_classes, {"times": year, "lloq": 50}, 40, seed=3)
with_classes = ck.fit_hierarchical(two_classes, mixed, seed=1)
without = ck.fit_hierarchical(two_classes, mixed, mixture=False, seed=1)
print(ck.diagnose(with_classes).attrs["verdict"])
with_classes.population().loc[["silent_share", "cmax_typical", "cmax_typical_silent", "cmax_omega"]]

# %% [markdown]
# Whom does it take for silent, and were they? Data of one's own have no `true_silent`.

# %%
mixed.subjects.set_index("subject")[["true_silent"]].join(with_classes.classes()).sort_values("silent").tail(
    10
)

# %%
ck.compare({"two classes": with_classes, "one": without}, n_draws=200)

# %% [markdown]
# ## Samples that a fit has not seen
#
# `compare` asks about new patients. For later samples of the same patients, fit the earlier ones and hold the rest out:
# the higher the log density of a measurement, the better it was foreseen. A patient's own samples tell the class, so that
# the two models foresee much the same; what classes are good for is the next patient.

# %%
late = mixed.observations["time"] > 60
earlier, later = mixed.select(observations=~late), mixed.select(observations=late)
foreseen = {
    name: ck.held_out(ck.fit_hierarchical(two_classes, earlier, mixture=mixture, seed=1), later)
    for name, mixture in {"two classes": None, "one": False}.items()
}
difference = foreseen["two classes"]["log_density"] - foreseen["one"]["log_density"]
by_patient = difference.groupby(foreseen["one"]["subject"]).sum()
print(
    f"two classes minus one: {by_patient.sum():.1f}, standard error {by_patient.std() * len(by_patient) ** 0.5:.1f}"
)

# %% [markdown]
# How to write a model or a layer of your own: `models/README.md`.
