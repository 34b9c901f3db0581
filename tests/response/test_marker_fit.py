"""A cytokine on top of a kinetic fit: simulated truth comes back, and what cannot be asked is refused."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import carkinetics as ck
from carkinetics.errors import ConfigError, DataError, FitError
from carkinetics.fit.predictive import subject_levels
from carkinetics.model.library import model_from_text
from carkinetics.response.turnover import N_KNOTS, place_knots, turnover_model

SUBJECTS = 40
DAYS = (0, 1, 2, 3, 5, 7, 8, 9, 10, 11, 12, 13, 14, 17, 21, 28)
KINETIC_DAYS = (1, 3, 5, 7, 9, 11, 14, 17, 21, 28, 60, 90)
# Made kinetics are known to 2 %, so that few draws of them say it all.
FEW = {"kinetic_draws": 4, "draws": 100}
SPREAD = {"foldx": 0.5, "cmax": 0.8, "tmax": 0.2}
WITH_IL6 = """
schema = 1
name = "truth"
title = "stein2019 with IL-6"
base = "stein2019"
[[layer]]
use = "LAYER"
as = "il6"
CONNECT
[parameters.il6_WHAT]
typical = TYPICAL
prior = { dist = "lognormal", median = TYPICAL, sigma = 1.5 }
"""


def truth(layer: str, what: str, typical: float, connect: str = "") -> ck.Model:
    text = WITH_IL6.replace("LAYER", layer).replace("WHAT", what).replace("TYPICAL", str(typical))
    return model_from_text(text.replace("CONNECT", connect), "truth.toml")


def simulated(model: ck.Model, **kwargs) -> ck.Dataset:
    return ck.simulate(
        model, {"times": KINETIC_DAYS, "lloq": 50}, n=SUBJECTS, seed=3, sigma={"level": 0.3, "il6": 0.4},
        others={"il6": {"times": DAYS, "lloq": 3}}, omega=SPREAD, **kwargs,
    )  # fmt: skip


def true_lag(model: ck.Model, data: ck.Dataset, **fixed: float) -> pd.Series:
    """Day of the cytokine's peak after tmax, on a fine grid."""
    time, n = np.arange(0, 35, 0.02), len(data.subjects)
    values = {
        name: data.subjects[f"true_{name}"].to_numpy(float)[None]
        if f"true_{name}" in data.subjects
        else np.full((1, n), fixed.get(name, parameter.typical))
        for name, parameter in model.parameters.items()
    }
    level = subject_levels(model, data, np.repeat(np.arange(n), len(time)), np.tile(time, n), values, "il6")
    peak = time[level.reshape(n, -1).argmax(axis=1)]
    return pd.Series(peak - values["tmax"][0], index=data.subject_ids)


def covers(table: pd.DataFrame, name: str, value: float) -> bool:
    return bool(table.loc[name, "lower"] <= value <= table.loc[name, "upper"])


@pytest.mark.slow
def test_base_rise_and_lag_of_a_composed_model_come_back_and_its_driver_predicts_best(around):
    model = truth("cytokine_saturable", "half", 5000)
    data = simulated(model)
    kinetics = around(ck.load_model("stein2019"), data.select(assay="qpcr"))
    found = {
        driver: ck.fit_marker(kinetics, data, "il6", driver=driver, kinetic_draws=10)
        for driver in ("level", "expansion")
    }
    table, true = found["level"].table, data.subjects.filter(like="true_il6").astype(float)
    # The truth of the population in these subjects: the layer's rise is in pg/mL, here in multiples of the base.
    middle = np.exp(np.log(true).mean())
    assert covers(table, "base", middle["true_il6_base"])
    assert covers(table, "rise", middle["true_il6_rise"] / middle["true_il6_base"])
    assert covers(table, "half", 5000)
    assert covers(table, "delay", 0.0)
    lag, subjects = true_lag(model, data), found["level"].subjects
    inside = (subjects["lag_lower"] - 0.05 <= lag) & (
        lag <= subjects["lag_upper"] + 0.05
    )  # the grid is 0.1 day
    assert inside.mean() > 0.8
    assert table.loc["lag", "lower"] - 0.05 <= lag.median() <= table.loc["lag", "upper"] + 0.05
    assert "after the cells" in found["level"].statement
    ranking = ck.compare_markers(found)
    assert ranking.loc["level", "verdict"] == "best"
    assert ranking.loc["expansion", "verdict"] == "worse"


@pytest.mark.slow
def test_the_share_of_the_loss_that_tocilizumab_stops_comes_back(around):
    model = truth("cytokine", "per", 0.02, 'connect = { car = "where(t < tmax, level * rho, 0)" }')
    given = np.where(np.arange(SUBJECTS) % 2, np.inf, np.random.default_rng(1).uniform(6, 10, SUBJECTS))
    data = simulated(model, inputs={"il6_toci": given}, typical={"il6_block": 0.6})
    kinetics = around(ck.load_model("stein2019"), data.select(assay="qpcr"))
    asked = {"driver": "expansion", **FEW}
    found = {
        how: ck.fit_marker(kinetics, data, "il6", tocilizumab=how, **asked)
        for how in ("block", "drop", "ignore")
    }
    assert covers(found["block"].table, "block", 0.6)
    assert found["block"].table.loc["block", "upper"] - found["block"].table.loc["block", "lower"] < 0.1
    sigma = {how: result.table.loc["sigma", "value"] for how, result in found.items()}
    assert sigma["block"] == pytest.approx(0.4, rel=0.1)
    assert sigma["ignore"] > 1.25 * sigma["block"]
    lag = true_lag(model, data, il6_block=0.6).median()
    for how in ("block", "drop"):
        row = found[how].table.loc["lag"]
        assert row["lower"] - 0.05 <= lag <= row["upper"] + 0.05
    assert found["drop"].subjects["n"].sum() < found["block"].subjects["n"].sum()


