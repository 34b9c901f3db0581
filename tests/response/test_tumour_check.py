"""Remarks on responses: disagreements of seven patients, and records that could not be used."""

from dataclasses import replace

import pandas as pd
import pytest

from carkinetics.response import responses_from, tumour_findings
from carkinetics.response.tumour_check import differing


@pytest.fixture(scope="module")
def responses(tumour_data):
    return responses_from(tumour_data, "sld")


def test_a_disagreement_names_the_subject_and_both_responses(tumour_data, responses):
    found = tumour_findings(responses, tumour_data).set_index("rule")
    assert found.index.tolist() == ["best-response-differs", "progression-not-by-size"]
    assert found["where"].tolist() == ["subject d", "subject c"]
    assert found["severity"].tolist() == ["warning", "note"]
    said = found.loc["best-response-differs", "message"]
    assert said.startswith("best response is PR by RECIST 1.1 and SD in the column response")
    # Spelling is no difference, and nothing recorded is none.
    best = pd.DataFrame({"best": ["PR", "SD"], "recorded": ["pr", ""]})
    assert differing(best).empty


def test_progression_before_the_recorded_one_is_told(tumour_data):
    late = tumour_data.subjects.assign(pfs_event=[0, 0, 1, 0, 1, 0, None])
    data = replace(tumour_data, subjects=late)
    found = tumour_findings(responses_from(data, "sld"), data).set_index("rule")
    assert found.loc["progression-differs", "where"] == "subject a"


def test_a_column_of_flags_where_days_are_expected_is_named(tumour_data):
    subjects = tumour_data.subjects.assign(new_therapy=[0, 0, 1, 0, 0, 0, 0], death="no")
    data = replace(tumour_data, subjects=subjects)
    found = tumour_findings(responses_from(data, "sld"), data)
    mine = found[found["rule"] == "column-not-read"]
    assert mine["where"].tolist() == ["column new_therapy"]  # death is that of os_day here
    bare = replace(data, subjects=subjects.drop(columns=["os_day", "os_event"]))
    found = tumour_findings(responses_from(bare, "sld"), bare)
    mine = found[found["rule"] == "column-not-read"]
    assert mine["where"].tolist() == ["column death", "column new_therapy"]


def rules(data) -> pd.Series:
    return tumour_findings(responses_from(data, "sld"), data).set_index("rule")["where"]


def test_recorded_progression_that_is_not_used_is_named(tumour_data):
    own = tumour_data.subjects.drop(columns=["os_day", "os_event"])
    assert rules(replace(tumour_data, subjects=own))["progression-or-death"] == "subjects a, c, e"
    early = tumour_data.subjects.assign(pfs_day=[126, 84, 0, 84, 30, 42, None])
    found = rules(replace(tumour_data, subjects=early))
    assert found["progression-at-baseline"] == "subject c"
    assert "progression-not-by-size" not in found.index
    assert not {"progression-or-death", "progression-at-baseline", "half-recorded"} & {
        *rules(tumour_data).index
    }


def test_half_of_a_time_and_its_event_is_named(tumour_data):
    half = tumour_data.subjects.assign(
        pfs_event=[1, 0, 1, None, 1, 0, None], os_day=[200, 300, 60, 100, None, 90, None]
    )
    data = replace(tumour_data, subjects=half)
    found = tumour_findings(responses_from(data, "sld"), data)
    mine = found[found["rule"] == "half-recorded"]
    assert mine["where"].tolist() == ["subject d", "subject e"]
    assert mine["message"].tolist()[0].startswith("of pfs_day and pfs_event only one is given")


def test_a_column_response_of_something_else_is_not_compared(tumour_data):
    data = replace(tumour_data, subjects=tumour_data.subjects.assign(response=[1, 0, 0, 1, 0, 0, 0]))
    found = tumour_findings(responses_from(data, "sld"), data).set_index("rule")
    assert "best-response-differs" not in found.index
    assert found.loc["column-not-read", "message"].startswith(
        "response holds '1', which is no response of RECIST"
    )
