import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from carkinetics.errors import ConfigError, DataError
from carkinetics.model import load_model, simulate
from carkinetics.plot import profiles

MODEL = load_model("stein2019")
DESIGN = {"times": (0, 3, 7, 10, 14, 28, 90, 180), "lloq": 300, "doses": (1e5, 1e6)}


@pytest.fixture(scope="module")
def data():
    return simulate(MODEL, DESIGN, n=20, seed=2)


def triangles(ax):
    """Positions of the open triangles."""
    lines = [line for line in ax.get_lines() if line.get_marker() == "v"]
    assert all(line.get_markerfacecolor() == "none" for line in lines)
    return np.concatenate([line.get_xydata() for line in lines]) if lines else np.empty((0, 2))


def test_the_axes_given_is_the_axes_returned(data, rendered):
    ax = Figure().subplots()
    assert profiles(data, ax=ax) is ax
    assert rendered(ax)


def test_axes_have_units_and_the_level_is_logarithmic(data):
    ax = profiles(data)
    assert ax.get_ylabel() == "CAR transgene (copies/µg DNA)"
    assert "Days since infusion" in ax.get_xlabel()
    assert ax.get_yscale() == "log"


def test_blq_values_are_open_triangles_at_their_lloq(data):
    blq = data.observations[data.observations["status"].isin(["below_lloq", "not_detected"])]
    found = triangles(profiles(data))
    assert len(found) == len(blq)
    assert set(found[:, 1]) == {300.0}
    np.testing.assert_allclose(np.sort(found[:, 0]), np.sort(blq["time"]))


def test_every_quantified_value_is_a_point_inside_the_axes(data):
    ax = profiles(data)
    points = np.concatenate([line.get_xydata() for line in ax.get_lines() if line.get_marker() == "o"])
    known = data.observations["value"].dropna()
    np.testing.assert_allclose(np.sort(points[:, 1]), np.sort(known))
    low, high = ax.get_ylim()
    assert low < min(300, known.min())
    assert high > known.max()


def test_groups_have_colours_and_a_legend_with_their_sizes(data, rendered):
    ax = profiles(data, by="dose")
    words = [entry.get_text() for entry in ax.get_legend().get_texts()]
    assert words[:2] == ["$10^{5}$  (n = 10)", "$10^{6}$  (n = 10)"]
    assert ax.get_legend().get_title().get_text() == "Dose (cells/kg)"
    assert len({to_rgba(line.get_color()) for line in ax.get_lines() if line.get_marker() == "o"}) == 2
    assert rendered(ax)


def test_a_code_of_the_dose_has_no_unit(data):
    coded = replace(data, subjects=data.subjects.assign(dose_level=[1, 2] * 10))
    legend = profiles(coded, by="dose_level").get_legend()
    assert legend.get_title().get_text() == "Dose level"
    assert profiles(data, by="dose_level").get_legend().get_title().get_text() == "Dose level (cells/kg)"


def test_dose_level_falls_back_to_the_dose(data):
    without = replace(data, subjects=data.subjects.drop(columns="dose_level"))
    assert len(profiles(without, by="dose_level").get_legend().get_texts()) == 4


def test_a_number_with_many_values_becomes_a_colour_scale(data, rendered):
    ax = profiles(data, by="true_cmax")
    assert len(ax.figure.axes) == 2
    assert rendered(ax)


def test_few_subjects_are_named_and_their_names_are_harmless(rendered):
    few = simulate(MODEL, DESIGN, n=3, seed=2)
    names = {"S001": "$a_b$", "S002": "<b>" + "x" * 300, "S003": "患者"}
    tables = ("subjects", "observations", "doses")
    few = replace(
        few, **{t: getattr(few, t).assign(subject=getattr(few, t)["subject"].map(names)) for t in tables}
    )
    ax = profiles(few)
    assert len(ax.get_legend().get_texts()) == 4
    assert rendered(ax)


def test_assays_are_not_mixed(data):
    rows = data.observations
    second = rows.assign(assay="flow", unit="cells/uL", lloq=0.5, value=rows["value"] / 100)
    both = replace(
        data,
        observations=pd.concat([rows, second], ignore_index=True),
        assays=pd.concat([data.assays, data.assays.assign(assay="flow", unit="cells/uL", lloq=0.5)]),
    )
    with pytest.raises(DataError, match="qpcr, flow; choose one by assay="):
        profiles(both)
    assert profiles(both, assay="flow").get_ylabel() == "CAR-T cells (cells/µL)"


@pytest.mark.parametrize(
    ("times", "lloq", "n"), [((7, 14), 1e12, 3), ((7,), 50, 1), ((0,), 1e9, 2), ((3, 400), 1e-6, 30)]
)
def test_thin_data_are_drawn_without_a_warning(times, lloq, n, rendered):
    thin = simulate(MODEL, {"times": times, "lloq": lloq}, n=n, seed=2)
    for by in ("subject", "dose"):
        assert rendered(profiles(thin, by=by))


def test_a_missing_limit_is_no_problem(data, rendered):
    assert rendered(profiles(replace(data, observations=data.observations.assign(lloq=np.nan))))


def test_columns_that_cannot_be_coloured_are_refused(data):
    with pytest.raises(ConfigError, match="did you mean 'dose'"):
        profiles(data, by="dosis")
    many = replace(data, subjects=data.subjects.assign(site=[f"site {i}" for i in range(20)]))
    with pytest.raises(ConfigError, match="20 values; up to 8"):
        profiles(many, by="site")


def test_no_figure_is_left_open(data):
    profiles(data)
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()
