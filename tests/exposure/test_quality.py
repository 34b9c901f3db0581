import numpy as np
import pytest

from carkinetics.exposure import nca, nca_findings

TIME = [0.0, 1, 3, 7, 10, 14, 21, 30, 60, 90, 180]
LEVEL = [0.0, 120, 850, 9800, 21500, 15200, 5400, 1900, 610, 420, 0]


def rules(data, **settings):
    found = nca_findings(nca(data, **settings))
    return found[found["where"] == "subject s"].set_index("rule")


def test_the_reference_patient_is_flagged_for_its_terminal_phase(make_data):
    # Acceptance B: adjusted R² below 0.85, span 2.18 half-lives, three points.
    found = rules(make_data({"s": (TIME, LEVEL)}))
    assert found["severity"].to_dict() == {
        "terminal-fit": "warning", "terminal-points": "warning", "terminal-span": "note",
    }  # fmt: skip
    assert "0.843" in found.loc["terminal-fit", "message"]
    assert "2.18 half-lives" in found.loc["terminal-span", "message"]


def test_a_long_clean_decline_has_no_warning(make_data):
    days = np.arange(0.0, 71, 7)
    level = np.where(days == 0, 0, 1e6 * np.exp(-0.08 * days) * np.minimum(days / 14, 1))
    found = rules(make_data({"s": (list(days), list(level))}))
    assert found["severity"].to_dict() == {"persistence-censored": "note"}


@pytest.mark.parametrize(
    ("time", "level", "rule"),
    [
        ([0.0, 7, 14, 21], [0.0, 100, 200, 300], "cmax-at-last-sample"),
        ([0.0, 7, 14, 21], [0.0, 300, 200, 100], "cmax-at-first-sample"),
        ([0.0, 0.1, 1, 7, 14], [0.0, 80, 300, 200, 100], "cmax-on-first-day"),
        ([0.0, 3, 7, 14, 21, 28], [0.0, 100, 900, 800, 750, 690], "auc-extrapolated"),
        ([0.0, 3, 7, 14, 21, 28], [0.0, 100, 900, 800, 750, 690], "terminal-span"),
        ([0.0, 7, 14, 21], [0.0, 100, 200, 150], "persistence-censored"),
    ],
)
def test_each_weakness_is_found(make_data, time, level, rule):
    assert rule in rules(make_data({"s": (time, level)})).index


def test_a_persistence_that_ended_is_not_censored(make_data):
    assert "persistence-censored" not in rules(make_data({"s": (TIME, LEVEL)})).index


def test_missing_metrics_rows_left_out_and_repeat_infusions_are_reported(make_data):
    doses = {"s": [(0.0, 1e6), (60.0, 2e6)], "t": [(0.0, 1e6)]}
    data = make_data({"s": (TIME, LEVEL), "t": ([0.0, 7], [0.0, 0])}, doses=doses)
    found = nca_findings(nca(data, metrics=["cmax", "auc_0_28"]))
    messages = dict(zip(found["rule"] + " " + found["where"], found["message"], strict=True))
    assert messages["metric-missing subjects t"].endswith("all values below the LLOQ")
    assert messages["rows-left-out all subjects"].startswith(
        "1 rows are not in the areas: BLQ after the last"
    )
    assert messages["repeat-infusion subject s"].startswith("infused again on day 60")
