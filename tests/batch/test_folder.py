import json

import pytest

from carkinetics.batch.folder import RunFolder, key_of
from carkinetics.errors import ConfigError

INPUTS = {"data": "abc", "seed": 1}


def make(folder: RunFolder, text: str = "1", inputs=INPUTS) -> None:
    with folder.making("nca", inputs) as draft:
        draft.path("tables/nca.csv").write_text(text, encoding="utf-8")
        draft.note["n"] = 3


def interrupted(folder: RunFolder) -> None:
    with folder.making("nca", {"seed": 2}) as draft:
        draft.path("tables/nca.csv").write_text("half", encoding="utf-8")
        raise KeyboardInterrupt


def test_a_finished_step_is_kept_by_a_later_run(tmp_path):
    make(RunFolder(tmp_path))
    again = RunFolder(tmp_path)
    assert again.is_done("nca", INPUTS)
    assert again.note("nca") == {"n": 3}
    assert (tmp_path / "tables/nca.csv").read_text(encoding="utf-8") == "1"


def test_other_inputs_make_a_step_due(tmp_path):
    make(RunFolder(tmp_path))
    assert not RunFolder(tmp_path).is_done("nca", INPUTS | {"seed": 2})


@pytest.mark.parametrize("damage", ["change", "delete"])
def test_a_damaged_file_makes_its_step_due(tmp_path, damage):
    make(RunFolder(tmp_path))
    file = tmp_path / "tables/nca.csv"
    file.write_text("2", encoding="utf-8") if damage == "change" else file.unlink()
    assert not RunFolder(tmp_path).is_done("nca", INPUTS)


def test_a_step_that_stops_leaves_the_earlier_files_and_a_line_in_the_log(tmp_path):
    folder = RunFolder(tmp_path)
    make(folder)
    with pytest.raises(KeyboardInterrupt):
        interrupted(folder)
    assert (tmp_path / "tables/nca.csv").read_text(encoding="utf-8") == "1"
    assert RunFolder(tmp_path).is_done("nca", INPUTS)
    assert "nca\tstopped: KeyboardInterrupt" in (tmp_path / "log.txt").read_text(encoding="utf-8")
    assert not list(tmp_path.glob(".draft-*"))


def test_files_that_a_step_no_longer_writes_are_removed(tmp_path):
    folder = RunFolder(tmp_path)
    with folder.making("dose", INPUTS) as draft:
        draft.path("old.csv").write_text("1", encoding="utf-8")
    with folder.making("dose", {"seed": 2}) as draft:
        draft.path("new.csv").write_text("1", encoding="utf-8")
    assert sorted(path.name for path in tmp_path.glob("*.csv")) == ["new.csv"]


def test_drafts_of_a_killed_run_are_cleared(tmp_path):
    (tmp_path / ".draft-x").mkdir()
    (tmp_path / ".draft-x" / "half.nc").write_text("x", encoding="utf-8")
    RunFolder(tmp_path)
    assert not list(tmp_path.glob(".draft-*"))


def test_the_log_only_grows(tmp_path):
    folder = RunFolder(tmp_path)
    folder.log("a", "one\ntwo")
    before = (tmp_path / "log.txt").read_bytes()
    RunFolder(tmp_path).log("b", "three")
    after = (tmp_path / "log.txt").read_bytes()
    assert after.startswith(before)
    assert [line.split("\t")[2:4] for line in after.decode().splitlines()] == [
        ["a", "one two"],
        ["b", "three"],
    ]


def test_facts_stand_before_the_steps_in_the_manifest(tmp_path):
    folder = RunFolder(tmp_path)
    make(folder)
    folder.describe(seed=1)
    assert list(json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))) == ["seed", "steps"]


def test_a_damaged_manifest_and_a_file_in_the_way_are_named(tmp_path):
    (tmp_path / "manifest.json").write_text("{", encoding="utf-8")
    with pytest.raises(ConfigError, match="is damaged"):
        RunFolder(tmp_path)
    with pytest.raises(ConfigError, match="is a file; expected a folder"):
        RunFolder(tmp_path / "manifest.json")


def test_the_order_of_inputs_does_not_matter_and_their_values_do():
    assert key_of({"a": 1, "b": [1, 2]}) == key_of({"b": [1, 2], "a": 1})
    assert key_of({"a": 1}) != key_of({"a": 2})
