"""What warm-up learns: stand-ins matched to the draws, proposals for the population, subjects with several modes.

All of it is frozen before the draws that count. Any values give an exact sampler; good ones give a quick one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from carkinetics.fit.approximate import Approximation, inverse
from carkinetics.fit.chain import Record, Tuning
from carkinetics.fit.layout import TOLERANCE, Layout
from carkinetics.fit.modes import find_modes
from carkinetics.fit.rowwise import EXACT, STUDENT, row_log_likelihood, row_slope
from carkinetics.fit.surrogate import Surrogate, Transposed, complete, transport
from carkinetics.fit.vector import Population, covariance, expect, sigmas, sizes
from carkinetics.model.jit import compiled

Floats = NDArray[np.float64]
MOST_MODES = 4
STARTS = 10
# A mode this far (in log density) below a subject's best one is never visited.
MODE_DEPTH = 25.0
# Draws are correlated: so many make one independent one. And what the stand-ins weigh against the draws.
INEFFICIENCY, STAND_IN_WEIGHT, SHARED_WEIGHT = 10.0, 20.0, 100.0
BEND_STEP = 1.5  # standard deviations of a common effect at which the modes are followed


@compiled()
def by_output(data, sigma, predicted, jacobian, information, slope, offset, exact):
    """Information, slope and offset of every subject's likelihood, by output, in all free parameters."""
    pointer, _, output, kind, value, lower, above, numbers, sigma_at, _, _, _ = data
    for i in range(len(pointer) - 1):
        for r in range(pointer[i], pointer[i + 1]):
            k = output[r]
            first, second = sigma[sigma_at[k, 0]], sigma[sigma_at[k, 1]]
            here = row_log_likelihood(
                numbers[k], kind[r], predicted[r], value[r], lower[r], above[r], first, second
            )
            push, curvature = row_slope(
                numbers[k], kind[r], predicted[r], value[r], lower[r], above[r], first, second
            )
            if not (abs(push) + curvature + abs(here) + np.abs(jacobian[r]).sum() < 1e20):
                continue
            offset[i, k] -= here
            if kind[r] == EXACT:
                exact[i, k] += 1.0
                if numbers[k] <= STUDENT:
                    offset[i, k] -= np.log(first)
            for a in range(jacobian.shape[1]):
                slope[i, k, a] += push * jacobian[r, a]
                for b in range(jacobian.shape[1]):
                    information[i, k, a, b] += curvature * jacobian[r, a] * jacobian[r, b]


def first_surrogate(state: Approximation) -> Surrogate:
    """Stand-ins from the derivatives of the likelihood at the modes of an approximate fit.

    Parameters
    ----------
    state : Approximation
        At its modes.

    Returns
    -------
    Surrogate
        Around the modes.
    """
    layout, e = state.problem.layout, state.effects
    n, p, k = state.problem.n_subjects, state.theta.shape[1], len(layout.numbers)
    information, slope = np.zeros((n, k, p, p)), np.zeros((n, k, p))
    offset, exact = np.zeros((n, k)), np.zeros((n, k))
    by_output(
        layout.data, state.sigma, np.nan_to_num(state.predicted), np.nan_to_num(state.jacobian), information, slope,
        offset, exact,
    )  # fmt: skip
    # From free parameters to random effects and common coefficients.
    q, d = e.n_random, len(e.shared.of)
    change = np.zeros((n, p, q + d))
    change[:, e.random, np.arange(q)] = 1.0
    for f in range(d):
        change[:, e.common[e.shared.of[f]], q + f] = e.shared.design[f]
    empty = Transposed(*(np.empty(0) for _ in Transposed._fields))
    made = Surrogate(
        centre=np.ascontiguousarray(state.modes), shared=state.shared.copy(), sigma=state.sigma[layout.sigma_at[:, 0]],
        sigma_at=np.ascontiguousarray(layout.sigma_at[:, 0]), power=np.where(layout.numbers <= STUDENT, 2.0, 0.0),
        information=np.ascontiguousarray(np.einsum("nab,nkac,ncd->nkbd", change, information, change)),
        slope=np.ascontiguousarray(np.einsum("nab,nka->nkb", change, slope)), offset=offset, exact=exact,
        bend=np.zeros((n, q, d)), whiten=np.zeros((d, d)), by_subject=empty,
    )  # fmt: skip
    return complete(made)


