"""A patient's posterior where it is known exactly: normal, a mixture of normals, or one dimension by quadrature."""

import numpy as np
import pytest
from scipy import stats

from carkinetics.fit.chosen import take_draws
from carkinetics.prognosis.condition import condition
from carkinetics.prognosis.new_patient import make_patient, population_at

N = 4000


def drawn(fit, data, seed=0, rows=1000):
    draws = take_draws(fit, rows, seed)
    found = condition(
        make_patient(fit, data), population_at(fit, draws, data), N, np.random.default_rng(seed)
    )
    assert found.converged
    names = list(fit.model.free_parameters)
    return found, {name: found.theta[:, names.index(name)] for name in names}


def agrees(sample, mean, variance, ess):
    """Within four Monte-Carlo standard errors."""
    n = min(ess, len(sample))
    assert abs(sample.mean() - mean) < 4 * np.sqrt(variance / n)
    assert abs(sample.var() / variance - 1) < 4 * np.sqrt(2 / n)


def test_one_random_effect_has_the_exact_normal_posterior(written, one):
    # ln C = ln Cmax + eta - 0.16 (t - 9.3), eta ~ N(0, 0.65^2), sigma 0.56: normal, mean -0.15798761, variance 0.06612897 by
    # the closed form (tau^2 = 1 / (1 / 0.65^2 + 4 / 0.56^2)).
    days, levels = np.array([10.0, 14, 21, 28]), np.array([18000.0, 9000, 3500, 900])
    fit = written(["cmax"], {"fb_typical": 1e-12, "cmax_omega": 0.65, "sigma": 0.56})
    typical = fit.model.parameters["cmax"].typical
    away = np.log(levels) - np.log(typical) + 0.16 * (days - 9.3)
    variance = 1 / (1 / 0.65**2 + 4 / 0.56**2)
    assert variance == pytest.approx(0.06612897, abs=1e-8)
    assert variance * away.sum() / 0.56**2 == pytest.approx(-0.15798761, abs=1e-7)
    found, theta = drawn(fit, one(days, levels))
    agrees(theta["cmax"] - np.log(typical), -0.15798761, 0.06612897, found.ess)


def test_two_random_effects_and_an_uncertain_population_give_the_exact_mixture_of_normals(written, one):
    # Before the peak ln C = ln cmax + ln foldx (t / tmax - 1): linear in both, so that each draw of the population has a
    # bivariate normal posterior, weighed by the probability of the samples.
    days, levels = np.array([2.0, 4, 6]), np.array([40.0, 900, 5200])
    means = np.log([[2000, 15000], [3900, 24000], [9000, 20000]])
    omegas, sigmas = np.array([[0.9, 0.7], [0.6, 0.5], [1.2, 0.9]]), np.array([0.3, 0.5, 0.4])
    rows = {
        "foldx_typical": np.exp(means[:, 0]), "cmax_typical": np.exp(means[:, 1]), "foldx_omega": omegas[:, 0],
        "cmax_omega": omegas[:, 1], "sigma": sigmas, "tmax_typical": 9.3,
    }  # fmt: skip
    fit = written(["foldx", "cmax"], rows)
    design = np.column_stack([days / 9.3 - 1, np.ones(3)])
    y, weights, centres, spreads = np.log(levels), [], [], []
    for mean, omega, sigma in zip(means, omegas, sigmas, strict=True):
        prior = np.diag(omega**2)
        weights.append(
            stats.multivariate_normal(design @ mean, design @ prior @ design.T + sigma**2 * np.eye(3)).pdf(y)
        )
        spread = np.linalg.inv(np.linalg.inv(prior) + design.T @ design / sigma**2)
        centres.append(spread @ (np.linalg.solve(prior, mean) + design.T @ y / sigma**2))
        spreads.append(spread)
    weight = np.array(weights) / np.sum(weights)
    found, theta = drawn(fit, one(days, levels, lloq=1.0), rows=999)
    sample = np.column_stack([theta["foldx"], theta["cmax"]])
    for k in range(2):
        mean = weight @ [c[k] for c in centres]
        variance = weight @ [s[k, k] + (c[k] - mean) ** 2 for c, s in zip(centres, spreads, strict=True)]
        agrees(sample[:, k], mean, variance, found.ess)
    of_row = take_draws(fit, 999, 0).typical["cmax"][found.row]
    for k, centre in enumerate(np.exp(means[:, 1])):
        assert np.isclose(of_row, centre).mean() == pytest.approx(
            weight[k], abs=4 * np.sqrt(0.25 / found.ess)
        )


