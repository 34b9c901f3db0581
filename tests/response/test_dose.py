import numpy as np
import pytest
from scipy import stats

from carkinetics.errors import ConfigError, DataError, UnitError
from carkinetics.response import dose_exposure, sample_size_for_proportionality

# Acceptance F5.
DOSE = [0.1] * 3 + [0.3] * 3 + [1.0] * 4 + [2.0] * 4
LOG_AUC = np.array([3.1, 4.6, 3.7, 4.2, 5.5, 4.8, 5.1, 4.4, 6.2, 5.6, 5.9, 4.9, 6.6, 5.2])


def row(result, quantity):
    return result.table.set_index("quantity").loc[quantity, ["value", "lower", "upper"]].to_numpy(dtype=float)


def test_the_power_model_gives_the_reference_numbers(make_study):
    result = dose_exposure(*make_study(np.exp(LOG_AUC), doses=DOSE))
    assert row(result, "slope") == pytest.approx([0.591575, 0.300730, 0.882420], abs=5e-7)
    assert row(result, "slope_se")[0] == pytest.approx(0.163186, abs=5e-7)
    assert row(result, "intercept")[0] == pytest.approx(5.313070, abs=5e-7)
    assert row(result, "dose_normalised_ratio") == pytest.approx([0.294189, 0.123092, 0.703112], abs=5e-7)
    assert row(result, "equivalence_region")[1:] == pytest.approx([0.925513, 1.074487], abs=5e-7)
    assert result.verdict == "not proportional"
    assert result.statement.startswith(
        "AUC day 0–28 is not proportional to dose: slope 0.59 (90% CI 0.30 to 0.88)"
    )
    assert (result.n, result.draws, len(result.excluded)) == (14, None, 0)


def test_intercept_is_the_log_exposure_at_dose_1(make_study):
    result = dose_exposure(*make_study(np.exp(LOG_AUC), doses=DOSE), reference=1.0)
    np.testing.assert_allclose(row(result, "exposure_at_reference"), np.exp(row(result, "intercept")))


def test_at_the_geometric_mean_dose_the_exposure_is_the_geometric_mean(make_study):
    result = dose_exposure(*make_study(np.exp(LOG_AUC), doses=DOSE))
    assert row(result, "exposure_at_reference")[0] == pytest.approx(np.exp(LOG_AUC.mean()))
    assert result.settings["reference_dose"] == pytest.approx(np.exp(np.log(DOSE).mean()))


def test_residual_sd_has_the_chi_square_interval(make_study):
    result = dose_exposure(*make_study(np.exp(LOG_AUC), doses=DOSE))
    value, lower, upper = row(result, "residual_sd")
    fitted = np.polyval(np.polyfit(np.log(DOSE), LOG_AUC, 1), np.log(DOSE))
    assert value == pytest.approx(np.sqrt(((LOG_AUC - fitted) ** 2).sum() / 12))
    assert stats.chi2.cdf(12 * (value / lower) ** 2, 12) == pytest.approx(0.95)
    assert stats.chi2.cdf(12 * (value / upper) ** 2, 12) == pytest.approx(0.05)


def test_draws_without_kinetic_spread_give_the_t_interval(make_study):
    # Flat priors: the slope's posterior is Student t with 12 degrees of freedom around least squares.
    exposure, data = make_study(np.exp(LOG_AUC), doses=DOSE, spread=0.0, n_draws=40_000)
    result = dose_exposure(exposure, data, seed=1)
    standard = (result.draws["slope"].to_numpy() - 0.591575) / 0.163186
    assert stats.kstest(standard, "t", args=(12,)).pvalue > 0.01
    assert row(result, "slope") == pytest.approx([0.591575, 0.300730, 0.882420], abs=0.01)
    assert "CrI" in result.statement


def test_kinetic_spread_adds_to_the_variance_of_the_slope(make_study):
    spread, degrees, n_draws = 1.0, 12, 40_000
    exposure, data = make_study(np.exp(LOG_AUC), doses=DOSE, spread=spread, n_draws=n_draws)
    slope = dose_exposure(exposure, data, seed=1).draws["slope"]
    squares = ((np.log(DOSE) - np.log(DOSE).mean()) ** 2).sum()
    # Within a draw: t variance around the fit; expected residual variance grows by the spread's own.
    within = (0.163186**2 * squares + spread**2) / squares * degrees / (degrees - 2)
    between = spread**2 / squares
    assert slope.var() == pytest.approx(within + between, rel=0.05)
    assert slope.mean() == pytest.approx(0.591575, abs=4 * np.sqrt((within + between) / n_draws))


def test_the_same_seed_gives_the_same_draws(make_study):
    exposure, data = make_study(np.exp(LOG_AUC), doses=DOSE, spread=0.3)
    first, second = (dose_exposure(exposure, data, seed=3).draws for _ in range(2))
    assert first.equals(second)
    assert not first.equals(dose_exposure(exposure, data, seed=4).draws)


