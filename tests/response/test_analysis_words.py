"""An analysis is called alike wherever it is shown: by its label, or by the expression that defines its outcome."""

import numpy as np
import pytest

from carkinetics.errors import ConfigError
from carkinetics.response import (
    exposure_response,
    exposure_response_findings,
    fit_event,
    fit_grade,
)
from carkinetics.response.analysis_words import analysis_name, outcome_definition, outcome_name
from carkinetics.response.question import Question

AUC = np.geomspace(1e3, 1e5, 40)
HALF = np.tile([0, 1], 20)
DAY = 40.0 + np.random.default_rng(3).permutation(40)
ASKED = {"on": "log(auc_0_28)", "onset": ""}
TIMED = {"duration": "day", "event": "event", "on": "log(auc_0_28)", "landmark": 28}


@pytest.fixture
def trial(make_study):
    grade = np.resize([0, 1, 2, 1], 40)
    return make_study(AUC, best=np.where(HALF, "PR", "SD"), grade=grade, change=AUC / 1e4 + HALF, day=DAY, event=HALF)  # fmt: skip


def test_a_label_names_the_analysis_and_the_expression_stays_its_definition(trial):
    found = fit_grade(*trial, outcome="best in ['CR', 'PR']", label=" objective\nresponse ", **ASKED)
    assert found.settings["label"] == "objective response"
    assert found.settings["outcome"] == "best in ['CR', 'PR']"
    assert found.statement.startswith(
        "20 of 40 subjects had objective response; its odds change by the factor "
    )
    assert "per doubling of AUC day 0–28" in found.statement
    assert repr(found) == "<GradeModel: objective response on AUC day 0–28 (log), 20 events in 40 subjects>"
    findings = exposure_response_findings(found).set_index("rule")
    assert findings.loc["unadjusted", "where"] == "objective response on AUC day 0–28 (log)"
    assert outcome_definition(found.settings) == "best in ['CR', 'PR']"
    assert "best in" not in found.statement + repr(found) + findings.to_string()


def test_without_a_label_an_outcome_is_called_by_its_expression(trial):
    found = fit_grade(*trial, outcome="best in ['CR', 'PR']", **ASKED)
    assert found.settings["label"] == found.settings["outcome"] == "best in ['CR', 'PR']"
    assert found.statement.startswith("20 of 40 subjects had best in ['CR', 'PR']; its odds")
    assert analysis_name(found.settings) == "best in ['CR', 'PR'] on AUC day 0–28 (log)"
    assert outcome_definition(found.settings) == ""
    event = fit_event(*trial, **TIMED)
    assert event.settings["label"] == event.settings["outcome"] == "event after day"


def test_grades_and_numbers_are_called_by_their_label(trial):
    grades = fit_grade(*trial, outcome="grade", label="CRS", **ASKED)
    assert grades.statement.startswith(
        "30 of 40 subjects are above the lowest grade of CRS; the odds of a higher one change"
    )
    number = fit_grade(*trial, outcome="change", label="change of tumour size", **ASKED)
    assert number.statement.startswith("In 40 subjects change of tumour size changes by ")


def test_an_event_is_called_by_its_label(trial):
    found = fit_event(*trial, label="progression or death", **TIMED)
    assert found.statement.startswith(
        "20 of 40 subjects had progression or death, counted from day 28; its hazard changes "
    )
    assert repr(found) == "<EventModel: progression or death on AUC day 0–28 (log), 20 events in 40 subjects>"
    assert outcome_definition(found.settings) == "event after day"
    began = fit_event(
        *trial, outcome="grade >= 2", onset="day", window=90, label="CRS", landmark=28, on="auc_0_28"
    )
    assert outcome_name(began.settings) == "CRS"
    assert outcome_definition(began.settings) == "grade >= 2 after day_or_end"


def test_two_stages_are_called_by_the_label(trial):
    odds = exposure_response(*trial, outcome="grade", label="CRS", **ASKED)
    assert odds.statement.startswith("The odds of a higher grade of CRS change by the factor ")
    assert odds.statement.count("per doubling of AUC day 0–28") == 1
    assert repr(odds) == "<ExposureResponse: CRS on AUC day 0–28 (log), 40 subjects>"
    hazard = exposure_response(*trial, **TIMED, label="progression or death")
    assert hazard.statement.startswith(
        "The hazard of progression or death from day 28 on changes by the factor "
    )
    assert outcome_definition(hazard.settings) == "event after day"


@pytest.mark.parametrize(("lost", "words"), [(0, ""), (1, "1 subject left out"), (2, "2 subjects left out")])
def test_who_was_left_out_is_counted_and_nobody_is_not_said(make_study, lost, words):
    values = AUC.copy()
    values[:lost] = np.nan
    study = make_study(values, day=DAY, event=HALF, grade=HALF)
    event, odds = fit_event(*study, **TIMED), exposure_response(*study, **TIMED)
    assert event.statement.endswith(f"; {words}.") if lost else "left out" not in event.statement
    assert (f"; {40 - lost} subjects, {lost} left out; " if lost else "; 40 subjects; ") in odds.statement
    findings = exposure_response_findings(fit_grade(*study, outcome="grade == 1", on="log(auc_0_28)"))
    messages = findings.set_index("rule")["message"]
    assert (f"(immortal time; {words})" if words else "(immortal time)") in messages["exposure-after-outcome"]
    assert ("subjects-left-out" in messages) == bool(lost)
    if lost:
        where = ("subject s00", "subjects s00, s01")[lost - 1]
        assert messages["subjects-left-out"].startswith(("1 subject is not", "2 subjects are not")[lost - 1])
        assert findings.set_index("rule").loc["subjects-left-out", "where"] == where


def test_a_label_that_is_no_text_is_refused_and_one_of_spaces_is_none():
    with pytest.raises(ConfigError, match="label is 5; expected a text, such as 'objective response'"):
        Question.of(outcome="crs", label=5)  # type: ignore[arg-type]
    assert Question.of(outcome="crs", label="  ").label == "crs"
