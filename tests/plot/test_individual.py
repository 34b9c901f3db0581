from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from carkinetics.dataset.table import EVENT_COLUMNS, is_censored
from carkinetics.diagnostics.residuals import misfit
from carkinetics.errors import ConfigError
from carkinetics.model import load_model, simulate
from carkinetics.plot import individual_fits


def with_marker(ax, marker):
    return [line for line in ax.get_lines() if line.get_marker() == marker]


def test_one_panel_per_subject_with_its_name(made_fit, rendered):
    axes = individual_fits(made_fit)
    assert [ax.get_title() for ax in axes] == made_fit.data.subject_ids
    assert len(axes[0].figure.axes) == len(axes)
    assert rendered(axes)


def test_axes_have_units(made_fit):
    figure = individual_fits(made_fit)[0].figure
    assert figure.get_supylabel() == "CAR transgene (copies/µg DNA)"
    assert "Days since infusion" in figure.get_supxlabel()
    assert all(ax.get_yscale() == "log" for ax in figure.axes)


def test_panel_holds_the_observations_and_blq_triangles_at_the_lloq(made_fit):
    axes = individual_fits(made_fit)
    rows = made_fit.observations
    assert is_censored(rows).any()
    for ax, subject in zip(axes, made_fit.data.subject_ids, strict=True):
        mine = rows[rows["subject"] == subject]
        blq = is_censored(mine)
        (points,), (open_triangles,) = with_marker(ax, "o"), with_marker(ax, "v")
        np.testing.assert_allclose(points.get_ydata(), mine["value"][~blq])
        np.testing.assert_allclose(open_triangles.get_xydata(), mine[["time", "lloq"]][blq])
        assert open_triangles.get_markerfacecolor() == "none"


def test_panel_holds_individual_band_population_dose_and_events(made_fit):
    rows = [("S001", 5.0, "tocilizumab", "", 1), ("S002", 6.0, "$teroid", "", 2)]
    events = pd.DataFrame(rows, columns=list(EVENT_COLUMNS))
    axes = individual_fits(replace(made_fit, data=replace(made_fit.data, events=events)))
    first = axes[0]
    assert len(first.collections) == 1  # the band
    curves = [line for line in first.get_lines() if len(line.get_xdata()) > 100]
    assert [line.get_linestyle() for line in curves] == ["-", "--"]  # individual, population
    (dose,) = with_marker(first, "^")
    assert dose.get_xdata().tolist() == [0.0]
    drawn = [set(line.get_xdata()) for line in first.get_lines() if line.get_linestyle() == ":"]
    assert {5.0} in drawn
    words = [text.get_text() for text in first.figure.legends[0].get_texts()]
    assert {"observed", "BLQ, at the LLOQ", "90% credible band", "tocilizumab", r"\$teroid"} <= set(words)


def test_pages_share_out_all_subjects(made_fit):
    pages = [individual_fits(made_fit, per_page=3, page=p) for p in (1, 2, 3)]
    assert [len(page) for page in pages] == [3, 3, 2]
    assert [ax.get_title() for page in pages for ax in page] == made_fit.data.subject_ids
    with pytest.raises(ConfigError, match="page 4 of 3"):
        individual_fits(made_fit, per_page=3, page=4)


def test_subjects_are_drawn_in_the_order_asked_for(made_fit):
    assert [ax.get_title() for ax in individual_fits(made_fit, subjects=["S003", "S001"])] == ["S003", "S001"]
    with pytest.raises(ConfigError, match="no subject 'S9'"):
        individual_fits(made_fit, subjects=["S9"])


def test_individual_fit_has_no_band_and_says_where_it_failed(made_fit, alone, rendered):
    axes = individual_fits(alone(made_fit, failed="S002"))
    assert not axes[0].collections
    assert [text.get_text() for text in axes[1].texts] == ["no estimate"]
    assert rendered(axes)


@pytest.mark.parametrize(("times", "lloq", "n"), [((7, 14), 1e12, 3), ((7,), 50, 1)])
def test_thin_data_are_drawn_without_a_warning(around, times, lloq, n, rendered):
    model = load_model("stein2019")
    fit = around(model, simulate(model, {"times": times, "lloq": lloq}, n=n, seed=2))
    assert rendered(individual_fits(fit))


def test_the_worst_fitted_come_first_on_every_page(made_fit):
    worst = misfit(made_fit)
    pages = [individual_fits(made_fit, order="worst", per_page=3, page=p) for p in (1, 2, 3)]
    titles = [ax.get_title() for page in pages for ax in page]
    assert [title.split()[0] for title in titles] == worst.index.tolist()
    assert titles[0] == f"{worst.index[0]} ({worst.iloc[0]:.1f})"
    words = [text.get_text() for text in pages[0][0].figure.legends[0].get_texts()]
    assert "(1.0): mean squared IWRES" in words
    with pytest.raises(ConfigError, match="did you mean 'worst'"):
        individual_fits(made_fit, order="wort")


def test_the_order_holds_among_the_subjects_asked_for_and_failed_ones_are_first(made_fit, alone):
    asked = ["S003", "S001", "S002"]
    expected = [subject for subject in misfit(made_fit).index if subject in asked]
    axes = individual_fits(made_fit, subjects=asked, order="worst")
    assert [ax.get_title().split()[0] for ax in axes] == expected
    failed = individual_fits(alone(made_fit, failed="S002"), order="worst")
    assert failed[0].get_title() == "S002"


@pytest.mark.slow
def test_120_subjects_fill_six_pages(around, rendered):
    model = load_model("stein2019")
    fit = around(model, simulate(model, {"times": (3, 7, 10, 14, 28, 60), "lloq": 200}, n=120, seed=1))
    pages = [individual_fits(fit, order="worst", page=p) for p in range(1, 7)]
    assert [len(page) for page in pages] == [20] * 6
    assert len({ax.get_title() for page in pages for ax in page}) == 120
    assert all(rendered(page) for page in pages)


def test_small_panels_have_no_ticks_between_the_powers_of_ten(made_fit):
    """They are a third of what a page takes to draw."""
    axes = individual_fits(made_fit, columns=3)
    axes[0].figure.draw_without_rendering()
    assert not any(len(ax.yaxis.get_minorticklocs()) for ax in axes)
    assert all(len(ax.yaxis.get_majorticklocs()) > 1 for ax in axes)
    assert len(individual_fits(made_fit, subjects=["S001"])[0].yaxis.get_minorticklocs()) > 1
