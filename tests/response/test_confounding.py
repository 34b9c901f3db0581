"""Quadrants of exposure and burden, and E-values: published example, closed forms, properties."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carkinetics.errors import ConfigError, DataError
from carkinetics.plot import quadrants
from carkinetics.plot.axes import png
from carkinetics.response import e_value, quadrant_table

EXPOSURE = pd.Series([1.0, 2, 3, 4, 5, 6, 7, 8], index=list("abcdefgh"))
BURDEN = pd.Series([1.0, 10, 1, 10, 1, 10, 1, 10], index=EXPOSURE.index)
OUTCOME = BURDEN > 5


def test_an_outcome_that_follows_burden_differs_between_rows_only():
    table = quadrant_table(EXPOSURE, BURDEN, OUTCOME)
    assert table.loc[("low", "low")].tolist() == table.loc[("low", "high")].tolist() == [0, 2]
    assert table.loc[("high", "low")].tolist() == table.loc[("high", "high")].tolist() == [2, 2]
    ax = quadrants(pd.concat([EXPOSURE, pd.Series({"z": 3.0})]), BURDEN, OUTCOME, outcome_label="CRS")
    shown = sorted(text.get_text() for text in ax.texts)
    assert shown == ["0 of 2 (0 %)", "0 of 2 (0 %)", "2 of 2 (100 %)", "2 of 2 (100 %)"]
    assert "1 not shown" in ax.get_title("left")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["no CRS", "CRS"]
    priced = quadrants(EXPOSURE, BURDEN, OUTCOME, outcome_label="5 US$")
    assert priced.get_legend().get_texts()[1].get_text() == r"5 US\$"
    assert png(ax).startswith(b"\x89PNG")
    with pytest.raises(DataError, match="3 subjects have exposure, burden and outcome"):
        quadrant_table(EXPOSURE[:3], BURDEN, OUTCOME)
    with pytest.raises(DataError, match="subject 'b': exposure 2, burden 0; expected both above 0"):
        quadrants(EXPOSURE, BURDEN.where(BURDEN.index != "b", 0), OUTCOME)


def test_the_published_e_value():
    # VanderWeele and Ding 2017: breast-feeding, relative risk 3.9 (1.8 to 8.7): 7.26 and 3.0.
    assert e_value(3.9, 1.8) == pytest.approx((7.2629, 3.0), abs=1e-3)
    assert e_value(1 / 3.9, 1 / 1.8) == pytest.approx(e_value(3.9, 1.8))
    assert e_value(1.5, 0.9)[1] == 1.0
    with pytest.raises(ConfigError, match="did you mean 'odds'"):
        e_value(2, scale="od")
    with pytest.raises(ConfigError, match="expected a number above 0"):
        e_value(-2)


@given(st.floats(0.05, 20), st.sampled_from(["risk", "odds", "hazard"]))
def test_an_e_value_undoes_the_ratio(ratio, scale):
    value, _ = e_value(ratio, scale=scale)
    risk = {
        "risk": ratio,
        "odds": np.sqrt(ratio),
        "hazard": (1 - 0.5 ** np.sqrt(ratio)) / (1 - 0.5 ** np.sqrt(1 / ratio)),
    }[scale]
    # The bias of a confounder as strong as E with both is E^2 / (2 E - 1) (Ding and VanderWeele 2016).
    assert value**2 / (2 * value - 1) == pytest.approx(max(risk, 1 / risk), rel=1e-9)
