"""The regularised horseshoe on Gaussian summaries of subjects, as a PyMC model drawn by nutpie."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carkinetics.errors import FitError

Floats = NDArray[np.float64]
SLAB_SCALE, SLAB_DF = 2.0, 4.0
TARGET_ACCEPT = 0.97  # a horseshoe is all funnels
RHAT, ESS = 1.01, 400.0


@dataclass(frozen=True, eq=False)
class Horseshoe:
    """What is regressed, and under which prior.

    Parameters
    ----------
    precision, linear : ndarray, shapes (n_subject, q, q) and (n_subject, q)
        H and b of every subject's log-likelihood, b·θ − θ'Hθ / 2.
    expected : ndarray, shape (n_subject, q)
        Mean of θ before the screen, free scale.
    x : ndarray, shape (n_subject, n_pairs)
        Covariate of each pair, mean 0 and SD 1.
    of : ndarray of int, shape (n_pairs,)
        Which of the q parameters it may move.
    unit : ndarray, shape (q,)
        What a slope of 1 is: ω without the covariates.
    omega_scale : ndarray, shape (q,)
        Scales of the half-normal priors of ω.
    told : ndarray, shape (q,)
        Number of subjects, counted by how much of their effect the data tell.
    tau_scale : float
        Of the half-Cauchy prior of the global scale.
    """

    precision: Floats
    linear: Floats
    expected: Floats
    x: Floats
    of: NDArray[np.intp]
    unit: Floats
    omega_scale: Floats
    told: Floats
    tau_scale: float


def build_horseshoe(asked: Horseshoe) -> Any:
    """The PyMC model.

    Parameters
    ----------
    asked : Horseshoe
        Data and prior.

    Returns
    -------
    pymc.Model
        ``slope`` (free scale per SD of the covariate) and ``kappa``, shape (n_pairs,).
    """
    import pymc as pm
    import pytensor.tensor as pt

    q, k = len(asked.unit), len(asked.of)
    with pm.Model() as model:
        shift = pm.Normal("shift", 0.0, 2.0, shape=q)
        omega = pm.HalfNormal("omega", asked.omega_scale, shape=q)
        tau = pm.HalfCauchy("tau", asked.tau_scale)
        local = pm.HalfCauchy("local", 1.0, shape=k)
        slab = pm.InverseGamma("slab", SLAB_DF / 2, SLAB_DF / 2 * SLAB_SCALE**2)
        width = tau * local * pt.sqrt(slab / (slab + tau**2 * local**2))
        z = pm.Normal("z", shape=k)
        slope = pm.Deterministic("slope", z * width * asked.unit[asked.of])
        pm.Deterministic("kappa", 1 / (1 + asked.told[asked.of] * width**2))
        moved = asked.x * slope
        mean = [
            asked.expected[:, j]
            + shift[j] * asked.unit[j]
            + (moved[:, asked.of == j].sum(axis=1) if (asked.of == j).any() else 0.0)
            for j in range(q)
        ]
        likelihood = marginal(asked.precision, asked.linear, mean, [omega[j] for j in range(q)], pt)
        pm.Potential("subjects", pt.sum(likelihood))
    return model


def marginal(precision: Floats, linear: Floats, mean: list[Any], omega: list[Any], ops: Any) -> Any:
    """Log of the likelihood exp(b·θ − θ'Hθ / 2) averaged over independent normal θ.

    Parameters
    ----------
    precision, linear : ndarray, shapes (n_subject, q, q) and (n_subject, q)
        H and b.
    mean : list of array, each of shape (n_subject,)
        Means of θ, by parameter.
    omega : list of scalar
        Its standard deviations.
    ops : module
        ``numpy`` or ``pytensor.tensor``.

    Returns
    -------
    array, shape (n_subject,)
        Exact; nothing is inverted that could be singular.

    Notes
    -----
    b·m − m'Hm / 2 + r'S A⁻¹ S r / 2 − log|A| / 2 with r = b − Hm, S = diag(ω) and A = I + SHS. The Cholesky factor is written out
    element by element, each an array over subjects: q is small, and batches of small matrices have no fast gradient.
    """
    q = len(omega)
    pulled = [sum(precision[:, a, b] * mean[b] for b in range(q)) for a in range(q)]
    total = sum(mean[a] * (linear[:, a] - 0.5 * pulled[a]) for a in range(q))
    root: dict[tuple[int, int], Any] = {}
    solved: list[Any] = []
    for a in range(q):
        for b in range(a + 1):
            entry = omega[a] * omega[b] * precision[:, a, b] + (1.0 if a == b else 0.0)
            entry = entry - sum(root[a, c] * root[b, c] for c in range(b))
            root[a, b] = ops.sqrt(entry) if a == b else entry / root[b, b]
        right = omega[a] * (linear[:, a] - pulled[a])
        solved.append((right - sum(root[a, c] * solved[c] for c in range(a))) / root[a, a])
        total = total + 0.5 * solved[a] ** 2 - ops.log(root[a, a])
    return total


def draw_horseshoe(
    asked: Horseshoe, *, draws: int, chains: int, seed: int
) -> tuple[Floats, Floats, bool, int]:
    """Draw by nutpie.

    Parameters
    ----------
    asked : Horseshoe
        Data and prior.
    draws, chains, seed : int
        Of nutpie; as many draws of warm-up.

    Returns
    -------
    slopes, kappa : ndarray, shape (n_draws, n_pairs)
        Draws of all chains in turn.
    converged : bool
        R-hat below 1.01 and ESS above 400 for all slopes.
    divergent : int
        Divergent draws.

    Raises
    ------
    FitError
        If nutpie could not start.
    """
    import nutpie
    from arviz_stats.base import array_stats

    compiled = nutpie.compile_pymc_model(build_horseshoe(asked))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            tree = nutpie.sample(
                compiled, draws=draws, tune=draws, chains=chains, seed=seed, progress_bar=False,
                target_accept=TARGET_ACCEPT, save_warmup=False,
            )  # fmt: skip
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise FitError(f"screen_covariates: nutpie stopped: {reason}") from error
    slopes, kappa = (tree["posterior"][name].to_numpy() for name in ("slope", "kappa"))
    each = np.moveaxis(slopes, -1, 0)
    good = all(
        array_stats.rhat(one) < RHAT and min(array_stats.ess(one), array_stats.ess(one, method="tail", prob=0.05)) > ESS
        for one in each
    )  # fmt: skip
    divergent = int(tree["sample_stats"]["diverging"].sum())
    flat = [values.reshape(-1, values.shape[-1]) for values in (slopes, kappa)]
    return flat[0], flat[1], bool(good), divergent
