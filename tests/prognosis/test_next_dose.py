"""Predictions at candidate doses: exact for a power of the dose, marked where nothing was studied, refused where senseless."""

import numpy as np
import pytest
from scipy import stats

from carkinetics.errors import ConfigError
from carkinetics.model import load_model
from carkinetics.prognosis import forecast, known_population, predict_doses
from carkinetics.response.grade import GradeModel

DOSES = (1e5, 3e5, 1e6, 4e6)
SLOPE, OMEGA = 0.7, 0.6


@pytest.fixture(scope="module")
def power(written):
    """Cmax follows the dose to the power 0.7, and differs between patients of a dose by a normal ln with SD 0.6."""
    covariates = [{"parameter": "cmax", "name": "cmax_on_log_dose", "text": "log(dose / 1e6)", "centre": 0.0}]
    return written(["cmax"], {"cmax_omega": OMEGA, "cmax_on_log_dose": SLOPE}, {"covariates": covariates})


def rows(found, who, metric="cmax"):
    table = found.table[(found.table["who"] == who) & (found.table["metric"] == metric)]
    return table.set_index("dose")


def test_a_power_of_the_dose_gives_its_exact_medians_and_intervals(power):
    found = predict_doses(power, DOSES, studied=(3e5, 1e6), draws=8000)
    middle = 24000 * (np.array(DOSES) / 1e6) ** SLOPE
    typical = rows(found, "typical patient")
    assert typical["value"].to_numpy() == pytest.approx(middle, rel=1e-6)
    assert typical["lower"].to_numpy() == pytest.approx(middle, rel=1e-6)  # the population has no uncertainty
    new = rows(found, "new patient")
    for column, z, factor in (("lower", -1.6449, 2.11), ("value", 0.0, 1.25), ("upper", 1.6449, 2.11)):
        exact = np.log(middle) + z * OMEGA
        assert np.abs(np.log(new[column].to_numpy()) - exact).max() < 4 * factor * OMEGA / np.sqrt(8000)
    ratio = (rows(found, "typical patient", "auc_0_28")["value"] / typical["value"]).to_numpy()
    assert ratio == pytest.approx(ratio[0], rel=1e-9)


def test_what_was_not_studied_is_marked_with_how_far(power):
    found = predict_doses(power, DOSES, studied=(3e5, 1e6))
    mark = found.table.drop_duplicates("dose").set_index("dose")
    assert mark["studied"].tolist() == ["below", "within", "within", "above"]
    assert mark["ratio"].tolist() == pytest.approx([1 / 3, 1, 1, 4])
    where = found.findings[found.findings["rule"] == "extrapolation"]["where"].tolist()
    assert where == ["dose 1e+05", "dose 4e+06"]
    assert "extrapolated, 4 times the highest studied dose" in found.statement
    assert found.settings["studied"] == (3e5, 1e6)


def test_a_new_patient_is_who_a_forecast_without_samples_is_of(power, new_patients):
    dose = float(new_patients.first_dose().iloc[0])
    found = predict_doses(power, [dose], draws=4000)
    (row,) = rows(found, "new patient").to_dict("records")
    alone = forecast(
        power, new_patients, subject=new_patients.subject_ids[0], upto=-1, draws=4000
    ).table.iloc[0]
    for column in ("lower", "value", "upper"):
        assert np.log(row[column] / alone[column]) == pytest.approx(0, abs=0.1)


