"""Antibodies and the loss of CAR-T cells: found where it is, not where it is not, and never asked of 'ever positive'."""

import numpy as np
import pandas as pd
import pytest

import carkinetics as ck
from carkinetics.errors import ConfigError, DataError
from carkinetics.model.library import with_layer
from carkinetics.response.antibody import _days, _informative, _statement
from carkinetics.response.timing import TimingError, refuse_ever_status

BASE = ck.load_model("stein2019")
SPREAD = {"foldx": 0.6, "tmax": 0.2, "cmax": 0.8, "alpha": 0.4, "fb": 0.5, "beta": 0.3}
VISITS = (3, 7, 10, 14, 21, 28, 42, 56, 84, 112, 168)
SUBJECTS = 32


def trial(loss: float) -> tuple[ck.Dataset, pd.Series]:
    """Half of the subjects make antibodies after three to six weeks."""
    rng = np.random.default_rng(2)
    onset = np.where(np.arange(SUBJECTS) % 2 == 0, rng.choice([21.0, 28.0, 42.0], SUBJECTS), np.inf)
    data = ck.simulate(
        with_layer(BASE, "ada_step"), {"times": VISITS, "lloq": 20}, n=SUBJECTS, seed=4, omega=SPREAD, sigma=0.4,
        typical={"ada_loss": max(loss, 1e-12)}, inputs={"ada_onset": onset},
    )  # fmt: skip
    return data, pd.Series(onset, index=data.subject_ids)


@pytest.mark.slow
@pytest.mark.parametrize("loss", [0.1, 0.0])
def test_a_loss_that_is_there_is_found_and_one_that_is_not_is_not(loss):
    data, onset = trial(loss)
    found = ck.antibody_effect(BASE, data, onset, random=["tmax", "cmax", "alpha", "fb"], seed=1)
    assert found.table["converged"].all()
    step = found.table.loc["step"]
    if loss:
        assert step["loss_lower"] < loss < step["loss_upper"]
        assert (found.table["verdict"] == ["reference", "better", "better"]).all()
        assert "better than none" in found.statement
    else:
        assert step["loss_upper"] < 0.01
        assert (found.table["verdict"] == ["reference", "not separated", "not separated"]).all()
        assert "is not shown" in found.statement


@pytest.mark.parametrize(
    "status",
    [["induced", "negative", "negative"], [True, False, False], [1, 0, 0], [True, None, None], np.array([1.0, 0.0, np.nan])],
)  # fmt: skip
def test_ever_positive_is_refused_with_the_reason_and_what_to_do_instead(status):
    data = ck.simulate(BASE, {"times": VISITS, "lloq": 20}, n=3, seed=1)
    onset = pd.Series(status, index=data.subject_ids)
    with pytest.raises(
        TimingError, match=r"antibodies against persistence: .* not when\. .*immortal time.*landmark"
    ):
        ck.antibody_effect(BASE, data, onset)


def test_the_status_of_antibody_status_is_refused_and_its_onset_passes():
    titres = pd.DataFrame({"subject": ["a", "a", "b", "b"], "day": [-1, 28, -1, 28], "titre": [0, 40, 0, 0]})
    found = ck.antibody_status(titres, boost_factor=4, transient_days=112)
    refuse_ever_status(found["onset"], "antibodies", "survival")
    with pytest.raises(TimingError, match="antibodies against survival: 'induced'"):
        refuse_ever_status(found["status"], "antibodies", "survival")


def test_days_are_asked_of_every_subject_and_counted_where_a_level_follows():
    data = ck.simulate(BASE, {"times": (7, 14, 28), "lloq": 1}, n=3, seed=1)
    a, b, c = data.subject_ids
    days = _days({a: 14.0, b: 28.0, c: np.inf}, data)
    assert days.tolist() == [14.0, 28.0, np.inf]
    assert _informative(data, days, None) == _informative(data, days, "qpcr") == 1  # nothing after day 28
    for onset, words in (
        ({a: 14.0, b: np.inf}, rf"subject {c} has none \(1 of 3"),
        ({a: 14.0, b: np.nan, c: np.inf}, f"subject {b} has none"),
        ({a: -2.0, b: 7.0, c: np.inf}, f"subject {a} has day -2"),
    ):
        with pytest.raises(DataError, match=words):
            ck.antibody_effect(BASE, data, onset)
    with pytest.raises(DataError, match="1 of 3 subjects have an onset, and none of them a quantified level"):
        ck.antibody_effect(BASE, data, {a: 28.0, b: np.inf, c: np.inf})
    with pytest.raises(ConfigError, match="did you mean 'step'"):
        ck.antibody_effect(BASE, data, days, effects=["stp"])
    with pytest.raises(ConfigError, match="a model without antibodies"):
        ck.antibody_effect(with_layer(BASE, "ada_step"), data, days)


def test_a_layer_is_put_on_a_changed_model_and_does_nothing_before_the_onset():
    cells = BASE.in_unit("cells/uL", cmax={"dist": "lognormal", "median": 100, "sigma": 2}).fix(fb=0.01)
    changed = with_layer(cells, "ada_step")
    assert changed.value_unit == "cells/uL"
    assert changed.parameters["cmax"].prior.centre == 100
    assert "fb" not in changed.free_parameters
    plain, lost = (
        ck.predict(cells, [5, 20, 30]),
        ck.predict(changed, [5, 20, 30], ada_onset=20.0, ada_loss=0.2),
    )
    assert (lost / plain).to_numpy() == pytest.approx([1, 1, np.exp(-2)])


def test_the_sentence_says_what_the_table_says():
    table = pd.DataFrame(
        {"elpd": [-100.0, -99.5], "difference": [0.0, 0.5], "difference_se": [0.0, 0.9], "verdict": ["reference", "not separated"],
         "bad_k": [0, 2], "converged": [True, False], "loss": [np.nan, 0.01], "loss_lower": [np.nan, 0.001], "loss_upper": [np.nan, 0.03]},
        index=["none", "step"],
    )  # fmt: skip
    words = _statement(table, pd.Series([14.0, np.inf]), 1)
    assert "Antibodies came in 1 of 2 subjects, 1 of them with" in words
    assert "not separated from none by 0.5 (SE 0.9)" in words
    assert "up to 0.03 per day" in words
    assert "Not converged: step" in words
    assert "in up to 2 of 2 subjects" in words
    better = replace_verdict(table, "better")
    assert "additional 0.01 per day (90% CrI 0.001 to 0.03)" in _statement(better, pd.Series([14.0]), 1)


def replace_verdict(table: pd.DataFrame, verdict: str) -> pd.DataFrame:
    return table.assign(verdict=["reference", verdict])