def coordinates(
    x: Floats, population: Population, surrogate: Surrogate
) -> tuple[Floats, Floats, Floats, Floats]:
    """Expected values, precision of the random effects, and every subject's root and middle at ``x``."""
    n, q = surrogate.centre.shape
    k = len(surrogate.power)
    expected, common = np.empty((n, q)), np.empty((n, len(population.common)))
    root, middle = np.zeros((q, q, n)), np.empty((q, n))
    transport(x, population, surrogate, expected, common, np.empty(k), np.empty(k), root, middle, np.empty(n))
    between = np.empty((q, q))
    covariance(x, population, between)
    return expected, inverse(between), np.moveaxis(root, -1, 0).copy(), middle.T.copy()


def modes_at(
    x: Floats,
    shared: Floats,
    start: Floats,
    layout: Layout,
    population: Population,
    *,
    steps: int,
    widen: float = 1.0,
) -> tuple[Floats, Floats, Floats]:
    """Modes of all subjects at given population values.

    Parameters
    ----------
    x : ndarray
        Population vector.
    shared : ndarray
        Common coefficients, which may differ from those in ``x``.
    start : ndarray, shape (n_subject, n_random)
        Where to begin.
    layout : Layout
        The data.
    population : Population
        Prior and design.
    steps : int
        Gauss-Newton steps at most.
    widen : float
        Factor on the random effects' standard deviations.

    Returns
    -------
    tuple of ndarray
        Modes, precision matrices around them, and log joint densities.
    """
    c, d, q, _ = sizes(population)
    n, p, rows = len(start), q + len(population.common), len(layout.time)
    full = x.copy()
    full[c : c + d] = shared
    expected, common, between = np.empty((n, q)), np.empty((n, p - q)), np.empty((q, q))
    expect(full, population, expected, common)
    covariance(full, population, between)
    precision = inverse(between * widen**2)
    theta = np.empty((n, p))
    theta[:, population.random], theta[:, population.common] = start, common
    information, score, objective = np.empty((n, p, p)), np.empty((n, p)), np.empty(n)
    sigma = np.empty(len(population.sigma_scale))
    sigmas(full, population, sigma)
    find_modes(
        layout.gradients.address, 0, n, theta, expected, precision, population.random, layout.data, sigma, steps,
        TOLERANCE, np.empty(rows), np.empty((rows, p)), information, score, objective,
    )  # fmt: skip
    r = population.random
    return np.ascontiguousarray(theta[:, r]), information[:, r[:, None], r] + precision, objective


