"""Exposure of series with values above the upper limit of quantification: they count as the limit, and say so."""

import pandas as pd
import pytest

from carkinetics.dataset import read_nonmem
from carkinetics.exposure import nca
from carkinetics.exposure.quality import nca_findings


@pytest.fixture(scope="module")
def data():
    table = {"1": ["100", ">1000", "100", "<50"], "2": ["100", "400", "100", "<50"]}
    rows = [(s, t, v) for s, values in table.items() for t, v in zip([5, 10, 20, 30], values, strict=True)]
    return read_nonmem(pd.DataFrame(rows, columns=["ID", "TIME", "DV"]), value_unit="copies/ug", lloq=50)


def test_the_limit_counts_and_every_metric_says_so(data):
    found = nca(data, metrics=["cmax", "tmax", "auc_last"], method="linear")
    first, second = (found.table[found.table["subject"] == s].set_index("metric") for s in ("1", "2"))
    assert first.loc["cmax", "value"] == 1000
    assert first.loc["tmax", "value"] == 10
    assert first.loc["auc_last", "value"] == 250 + 2750 + 5500
    assert first["method"].str.endswith("1 above the ULOQ counted as the ULOQ").all()
    assert not second["method"].str.contains("ULOQ").any()


def test_the_findings_warn_of_a_lower_bound(data):
    findings = nca_findings(nca(data))
    row = findings[findings["rule"] == "above-uloq"].iloc[0]
    assert (row["severity"], row["where"]) == ("warning", "subject 1")
    assert "Cmax and areas are at least what is said" in row["message"]
