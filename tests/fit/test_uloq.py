"""What follows a fit when peaks were above the upper limit of quantification."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kstest

from carkinetics.diagnostics.replicate import ceiling_of, measured_level, predictive_coverage
from carkinetics.diagnostics.residuals import residuals
from carkinetics.diagnostics.vpc import vpc
from carkinetics.fit.individual import fit_individuals
from carkinetics.model import load_model, simulate
from carkinetics.plot import gof, individual_fits, profiles

ULOQ = 10_000.0


def limited(data):
    """The data of a laboratory that quantifies up to the ULOQ."""
    rows = data.observations.copy()
    above = rows["value"] > ULOQ
    rows.loc[above, ["value", "status", "lower", "upper"]] = [np.nan, "above_uloq", ULOQ, np.inf]
    return replace(data, observations=rows, assays=data.assays.assign(uloq=ULOQ))


@pytest.fixture(scope="module")
def data():
    made = simulate(load_model("stein2019"), {"times": (3, 7, 10, 14, 28, 60), "lloq": 50}, n=60, seed=2)
    return limited(made)


@pytest.fixture(scope="module")
def fit(around, data):
    return around(load_model("stein2019"), data)


def test_rows_above_stand_at_their_limit(data):
    rows = data.observations
    above = rows["status"] == "above_uloq"
    assert above.sum() > 50
    assert (measured_level(rows)[above] == ULOQ).all()
    assert (ceiling_of(rows, data) == ULOQ).all()
    assert (ceiling_of(rows[~above], replace(data, assays=data.assays.drop(columns="uloq"))) == np.inf).all()


def test_residuals_above_are_drawn_from_what_is_known(fit):
    table = residuals(fit, n_sim=200)
    above = table["status"] == "above_uloq"
    assert table["imputed"][above].all()
    assert (table["dv"][above] >= ULOQ * (1 - 1e-9)).all()
    assert np.isfinite(table[["iwres", "npd"]]).all().all()
    assert kstest(table["iwres"], "norm").pvalue > 0.01


def test_coverage_and_percentiles_count_rows_above(fit):
    covered = predictive_coverage(fit, fit.data, n_draws=300)
    assert covered["n_quantified"] + covered["n_blq"] == (fit.observations["status"] != "above_uloq").sum()
    assert covered["covered"] == pytest.approx(0.9, abs=0.07)
    check = vpc(fit, n_sim=50)
    assert np.nanmax(check.percentiles[["observed", "lower", "median", "upper"]]) == pytest.approx(ULOQ)
    assert check.points["level"][~check.points["blq"]].notna().all()


def test_pictures_point_upwards_at_the_limit(fit):
    def upward(ax):
        lines = [line for line in ax.get_lines() if line.get_marker() == "^"]
        return np.concatenate([np.asarray(line.get_ydata(), float) for line in lines])

    assert set(upward(profiles(fit.data))) == {ULOQ}
    one = fit.observations.loc[fit.observations["status"] == "above_uloq", "subject"].iloc[0]
    assert ULOQ in upward(individual_fits(fit, subjects=[one], n_draws=5)[0])
    assert (upward(gof(fit)[0, 1]) >= ULOQ * (1 - 1e-9)).all()


def test_individual_fits_use_the_limit(data):
    few = data.select(subjects=data.subject_ids[:6])
    table = fit_individuals(load_model("stein2019"), few, priors=True).individual("cmax")
    assert (table["status"] == "converged").sum() >= 5
    truth = few.subjects.set_index("subject")["true_cmax"]
    ratio = table.set_index("subject")["median"] / truth
    assert ratio.dropna().between(0.3, 3).all()
