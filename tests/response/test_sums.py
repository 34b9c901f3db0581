"""Responses from sums of diameters, with what the subjects' table has recorded."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from carkinetics.errors import ConfigError, DataError
from carkinetics.response import responses_from
from carkinetics.response.recorded import ambiguous_progression, recorded_columns, recorded_progression
from carkinetics.response.tumour_outcome import best_responses


def last(responses: pd.DataFrame, column: str = "best") -> dict[str, object]:
    return responses.groupby("subject")[column].last().to_dict()


def test_best_responses_of_sums_and_of_recorded_progression(tumour_data):
    found = responses_from(tumour_data, "sld")
    assert last(found) == {"a": "PR", "b": "SD", "c": "PD", "d": "PR", "e": "NE", "f": "CR"}
    assert found["subject"].drop_duplicates().tolist() == list("abcdef")
    assert found.loc[found["subject"] == "a", "sum_mm"].tolist() == [60, 50, 90]
    # The sum of c has halved on the day of its recorded progression; that of a shows its own.
    assert found.attrs["unseen"] == ["c"]
    assert found.loc[found["new_lesion"], ["subject", "day"]].to_numpy().tolist() == [["c", 42.0]]
    assert found.attrs["criteria"] == "recist 1.1"
    assert found.attrs["columns"]["pfs"] == {"duration": "pfs_day", "event": "pfs_event"}


def test_a_death_is_no_progression_and_without_deaths_an_event_tells_nothing(tumour_data):
    columns = recorded_columns(tumour_data.subjects)
    assert recorded_progression(tumour_data.subjects, columns).to_dict() == {"a": 126, "c": 42}
    subjects = tumour_data.subjects.drop(columns=["os_day", "os_event"])
    blind = responses_from(replace(tumour_data, subjects=subjects), "sld")
    assert blind.attrs["unseen"] == []
    assert last(blind)["c"] == "PR"


def test_who_may_have_died_has_no_recorded_progression(tumour_data):
    # Nothing is known of the survival of c; that of a is.
    some = tumour_data.subjects.assign(os_day=[200, 300, None, 100, 30, 90, None])
    columns = recorded_columns(some)
    assert recorded_progression(some, columns).to_dict() == {"a": 126}
    assert ambiguous_progression(some, columns) == ["c"]
    # Days of death tell as well, and who has none is alive.
    own = tumour_data.subjects.drop(columns=["os_day", "os_event"])
    assert ambiguous_progression(own, recorded_columns(own)) == ["a", "c", "e"]
    assert ambiguous_progression(own.assign(death=np.nan), recorded_columns(own)) == ["a", "c", "e"]
    own = own.assign(death=[200, None, 60, None, 30, None, None])
    assert recorded_progression(own, recorded_columns(own)).to_dict() == {"a": 126, "c": 42}
    infusion = pd.Timestamp("2024-01-10")
    dated = own.assign(infusion=infusion, death=infusion + pd.to_timedelta(own["death"], unit="D"))
    assert recorded_progression(dated, recorded_columns(dated)).to_dict() == {"a": 126, "c": 42}


@pytest.mark.parametrize("day", [-20.0, -7.0, 0.0])
def test_progression_up_to_the_baseline_counts_for_nobody_and_refuses_nobody(tumour_data, day):
    changed = tumour_data.subjects.assign(
        pfs_day=[126, 84, max(day, 0), 84, 30, 42, None], new_lesion_day=[np.nan, day, *[np.nan] * 5]
    )
    found = responses_from(replace(tumour_data, subjects=changed), "sld")
    assert last(found) == {"a": "PR", "b": "SD", "c": "PR", "d": "PR", "e": "NE", "f": "CR"}
    assert found.attrs["early"] == ["b", "c"]
    assert found.attrs["unseen"] == []


def test_progression_on_the_day_of_a_late_first_scan_is_at_its_baseline(tumour_data):
    rows = tumour_data.observations
    first = (rows["subject"] == "c") & (rows["assay"] == "sld") & (rows["time"] < 0)
    late = replace(tumour_data, observations=rows.assign(time=rows["time"].mask(first, 42.0).where(
        ~((rows["subject"] == "c") & (rows["assay"] == "sld") & (rows["time"] == 42)), 84.0)))  # fmt: skip
    found = responses_from(late, "sld")
    assert found.attrs["early"] == ["c"]
    assert found.attrs["unseen"] == []
    assert last(found)["c"] == "PR"


def test_a_column_with_new_lesions_counts_from_its_day_on(tumour_data):
    days = [np.nan, 84.0, *[np.nan] * 5]
    data = replace(tumour_data, subjects=tumour_data.subjects.assign(seen=days))
    found = responses_from(data, "sld", new_lesion="seen")
    assert found.loc[found["subject"] == "b", "response"].tolist() == ["SD", "PD"]
    usual = replace(tumour_data, subjects=tumour_data.subjects.assign(new_lesion_day=days))
    pd.testing.assert_frame_equal(responses_from(usual, "sld"), found)


def test_a_column_of_other_responses_is_read_by_name_only_and_then_refused(tumour_data):
    other = tumour_data.subjects.assign(response=["yes", "no", "no", "yes", "no", None, "no"])
    data = replace(tumour_data, subjects=other)
    assert "response" not in responses_from(data, "sld").attrs["columns"]
    expected = "response: the column 'response' holds 'yes'; expected CR, PR, SD, non-CR/non-PD, PD, NE"
    with pytest.raises(DataError, match=expected):
        responses_from(data, "sld", response="response")
    names = [
        "Partial response",
        "stable disease",
        "PROGRESSIVE  DISEASE",
        "Stable Disease",
        "not evaluable",
        None,
        "NE",
    ]
    spelled = replace(tumour_data, subjects=tumour_data.subjects.assign(response=names))
    found = best_responses(responses_from(spelled, "sld"), spelled)
    assert found["recorded"].tolist() == ["PR", "SD", "PD", "SD", "NE", "", "NE"]


def test_sizes_that_could_not_be_measured(tumour_data):
    rows = tumour_data.observations
    small = (rows["subject"] == "d") & (rows["assay"] == "sld") & (rows["time"] == 84)
    changed = rows.assign(value=rows["value"].mask(small), status=rows["status"].mask(small, "below_lloq"))
    found = responses_from(replace(tumour_data, observations=changed), "sld")
    assert last(found, "sum_mm")["d"] == 5  # too small to measure
    assert last(found, "sum_mm")["f"] == 0  # not detected


def test_settings_are_those_of_derive_response(tumour_data):
    found = responses_from(tumour_data, "sld", confirm=True, minimum_sd_days=60)
    assert last(found) == {"a": "PR", "b": "SD", "c": "PD", "d": "PR", "e": "NE", "f": "NE"}
    assert found.attrs["confirm"] is True
    assert found.attrs["minimum_sd_days"] == 60


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"assay": "sdl"}, DataError, "sdl.*did you mean 'sld'"),
        ({"assay": "qpcr"}, DataError, "'qpcr' is in 'copies/ug'; .* in mm"),
        ({"new_lesion": "os_dy"}, DataError, "new_lesion: subjects has no column 'os_dy'; did you mean 'os_day'"),
        ({"pfs": {"time": "pfs_day"}}, ConfigError, "pfs is .*; expected the columns of two keys, duration and event"),
        ({"os": {"duration": "os_day", "event": "died"}}, DataError, "os: subjects has no column 'died'"),
        ({"criteria": "recist"}, ConfigError, "criteria is 'recist'; did you mean"),
    ],
)  # fmt: skip
def test_a_mistake_is_named(tumour_data, changes, error, said):
    with pytest.raises(error, match=said):
        responses_from(tumour_data, **({"assay": "sld"} | changes))


def test_an_event_that_makes_no_sense_is_named(tumour_data):
    wrong = replace(tumour_data, subjects=tumour_data.subjects.assign(os_event=0.5))
    with pytest.raises(DataError, match=r"row 'a': event is 0\.5"):
        responses_from(wrong, "sld")
