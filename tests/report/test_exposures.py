from dataclasses import replace

import numpy as np
import pytest

from carkinetics.exposure import exposure_from, nca_findings
from carkinetics.report.exposures import group_table, missing_table, subject_table
from carkinetics.report.written import number


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


@pytest.mark.parametrize("levels", [[2, 1] * 4, ["DL2", "DL1"] * 4])
def test_dose_codes_give_way_to_the_amounts_in_their_order(good_fit, observed, levels):
    data = good_fit.data
    coded = replace(data, subjects=data.subjects.assign(dose_level=levels))
    heads = ("3 × 10⁵ cells/kg (n = 4)", "1 × 10⁶ cells/kg (n = 4)", "All subjects (n = 8)")
    assert group_table([("NCA", observed)], coded).columns[1:] == heads


def test_a_code_without_its_amount_has_no_unit(good_fit, observed):
    data = good_fit.data
    subjects, first = data.subjects.assign(dose_level=[2, 1] * 4), data.subject_ids[0]
    unknown = replace(data, subjects=subjects, doses=data.doses[data.doses["subject"] != first])
    table = group_table([("NCA", observed)], unknown)
    assert table.columns[1:3] == ("Dose level 1 (n = 4)", "Dose level 2 (n = 4)")


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


def test_what_was_not_seen_is_marked(good_fit, modelled):
    rows = good_fit.data.observations
    short = replace(good_fit, data=replace(good_fit.data, observations=rows[rows["time"] <= 21]))
    told = exposure_from(short, ["cmax", "auc_0_28", "persistence"])
    table = subject_table("Model", told)
    assert [row[2].endswith(" †") for row in table.rows] == [True] * 8
    assert [row[1].endswith(" †") for row in table.rows] == [False] * 8
    assert [row[3] for row in table.rows] == ["> 21.0"] * 8
    assert "extrapolated beyond" in table.note
    assert "†" not in subject_table("Model", modelled).note
    cells = {row[0]: row[-1] for row in group_table([("Model", told)], short.data).rows if len(row) > 1}
    assert cells == {"Model": "not reached, 8 of 8 censored"}
    names = group_table([("Model", told)], short.data).rows
    assert names[3][-1].endswith(", 8 extrapolated")


def test_a_fixed_value_is_called_fixed(modelled):
    rows = modelled.table["metric"] == "half_life"
    fixed = modelled.table.assign(
        **{name: modelled.table[name].mask(rows, 217.0) for name in ("value", "lower", "upper")}
    )
    table = subject_table("Model", replace(modelled, table=fixed))
    assert {row[table.columns.index("Half-life (day)")] for row in table.rows} == {"217 (fixed)"}


def test_a_listing_of_nca_has_the_days_of_its_slope_and_its_flags(observed, modelled):
    table = subject_table("NCA", observed)
    assert table.columns[-2:] == ("Days of the terminal slope", "Flags")
    found = nca_findings(observed)
    wide = observed.wide()
    for row in table.rows:
        mine = found.loc[found["where"] == f"subject {row[0]}", "rule"]
        assert row[-1] == (", ".join(dict.fromkeys(mine)) or "–")
        start, end = wide.loc[row[0], ["lambda_z_start", "lambda_z_end"]]
        assert row[-2] == f"{number(start)} to {number(end)}"
    assert any(row[-1] != "–" for row in table.rows)
    assert "Flags" not in subject_table("Model", modelled).columns
    few = observed.table[observed.table["metric"].isin(["cmax", "half_life"])]
    assert subject_table("NCA", replace(observed, table=few)).columns[-1] == "Flags"


def test_model_values_have_their_interval(modelled):
    row = modelled.rows("cmax").iloc[0]
    cell = subject_table("Model", modelled).rows[0][1]
    assert " to " in cell
    assert row["lower"] < row["value"] < row["upper"]
