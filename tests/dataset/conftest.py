from collections.abc import Callable

import pandas as pd
import pytest

from carkinetics.dataset import Dataset, check, read_nonmem

DOSED = {"AMT": [1e6, None, None, None], "EVID": [1, 0, 0, 0]}


def one_subject(subject: str = "101", **columns: list) -> pd.DataFrame:
    """A dose at day 0 and three samples, with some columns replaced."""
    usual = {"ID": [subject] * 4, "TIME": [0, 7, 14, 28], "DV": [None, 900, 24000, 1200], **DOSED}
    return pd.DataFrame({**usual, **columns})


def read(*frames: pd.DataFrame, **arguments: object) -> Dataset:
    """Read frames put under each other, in copies/ug with an LLOQ of 50 unless told otherwise."""
    usual: dict = {"value_unit": "copies/ug", "lloq": 50}
    return read_nonmem(pd.concat(frames, ignore_index=True), **(usual | arguments))


def findings(data: Dataset, rule: str) -> pd.DataFrame:
    """Findings of one rule."""
    table = check(data)
    return table[table["rule"] == rule].reset_index(drop=True)


@pytest.fixture
def subject_frame() -> Callable[..., pd.DataFrame]:
    return one_subject


@pytest.fixture
def read_frames() -> Callable[..., Dataset]:
    return read


@pytest.fixture
def found() -> Callable[..., pd.DataFrame]:
    return findings
