"""The page in a real browser: it draws, asks for nothing, and fits a phone."""

import json
from pathlib import Path

import pytest

from carkinetics.report import write_report

pytestmark = pytest.mark.slow

PHONE, DESKTOP = 390, 1280


@pytest.fixture(scope="module")
def page(good_fit, observed, modelled, dose, grade, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("browser") / "report.html"
    return write_report(path, good_fit.data, good_fit, observed, modelled, dose, grade, title="In a browser")


def shown(browser, page: Path, width: int) -> None:
    size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width == PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get_log("performance")
    browser.get(page.as_uri())


def test_nothing_goes_wrong_and_nothing_is_asked_for(browser, page):
    shown(browser, page, DESKTOP)
    assert [line["message"] for line in browser.get_log("browser")] == []
    messages = [json.loads(line["message"])["message"] for line in browser.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert asked[0] == page.as_uri()
    assert all(url.startswith("data:") for url in asked[1:])


def test_every_section_and_picture_is_drawn(browser, page):
    shown(browser, page, DESKTOP)
    heights = browser.execute_script(
        "return Array.from(document.querySelectorAll('main section')).map(s => [s.id, s.offsetHeight])"
    )
    assert [f"#{name}" for name, _ in heights] == [
        link.get_attribute("href").partition("report.html")[2]
        for link in browser.find_elements("css selector", "nav a")
    ]
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert all(height > 60 for _, height in heights)
    widths = browser.execute_script("return Array.from(document.images).map(i => i.naturalWidth)")
    assert len(widths) >= 8
    assert all(width > 100 for width in widths)
    assert browser.execute_script("return document.querySelectorAll('math mfrac').length") > 0
    assert browser.title == "In a browser"


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_the_page_never_scrolls_sideways(browser, page, width):
    shown(browser, page, width)
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    content, window = browser.execute_script(
        "return [document.documentElement.scrollWidth, window.innerWidth]"
    )
    assert window == width
    assert content <= window
    outside = browser.execute_script(
        "return Array.from(document.querySelectorAll('main *')).filter(e => !e.closest('.scroll')"
        " && e.getBoundingClientRect().right > window.innerWidth + 1).map(e => e.tagName)"
    )
    assert outside == []


def test_a_link_of_the_contents_leads_to_its_section(browser, page):
    shown(browser, page, DESKTOP)
    browser.find_element("css selector", "nav a[href='#warnings']").click()
    assert browser.current_url.endswith("#warnings")


def test_text_can_be_read_against_its_ground(browser, page):
    """WCAG AA asks for a contrast of 4.5 : 1."""
    shown(browser, page, DESKTOP)
    colours = browser.execute_script(
        "const seen = {}; document.querySelectorAll('main *, nav *, header *').forEach(e => {"
        " if (!Array.from(e.childNodes).some(n => n.nodeType === 3 && n.textContent.trim())) return;"
        " let p = e; let ground = 'rgba(0, 0, 0, 0)';"
        " while (p && ground === 'rgba(0, 0, 0, 0)') { ground = getComputedStyle(p).backgroundColor; p = p.parentElement; }"
        " seen[getComputedStyle(e).color + '|' + ground] = e.tagName; }); return seen"
    )
    assert len(colours) >= 4
    for pair, tag in colours.items():
        ink, ground = (luminance(colour) for colour in pair.split("|"))
        assert (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05) >= 4.5, (pair, tag)


def luminance(colour: str) -> float:
    """Relative luminance of ``rgb(r, g, b)``; WCAG 2.2."""
    parts = colour[colour.index("(") + 1 : -1].split(",")[:3]
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (float(part) / 255 for part in parts)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
