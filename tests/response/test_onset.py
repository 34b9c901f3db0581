"""Onsets against the subjects' own peaks, where the peak is a parameter of the model."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from carkinetics.errors import ConfigError, DataError
from carkinetics.model import predict
from carkinetics.response import onset_timing


@pytest.fixture(scope="module")
def study(made_fit):
    """Onsets 3 days before Tmax in five subjects, 2 days after in one, none in two."""
    tmax = made_fit.data.subjects["true_tmax"].to_numpy(float)
    day = tmax + np.array([-3, -3, -3, -3, -3, 2, np.nan, np.nan])
    grade = [1, 1, 2, 3, 2, 1, 0, 0]
    return replace(made_fit.data, subjects=made_fit.data.subjects.assign(crs_day=day, crs_grade=grade))


def test_tmax_is_that_of_the_curve_in_every_draw(made_fit, study):
    found = onset_timing(made_fit, study, n_draws=None)
    tmax = made_fit.tree["posterior"]["tmax"].to_numpy().reshape(-1, 8)[:, :6]
    table = found.table
    np.testing.assert_allclose(
        table[["lower", "tmax", "upper"]].T, np.quantile(tmax, [0.05, 0.5, 0.95], axis=0), rtol=1e-6
    )
    np.testing.assert_allclose(
        table["probability_before"], (table["onset"].to_numpy() < tmax).mean(axis=0), atol=1e-9
    )
    assert (found.n, found.before, len(found.excluded)) == (6, 5, 0)
    assert found.statement.startswith(
        "crs_day is before the subject's own Tmax in 5 of 6 subjects (83%, 95% CI 36% to"
    )
    assert repr(found) == "<OnsetTiming: crs_day, 5 of 6 before their Tmax>"
    assert table["grade"].tolist() == [1, 1, 2, 3, 2, 1]
    assert found.settings["label"] == "crs_day"
    called = onset_timing(made_fit, study, label="CRS", n_draws=10)
    assert called.statement.startswith("Onset of CRS is before the subject's own Tmax in 5 of 6 subjects")
    assert repr(called) == "<OnsetTiming: Onset of CRS, 5 of 6 before their Tmax>"


def test_the_day_of_a_declared_event_is_found_as_its_column_is(made_fit, study):
    day = study.subjects.set_index("subject")["crs_day"].dropna()
    events = pd.DataFrame(
        {
            "subject": day.index,
            "time": day.to_numpy(),
            "event": "crs",
            "value": np.nan,
            "row": range(len(day)),
        }
    )
    declared = replace(study, subjects=study.subjects.drop(columns="crs_day"), events=events)
    pd.testing.assert_frame_equal(onset_timing(made_fit, declared).table, onset_timing(made_fit, study).table)


def test_the_level_is_that_of_the_curve_on_the_day_of_onset(made_fit, study, alone):
    found = onset_timing(alone(made_fit), study)
    for i, row in enumerate(found.table.itertuples()):
        truth = {name: float(study.subjects[f"true_{name}"][i]) for name in made_fit.model.parameters}
        assert row.level == pytest.approx(
            float(predict(made_fit.model, [row.onset], **truth).iloc[0]), rel=1e-9
        )
    assert found.table["lower"].isna().all()
    assert found.settings["interval"] == "none"


def test_who_has_no_curve_is_named(made_fit, study, alone):
    found = onset_timing(alone(made_fit, failed="S003"), study, grade=None)
    assert found.excluded.to_numpy().tolist() == [["S003", "no estimate"]]
    assert found.table["grade"].isna().all()
    assert found.statement.endswith("1 subject with an onset has no fitted curve.")
    fewer = replace(made_fit, data=made_fit.data.select(subjects=made_fit.data.subject_ids[1:]))
    posterior = made_fit.tree["posterior"].to_dataset().isel(subject=slice(1, None))
    fewer = replace(fewer, tree=xr.DataTree.from_dict({"posterior": posterior}))
    assert onset_timing(fewer, study).excluded.to_numpy().tolist() == [["S001", "not in the fit"]]


def test_what_makes_no_sense_is_refused(made_fit, study):
    with pytest.raises(ConfigError, match="did you mean 'crs_day'"):
        onset_timing(made_fit, study, "crs_dai")
    for bad, words in ((-1.0, "a day since infusion, from 0 on"), ("soon", "'soon'; expected a number")):
        wrong = study.subjects.assign(crs_day=study.subjects["crs_day"].astype(object))
        wrong.loc[1, "crs_day"] = bad
        with pytest.raises(DataError, match=words):
            onset_timing(made_fit, replace(study, subjects=wrong))
    nobody = replace(study, subjects=study.subjects.assign(crs_day=np.nan))
    with pytest.raises(DataError, match="none of the 0 subjects"):
        onset_timing(made_fit, nobody)
