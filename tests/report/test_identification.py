from dataclasses import replace

from carkinetics.report.identification import identification_section
from carkinetics.report.parts import Parts, sort_parts


def test_the_file_the_fit_and_how_much_of_the_file_it_used(good_fit):
    section = identification_section(sort_parts((good_fit.data, good_fit), None))
    (table,) = section.blocks
    said = dict(table.rows)
    data, settings = good_fit.data, good_fit.settings
    assert said["Data"] == data.source
    assert said["SHA-256 of the data"] == data.sha256
    rows = f"{len(data.observations)} observations of 8 subjects and {len(data.doses)} infusions read, 0 rows left out"
    assert said["Rows of the source"] == rows
    assert said["Fitted samples (qpcr)"].startswith(f"{len(good_fit.observations)} of 8 subjects, ")
    assert said["Fitted samples (qpcr)"].endswith("of them BLQ (M3)")
    assert f"seed {settings['seed']}" in said["Draws"]


def test_several_fits_are_told_apart_and_nothing_is_no_section(good_fit):
    other = replace(good_fit, settings={**good_fit.settings, "seed": 77})
    (table,) = identification_section(sort_parts((good_fit, other), None)).blocks
    assert [row[0] for row in table.rows if len(row) == 1] == [f"Fit of {good_fit.name}"] * 2
    assert sum("seed 77" in row[-1] for row in table.rows) == 1
    assert identification_section(Parts()) is None
