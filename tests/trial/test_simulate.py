"""Trials from cells: the same data by two roads, the clock, what a design saw, and trials counted by the thousand."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import carkinetics as ck
from carkinetics.errors import ConfigError
from carkinetics.prognosis.known import known_population
from carkinetics.trial.links import Antibodies, Cytokine, Links, Toxicity, Tumour
from carkinetics.trial.many import BLOCK
from carkinetics.trial.outcomes import follow, progressed, scan_days
from carkinetics.trial.plan import Conduct, TrialPlan, Visits
from carkinetics.trial.population import Covariate, Population
from carkinetics.trial.simulate import actual_days, patients_at, simulate_block

DOSES = [1e5, 3e5, 1e6, 2e6]
BURDEN = {"base_sum": Covariate("lognormal", median=70, sigma=0.45, digits=0)}


def small(**more) -> TrialPlan:
    settings = {
        "design": ck.ThreePlusThree(DOSES, variant="B"),
        "population": Population(
            ck.load_model("stein2019"), effects={"cmax": {"log(dose / 1e6)": 0.5}}, typical={"cmax": 1500}
        ),
        "covariates": BURDEN,
        "n": 40,
    }
    return TrialPlan(**(settings | more))


@pytest.fixture(scope="module")
def plan():
    return ck.load_trial("nct05783089")


@pytest.fixture(scope="module")
def trial(plan):
    return ck.simulate_trial(plan, seed=7)


def test_response_and_survival_are_what_recist_makes_of_the_lesions(trial):
    subjects = trial.subjects.set_index("ID")
    responses = ck.derive_response(trial.lesions)
    best = responses.groupby("subject")["best"].last().reindex(subjects.index)
    # A subject without an assessment after the infusion has no row of responses.
    assert best.fillna("NE").tolist() == subjects["RESPONSE"].tolist()
    died = subjects["OS_DAY"].where(subjects["OS_EVENT"] == 1)
    days = pd.DataFrame(
        {"subject": subjects.index, "death": died.to_numpy(), "last_alive": subjects["OS_DAY"].to_numpy()}
    )
    for endpoint, found in (
        ("pfs", ck.derive_event("pfs", days, responses)),
        ("os", ck.derive_event("os", days)),
    ):
        assert found["time"].reindex(subjects.index).tolist() == subjects[f"{endpoint.upper()}_DAY"].tolist()
        assert (
            found["event"].reindex(subjects.index).tolist() == subjects[f"{endpoint.upper()}_EVENT"].tolist()
        )


def test_the_adverse_events_give_the_dlts_of_the_design(trial):
    subjects = trial.subjects.set_index("ID")
    found = ck.dose_limiting(trial.adverse_events, subjects.index, followed=subjects["OS_DAY"], window=28)
    assert found["dlt"].tolist() == (subjects["DLT"] == 1).tolist()
    assert found["evaluable"].tolist() == (subjects["EVALUABLE"] == 1).tolist()


@pytest.mark.slow
def test_the_data_go_the_way_of_real_ones(trial, tmp_path):
    data = trial.dataset
    assert len(data.subjects) == len(trial.subjects)
    assert (ck.check(data)["severity"] != "error").all()
    assert len(data.excluded) == 0
    folder = trial.save(tmp_path / "trial")
    again = ck.read_nonmem(
        folder / "measurements.csv", subjects=folder / "subjects.csv", time_unit="day", dose_unit="cells/kg",
        lloq={"qpcr": 25, "ip10": 20, "ifng": 4, "il6": 2, "il10": 2.5, "tnfa": 3, "gmcsf": 2, "ada": 10}, lod={"qpcr": 10},
        event_columns={"tocilizumab": "TOCI_DAY", "steroid": "STEROID_DAY"},
    )  # fmt: skip
    pd.testing.assert_frame_equal(again.observations, data.observations)
    seen = ck.nca(data, assay="qpcr", metrics=["cmax"]).wide()["cmax"]
    true = pd.DataFrame.from_dict(
        json.loads((folder / "truth.json").read_text())["subjects"], orient="index"
    )["cmax"]
    assert abs(np.log(seen / true.reindex(seen.index)).median()) < 0.5


@pytest.mark.parametrize("seed", [2, 7, 11])
def test_what_the_design_decided_follows_from_what_it_saw(plan, seed):
    """Every decision again, from the patients' table and the doses received, by `cohorts_from`."""
    plan = dataclasses.replace(plan, conduct=dataclasses.replace(plan.conduct, short=0.2, leave_window=0.1))
    trial = ck.simulate_trial(plan, seed=seed)
    received = trial.dataset.doses.set_index("subject")["amount"]
    subjects = trial.subjects.set_index("ID")
    patients = pd.DataFrame(
        {
            "patient": subjects.index, "planned": subjects["DOSE_LEVEL"].astype(float), "dose": received.reindex(subjects.index),
            "dlt": subjects["DLT"], "grade2": subjects["GRADE2"], "evaluable": subjects["EVALUABLE"],
        }
    ).set_index("patient", drop=False)  # fmt: skip
    seen: list[str] = []
    for row in trial.decisions.to_dict("records"):
        counted = ck.cohorts_from(patients.loc[seen], plan.design.doses, tolerance=0.2)
        again = plan.design.decide(counted.cohorts)
        dose, mtd = row["dose"], row["mtd"]
        assert (again.action, again.dose, again.mtd) == (
            (row["action"], dose, None) if row["action"] != "stop" else ("stop", None, mtd)
        )
        seen += [name for name in row["subjects"].split(", ") if name]
    assert trial.selected == trial.decisions["mtd"].iloc[-1]
    assert (subjects["COUNTED_AT"] != subjects["DOSE_LEVEL"]).any()


