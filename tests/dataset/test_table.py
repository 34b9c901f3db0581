from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carkinetics.dataset import Dataset, load_dataset, read_nonmem
from carkinetics.dataset.table import TABLES
from carkinetics.errors import DataError


@pytest.fixture
def data(subject_frame, read_frames) -> Dataset:
    return read_frames(
        subject_frame("1", AGE=[50] * 4, SEX=["F"] * 4, DV=[None, "<50", 900.1, "bad"]),
        subject_frame("2", TIME=[5, 6, 7, 8], SEX=["M"] * 4, TOCI=[9] * 4),
        event_columns={"tocilizumab": "TOCI"},
    )


def test_saving_and_loading_is_exact(data: Dataset, tmp_path) -> None:
    loaded = load_dataset(data.save(tmp_path / "d"))
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(loaded, name), getattr(data, name), check_exact=True)
    assert (loaded.source, loaded.sha256) == (data.source, data.sha256)


@settings(deadline=None, max_examples=20)
@given(
    values=st.lists(st.floats(0, allow_infinity=False), min_size=1, max_size=5),
    name=st.text(min_size=1, max_size=9),
)
def test_any_numbers_and_names_survive_saving(values, name, tmp_path_factory) -> None:
    frame = pd.DataFrame({"ID": [f"s{name}"] * len(values), "TIME": range(1, len(values) + 1), "DV": values})
    data = read_nonmem(frame, value_unit="copies/ug")
    loaded = load_dataset(data.save(tmp_path_factory.mktemp("saved")))
    pd.testing.assert_frame_equal(loaded.observations, data.observations, check_exact=True)
    assert loaded.sha256 == data.sha256


def test_a_minimal_dataset_without_doses_survives_saving(tmp_path) -> None:
    data = read_nonmem(pd.DataFrame({"ID": [1], "TIME": [7], "DV": [900]}), value_unit="copies/ug")
    plain = Dataset(data.observations, data.subjects)
    loaded = load_dataset(plain.save(tmp_path))
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(loaded, name), getattr(plain, name), check_exact=True)


def test_a_changed_or_foreign_folder_is_refused(data: Dataset, tmp_path) -> None:
    folder = data.save(tmp_path / "d")
    data.observations.assign(value=1.0).to_parquet(folder / "observations.parquet", index=False)
    with pytest.raises(DataError, match="changed after they were saved"):
        load_dataset(folder)
    with pytest.raises(DataError, match=r"not a folder written by Dataset\.save"):
        load_dataset(tmp_path / "absent")


def test_the_hash_changes_with_content_only(data: Dataset) -> None:
    moved = replace(data, observations=data.observations.assign(row=0, file="b.csv"), source="elsewhere",
                    remarks=data.remarks.iloc[:0])  # fmt: skip
    assert moved.sha256 == data.sha256
    seen = {data.sha256}
    for name, column, value in [
        ("observations", "time", np.nextafter(data.observations["time"].iloc[0], 99)), ("subjects", "age", 51.0),
        ("doses", "amount", 2e6), ("events", "event", "steroid"), ("assays", "lloq", 51.0), ("excluded", "found", "worse"),
    ]:  # fmt: skip
        table = getattr(data, name).copy()
        table.loc[0, column] = value
        seen.add(replace(data, **{name: table}).sha256)
    assert len(seen) == 7


def test_a_selection_takes_every_table_along(data: Dataset) -> None:
    one = data.select(subjects=["2"])
    assert {len(one.subjects), len(one.doses), len(one.events)} == {1}
    assert one.remarks["subject"].tolist() == ["2"]
    assert one.excluded.empty
    assert len(data.select(assay="car").observations) == len(data.observations)
    with pytest.raises(DataError, match="no subject '3'"):
        data.select(subjects=["3"])
    with pytest.raises(DataError, match="no assay 'cra' in the data; did you mean 'car'"):
        data.select(assay="cra")


def test_a_selection_of_rows_and_the_rest_are_all_rows(data: Dataset) -> None:
    late = data.observations["time"] > 5
    parts = [data.select(observations=late), data.select(observations=~late)]
    assert 0 < len(parts[0].observations) < len(data.observations)
    assert parts[0].subject_ids == data.subject_ids
    again = pd.concat([part.observations for part in parts]).sort_values("row", ignore_index=True)
    pd.testing.assert_frame_equal(again, data.observations.sort_values("row", ignore_index=True))
    both = data.select(observations=late, subjects=["2"])
    assert set(both.observations["subject"]) <= {"2"}
    for wrong in (late.to_numpy()[:-1], [0, 1, 2], late.index, True):
        with pytest.raises(
            DataError, match=r"expected True or False for each of the 5 rows of data\.observations"
        ):
            data.select(observations=wrong)
    with pytest.raises(DataError, match="another index"):
        data.select(observations=late.sort_values())
    with pytest.raises(DataError, match="observations: subject '1' is not among the 1 rows of subjects"):
        replace(data, subjects=data.subjects.iloc[1:])


def test_a_table_without_a_needed_column_is_refused(data: Dataset) -> None:
    with pytest.raises(DataError, match="observations: column 'upper' is missing"):
        replace(data, observations=data.observations.drop(columns="upper"))


def test_the_short_form_counts(data: Dataset) -> None:
    assert (
        repr(data)
        == "<Dataset: 2 subjects, 5 observations (1 BLQ), 2 doses, 1 rows excluded; car (copies/ug)>"
    )


def test_rows_of_a_subject_without_samples_are_chosen_too(data: Dataset) -> None:
    empty = data.select(observations=[False] * len(data.observations))
    again = empty.select(observations=empty.observations["time"] < 10)
    assert len(again.observations) == 0
    assert again.subject_ids == data.subject_ids
