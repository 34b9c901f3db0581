"""A run folder that is as it was, and every way in which it can be otherwise."""

import json
import shutil

import pytest

from carkinetics.batch import run_study, verify_run
from carkinetics.batch.log import RunLog, broken_lines, system_user
from carkinetics.errors import ConfigError


@pytest.fixture(scope="module")
def made(tmp_path_factory, request):
    """A run of a small study without a fit; tests damage copies of it."""
    folder = tmp_path_factory.mktemp("verify")
    (folder / "data.csv").write_text(
        "ID,TIME,DV,AMT,EVID\n1,0,.,1e6,1\n1,7,900,.,0\n1,14,2400,.,0\n1,28,<50,.,0\n2,0,.,1e6,1\n2,7,400,.,0\n2,14,80,.,0\n3,7,900,.,0\n"
    )
    (folder / "study.toml").write_text(
        'seed = 7\noutput = "run"\n[data]\npath = "data.csv"\nvalue_unit = "copies/ug"\nlloq = 50\n[nca]\nmetrics = ["cmax"]\n'
    )
    run_study(folder / "study.toml")
    return folder


@pytest.fixture
def trial_folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "copy")


def statuses(table):
    return {row.what: row.status for row in table.itertuples() if row.status != "same"}


def test_a_run_that_nobody_touched_is_intact(trial_folder):
    found = verify_run(trial_folder / "run")
    assert found.attrs["intact"]
    assert statuses(found) == {}
    assert {"output", "input", "log", "manifest", "version"} <= set(found["kind"])
    assert {"study file", "data ../data.csv", "nca.csv", "report.html"} <= set(found["what"])
    assert "not compliance with 21 CFR Part 11" in found.attrs["notice"]


def test_what_is_changed_missing_or_added_is_named(trial_folder):
    run = trial_folder / "run"
    (run / "nca.csv").write_text((run / "nca.csv").read_text().replace("2400", "2500"))
    (run / "report.html").unlink()
    (run / "notes.txt").write_text("mine")
    (trial_folder / "data.csv").write_text("ID,TIME\n")
    found = verify_run(run)
    assert statuses(found) == {
        "nca.csv": "changed", "report.html": "missing", "data ../data.csv": "changed", "notes.txt": "not of this run",
    }  # fmt: skip
    assert not found.attrs["intact"]
    assert found.attrs["verdict"].startswith("NOT as it was made: ")


def test_inputs_that_are_elsewhere_now_are_said_not_to_be_compared(trial_folder, tmp_path):
    moved = shutil.move(trial_folder / "run", tmp_path / "far" / "away" / "run")
    found = verify_run(moved)
    assert found.attrs["intact"]
    assert "2 inputs were not found and not compared" in found.attrs["verdict"]


def test_a_manifest_that_was_made_to_fit_a_changed_file_shows_in_the_log(trial_folder):
    from carkinetics.batch.folder import sha256_of

    run = trial_folder / "run"
    (run / "nca.csv").write_text("subject,metric,value\n")
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["steps"]["nca"]["files"]["nca.csv"] = sha256_of(run / "nca.csv")
    (run / "manifest.json").write_text(json.dumps(manifest))
    assert statuses(verify_run(run)) == {"manifest.json": "changed"}


def test_a_log_that_was_cut_off_at_its_end_shows_by_the_hash_that_is_gone(trial_folder):
    """Without its last line it is a log in order, and nothing would tell what the manifest was."""
    log = trial_folder / "run" / "log.txt"
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:-1]))
    assert broken_lines(log) == []
    found = verify_run(trial_folder / "run")
    assert statuses(found) == {"log.txt, end": "missing"}
    assert not found.attrs["intact"]


def test_a_second_run_that_was_interrupted_is_unfinished_and_not_changed(trial_folder, monkeypatch):
    from carkinetics.batch import run

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(run._Run, "take", stop)
    with pytest.raises(KeyboardInterrupt):
        run_study(trial_folder / "study.toml")
    found = verify_run(trial_folder / "run")
    assert found.attrs["intact"], statuses(found)
    assert found.attrs["verdict"].endswith("the run did not finish")


def test_another_version_is_told_and_is_no_change_of_the_run(trial_folder):
    run = trial_folder / "run"
    text = (run / "manifest.json").read_text().replace('"numpy": "', '"numpy": "0.')
    (run / "manifest.json").write_text(text)
    found = verify_run(run)
    assert statuses(found) == {"manifest.json": "changed", "numpy": "another version"}
    assert "then, " in found.set_index("what").loc["numpy", "detail"]


def test_the_log_says_who_when_versions_hashes_and_warnings(trial_folder):
    log = (trial_folder / "run" / "log.txt").read_text()
    first = log.splitlines()[0].split("\t")
    assert first[1] == system_user()
    assert first[3] == "started: study.toml, seed 7"
    assert "versions: carkinetics " in log
    assert "study file at ../study.toml, SHA-256 " in log
    assert "nca.csv " in log
    assert "warning" in log


@pytest.mark.parametrize("edit", ["change", "cut", "insert", "swap"])
def test_an_edited_log_shows(tmp_path, edit):
    log = RunLog(tmp_path / "log.txt")
    for number in range(5):
        log.add("run", f"line {number}\nof the log")
    assert broken_lines(log.path) == []
    lines = log.path.read_text().splitlines()
    assert len(lines) == 5
    match edit:
        case "change":
            lines[2] = lines[2].replace("line 2", "line 7")
        case "cut":
            del lines[2]
        case "insert":
            lines.insert(2, lines[1])
        case "swap":
            lines[2], lines[3] = lines[3], lines[2]
    log.path.write_text("\n".join(lines) + "\n")
    assert 3 in broken_lines(log.path)


def test_what_is_no_run_folder_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"no run folder: it has no manifest\.json"):
        verify_run(tmp_path)
    (tmp_path / "manifest.json").write_text('{"steps": 3}')
    with pytest.raises(ConfigError, match="damaged"):
        verify_run(tmp_path)
    for text in (
        "[]",
        "{}",
        '{"steps": {"a": {"files": {"b": 1}}}}',
        '{"steps": {"a": {}}}',
        '{"steps": {}, "versions": 1}',
    ):
        (tmp_path / "manifest.json").write_text(text)
        with pytest.raises(ConfigError, match=r"manifest\.json is damaged \(.* (expected|has no)"):
            verify_run(tmp_path)


def test_a_log_that_is_no_text_is_changed(trial_folder):
    (trial_folder / "run" / "log.txt").write_bytes(b"\xff\xfe\x00")
    found = verify_run(trial_folder / "run")
    assert found.set_index("what").loc["log.txt", "detail"] == "it is not UTF-8 text"
    assert not found.attrs["intact"]
