"""Censored likelihoods against independent formulas (acceptance C)."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from carkinetics.errors import ConfigError, DataError
from carkinetics.model import load_model
from carkinetics.model.observe import (
    STATISTICS,
    _log_between,
    _log_cdf,
    draw_values,
    log_likelihood,
    scaled_level,
)
from carkinetics.model.residual import residual_error
from carkinetics.model.rows import likelihood_rows
from carkinetics.model.solve import predict

NAN = float("nan")


def table(*rows, lloq=50.0, lod=NAN):
    """Observations from (time, value) with None for BLQ."""
    records = []
    for time, value in rows:
        blq = value is None
        status = "below_lloq" if blq else "quantified"
        lower, upper = (lod if lod > 0 else 0.0, lloq) if blq else (value, value)
        records.append(("s", time, NAN if blq else value, status, lower, upper, lloq))
    return pd.DataFrame(records, columns=["subject", "time", "value", "status", "lower", "upper", "lloq"])


def minus_two(observations, method, error, level, **sigmas):
    kind = residual_error(error)
    rows = likelihood_rows(observations, method, kind)
    scaled = scaled_level(kind, np.asarray(level, dtype=float)[rows.used])
    parts = log_likelihood(kind, scaled, rows, sigmas)
    return -2 * sum(float(np.sum(part)) for part in parts)


# f, sd, y; then -2 log-likelihood with 2 pi of: y, M3, M4 of the BLQ row, M2 of y, the interval (0, LLOQ).
ADDITIVE = [
    (100, 40, 90, 9.27813597, 4.49525135, 4.60394143, 9.05482032, 4.61639948),
    (30, 15, 60, 11.25397747, 0.19128515, 0.19596360, 6.46482274, 0.24198942),
    (400, 60, 300, 12.80434397, 39.44781090, 39.45746694, 12.80434396, 39.45746694),
]


@pytest.mark.parametrize(("f", "sd", "y", "exact", "m3", "m4", "m2", "interval"), ADDITIVE)
def test_additive_errors_give_the_reference_numbers(f, sd, y, exact, m3, m4, m2, interval):
    seen, blq = table((1, y)), table((1, None))
    assert minus_two(seen, "M3", "additive", [f], sigma=sd) == pytest.approx(exact, abs=1e-8)
    assert minus_two(blq, "M3", "additive", [f], sigma=sd) == pytest.approx(m3, abs=1e-8)
    assert minus_two(blq, "M4", "additive", [f], sigma=sd) == pytest.approx(m4, abs=1e-8)
    assert minus_two(seen, "M2", "additive", [f], sigma=sd) == pytest.approx(m2, abs=1e-8)
    between = table((1, None), lod=1e-300)
    assert minus_two(between, "M3", "additive", [f], sigma=sd) == pytest.approx(interval, abs=1e-8)


@pytest.mark.parametrize(
    ("f", "y", "of_log_y", "of_y", "m3", "m2"),
    [
        (100, 90, 0.71363816, 9.71325750, 4.45306358, 0.48527956),
        (10, 60, 10.91549134, 19.10418046, 0.00405725, -1.48733105),
        (400, 300, 0.94214625, 12.34971119, 18.37536336, 0.94194165),
    ],
)
def test_lognormal_errors_give_the_reference_numbers(f, y, of_log_y, of_y, m3, m2):
    seen, blq = table((1, y)), table((1, None))
    found = minus_two(seen, "M3", "lognormal", [f], sigma=0.56)
    assert found == pytest.approx(of_log_y, abs=1e-8)
    assert found + 2 * np.log(y) == pytest.approx(of_y, abs=1e-8)  # the Jacobian from log y to y
    assert minus_two(blq, "M3", "lognormal", [f], sigma=0.56) == pytest.approx(m3, abs=1e-8)
    assert minus_two(blq, "M4", "lognormal", [f], sigma=0.56) == pytest.approx(m3, abs=1e-8)
    assert minus_two(seen, "M2", "lognormal", [f], sigma=0.56) == pytest.approx(m2, abs=1e-8)


@pytest.mark.parametrize(
    ("z", "expected"), [(-5, -15.0649983940), (-10, -53.2312851505), (-40, -804.6084420138)]
)
def test_the_tail_of_the_normal_stays_finite(z, expected):
    assert STATISTICS["log_ndtr"](z) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("error", "m3"), [("combined2", 2.31920908), ("combined1", 2.04056864)])
def test_the_two_combined_errors_differ_as_named(error, m3):
    # f 60, a 10, b 0.3, LLOQ 50: sd = sqrt(a² + b²f²) = 20.59126028, or a + bf = 28.
    assert minus_two(table((1, None)), "M3", error, [60], sigma_add=10.0, sigma_prop=0.3) == pytest.approx(
        m3, abs=1e-8
    )


def test_a_whole_subject_gives_the_reference_numbers():
    days = [
        (0, None),
        (3, 200),
        (7, 2600),
        (10, 21000),
        (14, 11000),
        (28, 1500),
        (90, 90),
        (180, 130),
        (365, None),
    ]
    observations = table(*days)
    level = predict(load_model("stein2019"), observations["time"].to_numpy()).to_numpy()
    values = observations["value"].dropna().to_numpy()
    m3 = minus_two(observations, "M3", "lognormal", level, sigma=0.56)
    # The reference leaves 98.20015373 (twice the sum of log y, eleven terms of the seven values) to be added.
    assert 2 * np.log(values).sum() == pytest.approx(98.20015373, abs=1e-7)
    assert m3 == pytest.approx(9.86029442, abs=1e-7)
    assert minus_two(observations, "M1", "lognormal", level, sigma=0.56) == pytest.approx(
        7.83930343, abs=1e-7
    )
    assert minus_two(observations, "M5", "lognormal", level, sigma=0.56) == pytest.approx(
        17.97521396, abs=1e-7
    )


def test_each_row_uses_its_own_limit():
    one, other = table((1, None), (2, 70)), table((1, None), (2, 70))
    other.loc[0, ["upper", "lloq"]] = 20.0
    both = pd.concat([one, other], ignore_index=True)
    separate = sum(minus_two(t, "M3", "lognormal", [40, 60], sigma=0.5) for t in (one, other))
    assert minus_two(both, "M3", "lognormal", [40, 60, 40, 60], sigma=0.5) == pytest.approx(
        separate, rel=1e-12
    )


def test_only_the_first_of_a_run_counts_in_m6_and_runs_end_with_the_subject():
    rows = [(1, 80), (2, None), (3, None), (4, 90), (5, None), (6, None)]
    one = table(*rows)
    both = pd.concat([one, table((1, None), (2, None)).assign(subject="z")], ignore_index=True)
    kept = likelihood_rows(both, "M6", residual_error("lognormal"))
    assert kept.used.tolist() == [0, 1, 3, 4, 6]
    assert kept.value[[1, 3, 4]].tolist() == [25.0, 25.0, 25.0]


@given(z=st.floats(-1e4, 1e4))
def test_the_closed_form_of_the_student_t_is_the_student_t(z):
    found = _log_cdf(residual_error("student_t"), np.float64(z), STATISTICS)
    assert np.isfinite(found)
    assert found == pytest.approx(stats.t(4).logcdf(z), rel=1e-9, abs=1e-12)


@given(low=st.floats(-30, 30), width=st.floats(1e-3, 20), student=st.booleans())
def test_an_interval_and_what_is_left_of_it_add_up(low, width, student):
    error = residual_error("student_t" if student else "lognormal")
    a, b = np.float64(low), np.float64(low + width)
    between = _log_between(error, a, b, STATISTICS)
    assert np.isfinite(between)
    mirrored = _log_between(error, -b, -a, STATISTICS)
    assert between == pytest.approx(mirrored, rel=1e-9)
    assert np.logaddexp(_log_cdf(error, a, STATISTICS), between) == pytest.approx(
        float(_log_cdf(error, b, STATISTICS)), rel=1e-9, abs=1e-12
    )


def test_detected_below_the_lloq_and_not_detected_differ():
    detected, absent = table((1, None), lod=10.0), table((1, None), lloq=10.0)
    wide = minus_two(table((1, None)), "M3", "lognormal", [30.0], sigma=0.5)
    parts = [np.exp(-minus_two(t, "M3", "lognormal", [30.0], sigma=0.5) / 2) for t in (detected, absent)]
    assert sum(parts) == pytest.approx(np.exp(-wide / 2), rel=1e-9)


def test_half_the_lloq_is_half_the_lloq_also_where_the_bound_is_the_lod():
    observations = table((1, None), lloq=20.0).assign(lloq=50.0)  # not detected: below an LOD of 20
    assert likelihood_rows(observations, "M5", residual_error("lognormal")).value.tolist() == [25.0]


def test_what_was_measured_before_the_infusion_is_no_part_of_the_likelihood():
    kept = likelihood_rows(table((-1, 80), (0, 90), (7, 100)), "M3", residual_error("lognormal"))
    assert kept.used.tolist() == [1, 2]


def test_a_predose_zero_is_never_part_of_the_likelihood():
    observations = table((0, None), (7, 80))
    observations.loc[0, "status"] = "predose"
    assert likelihood_rows(observations, "M3", residual_error("lognormal")).used.tolist() == [1]


@pytest.mark.parametrize(
    ("change", "method", "error", "said"),
    [
        ({}, "M9", "lognormal", "blq is 'M9'"),
        ({}, "M7", "lognormal", "use 'M3'"),
        ({"upper": NAN}, "M3", "lognormal", "no limit is known"),
        ({"status": "quantified", "value": 0.0}, "M3", "lognormal", "above 0"),
        ({"status": "quantified", "value": 70.0, "lloq": NAN}, "M2", "lognormal", "M2 conditions"),
    ],
)
def test_what_cannot_be_scored_is_refused(change, method, error, said):
    observations = table((1, None), (2, 80))
    for column, value in change.items():
        observations.loc[0, column] = value
    with pytest.raises((ConfigError, DataError), match=said):
        likelihood_rows(observations, method, residual_error(error))
    with pytest.raises(ConfigError, match="did you mean 'lognormal'"):
        residual_error("lognorml")


@pytest.mark.parametrize(
    "name", ["lognormal", "student_t", "additive", "proportional", "combined1", "combined2"]
)
def test_drawn_values_follow_the_density(name, rng):
    error = residual_error(name)
    sigmas = {"sigma": 0.4} if name != "additive" else {"sigma": 20.0}
    sigmas |= {"sigma_add": 5.0, "sigma_prop": 0.2}
    drawn = draw_values(error, np.full(40_000, 100.0), sigmas, rng)
    observations = table((1, None), lloq=80.0)
    below = np.exp(
        -minus_two(observations, "M3", name, [100.0], **{n: sigmas[n] for n in error.parameters}) / 2
    )
    assert (drawn < 80).mean() == pytest.approx(below, abs=4 * np.sqrt(0.25 / 40_000))
