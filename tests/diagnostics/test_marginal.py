"""Random numbers of the average over random effects: one set for all posterior draws, or one for each."""

from dataclasses import fields, replace

import numpy as np

from carkinetics.diagnostics.marginal import marginal_log_likelihood
from carkinetics.fit.chosen import take_draws
from carkinetics.fit.hierarchical import problem_of


def repeated(draws):
    """The first draw, twice."""

    def twice(value):
        if isinstance(value, dict):
            return {key: twice(one) for key, one in value.items()}
        return value[[0, 0]] if isinstance(value, np.ndarray) and len(value) else value

    return replace(draws, **{field.name: twice(getattr(draws, field.name)) for field in fields(draws)})


def test_equal_draws_have_one_error_with_common_numbers_and_two_without(made_fit, completed):
    fit = completed(made_fit)
    fit = replace(fit, settings={"requested_covariates": {}, "correlated": [], **fit.settings})
    problem, draws = problem_of(fit), repeated(take_draws(fit, 2, 1))
    together = marginal_log_likelihood(problem, draws, 200, 1, common=True)
    apart = marginal_log_likelihood(problem, draws, 200, 1)
    assert (together[0] == together[1]).all()
    assert (apart[0] != apart[1]).any()
