"""Pages that compare fits and list runs, in a real browser: nothing is asked for, nothing is cut off, links lead where they say."""

import json
import shutil
import time
from pathlib import Path
from urllib.parse import unquote, urlparse

import pandas as pd
import pytest

from carkinetics.batch import run_study, write_index
from carkinetics.diagnostics.ranking import rank
from carkinetics.report import write_comparison

pytestmark = pytest.mark.slow

PHONE, DESKTOP = 390, 1280
STUDY = """
output = "runs/a run"
[data]
path = "data.csv"
value_unit = "copies/ug"
lloq = 50
[nca]
metrics = ["cmax"]
"""


@pytest.fixture(scope="module")
def comparison(good_fit, bad_fit, tmp_path_factory) -> Path:
    index = pd.Index(good_fit.data.subject_ids, name="subject")
    each = {
        name: pd.DataFrame({"elpd": -2.0 - behind, "k": 0.1, "n_obs": 10, "how": "psis"}, index=index)
        for name, behind in (("base", 0.0), ("wide", 1.0), ("third", 2.0), ("fourth", 3.0))
    }
    fits = {"base": good_fit, "wide": bad_fit, "third": good_fit, "fourth": good_fit}
    path = tmp_path_factory.mktemp("pages") / "compare.html"
    return write_comparison(path, fits, ranking=rank(each))


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    (folder / "data.csv").write_text(
        "ID,TIME,DV,AMT,EVID\n1,0,.,1e6,1\n1,7,900,.,0\n2,0,.,1e6,1\n2,7,400,.,0\n2,14,80,.,0\n"
    )
    (folder / "study.toml").write_text(STUDY)
    made = run_study(folder / "study.toml").folder
    shutil.copytree(made, made.parent / "edited")
    (made.parent / "edited" / "nca.csv").write_text("mine")
    shutil.copytree(made, made.parent / "broken")
    (made.parent / "broken" / "manifest.json").write_text("{")
    return write_index(folder / "runs")


@pytest.fixture(params=["comparison", "index"])
def page(request) -> Path:
    return request.getfixturevalue(request.param)


def shown(browser, page: Path, width: int) -> None:
    size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width == PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    for kind in ("performance", "browser"):
        browser.get_log(kind)
    browser.get(page.as_uri())
    # A click on what still scrolls misses it.
    browser.execute_script("document.documentElement.style.scrollBehavior = 'auto'")


def test_nothing_goes_wrong_and_nothing_is_asked_for(browser, page):
    shown(browser, page, DESKTOP)
    assert [line["message"] for line in browser.get_log("browser")] == []
    messages = [json.loads(line["message"])["message"] for line in browser.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert asked[0] == page.as_uri()
    assert all(url.startswith("data:") for url in asked[1:])


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_the_page_never_scrolls_sideways_and_every_picture_is_drawn(browser, page, width):
    shown(browser, page, width)
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    content, window = browser.execute_script(
        "return [document.documentElement.scrollWidth, window.innerWidth]"
    )
    assert window == width
    assert content <= window
    assert all(browser.execute_script("return Array.from(document.images).map(i => i.naturalWidth > 100)"))


def test_tables_sort_and_what_did_not_converge_is_red(browser, comparison):
    shown(browser, comparison, DESKTOP)
    red = "rgb(164, 14, 38)"
    colours = browser.execute_script(
        "return [...document.querySelector('#parameters tbody tr:not(.block)').cells].map(c => getComputedStyle(c).color === arguments[0])",
        red,
    )
    assert colours == [False, False, True, False, False]
    browser.find_element("css selector", "#convergence th:nth-child(2) button").click()
    first = browser.execute_script(
        "return document.querySelector('#convergence tbody tr').cells[1].textContent"
    )
    assert first == "no"


def test_a_run_leads_to_its_report_and_a_saved_table_has_the_address(browser, index, downloads):
    shown(browser, index, DESKTOP)
    browser.find_element("css selector", "#runs button.save").click()
    deadline = time.monotonic() + 20
    while not (saved := [*downloads.glob("table-1-what-was-run*.csv")]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert "(a%20run/report.html)" in saved[0].read_text(encoding="utf-8-sig")
    next(a for a in browser.find_elements("css selector", "#runs tbody a") if "a run" in a.text).click()
    assert unquote(urlparse(browser.current_url).path) == str(index.parent / "a run" / "report.html")
    assert browser.find_elements("css selector", "#verdict")
