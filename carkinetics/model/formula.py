"""Equation → LaTeX, for reports and papers, and → plain text, for messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from carkinetics.model.expression import Expression

_GREEK = frozenset(
    [
        "alpha",
        "beta",
        "gamma",
        "delta",
        "epsilon",
        "zeta",
        "eta",
        "theta",
        "kappa",
        "lambda",
        "mu",
        "nu",
        "xi",
        "rho",
        "sigma",
        "tau",
        "phi",
        "chi",
        "psi",
        "omega",
    ]
)
_LEVEL = {
    "where": 0, "<": 1, "<=": 1, ">": 1, ">=": 1, "==": 1, "!=": 1,
    "+": 2, "-": 2, "neg": 3, "*": 3, "/": 5, "**": 4,
}  # fmt: skip
_RELATION = {"<": "<", "<=": r"\le", ">": ">", ">=": r"\ge", "==": "=", "!=": r"\ne"}


def symbol(name: str) -> str:
    r"""LaTeX for a name: Greek where it is one, the rest of an underscore as a subscript.

    Parameters
    ----------
    name : str
        For instance ``"alpha"``, ``"r0"``, ``"t_lag"``.

    Returns
    -------
    str
        LaTeX without dollar signs.

    Examples
    --------
    >>> symbol("alpha"), symbol("tmax"), symbol("t_lag")
    ('\\alpha', '\\mathrm{tmax}', 't_{\\mathrm{lag}}')
    """
    head, _, tail = name.partition("_")
    if head in _GREEK:
        base = rf"\{head}"
    else:
        base = head if len(head) == 1 else rf"\mathrm{{{head}}}"
    return base if not tail else rf"{base}_{{\mathrm{{{tail.replace('_', ' ')}}}}}"


def latex(expression: Expression, symbols: Mapping[str, str] | None = None) -> str:
    r"""LaTeX of an expression.

    Parameters
    ----------
    expression : Expression
        A parsed equation.
    symbols : mapping of str to str, optional
        LaTeX for names whose default is not wanted.

    Returns
    -------
    str
        LaTeX without dollar signs.

    Examples
    --------
    >>> from carkinetics.model.expression import parse
    >>> print(latex(parse("a * exp(-b * t)", ["a", "b", "t"], where="demo")))
    a \, e^{-b \, t}
    """
    named = symbols or {}

    def walk(node: Expression, outer: int = 0) -> str:
        text = _render(node, walk, named)
        return rf"\left({text}\right)" if _LEVEL.get(node.op, 9) < outer else text

    return walk(expression)


def plain(expression: Expression) -> str:
    """An expression, or a part of one, as a model file would write it.

    Parameters
    ----------
    expression : Expression
        A parsed equation.

    Returns
    -------
    str
        With no more brackets than needed.

    Examples
    --------
    >>> from carkinetics.model.expression import parse
    >>> plain(parse("(a + b) * exp(-(c * t))", ["a", "b", "c", "t"], where="demo"))
    '(a + b) * exp(-c * t)'
    """
    op, args = expression.op, expression.args
    if op == "constant":
        return f"{args[0]:g}" if isinstance(args[0], float) else repr(args[0])
    if op == "name":
        return str(args[0])
    level = _LEVEL.get(op)
    if level is None or op in ("where", "minimum"):
        return f"{op}({', '.join(plain(arg) for arg in args)})"
    right = level + (op in ("-", "/", "neg"))
    sides = [
        f"({plain(arg)})" if _LEVEL.get(arg.op, 9) < needed else plain(arg)
        for arg, needed in zip(args, (level, right), strict=False)
    ]
    return f"-{sides[0]}" if op == "neg" else f"{sides[0]} {op} {sides[1]}"


def _render(node: Expression, walk: Callable[..., str], named: Mapping[str, str]) -> str:  # noqa: C901 (a table)
    match node.op, node.args:
        case "constant", (value,):
            return f"{value:g}" if isinstance(value, float) else rf"\text{{{value}}}"
        case "name", (name,):
            return named.get(name, symbol(name))
        case "+" | "-", (left, right):
            return f"{walk(left, 2)} {node.op} {walk(right, 3 if node.op == '-' else 2)}"
        case "*", (left, right):
            return rf"{walk(left, 3)} \, {walk(right, 3)}"
        case "/", (left, right):
            return rf"\frac{{{walk(left)}}}{{{walk(right)}}}"
        case "**", (base, power):
            return f"{walk(base, 6)}^{{{walk(power)}}}"
        case "neg", (value,):
            return f"-{walk(value, 3)}"
        case "exp", (value,):
            return f"e^{{{walk(value)}}}"
        case "sqrt", (value,):
            return rf"\sqrt{{{walk(value)}}}"
        case "abs", (value,):
            return rf"\left|{walk(value)}\right|"
        case "where", (condition, then, otherwise):
            return (
                rf"\begin{{cases}} {walk(then)} & {walk(condition)} \\ "
                rf"{walk(otherwise)} & \text{{otherwise}} \end{{cases}}"
            )
        case "minimum" | "maximum", (left, right):
            return rf"\{node.op[:3]}\left({walk(left)},\, {walk(right)}\right)"
        case "log" | "softplus" | "logistic", (value,):
            name = r"\ln" if node.op == "log" else rf"\operatorname{{{node.op}}}"
            return rf"{name}\left({walk(value)}\right)"
        case relation, (left, right):
            return f"{walk(left, 2)} {_RELATION[relation]} {walk(right, 2)}"
    raise AssertionError(f"no LaTeX for {node.op}")
