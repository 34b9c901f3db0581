from pathlib import Path

import pandas as pd
import pytest

from carkinetics.dataset import read_nonmem
from carkinetics.dataset.source import read_table
from carkinetics.errors import DataError

TEXT = "ID,TIME,DV\n001,7,<50\n\n002,14,2400.5\n"


def test_line_numbers_count_blank_lines(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(TEXT)
    table = read_table(tmp_path / "a.csv")
    assert table.lines == ((2, ("001", "7", "<50")), (4, ("002", "14", "2400.5")))


def test_line_numbers_count_lines_inside_quotes(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('ID,DV\n"a\nb",1\nc,2\n')
    assert [line for line, _ in read_table(tmp_path / "a.csv").lines] == [2, 4]


@pytest.mark.parametrize("separator", [",", "\t", ";"])
def test_separators_are_seen_in_the_header(tmp_path: Path, separator: str) -> None:
    (tmp_path / "a.csv").write_text(TEXT.replace(",", separator))
    assert read_table(tmp_path / "a.csv").header == ("ID", "TIME", "DV")


def test_a_windows_encoded_micro_sign_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("ID,UNIT\n1,copies/µg\n".encode("cp1252"))
    assert read_table(tmp_path / "a.csv").lines[0][1] == ("1", "copies/µg")


def test_every_kind_of_file_gives_the_same_data(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"ID": ["001", "001", "002"], "TIME": [0.5, 7.0, 7.0], "DV": ["BLQ", "1200.25", "<50"]}
    )
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "a.tsv", index=False, sep="\t")
    frame.to_excel(tmp_path / "a.xlsx", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    hashes = {
        read_nonmem(tmp_path / f"a.{end}", value_unit="copies/ug").sha256
        for end in ("csv", "tsv", "xlsx", "parquet")
    }
    assert hashes == {read_nonmem(frame, value_unit="copies/ug").sha256}


def test_numbers_of_a_frame_and_of_a_file_are_the_same(tmp_path: Path) -> None:
    frame = pd.DataFrame({"ID": [1, 1], "TIME": [7.0, 14.0], "DV": [0.1 + 0.2, 1e-7]})
    frame.to_csv(tmp_path / "a.csv", index=False)
    here, there = (read_nonmem(s, value_unit="%").observations for s in (frame, tmp_path / "a.csv"))
    pd.testing.assert_series_equal(here["value"], there["value"], check_exact=True)
    assert here["row"].tolist() == there["row"].tolist() == [2, 3]


def test_a_sheet_can_be_named(tmp_path: Path) -> None:
    with pd.ExcelWriter(tmp_path / "a.xlsx") as book:
        pd.DataFrame({"note": ["not this one"]}).to_excel(book, sheet_name="readme", index=False)
        pd.DataFrame({"ID": [1], "TIME": [7], "DV": [10]}).to_excel(book, sheet_name="pk", index=False)
    assert len(read_nonmem(tmp_path / "a.xlsx", sheet="pk", value_unit="%").observations) == 1
    with pytest.raises(DataError, match="cannot be read"):
        read_nonmem(tmp_path / "a.xlsx", sheet="absent", value_unit="%")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "the table is empty"),
        ("a.csv", b"\n \n,,\n", "the table is empty"),
        ("a.csv", b"ID,TIME,DV\n", "a header but no rows"),
        ("a.csv", b"ID,TIME,DV,dv\n1,2,3,4\n", "'dv' occurs twice, as columns 3 and 4"),
        ("a.csv", b'ID,TIME,DV\n1,2,"3\n', "cannot be read"),
        ("a.csv", b"\x00\x01\x02\x00", "binary content"),
        ("a.xlsx", b"not a workbook", "cannot be read"),
        ("a.parquet", b"not parquet", "cannot be read"),
        ("a.sas7bdat", b"", "file ending '.sas7bdat' is not known"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_table_says_so(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_table(tmp_path / name)


def test_a_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.csv: cannot be read"):
        read_table(tmp_path / "absent.csv")


def test_an_empty_frame_says_so() -> None:
    with pytest.raises(DataError, match="no rows"):
        read_table(pd.DataFrame({"ID": [], "TIME": [], "DV": []}))


def test_trailing_separators_are_harmless_and_a_shifted_row_is_kept_apart(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("ID,TIME,DV\n1,7,900,,\n1,14,1,000\n1,21\n")
    table = read_table(tmp_path / "a.csv")
    assert [line for line, _ in table.lines] == [2]
    assert table.broken == ((3, "4 cells where the header has 3"), (4, "2 cells where the header has 3"))
