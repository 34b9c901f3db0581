"""Pictures of escalations and of what designs do: what is drawn is what the results say, and no text is cut."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

import carkinetics as ck
from carkinetics import plot
from carkinetics.errors import ConfigError, DataError
from carkinetics.escalation import decision_table
from carkinetics.plot.decision_table import COLOURS
from carkinetics.plot.escalation import MARKS
from carkinetics.trial.path import escalation_path

RULE = ck.ThreePlusThree(doses=[1e5, 3e5, 1e6], variant="B")
TRUTH = [0.1, 0.2, 0.45]


@pytest.fixture(scope="module")
def trial():
    return ck.simulate_trial(ck.load_trial("nct05783089"), seed=7)


def inside(ax) -> bool:
    """Whether every text of a figure lies within it."""
    figure = ax.get_figure(root=True)
    FigureCanvasAgg(figure).draw()
    texts = [text for one in figure.axes for text in one.texts]
    for one in (one for one in figure.axes if one.axison):
        texts += [one.title, one.xaxis.label, one.yaxis.label]
        for axis in (one.xaxis, one.yaxis):
            low, high = sorted(axis.get_view_interval())  # a label beyond it is not drawn
            texts += [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    wide, tall = figure.get_size_inches() * figure.dpi
    boxes = [text.get_window_extent() for text in texts if text.get_text() and text.get_visible()]
    return all(box.x0 >= -1 and box.x1 <= wide + 1 and box.y0 >= -1 and box.y1 <= tall + 1 for box in boxes)


def words(ax) -> str:
    return "\n".join(text.get_text() for text in ax.texts)


def test_an_escalation_shows_every_patient_once_and_every_decision(trial, rendered):
    ax = plot.escalation(trial)
    drawn = sum(len(line.get_xdata()) for line in ax.get_lines() if line.get_marker() in "oD")
    assert drawn == len(trial.subjects)
    crosses = sum(len(line.get_xdata()) for line in ax.get_lines() if line.get_marker() == "x")
    assert crosses == trial.subjects["DLT"].sum()
    for row in trial.decisions.itertuples():
        assert row.reason in words(ax)
    boxes = [patch for patch in ax.patches if isinstance(patch, FancyBboxPatch)]
    cohorts = int((trial.decisions["n"] > 0).sum())
    expansions = trial.subjects.query("COHORT == 'expansion'")["DOSE_LEVEL"].nunique()
    assert len(boxes) == cohorts + expansions
    assert "selected: dose 2e6" in ax.get_title("left")
    assert inside(ax)
    assert rendered(ax)


def test_markers_of_outcomes_differ_without_colour():
    signs = {(marker, face == "white", outcome == "DLT") for outcome, (marker, face, _) in MARKS.items()}
    assert (
        len(signs) == 4
    )  # pending and not evaluable are both open; their edge and the legend tell them apart


def test_long_reasons_are_broken_and_a_given_axes_is_used():
    path = escalation_path(RULE, [(1e5, 3, 0), (3e5, 3, 0, 0, 2)])
    ax = plot.escalation(path)
    assert "still in their DLT window" in words(ax).replace("\n", " ")
    assert "order within a cohort is not known" in ax.get_xlabel()
    assert inside(ax)
    own = Figure(figsize=(6, 4)).subplots()
    assert plot.escalation(path, ax=own) is own


def test_who_received_less_than_planned_is_marked():
    path = escalation_path(ck.simulate_trial(ck.load_trial("nct05783089"), seed=2))
    ax = plot.escalation(path)
    marked = sum(len(line.get_xdata()) for line in ax.get_lines() if line.get_marker() == "v")
    assert marked == (path.patients["counted"] != path.patients["level"]).sum() > 0
    (legend,) = ax.get_figure(root=True).legends
    assert "received less: counts lower" in [text.get_text() for text in legend.get_texts()]


def test_a_decision_table_is_drawn_cell_by_cell(rendered):
    design = ck.Boin(doses=5, target=0.30)
    table = decision_table(design, n_max=6)
    ax = plot.decision_table(design, 6)
    cells = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    assert len(cells) == len(ax.texts) == sum(n + 1 for n in range(1, 7))
    for text in ax.texts:
        x, y = text.get_position()
        assert text.get_text() == table.loc[y, x + 1]
    assert len(set(COLOURS.values())) == 4
    assert plot.decision_table(table).get_title("left") == "BOIN (0.3)"
    assert inside(ax)
    assert rendered(ax)
    with pytest.raises(ConfigError, match="dose_paths"):
        plot.decision_table(ck.Blrm([1.0, 2.0], 1.0, ck.BlrmPrior((-1, 0), (2, 1))))


def test_a_tree_has_every_decision_and_probabilities_that_sum_to_1():
    paths = ck.dose_paths(RULE, 2, truth=TRUTH)
    ax = plot.dose_paths(paths)
    shown = [text.get_text() for text in ax.texts]
    # After the first cohort: 0, 1 or at least 2 DLTs; Bin(3, 0.1) by hand.
    assert {"0 DLT · 73 %", "1 DLT · 24 %", "2–3 DLT · 2.8 %"} <= set(shown)
    assert "3 at 1e5" in shown
    assert "stop, no dose" in shown
    assert inside(ax)
    boxes = sorted(
        (t.get_window_extent() for t in ax.texts if t.get_position()[0] == 2), key=lambda box: box.y0
    )
    assert len(boxes) >= 4
    assert all(below.y1 <= above.y0 + 1 for below, above in pairwise(boxes))


def test_thickness_follows_the_probability_and_grade_2_has_words():
    design = ck.AcceleratedTitration(RULE, grade2_trigger=1)
    ax = plot.dose_paths(ck.dose_paths(design, 1, truth=TRUTH, grade2=[0.3, 0.3, 0.3]))
    widths = [line.get_linewidth() for line in ax.get_lines()]
    # A grade 2 and a DLT both end the titration: one branch.
    shares = [0.9 * 0.7, 0.9 * 0.3 + 0.1]
    assert widths == pytest.approx([0.6 + 5 * share for share in shares])
    assert {"no event\n63 %", "1 grade 2 or 1 DLT\n37 %"} <= {text.get_text() for text in ax.texts}
    plain = plot.dose_paths(ck.dose_paths(design, 1))
    assert {line.get_linewidth() for line in plain.get_lines()} == {1.0}


def test_a_tree_that_cannot_be_read_is_refused():
    with pytest.raises(DataError, match="expected the table"):
        plot.dose_paths(pd.DataFrame({"dose": [1]}))
    with pytest.raises(ConfigError, match="look fewer cohorts ahead"):
        plot.dose_paths(ck.dose_paths(ck.Boin(doses=6, target=0.3), 6))


def test_characteristics_are_the_bars_of_the_table_with_whiskers_where_simulated(rendered):
    designs = {"3+3": RULE, "BOIN": ck.StopAfter(ck.Boin([1e5, 3e5, 1e6], target=0.25), n=12)}
    truths = {"one": TRUTH, "two": [0.3, 0.5, 0.6]}
    exact = ck.compare_designs({"3+3": designs["3+3"]}, truths, overdose=0.33)
    simulated = ck.compare_designs(
        {"BOIN": designs["BOIN"]}, truths, overdose=0.33, exact=False, trials=200, seed=1
    )
    table = pd.concat([exact, simulated], ignore_index=True)
    axes = plot.characteristics(table)
    assert axes.shape == (2, 3)
    heights = [patch.get_height() for patch in axes[0, 0].patches if patch.get_width() < 0.5]
    own = table[table["scenario"] == "one"]
    assert sorted(heights) == pytest.approx(sorted(own["p_select"]))
    whiskers = sum(len(c.get_segments()) for c in axes[0, 0].collections)
    assert whiskers == int((own["p_select_se"] > 0).sum())
    assert any("45 %" in label.get_text() for label in axes[0, 0].get_xticklabels())
    assert inside(axes[0, 0])
    assert rendered(axes)
    se = simulated.drop_duplicates("scenario").set_index("scenario")
    p = se["p_overdose"]
    assert se["p_overdose_se"].to_numpy() == pytest.approx(np.sqrt(p * (1 - p) / 200))
    with pytest.raises(DataError, match="has no scenario"):
        plot.characteristics(exact.drop(columns="scenario"))


def test_power_shows_the_shares_and_intervals_of_the_trials(rendered):
    found = ck.simulate_trials(ck.load_trial("nct05783089"), trials=6, seed=1, workers=1)
    axes = plot.trial_power(found)
    shares = [patch.get_width() for patch in axes[0, 0].patches]
    assert shares == pytest.approx(found.power["value"].head(3).tolist())
    assert (
        f"median {found.trials['cmax_ratio'].median():.2f}"
        in axes[1, 1].get_legend().get_texts()[0].get_text()
    )
    # The plan's own slope, 0.3: the true medians of Cmax lie on it.
    assert "truth 0.30" in [text.get_text() for text in axes[0, 1].get_legend().get_texts()]
    assert inside(axes[0, 0])
    assert rendered(axes)