def matched_surrogate(
    surrogate: Surrogate,
    population: Population,
    layout: Layout,
    draws: Floats,
    records: Sequence[Record],
    sweeps: int,
) -> Surrogate:
    """Stand-ins whose coordinates have mean 0 and covariance 1 over the draws.

    Parameters
    ----------
    surrogate : Surrogate
        What the draws were made with.
    population : Population
        Prior and design.
    layout : Layout
        The data.
    draws : ndarray, shape (n, n_x)
        Population vectors of the chains that are used.
    records : sequence of Record
        Of the same chains: their moments.
    sweeps : int
        Number of sweeps that the moments were summed over, all chains together.

    Returns
    -------
    Surrogate
        Around the mean of the draws.
    """
    c, d, q, _ = sizes(population)
    centre = draws.mean(axis=0)
    expected, precision, root, middle = coordinates(centre, population, surrogate)
    first, second, with_shared = (
        sum(getattr(record, name) for record in records) / sweeps
        for name in ("first", "second", "with_shared")
    )
    effective = sweeps / INEFFICIENCY
    trust = effective / (effective + STAND_IN_WEIGHT)
    spread = trust * (second - first[:, :, None] * first[:, None, :]) + (1 - trust) * np.eye(q)
    shared = draws[:, c : c + d].mean(axis=0)
    lean, curve, whiten = np.zeros((len(first), q, d)), np.zeros((len(first), q, d)), np.zeros((d, d))
    if d:
        among = np.cov(draws[:, c : c + d].T).reshape(d, d) + 1e-12 * np.eye(d)
        on_shared = (with_shared - first[:, :, None] * (shared - surrogate.shared)) @ np.linalg.inv(
            among * (1 + SHARED_WEIGHT / effective)
        )
        spread = _clipped(spread - on_shared @ among @ on_shared.transpose(0, 2, 1), 0.05)
        lean, curve, whiten = _follow_shared(centre, shared, among, middle, layout, population)
    root = np.tril(root)
    root[:, np.arange(q), np.arange(q)] **= -1.0
    upper = np.linalg.inv(root).transpose(0, 2, 1)
    moved = middle + np.einsum("nab,nb->na", upper, trust * first)
    observed = inverse(upper @ spread @ upper.transpose(0, 2, 1))
    information = _clipped(observed - precision, 1e-3 * np.diag(precision).min())
    total = information + precision
    bend = total @ curve
    pull = (moved - expected) @ precision - bend.sum(axis=2)
    return _shared_out(
        surrogate, population, centre, information, total, lean, pull, moved, shared, bend, whiten
    )


def _shared_out(
    surrogate: Surrogate, population: Population, x: Floats, information: Floats, total: Floats, lean: Floats, pull: Floats,
    moved: Floats, shared: Floats, bend: Floats, whiten: Floats,
) -> Surrogate:  # fmt: skip
    """Give every output the share of the new information that it had of the old."""
    n, q = moved.shape
    d, k = len(shared), len(surrogate.power)
    sigma = np.empty(len(population.sigma_scale))
    sigmas(x, population, sigma)
    sigma = sigma[surrogate.sigma_at]
    weight = (surrogate.sigma / sigma) ** surrogate.power
    old = np.einsum("nkaa->nk", surrogate.information[:, :, :q, :q]) * weight + 1e-12
    share = (old / old.sum(axis=1, keepdims=True) / weight)[:, :, None, None]
    new, slope = np.zeros((n, k, q + d, q + d)), np.zeros((n, k, q + d))
    new[:, :, :q, :q] = information[:, None] * share
    cross = -(total @ lean)[:, None] * share
    new[:, :, :q, q:], new[:, :, q:, :q] = cross, cross.transpose(0, 1, 3, 2)
    slope[:, :, :q] = pull[:, None] * share[:, :, 0]
    found = surrogate._replace(
        centre=np.ascontiguousarray(moved), shared=np.ascontiguousarray(shared), information=np.ascontiguousarray(new),
        slope=slope, offset=np.zeros((n, k)), bend=np.ascontiguousarray(bend), whiten=np.ascontiguousarray(whiten),
    )  # fmt: skip
    return complete(found)


def _clipped(matrices: Floats, lowest: float) -> Floats:
    """The same matrices with no eigenvalue below a bound."""
    values, vectors = np.linalg.eigh((matrices + matrices.transpose(0, 2, 1)) / 2)
    return (vectors * np.maximum(values, lowest)[:, None, :]) @ vectors.transpose(0, 2, 1)


