"""Outcomes, events and their treatment are told from what was known before the infusion, by names and by the events of the data."""

from dataclasses import replace

import pandas as pd

from carkinetics.diagnostics.known_later import known_later


def test_columns_of_a_trial_are_sorted_by_when_they_were_known(made_fit):
    names = (
        "age", "sex", "burden", "prior_car", "prior_response", "extramedullary", "dose_level", "tcs_manufacturing",
        "anakinra", "best_change", "counted_at", "crs", "crs_day", "crs_max_grade", "hlh", "responder", "response", "toci",
        "storm", "storm_day", "itp_grade",
    )  # fmt: skip
    data = made_fit.data
    subjects = data.subjects[["subject"]].assign(**dict.fromkeys(names, 1.0))
    events = pd.DataFrame({"subject": [subjects["subject"][0]], "time": [3.0], "event": ["itp"]})
    events = events.reindex(columns=data.events.columns)
    found = known_later(replace(data, subjects=subjects, events=events))
    assert found == set(names[8:])
