"""Correlations of population quantities are NumPy's of logs, and quantities that follow from others are left out."""

import numpy as np
import pytest

from carkinetics.diagnostics import population_correlations
from carkinetics.diagnostics.population_correlation import strongest_pairs


def test_the_matrix_is_that_of_the_free_scales(around, completed, made_fit):
    fit = completed(around(made_fit.model, made_fit.data))
    posterior, rng = fit.tree["posterior"].to_dataset(), np.random.default_rng(1)
    shape = posterior["sigma"].shape
    one = rng.normal(size=shape)
    other = -0.8 * one + 0.6 * rng.normal(size=shape)
    dims = ("chain", "draw")
    fit.tree["posterior"] = posterior.assign(
        cmax_typical=(dims, np.exp(5 + one)), fb_typical=(dims, 1 / (1 + np.exp(4 - other)))
    )
    matrix = population_correlations(fit)
    expected = np.corrcoef(one.ravel(), other.ravel())[0, 1]
    assert matrix.loc["cmax_typical", "fb_typical"] == pytest.approx(expected, rel=1e-9)
    np.testing.assert_array_equal(np.diag(matrix), 1.0)
    assert "half_life_typical" not in matrix, "it is ln 2 / beta, and its correlation with beta no finding"
    pairs = strongest_pairs(matrix)
    assert pairs.loc[0, ["first", "second"]].tolist() == ["cmax_typical", "fb_typical"]
    assert len(pairs) == len(matrix) * (len(matrix) - 1) // 2
    assert (pairs["correlation"].abs().diff().dropna() <= 0).all()
