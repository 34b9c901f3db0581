"""What a fit is asked is checked before any work is done."""

import numpy as np
import pandas as pd
import pytest

from carkinetics.dataset import read_nonmem
from carkinetics.errors import ConfigError, DataError, UnitError
from carkinetics.fit.inputs import subject_inputs
from carkinetics.fit.problem import make_problem
from carkinetics.model import load_model, simulate

DESIGN = {"times": (3, 7, 14, 28), "lloq": 50, "doses": (1e5, 1e6)}


def trial(n=4):
    data = simulate(load_model("stein2019"), DESIGN, n, 1)
    return data


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"random": ["cmx"]}, "did you mean 'cmax'"),
        ({"covariates": {"cmx": "log(dose)"}}, "did you mean 'cmax'"),
        ({"covariates": {"cmax": "log(dse)"}}, "did you mean 'dose'"),
        ({"covariates": {"cmax": "log(dose"}}, "not an equation"),
        ({"covariates": {"cmax": "dose_level * 2"}}, "computes with text"),
        (
            {"covariates": {"cmax": {"log(dose)": {"dist": "lognormal", "median": 1, "sigma": 1}}}},
            "must be normal",
        ),
        ({"blq": "M8"}, "known are M1, M2, M3"),
        ({"error": "studentt"}, "did you mean 'student_t'"),
        ({"correlated": ["cmax"]}, "alone"),
        ({"correlated": ["cmax", "tmax"], "random": ["cmax"]}, "no random effect"),
        ({"assay": "qpcrr"}, "did you mean 'qpcr'"),
    ],
)
def test_a_setting_that_names_nothing_is_refused(asked, said):
    with pytest.raises((ConfigError, DataError), match=said):
        make_problem(load_model("stein2019"), trial(), **asked)


def test_a_fixed_parameter_cannot_be_random():
    with pytest.raises(ConfigError, match=r"fixed at 0\.003"):
        make_problem(load_model("stein2019").fix(beta=0.003), trial(), random=["beta"])


def test_a_covariate_on_a_fixed_parameter_and_two_of_one_name_are_refused():
    model, data = load_model("stein2019"), trial()
    with pytest.raises(ConfigError, match="fb is fixed"):
        make_problem(model.fix(fb=0.01), data, covariates={"fb": "log(dose)"})
    data.subjects["sex"] = ["F", "M", "F", "M"]
    with pytest.raises(ConfigError, match="would both be called cmax_on_sex_F"):
        make_problem(model, data, covariates={"cmax": ["sex == 'F'", "sex != 'F'"]})


def test_the_default_prior_of_a_slope_is_per_unit_or_per_sd():
    data = trial()
    data.subjects["age"] = [30.0, 40.0, 60.0, 70.0]
    dose, age = make_problem(
        load_model("stein2019"), data, covariates={"cmax": ["log(dose / 3e5)", "age"]}
    ).covariates
    assert dose.prior.spread == pytest.approx(1 / np.log([1e5, 1e6, 1e5, 1e6]).std())
    assert age.prior.spread == pytest.approx(1 / np.std([30, 40, 60, 70]))


def test_another_unit_is_never_converted():
    frame = pd.DataFrame({"ID": 1, "TIME": [7, 14], "DV": [10, 20]})
    data = read_nonmem(frame, value_unit="cells/uL", lloq=1)
    with pytest.raises(UnitError, match=r"stein2019 is in copies/ug.*cells/uL.*model\.in_unit"):
        make_problem(load_model("stein2019"), data)


def test_two_assays_in_the_same_unit_need_a_choice():
    frame = pd.DataFrame({"ID": 1, "TIME": [7, 7], "DV": [10, 20], "DVID": ["a", "b"]})
    data = read_nonmem(frame, value_unit={"a": "copies/ug", "b": "copies/ug"}, lloq={"a": 1, "b": 1})
    with pytest.raises(DataError, match="choose one by assay="):
        make_problem(load_model("stein2019"), data)
    assert make_problem(load_model("stein2019"), data, assay="b").observations["value"].tolist() == [20]


def test_a_missing_covariate_is_an_error_that_names_the_subjects():
    data = trial()
    data.subjects["age"] = [50.0, np.nan, 61, 70]
    with pytest.raises(DataError, match="no value for 1 subjects"):
        make_problem(load_model("stein2019"), data, covariates={"cmax": "age"})


def test_a_covariate_is_centred_unless_it_already_spans_zero():
    data = trial()
    data.subjects["sex"] = ["F", "M", "F", "M"]
    asked = {"cmax": ["log(dose)", "log(dose / 3e5)", "sex == 'F'"]}
    plain, centred, sex = make_problem(load_model("stein2019"), data, covariates=asked).covariates
    assert plain.centre == pytest.approx(np.log([1e5, 1e6]).mean())
    assert plain.centred.mean() == pytest.approx(0)
    assert (centred.centre, sex.centre) == (0, 0)
    assert sex.centred.tolist() == [1, 0, 1, 0]
    assert [c.name for c in (plain, centred, sex)] == [
        "cmax_on_log_dose",
        "cmax_on_log_dose_3e5",
        "cmax_on_sex_F",
    ]


def test_inputs_come_from_the_first_event():
    data = trial(3)
    events = pd.DataFrame(
        {
            "subject": ["S001", "S001", "S003"],
            "time": [6.0, 4.0, 5.0],
            "event": ["tocilizumab"] * 2 + ["steroid"],
            "value": 1.0,
            "row": 0,
        }
    )
    from dataclasses import replace

    found = subject_inputs(load_model("stein2019_comedication"), replace(data, events=events))
    assert found["t_toci"].tolist() == [4.0, np.inf, np.inf]
    assert found["t_ster"].tolist() == [np.inf, np.inf, 5.0]


def test_nothing_left_to_fit_is_said():
    frame = pd.DataFrame({"ID": 1, "TIME": [7, 14], "DV": ["BLQ", "BLQ"]})
    data = read_nonmem(frame, value_unit="copies/ug", lloq=50)
    with pytest.raises(DataError, match="no observation of 'car' is left"):
        make_problem(load_model("stein2019"), data, blq="M1")
    assert len(make_problem(load_model("stein2019"), data).time) == 2, (
        "a subject with BLQ only is informative"
    )
