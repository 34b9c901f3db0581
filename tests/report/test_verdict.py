"""What stands before everything else, and that a "no" is never hidden."""

from dataclasses import replace

import pandas as pd

from carkinetics.exposure import nca
from carkinetics.report.blocks import Facts, Table, Text
from carkinetics.report.parts import NOT_CONVERGED, sort_parts
from carkinetics.report.verdict import interval, verdict_section, worst_warnings
from carkinetics.report.written import number, span


def numbers(section) -> Table:
    return next(block for block in section.blocks if isinstance(block, Table))


def test_the_order_is_verdict_numbers_warnings_facts(good_fit, observed):
    blocks = verdict_section(sort_parts((good_fit, observed), None)).blocks
    kinds = [block.kind for block in blocks]
    assert kinds == ["text", "table", *["text"] * (len(kinds) - 3), "facts"]
    assert blocks[0].tone == "good"
    assert [block.tone for block in blocks[2:-2]] == ["caution"] * 3


def test_the_numbers_are_those_of_the_draws(good_fit):
    table = numbers(verdict_section(sort_parts((good_fit,), None)))
    assert [row[0].partition(" (")[0] for row in table.rows] == [
        "Cmax", "Tmax", "AUC day 0–28", "Doubling time", "Half-life",
    ]  # fmt: skip
    draws = good_fit.tree["posterior"]["cmax_typical"].to_numpy()
    low, middle, high = pd.Series(draws.ravel()).quantile([0.05, 0.5, 0.95])
    assert table.rows[0][1:] == (number(middle), span(low, high))
    assert not table.warning


def test_every_number_of_a_fit_that_did_not_converge_is_marked(bad_fit, good_fit):
    section = verdict_section(sort_parts((bad_fit, good_fit), None))
    table = numbers(section)
    assert table.warning == NOT_CONVERGED
    assert all(table.is_warned(i) for i in range(len(table.rows)))
    assert section.blocks[0].tone == "bad"
    # The first fit is shown; a second one that did not converge does not spoil it, and has its own box.
    section = verdict_section(sort_parts((good_fit, bad_fit), None))
    assert not numbers(section).warning
    assert [block.tone for block in section.blocks[:2]] == ["good", "bad"]


def test_without_a_population_the_numbers_are_the_subjects(good_fit):
    observed = nca(good_fit.data)
    table = numbers(verdict_section(sort_parts((good_fit.data, observed), None)))
    row = observed.table[(observed.table["metric"] == "cmax") & (observed.table["excluded"] == "")]
    low, middle, high = row["value"].quantile([0.25, 0.5, 0.75])
    assert table.rows[0] == ("Cmax (copies/µg DNA)", number(middle), span(low, high), str(len(row)))
    assert "Median" in table.columns


def test_the_worst_three_come_first_and_all_are_counted(good_fit):
    found = pd.DataFrame(
        [{"severity": severity, "rule": f"r{i}", "where": "", "message": f"message {i}"}
         for i, severity in enumerate(["note", "warning", "warning", "error", "warning"])]
        + [{"severity": "warning", "rule": "r4", "where": "subject A", "message": "message 4 again"}]
    )  # fmt: skip
    data = replace(good_fit.data, remarks=good_fit.data.remarks.iloc[:0])
    *boxes, counted = worst_warnings(sort_parts((data,), found))
    assert [box.text for box in boxes] == [
        "Error, run: message 3", "Warning, run: message 1", "Warning, run: message 2",
    ]  # fmt: skip
    assert [box.tone for box in boxes] == ["bad", "caution", "caution"]
    assert counted.text.startswith("Remarks: 1 error, 4 warnings of 3 kinds, ")


def test_what_the_verdict_says_is_not_said_twice(bad_fit):
    section = verdict_section(sort_parts((bad_fit,), None))
    said = [block.text for block in section.blocks if isinstance(block, Text)]
    assert sum("3 of 1000 draws diverged" in text for text in said) == 1


def test_facts_count_subjects_and_samples(good_fit):
    section = verdict_section(sort_parts((good_fit,), None))
    facts = dict(section.blocks[-1].pairs)
    assert isinstance(section.blocks[-1], Facts)
    assert facts["Subjects"] == "8"
    assert facts["Draws"] == "4 × 250"


def test_data_alone_have_no_numbers_that_matter(good_fit):
    section = verdict_section(sort_parts((good_fit.data,), None))
    assert not [block for block in section.blocks if isinstance(block, Table)]


def test_remarks_near_the_estimates_come_first_and_a_rule_is_said_once(good_fit):
    remarks = [("warning", "a", "subject 1", "first"), ("warning", "a", "subject 2", "second"),
               ("warning", "b", "x" * 40 + " " + "y" * 60, "third")]  # fmt: skip
    found = pd.DataFrame(remarks, columns=["severity", "rule", "where", "message"])
    parts = sort_parts((good_fit,), found)
    *boxes, _ = worst_warnings(parts)
    assert boxes[0].text == "Warning, run, subject 1: first (and 1 more of this kind)"
    assert boxes[1].text == f"Warning, run, {'x' * 40} …: third"


def test_a_number_that_was_fixed_is_no_estimate_with_a_narrow_interval():
    assert interval(217.0, 217.0) == interval(217.0, 217.0 + 1e-12) == "fixed"
    assert interval(1.0, 2.0) == "1.00 to 2.00"


def test_observed_numbers_leave_out_slopes_that_are_no_lines_and_days_that_nobody_saw(observed):
    weak = dict.fromkeys(observed.subject_ids[:3], 0.4)
    until = observed.table["metric"] == "persistence"
    table = observed.table.assign(upper=observed.table["upper"].mask(until, 200.0))
    ended = replace(observed, table=table, settings=observed.settings | {"weak_slopes": weak})
    rows = {row[0]: row for row in numbers(verdict_section(sort_parts((ended,), None))).rows}
    half_life = observed.metric("half_life")[3:]
    assert rows["Half-life (day)"][1:] == (
        number(half_life.median()),
        span(*half_life.quantile([0.25, 0.75])),
        "5",
    )
    assert rows["Persistence (day)"][3] == "8"
    table.loc[until.idxmax(), "upper"] = float("inf")
    rows = numbers(verdict_section(sort_parts((replace(ended, table=table),), None))).rows
    assert "Persistence (day)" not in [row[0] for row in rows]


def test_remarks_are_in_one_order_in_the_list_and_in_the_verdict(good_fit, observed):
    parts = sort_parts((good_fit, observed), None)
    order = {"run": 0, "fit": 1, "exposure-response": 2, "data": 3, "NCA": 4}
    for _, rows in parts.remarks.groupby("severity", sort=False):
        places = [order[about.split(" ")[0]] for about in rows["about"]]
        assert places == sorted(places)
    assert set(parts.remarks["about"].str.split(" ").str[0]) >= {"fit", "NCA"}
