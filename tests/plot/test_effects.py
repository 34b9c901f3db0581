from dataclasses import replace

import numpy as np
import pytest

from carkinetics.errors import ConfigError, FitError
from carkinetics.fit.variability import random_effects as means_of
from carkinetics.plot import effect_pairs, effects_by_covariate, random_effects


def test_one_panel_per_random_parameter_with_its_shrinkage(dose_fit, rendered):
    panels = random_effects(dose_fit)
    assert len(panels) == len(dose_fit.settings["random"])
    assert rendered(panels)
    assert "(SD type)" in panels[0].get_title()
    ticks = next(line for line in panels[2].get_lines() if line.get_marker() == "|")
    np.testing.assert_allclose(ticks.get_xdata(), means_of(dose_fit).iloc[:, 2])


def test_the_two_curves_agree_where_the_model_is_right(dose_fit):
    for ax in random_effects(dose_fit):
        draws, model = (line for line in ax.get_lines() if line.get_marker() != "|")
        x = draws.get_xdata()
        assert np.trapezoid(draws.get_ydata(), x) == pytest.approx(1, abs=0.02)
        assert np.trapezoid(model.get_ydata(), x) == pytest.approx(1, abs=0.02)
        assert np.trapezoid(np.abs(draws.get_ydata() - model.get_ydata()), x) < 0.35


def test_covariates_are_columns_and_parameters_rows(dose_fit, rendered):
    data = dose_fit.data
    sex = np.resize(["F", "M", "M"], len(data.subjects))
    fit = replace(dose_fit, data=replace(data, subjects=data.subjects.assign(sex=sex)))
    axes = effects_by_covariate(fit)
    assert axes.shape == (len(fit.settings["random"]), 2)
    assert rendered(axes)
    assert [ax.get_xlabel() for ax in axes[-1]] == ["sex", "log10(dose)"]
    assert [t.get_text() for t in axes[-1, 0].get_xticklabels()] == ["F\nn 20", "M\nn 40"]
    same = replace(data, subjects=data.subjects[["subject"]], doses=data.doses.assign(amount=1e6))
    with pytest.raises(ConfigError, match="no column of the subjects differs"):
        effects_by_covariate(replace(dose_fit, data=same))


def test_every_pair_has_a_panel(dose_fit, rendered):
    axes = effect_pairs(dose_fit)
    n = len(dose_fit.settings["random"])
    assert sum(ax.figure is not None for ax in axes.ravel()) == n * (n - 1) // 2
    assert rendered(axes[-1, 0])
    with pytest.raises(FitError, match="needs two"):
        effect_pairs(replace(dose_fit, settings={**dose_fit.settings, "random": ["cmax"]}))
