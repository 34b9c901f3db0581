"""A result that rests on a fit that did not converge says so itself: in words, in a repr, in a picture."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import carkinetics as ck
from carkinetics.diagnostics.unconverged import NOT_CONVERGED
from carkinetics.model import load_model, simulate
from carkinetics.plot.axes import _figure

MADE = {
    "vpc": (lambda fit: ck.vpc(fit, n_sim=20), ck.plot.vpc),
    "corrected": (lambda fit: ck.vpc(fit, n_sim=20, corrected=True), ck.plot.vpc),
    "npde": (lambda fit: ck.npde(fit, n_sim=30), ck.plot.npde),
    "exposure": (lambda fit: ck.check_exposure(fit, n_sim=20), ck.plot.exposure_check),
    "pit": (lambda fit: ck.loo_pit(fit, n_draws=40, n_inner=20), ck.plot.pit),
}


@pytest.fixture(scope="module")
def fits(around, completed):
    model = load_model("stein2019")
    fit = around(model, simulate(model, {"times": (3, 7, 14, 28, 60), "lloq": 200}, n=10, seed=3))
    return {"good": completed(fit), "bad": completed(fit, diverging=9), "no record": fit}


def words_of(axes):
    figure = _figure(np.ravel(axes)[0])
    return " ".join(ax.get_title() for ax in figure.axes)


@pytest.mark.parametrize("name", MADE)
def test_results_say_it_in_words_and_in_pictures(fits, name):
    make, draw = MADE[name]
    good, bad = make(fits["good"]), make(fits["bad"])
    assert (good.converged, bad.converged) == (True, False)
    assert bad.statement.startswith(f"{NOT_CONVERGED.capitalize()}. ")
    assert "onverged" not in good.statement
    assert "NOT CONVERGED" in repr(bad)
    assert "CONVERGED" not in repr(good)
    assert "not converged" in words_of(draw(bad))
    assert "not converged" not in words_of(draw(good))
    plt.close("all")


def test_a_prior_check_rests_on_no_fit_and_says_nothing(fits):
    check = ck.prior_check(fits["bad"], n_sim=20)
    assert check.converged is None
    assert "onverged" not in check.statement


def test_checks_side_by_side_are_marked_without_being_told(fits):
    checks = {name: ck.vpc(fits[name], n_sim=20) for name in ("good", "bad")}
    titles = [ax.get_title() for ax in ck.plot.vpc_compared(checks)[0]]
    assert titles == ["good", "bad\nnot converged"]
    plt.close("all")


def test_without_a_record_of_the_sampler_nothing_is_known(fits):
    assert ck.vpc(fits["no record"], n_sim=20).converged is None
