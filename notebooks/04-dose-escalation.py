# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Dose escalation: what comes next, and what a trial can learn
#
# A trial of the shape of NCT05783089, from the first patient to the expansion: accelerated titration, then 3+3, then an
# expansion. Every patient here is simulated. What the registry record says and what is ours is written in the trial's file.

# %%
from dataclasses import replace

import pandas as pd
from IPython.display import Markdown, display

import carkinetics as ck

plan = ck.load_trial("nct05783089")
design, doses = plan.design, plan.design.doses
for part in ("record", "ours"):
    display(Markdown(f"**{part}**: {plan.notes[part]}"))

# %% [markdown]
# ## Step by step
#
# A design is a rule: what happened so far goes in, the decision and its reason come out. Two patients of the titration, the
# second with a toxicity of grade 2:

# %%
so_far = [(0.1e6, 1, 0)]
print(design.decide())
print(design.decide(so_far))
so_far += [ck.Cohort(0.3e6, n=1, dlt=0, grade2=1)]
print(design.decide(so_far))
so_far += [(0.3e6, 2, 0)]
print(design.decide(so_far))

# %% [markdown]
# With a patient still in the window the rule answers only if that patient's outcome cannot change the answer.

# %%
try:
    design.decide([*so_far, ck.Cohort(0.6e6, n=3, dlt=0, pending=1)])
except ck.CarkineticsError as refused:
    print(refused)

# %% [markdown]
# What the protocol prints, and every way the next two cohorts can go from here. Probabilities are those of one truth: that of
# the patients simulated below.

# %%
ck.plot.decision_table(design)

# %%
truth = plan.scenarios["from_cells"]
paths = ck.dose_paths(design, 2, truth=truth.truth, grade2=truth.grade2, so_far=so_far)
ck.plot.dose_paths(paths)

# %% [markdown]
# ## One trial, from its cells
#
# A virtual patient has covariates, kinetics and a curve after the dose that is given; toxicity and response follow from the
# curve. The design sees what a real one would see, and decides.

# %%
trial = ck.simulate_trial(plan, seed=7)
ck.plot.escalation(trial)

# %%
path = ck.escalation_path(trial)
after = path.patients["phase"].eq("expansion")
display(
    Markdown(
        f"Selected was dose {path.mtd / 1e6:g} × 10⁶ {path.dose_unit} after {int((~after).sum())} patients and "
        f"{trial.decisions['day'].iloc[-1]:.0f} days. The expansion has {int(after.sum())} more, and among all "
        f"{len(path.patients)} there were {int(path.patients['outcome'].eq('DLT').sum())} with a DLT."
    )
)

# %% [markdown]
# Its data go the way of a real trial's data. Cmax from the samples against the dose:

# %%
samples = trial.dataset.select(assay="qpcr")
rise = ck.dose_exposure(ck.nca(samples, metrics=["cmax"]), samples, "cmax")
print(rise.statement)
exponent = plan.population.effects["cmax"]["log(dose / 1e6)"]
display(
    Markdown(
        f"The exponent that these patients were made with is {exponent:g}. One trial can be far off; how far, see below."
    )
)

# %% [markdown]
# ## The next cohort, and the next patient
#
# The same trial on the day on which it goes up to the top dose. What is known by then is fitted; the slow phase, of which a few
# weeks say little, is fixed at the plan's values. What would a patient at each dose have? The top dose lies outside of what was studied.

# %%
step = trial.decisions.set_index("cohort").loc[6]
so_far = ck.interim(trial, step["day"]).select(assay="qpcr")
model = ck.load_model("stein2019").fix(fb=plan.population.typical["fb"], beta=plan.population.typical["beta"])
model = model.with_priors(
    cmax={"dist": "lognormal", "median": 1500, "sigma": 1.5}, foldx={"dist": "lognormal", "median": 350, "sigma": 1.5}
)  # fmt: skip
early = ck.fit_hierarchical(
    model, so_far, covariates={"cmax": "log(dose / 1e6)"}, random=["foldx", "tmax", "cmax", "alpha"], seed=1
)
print(f"Day {step['day']:.0f}, {len(so_far.subjects)} patients: {ck.diagnose(early).attrs['verdict']}")
nextly = ck.predict_doses(early, doses)
ck.plot.next_dose(nextly)[0]

