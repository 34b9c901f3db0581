"""Sample size for proportionality: the integral against simulated studies, and against its limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.strategies import floats, integers
from scipy import stats

from carkinetics.errors import ConfigError
from carkinetics.response import sample_size_for_proportionality
from carkinetics.response.power import equivalence_region, power_model
from carkinetics.response.sample_size import proportionality_power


def shown(doses, per_level, sd, level, rng, studies):
    """Share of simulated studies with a true slope of 1 whose interval lies in the region."""
    x = np.repeat(np.log(doses), per_level)
    y = 2 + x + sd * rng.standard_normal((studies, len(x)))
    centred = x - x.mean()
    squares = (centred**2).sum()
    slope = y @ centred / squares
    residual = y - y.mean(axis=1, keepdims=True) - slope[:, None] * centred
    error = np.sqrt((residual**2).sum(axis=1) / (len(x) - 2) / squares)
    half = stats.t.ppf((1 + level) / 2, len(x) - 2) * error
    low, high = equivalence_region(max(doses) / min(doses))
    return float(((slope - half >= low) & (slope + half <= high)).mean())


@pytest.mark.parametrize(
    ("doses", "sd", "level"), [([1, 3, 10], 0.3, 0.9), ([0.1, 0.3, 1, 2], 0.15, 0.9), ([1, 100], 0.5, 0.95)]
)
def test_simulated_studies_of_the_found_size_succeed_as_often_as_promised(doses, sd, level, rng):
    found = sample_size_for_proportionality(residual_sd=sd, doses=doses, level=level)
    studies = 40_000
    for per_level in (found.per_level, found.per_level - 1):
        power = proportionality_power(per_level, doses, sd, level=level)
        # Four standard errors of a simulated share.
        margin = 4 * np.sqrt(power * (1 - power) / studies)
        assert shown(doses, per_level, sd, level, rng, studies) == pytest.approx(power, abs=margin)
    assert power < 0.8 <= found.power


def test_one_study_is_judged_as_the_power_model_judges_it(rng):
    dose = np.repeat([1.0, 3.0, 10.0], 5)
    value = dose * np.exp(0.1 * rng.standard_normal(15))
    verdict = power_model(dose, value).attrs["verdict"]
    logs = np.log(value)
    fit = stats.linregress(np.log(dose), logs)
    half = stats.t.ppf(0.95, 13) * fit.stderr
    low, high = equivalence_region(10)
    inside = low <= fit.slope - half and fit.slope + half <= high
    assert (verdict == "proportional") == inside


def test_with_many_subjects_the_power_is_that_of_two_normal_tests():
    doses, sd, per_level = [1.0, 2.0, 4.0, 8.0], 2.0, 40_000
    logs = np.log(doses)
    error = sd / np.sqrt(per_level * ((logs - logs.mean()) ** 2).sum())
    low, high = equivalence_region(8)
    normal = stats.norm.cdf((high - 1) / error - 1.644854) - stats.norm.cdf((low - 1) / error + 1.644854)
    assert proportionality_power(per_level, doses, sd) == pytest.approx(normal, abs=1e-4)


@settings(max_examples=40)
@given(sd=floats(0.02, 3.0), ratio=floats(1.5, 100), levels=integers(2, 6), power=floats(0.3, 0.95))
def test_the_number_is_the_smallest(sd, ratio, levels, power):
    doses = np.geomspace(1, ratio, levels)
    found = sample_size_for_proportionality(residual_sd=sd, doses=doses, power=power)
    assert found.n == found.per_level * levels
    assert found.power == pytest.approx(proportionality_power(found.per_level, doses, sd))
    assert found.power >= power
    assert proportionality_power(found.per_level - 1, doses, sd) < power


def test_the_unit_of_the_dose_does_not_matter():
    one, other = (
        sample_size_for_proportionality(residual_sd=0.5, doses=np.array([1, 3, 10]) * unit)
        for unit in (1, 1e6)
    )
    assert one.n == other.n


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"residual_sd": 0.0}, "residual_sd is 0.0"),
        ({"doses": [1.0, 1.0]}, "two or more different"),
        ({"power": 80}, "power is 80"),
        ({"level": 1.0}, "level is 1.0"),
        ({"residual_sd": None}, "give a result of dose_exposure"),
        ({"limits": (0.8, 0.9)}, "limits are"),
    ],
)
def test_what_makes_no_sense_is_refused(changes, part):
    with pytest.raises(ConfigError, match=part):
        sample_size_for_proportionality(**({"residual_sd": 0.3, "doses": [1.0, 3.0]} | changes))
