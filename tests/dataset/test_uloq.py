"""Values above the upper limit of quantification: read, checked, counted, analysed, fitted and drawn."""

import numpy as np
import pandas as pd
import pytest

from carkinetics.dataset import blq_table, check, read_nonmem
from carkinetics.dataset.table import load_dataset
from carkinetics.errors import DataError

FRAME = pd.DataFrame(
    {
        "ID": ["1"] * 6,
        "TIME": [0.0, 7.0, 10.0, 14.0, 21.0, 28.0],
        "DV": ["0", "900", ">10000", "25000", "AQL", "<50"],
    }
)


def read(frame=FRAME, **settings):
    return read_nonmem(frame, value_unit="copies/ug", lloq=50, **settings)


def test_cells_and_values_above_the_limit_keep_their_row_and_say_so():
    table = read(uloq=20000).observations
    assert table["status"].tolist() == [
        "predose", "quantified", "above_uloq", "above_uloq", "above_uloq", "below_lloq",
    ]  # fmt: skip
    above = table[table["status"] == "above_uloq"]
    assert above["value"].isna().all()
    assert above["lower"].tolist() == [10000, 20000, 20000]  # the limit in the cell goes before the assay's
    assert np.isinf(above["upper"]).all()


def test_without_a_limit_a_number_is_a_number_and_a_word_is_excluded():
    data = read()
    assert data.observations["value"].tolist()[3] == 25000
    assert data.excluded["rule"].tolist() == ["right-censored"]
    assert "give uloq=" in data.excluded["reason"].iloc[0]
    assert "uloq" not in data.assays


def test_cens_minus_one_is_monolixs():
    frame = FRAME.assign(DV=[0, 900, 8000, 25000, 700, 50], CENS=[0, 0, -1, 0, 0, 1])
    table = read(frame).observations
    assert table["status"].tolist()[2:] == ["above_uloq", "quantified", "quantified", "below_lloq"]
    assert table["lower"].tolist()[2] == 8000


def test_limits_may_be_given_by_assay_and_on_the_row(tmp_path):
    frame = pd.DataFrame({"ID": [1] * 4, "TIME": [7, 7, 14, 14], "DVID": ["a", "b"] * 2, "DV": [900, 900, 90, 90],
                          "ULOQ": [None, None, 80, None]})  # fmt: skip
    data = read_nonmem(frame, value_unit={"a": "copies/ug", "b": "cells/uL"}, uloq={"b": 500})
    status = data.observations.set_index(["assay", "time"])["status"]
    assert status["a", 7] == "quantified"
    assert status["a", 14] == status["b", 7] == "above_uloq"
    assert data.assays.set_index("assay")["uloq"].to_dict() == {"a": 80, "b": 500}
    assert load_dataset(data.save(tmp_path / "data")).sha256 == data.sha256
    with pytest.raises(DataError, match="uloq of assay 'b' is -5"):
        read_nonmem(frame, value_unit={"a": "copies/ug", "b": "cells/uL"}, uloq={"b": -5})


def test_a_value_above_is_a_sample_and_not_blq():
    assert blq_table(read(uloq=20000))[["n", "n_blq"]].sum().tolist() == [5, 1]


def test_check_says_how_many_and_what_becomes_of_them():
    found = check(read(uloq=20000)).set_index("rule")
    assert "3 values in 1 subjects are above the upper limit" in found.loc["above-uloq", "message"]
    assert "from 10000 copies/ug" in found.loc["above-uloq", "message"]
