"""The section on outcomes: every kind of analysis in it, and how many were tried."""

import re
from dataclasses import replace

import numpy as np
import pytest

import carkinetics as ck
from carkinetics.report.outcomes import response_section
from carkinetics.report.parts import sort_parts

pytestmark = pytest.mark.slow


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
    return (
        ck.fit_grade(exposure, data, outcome="shrunk", **on),
        ck.fit_event(exposure, data, duration="day", event="event", landmark=28, **on),
        ck.fit_joint(good_fit, data, outcome="shrunk < -10", method="weights", draws=60, **on),
        ck.exposure_response(exposure, data, outcome="shrunk < -10", draws=5, **on),
    )


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


def _effect(model, parameter: str) -> str:
    from carkinetics.report.blocks import number, span

    row = model.table.set_index("parameter").loc[parameter]
    return f"{number(row['value'])} ({span(row['lower'], row['upper'])})"


def test_a_page_with_all_of_them_is_whole(good_fit, analysed, tmp_path):
    page = ck.write_report(tmp_path / "all.html", good_fit, *analysed).read_text(encoding="utf-8")
    assert re.search(r'<section[^>]*id="response"', page)
    assert "All pairs of exposure and outcome" in page
