"""The typical course of a model: one panel per output, on axes that show it."""

import numpy as np
import pytest

from carkinetics.errors import ConfigError
from carkinetics.model import load_model, predict
from carkinetics.plot import model_course


def test_every_output_has_a_panel_with_the_typical_course_and_subjects():
    model = load_model("liu2022")
    axes = model_course(model, days=60, subjects=5)
    assert [ax.get_title(loc="left") for ax in axes] == [
        "activated CAR-T cells in blood",
        "blasts in the marrow",
    ]
    for ax, output in zip(axes, model.outputs, strict=True):
        typical = max(ax.lines, key=lambda line: line.get_linewidth())
        time, level = (np.asarray(x) for x in typical.get_data())
        assert len(ax.lines) == 6
        at = np.searchsorted(time, 14.0)
        assert level[at] == pytest.approx(predict(model, [time[at]], output=output).iloc[0], rel=1e-6)


def test_a_kink_is_drawn_and_a_model_without_spread_has_one_line():
    (ax,) = model_course(load_model("stein2019"), days=40, subjects=0)
    assert len(ax.lines) == 1
    assert 9.3 in ax.lines[0].get_xdata()
    only = model_course(load_model("kirouac2023"), days=20, subjects=10)[0]
    assert len(only.lines) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"days": 0}, "days is 0"),
        ({"subjects": -1}, "subjects is -1"),
        ({"tmx": 3}, "did you mean 'tmax'"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, said):
    with pytest.raises(ConfigError, match=said):
        model_course(load_model("stein2019"), **arguments)
