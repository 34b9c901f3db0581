"""Real patients: IL-6 on top of the kinetics peaks days before the CAR-T level, as the samples themselves say."""

import pytest

import carkinetics as ck

pytestmark = pytest.mark.slow


def test_il6_peaks_days_before_the_cells_and_weekly_cells_are_part_of_the_interval(data, fit):
    found = {
        driver: ck.fit_marker(fit, data, "IL-6", driver=driver, kinetic_draws=6) for driver in ("level", "expansion")
    }  # fmt: skip
    by_level, lag = found["level"], found["level"].table.loc["lag"]
    assert len(by_level.subjects) == 52
    assert by_level.subjects["n_above"].sum() == 26
    assert lag["lower"] > -6
    assert lag["upper"] < -2
    assert lag["missing"] > 0.2
    # The samples: the highest of each subject, a value above the ULOQ counting as it.
    rows = by_level.observed[by_level.observed["assay"] == "IL-6"]
    top = rows.assign(level=rows["value"].fillna(rows["lower"])).groupby("subject")["level"].idxmax()
    seen = rows.loc[top, "time"].median()
    assert by_level.subjects["peak_day"].median() == pytest.approx(seen, abs=1.0)
    # An effect of the rising level alone would put the peak of IL-6 at that of the cells.
    assert found["expansion"].subjects["peak_day"].median() > seen + 1.5
    assert ck.compare_markers(found, kinetic_draws=3).index[0] == "level"


def test_the_approximation_gives_the_lag_that_sampling_gives(data, fit):
    fast, slow = (
        ck.fit_marker(fit, data, "IL-6", kinetic_draws=2, method=method).table.loc["lag"] for method in ("laplace", "mcmc")
    )  # fmt: skip
    assert abs(fast["value"] - slow["value"]) < 0.3
