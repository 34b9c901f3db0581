"""The section on outcomes: every kind of analysis in it, and how many were tried."""

import re
from dataclasses import replace

import numpy as np
import pytest

import carkinetics as ck
from carkinetics.report.outcomes import response_section
from carkinetics.report.parts import sort_parts

LABEL = "ORR < 30 % & more"


@pytest.fixture(scope="module")
def analysed(good_fit: ck.Fit) -> tuple:
    rng = np.random.default_rng(1)
    n = len(good_fit.data.subjects)
    columns = {
        "day": 40.0 + 10 * np.arange(n),
        "event": np.arange(n) % 3 != 0,
        "shrunk": rng.normal(-10, 5, n),
    }
    data = replace(good_fit.data, subjects=good_fit.data.subjects.assign(**columns))
    exposure = ck.exposure_from(good_fit, metrics=["auc_0_28"])
    on = {"on": "log(auc_0_28)", "seed": 1}
    shrunk = {"outcome": "shrunk < -10", "label": "shrinkage by a tenth"} | on
    return (
        ck.fit_grade(exposure, data, outcome="shrunk", **on),
        ck.fit_event(exposure, data, duration="day", event="event", landmark=28, **on),
        ck.fit_joint(good_fit, data, method="weights", draws=60, **shrunk),
        ck.exposure_response(exposure, data, draws=5, **shrunk),
    )


@pytest.mark.slow
def test_every_analysis_has_its_sentence_its_table_and_its_line_among_all(good_fit, analysed):
    section = response_section(sort_parts([good_fit, *analysed], None))
    texts = " ".join(block.text for block in section.blocks if hasattr(block, "text"))
    for model in analysed:
        assert model.statement in texts
    tables = {block.caption: block for block in section.blocks if hasattr(block, "rows")}
    tried = tables["All pairs of exposure and outcome"]
    assert len(tried.rows) == 4
    assert tried.note.startswith("4 analyses of 3 pairs")
    assert "0.4 of their intervals" in tried.note
    by_outcome = {row[1]: row for row in tried.rows}
    assert by_outcome["shrunk"][3] == _effect(analysed[0], "difference_per_doubling")
    linear = next(table for caption, table in tables.items() if caption.startswith("Linear regression"))
    assert "events in" not in linear.note
    _, _, joint, two_stages = analysed
    assert "subjects had shrinkage by a tenth; its odds change" in joint.statement
    assert repr(joint).startswith("<JointModel: <GradeModel: shrinkage by a tenth on AUC day 0–28 (log), ")
    assert (joint.settings["label"], joint.settings["outcome"]) == ("shrinkage by a tenth", "shrunk < -10")
    for kind, model in (("Logistic", joint), (two_stages.settings["model"].capitalize(), two_stages)):
        table = tables[f"{kind} regression of shrinkage by a tenth on AUC day 0–28 (log)"]
        assert "Outcome: shrunk < -10. " in table.note, model


def _effect(model, parameter: str) -> str:
    from carkinetics.report.written import number, span

    row = model.table.set_index("parameter").loc[parameter]
    return f"{number(row['value'])} ({span(row['lower'], row['upper'])})"


@pytest.mark.slow
def test_a_page_with_all_of_them_is_whole(good_fit, analysed, tmp_path):
    page = ck.write_report(tmp_path / "all.html", good_fit, *analysed).read_text(encoding="utf-8")
    assert re.search(r'<section[^>]*id="response"', page)
    assert "All pairs of exposure and outcome" in page


@pytest.fixture(scope="module")
def labelled(good_fit: ck.Fit, modelled: ck.Exposure) -> tuple:
    days = {"day": 40.0 + 10 * np.arange(len(good_fit.data.subjects)), "event": 1}
    data = replace(good_fit.data, subjects=good_fit.data.subjects.assign(**days))
    asked = {"on": "log(auc_0_28)", "draws": 20, "seed": 1}
    return (
        ck.fit_grade(modelled, data, outcome="crs_grade >= 3", label=LABEL, **asked),
        ck.fit_event(
            modelled, data, duration="day", event="event", landmark=28, label="progression or death", **asked
        ),
    )


def test_a_label_stands_in_sentence_caption_and_title_and_its_expression_once(good_fit, labelled):
    section = response_section(sort_parts([good_fit, *labelled], None))
    grade, event = labelled
    assert [block.text for block in section.blocks if hasattr(block, "text")] == [
        grade.statement,
        event.statement,
    ]
    captions = [block.caption for block in section.blocks if hasattr(block, "caption")]
    assert captions == [
        f"Probability of {LABEL} against AUC day 0–28, {grade.events} events in {grade.n} subjects.",
        f"Logistic regression of {LABEL} on AUC day 0–28 (log)",
        f"Freedom from progression or death by halves of AUC day 0–28, observed and fitted, {event.events} events in {event.n} subjects.",
        "Proportional hazards (Weibull) regression of progression or death on AUC day 0–28 (log)",
        "All pairs of exposure and outcome",
    ]
    _, first, _, second, tried = (block for block in section.blocks if hasattr(block, "caption"))
    assert first.note.startswith("Outcome: crs_grade >= 3. Model: logistic.")
    assert second.note.startswith("Outcome: event after day. Model: ")
    assert [row[:2] for row in tried.rows] == [
        ("AUC day 0–28 (log)", LABEL),
        ("AUC day 0–28 (log)", "progression or death"),
    ]


def test_a_label_is_escaped_on_the_page_and_named_by_the_remarks(good_fit, labelled, tmp_path):
    page = ck.write_report(tmp_path / "label.html", good_fit.data, *labelled).read_text(encoding="utf-8")
    assert LABEL not in page
    assert "Logistic regression of ORR &lt; 30 % &amp; more" in page
    assert "subjects had ORR &lt; 30 % &amp; more; its odds" in page
    assert "ORR &lt; 30 % &amp; more on AUC day 0–28 (log)" in page  # where a remark belongs
    assert page.count("crs_grade &gt;= 3") == 1
    assert page.count("event after day") == 1


def test_without_a_label_the_expression_is_the_name(good_fit, grade):
    section = response_section(sort_parts([good_fit, grade], None))
    figure, table, tried = (block for block in section.blocks if hasattr(block, "caption"))
    assert figure.caption.startswith("Probability of crs_grade >= 3 against Cmax, ")
    assert table.caption == "Logistic regression of crs_grade >= 3 on Cmax (log)"
    assert table.note.startswith("Model: logistic.")
    assert tried.rows[0][:2] == ("Cmax (log)", "crs_grade >= 3")