def test_the_probability_of_an_outcome_is_averaged_over_new_patients(power, written_outcome):
    coefficients = {"exposure_draw": [0], "intercept": [-15.0], "slope": [1.4]}
    model = written_outcome(
        GradeModel, coefficients, {"exposure": [5e3, 4e4]}, family="binary", outcome="dlt == 1"
    )
    found = predict_doses(power, (1e5, 1e6), outcomes=model, draws=8000)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    for row in found.risks.itertuples():
        x = np.log(24000) + SLOPE * np.log(row.dose / 1e6) + OMEGA * nodes
        exact = weights @ (1 / (1 + np.exp(15.0 - 1.4 * x))) / weights.sum()
        assert row.probability == pytest.approx(exact, abs=4 * 0.2 / np.sqrt(8000))
        assert row.lower == pytest.approx(row.upper)  # one draw of the coefficients: the share is known
        centre = np.log(24000) + SLOPE * np.log(row.dose / 1e6)
        beyond = 1 - np.diff(stats.norm(centre, OMEGA).cdf(np.log([5e3, 4e4])))[0]
        assert row.beyond == pytest.approx(beyond, abs=0.02)
    assert found.risks["probability"].is_monotonic_increasing
    assert "P(dlt == 1)" in found.statement


def test_a_fit_without_an_effect_of_dose_says_that_dose_cannot_act(stein):
    found = predict_doses(stein, (1e5, 1e6), draws=200)
    assert found.statement.startswith("Exposure cannot depend on dose in this fit")
    assert "no-dose-effect" in set(found.findings["rule"])
    assert not found.table["dose_acts"].any()
    assert found.settings["dose_effect"] == "none"
    assert rows(found, "new patient")["value"].nunique() == 1
    assert (found.table["studied"] == "unknown").all()


def test_infused_cells_of_a_linear_model_are_proportional_to_dose():
    # Nothing in this model saturates: twice the cells, twice the level.
    found = predict_doses(
        known_population(load_model("msln_cavity")), (1e5, 1e6), draws=100, metrics=["cmax"]
    )
    for who in ("new patient", "typical patient"):
        value = rows(found, who)["value"]
        assert value[1e6] / value[1e5] == pytest.approx(10, rel=1e-4)
    assert found.settings["dose_effect"] == "infusion"


def test_a_fit_with_subjects_takes_their_doses_for_studied(dose_fit):
    found = predict_doses(dose_fit, (1e5, 4e6), draws=400)
    assert found.settings["studied"] == (1e5, 2e6)
    assert found.table.drop_duplicates("dose")["studied"].tolist() == ["within", "above"]
    typical = rows(found, "typical patient")["value"]
    assert np.log(typical[4e6] / typical[1e5]) / np.log(40) == pytest.approx(0.8, abs=0.02)  # made with 0.8
    assert found.converged


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"doses": ()}, "doses is"),
        ({"doses": (0, 1e6)}, "numbers of cells above 0"),
        ({"doses": 1e6}, "doses is 1000000.0"),
        ({"doses": ("high",)}, "doses is"),
        ({"studied": (-1,)}, "studied is"),
        ({"draws": 10}, "draws is 10"),
        ({"horizon": float("nan")}, "horizon is nan"),
        ({"metrics": None}, "metrics is None; expected names"),
        ({"seed": -1}, "seed is -1"),
        ({"interval": 0}, "interval is 0"),
        ({"metrics": ["tlast"]}, "not a metric of a curve"),
        ({"outcomes": "dlt"}, "outcomes is 'dlt'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(power, settings, message):
    asked = {"doses": DOSES} | settings
    with pytest.raises(ConfigError, match=message):
        predict_doses(power, asked.pop("doses"), **asked)


def test_an_outcome_without_a_probability_or_in_another_unit_is_refused(power, written_outcome):
    coefficients = {"exposure_draw": [0], "intercept": [0.0], "slope": [1.0], "residual_sd": [1.0]}
    seen = {"exposure": [1.0, 2.0]}
    number = written_outcome(GradeModel, coefficients, seen, family="continuous", outcome="best_change")
    with pytest.raises(ConfigError, match="best_change is continuous, which has a mean and no probability"):
        predict_doses(power, DOSES, outcomes=number)
    other = written_outcome(GradeModel, coefficients, seen, family="binary", outcome="dlt", unit="cells/uL")
    with pytest.raises(ConfigError, match="cmax in cells/uL, the fit has it in copies/ug"):
        predict_doses(power, DOSES, outcomes=other)
