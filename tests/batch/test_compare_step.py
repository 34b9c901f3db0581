"""[report] compare: what the step writes, and that the report reads the same ranking from it."""

import numpy as np
import pandas as pd
import pytest

from carkinetics.batch import run_study, steps
from carkinetics.batch.config import read_study
from carkinetics.batch.folder import Draft
from carkinetics.batch.run import list_steps
from carkinetics.batch.study import Study
from carkinetics.diagnostics.ranking import rank

TWO = """
[fit.base]
model = "stein2019"
random = ["tmax", "cmax", "alpha"]
draws = 60
tune = 120
chains = 2

[fit.few]
model = "stein2019"
random = ["cmax"]
draws = 60
tune = 120
chains = 2
"""


@pytest.fixture
def two_fits(study):
    text = study.read_text(encoding="utf-8") + 'compare = ["base", "few"]\n' + TWO
    study.write_text(text, encoding="utf-8")
    return study


def test_the_step_comes_after_the_fits_that_it_needs(two_fits):
    found = list_steps(Study(read_study(two_fits), 1, two_fits.parent / "run"))
    (step,) = [one for one in found if one.name == "compare"]
    assert step.needs == ("fit.base", "fit.few")
    assert [one.name for one in found].index("compare") > [one.name for one in found].index("fit.few")


def test_the_report_reads_the_ranking_that_the_step_wrote(two_fits, monkeypatch):
    rng = np.random.default_rng(1)
    index = pd.Index(["007", "NA", "x"], name="subject")
    each = {
        name: pd.DataFrame(
            {
                "elpd": rng.normal(size=3),
                "k": rng.uniform(size=3),
                "n_obs": 3,
                "how": "psis",
                "elpd_waic": np.nan,
            },
            index=index,
        )
        for name in ("base", "few")
    }
    made, pages = rank(each), []
    monkeypatch.setattr(steps, "compare", lambda fits, **_: made)
    monkeypatch.setattr(
        steps,
        "write_comparison",
        lambda path, fits, **told: pages.append((path.name, [*fits], told["title"])),
    )
    config = read_study(two_fits)
    folder = two_fits.parent / "run"
    draft = Draft(folder)
    study = Study(config, 1, folder)
    study._results = {"fit.base": object(), "fit.few": object()}  # only handed on
    steps.WRITERS["compare"](study, "", draft)
    assert pages == [("compare.html", ["base", "few"], "A small trial: fits compared")]
    assert draft.note["best"] == made.index[0]
    assert pd.read_csv(folder / "compare.csv")["fit"].tolist() == made.index.tolist()
    again = Study(config, 1, folder)["compare"]
    pd.testing.assert_frame_equal(again, made, check_names=False)
    pd.testing.assert_frame_equal(again.attrs["subjects"], made.attrs["subjects"])


@pytest.mark.slow
def test_a_study_with_two_fits_ranks_them_in_the_report_and_on_a_page(two_fits):
    result = run_study(two_fits)
    found = dict(zip(result.steps["step"], result.steps["status"], strict=True))
    assert found["compare"] == found["report"] == "made"
    assert {"compare.csv", "compare-subjects.csv", "compare.html"} <= {
        file.name for file in result.folder.iterdir()
    }
    report = result.report.read_text(encoding="utf-8")
    assert "Which model predicts a subject that it has not seen?" in report
    assert "and not ranked" not in report
    page = (result.folder / "compare.html").read_text(encoding="utf-8")
    assert "do not use the numbers of" in page
    assert set(run_study(two_fits).steps["status"]) == {"kept"}


def test_a_comparison_that_is_refused_is_a_finding_and_the_report_is_there(two_fits, monkeypatch):
    from carkinetics.batch import run
    from carkinetics.errors import ConfigError

    def refuse(*_):
        raise ConfigError("compare: the residual errors are on different scales")

    def nothing(*_):
        return None

    stand_ins = dict.fromkeys(("individual", "fit", "diagnose"), nothing) | {"compare": refuse}
    for kind, writer in stand_ins.items():
        monkeypatch.setitem(steps.WRITERS, kind, writer)
    monkeypatch.setattr(run, "_IN_REPORT", ("nca",))
    monkeypatch.setattr(run._Run, "verdict", lambda self: (None, "not looked at"))
    result = run_study(two_fits)
    row = result.failures.set_index("where").loc["compare"]
    assert row["message"] == "compare: the residual errors are on different scales"
    assert "on different scales" in result.report.read_text(encoding="utf-8")
