import numpy as np
import pandas as pd

from carkinetics.fit import CovariateScreen
from carkinetics.fit.screen import SCREEN_COLUMNS
from carkinetics.plot import covariate_screen


def test_pairs_are_rows_with_their_ratio_and_probability(rendered):
    rows = [
        ("cmax", "log(dose)", 11.5, 14.5, 4.8, 3.0, 7.6, 1.0, 0.08, True),
        ("alpha", "age", 45, 76, 0.47, 0.33, 0.65, 0.99, 0.1, True),
        ("tmax", "sex == 'F'", 0, 1, 1.01, 0.95, 1.08, 0.01, 0.9, False),
    ]
    screen = CovariateScreen(
        pd.DataFrame(rows, columns=list(SCREEN_COLUMNS)), {}, "", True, {"factor": 1.2, "limit": 0.5}
    )
    ax = covariate_screen(screen)
    assert rendered(ax)
    points = [line.get_xdata()[0] for line in ax.get_lines() if line.get_marker() == "o"]
    np.testing.assert_allclose(points, [4.8, 0.47, 1.01])
    assert ax.get_yticklabels()[0].get_text() == "cmax on log(dose)"
    assert [t.get_text().split() for t in ax.texts[:3]] == [
        ["1.00", "0.08"],
        ["0.99", "0.10"],
        ["0.01", "0.90"],
    ]
    low, high = ax.get_xlim()
    assert low < 0.33 < 7.6 < high