def test_nobody_is_escalated_while_a_window_is_open(plan):
    for seed in range(5):
        block = simulate_block(plan, seed, np.array([0]))
        found = block.escalations
        infused = found.infused[0]
        for step in found.steps[0]:
            before = [i for earlier in found.steps[0] for i in earlier.patients if earlier.day < step.day]
            done = np.where(
                found.evaluable[0, before], np.fmin(found.toxicity["dlt_day"][0, before], 28.0), 0.0
            )
            assert (infused[before] + done <= step.day + 1e-9).all()
            inside = infused[list(step.patients)]
            assert (np.diff(inside) >= plan.conduct.stagger - 1e-9).all()
            assert (inside >= step.day).all()


def test_a_trial_is_the_same_alone_and_beside_others(plan):
    alone = simulate_block(plan, 3, np.array([4]))
    beside = simulate_block(plan, 3, np.arange(6))
    own = beside.frame["trial"] == 4
    columns = ["dose", "cmax", "base_sum"]
    pd.testing.assert_frame_equal(alone.frame[columns], beside.frame.loc[own, columns].reset_index(drop=True))
    np.testing.assert_array_equal(alone.samples[1], beside.samples[1][own])
    np.testing.assert_array_equal(alone.courses.os_day, beside.courses.os_day[own])


def test_a_design_for_times_to_an_event_escalates_while_windows_are_open():
    """TITE-BOIN decides when its next patient comes, with those in their window; BOIN waits, and takes longer."""
    boin, tite = (
        small(
            design=ck.StopAfter(kind(DOSES, target=0.3), n=18), links=Links(tumour=None), covariates={}, n=18
        )
        for kind in (ck.Boin, ck.TiteBoin)
    )
    slow, quick = (simulate_block(plan, 2, np.arange(12)).escalations for plan in (boin, tite))
    assert quick.ended.mean() < slow.ended.mean()
    open_windows = [len(step.tally.waiting) for steps in quick.steps for step in steps]
    assert max(open_windows) > 0
    assert all(
        not step.tally.waiting for steps in quick.steps for step in steps if step.decision.action == "stop"
    )
    assert all(not step.tally.waiting for steps in slow.steps for step in steps)


