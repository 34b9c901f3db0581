import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carkinetics.dataset import read_nonmem
from carkinetics.dataset.cell import read_cell
from carkinetics.dataset.limits import read_level, refusal
from carkinetics.errors import DataError, UnitError

NAN = float("nan")


def level(text: str, *, time=7.0, lloq=50.0, lod=NAN, cens=NAN, limit=NAN):
    cell = read_cell(text)
    assert refusal(cell, cens) is None
    return read_level(cell, time, lloq=lloq, lod=lod, cens=cens, limit=limit)


@pytest.mark.parametrize(
    ("text", "lod", "status", "lower", "upper"),
    [
        ("50", 10, "quantified", 50, 50),
        ("49.9", 10, "below_lloq", 10, 50),
        ("49.9", NAN, "below_lloq", 0, 50),
        ("BLQ", 10, "below_lloq", 10, 50),
        ("BLQ", NAN, "below_lloq", 0, 50),
        ("<50", 10, "below_lloq", 10, 50),
        ("<250", 10, "below_lloq", 10, 250),
        ("<10", 10, "not_detected", 0, 10),
        ("0", 10, "not_detected", 0, 10),
        ("0", NAN, "not_detected", 0, 50),
        ("ND", 10, "not_detected", 0, 10),
        ("<LOD", NAN, "not_detected", 0, 50),
        ("4", 10, "not_detected", 0, 10),
        ("BLQ", 50, "below_lloq", 0, 50),
    ],
)  # fmt: skip
def test_each_way_to_be_below_the_limit_has_its_interval(text, lod, status, lower, upper) -> None:
    reading = level(text, lod=lod)
    assert (reading.status, reading.lower, reading.upper) == (status, lower, upper)
    assert np.isnan(reading.value) == (status != "quantified")


@pytest.mark.parametrize("text", ["0", "BLQ", "<50", "12", "ND"])
@pytest.mark.parametrize("time", [-3.0, 0.0])
def test_what_is_not_quantified_before_the_infusion_is_a_structural_zero(text: str, time: float) -> None:
    reading = level(text, time=time, lod=10)
    assert (reading.status, reading.lower, reading.upper) == ("predose", 0, 0)


def test_cens_1_takes_the_value_as_upper_and_limit_as_lower_end() -> None:
    # Monolix documentation, "Describing censored data": DV is the limit, LIMIT the other end of the interval.
    reading = level("200", cens=1, limit=25)
    assert (reading.status, reading.lower, reading.upper, reading.lloq) == ("below_lloq", 25, 200, 200)
    assert level("200", cens=1, lod=10).lower == 10
    assert level("200", cens=1).lower == 0
    assert level(".", cens=1).upper == 50


def test_without_any_limit_the_upper_end_is_unknown() -> None:
    assert np.isnan(level("BLQ", lloq=NAN).upper)
    assert np.isnan(level("0", lloq=NAN).upper)


@given(
    value=st.floats(0, 1e7), lloq=st.floats(1e-3, 1e4), share=st.floats(0.01, 1.0), time=st.floats(0.01, 400)
)
def test_the_interval_holds_the_number_the_laboratory_wrote(value, lloq, share, time) -> None:
    reading = level(repr(value), time=time, lloq=lloq, lod=share * lloq)
    assert reading.lower <= value <= reading.upper
    assert (reading.status == "quantified") == (value >= lloq)


@pytest.mark.parametrize(
    ("text", "cens", "rule"),
    [
        (">ULOQ", NAN, "right-censored"), ("", -1, "right-censored"), ("<50", -1, "right-censored"),
        (">1e6", 1, "right-censored"), (">0", NAN, "value-is-number"), ("900", 2, "value-is-number"),
        ("", NAN, "value-missing"), ("inf", NAN, "value-is-number"), ("high", NAN, "value-is-number"),
        ("<0", NAN, "value-is-number"), ("-5", NAN, "value-not-negative"),
    ],
)  # fmt: skip
def test_what_cannot_be_an_observation_is_refused_with_a_rule(text: str, cens: float, rule: str) -> None:
    refused = refusal(read_cell(text), cens)
    assert refused is not None
    assert refused[0] == rule


TWO_ASSAYS = pd.DataFrame({"ID": [1, 1, 1], "TIME": [7, 7, 14], "DVID": [1, 2, 2], "DV": [900, 3.5, "BLQ"]})
NAMES = {1: "qpcr", 2: "flow"}
UNITS = {"qpcr": "copies/µg", "flow": "cells/µL"}


