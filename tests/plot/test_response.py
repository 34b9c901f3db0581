from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from carkinetics.errors import ConfigError
from carkinetics.exposure import nca
from carkinetics.exposure.posterior import exposure_from
from carkinetics.model import load_model, simulate
from carkinetics.plot import dose_exposure, exposure_response
from carkinetics.plot.response import wilson
from carkinetics.response.dose import dose_exposure as relate_dose
from carkinetics.response.grade import fit_grade

# Wilson's interval (acceptance case E1).
WILSON = {
    (6, 20): (0.145477, 0.518973),
    (3, 10): (0.107791, 0.603222),
    (0, 12): (0, 0.242494),
    (12, 12): (0.757506, 1),
}


@pytest.fixture(scope="module")
def data():
    model = load_model("stein2019")
    design = {"times": (1, 3, 7, 10, 14, 21, 28, 60), "lloq": 50, "doses": (1e5, 5e5, 2e6)}
    made = simulate(model, design, n=30, seed=3, on_log_dose={"cmax": 0.8})
    grade = np.where(made.subjects["true_cmax"].rank() + np.tile([0, 14, -14], 10) > 18, 3, 1)
    return replace(made, subjects=made.subjects.assign(crs_grade=grade))


@pytest.fixture(scope="module")
def exposure(data):
    return nca(data, metrics=["cmax", "auc_0_28"])


@pytest.fixture(scope="module")
def grade(data, exposure):
    return fit_grade(exposure, data, outcome="crs_grade >= 3", on="log(cmax)")


@pytest.mark.parametrize(("counts", "interval"), WILSON.items())
def test_wilson_interval(counts, interval):
    assert wilson(*counts) == pytest.approx(interval, abs=1e-6)


def test_dose_axes_have_units_and_the_title_the_verdict(data, exposure, rendered):
    result = relate_dose(exposure, data, "auc_0_28")
    ax = Figure().subplots()
    assert dose_exposure(result, ax=ax) is ax
    assert ax.get_xlabel() == "Dose (cells/kg)"
    assert ax.get_ylabel() == "AUC day 0–28 (copies × day/µg DNA)"
    slope = result.table.set_index("quantity").loc["slope", "value"]
    assert f"slope {slope:.2f} (90% CI" in ax.get_title(loc="left")
    assert f"n = {result.n}" in ax.get_title(loc="left")
    assert rendered(ax)


def test_all_analysed_subjects_are_points_and_the_line_is_the_power_model(data, exposure):
    result = relate_dose(exposure, data, "cmax")
    ax = dose_exposure(result)
    (points,) = [line for line in ax.get_lines() if line.get_marker() == "o"]
    np.testing.assert_allclose(points.get_ydata(), result.observed["value"])
    (line,) = [line for line in ax.get_lines() if line.get_label() == "power model"]
    table = result.table.set_index("quantity")["value"]
    expected = np.exp(table["intercept"]) * line.get_xdata() ** table["slope"]
    np.testing.assert_allclose(line.get_ydata(), expected, rtol=1e-9)


def test_band_of_point_values_is_the_interval_of_the_regression_mean(data, exposure):
    reference = 4e5
    result = relate_dose(exposure, data, "cmax", reference=reference)
    ax = dose_exposure(result)
    (band,) = [c for c in ax.collections if c.get_label() == "90% CI band"]
    vertices = band.get_paths()[0].vertices
    known = result.table.set_index("quantity").loc["exposure_at_reference", ["lower", "upper"]]
    for side, part in zip(known, np.array_split(vertices[1:-1], 2), strict=True):
        order = np.argsort(part[:, 0])
        at = np.interp(np.log(reference), np.log(part[order, 0]), np.log(part[order, 1]))
        assert np.exp(at) == pytest.approx(float(side), rel=1e-3)


def test_wedge_has_the_slopes_of_the_equivalence_region(data, exposure):
    result = relate_dose(exposure, data, "cmax")
    ax = dose_exposure(result)
    (wedge,) = [c for c in ax.collections if c.get_label().startswith("proportional")]
    x, y = np.log(wedge.get_paths()[0].vertices.T)
    left, right = x == x.min(), x == x.max()
    spans = [
        float(np.ptp(y[side])) / abs(float(x[side][0]) - np.log(result.observed["dose"]).mean())
        for side in (left, right)
    ]
    region = result.table.set_index("quantity").loc["equivalence_region"]
    assert spans == pytest.approx([region["upper"] - region["lower"]] * 2)


def test_groups_have_lines_points_and_wedges_of_their_own(data, exposure, rendered):
    product = np.resize(["A", "B"], len(data.subjects))
    some = replace(data, subjects=data.subjects.assign(product=product))
    result = relate_dose(exposure, some, "cmax", by="product")
    ax = dose_exposure(result)
    assert ax.get_title(loc="left").startswith("common slope")
    for name, block in result.observed.groupby("group"):
        row = result.groups.set_index("group").loc[name]
        (line,) = [one for one in ax.get_lines() if str(one.get_label()).startswith(f"{name} (n = 15)")]
        assert f"{row['slope']:.2f} ({row['lower']:.2f} to {row['upper']:.2f})" in line.get_label()
        slope = np.polyfit(np.log(line.get_xdata()), np.log(line.get_ydata()), 1)[0]
        assert slope == pytest.approx(
            row["slope"], abs=0.03
        )  # medians of lines are not quite the median line
        (points,) = [
            one for one in ax.get_lines() if one.get_marker() == "o" and one.get_color() == line.get_color()
        ]
        np.testing.assert_allclose(points.get_ydata(), block["value"])
    assert sum(str(c.get_label()).startswith("proportional") for c in ax.collections) == 1
    assert rendered(ax)


