import numpy as np
import pandas as pd
import pytest
import xarray as xr

from carkinetics.errors import ConfigError, DataError
from carkinetics.exposure import Exposure
from carkinetics.exposure.table import EXPOSURE_COLUMNS, METRICS, metric_unit, window_end


def table(*rows):
    return pd.DataFrame(
        [(*row, np.nan, np.nan, "day", "test", "") for row in rows], columns=list(EXPOSURE_COLUMNS)
    )


def test_wide_keeps_the_order_of_subjects_and_metrics():
    exposure = Exposure(table(("z", "tmax", 1.0), ("z", "cmax", 2.0), ("a", "tmax", 3.0)))
    wide = exposure.wide()
    assert wide.index.tolist() == ["z", "a"]
    assert wide.index.name == "subject"
    assert wide.columns.tolist() == ["tmax", "cmax"]
    assert wide.loc["a", "tmax"] == 3
    assert np.isnan(wide.loc["a", "cmax"])


def test_an_unknown_metric_names_the_near_one():
    exposure = Exposure(table(("z", "auc_0_28", 1.0)))
    with pytest.raises(ConfigError, match="no metric 'auc_28' in this exposure; did you mean 'auc_0_28'"):
        exposure.metric("auc_28")


def test_a_table_that_lacks_a_column_or_repeats_a_metric_is_refused():
    with pytest.raises(DataError, match="column 'excluded' is missing"):
        Exposure(table(("z", "tmax", 1.0)).drop(columns="excluded"))
    with pytest.raises(DataError, match="subject z has tmax twice"):
        Exposure(table(("z", "tmax", 1.0), ("z", "tmax", 2.0)))


def test_samples_are_one_row_per_draw_whatever_the_order_of_dimensions():
    values = np.arange(12.0).reshape(2, 3, 2)
    array = xr.DataArray(values, dims=("subject", "draw", "chain"), coords={"subject": ["a", "b"]})
    exposure = Exposure(table(("a", "tmax", 1.0), ("b", "tmax", 1.0)), xr.Dataset({"tmax": array}))
    samples = exposure.samples("tmax")
    assert samples.shape == (6, 2)
    assert samples["b"].tolist() == [6, 8, 10, 7, 9, 11]
    with pytest.raises(ConfigError, match="no draws of metric 'cmax'"):
        exposure.samples("cmax")


def test_without_draws_there_are_no_samples():
    assert Exposure(table(("z", "tmax", 1.0))).samples("tmax") is None


@pytest.mark.parametrize("name", ["auc_0_", "auc_0_x", "auc_1_28", "auc_0_-5", "auc_0_28d", "auc_0_0"])
def test_what_is_no_window_has_no_end(name):
    assert window_end(name) is None


def test_every_metric_has_a_unit():
    units = {metric: metric_unit(metric, "cells/µL") for metric in METRICS}
    assert units["cmax"] == "cells/uL"
    assert units["auc_0_180"] == "cells*day/uL"
    assert units["auc_extrapolated_percent"] == "%"
    assert {units[m] for m in ("tmax", "tlast", "half_life", "persistence")} == {"day"}
    assert {units[m] for m in ("lambda_z_n", "lambda_z_r2_adjusted", "span")} == {"1"}