def test_a_trial_on_a_day_knows_no_more_than_that_day(trial):
    day = 300.0
    seen = ck.interim(trial, day)
    full = trial.dataset
    known = seen.subjects.set_index("subject")["followed"]
    assert (known > 0).all()
    assert (seen.observations["time"] <= seen.observations["subject"].map(known)).all()
    subjects = seen.subjects.set_index("subject")
    assert subjects.loc[known < 28, "dlt"].fillna(1).eq(1).all()
    assert (subjects["os_day"] <= known).all()
    later = full.subjects.set_index("subject").loc[subjects.index]
    same = later["pfs_event"].eq(1) & (later["pfs_day"] <= known)
    assert subjects.loc[same, "pfs_day"].eq(later.loc[same, "pfs_day"]).all()
    # Long after the end, nothing is missing.
    end = ck.interim(trial, 1e5).subjects.drop(columns="followed")
    pd.testing.assert_frame_equal(end[list(full.subjects)], full.subjects, check_dtype=False)
    with pytest.raises(ConfigError, match="nobody was infused before day 0"):
        ck.interim(trial, 0)
    with pytest.raises(ConfigError, match="day is '30'"):
        ck.interim(trial, "30")


def test_a_dlt_to_come_is_not_told_by_where_a_patient_counts(plan):
    """Below the lowest dose a patient counts with a DLT only."""
    toxicity = dataclasses.replace(plan.links.toxicity, other_dlt=0.6)
    short = dataclasses.replace(
        plan, n=40, conduct=Conduct(short=0.9), links=dataclasses.replace(plan.links, toxicity=toxicity)
    )
    trial = ck.simulate_trial(short, seed=0)
    dose = trial.dataset.first_dose()
    subjects = trial.subjects.set_index("ID")
    who = subjects.index[(subjects["DLT"] == 1) & (dose.reindex(subjects.index) < 0.8e5)][0]
    for when, known in ((-0.3, False), (0.3, True)):
        seen = ck.interim(trial, subjects["INFUSED"][who] + subjects["DLT_DAY"][who] + when).subjects
        row = seen.set_index("subject").loc[who]
        assert pd.notna(row["counted_at"]) == pd.notna(row["dlt"]) == known


def test_a_trial_in_which_nobody_has_crs_can_be_looked_at():
    mild = small(links=Links(toxicity=Toxicity(crs_cuts=(90.0, 91.0, 92.0, 93.0))), n=8)
    seen = ck.interim(ck.simulate_trial(mild, seed=1), 100.0).subjects
    assert seen["crs_grade"].eq(0).all()
    assert seen["crs_day"].isna().all()


def test_seeds_differ_and_repeat(plan, trial):
    again = ck.simulate_trial(plan, seed=7)
    pd.testing.assert_frame_equal(again.subjects, trial.subjects)
    assert not again.subjects["BASE_SUM"].equals(ck.simulate_trial(plan, seed=8).subjects["BASE_SUM"])


@pytest.mark.parametrize("name", ["msln_cavity", "msln_solid"])
def test_a_library_model_that_takes_the_dose_in_is_simulated_dose_by_dose(name):
    """Infused into a state, or read as an input: no covariate effect is needed."""
    population = Population(ck.load_model(name))
    assert population.depends_on_dose
    plan = small(population=population, n=12, links=Links(tumour=None), covariates={})
    low, high = (patients_at(plan, level, 8, 1)[0]["cmax"] for level in (1, 4))
    assert (high > low).all()
    assert len(ck.simulate_trial(plan, seed=1).dataset.subjects) == 12


