"""Tables of what was measured: the same samples are counted in all of them."""

from dataclasses import replace

import pandas as pd

from carkinetics.report.blocks import Table
from carkinetics.report.measured import data_section
from carkinetics.report.parts import sort_parts


def test_blq_by_time_counts_the_samples_of_the_assay_and_ends_at_the_last_one(good_fit):
    data = good_fit.data
    first = data.observations.drop_duplicates("subject").assign(time=-1.0)  # quantified before the infusion
    rows = data.observations[data.observations["time"] <= 28].merge(first, how="outer")
    measured = replace(data, observations=rows)
    tables = {
        block.caption: block
        for block in data_section(sort_parts((measured,), None)).blocks
        if isinstance(block, Table)
    }
    samples = int(tables["What was measured"].rows[0][3])
    assert samples == ((rows["time"] > 0) & (rows["status"] != "predose")).sum()
    by_time = tables["Below the limit of quantification, by time"].rows
    assert sum(int(row[2]) for row in by_time) == samples
    assert by_time[-1][1] == "24.5 to 28"


def test_an_assay_without_a_limit_is_named_and_has_no_rows_and_the_fitted_one_comes_first(good_fit):
    data = good_fit.data
    own = data.observations.assign(assay="aaa_sum", lloq=float("nan"), status="quantified", value=20.0)
    other = data.observations.assign(assay="il6")
    assay = data.assays.iloc[0]
    assays = pd.DataFrame([assay.replace({"qpcr": "aaa_sum"}), assay.replace({"qpcr": "il6"}), assay])
    assays.loc[assays["assay"] == "aaa_sum", ["lloq", "lod"]] = float("nan")
    measured = replace(
        data,
        assays=assays.reset_index(drop=True),
        observations=pd.concat([own, other, data.observations], ignore_index=True),
    )
    (table,) = (
        block
        for block in data_section(sort_parts((measured, good_fit), None)).blocks
        if isinstance(block, Table) and block.caption.startswith("Below the limit")
    )
    assert list(dict.fromkeys(row[0] for row in table.rows)) == ["qpcr", "il6"]
    assert table.note == "No limit of quantification: aaa_sum."
