"""Charts and tables in a real browser: by mouse, by keyboard, in print, and under the page's own policy."""

import csv
import json
import time
from io import StringIO
from pathlib import Path

import pytest

from carkinetics.dataset.table import is_censored
from carkinetics.diagnostics.residuals import misfit
from carkinetics.exposure import exposure_from, nca
from carkinetics.model import load_model, simulate
from carkinetics.report import write_report

pytestmark = pytest.mark.slow

BANNER = "not converged: do not use these numbers"


@pytest.fixture(scope="module")
def page(bad_fit, observed, modelled, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("interactive") / "report.html"
    return write_report(path, bad_fit, observed, modelled, title="To be explored")


@pytest.fixture(scope="module")
def worst(bad_fit) -> str:
    """The subject that the chart of individual fits begins with."""
    return misfit(bad_fit).index[0]


def resize(browser, height: int = 900) -> None:
    size = {"width": 1280, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


@pytest.fixture
def window(browser, page):
    resize(browser)
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(page.as_uri())
    browser.execute_script("document.documentElement.style.scrollBehavior = 'auto'")
    yield browser
    assert [line["message"] for line in browser.get_log("browser")] == []  # the policy refused nothing


def until(browser, script: str, *arguments):
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, 30, poll_frequency=0.05).until(
        lambda _: browser.execute_script(script, *arguments)
    )


def drawn(browser, section: str, subject: str):
    """The chart of a section, once it shows a subject."""
    chart = browser.find_element("css selector", f"#{section} .chart")
    browser.execute_script("arguments[0].scrollIntoView()", chart)
    until(
        browser,
        "return arguments[0].querySelector('.drawing').dataset.drawn === arguments[1]",
        chart,
        subject,
    )
    return chart


def traces(browser, chart) -> list:
    return browser.execute_script(
        "return arguments[0].querySelector('.drawing').data.map(t => ({name: t.name, mode: t.mode,"
        " said: (t.customdata || []).map(c => c.join(' '))}))",
        chart,
    )


def test_the_charts_are_not_loaded_before_they_are_near(window, page, worst):
    resize(window, height=200)
    window.get(page.as_uri())
    time.sleep(0.5)
    assert window.execute_script("return typeof window.Plotly") == "undefined"
    drawn(window, "individual", worst)
    assert window.execute_script("return typeof window.Plotly") == "object"


def test_nothing_is_asked_for_while_charts_are_used(window, page, worst):
    drawn(window, "data", "All subjects")
    drawn(window, "individual", worst)
    messages = [json.loads(line["message"])["message"] for line in window.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert asked[0] == page.as_uri()
    assert all(url.startswith("data:") for url in asked[1:])


def test_a_foreign_script_does_not_run(window):
    window.execute_script(
        "const s = document.createElement('script'); s.textContent = 'window.foreign = 1'; document.head.append(s)"
    )
    assert window.execute_script("return typeof window.foreign") == "undefined"
    (line,) = window.get_log("browser")
    assert "Content Security Policy" in line["message"]


def test_a_point_says_subject_day_and_value(window, bad_fit, worst):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.support.select import Select

    chart = drawn(window, "individual", worst)
    points = chart.find_elements("css selector", ".scatterlayer .trace .point")
    ActionChains(window).move_to_element(points[0]).perform()
    said = until(window, "return arguments[0].querySelector('.hoverlayer .hovertext')?.textContent", chart)
    first = bad_fit.data.observations.query("subject == @worst and time > 0").iloc[0]
    assert said.startswith(f"{worst}day {first['time']:g}")
    rows = bad_fit.data.observations
    censored = rows.loc[is_censored(rows), "subject"].iloc[0]
    Select(chart.find_element("css selector", "select")).select_by_value(censored)
    chart = drawn(window, "individual", censored)
    every = [text for trace in traces(window, chart) if trace["mode"] == "markers" for text in trace["said"]]
    assert f"{censored} {first['time']:g} " in every[0]
    assert any("&lt; LLOQ (50.0)" in text for text in every)


def test_subjects_are_chosen_by_keys_and_buttons(window, bad_fit):
    from selenium.webdriver.common.keys import Keys

    ids = misfit(bad_fit).index.tolist()
    chart = drawn(window, "individual", ids[0])
    select = chart.find_element("css selector", "select")
    label = chart.find_element("css selector", f"label[for='{select.get_attribute('id')}']")
    assert label.text == "Subject"
    back, on = chart.find_elements("css selector", "button.step")
    assert not back.is_enabled()
    on.send_keys(Keys.ENTER)
    drawn(window, "individual", ids[1])
    assert back.is_enabled()
    select.send_keys(Keys.ARROW_DOWN)
    drawn(window, "individual", ids[2])
    assert chart.find_element("css selector", "[role=status]").text.startswith(f"{ids[2]}: ")
    for _ in ids[3:]:
        on.click()
    drawn(window, "individual", ids[-1])
    assert not on.is_enabled()


def test_the_samples_can_be_read_as_a_table(window, bad_fit, worst):
    chart = drawn(window, "individual", worst)
    chart.find_element("css selector", ".samples summary").click()
    rows = chart.find_elements("css selector", ".samples tbody tr")
    own = bad_fit.data.observations.query("subject == @worst and time > 0")
    assert [row.find_element("css selector", "td").text for row in rows] == [f"{t:g}" for t in own["time"]]


def test_the_axis_can_be_made_linear(window, worst):
    chart = drawn(window, "individual", worst)
    kind = "return arguments[0].querySelector('.drawing').layout.yaxis.type"
    assert window.execute_script(kind, chart) == "log"
    chart.find_element("css selector", "input.log").click()
    until(window, f"{kind} === 'linear'", chart)


def test_a_chart_of_a_fit_that_did_not_converge_is_marked(window, worst):
    assert BANNER in drawn(window, "individual", worst).text
    assert BANNER not in drawn(window, "data", "All subjects").text


def test_all_subjects_stand_in_the_first_chart_and_one_can_be_picked_out(window, bad_fit):
    chart = drawn(window, "data", "All subjects")
    seen = {text.split()[0] for trace in traces(window, chart) for text in trace["said"]}
    assert seen == set(bad_fit.data.subject_ids)
    names = [trace["name"] for trace in traces(window, chart) if trace["name"]]
    assert names[:2] == ["dose 3 × 10⁵", "dose 1 × 10⁶"]
    chart.find_elements("css selector", "button.step")[1].click()
    drawn(window, "data", "S001")
    assert chart.find_element("css selector", "[role=status]").text.startswith("S001: ")


def column(browser, table, at: int) -> list[str]:
    return browser.execute_script(
        "return [...arguments[0].tBodies[0].rows].map(r => (r.cells[arguments[1]] || r.cells[0]).textContent.trim())",
        table,
        at,
    )


def table_of(browser, caption: str):
    """A table by the beginning of its caption, unfolded."""
    return browser.execute_script(
        "const t = [...document.querySelectorAll('main table')].find(t => t.caption.lastChild.textContent.trim().startsWith(arguments[0]));"
        " const folded = t.closest('details'); if (folded) folded.open = true; return t",
        caption,
    )


def test_numbers_sort_as_numbers_and_headings_stay(window):
    from selenium.webdriver.common.keys import Keys

    table = table_of(window, "Population parameters")
    before = column(window, table, 1)
    blocks = window.execute_script(
        "return [...arguments[0].tBodies[0].rows].map(r => r.className === 'block')", table
    )
    head = table.find_elements("css selector", "thead th")[1]
    head.find_element("css selector", "button").send_keys(Keys.ENTER)
    assert head.get_attribute("aria-sort") == "ascending"
    after = column(window, table, 1)
    assert [after[i] for i, block in enumerate(blocks) if block] == [
        before[i] for i, block in enumerate(blocks) if block
    ]
    runs, expected = groups(after, blocks), groups(before, blocks)
    assert runs == [sorted(run, key=float) for run in expected]
    assert runs != expected
    head.find_element("css selector", "button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert groups(column(window, table, 1), blocks) == [run[::-1] for run in runs]


def groups(texts: list[str], blocks: list[bool]) -> list[list[str]]:
    found: list[list[str]] = [[]]
    for text, block in zip(texts, blocks, strict=True):
        if block:
            found.append([])
        else:
            found[-1].append(text)
    return [one for one in found if one]


def test_words_sort_as_words_and_only_one_head_is_sorted(window, worst):
    table = table_of(window, "Remarks, worst first")
    heads = table.find_elements("css selector", "thead th")
    for at in (2, 1):
        heads[at].find_element("css selector", "button").click()
    assert [head.get_attribute("aria-sort") for head in heads] == [None, "ascending", None, None, None]
    about = column(window, table, 1)
    assert about == sorted(about, key=str.lower)


def test_the_heads_of_a_table_are_one_stop_of_the_tab_key(window):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    table = table_of(window, "NCA: each subject")
    buttons = table.find_elements("css selector", "thead button")
    assert len(buttons) > 4
    window.execute_script("arguments[0].focus()", buttons[0])
    at = "return [...arguments[0].querySelectorAll('thead button')].indexOf(document.activeElement)"
    for key, place in ((Keys.ARROW_RIGHT, 1), (Keys.ARROW_RIGHT, 2), (Keys.ARROW_LEFT, 1), (Keys.END, len(buttons) - 1),
                       (Keys.ARROW_RIGHT, len(buttons) - 1), (Keys.HOME, 0), (Keys.ARROW_RIGHT, 1)):  # fmt: skip
        ActionChains(window).send_keys(key).perform()
        assert window.execute_script(at, table) == place
    stops = "return [...arguments[0].querySelectorAll('thead button')].filter(b => b.tabIndex === 0).length"
    assert window.execute_script(stops, table) == 1
    ActionChains(window).send_keys(Keys.TAB).perform()
    assert window.execute_script(at, table) == -1


def test_what_is_cited_is_not_sorted(window):
    references = table_of(window, "References")
    assert references.find_elements("css selector", "thead button") == []
    assert (
        window.execute_script(
            "return arguments[0].closest('.scroll').nextElementSibling.className", references
        )
        == "save"
    )


def test_what_is_missing_is_last_in_both_directions(window):
    window.execute_script(
        "const t = arguments[0]; ['–', '2 × 10⁶', '−3', '1.5 to 9', '∞', '3.20e-07', '–', '1,200'].forEach((text, i) =>"
        " { if (t.tBodies[0].rows[i]) t.tBodies[0].rows[i].cells[3].textContent = text; });"
        " [...t.tBodies[0].rows].slice(8).forEach(r => r.remove())",
        table := table_of(window, "NCA: each subject"),
    )
    button = table.find_elements("css selector", "thead th button")[3]
    rising = ["−3", "3.20e-07", "1.5 to 9", "1,200", "2 × 10⁶", "∞"]
    button.click()
    assert column(window, table, 3) == [*rising, "–", "–"]
    button.click()
    assert column(window, table, 3) == [*rising[::-1], "–", "–"]


def saved(window, downloads: Path, caption: str) -> list[list[str]]:
    for old in downloads.iterdir():
        old.unlink()
    button = window.execute_script(
        "return arguments[0].closest('.scroll').nextElementSibling", table_of(window, caption)
    )
    assert button.get_attribute("aria-label").startswith("Save as CSV: ")
    window.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
    button.click()
    for _ in range(200):
        files = list(downloads.glob("*.csv"))
        if files:
            break
        time.sleep(0.05)
    text = files[0].read_bytes().decode("utf-8-sig")
    assert files[0].read_bytes().startswith(b"\xef\xbb\xbf")
    return list(csv.reader(StringIO(text)))


def test_a_table_is_saved_as_it_stands_with_its_warning(window, downloads, page):
    rows = saved(window, downloads, "Population parameters")
    assert rows[0][:3] == ["Block", "Parameter (unit)", "Estimate"]
    assert rows[0][-1] == "Warning"
    assert rows[1][0].startswith("Structural parameters")
    assert {row[-1] for row in rows[1:]} == {BANNER}
    assert {len(row) for row in rows} == {len(rows[0])}
    numbers = saved(window, downloads, "The numbers that matter")
    assert numbers[1][0] == "Cmax (copies/µg DNA)"
    plain = saved(window, downloads, "NCA: each subject")
    assert "Warning" not in plain[0]
    assert [row[0] for row in plain[1:4]] == ["S001", "S002", "S003"]


DANGEROUS = ("=1+1", "@x", "-cmd", "-2+3+cmd|' /C calc'!A0", "+1+cmd|' /C calc'!A0")
HARMLESS = ("-2.5", "+0.013", "-0.5 to -0.1")


def test_a_cell_that_a_spreadsheet_would_run_is_text(window, downloads):
    window.execute_script(
        "[...arguments[0].tBodies[0].rows].slice(0, 8).forEach((r, i) => r.cells[0].textContent = arguments[1][i])",
        table_of(window, "NCA: each subject"),
        [*DANGEROUS, *HARMLESS],
    )
    rows = saved(window, downloads, "NCA: each subject")
    assert [row[0] for row in rows[1:9]] == [*(f"'{text}" for text in DANGEROUS), *HARMLESS]


def test_on_paper_there_are_pictures_and_no_controls(window, worst):
    drawn(window, "individual", worst)
    window.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        seen = window.execute_script(
            "dispatchEvent(new Event('beforeprint'));"
            "const visible = q => [...document.querySelectorAll(q)].filter(e => e.offsetHeight > 0).length;"
            "const found = [visible('.chart'), visible('button.save'), visible('details.still img'),"
            " document.querySelectorAll('details.still img').length,"
            " getComputedStyle(document.querySelector('button.sort')).display]; dispatchEvent(new Event('afterprint')); return found"
        )
    finally:
        window.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert seen[:2] == [0, 0]
    assert seen[2] == seen[3] > 1
    assert seen[4] == "contents"  # as boxes they are left out of heads that are repeated on the next page
    assert not window.execute_script("return document.querySelector('#individual details.still').open")


def test_without_scripts_there_are_pictures_and_no_dead_buttons(window):
    window.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        window.refresh()
        visible = [e.is_displayed() for e in window.find_elements("css selector", "button, select")]
        stills = [e.is_displayed() for e in window.find_elements("css selector", "details.still img")]
    finally:
        window.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert not any(visible)
    assert stills
    assert all(stills)


def test_a_library_that_cannot_be_unpacked_leaves_the_pictures(browser, page, tmp_path):
    text = page.read_text(encoding="utf-8")
    start = text.index('id="plotly">') + len('id="plotly">')
    broken = tmp_path / "broken.html"
    broken.write_text(text[:start] + "AAAA" + text[text.index("</script>", start) :], encoding="utf-8")
    browser.get(broken.as_uri())
    chart = browser.find_element("css selector", "#individual .chart")
    browser.execute_script("arguments[0].scrollIntoView()", chart)
    until(browser, "return arguments[0].hidden && arguments[0].nextElementSibling.open", chart)
    messages = [line["message"] for line in browser.get_log("browser")]
    assert any("its pictures are shown instead" in message for message in messages)


def test_ninety_subjects_are_light_and_all_can_be_chosen(browser, around, completed, tmp_path):
    """How fast they open is measured by tests/benchmarks/page.py: no test depends on the machine's load."""
    times = (1, 3, 7, 10, 14, 21, 28, 60, 90, 180, 365)
    model = load_model("stein2019")
    data = simulate(model, {"times": times, "lloq": 50, "doses": (1e5, 1e6, 2e6)}, n=90, seed=4)
    fit = completed(around(model, data))
    path = write_report(tmp_path / "r.html", fit, nca(fit.data), exposure_from(fit, metrics=["cmax"]))
    assert path.stat().st_size < 10e6
    browser.get(path.as_uri())
    chart = drawn(browser, "individual", misfit(fit).index[0])
    assert len(chart.find_elements("css selector", "option")) == 90
    assert len(browser.find_elements("css selector", "#individual details.still img")) == 5
