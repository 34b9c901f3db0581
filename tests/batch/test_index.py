"""Many runs on one page: each with its state, and none that is left out because it is broken."""

import json
import shutil
from html.parser import HTMLParser
from urllib.parse import unquote

import pandas as pd
import pytest

from carkinetics.batch import list_runs, run_study, write_index
from carkinetics.batch.folder import RunFolder
from carkinetics.batch.runs import STATES
from carkinetics.errors import ConfigError

STUDY = """\
seed = 7
output = "run"
[data]
path = "data.csv"
value_unit = "copies/ug"
lloq = 50
[nca]
metrics = ["cmax"]
[report]
title = "Trial <one>"
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("index")
    (folder / "data.csv").write_text(
        "ID,TIME,DV,AMT,EVID\n1,0,.,1e6,1\n1,7,900,.,0\n1,28,<50,.,0\n2,0,.,1e6,1\n2,7,400,.,0\n2,14,80,.,0\n"
    )
    (folder / "study.toml").write_text(STUDY)
    return run_study(folder / "study.toml").folder


def another(run, place, **changes):
    """A run whose manifest says something else, as if it had been so from the beginning."""
    shutil.copytree(run, place)
    manifest = json.loads((place / "manifest.json").read_text()) | changes
    (place / "manifest.json").write_text(json.dumps(manifest))
    log = (place / "log.txt").read_text().splitlines()
    (place / "log.txt").write_text("".join(f"{line}\n" for line in log if "manifest SHA-256" not in line))
    if manifest.get("finished"):
        RunFolder(place).seal()


def diagnosed(run, **note):
    steps = json.loads((run / "manifest.json").read_text())["steps"]
    return steps | {"diagnose.base": {"key": "k", "files": {}, "note": note}}


@pytest.fixture
def runs(made, tmp_path):
    place = tmp_path / "all runs"
    good = {"started": "2026-03-01T10:00:00+00:00", "converged": True, "verdict": "base: converged"}
    model = {"models": {"base": {"name": "stein2019", "sha256": "a"}}}
    another(made, place / "good", **good, **model, steps=diagnosed(made, converged=True, adequate=True))
    another(made, place / "2026" / "doubtful", **good, steps=diagnosed(made, converged=True, adequate=False))
    another(
        made,
        place / "wild",
        converged=False,
        verdict="base: not converged",
        started="2026-05-01T10:00:00+00:00",
    )
    failed = [{"where": "response.crs", "message": "there is no crs_grade"}]
    another(made, place / "failed", failed=failed, started="2026-01-01T10:00:00+00:00")
    another(made, place / "stopped", finished=None, started="2026-02-01T10:00:00+00:00")
    versions = json.loads((made / "manifest.json").read_text())["versions"]
    another(made, place / "plain", started="2026-04-01T10:00:00+00:00", versions=versions | {"numpy": "0.1"})
    another(made, place / "edited", started="2026-01-02T10:00:00+00:00")
    (place / "edited" / "nca.csv").write_text("mine")
    another(made, place / "broken")
    (place / "broken" / "manifest.json").write_text("{")
    shutil.copytree(made, place / ".draft-x")
    return place


def test_every_run_has_the_worst_state_that_can_be_said_of_it(runs):
    found = list_runs(runs).set_index("run")["state"].to_dict()
    assert found == {
        "good": "converged and adequate", "2026/doubtful": "model doubtful", "wild": "not converged", "failed": "with failed steps",
        "stopped": "not finished", "plain": "without a population fit", "edited": "not as it was made", "broken": "unreadable",
    }  # fmt: skip
    assert set(found.values()) == set(STATES)


def test_a_run_is_told_with_its_numbers(runs):
    table = list_runs(runs).set_index("run")
    row = table.loc["good"]
    assert (row["title"], row["seed"], row["models"], row["subjects"]) == (
        "Trial <one>",
        "7",
        "base: stein2019",
        2,
    )
    assert row["reports"] == ("report.html",)
    assert row["intact"]
    assert table.loc["failed", "verdict"].endswith("response.crs failed: there is no crs_grade")
    assert "broken/manifest.json is damaged" in table.loc["broken", "verdict"]
    assert not table.loc[["edited", "broken"], "intact"].any()
    assert table["differs"].to_dict() == dict.fromkeys(table.index, "") | {"plain": "numpy"}


def test_the_newest_is_first_or_the_worst(runs):
    table = list_runs(runs)
    assert table["run"].iloc[0] == "wild"
    started = table["started"].tolist()
    assert started == sorted(started, reverse=True)
    worst = list_runs(runs, worst_first=True)
    assert worst["state"].tolist() == list(STATES)


class Links(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found, self.words = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "a":
            self.found.append(dict(attrs)["href"])

    def handle_data(self, data):
        self.words.append(data)


def test_the_page_leads_to_every_report_that_is_there(runs, tmp_path):
    page = write_index(runs)
    assert page == runs / "index.html"
    text = page.read_text(encoding="utf-8")
    read = Links(text)
    links = [link for link in read.found if not link.startswith("#")]
    assert len(links) == 7
    assert all((runs / unquote(link)).is_file() for link in links)
    assert "2026/doubtful/report.html" in links
    assert "Trial &lt;one&gt;" in text
    assert "Trial <one>" not in text
    assert "0.1 (differs)" in read.words
    assert any(word.startswith("8 runs: 1 unreadable, 1 not as it was made, ") for word in read.words)
    # From elsewhere, the same reports.
    far = Links(write_index(runs, tmp_path / "deep" / "runs.html").read_text(encoding="utf-8")).found
    far = [link for link in far if not link.startswith("#")]
    assert "../all%20runs/good/report.html" in far
    assert all((tmp_path / "deep" / unquote(link)).is_file() for link in far)


def test_a_folder_cannot_be_named_so_that_a_link_runs_something(made, tmp_path):
    another(made, tmp_path / "javascript:alert(1)" / "run")
    links = Links(write_index(tmp_path, interactive=False).read_text(encoding="utf-8")).found
    assert "javascript%3Aalert%281%29/run/report.html" in links


def test_without_runs_there_is_no_page(tmp_path):
    with pytest.raises(ConfigError, match=r"no run was found; expected folders with a manifest\.json"):
        write_index(tmp_path)
    with pytest.raises(ConfigError, match="is no folder"):
        write_index(tmp_path / "nowhere")
    assert not list(tmp_path.iterdir())


def test_one_run_alone_has_nothing_that_differs(made):
    found = list_runs(made)
    assert found["run"].tolist() == ["."]
    assert found.attrs["versions"].empty
    assert isinstance(found.attrs["changed"], pd.DataFrame)
