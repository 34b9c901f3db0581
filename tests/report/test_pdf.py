"""The PDF is printed by a browser; where there is none, the message says what to install."""

import shutil

import pytest

from carkinetics.errors import ConfigError, ReportError
from carkinetics.report import pdf as pdf_module
from carkinetics.report import write_report
from carkinetics.report.pdf import BROWSERS, find_browser


def test_without_a_browser_the_message_says_what_to_install(good_fit, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(pdf_module, "MAC", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match=r"none was found on the PATH \(chromium, .*apt install chromium"):
        write_report(tmp_path / "r.pdf", good_fit.data)
    assert not list(tmp_path.iterdir())


def made_browser(folder, script: str) -> None:
    path = folder / BROWSERS[0]
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_a_browser_that_fails_is_told_with_its_last_words(good_fit, tmp_path, monkeypatch):
    made_browser(tmp_path, "echo first >&2; echo 'cannot open display' >&2; exit 3")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(ReportError, match=r"printed no PDF \(exit code 3\): cannot open display"):
        write_report(tmp_path / "r.pdf", good_fit.data)
    assert not (tmp_path / "r.pdf").exists()


def test_a_browser_that_hangs_is_stopped(good_fit, tmp_path, monkeypatch):
    made_browser(tmp_path, "exec sleep 30")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(pdf_module, "SECONDS", 0.2)
    with pytest.raises(ReportError, match=r"did not print the report within 0\.2 s"):
        write_report(tmp_path / "r.pdf", good_fit.data)


def test_the_first_browser_on_the_path_is_taken(tmp_path, monkeypatch):
    made_browser(tmp_path, "true")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert find_browser() == str(tmp_path / BROWSERS[0])


@pytest.mark.slow  # starts a browser
def test_the_data_of_a_study_are_printed(good_fit, tmp_path, require):
    require(any(map(shutil.which, BROWSERS)), "a Chromium is needed (Debian: chromium)")
    content = write_report(tmp_path / "r.pdf", good_fit.data, title="On paper").read_bytes()
    assert content.startswith(b"%PDF-")
    assert content.rstrip().endswith(b"%%EOF")
    assert b"/MarkInfo" in content  # tagged
    assert [path.name for path in tmp_path.iterdir()] == ["r.pdf"]
