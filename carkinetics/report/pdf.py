"""A document → PDF, printed by a Chromium that is on the machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from carkinetics.errors import ConfigError, ReportError
from carkinetics.report.blocks import Document
from carkinetics.report.html import page
from carkinetics.report.paper import on_paper

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
SECONDS = 180


def pdf(document: Document) -> bytes:
    """Print a document by a headless browser, without a script and without the network.

    Parameters
    ----------
    document : Document
        What to write.

    Returns
    -------
    bytes
        The file, tagged for screen readers and with the headings as its outline.

    Raises
    ------
    ConfigError
        If there is no browser.
    ReportError
        If it does not print.
    """
    browser = find_browser()
    with tempfile.TemporaryDirectory(prefix="carkinetics-") as folder:
        source, target = Path(folder) / "report.html", Path(folder) / "report.pdf"
        source.write_text(page(on_paper(document), interactive=False), encoding="utf-8")
        command = [
            browser, "--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
            f"--user-data-dir={Path(folder) / 'profile'}", "--no-pdf-header-footer", "--generate-pdf-document-outline",
            *(["--no-sandbox"] if _is_root() else []), f"--print-to-pdf={target}", source.as_uri(),
        ]  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired as error:
            raise ReportError(f"{browser} did not print the report within {SECONDS} s") from error
        if not target.is_file():
            said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise ReportError(f"{browser} printed no PDF (exit code {done.returncode}): {said}")
        return target.read_bytes()


def find_browser() -> str:
    """Path of a browser that can print.

    Returns
    -------
    str
        The first of `BROWSERS` on the path.

    Raises
    ------
    ConfigError
        If there is none.
    """
    found = next((place for name in BROWSERS if (place := shutil.which(name))), None)
    if found is None and Path(MAC).is_file():
        found = MAC
    if found is None:
        raise ConfigError(
            "a PDF report is printed by Chromium or Chrome, and none was found on the PATH "
            f"({', '.join(BROWSERS)}). Install one (Debian: apt install chromium), or write .html and print it"
        )
    return found


def _is_root() -> bool:
    """Chromium refuses its sandbox to root, as in most containers; the page is ours, and has no script."""
    return hasattr(os, "geteuid") and os.geteuid() == 0