# %%
at = nextly.table.query("metric == 'cmax' and who == 'new patient'").set_index("dose")
top, below = at.loc[doses[-1]], at.loc[doses[-2]]
slope = early.population().loc["cmax_on_log_dose_1e6"]
display(
    Markdown(
        f"At the top dose, {top['ratio']:g} times the highest one studied, the next patient has a Cmax of {top['value']:,.0f} "
        f"copies/µg (90 % {top['lower']:,.0f} to {top['upper']:,.0f}); at the dose below it would be {below['value']:,.0f} "
        f"({below['lower']:,.0f} to {below['upper']:,.0f}). The exponent of the dose is {slope['median']:.2f} "
        f"({slope['lower']:.2f} to {slope['upper']:.2f}): {len(so_far.subjects)} patients say more of how patients differ than of "
        "what the dose does."
    )
)

# %% [markdown]
# The first patient at that dose, forecast from no sample, then from more and more of them. Hollow samples were not used.

# %%
who = step["subjects"].split(", ")[0]
updates = ck.forecast_updates(early, trial.dataset.select(assay="qpcr"), subject=who, upto=[0, 3, 7, 16])
ck.plot.forecast(updates)[0]

# %%
cmax = updates.table.query("metric == 'cmax'")
known = trial.truth["subjects"][who]["cmax"]
ends = [f"{row.lower:,.0f} to {row.upper:,.0f}" for row in (cmax.iloc[0], cmax.iloc[-1])]
display(
    Markdown(
        f"Cmax, 90 % interval: {ends[0]} before the first sample, {ends[1]} on day 16. The patient was made with {known:,.0f}."
    )
)

# %% [markdown]
# ## Which design?
#
# The same truths for four designs. Titration, 3+3 and BOIN are exact, every possible trial counted; the BLRM is simulated.
# BOIN and BLRM end at 30 patients.

# %%
three = ck.ThreePlusThree(doses, variant="B")
blrm = ck.Blrm(doses, reference=1e6, prior=ck.BlrmPrior(mean=(-1.4, 0.0), sd=(1.5, 0.7)))
exact = {
    "titration, 3+3": design,
    "3+3": three,
    "BOIN, target 0.25": ck.StopAfter(ck.Boin(doses, target=0.25), n=30),
}
truths = {name: one.truth for name, one in plan.scenarios.items()}
grade2 = {name: one.grade2 for name, one in plan.scenarios.items()}
compared = pd.concat(
    [
        ck.compare_designs(exact, truths, grade2, overdose=0.33),
        ck.compare_designs(
            {"BLRM": ck.StopAfter(blrm, n=30)}, truths, overdose=0.33, exact=False, trials=1000, seed=1
        ),
    ],
    ignore_index=True,
)
ck.plot.characteristics(compared)[0, 0]

# %%
by_design = compared.drop_duplicates(["scenario", "design"]).set_index(["scenario", "design"])
steep, mild = by_design.loc["steep"], by_design.loc["from_cells"]
best = max(dose for dose, p in zip(doses, truths["steep"], strict=True) if p <= 0.25)
hits = compared.query("scenario == 'steep' and dose == @best").set_index("design")["p_select"]
top = compared.query("scenario == 'from_cells' and dose == @doses[-1]")["p_select"]
saved = mild.loc["3+3", "expected_n"] - mild.loc["titration, 3+3", "expected_n"]
display(
    Markdown(
        f"Where toxicity is low (*from_cells*) the titration saves {saved:.1f} patients of 3+3's "
        f"{mild.loc['3+3', 'expected_n']:.1f}, and the four designs select the top dose in {100 * top.min():.0f} to "
        f"{100 * top.max():.0f} %. Where the third dose is the last that is tolerated (*steep*), 3+3 selects it in {100 * hits['3+3']:.0f} %, BOIN in "
        f"{100 * hits['BOIN, target 0.25']:.0f} % and the BLRM in {100 * hits['BLRM']:.0f} %, with "
        f"{steep.loc['3+3', 'expected_n']:.0f} and {steep.loc['BOIN, target 0.25', 'expected_n']:.0f} patients: much of the "
        f"difference is the number of patients. 3+3 stops low because it has no target: its rule accepts at most 1 DLT in 6."
    )
)

# %% [markdown]
# ## What the trial can and cannot learn
#
# The whole trial, 250 times from its cells, and the analyses that would be made of each.

# %%
found = ck.simulate_trials(plan, 250, seed=1)
found.doses.round(3)

# %%
ck.plot.trial_power(found)[0, 0]