def test_two_assays_share_the_axes_with_both_units(data, exposure, rendered):
    other = exposure.table.assign(
        unit="cells*day/uL",
        value=exposure.table["value"] / np.resize([30, 50, 90, 60, 20], len(exposure.table)),
    )
    both = {"qpcr": exposure, "flow": replace(exposure, table=other)}
    result = relate_dose(both, data, "auc_0_28")
    ax = dose_exposure(result)
    assert ax.get_ylabel() == "AUC day 0–28 (copies × day/µg DNA, cells × day/µL)"
    assert rendered(ax)
    with pytest.raises(ConfigError, match="leave exposure out"):
        dose_exposure(result, exposure=exposure)


def test_exposure_with_draws_has_interval_bars_and_credible_band(around, data, rendered):
    fit = around(load_model("stein2019"), data, on_log_dose={"cmax": 0.8}, noise=0.1)
    drawn = exposure_from(fit, metrics=["cmax"])
    result = relate_dose(drawn, data, "cmax")
    ax = dose_exposure(result, exposure=drawn)
    assert len([c for c in ax.collections if len(c.get_paths()) == result.n]) == 1
    assert "90% CrI" in ax.get_title(loc="left")
    assert rendered(ax)


def test_curve_subjects_and_proportions_of_the_exposure_response(grade, rendered):
    ax = Figure().subplots()
    assert exposure_response(grade, ax=ax) is ax
    assert ax.get_xlabel() == "Cmax (copies/µg DNA)"
    assert ax.get_ylabel() == "Subjects with crs_grade >= 3"
    called = replace(grade, settings=grade.settings | {"label": "CRS of grade 3 or more"})
    assert exposure_response(called).get_ylabel() == "Subjects with CRS of grade 3 or more"
    (curve,) = [line for line in ax.get_lines() if line.get_label() == "logistic model"]
    np.testing.assert_allclose(curve.get_ydata(), grade.curve["median"])
    ticks = [
        line.get_xydata()
        for line in ax.get_lines()
        if line.get_marker() == "|" and line.get_markersize() == 8
    ]
    assert [len(part) for part in ticks] == [grade.n - grade.events, grade.events]
    counts = [text.get_text().split("/") for text in ax.texts]
    assert sum(int(events) for events, _ in counts) == grade.events
    assert [int(n) for _, n in counts] == [8, 8, 7, 7]
    assert rendered(ax)


def test_exposure_by_dose_lies_under_the_curve_on_the_same_axis(data, grade, rendered):
    ax = exposure_response(grade, dose=data.first_dose())
    lower = ax.figure.axes[1]
    assert lower.get_xlim() == ax.get_xlim()
    assert [label.get_text() for label in lower.get_yticklabels()] == [
        "$10^{5}$",
        r"$5{\times}10^{5}$",
        r"$2{\times}10^{6}$",
    ]
    assert (lower.get_xlabel(), lower.get_ylabel()) == ("Cmax (copies/µg DNA)", "Dose")
    named = exposure_response(grade, dose=data.first_dose(), dose_label="Dose (cells/kg)")
    assert named.figure.axes[1].get_ylabel() == "Dose (cells/kg)"
    drawn = sum(len(line.get_xdata()) for line in lower.get_lines() if line.get_marker() == "o")
    assert drawn == grade.n
    assert rendered(ax)
    dose = grade.observed["subject"].map(data.first_dose())
    counted = grade.observed.groupby(dose)["outcome"].agg(["sum", "size"])
    texts = [text.get_text() for text in lower.texts]
    assert [text for text in texts if text != "events/n"] == [f"{k}/{n}" for k, n in counted.to_numpy()]
    boxes = [patch.get_path().get_extents() for patch in lower.patches]
    for box, (_, block) in zip(boxes, grade.observed.groupby(dose), strict=True):
        quartiles = np.quantile(block["exposure"], [0.25, 0.75])
        assert [box.x0, box.x1] == pytest.approx(quartiles)
    with pytest.raises(ConfigError, match="second Axes"):
        exposure_response(grade, dose=data.first_dose(), ax=ax)
    with pytest.raises(ConfigError, match="no dose for subject S001"):
        exposure_response(grade, dose={"S002": 1.0})


def test_dotted_borders_part_the_subjects_into_the_groups_that_are_counted(data, grade):
    ax = exposure_response(grade, dose=data.first_dose())
    upper, lower = (
        sorted(float(line.get_xdata()[0]) for line in panel.get_lines() if line.get_linestyle() == "--"
               and len(set(line.get_xdata())) == 1) for panel in ax.figure.axes
    )  # fmt: skip
    assert upper == lower
    sizes = np.histogram(grade.observed["exposure"], [0, *upper, np.inf])[0]
    assert sizes.tolist() == [8, 8, 7, 7]


def test_a_dose_of_few_subjects_has_no_box(data, grade):
    one = dict.fromkeys(data.subject_ids, 1.0) | dict.fromkeys(data.subject_ids[:4], 2.0)
    assert len(exposure_response(grade, dose=one).figure.axes[1].patches) == 1


def test_few_subjects_and_a_metric_on_its_own_scale(data, exposure, rendered):
    few = data.select(subjects=data.subject_ids[:5])
    result = fit_grade(exposure, few, outcome="crs_grade >= 3", on="cmax")
    ax = exposure_response(result)
    assert len(ax.texts) == 2
    assert rendered(ax)