def test_each_assay_has_its_own_unit_and_limits() -> None:
    data = read_nonmem(TWO_ASSAYS, assay_names=NAMES, value_unit=UNITS, lloq={"qpcr": 50, 2: 0.1})
    assert data.assays.set_index("assay")[["unit", "lloq"]].to_dict("index") == {
        "flow": {"unit": "cells/uL", "lloq": 0.1},
        "qpcr": {"unit": "copies/ug", "lloq": 50.0},
    }
    assert data.observations["upper"].tolist() == [3.5, 900.0, 0.1]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"value_unit": "copies/ug"}, DataError, "several assays .flow, qpcr.; give one for each"),
        ({"value_unit": UNITS, "lloq": 50}, DataError, "lloq=50 was given for several assays"),
        ({"value_unit": {**UNITS, "flwo": "%"}}, DataError, "no assay 'flwo' in the data; did you mean 'flow'"),
        ({"value_unit": {"qpcr": "copies/ug"}}, DataError, "assay 'flow' has no unit"),
        ({"value_unit": UNITS, "lod": {"flow": 0}}, DataError, "lod of assay 'flow' is 0; expected a number above 0"),
        ({"value_unit": UNITS, "lloq": {"flow": "0.1"}}, DataError, "lloq of assay 'flow' is '0.1'"),
    ],
)  # fmt: skip
def test_units_and_limits_that_do_not_fit_the_assays_are_refused(arguments, error, message) -> None:
    with pytest.raises(error, match=message):
        read_nonmem(TWO_ASSAYS, assay_names=NAMES, **arguments)


def test_two_units_in_one_assay_name_their_rows() -> None:
    frame = pd.DataFrame({"ID": [1] * 4, "TIME": [1, 2, 3, 4], "DV": [1] * 4,
                          "UNIT": ["copies/ug", "copies/µg", "cells/uL", "cells/µL"]})  # fmt: skip
    with pytest.raises(UnitError, match=r"2 units: copies/ug in rows 2-3; cells/uL in rows 4-5"):
        read_nonmem(frame)


def test_a_unit_that_contradicts_the_table_is_refused() -> None:
    frame = pd.DataFrame({"ID": [1], "TIME": [1], "DV": [1], "UNIT": ["cells/uL"]})
    with pytest.raises(UnitError, match="is copies/ug, but the UNIT column says cells/uL in row 2"):
        read_nonmem(frame, value_unit="copies/ug")


def test_a_table_without_any_unit_is_refused() -> None:
    with pytest.raises(DataError, match="assay 'car' has no unit"):
        read_nonmem(pd.DataFrame({"ID": [1], "TIME": [1], "DV": [1]}))


def test_limits_on_the_row_go_before_the_arguments() -> None:
    frame = pd.DataFrame({"ID": [1] * 3, "TIME": [1, 2, 3], "DV": ["BLQ", "BLQ", 60],
                          "LLOQ": [200, None, 200], "LOD": [80, None, None]})  # fmt: skip
    rows = read_nonmem(frame, value_unit="copies/ug", lloq=50, lod=10).observations
    assert rows[["status", "lower", "upper"]].to_numpy().tolist() == [
        ["below_lloq", 80.0, 200.0], ["below_lloq", 10.0, 50.0], ["below_lloq", 10.0, 200.0],
    ]  # fmt: skip


def test_the_usual_limit_of_an_assay_is_the_commonest_of_its_rows() -> None:
    frame = pd.DataFrame({"ID": [1] * 4, "TIME": [1, 2, 3, 4], "DV": [900] * 4, "LLOQ": [50, 50, 200, None]})
    assert read_nonmem(frame, value_unit="copies/ug").assays["lloq"].tolist() == [50.0]


MARKERS = pd.DataFrame({"ID": [1] * 5, "TIME": [-1, -1, -7, 60, 60], "DVID": ["il6", "qpcr", "sld", "sld", "change"],
                        "DV": ["<2", "<50", 64, 0, -100]})  # fmt: skip
MARKER_UNITS = {"il6": "pg/mL", "qpcr": "copies/ug", "sld": "mm", "change": "%"}


def test_a_marker_is_not_zero_before_the_infusion() -> None:
    data = read_nonmem(MARKERS, value_unit=MARKER_UNITS)
    status = data.observations.set_index(["assay", "time"])["status"].to_dict()
    assert status == {
        ("sld", -7.0): "quantified", ("il6", -1.0): "below_lloq", ("qpcr", -1.0): "predose", ("sld", 60.0): "quantified",
    }  # fmt: skip
    assert data.assays.set_index("assay")["kind"].to_dict() == {
        "change": "car", "il6": "marker", "qpcr": "car", "sld": "marker",
    }  # fmt: skip
    assert data.excluded["rule"].tolist() == [
        "value-not-negative"
    ]  # % counts CAR-T cells unless told otherwise


def test_markers_can_be_named() -> None:
    data = read_nonmem(MARKERS, value_unit=MARKER_UNITS, markers=["il6", "sld", "change"])
    assert data.excluded.empty
    assert data.observations.set_index("assay").loc["change", "value"] == -100
    with pytest.raises(DataError, match="markers: no assay 'il8' in the data; did you mean 'il6'"):
        read_nonmem(MARKERS, value_unit=MARKER_UNITS, markers=["il8"])


def test_a_marker_with_a_limit_is_censored_like_any_assay() -> None:
    assert refusal(read_cell("-3"), NAN, "marker") is None
    reading = read_level(read_cell("0"), -1.0, lloq=2.0, lod=NAN, cens=NAN, limit=NAN, kind="marker")
    assert (reading.status, reading.lower, reading.upper) == ("not_detected", 0, 2)
