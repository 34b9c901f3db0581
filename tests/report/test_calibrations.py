"""Calibration in the report: what was run for this analysis, and what comes with the package."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import carkinetics as ck
from carkinetics.report.calibrations import calibration_section, shipped_calibration
from carkinetics.report.parts import Parts, sort_parts


def texts(section):
    return " ".join(block.text for block in section.blocks if block.kind == "text")


def test_the_family_of_the_fitted_model_is_quoted_with_its_numbers(good_fit):
    section = calibration_section(sort_parts([good_fit], None))
    found = shipped_calibration("stein2019")
    share = 100 * found.loc[found["quantity"] != "log_likelihood", "cover_90"].mean()
    assert f"with {found['subjects'].iloc[0]} patients" in texts(section)
    assert f"held {share:.0f} % of the true values" in texts(section)


def test_a_model_without_calibration_is_told_how_to_get_one(good_fit):
    mine = replace(good_fit, model=replace(good_fit.model, name="mine"))
    section = calibration_section(sort_parts([mine], None))
    assert "No calibration of mine comes with this version" in texts(section)


def test_another_model_of_the_same_name_has_no_calibration(good_fit):
    mine = replace(good_fit.model, text=good_fit.model.text + "\n# mine\n")
    section = calibration_section(sort_parts([replace(good_fit, model=mine)], None))
    assert "No calibration of stein2019 comes with this version" in texts(section)


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("blq", "M1", "the treatment of BLQ values (M1)"),
        ("random", ["cmax"], "which parameters differ between patients"),
        ("correlated", ["cmax", "tmax"], "correlated random effects"),
    ],
)
def test_an_analysis_that_was_not_what_was_calibrated_is_said_to_differ(good_fit, setting, value, words):
    """90 % intervals of M3 say nothing of those of M1."""
    other = replace(good_fit, settings=good_fit.settings | {setting: value})
    parts = Parts(fits=((other, pd.DataFrame()),), data=other.data)
    assert words in texts(calibration_section(parts))
    same = Parts(fits=((good_fit, pd.DataFrame()),), data=good_fit.data)
    assert words not in texts(calibration_section(same))


def test_fixed_parameters_are_said_to_differ(good_fit):
    model = good_fit.model.fix(fb=0.01, beta=0.003)
    random = [name for name in good_fit.settings["random"] if name not in ("fb", "beta")]
    other = replace(good_fit, model=model, settings=good_fit.settings | {"random": random})
    found = texts(calibration_section(Parts(fits=((other, pd.DataFrame()),), data=other.data)))
    assert "differs from it in fixing fb, beta, having 8 patients;" in found


@pytest.mark.parametrize("name", ["effector_memory_tumour", "stein2019"])
def test_the_shipped_table_covers_what_it_says_within_chance(name):
    found = shipped_calibration(name)
    assert len(found) > 10
    # 95 % intervals of the coverage: of 25 quantities, 6 or more miss 90 % in fewer than 1 of 100 right calibrations.
    assert ((found["low_90"] > 0.9) | (found["high_90"] < 0.9)).sum() < 6


def test_a_calibration_is_a_part_and_a_bad_one_is_said_to_be_bad():
    about = {
        "replicate": np.arange(50),
        "status": "done",
        "message": "",
        "ess": 200,
        "rhat": 1.0,
        "blq": 0.1,
        "seconds": 1.0,
    }
    bad = ck.Calibration(
        pd.DataFrame(about | {"cmax_typical": np.zeros(50, int)}), {"model": "m", "subjects": 9}
    )
    section = calibration_section(sort_parts([bad], None))
    assert section.blocks[0].tone == "bad"
    assert "NOT calibrated: ranks of cmax_typical are not uniform" in texts(section)
    assert [block.kind for block in section.blocks] == ["text", "picture", "table"]
