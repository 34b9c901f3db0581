"""Equations that could not be solved while sampling: how often, for whom, and with which parameters first."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from carkinetics.fit.problem import Problem


def failed_solves(problem: Problem, count: NDArray[Any], first: NDArray[np.float64]) -> dict[str, Any]:
    """What `diagnose` says of failed solutions.

    Parameters
    ----------
    problem : Problem
        What is fitted.
    count : ndarray, shape (n_subject,)
        Proposals that were refused.
    first : ndarray, shape (n_subject, n_free)
        Free parameters of the first of them.

    Returns
    -------
    dict
        By subject: ``count``, and ``first``, parameters by name on the natural scale.
    """
    parameters, free = problem.model.parameters, problem.model.free_parameters
    return {
        problem.data.subject_ids[i]: {
            "count": int(count[i]),
            "first": {n: float(parameters[n].from_free(v)) for n, v in zip(free, first[i], strict=True)},
        }
        for i in np.flatnonzero(count)
    }