def test_proportional_exposure_without_noise_is_proportional(make_study):
    wobble = 1 + 0.001 * np.tile([1, -1], 7)
    result = dose_exposure(*make_study(np.array(DOSE) * 1e5 * wobble, doses=DOSE))
    assert result.verdict == "proportional"
    assert row(result, "fold_per_doubling")[0] == pytest.approx(2, abs=0.01)


def test_a_flat_and_noisy_exposure_is_never_called_without_effect(make_study):
    values = np.exp(5 + np.tile([4.0, -4.0], 7))
    result = dose_exposure(*make_study(values, doses=DOSE))
    assert result.verdict == "cannot be shown"
    assert (
        "A slope of 0 is not ruled out; a rise of up to the upper limit is not ruled out either."
        in result.statement
    )


@pytest.mark.parametrize("spread", [None, 0.0])
def test_what_cannot_be_shown_says_how_many_subjects_it_would_take(make_study, spread):
    noise = 0.4 * np.tile([1, -1], 7)
    exposure, data = make_study(np.array(DOSE) * np.exp(noise), doses=DOSE, spread=spread, n_draws=20_000)
    result = dose_exposure(exposure, data)
    assert result.verdict == "cannot be shown"
    needed = sample_size_for_proportionality(result)
    assert (
        f"It would take {needed.n:,} subjects at these 4 dose levels ({needed.per_level:,} at each)"
        in result.statement
    )
    assert "a truly proportional exposure to be so with a probability of 80%" in result.statement
    assert result.settings["subjects_needed"] == needed.n
    # The residual SD of least squares; draws without kinetic spread give the same interval, so the same SD.
    fitted = np.polyval(np.polyfit(np.log(DOSE), np.log(DOSE) + noise, 1), np.log(DOSE))
    residual = np.sqrt(((np.log(DOSE) + noise - fitted) ** 2).sum() / 12)
    assert result.settings["design_sd"] == pytest.approx(residual, rel=1e-9 if spread is None else 0.02)
    assert needed.settings["doses"] == pytest.approx(sorted(set(DOSE)))


def test_a_verdict_that_was_reached_asks_for_no_more_subjects(make_study):
    result = dose_exposure(*make_study(np.exp(LOG_AUC), doses=DOSE))
    assert "It would take" not in result.statement
    assert "subjects_needed" not in result.settings


def test_who_is_left_out_is_named_with_the_reason(make_study):
    values = np.exp(LOG_AUC)
    values[0] = np.nan
    doses = [*DOSE[:3], np.nan, *DOSE[4:]]
    result = dose_exposure(*make_study(values, doses=doses))
    assert result.n == 12
    assert dict(result.excluded.itertuples(index=False)) == {
        "s00": "all values below the LLOQ",
        "s03": "no dose",
    }
    assert result.statement.endswith("2 subjects are not in this analysis.")


def test_a_draw_without_a_value_excludes_the_subject_and_says_how_many(make_study):
    exposure, data = make_study(np.exp(LOG_AUC), doses=DOSE, spread=0.3, n_draws=10)
    exposure.draws["auc_0_28"][0, :3, 5] = np.nan
    result = dose_exposure(exposure, data)
    assert dict(result.excluded.itertuples(index=False)) == {"s05": "3 of 10 posterior draws have no value"}


@pytest.mark.parametrize(
    ("settings", "part"),
    [({"interval": 90}, "interval is 90"), ({"reference": 0.0}, "expected a dose above 0")],
)
def test_a_setting_that_makes_no_sense_is_refused(make_study, settings, part):
    with pytest.raises(ConfigError, match=part):
        dose_exposure(*make_study(np.exp(LOG_AUC), doses=DOSE), **settings)


def test_too_little_data_is_refused(make_study):
    with pytest.raises(DataError, match="14 subjects at 1 doses; expected at least 3 subjects at 2"):
        dose_exposure(*make_study(np.exp(LOG_AUC), doses=[1.0] * 14))
    with pytest.raises(DataError, match="2 subjects at 2 doses"):
        dose_exposure(*make_study([10.0, 20.0], doses=[1.0, 2.0]))


def test_doses_in_two_units_are_not_compared(make_study):
    exposure, data = make_study(np.exp(LOG_AUC), doses=DOSE)
    data.doses.loc[0, "unit"] = "cells"
    with pytest.raises(UnitError, match="cells and cells/kg"):
        dose_exposure(exposure, data)


def test_exposure_and_data_of_different_studies_are_not_joined(make_study):
    exposure, data = make_study(np.exp(LOG_AUC), doses=DOSE)
    data.subjects["subject"] = "x" + data.subjects["subject"]
    with pytest.raises(DataError, match="no subject in common"):
        dose_exposure(exposure, data)