def test_a_fit_gives_every_trial_a_population_of_its_own(dose_fit):
    population = Population(dose_fit)
    plan = small(population=population, n=20)
    block = simulate_block(plan, 1, np.arange(8))
    assert len(np.unique(block.draw)) > 1
    assert population.depends_on_dose
    assert block.samples[1].shape == (len(block.frame), len(plan.qpcr.days))
    # The dose effect of the fit, 0.8 on log Cmax, is in the trial: common patients at two doses.
    low, high = (patients_at(plan, level, 200, 1)[0]["cmax"].to_numpy() for level in (1, 4))
    assert np.log(high / low).mean() / np.log(20) == pytest.approx(0.8, abs=0.05)


@pytest.mark.slow
def test_counts_by_thousands_agree_with_the_exact_tree(plan):
    """Toxicity as coins at the plan's own true rates: the tree of the design gives the selection of the simulated trials."""
    simple = small(conduct=Conduct(leave_window=0.0), n=40)
    found = ck.simulate_trials(simple, 600, seed=2)
    truth = found.doses["true_dlt"].iloc[1:].tolist()
    exact = ck.operating_characteristics(simple.design, truth)
    error = np.sqrt(exact["p_select"] * (1 - exact["p_select"]) / 600)
    # The truths have a Monte-Carlo error of their own.
    assert (np.abs(found.doses["p_select"] - exact["p_select"]) < 4 * error + 0.02).all()
    assert found.doses["p_select"].sum() == pytest.approx(1)
    assert found.doses["n"].sum() == pytest.approx(found.trials["n"].mean())
    assert found.doses["dlt_escalation"].sum() <= found.doses["dlt"].sum()


@pytest.mark.slow
def test_the_power_of_the_kinetic_analysis_grows_with_the_effect():
    flat, steep = (
        ck.simulate_trials(
            small(
                population=Population(
                    ck.load_model("stein2019"),
                    typical={"cmax": 1500},
                    effects={"cmax": {"log(dose / 1e6)": slope}},
                ),
                conduct=Conduct(expansion=(0, -1)),
            ),
            60,
            seed=4,
        ).power["value"]
        for slope in (0.0, 1.0)
    )
    found = "dose-exposure slope: 90 % interval above 0"
    assert flat[found] < 0.2  # 5 % are expected under no effect
    assert steep[found] > flat[found] + 0.2
    assert steep["dose-exposure slope, median"] == pytest.approx(1.0, abs=0.3)


@pytest.mark.slow
def test_the_number_of_workers_does_not_change_what_is_counted(plan):
    small_plan = dataclasses.replace(plan, n=15)
    trials = BLOCK + 5  # two blocks, one for each worker
    one, two = (ck.simulate_trials(small_plan, trials, seed=5, workers=k) for k in (1, 2))
    pd.testing.assert_frame_equal(one.trials, two.trials)


def test_visits_come_in_order_and_end_with_the_follow_up(rng):
    days = actual_days(Visits(), np.array([5.0, 800.0] * 200), rng)
    with np.errstate(invalid="ignore"):
        assert (np.nanmax(days[::2], axis=1) <= 5).all()
    for row in days:
        there = row[~np.isnan(row)]
        assert (np.diff(there) > 0).all()
    assert np.isnan(days[1::2]).mean() == pytest.approx(0.04, abs=0.02)


def test_progression_is_growth_over_the_smallest_and_by_5_mm():
    base = np.array([100.0, 20.0, 50.0])
    sums = np.array([[60.0, 72.0, 71.0], [18.0, 22.0, 23.0], [55.0, 60.0, 60.0]])
    found = progressed(base, sums)
    assert found.tolist() == [[False, True, False], [False, False, True], [False, True, True]]


