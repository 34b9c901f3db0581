"""How heavy a report is, and how fast a browser opens it.

    uv run python tests/benchmarks/page.py report.html [--repeats 5]

Prints the size of the file, and over the repeats the median and largest time to first paint, until it is loaded, and from
scrolling to the individual fits until the first chart is drawn. Chromium and its driver have to be there.
"""

import argparse
import shutil
import statistics
import time
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
PAINT = "return performance.getEntriesByName('first-contentful-paint')[0].startTime / 1000"
LOADED = "return performance.getEntriesByType('navigation')[0].loadEventEnd / 1000"
SCROLL = "document.querySelector('#individual .chart').scrollIntoView({behavior: 'instant'})"
DRAWN = "return document.querySelector('#individual .drawing').dataset.drawn"


def opened(path: Path) -> tuple[float, float, float]:
    """Seconds to first paint, to load, and of the first chart, in a fresh browser."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for flag in FLAGS:
        options.add_argument(flag)
    driver = webdriver.ChromeService(str(shutil.which("chromedriver")))
    with webdriver.Chrome(options=options, service=driver) as window:
        window.get(path.resolve().as_uri())
        painted, loaded = window.execute_script(PAINT), window.execute_script(LOADED)
        start = time.perf_counter()
        window.execute_script(SCROLL)
        WebDriverWait(window, 60, poll_frequency=0.02).until(lambda _: window.execute_script(DRAWN))
        return painted, loaded, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("report", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    print(f"{asked.report}: {asked.report.stat().st_size / 1e6:.2f} MB")
    times = [opened(asked.report) for _ in range(asked.repeats)]
    for name, values in zip(("first paint", "loaded", "first chart"), zip(*times, strict=True), strict=True):
        print(f"{name}: median {statistics.median(values):.2f} s, largest {max(values):.2f} s")


if __name__ == "__main__":
    main()
