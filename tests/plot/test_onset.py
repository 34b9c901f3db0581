from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_hex

from carkinetics.plot import onset
from carkinetics.plot.onset import GRADE_COLOURS
from carkinetics.response import onset_timing


@pytest.fixture(scope="module")
def study(dose_fit):
    subjects, rng = dose_fit.data.subjects, np.random.default_rng(2)
    day = np.maximum(subjects["true_tmax"].to_numpy(float) + rng.normal(-2, 2, 60), 0.5)
    grade = rng.integers(0, 4, 60)
    return replace(
        dose_fit.data, subjects=subjects.assign(crs_day=np.where(grade, day, np.nan), crs_grade=grade)
    )


def points(ax):
    return [line for line in ax.get_lines() if line.get_marker() == "o"]


def test_onsets_lie_on_their_curves_coloured_by_grade(dose_fit, study, rendered):
    upper, _ = onset(dose_fit, study, n_draws=50)
    table = onset_timing(dose_fit, study, n_draws=50).table
    assert upper.get_yscale() == "log"
    for line, (grade, block) in zip(points(upper), table.groupby("grade"), strict=True):
        assert to_hex(line.get_color()) == GRADE_COLOURS[grade].lower()
        np.testing.assert_allclose(line.get_xydata(), block[["onset", "level"]], rtol=1e-12)
    curves = [line for line in upper.get_lines() if len(line.get_xdata()) > 2 and line.get_marker() == "None"]
    assert len(curves) == 60
    first = table.iloc[0]
    own = curves[dose_fit.data.subject_ids.index(first["subject"])]
    assert np.interp(first["onset"], own.get_xdata(), np.log(own.get_ydata())) == pytest.approx(
        np.log(first["level"]), abs=0.05
    )  # the drawn line is straight between its points
    assert rendered(upper)


def test_the_strip_is_onset_less_tmax_in_order(dose_fit, study):
    upper, lower = onset(dose_fit, study, n_draws=50)
    timing = onset_timing(dose_fit, study, n_draws=50)
    drawn = np.concatenate([line.get_xydata() for line in points(lower)])
    distances = np.sort(timing.table["onset"] - timing.table["tmax"])
    np.testing.assert_allclose(drawn[np.argsort(drawn[:, 1]), 0], distances)
    low, high = lower.get_xlim()
    assert low < min(distances) < max(distances) < high
    title = upper.get_title(loc="left")
    assert title.startswith(f"crs_day before the subject's own Tmax: {timing.before} of {timing.n} (")
    called, _ = onset(dose_fit, study, label="CRS", n_draws=50)
    assert called.get_title(loc="left") == title.replace("crs_day", "Onset of CRS", 1)


def test_one_onset_of_unknown_grade_and_an_individual_fit(dose_fit, study, alone, rendered):
    subjects = study.subjects.assign(crs_day=[40.0, *[np.nan] * 59], crs_grade=np.nan)
    upper, _ = onset(alone(dose_fit, failed="S007"), replace(study, subjects=subjects))
    labels = [text.get_text() for text in upper.get_legend().get_texts()]
    assert labels[0] == "onset, grade unknown (n = 1)"
    assert upper.get_xlim()[1] > 40
    assert rendered(upper)