def test_survival_has_the_hazards_that_were_asked_for(rng):
    """Without progression and loss, deaths after the window are exponential."""
    n = 4000
    tumour = Tumour(growth=1e-9, new_lesion_per_day=1e-12, death=1 / 100, noise=0.0)
    frame = pd.DataFrame({"base_sum": np.full(n, 70.0), "cmax": 1500.0, "dose": 1e6})
    luck = {
        "shrinkage": rng.standard_normal(n), "growth": rng.standard_normal(n), "death": rng.standard_exponential(n),
        "new_lesion": rng.standard_exponential(n), "scan": np.zeros((n, len(scan_days(tumour, 730)))),
    }  # fmt: skip
    courses = follow(tumour, frame, luck, np.full(n, np.inf), window=28, follow_up=730)
    assert courses.os_day.min() >= 28
    share = (courses.os_day > 128).mean()
    assert share == pytest.approx(np.exp(-1), abs=4 * np.sqrt(0.37 * 0.63 / n))


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (
            {"design": ck.ThreePlusThree(4, variant="B")},
            r"doses by number, 1 to 4; kinetics need their sizes",
        ),
        ({"covariates": {}}, "links.tumour needs the covariate 'base_sum'"),
        ({"design": 3}, "design is 3; expected a design"),
        ({"population": 3}, "population is 3; expected a Model"),
        ({"n": 0}, r"n \(patients\) is 0"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(change, part):
    with pytest.raises(ConfigError, match=part):
        small(**change)


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda: Conduct(window=0), "window is 0; expected a number above 0"),
        (lambda: Conduct(expansion=(1,)), r"expansion is \(1,\)"),
        (lambda: Conduct(leave_window=1.0), "leave_window is 1.0"),
        (lambda: Visits(days=(3, 1)), r"days is \(3, 1\); expected increasing days"),
        (lambda: Visits(lloq=5, lod=10), "lod 10, lloq 5"),
        (lambda: Covariate("gamma"), "kind is 'gamma'"),
        (lambda: Covariate("normal", mean=3), "sd of a normal is nan; expected a number at least 0"),
        (lambda: Covariate("choice", shares={"a": 0.5}), "shares is .*expected probabilities that sum to 1"),
        (lambda: Toxicity(crs_cuts=(3, 2, 1, 0)), "expected four increasing numbers"),
        (lambda: Toxicity(crs_dlt=1.5), "crs_dlt is 1.5"),
        (lambda: Population(ck.load_model("stein2019"), effects={"cmx": {}}), "no parameter 'cmx'; did you mean 'cmax'"),
        (lambda: Population(ck.load_model("stein2019"), sigma=-1), "sigma is -1"),
        (lambda: ck.simulate_trials("nct05783089"), "expected a TrialPlan"),
        (lambda: ck.simulate_trials(small(), 2, overdose=float("nan")), "overdose is nan"),
        (lambda: ck.simulate_trials(small(), 2, workers=0), "workers is 0"),
    ],
)  # fmt: skip
def test_a_part_that_makes_no_sense_is_refused(make, part):
    with pytest.raises(ConfigError, match=part):
        make()


def test_antibodies_take_cells_away_where_they_rose():
    links = Links(antibodies=Antibodies(induced=1.0, loss=0.2), cytokines={"il6": Cytokine(4, 0.7, 0.9, 2.0)})
    with_loss, without = (
        simulate_block(small(links=dataclasses.replace(links, antibodies=one)), 1, np.array([0]))
        for one in (links.antibodies, dataclasses.replace(links.antibodies, loss=0.0))
    )
    day = np.full((len(with_loss.frame), 2), [14.0, 24.0])
    ratio = with_loss.level(day) / without.level(day)
    np.testing.assert_allclose(ratio[:, 0], 1.0)
    np.testing.assert_allclose(ratio[:, 1], np.exp(-2.0))


def test_a_plan_says_everything():
    with pytest.raises(ConfigError, match=r"a plan says everything.*giving n beside it"):
        ck.simulate_trial(small(), n=10)
    with pytest.raises(ConfigError, match="give kinetics"):
        ck.simulate_trial(ck.ThreePlusThree(DOSES, variant="A"))
    trial = ck.simulate_trial(
        ck.ThreePlusThree(DOSES, variant="A"), ck.load_model("stein2019"), Links(tumour=None), 15, seed=1
    )
    assert len(trial.subjects) <= 15


