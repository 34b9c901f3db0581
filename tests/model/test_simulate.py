"""Virtual subjects have the parameters, the doses and the censoring that were asked for."""

import numpy as np
import pandas as pd
import pytest

from carkinetics.errors import ConfigError
from carkinetics.model import SamplingDesign, load_model, predict, simulate
from carkinetics.model.simulate import report_measurements

DESIGN = SamplingDesign(times=(-1, 0, 3, 7, 14, 28), lloq=50, lod=20, doses=(1e5, 1e6))


def test_the_same_seed_gives_the_same_data():
    one, two, other = (simulate(load_model("stein2019"), DESIGN, 5, seed) for seed in (1, 1, 2))
    assert one.sha256 == two.sha256 != other.sha256


def test_without_noise_and_spread_the_data_are_the_typical_curve():
    model = load_model("stein2019")
    zero = dict.fromkeys(model.parameters, 0.0)
    data = simulate(model, DESIGN, 1, 1, omega=zero, sigma=0.0)
    seen = data.observations.query("status == 'quantified'")
    np.testing.assert_allclose(seen["value"], predict(model, seen["time"]), rtol=1e-12)
    assert data.observations["status"].tolist()[:2] == ["predose", "predose"]


def test_the_dose_moves_the_parameter_by_the_stated_power():
    model = load_model("stein2019")
    data = simulate(
        model, DESIGN, 2, 1, omega=dict.fromkeys(model.parameters, 0.0), on_log_dose={"cmax": 0.3}
    )
    peaks = data.subjects["true_cmax"].to_numpy()
    assert peaks[1] / peaks[0] == pytest.approx(10**0.3)


def test_parameters_have_the_spread_that_was_asked_for():
    data = simulate(load_model("stein2019"), DESIGN, 4000, 3, omega={"cmax": 1.0, "fb": 0.5})
    fb = data.subjects["true_fb"].to_numpy()
    assert np.log(data.subjects["true_cmax"]).std() == pytest.approx(1.0, rel=0.05)
    assert np.log(fb / (1 - fb)).std() == pytest.approx(0.5, rel=0.05)


def test_a_fixed_parameter_does_not_vary():
    data = simulate(load_model("stein2019").fix(fb=0.01), DESIGN, 5, 1)
    assert data.subjects["true_fb"].tolist() == pytest.approx([0.01] * 5)


def test_a_laboratory_reports_three_kinds_below_the_limit():
    table = pd.DataFrame(
        {"subject": "s", "assay": "qpcr", "time": [-1.0, 2, 3, 4], "value": [0.0, 60, 30, 10]}
    )
    reported = report_measurements(table, lloq=50, lod=20, unit="copies/ug")
    assert reported["status"].tolist() == ["predose", "quantified", "below_lloq", "not_detected"]
    assert reported[["lower", "upper"]].to_numpy().tolist() == [[0, 0], [60, 60], [20, 50], [0, 20]]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"n": 0}, "n is 0"),
        ({"n": 2, "typical": {"cmx": 3}}, "did you mean 'cmax'"),
        ({"n": 2, "omega": {"tmx": 3}}, "did you mean 'tmax'"),
        ({"n": 2, "on_log_dose": {"bta": 3}}, "did you mean 'beta'"),
    ],
)
def test_a_design_that_makes_no_sense_is_refused(arguments, said):
    with pytest.raises(ConfigError, match=said):
        simulate(load_model("stein2019"), DESIGN, seed=1, **arguments)
