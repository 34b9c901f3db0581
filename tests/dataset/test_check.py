"""One test per data rule; each builds the smallest table with that fault."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from carkinetics.dataset import check, read_nonmem
from carkinetics.dataset.check import RULES
from carkinetics.dataset.check_design import cramers_v

GOOD_DAYS = [0, 1.1, 3.9, 7.2, 10.4, 14.1, 20.8, 28.3, 61.0, 120.5]
GOOD_LEVELS = [None, 60, 700, 9000, 24000, 15000, 5200, 1900, 300, 110]


def good_trial(n: int = 8) -> pd.DataFrame:
    """A trial in which nothing is wrong."""
    frames = [
        pd.DataFrame(
            {"ID": f"S{i}", "TIME": GOOD_DAYS, "DV": [v and v * (1 + i / 7) for v in GOOD_LEVELS],
             "AMT": [3e5 if i % 2 else 1e6] + [None] * 9, "AGE": 50 + i}
        )
        for i in range(n)
    ]  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def test_a_good_trial_has_no_findings() -> None:
    table = check(read_nonmem(good_trial(), value_unit="copies/ug", lloq=50))
    assert table.empty
    assert list(table) == ["severity", "rule", "where", "message"]


def test_three_faults_give_three_findings_at_once() -> None:
    frame = good_trial()
    frame.loc[3, "DV"], frame.loc[14, "TIME"], frame.loc[25, "DV"] = -5, np.nan, np.inf
    table = check(read_nonmem(frame, value_unit="copies/ug", lloq=50))
    assert table["rule"].tolist() == ["value-not-negative", "time-given", "value-is-number"]
    assert table["where"].tolist() == ["subject S0, row 5", "subject S1, row 16", "subject S2, row 27"]
    assert set(table["severity"]) == {"error"}


def test_rules_are_named_in_the_style_of_the_field() -> None:
    assert len(RULES) == len(set(RULES))
    assert all(rule.__name__.startswith("check_") and rule.__doc__ for rule in RULES)


def test_excluded_rows_are_grouped_by_reason_with_their_rows(subject_frame, read_frames, found) -> None:
    data = read_frames(subject_frame(), subject_frame("2", DV=[None, "bad", "worse", 900]))
    row = found(data, "value-is-number").iloc[0]
    assert row["where"] == "subject 2, rows 7-8"
    assert "2 rows left out" in row["message"]
    assert "'bad', 'worse'" in row["message"]


@pytest.mark.parametrize(
    ("columns", "rule", "severity", "where"),
    [
        ({"DV": [None, 900, ">ULOQ", 5]}, "right-censored", "warning", "row 4"),
        ({"DV": [None, 900, "<50", 1200], "CENS": [0, 0, -1, 0]}, "right-censored", "warning", "row 4"),
        ({"DV": [None, 900, ">1e6", 5]}, "above-uloq", "warning", "row 4"),
        ({"DV": [None, 900, None, 5]}, "value-missing", "warning", "row 4"),
        ({"AMT": [0, None, None, None]}, "dose-positive", "error", "row 2"),
        ({"AMT": [None] * 4}, "dose-amount", "error", "row 2"),
        ({"AMT": [1e6, None, 1e6, None]}, "evid-amt", "error", "row 4"),
        ({"EVID": [1, 0, 9, 0]}, "evid-known", "error", "row 4"),
        ({"EVID": [1, 0, 2, 0]}, "event-named", "warning", "row 4"),
        ({"MDV": [1, 0, 1, 0]}, "evid-mdv", "warning", "row 4"),
        ({"MDV": [0, 0, 0, 0]}, "evid-mdv", "warning", "row 2"),
        ({"DV": [12, 900, 2400, 120]}, "evid-mdv", "warning", "row 2"),
        ({"ADDL": [2, None, None, None]}, "dose-additional", "error", "row 2"),
        ({"CMT": [1, 2, 3, 2]}, "one-assay", "warning", "column CMT"),
        ({"TIME": [3, 10, 17, 31]}, "time-shifted", "note", "subject 101"),
    ],
)
def test_each_fault_of_a_row_is_found(
    subject_frame, read_frames, found, columns, rule, severity, where
) -> None:
    table = found(read_frames(subject_frame(**columns)), rule)
    assert table["severity"].tolist() == [severity]
    assert table["where"][0].endswith(where)


def test_rows_out_of_order_are_sorted_and_reported(subject_frame, read_frames, found) -> None:
    data = read_frames(subject_frame(TIME=[0, 14, 7, 28]), subject_frame("2"))
    assert data.observations["time"].tolist()[:3] == [7.0, 14.0, 28.0]
    table = found(data, "time-increases")
    assert table["where"].tolist() == ["subject 101, row 4"]
    assert "time 7 d comes after a later time" in table["message"][0]


def test_two_values_at_one_time_are_found(subject_frame, read_frames, found) -> None:
    table = found(
        read_frames(subject_frame(TIME=[0, 7, 7, 28], DV=[None, 900, "<50", 60])), "time-duplicated"
    )
    assert table["where"].tolist() == ["subject 101, rows 3-4"]
    assert "900" in table["message"][0]


def test_one_time_may_hold_two_assays(read_frames, found) -> None:
    frame = pd.DataFrame({"ID": [1, 1], "TIME": [7, 7], "DV": [900, 3], "DVID": ["qpcr", "flow"]})
    data = read_frames(frame, value_unit={"qpcr": "copies/ug", "flow": "cells/uL"}, lloq=None)
    assert found(data, "time-duplicated").empty


def test_a_quantified_value_before_the_infusion_is_an_error(subject_frame, read_frames, found) -> None:
    data = read_frames(subject_frame(TIME=[0, -7, 7, 28]))
    assert found(data, "time-negative")["where"].tolist() == ["subject 101, row 3"]
    assert found(
        read_frames(subject_frame(TIME=[0, -7, 7, 28], DV=[None, 0, 900, 60])), "time-negative"
    ).empty


def test_a_quantified_value_at_time_zero_is_doubted(subject_frame, read_frames, found) -> None:
    table = found(read_frames(subject_frame(TIME=[0, 0, 7, 28])), "predose-quantified")
    assert table[["severity", "where"]].to_numpy().tolist() == [["warning", "subject 101, row 3"]]


def test_hours_read_as_days_are_suspected(subject_frame, read_frames, found) -> None:
    frame = subject_frame(TIME=[0, 168, 2160, 8760])
    assert "8760 d (24 years)" in found(read_frames(frame), "time-unit")["message"][0]
    assert found(read_frames(frame, time_unit="hour"), "time-unit").empty


def test_a_missing_dose_is_found(subject_frame, read_frames, found) -> None:
    undosed = pd.DataFrame({"ID": ["2"], "TIME": [7], "DV": [900]})
    assert found(read_frames(subject_frame(), undosed), "dose-missing")["where"].tolist() == ["subject 2"]
    assert found(read_frames(undosed), "dose-missing")["where"].tolist() == ["all subjects"]


def test_several_infusions_are_noted(subject_frame, read_frames, found) -> None:
    table = found(read_frames(subject_frame(AMT=[1e6, None, None, 1e6], EVID=[1, 0, 0, 1])), "dose-several")
    assert table[["severity", "where"]].to_numpy().tolist() == [["note", "subject 101, rows 2, 5"]]


@pytest.mark.parametrize(
    ("amount", "unit", "doubted"),
    [
        (1e6, "cells/kg", False),
        (5e9, "cells/kg", True),
        (2.0, "cells/kg", True),
        (7e7, "cells", False),
        (1e4, "cells", True),
    ],
)
def test_doses_of_an_unlikely_size_are_doubted(
    subject_frame, read_frames, found, amount, unit, doubted
) -> None:
    data = read_frames(subject_frame(AMT=[amount, None, None, None]), dose_unit=unit)
    assert len(found(data, "dose-plausible")) == doubted


def test_doses_in_two_units_are_an_error(subject_frame, read_frames, found) -> None:
    frames = [
        subject_frame(s, UNIT=[u, None, None, None])
        for s, u in (("1", "cells"), ("2", "cells/kg"), ("3", None))
    ]
    table = found(read_frames(*frames), "dose-unit")
    assert table[["severity", "where"]].to_numpy().tolist() == [["error", "row 2"]]


def test_a_body_weight_in_grams_is_doubted(subject_frame, read_frames, found) -> None:
    data = read_frames(subject_frame("1", WT=[64000] * 4), subject_frame("2", WT=[64] * 4))
    assert found(data, "weight-plausible")["where"].tolist() == ["subject 1"]


def test_comedication_before_the_infusion_is_doubted_but_lymphodepletion_is_not(read_frames, found) -> None:
    frame = pd.DataFrame({"ID": [1] * 3, "TIME": [-2, -5, 7], "DV": [None, None, 900], "EVID": [2, 2, 0],
                          "EVENT": ["tocilizumab", "Lymphodepletion", None]})  # fmt: skip
    assert found(read_frames(frame), "event-before-infusion")["where"].tolist() == ["subject 1, row 2"]


def test_subjects_who_never_rise_are_kept_and_noted(subject_frame, read_frames, found) -> None:
    data = read_frames(subject_frame("1"), subject_frame("2", DV=[None, "BLQ", "<50", 0]))
    table = found(data, "subject-all-blq")
    assert table[["severity", "where"]].to_numpy().tolist() == [["note", "subject 2, rows 7-9"]]
    assert (data.observations["subject"] == "2").sum() == 3


def test_a_single_sample_and_no_sample_are_noted(subject_frame, read_frames, found) -> None:
    single = pd.DataFrame({"ID": ["2", "2"], "TIME": [-1, 7], "DV": [0, 900]})
    data = read_frames(subject_frame("1"), single, subjects=pd.DataFrame({"ID": ["3"], "SEX": ["F"]}))
    assert found(data, "subject-single-sample")["where"].tolist() == ["subject 2, row 7"]
    assert found(data, "subject-without-samples")["where"].tolist() == ["subject 3"]


def test_identifiers_that_look_alike_are_doubted(subject_frame, read_frames, found) -> None:
    data = read_frames(*[subject_frame(s) for s in ("101-004", "0101-004", "101004", "101-005", "a1", "A1")])
    assert found(data, "subject-similar")["where"].tolist() == [
        "subject 0101-004, 101-004, 101004",
        "subject A1, a1",
    ]


def test_one_identifier_in_two_files_is_doubted(subject_frame, found) -> None:
    data = read_nonmem(
        [subject_frame("1"), subject_frame("1", TIME=[40, 47, 54, 68])], value_unit="copies/ug"
    )
    table = found(data, "subject-in-two-files")
    assert table[["severity", "where"]].to_numpy().tolist() == [["warning", "subject 1"]]
    assert found(data, "dose-several")["where"].tolist() == ["subject 1, table (1) row 2; table (2) row 2"]


def test_few_subjects_are_noted(subject_frame, read_frames, found) -> None:
    assert len(found(read_frames(*[subject_frame(str(i)) for i in range(5)]), "subjects-few")) == 1
    assert found(read_frames(*[subject_frame(str(i)) for i in range(6)]), "subjects-few").empty


def test_missing_covariates_are_named_and_varying_ones_too(subject_frame, read_frames, found) -> None:
    frames = [subject_frame(s, AGE=[a] * 4) for s, a in (("1", 50), ("2", None), ("3", 60))]
    data = read_frames(*frames)
    assert found(data, "covariate-missing")["where"].tolist() == ["subject 2"]
    frames[2]["AGE"] = [60, 60, 61, 61]
    assert found(read_frames(*frames), "covariate-constant")["where"].tolist() == ["subject 3, row 10"]


def test_columns_that_are_not_read_are_noted(subject_frame, read_frames, found) -> None:
    table = found(read_frames(subject_frame(VISIT=["D0", "D7", "D14", "D28"])), "column-ignored")
    assert table[["severity", "where"]].to_numpy().tolist() == [["note", "columns VISIT"]]


def test_blq_without_a_limit_is_an_error_with_its_remedy(subject_frame, read_frames, found) -> None:
    frame = subject_frame(DV=[None, 0, 900, "BLQ"])
    table = found(read_frames(frame, lloq=None), "lloq-given")
    assert table[["severity", "where"]].to_numpy().tolist() == [["error", "assay car, rows 3, 5"]]
    assert "lod={'car': ...} or lloq={'car': ...} in copies/ug" in table["message"][0]
    assert found(read_frames(frame), "lloq-given").empty


def test_a_quantified_value_below_its_lloq_is_an_error(subject_frame, read_frames, found) -> None:
    data = read_frames(subject_frame())
    wrong = replace(data, observations=data.observations.assign(lloq=[50.0, 5e4, 50.0]))
    assert found(wrong, "lloq-respected")["where"].tolist() == ["subject 101, row 4"]


def test_limits_in_the_wrong_order_are_errors(subject_frame, read_frames, found) -> None:
    table = found(read_frames(subject_frame(), lod=60), "limits-ordered")
    assert "LOD 60 is above LLOQ 50" in table["message"][0]
    turned = subject_frame(CENS=[0, 1, 0, 0], LIMIT=[None, 1000, None, None])
    assert found(read_frames(turned), "limits-ordered")["where"].tolist() == ["subject 101, row 3"]


def test_blq_rows_with_another_limit_are_noted(subject_frame, read_frames, found) -> None:
    table = found(read_frames(subject_frame(DV=[None, "<250", 900, "<50"])), "limit-differs")
    assert table[["severity", "where"]].to_numpy().tolist() == [["note", "assay car, row 3"]]


def test_the_share_of_blq_is_noted(subject_frame, read_frames, found) -> None:
    assert "1 of 3 samples after the infusion are BLQ (33.3 %)" in found(
        read_frames(subject_frame(DV=[None, "<50", 900, 800])), "blq-share"
    )["message"][0]  # fmt: skip


def test_a_number_put_in_place_of_blq_is_suspected(subject_frame, read_frames, found) -> None:
    frames = [subject_frame(s, DV=[None, 25, 900, last]) for s, last in (("1", 25), ("2", 25), ("3", 70))]
    table = found(read_frames(*frames, lloq=None), "limit-substituted")
    assert table["where"].tolist() == ["assay car, rows 3, 5, 7, 9, 11"]
    assert "exactly 25" in table["message"][0]
    assert found(read_frames(frames[0], lloq=None), "limit-substituted").empty


@pytest.mark.parametrize(("level", "severity"), [(1.5e5, None), (1.6e5, "note"), (1.1e6, "warning")])
def test_levels_above_the_dna_of_the_sample_are_found(
    subject_frame, read_frames, found, level, severity
) -> None:
    # One microgram is 1.5e5 diploid genomes; 1e6 copies/µg need a vector copy number of 6.6.
    table = found(read_frames(subject_frame(DV=[None, 900, level, 700])), "value-ceiling")
    assert table["severity"].tolist() == ([severity] if severity else [])


def test_a_percentage_above_100_is_an_error(subject_frame, read_frames, found) -> None:
    data = read_frames(subject_frame(DV=[None, 100, 100.5, 12]), value_unit="%", lloq=0.1)
    assert found(data, "percent-range")["where"].tolist() == ["subject 101, row 4"]


def test_a_peak_on_the_day_of_infusion_is_suspected(subject_frame, read_frames, found) -> None:
    early = subject_frame(TIME=[0, 0.1, 14, 28], DV=[None, 30000, 24000, 1200])
    assert found(read_frames(early), "carry-over-peak")["where"].tolist() == ["subject 101, row 3"]
    assert found(read_frames(subject_frame(TIME=[0, 0.1, 14, 28])), "carry-over-peak").empty


RATIO = pd.DataFrame(
    {"ID": [1] * 5, "TIME": [3, 7, 10, 14, 28], "UG": [100, 9000, 24000, 5000, 700],
     "CELL": [100 * 3.3e-3, 9000 * 3.3e-3 * 1.15, 24000 * 3.3e-3, 5000 * 6.6e-3, 700 * 3.3e-3]}
)  # fmt: skip
RATIO_UNITS = {"ug": "copies/ug", "cell": "copies/1000 cells"}


def test_two_unit_columns_that_part_company_are_found(found) -> None:
    data = read_nonmem(RATIO, columns={"DV": {"ug": "UG", "cell": "CELL"}}, value_unit=RATIO_UNITS)
    assert found(data, "ratio-breaks")["where"].tolist() == ["subject 1, row 5"]
    # 3.3e-3 copies per 1000 cells for each copy/µg is a genome of 3.3 pg, the haploid one.
    assert "3.3 pg DNA per cell" in found(data, "genome-mass")["message"][0]


def test_assays_in_other_units_have_no_fixed_ratio(found) -> None:
    units = {"ug": "copies/ug", "cell": "cells/uL"}
    data = read_nonmem(RATIO, columns={"DV": {"ug": "UG", "cell": "CELL"}}, value_unit=units)
    assert found(data, "ratio-breaks").empty
    assert found(data, "genome-mass").empty


def test_a_digitised_curve_is_too_smooth(rng, found) -> None:
    time = np.arange(0.5, 30, 1.0)
    curve = 1e4 * np.exp(-0.1 * time)
    smooth = pd.DataFrame({"ID": 1, "TIME": time, "DV": curve})
    rough = smooth.assign(DV=curve * np.exp(0.2 * rng.standard_normal(len(time))))
    assert len(found(read_nonmem(smooth, value_unit="copies/ug"), "values-smooth")) == 1
    assert found(read_nonmem(rough, value_unit="copies/ug"), "values-smooth").empty


def test_planned_days_are_suspected(subject_frame, read_frames, found) -> None:
    frames = [subject_frame(str(i)) for i in range(4)]
    assert len(found(read_frames(*frames), "days-nominal")) == 1
    frames[0]["TIME"] = [0, 8, 14, 28]
    assert found(read_frames(*frames), "days-nominal").empty


def test_a_first_sample_near_the_peak_is_noted(subject_frame, read_frames, found) -> None:
    table = found(read_frames(subject_frame("1"), subject_frame("2")), "late-first-sample")
    assert "in 2 of 2 subjects fewer than two quantified samples stand before the peak" in table["message"][0]
    rising = subject_frame(DV=[None, 100, 900, 12000])
    assert found(read_frames(rising), "late-first-sample").empty


def test_weekly_sampling_is_noted(subject_frame, read_frames, found) -> None:
    assert len(found(read_frames(subject_frame()), "sampling-sparse")) == 1
    assert found(read_frames(subject_frame(TIME=[0, 3, 6, 10])), "sampling-sparse").empty


def test_a_short_follow_up_is_noted(subject_frame, read_frames, found) -> None:
    table = found(read_frames(subject_frame()), "follow-up-short")
    assert "day 28: no information on persistence" in table["message"][0]
    assert found(read_frames(subject_frame(TIME=[0, 7, 28, 90])), "follow-up-short").empty


def test_dose_levels_that_go_with_another_property_are_found(subject_frame, read_frames, found) -> None:
    def trial(process: list[str]) -> list[pd.DataFrame]:
        return [
            subject_frame(
                f"S{i}", AMT=[1e6 if i < 6 else 3e6, None, None, None], PROCESS=[p] * 4, AGE=[50 + i] * 4
            )
            for i, p in enumerate(process)
        ]

    table = found(read_frames(*trial(["old"] * 6 + ["new"] * 6)), "covariate-confounded")
    assert table[["severity", "where"]].to_numpy().tolist() == [["warning", "dose_level, process"]]
    assert found(read_frames(*trial(["old", "new"] * 6)), "covariate-confounded").empty


def test_cramers_v_is_corrected_for_chance(rng) -> None:
    # Dose level and manufacturing of a published trial, 33 + 24 + 2 patients: uncorrected V is 0.56.
    assert cramers_v(np.array([[6, 27], [17, 7], [2, 0]])) == pytest.approx(0.534, abs=1e-3)
    chance = [cramers_v(rng.multinomial(30, np.full(8, 1 / 8)).reshape(4, 2) + 1) for _ in range(300)]
    assert np.median(chance) < 0.1


def test_a_dataset_that_was_not_read_from_a_file_can_be_checked(subject_frame, read_frames) -> None:
    data = read_frames(subject_frame(DV=[None, "<50", 900, 900]))
    plain = replace(
        data,
        observations=data.observations.drop(columns=["file", "reported"]),
        doses=data.doses.drop(columns=["file", "cells", "cells_per_kg"]),
    )
    pd.testing.assert_frame_equal(check(plain), check(data))


def test_rules_about_cells_leave_markers_alone(read_frames) -> None:
    marker = good_trial()[["ID", "TIME", "DV"]].assign(DVID="sld", DV=120, TIME=lambda t: t["TIME"] - 7)
    marker.loc[0, "DV"] = 150
    frame = pd.concat([good_trial().assign(DVID="qpcr"), marker], ignore_index=True).sort_values(
        ["ID", "TIME"]
    )
    data = read_frames(frame, value_unit={"qpcr": "copies/ug", "sld": "mm"}, lloq={"qpcr": 50})
    assert check(data).empty


def test_a_time_of_absurd_size_is_said_in_few_words(subject_frame, read_frames, found) -> None:
    message = found(read_frames(subject_frame(TIME=[0, 7, 14, 1e300])), "time-unit")["message"][0]
    assert "(2.74e+297 years)" in message


def test_a_body_weight_with_its_unit_in_the_cell_is_said(subject_frame, read_frames, found) -> None:
    data = read_frames(subject_frame(WT=["70 kg"] * 4), subject_frame("102", WT=[64] * 4))
    table = found(data, "weight-plausible")
    assert table["where"].tolist() == ["subject 101"]
    assert "wt is '70 kg'; expected a number of kg" in table["message"][0]


def test_limits_that_are_no_limits_are_errors_and_the_usual_one_holds(
    subject_frame, read_frames, found
) -> None:
    frame = subject_frame(
        DV=[None, "BLQ", 24000, 60],
        LLOQ=["abc", "50 copies", "-5", "30"],
        LIMIT=["x", "", "", "-3"],
        CENS=[0, 0, 0, 1],
    )
    data = read_frames(frame)
    table = found(data, "limit-is-number")
    assert table["severity"].tolist() == ["error"] * 3
    assert [message.split(";")[0] for message in table["message"]] == [
        "LLOQ is '50 copies'", "LLOQ is '-5'", "LIMIT is '-3'",
    ]  # fmt: skip
    assert table["where"].tolist() == ["column LLOQ, row 3", "column LLOQ, row 4", "column LIMIT, row 5"]
    assert data.observations["upper"].tolist() == [50, 24000, 60]
    assert data.observations["lower"].tolist() == [0, 24000, 0]


def test_a_marker_may_have_a_negative_lower_limit(found) -> None:
    frame = pd.DataFrame({"ID": [1], "TIME": [7], "DV": [-1], "CENS": [1], "LIMIT": [-3], "LLOQ": [-1]})
    assert found(read_nonmem(frame, value_unit="mm"), "limit-is-number")["message"].str[:12].tolist() == [
        "LLOQ is '-1'"
    ]


@pytest.mark.parametrize("cens", ["yes", "Y", "BLQ"])
def test_a_censoring_flag_in_words_is_not_taken_for_a_measured_value(
    subject_frame, read_frames, found, cens
) -> None:
    data = read_frames(subject_frame(CENS=["", 0, 0, cens]))
    assert data.observations["time"].tolist() == [7, 14]
    (message,) = found(data, "cens-known")["message"]
    assert f"expected CENS 0 (quantified), 1 (below LLOQ) or -1 (above ULOQ); found 'CENS {cens}'" in message
