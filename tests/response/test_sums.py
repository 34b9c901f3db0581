"""Responses from sums of diameters, with what the subjects' table has recorded."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from carkinetics.errors import ConfigError, DataError
from carkinetics.response import responses_from
from carkinetics.response.recorded import recorded_columns, recorded_progression


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


def test_a_column_with_new_lesions_counts_from_its_day_on(tumour_data):
    days = [np.nan, 84.0, *[np.nan] * 5]
    data = replace(tumour_data, subjects=tumour_data.subjects.assign(seen=days))
    found = responses_from(data, "sld", new_lesion="seen")
    assert found.loc[found["subject"] == "b", "response"].tolist() == ["SD", "PD"]
    usual = replace(tumour_data, subjects=tumour_data.subjects.assign(new_lesion_day=days))
    pd.testing.assert_frame_equal(responses_from(usual, "sld"), found)


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
