"""Which subjects had the outcome: a comparison over the columns of the subjects table, as text.

Text such as ``crs_grade >= 3``, ``response in ['CR', 'PR']`` or ``icans_grade >= 2 and not died`` is
parsed into Python's syntax tree and walked over a closed list of nodes. Nothing is ever evaluated as code.
Missing values stay missing: unknown or true is true, unknown and true is unknown.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from carkinetics.errors import ConfigError, DataError, did_you_mean

_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
ALLOWED = "a column compared by ==, !=, <, <=, >, >=, in or not in with numbers or quoted text; and, or, not"


def _literal(node: ast.expr, text: str) -> Any:
    """Read a number, a text or a list of them."""
    match node:
        case ast.Constant(value=int() | float() | str() as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
            return [_literal(item, text) for item in items]
    raise ConfigError(
        f"outcome {text!r}: {ast.unparse(node)!r} is not a number, a quoted text or a list of them"
    )


def _column(node: ast.expr, text: str, subjects: pd.DataFrame) -> pd.Series:
    """Look a column up."""
    if not isinstance(node, ast.Name):
        raise ConfigError(f"outcome {text!r}: {ast.unparse(node)!r} is not a column; expected {ALLOWED}")
    if node.id not in subjects.columns:
        hint = did_you_mean(node.id, [str(column) for column in subjects.columns])
        raise ConfigError(f"outcome {text!r} uses {node.id!r}, which is not a column of subjects{hint}")
    return subjects[node.id]


def _check_kind(column: pd.Series, value: Any, text: str) -> None:
    """Refuse to compare text with a number: it would be false for everybody."""
    numeric = is_numeric_dtype(column.dropna().infer_objects())
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, list):
            raise ConfigError(f"outcome {text!r}: a list inside a list; expected {ALLOWED}")
        if column.notna().any() and isinstance(item, str) == numeric:
            found = "numbers" if numeric else "text"
            raise DataError(
                f"outcome {text!r}: column {column.name!r} holds {found} and is compared with {item!r}"
            )


def _compare(left: pd.Series, op: ast.cmpop, value: Any, text: str) -> pd.Series:
    """One comparison of a column, missing where the column is."""
    _check_kind(left, value, text)
    if isinstance(op, ast.In | ast.NotIn) and isinstance(value, list):
        found = left.isin(value)
        result = ~found if isinstance(op, ast.NotIn) else found
    elif type(op) in _COMPARE and not isinstance(value, list):
        known = left.dropna()
        result = _COMPARE[type(op)](known, value).reindex(left.index, fill_value=False)
    else:
        raise ConfigError(f"outcome {text!r}: a list goes with in and not in, one value with the others")
    return result.astype("boolean").mask(left.isna())


def _comparison(node: ast.Compare, text: str, subjects: pd.DataFrame) -> pd.Series:
    """A comparison of a column with a literal, on either side."""
    if len(node.ops) != 1:
        raise ConfigError(f"outcome {text!r}: join two comparisons by and, instead of a chain")
    left, op, right = node.left, node.ops[0], node.comparators[0]
    mirrored: dict[type[ast.cmpop], ast.cmpop] = {
        ast.Lt: ast.Gt(), ast.LtE: ast.GtE(), ast.Gt: ast.Lt(), ast.GtE: ast.LtE(),
    }  # fmt: skip
    if isinstance(right, ast.Name) and not isinstance(left, ast.Name):
        left, right, op = right, left, mirrored.get(type(op), op)
    return _compare(_column(left, text, subjects), op, _literal(right, text), text)


def _flag(node: ast.Name, text: str, subjects: pd.DataFrame) -> pd.Series:
    """A column of true and false, or 1 and 0, on its own."""
    column = _column(node, text, subjects)
    known = column.dropna().infer_objects()
    if not (is_bool_dtype(known) or (is_numeric_dtype(known) and known.isin([0, 1]).all())):
        raise DataError(f"outcome {text!r}: column {node.id!r} is not true/false; compare it with something")
    return known.astype(bool).reindex(column.index).astype("boolean")


def _walk(node: ast.expr, text: str, subjects: pd.DataFrame) -> pd.Series:
    """Evaluate one node of the closed list."""
    if isinstance(node, ast.Compare):
        return _comparison(node, text, subjects)
    if isinstance(node, ast.Name):
        return _flag(node, text, subjects)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return ~_walk(node.operand, text, subjects)
    if isinstance(node, ast.BoolOp):
        parts = [_walk(value, text, subjects) for value in node.values]  # noqa: PD011 (a syntax tree, no table)
        result = parts[0]
        for part in parts[1:]:
            result = result & part if isinstance(node.op, ast.And) else result | part
        return result
    raise ConfigError(f"outcome {text!r}: {ast.unparse(node)!r} is not allowed; expected {ALLOWED}")


def parse_outcome(text: str, subjects: pd.DataFrame) -> pd.Series:
    """Which subjects had the outcome.

    Parameters
    ----------
    text : str
        For instance ``"crs_grade >= 3"`` or ``"response in ['CR', 'PR']"``.
    subjects : pandas.DataFrame
        One row per subject with a ``subject`` column.

    Returns
    -------
    pandas.Series
        Nullable boolean, indexed by subject; missing where the columns do not decide it.

    Raises
    ------
    ConfigError
        If the text is not a comparison, or names no column.
    DataError
        If text is compared with numbers.

    Examples
    --------
    >>> patients = pd.DataFrame({"subject": ["a", "b"], "crs_grade": [3, 1]})
    >>> parse_outcome("crs_grade >= 3", patients).to_dict()
    {'a': True, 'b': False}
    """
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError as error:
        raise ConfigError(f"outcome {text!r} cannot be read ({error.msg}); expected {ALLOWED}") from error
    result = _walk(tree.body, text, subjects)
    return pd.Series(
        result.to_numpy(), index=pd.Index(subjects["subject"], name="subject"), dtype="boolean", name=text
    )
