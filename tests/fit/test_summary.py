"""The table of a fit: R-hat is the rank-normalised one, the larger of bulk and tails."""

import arviz as az
import numpy as np
import pytest

from carkinetics.fit.hierarchical import problem_of
from carkinetics.fit.summary import summarise

# Acceptance G3.
CHAINS = np.array([[1, 2, 1.5, 2.2, 1.1, 2.4, 1.7, 1.9], [1.3, 2.1, 1.8, 1.2, 2.5, 1.6, 2, 1.4]])


def test_r_hat_of_two_short_chains_is_the_published_number(made_fit, completed):
    fit = completed(made_fit)
    tree = fit.tree.copy()
    short = tree["posterior"].to_dataset().isel(chain=[0, 1], draw=range(8))
    tree["posterior"] = tree["posterior"].from_dict({"/": short.assign(sigma=(("chain", "draw"), CHAINS))})
    table = summarise(problem_of(fit), tree).set_index(["subject", "parameter"])
    assert table.loc[("", "sigma"), "rhat"] == pytest.approx(0.90371534, abs=1e-6)
    assert float(az.rhat(CHAINS, method="split")) == pytest.approx(0.89868116, abs=1e-6)