def with_limits(data: ck.Dataset, uloq: float) -> ck.Dataset:
    rows = data.observations.copy()
    high = (rows["assay"] == "il6") & (rows["value"] > uloq)
    rows.loc[high, ["value", "lower", "upper"]] = [np.nan, uloq, np.inf]
    rows.loc[high, "status"] = "above_uloq"
    return replace(data, observations=rows)


def ahead(data: ck.Dataset) -> ck.Dataset:
    """IL-6 that is three days ahead of the level, which the assay sees between two limits only."""
    time = np.arange(0, 40, 0.05)
    true = {
        name: data.subjects[f"true_{name}"].to_numpy(float)[None]
        for name in ck.load_model("stein2019").parameters
    }
    n = len(data.subjects)
    level = subject_levels(
        ck.load_model("stein2019"), data, np.repeat(np.arange(n), len(time)), np.tile(time, n), true
    )
    knots, levels = place_knots(time, level.reshape(n, -1), 5000.0)
    values = {"base": 5.0, "rise": 100.0, "half": 5000.0, "kout": 3.96, "delay": -3.0}
    free = {
        "base": ck.Prior("lognormal", 5.0, 1.0),
        "rise": ck.Prior("lognormal", 100.0, 1.0),
        "delay": ck.Prior("normal", -3.0, 1.0),
    }
    model = turnover_model("pg/mL", "copies/ug", values | free, block=False)
    given = {f"knot_{j}": knots[:, j] for j in range(N_KNOTS)} | {
        f"driver_{j}": levels[:, j] for j in range(N_KNOTS)
    }
    il6 = ck.simulate(
        model,
        {"times": DAYS, "lloq": 15, "assay": "il6"},
        n=n,
        seed=8,
        sigma=0.4,
        omega={"delay": 0.5},
        inputs=given,
    )
    rows = pd.concat([data.observations, il6.observations], ignore_index=True)
    assays = pd.concat([data.assays, il6.assays.assign(kind="marker")], ignore_index=True)
    return replace(data, observations=rows, assays=assays)


@pytest.mark.slow
def test_a_cytokine_that_is_ahead_has_a_negative_lag_also_where_both_limits_censor_it(around):
    model = ck.load_model("stein2019")
    plain = ck.simulate(
        model,
        {"times": KINETIC_DAYS, "lloq": 50},
        n=SUBJECTS,
        seed=3,
        sigma=0.3,
        omega=SPREAD,
        typical={"tmax": 14.0},
    )
    data = with_limits(ahead(plain), 300.0)
    asked = {**FEW, "interval": 0.99}  # four truths at once
    found = ck.fit_marker(around(model, plain), data, "il6", **asked)
    share = found.subjects[["n_blq", "n_above"]].sum() / found.subjects["n"].sum()
    assert (share > 0.05).all()
    for name, value in (("delay", -3.0), ("base", 5.0), ("rise", 100.0), ("half", 5000.0)):
        assert covers(found.table, name, value), name
    assert found.table.loc["lag", "upper"] < -1
    assert "it peaks first" in found.statement
    # What is not known of the kinetics is part of the interval.
    vague = ck.fit_marker(around(model, plain, noise=0.15), data, "il6", **asked)
    width = [
        (t.loc["lag", "upper"] - t.loc["lag", "lower"], t.loc["lag", "missing"])
        for t in (found.table, vague.table)
    ]
    assert width[1] > width[0]
    # Two roads to one posterior.
    exact = ck.fit_marker(around(model, plain), data, "il6", kinetic_draws=2, interval=0.99, method="mcmc")
    for name in ("base", "delay", "sigma", "lag"):
        a, b = found.table.loc[name], exact.table.loc[name]
        assert abs(a["value"] - b["value"]) < 0.2 * (b["upper"] - b["lower"]) + 0.05, name


def test_what_cannot_be_asked_is_refused(made_fit, alone):
    rows = made_fit.data.observations.assign(assay="il6", unit="pg/mL")
    data = replace(
        made_fit.data,
        observations=rows,
        assays=made_fit.data.assays.assign(assay="il6", unit="pg/mL", kind="marker"),
    )
    for words, arguments in (
        ("driver is 'levl'", {"driver": "levl"}),
        ("tocilizumab is 'blok'", {"tocilizumab": "blok"}),
        ("at least 2", {"kinetic_draws": 1}),
        ("rise is above 0", {"priors": {"rise": {"dist": "normal", "mean": 1, "sd": 1}}}),
        ("priors: 'rize'", {"priors": {"rize": 3.0}}),
    ):
        with pytest.raises(ConfigError, match=words):
            ck.fit_marker(made_fit, data, "il6", **arguments)
    with pytest.raises(FitError, match="posterior of a hierarchical"):
        ck.fit_marker(alone(made_fit), data, "il6")
    with pytest.raises(DataError, match="no assay 'il8'"):
        ck.fit_marker(made_fit, data, "il8")
    renamed = replace(data, subjects=data.subjects.assign(subject="x" + data.subjects["subject"]),
                      observations=rows.assign(subject="x" + rows["subject"]),
                      doses=data.doses.iloc[:0])  # fmt: skip
    with pytest.raises(DataError, match="in 0 of the 8 subjects of the fit"):
        ck.fit_marker(made_fit, renamed, "il6")
    with pytest.raises(ConfigError, match="two results or more"):
        ck.compare_markers({})