def test_the_truth_of_a_dose_is_that_of_who_receives_it(plan):
    """Products that fall short are part of the conduct, not of the dose."""
    short = dataclasses.replace(plan, conduct=Conduct(short=0.9, dose_spread=0.2))
    full = dataclasses.replace(plan, conduct=Conduct())
    assert patients_at(short, 5, 50, 1)[0]["dose"].unique().tolist() == [2e6]
    pd.testing.assert_frame_equal(ck.dose_truth(short, n=200), ck.dose_truth(full, n=200))


def test_the_truth_of_a_posterior_averages_over_it():
    """Each virtual patient has a population of their own, however many patients a trial has."""
    known = known_population(ck.load_model("stein2019"), lloq=25.0)
    point = known.tree["posterior"].to_dataset()
    rng = np.random.default_rng(1)
    wide = point.isel(draw=np.zeros(400, dtype=int)).assign_coords(draw=np.arange(400))
    wide["cmax_typical"] = wide["cmax_typical"] * np.exp(2.0 * rng.standard_normal((1, 400)))
    fit = dataclasses.replace(known, tree=xr.DataTree.from_dict({"posterior": wide}))
    plan = small(population=Population(fit), n=1000)
    spread = np.log(patients_at(plan, 1, 800, 1)[0]["cmax"]).std()
    omega = known.model.parameters["cmax"].omega
    between = float(np.log(wide["cmax_typical"]).std())
    assert spread == pytest.approx(
        np.hypot(between, omega), rel=0.05
    )  # from one draw it would be omega alone


@pytest.mark.slow
def test_a_simulated_trial_goes_from_its_files_to_the_dose_slope(plan):
    """read → fit → exposure → dose: the truth of the plan comes back from one trial."""
    trial = ck.simulate_trial(plan, seed=21)
    fit = ck.fit_hierarchical(
        plan.population.model, trial.dataset, assay="qpcr", method="laplace", seed=1,
        random=["foldx", "tmax", "cmax", "alpha", "fb", "beta"], covariates={"cmax": "log(dose / 1e6)"},
    )  # fmt: skip
    found = fit.parameters.set_index(["subject", "parameter"]).loc[""]
    truth = trial.truth["typical"]
    inside = [
        found.loc[f"{name}_typical", "lower"] < truth[name] < found.loc[f"{name}_typical", "upper"]
        for name in truth
    ]
    assert sum(inside) >= 4  # of 6 intervals of 90 %
    slope = next(row for name, row in found.iterrows() if name.startswith("cmax_on_"))
    assert slope["lower"] < 0.3 < slope["upper"]
    exposure = ck.exposure_from(fit, metrics=["cmax"])
    true = pd.DataFrame.from_dict(trial.truth["subjects"], orient="index")["cmax"]
    seen = exposure.metric("cmax")
    assert np.corrcoef(np.log(seen), np.log(true.reindex(seen.index)))[0, 1] > 0.9


@pytest.mark.slow
def test_trials_simulated_from_a_fit_are_those_of_its_population(dose_fit):
    """Two roads to the median Cmax at a dose: trials from the posterior, and new subjects of it."""
    from carkinetics.trial.power import dose_truth

    plan = small(population=Population(dose_fit), n=30)
    truth = dose_truth(plan, n=3000, seed=1)["true_cmax"]
    typical = dose_fit.tree["posterior"]["cmax_typical"].median().item()
    slope = dose_fit.tree["posterior"]["cmax_on_log_dose_1e6"].median().item()
    expected = typical * (np.array(DOSES) / 1e6) ** slope
    np.testing.assert_allclose(truth, expected, rtol=0.15)
