"""The other engine is asked for the same posterior; whether both agree is tested with the engines, in tests/fit."""

import sys

import numpy as np
import pandas as pd
import pytest

from carkinetics.diagnostics.cross_check import cross_check, judged, other_engine
from carkinetics.errors import FitError
from carkinetics.fit import fit_hierarchical
from carkinetics.model import load_model, simulate

LOW = {"class": "low", "share": {"dist": "logitnormal", "median": 0.3, "sigma": 1.0}, "shift": {"cmax": {"dist": "normal", "mean": -1.5, "sd": 1.0}}}  # fmt: skip


def test_the_other_engine_is_asked_for_the_same_model(monkeypatch):
    """Classes that the fit was given were lost on the way, and another posterior was compared."""
    model = load_model("stein2019")
    data = simulate(model, {"times": (3, 7, 14, 28), "lloq": 25}, 4, 1)
    asked = {
        "random": ["cmax", "tmax"],
        "correlated": ["cmax", "tmax"],
        "mixture": LOW,
        "error": "student_t",
        "blq": "M4",
    }
    fit = fit_hierarchical(model, data, **asked, draws=20, chains=1, seed=1)

    found = {}

    def other(model, data, **asked):
        found.update(asked)
        return fit

    monkeypatch.setattr(sys.modules[cross_check.__module__], "fit_hierarchical", other)
    assert (cross_check(fit)["z"] == 0).all()
    assert found["mixture"] == fit.settings["mixture"]
    assert found["mixture"]["class"] == "low"
    assert found["sampler"] == other_engine(fit) == "nuts"
    for name in ("random", "correlated", "blq"):
        assert found[name] == fit.settings[name]
    assert [*found["error"].values()] == ["student_t"]


@pytest.mark.parametrize(
    ("z", "agree"), [([0.1, -3.9], True), ([0.1, -4.1], False), ([np.nan, np.nan], False)]
)
def test_one_quantity_that_differs_is_enough(z, agree):
    assert judged(pd.DataFrame({"z": z}), "structured", "nutpie").attrs["agree"] is agree


def test_fits_of_single_subjects_have_no_other_engine(made_fit, alone):
    with pytest.raises(FitError, match="cross_check compares the two engines"):
        cross_check(alone(made_fit))
