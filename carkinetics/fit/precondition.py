"""The same posterior in coordinates in which population and subjects hardly depend on each other, for NUTS.

A typical value and the subjects' values move together, which a diagonal mass matrix cannot follow and a dense one of
hundreds of dimensions cannot learn. An approximate fit knows the coupling: it gives a linear change of variables, with
one small block per subject. Its Jacobian is constant, so the posterior stays what it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray
from pytensor.graph.replace import graph_replace

from carkinetics.fit.approximate import Approximation, coefficient_system, inverse

Floats = NDArray[np.float64]
COEFFICIENTS, SUBJECTS = "coefficients_standardised", "subjects_standardised"


@dataclass(frozen=True, eq=False)
class Coupling:
    """A linear map from standardised coordinates to coefficients and subjects' values.

    Coefficients are ``centre + root η``; subject i's values ``middle_i + turn_i ξ_i + carry_i (coefficients - centre)``.

    Parameters
    ----------
    names : tuple of str
        Variables of the coefficients, in order.
    centre, root : ndarray, shapes (n,) and (n, n)
        Of the coefficients.
    columns : tuple of str
        Variables of the subjects' values; one that holds several effects stands once for each of them.
    middle, turn, carry : ndarray, shapes (n_subject, q), (n_subject, q, q) and (n_subject, q, n)
        Of the subjects.
    """

    names: tuple[str, ...]
    centre: Floats
    root: Floats
    columns: tuple[str, ...]
    middle: Floats
    turn: Floats
    carry: Floats

    def standardise(self, point: Mapping[str, Any]) -> dict[str, Floats]:
        """Standardised coordinates of a point, by name.

        Parameters
        ----------
        point : mapping of str to ndarray
            Values of the variables of `names` and `columns`.

        Returns
        -------
        dict of str to ndarray
            What the map takes to this point.
        """
        away = np.array([float(point[name]) for name in self.names]) - self.centre
        values = np.empty_like(self.middle)
        for name in dict.fromkeys(self.columns):
            at = [k for k, column in enumerate(self.columns) if column == name]
            values[:, at] = np.asarray(point[name]).reshape(len(values), len(at))
        rest = values - self.middle - self.carry @ away
        return {
            COEFFICIENTS: np.linalg.solve(self.root, away),
            SUBJECTS: np.linalg.solve(self.turn, rest[:, :, None])[:, :, 0],
        }

    def expressions(self, eta: Any, xi: Any) -> dict[str, Any]:
        """PyTensor expressions of the variables of `names` and `columns`.

        Parameters
        ----------
        eta, xi : pytensor variable
            Standardised coordinates.

        Returns
        -------
        dict of str to pytensor variable
            By name.
        """
        away = pt.sum(self.root * eta[None, :], axis=1)
        values = self.middle + pt.sum(self.turn * xi[:, None, :], axis=2)
        values = values + pt.sum(self.carry * away[None, None, :], axis=2)
        found = {name: self.centre[k] + away[k] for k, name in enumerate(self.names)}
        for name in dict.fromkeys(self.columns):
            at = [k for k, column in enumerate(self.columns) if column == name]
            found[name] = values[:, at[0]] if name != "effect_individual" else values[:, at]
        return found


def coupling_of(found: Approximation, centred: Iterable[str]) -> Coupling:
    """How coefficients and centred random effects move together, by an approximate fit.

    Parameters
    ----------
    found : Approximation
        An approximate fit.
    centred : iterable of str
        Random effects that the PyMC model holds as individual values. The others stay standardised deviations: how they
        depend on the coefficients changes with omega, and a fixed shear would make their funnel worse.

    Returns
    -------
    Coupling
        Around the fit.
    """
    problem, e, direct = found.problem, found.effects, set(centred)
    chosen = np.array([k for k, name in enumerate(problem.random) if name in direct], dtype=np.int64)
    n_mean, n = len(found.mean), len(found.mean) + len(found.shared)
    moved = np.zeros(
        (problem.n_subjects, found.theta.shape[1], n)
    )  # expected free parameters in the coefficients
    for a, of in enumerate(e.mean.of):
        moved[:, e.random[of], a] = e.mean.design[a]
    for a, of in enumerate(e.shared.of):
        moved[:, e.common[of], n_mean + a] = e.shared.design[a]
    at = e.random[chosen]
    among = inverse(found.between)[np.ix_(chosen, chosen)]
    covariance = inverse(found.data_information[:, at[:, None], at] + among)
    # The other parameters move with the coefficients, and the data make the chosen effects give way.
    others = moved.copy()
    others[:, at] = 0.0
    carry = covariance @ (among @ moved[:, at] - found.data_information[:, at] @ others)
    curvature, _ = coefficient_system(found)
    prior = np.concatenate([e.mean.spread, e.shared.spread]) ** -2.0
    kind = [problem.random[k] if problem.random[k] not in problem.correlated else "effect" for k in chosen]
    return Coupling(
        names=tuple(
            f"{name}_location" if name in problem.model.parameters else name
            for name in (*e.mean.names, *e.shared.names)
        ),
        centre=np.concatenate([found.mean, found.shared]),
        root=np.linalg.cholesky(inverse(curvature + np.diag(prior))),
        columns=tuple(f"{name}_individual" for name in kind),
        middle=found.modes[:, chosen],
        turn=np.linalg.cholesky(covariance),
        carry=carry,
    )


def precondition(model: pm.Model, coupling: Coupling) -> pm.Model:
    """A PyMC model of the same posterior in the coordinates of a coupling.

    Parameters
    ----------
    model : pymc.Model
        From `carkinetics.fit.graph.build_pymc_model`.
    coupling : Coupling
        Of its coefficients and subjects.

    Returns
    -------
    pymc.Model
        Flat variables and one potential; every free variable and every deterministic of ``model`` is a deterministic.
    """
    start = model.initial_point()
    wanted = [*model.free_RVs, *model.deterministics]
    values = model.replace_rvs_by_values(wanted)
    with pm.Model(coords=model.coords) as other:
        q = coupling.middle.shape
        moved = coupling.expressions(
            pm.Flat(COEFFICIENTS, shape=coupling.centre.shape), pm.Flat(SUBJECTS, shape=q)
        )
        for variable in model.value_vars:
            if variable.name not in moved:
                moved[variable.name] = pm.Flat(variable.name, shape=np.shape(start[variable.name]))
        swap = {
            variable: variable.type.filter_variable(moved[variable.name]) for variable in model.value_vars
        }
        pm.Potential("log_density", graph_replace(model.logp(), swap, strict=False))
        for variable, value in zip(wanted, values, strict=True):
            if variable.name not in other.named_vars:
                pm.Deterministic(
                    variable.name, graph_replace(value, swap, strict=False),
                    dims=model.named_vars_to_dims.get(variable.name),
                )  # fmt: skip
    return other