# %% [markdown]
# The plan alternates the expansion between the selected dose and the one below. What does that buy, beside all of it at the
# selected dose, or half of it three doses lower? And what would be seen of the peak without noise?


# %%
def with_expansion(*steps):
    return ck.simulate_trials(replace(plan, conduct=replace(plan.conduct, expansion=steps)), 250, seed=1)


alone, wide = with_expansion(0), with_expansion(0, -3)
quiet = ck.simulate_trials(replace(plan, population=replace(plan.population, sigma=1e-6)), 100, seed=1)
sides = {"selected and next lower dose": found, "selected dose": alone, "selected and third lower dose": wide}
columns = {(name, what): result.power[what] for name, result in sides.items() for what in ("value", "se")}
pd.DataFrame(columns).round(3)

# %%
DOSE = "dose-exposure slope: 90 % interval above 0"
NARROW = "dose-exposure slope: 90 % interval narrower than 0.5"
RESPONSE = "exposure-response slope: 90 % interval above 0"
WIDTH = "width of the dose-exposure slope's 90 % interval, median"
CMAX = "observed Cmax over true Cmax, median"


def percent(result, question):
    row = result.power.loc[question]
    return f"{100 * row['value']:.0f} % (Monte-Carlo SE {100 * row['se']:.0f} %)"


width = {name: result.power.loc[WIDTH, "value"] for name, result in sides.items()}
slopes = found.trials.dropna(subset=["slope"])
holds = ((slopes["slope_lower"] < exponent) & (slopes["slope_upper"] > exponent)).mean()
missed, missed_quiet = (100 * (1 - result.power.loc[CMAX, "value"]) for result in (found, quiet))
display(
    Markdown(
        f"""
**Dose and exposure.** Cmax truly rises with the dose to the power of {exponent:g}. The trial would see that it rises at all in
{percent(found, DOSE)} of cases, and would know the exponent to a width of 0.5 in {percent(found, NARROW)}; the median width is
{width["selected and next lower dose"]:.2f}. The intervals are honest, {100 * holds:.0f} % of them hold the truth, but wide: patients
at one dose differ too much (the standard deviation of log Cmax between them is {plan.population.omega["cmax"]:g}, the doses
span a factor of {doses[-1] / doses[0]:g}). An interval that holds 0 is no proof that dose does not matter.

**The expansion.** {plan.n} patients, but few away from the selected dose. With the whole expansion at one dose the width is
{width["selected dose"]:.2f} and the rise is seen in {percent(alone, DOSE)}; alternating with the next lower dose changes that little,
since the two are close. Three doses lower it would be {width["selected and third lower dose"]:.2f} and {percent(wide, DOSE)}, at
the price of treating patients there.

**Exposure and response.** That patients with more exposure respond more often is found in {percent(found, RESPONSE)} of trials,
because patients differ far more in exposure than doses make them. It is an association. Here nothing confounds it; in a
real trial tumour burden and fitness can stand behind both, and adjusting for them costs power.

**The peak.** The largest sample is, in the median trial, {missed:.0f} % below the true Cmax (geometric mean over patients).
Two errors partly cancel: visits miss the peak, {missed_quiet:.0f} % without noise, and the largest of several noisy samples is too high.
A fitted curve takes the noise out and says between which days the peak may lie.
"""
    )
)

# %% [markdown]
# ## Safety
#
# The escalation alone says little of the DLT rate: few patients per dose. What the expansion adds:

# %%
selected = found.doses["p_select"].idxmax()
row = found.doses.loc[selected]
n, dlt = round(row["n"]), round(row["n"] * row["true_dlt"])
few, many = ck.binomial_interval(1, 6), ck.binomial_interval(dlt, n)
display(
    Markdown(
        f"The dose selected most often is {selected / 1e6:g} × 10⁶ {plan.dose_unit}, with a true DLT rate of "
        f"{100 * row['true_dlt']:.0f} %. One DLT among six patients leaves everything from {100 * few[0]:.1f} to "
        f"{100 * few[1]:.0f} %. In the mean trial {n} patients get this dose, {row['n_escalation']:.0f} of them in the escalation; "
        f"{dlt} with a DLT among {n} leave {100 * many[0]:.0f} to {100 * many[1]:.0f} %. The expansion is where the DLT rate is "
        f"learned, and no rule of the escalation watches over it: a plan needs one of its own."
    )
)
