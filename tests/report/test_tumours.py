"""The section on tumours: rates as counted by hand, pictures with words, nothing that rests on a fit."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from carkinetics.errors import ConfigError
from carkinetics.plot import waterfall
from carkinetics.report import write_report
from carkinetics.report.blocks import Picture, Table, Text
from carkinetics.report.methods import reference_table
from carkinetics.report.parts import sort_parts
from carkinetics.report.sections import SECTIONS, dose_section, response_section
from carkinetics.report.tumour_figures import BARS, courses, sizes
from carkinetics.report.tumours import criteria_of, tumour_section
from carkinetics.response import derive_response, responses_from
from carkinetics.response.tumour_outcome import best_responses


@pytest.fixture(scope="module")
def responses(tumour_data):
    return responses_from(tumour_data, "sld")


@pytest.fixture(scope="module")
def blocks(tumour_data, responses):
    return tumour_section(sort_parts((tumour_data, responses), None)).blocks


def section(data, **settings):
    return tumour_section(sort_parts((data, responses_from(data, "sld", **settings)), None)).blocks


def table(blocks, caption: str) -> Table:
    (found,) = [block for block in blocks if isinstance(block, Table) and block.caption == caption]
    return found


def test_it_stands_between_exposure_and_response_and_only_where_asked_for(tumour_data):
    at = SECTIONS.index(tumour_section)
    assert SECTIONS[at - 1 : at + 2] == (dose_section, tumour_section, response_section)
    assert tumour_section(sort_parts((tumour_data,), None)) is None


def test_rates_by_dose_with_exact_intervals(blocks):
    found = table(blocks, "Best overall response by dose")
    assert found.columns == ("Dose", "n", "CR", "PR", "SD", "PD", "NE", "ORR (95% CI)", "DCR (95% CI)")
    assert [row[0] for row in found.rows if len(row) == 1] == [
        "All patients; NE counts as no response and no control", "Evaluable patients",
    ]  # fmt: skip
    assert found.rows[1] == ("1 × 10⁵ cells/kg", "2", "0", "1", "1", "0", "0", "50.0 % (1.3 to 98.7)", "100.0 % (15.8 to 100.0)")  # fmt: skip
    assert found.rows[3] == ("All doses", "7", "1", "2", "1", "1", "2", "42.9 % (9.9 to 81.6)", "57.1 % (18.4 to 90.1)")  # fmt: skip
    assert found.rows[-1][:2] == ("All doses", "5")
    assert "Clopper and Pearson" in found.note
    assert "RECIST 1.1, CR and PR not confirmed" in found.note


def test_the_first_sentence_has_counts_and_rates(blocks):
    assert isinstance(blocks[0], Text)
    assert blocks[0].text == (
        "Best overall response of 7 patients by RECIST 1.1, CR and PR not confirmed: 1 CR, 2 PR, 1 SD, 1 PD, 2 NE. Objective response in "
        "3 of 7, 42.9 % (9.9 to 81.6); disease control in 4 of 7, 57.1 % (18.4 to 90.1) (95% exact intervals)."
    )  # fmt: skip


def test_a_disagreement_is_said_here_and_among_the_remarks(tumour_data, responses, blocks):
    assert blocks[1].tone == "caution"
    assert "d (PR, recorded SD)" in blocks[1].text
    remarks = sort_parts((tumour_data, responses), None).remarks
    mine = remarks[remarks["about"] == "tumour response"]
    assert mine["where"].tolist() == ["subject d", "subject c"]
    agreed = replace(tumour_data, subjects=tumour_data.subjects.drop(columns="response"))
    quiet = tumour_section(sort_parts((agreed, responses_from(agreed, "sld")), None))
    assert not any(isinstance(block, Text) and block.tone for block in quiet.blocks)
    assert "Recorded" not in table(quiet.blocks, "Tumours: each patient").columns


def test_every_figure_has_words_for_who_cannot_see_it(blocks):
    pictures = [block for block in blocks if isinstance(block, Picture)]
    begin = ["Waterfall", "Spider", "Swimmer plot", "Duration of response", "Progression-free survival", "Overall survival"]  # fmt: skip
    assert [re.split("[:.]", one.caption)[0] for one in pictures] == begin
    assert all(len(one.alt) > 60 for one in pictures)
    assert pictures[0].alt.startswith(
        "Bars of the best change of the target lesions of 5 patients, from −10 to −100 %: 4 shrank by 30 % or more"
    )
    assert "Colour and hatching: dose (cells/kg)" in pictures[0].caption
    assert "Without a measured change: 2" in pictures[0].caption
    assert "progression that sizes do not show" in pictures[0].caption
    assert "3 events in 6 patients, median 126 days" in pictures[4].caption
    assert not any(one.warning for one in pictures)


def test_times_have_their_medians_and_where_they_are_from(blocks):
    found = table(blocks, "Times to events")
    assert [row[:4] for row in found.rows] == [
        ("Duration of response (DOR)", "3", "1", "84"), ("Progression-free survival (PFS)", "6", "3", "126"),
        ("Overall survival (OS)", "6", "3", "200"),
    ]  # fmt: skip
    assert all(row[4].endswith("not reached") for row in found.rows[1:])
    assert "DOR: responders, from the first CR or PR to progression or death, as derived" in found.note
    assert "PFS: from the infusion to progression or death, as recorded" in found.note


def test_each_patient_is_listed(blocks):
    found = table(blocks, "Tumours: each patient")
    assert found.folded
    rows = {row[0]: dict(zip(found.columns, row, strict=True)) for row in found.rows}
    assert list(rows) == list("abcdefg")
    assert rows["d"] == {
        "Subject": "d", "Dose": "1 × 10⁶ cells/kg", "Best change (%)": "−80.0", "On day": "84", "Best response": "PR", "Recorded": "SD",
        "Progression on day": "–", "DOR (day)": "42+", "PFS (day)": "84+", "OS (day)": "100+",
    }  # fmt: skip
    assert rows["g"]["Best change (%)"] == rows["g"]["OS (day)"] == "–"


def test_a_plain_table_of_derive_response_and_data_without_outcomes_do(tumour_data, responses):
    lesions = pd.DataFrame(
        [("a", day, "T", "target", size, "") for day, size in ((-7, 50), (42, 30))],
        columns=["subject", "day", "lesion", "kind", "size_mm", "status"],
    )
    bare = replace(tumour_data, subjects=tumour_data.subjects[["subject", "dose_level"]])
    found = tumour_section(sort_parts((bare, derive_response(lesions)), None)).blocks
    names = [row[0] for row in table(found, "Times to events").rows]
    assert names == ["Duration of response (DOR)", "Progression-free survival (PFS)"]
    (swimmer,) = [one for one in found if isinstance(one, Picture) and one.caption.startswith("Swimmer")]
    assert "arrow: last seen" in swimmer.caption
    with pytest.raises(ConfigError, match="responses need the Dataset of their subjects"):
        sort_parts((responses,), None)


def test_without_a_size_after_the_baseline_there_is_nothing_to_draw(tumour_data):
    first = tumour_data.observations
    before = replace(tumour_data, observations=first[(first["assay"] != "sld") | (first["time"] < 0)])
    found = tumour_section(sort_parts((before, responses_from(before, "sld")), None)).blocks
    captions = [one.caption for one in found if isinstance(one, Picture)]
    assert not any(caption.startswith(("Waterfall", "Spider")) for caption in captions)


def test_who_has_no_dose_is_one_group_everywhere(tumour_data):
    subjects = tumour_data.subjects.assign(dose_level=[1e5, 1e5, None, 1e6, 1e6, 1e6, 1e6])
    data = replace(tumour_data, subjects=subjects)
    found = section(data)
    rows = table(found, "Best overall response by dose").rows
    assert [row[:2] for row in rows[1:5]] == [
        ("1 × 10⁵ cells/kg", "2"), ("1 × 10⁶ cells/kg", "4"), ("not known", "1"), ("All doses", "7"),
    ]  # fmt: skip
    assert [row[1] for row in table(found, "Tumours: each patient").rows][2] == "not known"


def test_figures_count_the_same_patients(tumour_data, responses):
    best = best_responses(responses, tumour_data)
    ax = waterfall(responses, patients=len(best))
    assert ax.get_title("left") == "Without a measured change and not shown: 2"  # e with a baseline only, g
    assert "Without a measured change: 2" in sizes(responses, tumour_data, best)[0].caption
    # From 50 to 60 mm is 19.999999999999996 % in floating point.
    rows = tumour_data.observations
    grown = (rows["subject"] == "b") & (rows["assay"] == "sld")
    value = rows["value"].mask(grown, rows["time"].map({-7: 50.0, 42: 60.0, 84: 60.0}))
    data = replace(tumour_data, observations=rows.assign(value=value))
    found = [one for one in section(data) if isinstance(one, Picture)]
    assert "1 grew by 20 % or more at best" in found[0].alt


def test_best_change_is_that_up_to_progression(tumour_data):
    # a progresses with a new lesion on day 42, at 60 of 100 mm; the 50 mm of day 84 come afterwards.
    data = replace(tumour_data, subjects=tumour_data.subjects.assign(new_lesion_day=[42.0, *[np.nan] * 6]))
    found = responses_from(data, "sld")
    assert best_responses(found, data).loc["a", ["change_pct", "change_day"]].tolist() == pytest.approx(
        [-40, 42]
    )
    assert sorted(round(bar.get_height()) for bar in waterfall(found).patches) == [-100, -80, -50, -40, -10]
    blocks = section(data)
    assert "up to and including progression" in table(blocks, "Tumours: each patient").note
    assert "up to and including progression" in blocks[3].caption


def test_who_has_no_recorded_survival_is_in_the_swimmer_plot(tumour_data):
    lost = tumour_data.subjects.assign(os_day=[None, 300, 60, 100, 30, 90, None])
    (swimmer,) = [one for one in section(replace(tumour_data, subjects=lost)) if getattr(one, "caption", "").startswith("Swimmer")]  # fmt: skip
    assert swimmer.caption.startswith("Swimmer plot: 7 patients")
    assert "Without recorded survival, up to the last visit or sample: 2." in swimmer.caption
    rows = tumour_data.observations
    unseen = replace(tumour_data, observations=rows[rows["subject"] != "g"])
    (swimmer,) = [one for one in section(unseen) if getattr(one, "caption", "").startswith("Swimmer")]
    assert swimmer.caption.startswith("Swimmer plot: 6 patients")
    assert "Without a visit or sample, and not shown: 1." in swimmer.caption


def test_one_patient_is_not_one_patients(tumour_data):
    alone = tumour_data.select(subjects=["b"])
    said = " ".join(str(block) for block in section(alone))
    assert "1 patients" not in said
    assert "0 events in 1 patient, median not reached (95% CI not reached to not reached)" in said
    assert "not reached days" not in said


def test_a_confirmed_response_is_called_so(tumour_data):
    found = section(tumour_data, confirm=True)
    assert "from the first confirmed CR or PR" in table(found, "Times to events").note
    assert criteria_of(responses_from(tumour_data, "sld", confirm=True)) == (
        "RECIST 1.1, CR and PR confirmed after 28 days"
    )


def test_many_patients_get_several_sheets(tumour_data):
    n = 2 * BARS + 1
    end = pd.DataFrame({"time": np.arange(1, n + 1), "event": 0}, index=[f"s{i}" for i in range(n)])
    visits = pd.DataFrame({"subject": end.index, "day": 1.0, "response": "SD"})
    bare = replace(
        tumour_data, doses=tumour_data.doses.iloc[:0], subjects=tumour_data.subjects[["subject"]],
        observations=tumour_data.observations.iloc[:0],
    )  # fmt: skip
    pictures = courses(visits, bare, {"os": end})
    said = [re.search(r"patients (\d+) to (\d+) of 91", one.caption).groups() for one in pictures]
    assert said == [("1", "31"), ("32", "61"), ("62", "91")]
    assert "day 91 and shorter, down to day 61" in pictures[0].alt
    # A sheet of its own: at half of one the names would be too small to read.
    assert all(one.is_tall for one in pictures)


def test_the_criteria_are_cited(responses):
    assert "10.1016/j.ejca.2008.10.026" in str(reference_table(responses).rows)
    modified = responses.copy()
    modified.attrs = responses.attrs | {"criteria": "mesothelioma"}
    assert "10.1093/annonc/mdh059" in str(reference_table(modified).rows)
    assert "10.1093/annonc/mdh059" not in str(reference_table(responses).rows)


def test_it_is_in_the_page_and_in_word(tumour_data, responses, tmp_path):
    text = write_report(tmp_path / "r.html", tumour_data, responses).read_text(encoding="utf-8")
    start = text.index('<section id="tumour"')
    section = text[start : text.index("</section>", start)]
    assert section.count("<img") == 6
    assert "42.9 % (9.9 to 81.6)" in section
    docx = pytest.importorskip("docx")
    file = docx.Document(str(write_report(tmp_path / "r.docx", tumour_data, responses)))
    assert "Tumour response" in [one.text for one in file.paragraphs]
    shown = [shape._inline.docPr.get("descr") for shape in file.inline_shapes]
    assert sum(words.startswith(("Bars", "Lines", "Swimmer", "Duration", "Progression-free", "Overall")) for words in shown) == 6  # fmt: skip
