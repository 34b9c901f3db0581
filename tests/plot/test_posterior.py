from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from carkinetics.errors import ConfigError, FitError
from carkinetics.model import load_model, simulate
from carkinetics.plot import prior_posterior, ranks, trace


@pytest.fixture(scope="module")
def individual(made_fit, alone):
    return alone(made_fit)


def test_an_individual_fit_has_no_posterior_to_draw(individual):
    for function in (prior_posterior, trace, ranks):
        with pytest.raises(FitError, match="an individual fit has no posterior"):
            function(individual)


def test_one_panel_per_population_parameter(dose_fit, rendered):
    n = 6 + 6 + 1 + 1  # typical values, omegas, slope, sigma
    for function in (prior_posterior, trace, ranks):
        panels = function(dose_fit)
        assert len(panels) == len(panels[0].figure.axes) == n
        assert rendered(panels)


def test_title_says_parameter_unit_and_contraction(dose_fit):
    (panel,) = prior_posterior(dose_fit, parameters=["cmax_typical"])
    first, second = panel.get_title().split("\n")
    assert first == "cmax_typical (copies/µg DNA)"
    # 2 % against a prior of 1.5 on the log scale.
    assert second == "contraction 1.00"
    assert panel.get_xscale() == "log"


def test_ranks_are_flat_on_average_and_show_a_chain_that_is_elsewhere(made_fit):
    posterior = made_fit.tree["posterior"].to_dataset()
    moved = posterior["tmax_typical"].copy(data=posterior["tmax_typical"] * np.array([[1.0], [5.0]]))
    tree = xr.DataTree.from_dict({"posterior": posterior.assign(tmax_typical=moved)})
    (panel,) = ranks(replace(made_fit, tree=tree), parameters=["tmax_typical"])
    heights = [patch.get_data().values for patch in panel.patches]
    assert [np.mean(height) for height in heights] == pytest.approx([1.0, 1.0])
    assert heights[0].tolist() == [2.0] * 5 + [0.0] * 5
    assert heights[1].tolist() == [0.0] * 5 + [2.0] * 5


def test_trace_has_a_line_per_chain_with_all_its_draws(made_fit):
    (panel,) = trace(made_fit, parameters=["sigma"])
    drawn = [line.get_ydata() for line in panel.get_lines()]
    np.testing.assert_array_equal(drawn, made_fit.tree["posterior"]["sigma"])


def test_unknown_parameter_is_refused(made_fit):
    with pytest.raises(ConfigError, match="did you mean 'cmax_omega'"):
        trace(made_fit, parameters=["cmax_omga"])


def test_a_posterior_without_spread_is_drawn(around, rendered):
    model = load_model("stein2019")
    fit = around(model, simulate(model, {"times": (7, 14), "lloq": 50}, n=3, seed=2), noise=0.0)
    assert rendered(prior_posterior(fit))