def test_blq_samples_alone_give_the_posterior_of_the_quadrature(written, one):
    fit = written(["cmax"], {"cmax_omega": 1.5, "sigma": 0.56})
    data = one([7.0, 10, 14], [1.0, 1, 1])
    assert (data.observations["status"] == "below_lloq").all()
    values = fit.model.parameters
    rho = np.log(values["foldx"].typical) / values["tmax"].typical
    at_peak = [-rho * (9.3 - 7), *(np.log(_decline(values, t - 9.3)) for t in (10, 14))]
    grid = np.linspace(-4, 12, 20001)
    density = stats.norm(np.log(values["cmax"].typical), 1.5).logpdf(grid)
    for shift in at_peak:
        density += stats.norm.logcdf((np.log(50) - grid - shift) / 0.56)
    weight = np.exp(density - density.max())
    weight /= weight.sum()
    mean = weight @ grid
    found, theta = drawn(fit, data)
    agrees(theta["cmax"], mean, weight @ (grid - mean) ** 2, found.ess)


def _decline(values, after):
    fb, alpha, beta = (values[name].typical for name in ("fb", "alpha", "beta"))
    return (1 - fb) * np.exp(-alpha * after) + fb * np.exp(-beta * after)


def test_without_samples_the_draws_are_the_populations(written, one):
    fit = written(["cmax"], {"cmax_omega": 0.65})
    found, theta = drawn(fit, one([-1.0], [1.0]))
    assert (found.pareto_k, found.ess) == (0.0, N)
    agrees(theta["cmax"], np.log(fit.model.parameters["cmax"].typical), 0.65**2, N)


def test_the_class_of_a_patient_has_its_exact_probability(written, one):
    mixture = {
        "class": "low", "share": {"dist": "logitnormal", "median": 0.3, "sigma": 0.5},
        "shift": {"cmax": {"dist": "normal", "mean": -2, "sd": 0.5}},
    }  # fmt: skip
    rows = {"cmax_omega": 0.5, "sigma": 0.56, "low_share": 0.3, "cmax_on_low": -2.0, "fb_typical": 1e-12}
    fit = written(["cmax"], rows, {"mixture": mixture})
    days, levels = np.array([12.0, 20]), np.array([5500.0, 1400])
    y = np.log(levels) - np.log(fit.model.parameters["cmax"].typical) + 0.16 * (days - 9.3)
    spread = 0.25 * np.ones((2, 2)) + 0.56**2 * np.eye(2)
    high, low = (
        share * stats.multivariate_normal([m, m], spread).pdf(y) for share, m in ((0.7, 0), (0.3, -2))
    )
    draws = take_draws(fit, 500, 0)
    data = one(days, levels)
    pop = population_at(fit, draws, data)
    found = condition(make_patient(fit, data), pop, N, np.random.default_rng(2))
    assert found.converged
    assert 0.2 < low / (high + low) < 0.8
    assert pop.member[found.row].mean() == pytest.approx(
        low / (high + low), abs=4 * np.sqrt(0.25 / found.ess)
    )


def test_samples_unlike_anything_the_population_makes_do_not_count_as_converged(written, one):
    # A hundred draws of the population, each sure of its own alpha, and samples that none of them could have made.
    rng = np.random.default_rng(1)
    rows = {"cmax_omega": 0.3, "sigma": 0.02, "alpha_typical": 0.16 * np.exp(0.3 * rng.standard_normal(100))}
    fit = written(["cmax"], rows)
    data = one([10.0, 14, 21, 28], [20000.0, 15000, 14000, 13000])
    found = condition(make_patient(fit, data), population_at(fit, take_draws(fit, 100, 0), data), 100, rng)
    assert not found.converged
