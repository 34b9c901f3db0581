"""Predictive checks in the report say in words what their pictures show."""

import numpy as np
import pandas as pd
import pytest

from carkinetics.diagnostics import LooPit
from carkinetics.diagnostics.replicate import replicates
from carkinetics.diagnostics.review import Evidence
from carkinetics.fit.measured import measured_outputs
from carkinetics.report.blocks import Picture, Table, Text
from carkinetics.report.goodness import prediction_errors
from carkinetics.report.parts import NOT_CONVERGED, sort_parts
from carkinetics.report.predictive import predictive_checks
from carkinetics.report.sections import gof_section


def checked(fit, warning):
    made = {one.output: replicates(fit, output=one.output) for one in measured_outputs(fit)}
    return predictive_checks(fit, made, warning)


@pytest.fixture(scope="module")
def checks(dose_fit, completed):
    return checked(completed(dose_fit), "not converged")


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
    found = checked(good_fit, "")
    assert not any(getattr(block, "caption", "").startswith("Prediction-corrected") for block in found)


def test_prediction_errors_come_with_their_tests_in_words(good_fit):
    text, image, table = prediction_errors(Evidence(good_fit), "")
    assert isinstance(text, Text)
    assert image.alt == text.text
    assert "combined p" in image.alt
    assert [row[0] for row in table.rows][:4] == [
        "Mean is 0", "Variance is 1", "Normal distribution", "All three together",
    ]  # fmt: skip


def test_a_sentence_on_a_fit_that_did_not_converge_begins_with_that(bad_fit):
    """No departure from the model was found, said the page of a fit whose draws are of nothing."""
    text, image, table = prediction_errors(Evidence(bad_fit), NOT_CONVERGED)
    assert text.tone == "bad"
    assert text.text == image.alt, "said once, by the result itself, and so to who cannot see the picture"
    assert text.text.startswith("Not converged: do not use these numbers. NPDE of")
    assert image.warning == table.warning == NOT_CONVERGED


def test_places_of_left_out_subjects_are_a_part(good_fit):
    table = pd.DataFrame(
        {"subject": "a", "time": [1.0, 2.0], "imputed": False, "pit": [0.2, 0.7], "loo_pit": [0.1, 0.8]}
    )
    grid = np.linspace(0, 1, 101)
    curve = pd.DataFrame({"x": grid, "pit": grid, "loo_pit": grid, "lower": grid - 0.1, "upper": grid + 0.1})
    made = LooPit(table, pd.Series([0.2], index=["a"], name="k"), curve, {})
    blocks = gof_section(sort_parts([good_fit, made], None)).blocks
    assert "LOO-PIT of 2 observations stays within" in blocks[-1].alt
