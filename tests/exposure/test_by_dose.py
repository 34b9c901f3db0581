from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from carkinetics.errors import ConfigError
from carkinetics.exposure import nca, nca_by
from carkinetics.exposure.by_dose import described, dose_grouping, dose_unit
from carkinetics.fit.variability import cv_percent

SERIES = {
    name: ([0.0, 7, 14], [0.0, peak, peak / 2])
    for name, peak in [("a", 100.0), ("b", 400.0), ("c", 900.0), ("d", 0.0)]
}
DOSES = {"a": [(0.0, 1e6)], "b": [(0.0, 1e6)], "c": [(0.0, 3e6)], "d": [(0.0, 3e6)]}


def test_levels_are_geometric_and_times_are_not(make_data):
    data = make_data(SERIES, doses=DOSES)
    table = nca_by(nca(data), data).set_index(["dose_level", "metric"])
    low = table.loc[(1e6, "cmax")]
    assert low["geometric_mean"] == pytest.approx(200)
    assert low["geometric_cv_percent"] == pytest.approx(float(cv_percent(np.log(4) / np.sqrt(2))))
    assert (low["n"], low["n_missing"], low["min"], low["median"], low["max"]) == (2, 0, 100, 250, 400)
    times = table.loc[(1e6, "tmax")]
    assert np.isnan(times["geometric_mean"])
    assert times["median"] == 7


def test_slopes_that_are_no_lines_are_left_out_and_counted(make_data):
    """R² is 1 for an exponential; by hand 0.045 / 1.44667 for the other one, whose logs are 5.5, 3.9 and 5.2 at equal distances."""
    time, halving = [0.0, 7, 14, 21, 28], [0.0, 800, 400, 200, 100]
    series = {name: (time, [scale * level for level in halving]) for name, scale in (("a", 1.0), ("b", 2.0))}
    noisy = np.exp([7.0, 5.5, 3.9, 5.2])
    series["c"] = (time, [0.0, *noisy])
    exposure = nca(make_data(series | {"d": ([0.0, 7], [0.0, 500])}, lloq=20))
    data = make_data(series | {"d": ([0.0, 7], [0.0, 500])}, doses={s: [(0.0, 1e6)] for s in "abcd"}, lloq=20)
    table = nca_by(exposure, data).set_index("metric")
    assert exposure.settings["weak_slopes"] == {"c": pytest.approx(1 - 2 * (1 - 0.045 / (4.34 / 3)))}
    for metric, value in (("half_life", 7.0), ("lambda_z", np.log(2) / 7)):
        row = table.loc[metric]
        assert (row["n"], row["n_missing"], row["n_left_out"]) == (2, 1, 1)
        assert [row["geometric_mean"], row["min"], row["max"]] == pytest.approx([value] * 3)
    assert table.loc["lambda_z_n", "n"] == 3
    assert described(exposure, "half_life")["subject"].tolist() == ["a", "b"]
    assert described(exposure, "lambda_z_n")["subject"].tolist() == ["a", "b", "c"]
    assert (table["n_left_out"] > 0).sum() == 2


def test_persistence_is_a_kaplan_meier_median_with_its_censored(make_data):
    time = [0.0, 7, 14, 21, 28]
    series = {
        "a": (time, [0.0, 500, 100, 0, 0]),  # lost on day 21
        "b": (time[:4], [0.0, 500, 100, 100]),  # followed to day 21
        "c": (time, [0.0, 500, 100, 100, 0]),  # lost on day 28
        "d": (time, [0.0, 500, 100, 100, 100]),  # followed to day 28
    }
    data = make_data(series, doses={"a": [(0.0, 1e6)], **{s: [(0.0, 3e6)] for s in "bcd"}})
    table = nca_by(nca(data), data).set_index(["dose_level", "metric"])
    assert described(nca(data), "persistence").empty
    assert described(nca(data.select(subjects=["a", "c"])), "persistence")["value"].tolist() == [14, 21]
    alone, three = table.loc[(1e6, "persistence")], table.loc[(3e6, "persistence")]
    assert (alone["median"], alone["n_beyond"]) == (21, 0)
    assert (three["n"], three["n_beyond"], three["median"], three["min"], three["max"]) == (3, 2, 28, 21, 28)


def test_a_missing_metric_is_counted_and_one_subject_has_no_cv(make_data):
    data = make_data(SERIES, doses=DOSES)
    high = nca_by(nca(data), data, by="dose").set_index(["dose", "metric"]).loc[(3e6, "cmax")]
    assert (high["n"], high["n_missing"], high["geometric_mean"]) == (1, 1, pytest.approx(900))
    assert np.isnan(high["geometric_cv_percent"])


def test_a_subject_without_a_group_is_not_lost(make_data):
    subjects = pd.DataFrame({"subject": list("abcd"), "dose_level": ["DL1", "DL1", "DL2", None]})
    data = make_data(SERIES, subjects=subjects)
    table = nca_by(nca(data, metrics=["sampling_end"]), data)
    assert table["n"].tolist() == [2, 1, 1]
    assert table["dose_level"].isna().tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("levels", "unit", "grouping"),
    [
        ([1, 1, 2, 2], "", "dose"),
        (["1.0e6", "1.0e6", "3.0e6", "3.0e6"], "cells/kg", "dose_level"),
        ([1e6, 1e6, 3e6, None], "cells/kg", "dose_level"),
        (["low", "low", "high", "high"], "", "dose"),
        ([1, 1, 2, None], "", "dose"),
    ],
)
def test_only_amounts_have_a_unit(make_data, levels, unit, grouping):
    subjects = pd.DataFrame({"subject": list("abcd"), "dose_level": levels})
    data = make_data(SERIES, doses=DOSES, subjects=subjects)
    assert (dose_unit(data, "dose_level"), dose_unit(data, "dose")) == (unit, "cells/kg")
    assert dose_grouping(data) == grouping


def test_levels_stay_the_groups_where_amounts_are_unknown_many_or_of_two_units(make_data):
    subjects = pd.DataFrame({"subject": list("abcd"), "dose_level": [1, 1, 2, 2]})
    fewer = make_data(SERIES, doses={s: DOSES[s] for s in "abc"}, subjects=subjects)
    mixed = make_data(SERIES, doses=DOSES, subjects=subjects)
    mixed = replace(mixed, doses=mixed.doses.assign(unit=["cells", "cells", "cells/kg", "cells/kg"]))
    names = list("abcdefghi")
    many = make_data(
        dict.fromkeys(names, SERIES["a"]), doses={s: [(0.0, 1e6 + i)] for i, s in enumerate(names)},
        subjects=pd.DataFrame({"subject": names, "dose_level": 1}),
    )  # fmt: skip
    assert [dose_grouping(data) for data in (fewer, mixed, many)] == ["dose_level"] * 3
    assert dose_grouping(make_data(SERIES, doses=DOSES)) == "dose_level"


def test_an_unknown_grouping_names_the_near_one(make_data):
    data = make_data(SERIES, subjects=pd.DataFrame({"subject": list("abcd"), "cohort": 1}))
    with pytest.raises(ConfigError, match="did you mean 'cohort'"):
        nca_by(nca(data), data, by="chort")
