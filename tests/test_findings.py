import pytest

from carkinetics.findings import Finding, findings_table


def test_findings_are_listed_worst_first_and_otherwise_in_order() -> None:
    table = findings_table(
        Finding(severity, f"rule-{i}", "here", "what")  # type: ignore[arg-type]
        for i, severity in enumerate(["note", "error", "warning", "error", "note"])
    )
    assert table["severity"].tolist() == ["error", "error", "warning", "note", "note"]
    assert table["rule"].tolist() == ["rule-1", "rule-3", "rule-2", "rule-0", "rule-4"]


def test_no_findings_are_a_table_without_rows() -> None:
    table = findings_table([])
    assert list(table) == ["severity", "rule", "where", "message"]
    assert table.empty


def test_a_finding_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Finding("note", "a", "b", "c").rule = "d"  # type: ignore[misc]
