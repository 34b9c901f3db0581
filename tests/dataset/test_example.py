from importlib import import_module
from pathlib import Path

import pytest

from carkinetics.dataset import example
from carkinetics.errors import ConfigError

# The function has the name of its module, which the package therefore shows only by import.
module = import_module("carkinetics.dataset.example")

SETTINGS = """
path = "pk.csv"
subjects = "subjects.csv"
time_unit = "hour"
value_unit = { qpcr = "copies/ug" }
lloq = { qpcr = 50 }
assay_names = { 1 = "qpcr" }
event_columns = { tocilizumab = "TOCI_HOUR" }
[about]
title = "Two subjects"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    small = tmp_path / "small"
    small.mkdir()
    (small / "pk.csv").write_text("ID,TIME,DV,DVID\n1,168,900,1\n2,336,BLQ,1\n")
    (small / "subjects.csv").write_text("ID,SEX,TOCI_HOUR\n1,F,48\n2,M,\n")
    (small / "dataset.toml").write_text(SETTINGS)
    monkeypatch.setattr(module, "shipped_folder", lambda name: {"data": tmp_path}[name])
    return small


def test_an_example_is_read_as_its_settings_say(folder: Path) -> None:
    data = example("small")
    assert data.observations[["subject", "assay", "time", "upper"]].to_numpy().tolist() == [
        ["1", "qpcr", 7.0, 900.0], ["2", "qpcr", 14.0, 50.0],
    ]  # fmt: skip
    assert data.subjects["sex"].tolist() == ["F", "M"]
    assert data.events["time"].tolist() == [2.0]
    assert data.source == "example small: pk.csv"


def test_an_example_may_have_several_files(folder: Path) -> None:
    (folder / "dataset.toml").write_text(SETTINGS.replace('"pk.csv"', '["pk.csv", "more.csv"]'))
    (folder / "more.csv").write_text("ID,TIME,DV,DVID\n3,168,80,1\n")
    assert example("small").subject_ids == ["1", "2", "3"]


def test_an_unknown_example_lists_the_shipped_ones(folder: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"no example 'smal'; did you mean 'small'\? The shipped examples are small"
    ):
        example("smal")


def test_an_installation_without_examples_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "shipped_folder", lambda name: tmp_path / "absent")
    with pytest.raises(ConfigError, match="No examples are shipped"):
        example("trial")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (SETTINGS.replace("lloq", "llqo"), "'llqo' is not a setting; did you mean 'lloq'"),
        (SETTINGS.replace("path", "# path"), "'path' is missing"),
        ("path = ", "cannot be read"),
    ],
)
def test_settings_that_make_no_sense_are_refused(folder: Path, settings: str, message: str) -> None:
    (folder / "dataset.toml").write_text(settings)
    with pytest.raises(ConfigError, match=message):
        example("small")