def _follow_shared(
    x: Floats, shared: Floats, among: Floats, start: Floats, layout: Layout, population: Population
) -> tuple[Floats, Floats, Floats]:
    """How the subjects' modes move with the common coefficients: slope, bend, and the coordinates of the bend."""
    values, vectors = np.linalg.eigh(among)
    length = np.sqrt(np.maximum(values, 1e-12))
    whiten = (vectors / length).T
    middle, _, _ = modes_at(x, shared, start, layout, population, steps=8)
    n, q, d = len(middle), middle.shape[1], len(shared)
    slope, bend = np.empty((n, q, d)), np.empty((n, q, d))
    for j in range(d):
        step = BEND_STEP * length[j] * vectors[:, j]
        above, _, _ = modes_at(x, shared + step, middle, layout, population, steps=8)
        below, _, _ = modes_at(x, shared - step, middle, layout, population, steps=8)
        slope[:, :, j] = np.clip((above - below) / (2 * BEND_STEP), -3.0, 3.0)
        bend[:, :, j] = np.clip((above + below - 2 * middle) / (2 * BEND_STEP**2), -1.0, 1.0)
    return slope @ whiten, bend, whiten


def population_tuning(
    draws: Floats, old: Tuning, sets: Sequence[tuple[Sequence[int], float]], omegas: slice
) -> Tuning:
    """Proposals of the population moves from draws of it.

    Parameters
    ----------
    draws : ndarray, shape (n, n_x)
        Population vectors.
    old : Tuning
        Its other parts are kept.
    sets : sequence of (coordinates, weight)
        The moves.
    omegas : slice
        Where the log standard deviations of the random effects are.

    Returns
    -------
    Tuning
        With new proposals and step sizes.
    """
    n = draws.shape[1]
    power, u = np.zeros(n), draws.copy()
    for k in range(omegas.start, omegas.stop):
        power[k] = _box_cox(draws[:, k])
        if power[k] > 0:
            u[:, k] = np.exp(power[k] * draws[:, k])
    spread = np.cov(u.T).reshape(n, n)
    scale = np.diag(spread) + 1e-9
    effective = len(draws) / INEFFICIENCY
    spread = (effective * spread + 5 * np.diag(scale)) / (effective + 5)
    precision = inverse(spread)
    gain, root = np.zeros((len(sets), n, n)), np.zeros((len(sets), n, n))
    members = np.zeros((len(sets), n), np.int64)
    for j, (chosen, _) in enumerate(sets):
        inside = np.array(chosen)
        outside = np.setdiff1d(np.arange(n), inside)
        members[j, : len(inside)] = inside
        own = inverse(precision[np.ix_(inside, inside)])
        root[j, : len(inside), : len(inside)] = np.linalg.cholesky((own + own.T) / 2)
        gain[j, : len(inside), outside] = (own @ precision[np.ix_(inside, outside)]).T
    weights = np.array([weight for _, weight in sets], dtype=float)
    return old._replace(
        sets=members, set_sizes=np.array([len(chosen) for chosen, _ in sets], np.int64),
        set_weights=weights / weights.sum(), middle=u.mean(axis=0), gain=gain, root=root, power=power,
        set_scale=np.full((len(sets), 2), np.log(0.6)),
    )  # fmt: skip


def _box_cox(log_values: Floats) -> float:
    """The power of a standard deviation whose draws are least skewed; its log unless another is clearly better."""

    def skewness(values: Floats) -> float:
        spread = values.std()
        return abs(float(((values - values.mean()) ** 3).mean() / spread**3)) if spread > 0 else 0.0

    candidates = [(skewness(log_values), 0.0)]
    candidates += [(skewness(np.exp(power * log_values)) + 0.1, power) for power in (0.5, 1.0)]
    return min(candidates)[1]


