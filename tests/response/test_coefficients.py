import numpy as np
import pytest

from carkinetics.response.coefficients import sample_coefficients

CASES = {
    "overlapping": (np.array([-1.0, -0.5, 0.0, 0.2, 0.5, 1.0]), np.array([0, 0, 1, 0, 1, 1], dtype=bool)),
    "separated": (np.array([-1.0, -0.4, -0.1, 0.2, 0.5, 0.8]), np.array([0, 0, 0, 1, 1, 1], dtype=bool)),
    "no events": (np.array([-1.0, 0.0, 1.0]), np.zeros(3, dtype=bool)),
}


@pytest.mark.parametrize("case", CASES)
def test_draws_have_the_moments_and_quantiles_of_a_fine_rectangular_grid(case):
    # The other road: the same posterior on an unturned grid over twelve prior standard deviations.
    (x, y), prior, size = CASES[case], (10.0, 2.5), 40_000
    a, b = np.meshgrid(np.linspace(-60, 60, 1601), np.linspace(-15, 15, 1201), indexing="ij")
    log_mass = -0.5 * (a / prior[0]) ** 2 - 0.5 * (b / prior[1]) ** 2
    for value, event in zip(x, y, strict=True):
        eta = a + b * value
        log_mass += event * eta - np.logaddexp(0, eta)
    mass = np.exp(log_mass - log_mass.max())
    mass /= mass.sum()

    draws = sample_coefficients(x, y, prior, size, np.random.default_rng(5))
    for values, grid in zip(draws.T, (a, b), strict=True):
        mean = (mass * grid).sum()
        sd = np.sqrt((mass * (grid - mean) ** 2).sum())
        assert values.mean() == pytest.approx(mean, abs=4 * sd / np.sqrt(size))
        assert values.std() == pytest.approx(sd, rel=0.03)
        for probability in (0.05, 0.5, 0.95):
            below = (mass * (grid <= np.quantile(values, probability))).sum()
            # Half a cell of the rectangular grid counts towards the tolerance.
            assert below == pytest.approx(probability, abs=0.01)


def test_draws_depend_on_the_seed_only():
    x, y = CASES["overlapping"]
    first, second = (sample_coefficients(x, y, (10, 2.5), 10, np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
