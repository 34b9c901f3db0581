"""Results that a report is made of, without a sampler: the draws are the simulated truth with a little noise."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from carkinetics.dataset.table import Dataset
from carkinetics.diagnostics import review
from carkinetics.diagnostics.review import Evidence
from carkinetics.exposure import Exposure, exposure_from, nca
from carkinetics.fit.result import Fit
from carkinetics.report import parts
from carkinetics.response import DoseExposure, GradeModel, dose_exposure, fit_grade


def with_grades(data: Dataset) -> Dataset:
    grades = np.resize([0, 3, 1, 4, 2], len(data.subjects))
    kept = data.subjects[[name for name in data.subjects.columns if not name.startswith("true_")]]
    return replace(data, subjects=kept.assign(crs_grade=grades))


@pytest.fixture(scope="session", autouse=True)
def one_review_of_each_fit() -> Iterator[None]:
    """Any section needs the review of its fits, which takes most of a second: made once for each fit here, not once for each test."""
    fits: dict[int, Evidence] = {}
    reviews: dict[int, pd.DataFrame] = {}

    def evidence(fit: Fit) -> Evidence:
        return fits.setdefault(id(fit), Evidence(fit))  # which holds the fit, so that its id stays its own

    def reviewed(fit: Fit, *, evidence: Evidence) -> pd.DataFrame:
        if id(evidence) not in reviews:
            reviews[id(evidence)] = review(fit, evidence=evidence)
        return reviews[id(evidence)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "Evidence", evidence)
        patch.setattr(parts, "review", reviewed)
        yield


@pytest.fixture(scope="session")
def good_fit(made_fit: Fit, completed: Callable[..., Fit]) -> Fit:
    """Converged."""
    found = completed(made_fit)
    return replace(found, data=with_grades(found.data))


@pytest.fixture(scope="session")
def bad_fit(made_fit: Fit, completed: Callable[..., Fit]) -> Fit:
    """Three draws diverged."""
    found = completed(made_fit, diverging=3)
    return replace(found, data=with_grades(found.data))


@pytest.fixture(scope="session")
def observed(good_fit: Fit) -> Exposure:
    return nca(good_fit.data)


@pytest.fixture(scope="session")
def modelled(good_fit: Fit) -> Exposure:
    return exposure_from(good_fit, metrics=["cmax", "tmax", "auc_0_28", "half_life"])


@pytest.fixture(scope="session")
def dose(good_fit: Fit, modelled: Exposure) -> DoseExposure:
    return dose_exposure(modelled, good_fit.data, "auc_0_28", seed=1)


@pytest.fixture(scope="session")
def grade(good_fit: Fit, modelled: Exposure) -> GradeModel:
    return fit_grade(modelled, good_fit.data, outcome="crs_grade >= 3", on="log(cmax)", seed=1, draws=20)


@pytest.fixture(scope="session")
def downloads(tmp_path_factory) -> Path:
    """Where the browser saves files."""
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="session")
def browser(require, downloads) -> Iterator[Any]:
    """Chromium, with its console and network watched."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    require(chromium and driver, "chromium and chromedriver are needed (Debian: chromium, chromium-driver)")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(chromium)
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-dev-shm-usage",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    window = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(driver)))
    window.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)}
    )
    yield window
    window.quit()