def coordinate_sets(chains: Sequence[Floats], population: Population) -> list[tuple[list[int], float]]:
    """Which coordinates of the population move together: all, the slow ones, each common effect, each random one.

    Parameters
    ----------
    chains : sequence of ndarray, shape (n, n_x)
        Draws of each chain.
    population : Population
        Prior and design.

    Returns
    -------
    list of (coordinates, weight)
        As `population_tuning` takes them.
    """
    from arviz_stats.base import array_stats  # takes two seconds to import

    c, d, q, _ = sizes(population)
    n = chains[0].shape[1]
    sets: list[tuple[list[int], float]] = [(list(range(n)), 1.0)]
    shortest = min(len(chain) for chain in chains)
    together = np.stack([chain[-shortest:] for chain in chains])
    ess = np.array(
        [
            float(array_stats.ess(together[:, :, k], chain_axis=0, draw_axis=1, method="bulk"))
            for k in range(n)
        ]
    )
    ess = np.nan_to_num(ess, nan=1.0)
    pairs = [[*np.flatnonzero(population.mean_of == k).tolist(), c + d + k] for k in range(q)]
    slowest = np.array([ess[pair].min() for pair in pairs])
    middle = np.median(slowest) if q else np.median(ess)
    slow = {m for pair, e in zip(pairs, slowest, strict=True) if e < 0.6 * middle for m in pair}
    slow |= {c + f for f in range(d) if ess[c + f] < 0.6 * middle}
    if 0 < len(slow) < n:
        sets.append((sorted(slow), 1.0))
    sets += [([c + f], 0.35) for f in range(d)]
    return sets + [(pair, 0.15) for pair in pairs]


def several_modes(
    x: Floats, first: Floats, layout: Layout, population: Population, old: Tuning, seed: int
) -> Tuning:
    """Look for subjects whose posterior has more than one mode, by Gauss-Newton from many starts.

    Parameters
    ----------
    x : ndarray
        Population vector; its random effects are made half as wide again.
    first : ndarray, shape (n_subject, n_random)
        One of the starts.
    layout : Layout
        The data.
    population : Population
        Prior and design.
    old : Tuning
        Its other parts are kept.
    seed : int
        Of the starts.

    Returns
    -------
    Tuning
        With the modes of every subject.
    """
    rng = np.random.default_rng(seed)
    c, d, q, _ = sizes(population)
    n = len(first)
    expected, common, between = np.empty((n, q)), np.empty((n, len(population.common))), np.empty((q, q))
    expect(x, population, expected, common)
    covariance(x, population, between)
    omega = np.maximum(1.5 * np.sqrt(np.diag(between)), 0.1)
    found = []
    for k in range(STARTS):
        start = first if k == 0 else expected + 1.2 * omega * rng.standard_normal((n, q))
        found.append(modes_at(x, x[c : c + d], start, layout, population, steps=25, widen=1.5))
    n_modes = np.ones(n, np.int64)
    mode, root = np.zeros((n, MOST_MODES, q)), np.tile(np.diag(omega), (n, MOST_MODES, 1, 1))
    weight = np.zeros((n, MOST_MODES))
    for i in range(n):
        kept = _distinct([(m[i], h[i], float(f[i])) for m, h, f in found])
        for k, (where, hessian) in enumerate(kept):
            mode[i, k], root[i, k] = where, np.linalg.cholesky(hessian / 1.3)
            weight[i, k] = np.log(np.diag(root[i, k])).sum()
            np.fill_diagonal(root[i, k], 1 / np.diag(root[i, k]))
        n_modes[i] = max(len(kept), 1)
        weight[i, : n_modes[i]] -= weight[i, : n_modes[i]].max()
    return old._replace(n_modes=n_modes, mode=mode, mode_root=root, mode_weight=weight)


def _distinct(candidates: list[tuple[Floats, Floats, float]]) -> list[tuple[Floats, Floats]]:
    """Modes that are apart by more than three standard deviations and not far below the best."""
    candidates = sorted((c for c in candidates if np.isfinite(c[2])), key=lambda c: -c[2])
    kept: list[tuple[Floats, Floats]] = []
    for where, hessian, value in candidates:
        if value < candidates[0][2] - MODE_DEPTH or len(kept) == MOST_MODES:
            break
        apart = all((where - w) @ h @ (where - w) > 9.0 for w, h in kept)
        known = np.linalg.eigvalsh(hessian)
        if apart and known[0] > 1e-12 * known[-1]:
            kept.append((where, hessian))
    return kept
