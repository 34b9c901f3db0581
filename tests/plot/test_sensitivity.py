import numpy as np
import pandas as pd
import pytest

from carkinetics.errors import ConfigError
from carkinetics.plot import sensitivity


def test_rows_are_in_order_of_the_prior_and_coloured_by_their_words(rendered):
    table = pd.DataFrame(
        {
            "prior": [0.01, 0.2, 0.08],
            "likelihood": [0.12, 0.0001, 0.15],
            "words": [
                "informed",
                "not informed by the data",
                "weakly informed; possible prior-data conflict",
            ],
        },
        index=["cmax_typical", "foldx_typical", "beta_omega"],
    )
    table.attrs = {"noise_prior": 0.004, "threshold": 0.05}
    ax = sensitivity(table)
    assert rendered(ax)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["foldx_typical", "beta_omega", "cmax_typical"]
    filled = [line.get_xdata()[0] for line in ax.get_lines() if line.get_marker() == "o"][::2]
    np.testing.assert_allclose(filled, [0.2, 0.08, 0.01])
    words = [t.get_text() for t in ax.figure.legends[0].get_texts()]
    assert "not informed by the data" in words
    assert "possible prior-data conflict" in words
    assert "neither moves it" not in words
    with pytest.raises(ConfigError, match=r"prior_sensitivity\(\) returns"):
        sensitivity(pd.DataFrame({"prior": [0.1]}))
