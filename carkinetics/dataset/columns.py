"""Which column is which: header names as written → NONMEM names.

Names are compared without regard to case. ``columns={"ID": "USUBJID", "DV": "AVAL"}`` says which
column of the file plays a role; a column that has the role's name but not the role is left out.
"""

from collections.abc import Mapping, Sequence

from carkinetics.dataset.source import RawTable
from carkinetics.errors import DataError, did_you_mean

NONMEM_COLUMNS = (
    "ID", "TIME", "DV", "AMT", "EVID", "MDV", "CMT", "DVID", "CENS", "LIMIT", "LLOQ", "LOD", "ULOQ", "UNIT",
    "EVENT", "RATE", "ADDL", "II", "SS",
)  # fmt: skip
REQUIRED = ("ID", "TIME", "DV")

# "DV" may name several columns, one per assay: a table with a qPCR and a flow column.
ColumnMap = Mapping[str, str | Mapping[str, str]]


def find_column(header: Sequence[str], wanted: str, where: str) -> str:
    """Column of the header that has this name, in any case.

    Parameters
    ----------
    header : sequence of str
        Column names of the file.
    wanted : str
        The name looked for.
    where : str
        Place for the error message.

    Returns
    -------
    str
        The name as written in the file.

    Raises
    ------
    DataError
        If there is no such column.
    """
    by_upper = {name.upper(): name for name in header}
    found = by_upper.get(str(wanted).strip().upper())
    if found is None:
        raise DataError(f"{where}: column {wanted!r} is missing{did_you_mean(str(wanted), header)}")
    return found


def value_columns(columns: ColumnMap | None) -> dict[str, str]:
    """Value columns by assay, when ``columns["DV"]`` names several.

    Parameters
    ----------
    columns : mapping, optional
        The caller's map.

    Returns
    -------
    dict
        Assay → column; empty when there is one value column.
    """
    for target, column in (columns or {}).items():
        if target.upper() == "DV" and isinstance(column, Mapping):
            return {str(assay): str(name) for assay, name in column.items()}
    return {}


def rename_columns(
    table: RawTable, columns: ColumnMap | None, *, required: Sequence[str] = REQUIRED, partial: bool = False
) -> tuple[dict[str, str], list[str]]:
    """New name of each column of the table.

    Parameters
    ----------
    table : RawTable
        The table as read.
    columns : mapping, optional
        Role → column of the file.
    required : sequence of str
        Roles that must be filled.
    partial : bool
        Whether mapped columns may be absent (a subject table has only some of them).

    Returns
    -------
    names : dict
        Column as written → role, or the name as written where it has none.
    displaced : list of str
        Columns left out because another column was given their role.

    Raises
    ------
    DataError
        If a required or mapped column is missing, or one column is given two roles.
    """
    roles: dict[str, str] = {}
    for target, column in (columns or {}).items():
        if isinstance(column, Mapping):
            continue
        if partial and column.strip().upper() not in {name.upper() for name in table.header}:
            continue
        found = find_column(table.header, column, f"{table.name}: columns[{target!r}]")
        if found in roles:
            raise DataError(
                f"{table.name}: column {found!r} is mapped to both {roles[found]} and {target.upper()}"
            )
        roles[found] = target.strip().upper()
    taken = set(roles.values())
    several = value_columns(columns)
    for column in [] if partial else several.values():
        find_column(table.header, column, f"{table.name}: columns['DV']")
    names, displaced = {}, []
    for column in table.header:
        role = roles.get(column, column.upper() if column.upper() in (*NONMEM_COLUMNS, "WT") else column)
        if column not in roles and role in taken:
            displaced.append(column)
        else:
            names[column] = role
    for role in required:
        if role not in names.values() and not (role == "DV" and several):
            raise DataError(
                f"{table.name}: column {role!r} is missing{did_you_mean(role, table.header)}; "
                f"if another column plays this part, say so: columns={{{role!r}: '...'}}"
            )
    return names, displaced
