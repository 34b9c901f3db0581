from dataclasses import replace

import numpy as np

from carkinetics.report.exposures import group_table, missing_table, subject_table


def test_nca_and_model_stand_under_each_other_by_dose(good_fit, observed, modelled):
    table = group_table([("NCA", observed), ("Model", modelled)], good_fit.data, warning="not converged")
    assert table.columns == (
        "Method", "3 × 10⁵ cells/kg (n = 4)", "1 × 10⁶ cells/kg (n = 4)", "All subjects (n = 8)",
    )  # fmt: skip
    names = [row[0] for row in table.rows]
    at = names.index("Cmax (copies/µg DNA)")
    assert names[at : at + 3] == ["Cmax (copies/µg DNA)", "NCA", "Model"]
    # The warning is about the rows that rest on draws, and no others.
    assert {names[i] for i in range(len(names)) if table.is_warned(i)} == {"Model"}


def test_the_cell_is_the_geometric_mean_with_its_cv(good_fit, observed):
    table = group_table([("NCA", observed)], good_fit.data)
    cell = table.rows[[row[0] for row in table.rows].index("Cmax (copies/µg DNA)") + 1][3]
    logs = np.log(observed.metric("cmax"))
    mean, cv = np.exp(logs.mean()), 100 * np.sqrt(np.expm1(logs.var(ddof=1)))
    assert cell == f"{round(mean, 2 - int(np.log10(mean))):.0f} ({cv:.3g} %)"


def test_dose_levels_are_in_order_of_dose(good_fit, observed):
    data = good_fit.data
    levels = ["2e6", "1e5"] * 4
    table = group_table([("NCA", observed)], replace(data, subjects=data.subjects.assign(dose_level=levels)))
    assert table.columns[1:3] == ("1 × 10⁵ cells/kg (n = 4)", "2 × 10⁶ cells/kg (n = 4)")


def test_a_value_that_is_missing_says_why(observed, good_fit):
    subject = observed.subject_ids[0]
    gone = (observed.table["subject"] == subject) & observed.table["metric"].isin(["cmax", "tmax"])
    changed = observed.table.assign(
        value=observed.table["value"].mask(gone), excluded=observed.table["excluded"].mask(gone, "all BLQ")
    )
    table = subject_table("NCA", replace(observed, table=changed))
    assert table.rows[0][1:3] == ("–", "–")
    why = missing_table("NCA", replace(observed, table=changed))
    assert ("Cmax, Tmax", "all BLQ", "1", subject) in why.rows
    dashes = sum(cell == "–" for row in table.rows for cell in row)
    assert sum(len(row[0].split(", ")) * int(row[2]) for row in why.rows) == dashes
    assert all(int(row[2]) == len(row[3].split(", ")) for row in why.rows)
    assert len({row[:2] for row in why.rows}) == len(why.rows)
    assert f"why {dashes} values are missing" in why.caption
    assert table.folded
    grouped = group_table([("NCA", replace(observed, table=changed))], good_fit.data)
    assert grouped.rows[1][-1].endswith(", n = 7")


def test_model_values_have_their_interval(modelled):
    row = modelled.rows("cmax").iloc[0]
    cell = subject_table("Model", modelled).rows[0][1]
    assert " to " in cell
    assert row["lower"] < row["value"] < row["upper"]
