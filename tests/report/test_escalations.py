"""The section on dose escalation says what the path, the counts and the simulations say."""

import pytest

import carkinetics as ck
from carkinetics.report.escalations import escalation_section
from carkinetics.report.parts import sort_parts
from carkinetics.report.written import percent

RULE = ck.ThreePlusThree(doses=[1e5, 3e5, 1e6], variant="B")


@pytest.fixture(scope="module")
def plan():
    return ck.load_trial("nct05783089")


@pytest.fixture(scope="module")
def found(plan):
    return ck.simulate_trials(plan, 4, 1, workers=1)


def blocks(section, kind):
    return [block for block in section.blocks if block.kind == kind]


def test_a_real_escalation_has_its_decisions_its_counts_and_its_patients():
    path = ck.escalation_path(RULE, [(1e5, 3, 0), (3e5, 3, 1), ck.Cohort(3e5, 3, 0, not_evaluable=1)])
    section = escalation_section(sort_parts([path], None))
    texts = [block.text for block in blocks(section, "text")]
    assert texts == [
        "3+3 (B): 10 patients in 3 cohorts. No dose is selected so far. escalate: 3 at dose 1 × 10⁶: 1 of 6 with a DLT at dose 3e5."
    ]
    tables = {table.caption: table for table in blocks(section, "table")}
    decisions = tables["Decisions of 3+3 (B)"]
    assert [row[2] for row in decisions.rows] == [
        "start: 3 at dose 1 × 10⁵", "escalate: 3 at dose 3 × 10⁵", "stay: 4 at dose 3 × 10⁵", "escalate: 3 at dose 1 × 10⁶"
    ]  # fmt: skip
    assert "4 treated at dose 3e5; the rule said 3 at dose 3e5." in decisions.rows[2][3]
    assert [row[5] for row in decisions.rows] == ["0", "1", "0", ""]
    low, high = ck.binomial_interval(1, 6)
    assert tables["DLTs by dose"].rows[1] == (
        "3 × 10⁵", "7", "7", "6", "1", percent(1 / 6), f"{100 * low:.2f} to {100 * high:.0f}"
    )  # fmt: skip
    assert len(tables["All 10 patients"].rows) == 10
    (figure,) = blocks(section, "picture")
    assert "2: escalate: 3 at dose 3 × 10⁵" in figure.alt


def test_simulated_trials_are_marked_and_their_power_is_told(plan, found):
    trial = ck.simulate_trial(plan, seed=7)
    section = escalation_section(sort_parts([trial, found], None))
    warned = [block.text for block in blocks(section, "text") if block.tone == "caution"]
    assert len(warned) == 2
    assert all(text.startswith("Simulated: no patient was measured.") for text in warned)
    tables = {table.caption: table for table in blocks(section, "table")}
    does = tables["What the trial does, by dose"].rows
    assert [row[1].split(" (")[0] for row in does] == [percent(p) for p in found.doses["p_select"]]
    assert does[1][6] == percent(found.doses["true_dlt"].iloc[1])
    said = tables["What the kinetic analyses would say"].rows
    assert [row[0] for row in said] == list(found.power.index)
    assert len(blocks(section, "picture")) == 2
    assert all(len(picture.alt) > 50 for picture in blocks(section, "picture"))


def test_a_page_of_an_escalation_alone_is_whole_and_without_it_there_is_no_section(tmp_path):
    path = ck.escalation_path(RULE, [(1e5, 3, 0)])
    page = ck.write_report(tmp_path / "escalation.html", path, title="Escalation").read_text(encoding="utf-8")
    assert "Dose escalation" in page
    assert "No population fit" not in page
    assert escalation_section(sort_parts([ck.example("nct05783089")], None)) is None
