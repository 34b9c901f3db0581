"""Rates, times and disagreements of seven patients, counted by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from carkinetics.errors import DataError
from carkinetics.response import derive_response, response_rates, responses_from
from carkinetics.response.tumour_outcome import (
    best_responses,
    median_times,
    tumour_groups,
    tumour_times,
)


@pytest.fixture(scope="module")
def responses(tumour_data):
    return responses_from(tumour_data, "sld")


def test_every_subject_has_a_best_response(tumour_data, responses):
    best = best_responses(responses, tumour_data)
    assert best["best"].to_dict() == {"a": "PR", "b": "SD", "c": "PD", "d": "PR", "e": "NE", "f": "CR", "g": "NE"}  # fmt: skip
    assert best["recorded"].tolist() == ["PR", "SD", "PD", "SD", "NE", "", "NE"]
    assert best.loc["a", ["change_pct", "change_day", "progression_day"]].tolist() == [-50, 84, 126]
    assert best["new_lesion_day"].dropna().to_dict() == {"c": 42}
    assert best.loc[["e", "g"], "change_pct"].isna().all()


def test_rates_have_exact_intervals_by_dose_and_in_the_evaluable(tumour_data, responses):
    best = best_responses(responses, tumour_data)["best"]
    dose = tumour_data.subjects.set_index("subject")["dose_level"]
    rates = response_rates(best, dose).set_index(["population", "group"])
    assert rates.index.tolist() == [(p, g) for p in ("all", "evaluable") for g in ("100000", "1000000", "all")]  # fmt: skip
    everybody = rates.loc[("all", "all")]
    counts = [everybody[name] for name in ("n", "CR", "PR", "SD", "non-CR/non-PD", "PD", "NE")]
    assert counts == [7, 1, 2, 1, 0, 1, 2]
    # Clopper-Pearson limits of 3/7, 4/7, 3/5 and 1/2, from tables.
    for where, rate, expected in (
        (("all", "all"), "orr", (3 / 7, 0.0990, 0.8159)), (("all", "all"), "dcr", (4 / 7, 0.1841, 0.9010)),
        (("evaluable", "all"), "orr", (3 / 5, 0.1466, 0.9473)), (("all", "100000"), "orr", (1 / 2, 0.0126, 0.9874)),
    ):  # fmt: skip
        found = rates.loc[where, [rate, f"{rate}_lower", f"{rate}_upper"]]
        assert found.tolist() == pytest.approx(expected, abs=5e-5)


def test_who_has_no_dose_is_counted_in_a_group_of_its_own(tumour_data):
    best = pd.Series(["PR", "SD", "PR"], index=["a", "b", "c"])
    rates = response_rates(best, pd.Series([1.0, 1.0, np.nan], index=["a", "b", "c"])).set_index(
        ["population", "group"]
    )
    assert rates.loc["all", "n"].to_dict() == {"1.0": 2, "not known": 1, "all": 3}
    assert rates.loc[("all", "not known"), "orr"] == 1
    subjects = tumour_data.subjects.assign(dose_level=[1e5, 1e5, None, 1e6, 1e6, 1e6, 1e6])
    groups = tumour_groups(replace(tumour_data, subjects=subjects))
    assert groups.index.tolist() == list("abcdefg")
    assert groups["c"] == "not known"


def test_a_group_of_which_nobody_is_evaluable_has_no_rate():
    best = pd.Series(["PR", "NE"], index=["a", "b"])
    rates = response_rates(best, pd.Series(["1", "2"], index=["a", "b"]))
    row = rates[(rates["population"] == "evaluable") & (rates["group"] == "2")].iloc[0]
    assert row["n"] == 0
    assert np.isnan(row["orr"])
    nobody = response_rates(pd.Series(["NE"]))
    assert nobody["n"].tolist() == [1, 0]


def test_times_are_recorded_or_derived(tumour_data, responses):
    times = tumour_times(responses, tumour_data)
    assert times["dor"].to_numpy().tolist() == [[84, 1], [42, 0], [0, 0]]
    assert times["dor"].index.tolist() == ["a", "d", "f"]
    found = median_times(times).set_index("endpoint")
    assert found["median"].to_dict() == {"dor": 84, "pfs": 126, "os": 200}
    assert found["n"].to_dict() == {"dor": 3, "pfs": 6, "os": 6}
    assert found["source"].to_dict() == {"dor": "derived", "pfs": "recorded", "os": "recorded"}
    bare = tumour_data.subjects[["subject", "dose_level"]]
    alone = tumour_times(responses_from(replace(tumour_data, subjects=bare), "sld"), replace(tumour_data, subjects=bare))  # fmt: skip
    assert list(alone) == ["dor", "pfs"]
    assert alone["pfs"].loc["a"].tolist() == [126, 1]


def test_a_subject_that_is_not_in_the_data_is_named(tumour_data):
    row = ("z", -1, "T", "target", 10, "")
    stray = derive_response(pd.DataFrame([row], columns=["subject", "day", "lesion", "kind", "size_mm", "status"]))  # fmt: skip
    with pytest.raises(DataError, match="responses: subject 'z' is not in the data"):
        best_responses(stray, tumour_data)


def test_a_response_after_new_therapy_has_no_duration_and_flags_are_no_days(tumour_data):
    # d shrinks to a PR on day 42; f has cleared by day 42.
    flagged = tumour_data.subjects.drop(columns=["os_day", "os_event", "pfs_day", "pfs_event"])
    data = replace(
        tumour_data,
        subjects=flagged.assign(new_therapy=[None, None, None, 30.0, None, None, None], death=[1, 0, 1, 0, 0, 0, 0]),
    )  # fmt: skip
    times = tumour_times(responses_from(data, "sld"), data)
    assert times["dor"]["time"].to_dict() == {"a": 84, "c": 0, "f": 0}
    assert times["pfs"].loc["a"].tolist() == [126, 1]  # of the visits, not death on "day 1"
    assert times["pfs"].loc["d"].tolist() == [0, 0]
