"""Tables of what was measured: the same samples are counted in all of them."""

from dataclasses import replace

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
