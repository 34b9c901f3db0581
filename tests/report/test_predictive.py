"""Predictive checks in the report say in words what their pictures show."""

import pytest

from carkinetics.report.blocks import Picture, Table, Text
from carkinetics.report.predictive import prediction_errors, predictive_checks


@pytest.fixture(scope="module")
def checks(dose_fit, completed):
    return predictive_checks(completed(dose_fit), "not converged")


@pytest.mark.slow
def test_doses_that_differ_get_a_corrected_check_and_the_rest_follows(checks):
    corrected, prior, exposure = [block for block in checks if isinstance(block, Picture)]
    assert corrected.caption.startswith("Prediction-corrected")
    assert "Observed percentiles lie inside their simulated intervals" in corrected.alt
    assert prior.caption.startswith("Prior predictive check")
    assert exposure.alt.startswith("New subjects:")
    # The prior check does not rest on the fit.
    assert [block.warning for block in (corrected, prior, exposure)] == ["not converged", "", "not converged"]


@pytest.mark.slow
def test_the_table_of_exposure_marks_new_and_fitted_subjects(checks):
    (table,) = [block for block in checks if isinstance(block, Table)]
    heads = [row[0] for row in table.rows if len(row) == 1]
    assert heads == ["New subjects", "Fitted subjects"]
    assert len(table.rows) == 2 + 2 * 4 * 3
    assert all(len(row) in (1, len(table.columns)) for row in table.rows)
    assert table.warning == "not converged"


@pytest.mark.slow
def test_typical_predictions_that_do_not_differ_need_no_correction(good_fit):
    found = predictive_checks(good_fit, "")
    assert not any(getattr(block, "caption", "").startswith("Prediction-corrected") for block in found)


def test_prediction_errors_come_with_their_tests_in_words(good_fit):
    text, image, table = prediction_errors(good_fit, "")
    assert isinstance(text, Text)
    assert image.alt == text.text
    assert "combined p" in image.alt
    assert [row[0] for row in table.rows][:4] == [
        "Mean is 0", "Variance is 1", "Normal distribution", "All three together",
    ]  # fmt: skip
