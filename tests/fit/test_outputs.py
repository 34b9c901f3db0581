"""A fit of two outputs, CAR-T level and tumour size, goes through everything that follows a fit."""

import re
from dataclasses import replace

import numpy as np
import pytest

from carkinetics import plot
from carkinetics.diagnostics.diagnose import diagnose
from carkinetics.diagnostics.replicate import predictive_coverage, replicates
from carkinetics.diagnostics.residuals import residuals
from carkinetics.diagnostics.vpc import vpc
from carkinetics.errors import ConfigError
from carkinetics.exposure import exposure_from, nca
from carkinetics.fit.chosen import take_draws
from carkinetics.fit.hierarchical import fit_hierarchical
from carkinetics.fit.measured import fitted_data, fitted_rows, measured_output, measured_outputs
from carkinetics.fit.predictive import individual_curves, typical_curve
from carkinetics.fit.result import load_fit
from carkinetics.model import load_model, predict, simulate
from carkinetics.report import write_report

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fit():
    model = load_model("effector_memory_tumour")
    design = {"times": (1, 3, 7, 10, 14, 21, 28, 60, 90), "lloq": 50, "doses": (3e5, 1e6)}
    tumour = {"times": (0, 14, 28, 60, 90), "lloq": 1e-3}
    data = simulate(model, design, n=6, seed=3, others={"tumour": tumour})
    return fit_hierarchical(model, data, draws=30, chains=2, sampler="structured", seed=1)


def test_rows_and_errors_of_each_output(fit):
    assert [(one.output, one.assay, one.sigmas) for one in measured_outputs(fit)] == [
        ("car", "qpcr", ("sigma",)), ("tumour", "tumour", ("sigma_tumour",)),
    ]  # fmt: skip
    assert measured_output(fit).output == "car"
    assert len(fitted_rows(fit)) == 6 * 9
    assert len(fitted_rows(fit, "tumour")) == 6 * 5
    assert fitted_data(fit, "tumour").assays["assay"].tolist() == ["tumour"]
    assert set(take_draws(fit, 5, 1).sigmas) == {"sigma", "sigma_tumour"}
    with pytest.raises(ConfigError, match="has no output 'tumor'"):
        fitted_rows(fit, "tumor")


def test_curves_of_each_output_are_the_models(fit):
    posterior = fit.tree["posterior"].to_dataset().stack(sample=("chain", "draw"), create_index=False)
    for output in ("car", "tumour"):
        found = individual_curves(fit, [0, 9, 40], None, output=output)[3, 2]
        own = {
            n: float(posterior[n][2, 3] if n in posterior else posterior[f"{n}_typical"][3])
            for n in fit.model.free_parameters
        }
        np.testing.assert_allclose(found, predict(fit.model, [0, 9, 40], output=output, **own), rtol=1e-6)
        middle = typical_curve(fit, [0, 9], output=output).median("draw")
        assert middle.shape == (2,)


def test_residuals_and_coverage_are_those_of_one_output(fit):
    car, tumour = residuals(fit, n_sim=100), residuals(fit, n_sim=100, output="tumour")
    assert (len(car), len(tumour)) == (54, 30)
    first = tumour[tumour["time"] == 0]  # all start at size 1, measured with an SD of 0.2 of the log
    assert (first["ipred"] == 1).all()
    sigma = float(fit.tree["posterior"]["sigma_tumour"].median())
    np.testing.assert_allclose(first["iwres"], np.log(first["value"]) / sigma, rtol=1e-12)
    assert np.isfinite(car["npd"]).all()
    assert predictive_coverage(fit, output="tumour")["n_quantified"] == (~tumour["imputed"]).sum()
    assert predictive_coverage(fit)["n_quantified"] == (~car["imputed"]).sum()
    held_out = predictive_coverage(
        fit, fit.data.select(assay=["qpcr", "tumour"]), n_draws=40, output="tumour"
    )
    assert held_out["n_blq"] == tumour["imputed"].sum()


def test_replicates_and_predictive_checks_are_those_of_one_output(fit):
    assert replicates(fit, n_draws=20).value.shape == (20, 54)
    assert replicates(fit, n_draws=20, output="tumour").value.shape == (20, 30)
    car, tumour = vpc(fit, n_sim=40), vpc(fit, n_sim=40, output="tumour")
    assert (car.unit, tumour.unit) == ("copies/ug", "1")
    assert tumour.points["time"].min() == 0  # a tumour is there before the cells
    assert car.points["time"].min() == 1


def test_exposure_is_that_of_the_first_output(fit):
    found = exposure_from(fit).table
    assert set(found.loc[found["metric"] == "cmax", "unit"]) == {"copies/ug"}
    assert (found["excluded"] == "").sum() >= 5 * 6
    observed = nca(fit.data)
    assert observed.settings["assay"] == "qpcr"
    cmax = found[found["metric"] == "cmax"].set_index("subject")["value"]
    seen = observed.table[observed.table["metric"] == "cmax"].set_index("subject")["value"]
    assert (np.abs(np.log(cmax / seen)) < 1.5).all()


def test_samples_from_before_the_infusion_are_not_lost_in_silence(fit):
    rows = fit.data.observations
    early = rows.assign(time=rows["time"].where((rows["assay"] != "tumour") | (rows["time"] > 0), -7.0))
    found = diagnose(replace(fit, data=replace(fit.data, observations=early))).set_index("rule")
    assert "before-infusion" not in diagnose(fit)["rule"].tolist()
    assert found.loc["before-infusion", "message"].startswith("6 samples of 6 subjects from before day 0")


def test_pictures_name_what_they_show(fit):
    assert plot.vpc(fit, n_sim=20)[0, 0].get_ylabel() == "CAR transgene (copies/µg DNA)"
    assert plot.vpc(fit, n_sim=20, output="tumour")[0, 0].get_ylabel() == "Tumour"
    panels = plot.individual_fits(fit, output="tumour", n_draws=10)
    assert panels[0].figure.get_supylabel() == "Tumour"
    assert plot.gof(fit, output="tumour")[0, 1].get_xlabel() == "Individual prediction\nTumour"
    assert plot.profiles(fit.data, assay="tumour").get_ylabel() == "Tumour"
    titles = [ax.get_title() for ax in plot.prior_posterior(fit)]
    assert any(title.startswith("sigma_tumour") for title in titles)


def test_the_report_shows_both_outputs(fit, tmp_path):
    assert not diagnose(fit).attrs["converged"]
    path = write_report(tmp_path / "report.html", fit.data, fit, nca(fit.data), exposure_from(fit))
    text = re.sub(r"data:image[^\"]*", "", path.read_text(encoding="utf-8"))
    for words in ("Tumour: All subjects", "Car: Subjects S0", "sigma_tumour", "lognormal of tumour (assay tumour)",
                  "Observed tumour levels", "tumour size relative to that at the infusion"):  # fmt: skip
        assert words in text


def test_a_saved_fit_knows_its_outputs(fit, tmp_path):
    again = load_fit(fit.save(tmp_path / "fit.nc"))
    assert len(residuals(again, n_sim=10, output="tumour")) == 30
