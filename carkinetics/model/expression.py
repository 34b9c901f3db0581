"""Equation text → something that computes, and a formula.

The text is parsed with `ast` and checked against a closed list of operations, never passed to
`eval`. What comes out is a small tree that is walked with whatever array library is handed in: NumPy
for simulation and least squares, PyTensor for the sampler's graph, `math` for one solver step. One
text, so the three cannot disagree.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit

from carkinetics.errors import ModelFileError, did_you_mean

# A literal power beyond this is a typing error; no kinetic model has a Hill coefficient near it.
LARGEST_EXPONENT = 64
LONGEST_TEXT = 5000
DEEPEST = 100
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")

FUNCTIONS = {
    "exp": 1, "log": 1, "sqrt": 1, "abs": 1, "softplus": 1, "logistic": 1,
    "where": 3, "minimum": 2, "maximum": 2,
}  # fmt: skip
_BINARY: dict[type, str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}
_COMPARE: dict[type, str] = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip

Ops = Mapping[str, Callable[..., Any]]


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked equation: an operation and its arguments.

    Parameters
    ----------
    op : str
        An operator, a function of the closed list, ``"name"`` or ``"constant"``.
    args : tuple
        Expressions; the name; or the number (a text constant only in covariate comparisons).
    text : str
        What it was parsed from; empty inside a tree.
    """

    op: str
    args: tuple[Any, ...]
    text: str = ""

    def names(self) -> frozenset[str]:
        """Every name the expression uses."""
        if self.op == "name":
            return frozenset(self.args)
        if self.op == "constant":
            return frozenset()
        return frozenset().union(*(arg.names() for arg in self.args))


def parse(text: str, known: Iterable[str], *, where: str, words: bool = False) -> Expression:
    """Parse one equation.

    Parameters
    ----------
    text : str
        For instance ``"cmax * exp(-alpha * t)"``.
    known : iterable of str
        Names the text may use.
    where : str
        Place for error messages, for instance ``"ours.toml, line 12: [derived] rho"``.
    words : bool
        Whether it may compare texts, as covariates do: ``"sex == 'F'"``.

    Returns
    -------
    Expression
        The checked tree.

    Raises
    ------
    ModelFileError
        If the text is not an equation, or uses a name or an operation outside the lists.

    Examples
    --------
    >>> parse("log(foldx) / tmax", ["foldx", "tmax"], where="demo").names() == {"foldx", "tmax"}
    True
    """
    source = " ".join(str(text).split())
    # Python would take the rest of the equation, whose lines are joined here, for a comment.
    if "#" in _QUOTED.sub("", source):
        raise ModelFileError(
            f"{where} = {source!r} has a '#'; put comments outside the quotes of an equation"
        )
    if len(source) > LONGEST_TEXT:
        raise ModelFileError(
            f"{where}: an equation of {len(source)} characters; at most {LONGEST_TEXT} are read"
        )
    try:
        body = ast.parse(source, mode="eval").body
        _refuse_depth(body, where)
        tree = _Walk(where, source, frozenset(known), words).expression(body)
    except SyntaxError as error:
        raise ModelFileError(
            f"{where} = {source!r} is not an equation: {error.msg} near column {error.offset}"
        ) from None
    except (RecursionError, MemoryError):
        raise ModelFileError(f"{where}: the equation is nested too deeply to be read") from None
    return Expression(tree.op, tree.args, source)


def _refuse_depth(node: ast.AST, where: str) -> None:
    """Walking a tree calls itself once per level, and Python's stack is not ours to exhaust."""
    level: list[ast.AST] = [node]
    for _ in range(DEEPEST):
        level = [child for parent in level for child in ast.iter_child_nodes(parent)]
        if not level:
            return
    raise ModelFileError(f"{where}: the equation is nested more than {DEEPEST} deep")


@dataclass(frozen=True)
class _Walk:
    """Turns `ast` nodes into expressions, refusing everything outside the closed list."""

    where: str
    source: str
    known: frozenset[str]
    words: bool

    def fail(self, reason: str) -> ModelFileError:
        return ModelFileError(f"{self.where} = {self.source!r} {reason}")

    def expression(self, node: ast.expr) -> Expression:
        match node:
            case ast.Constant(value=bool()):
                raise self.fail("uses True or False; write a comparison")
            case ast.Constant(value=int() | float() as number):
                return self.number(number)
            case ast.Constant(value=str() as word) if self.words:
                return Expression("constant", (word,))
            case ast.Name(id=name):
                return self.name(name)
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _BINARY:
                return self.binary(_BINARY[type(operator)], left, right)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return Expression("neg", (self.expression(operand),))
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.expression(operand)
            case ast.Compare(left=left, ops=[operator], comparators=[right]) if type(operator) in _COMPARE:
                return Expression(_COMPARE[type(operator)], (self.expression(left), self.expression(right)))
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                return self.call(name, args)
        raise self.fail(
            f"uses {ast.unparse(node)[:60]!r}, which is not allowed; allowed are + - * / **, one comparison "
            f"at a time, and {', '.join(FUNCTIONS)}"
        )

    def number(self, number: float) -> Expression:
        try:
            return Expression("constant", (float(number),))
        except OverflowError:
            raise self.fail("has a number too large to compute with") from None

    def name(self, name: str) -> Expression:
        if name in self.known:
            return Expression("name", (name,))
        if name in FUNCTIONS:
            raise self.fail(f"names the function {name!r} without calling it")
        raise self.fail(
            f"uses {name!r}, which is not a parameter, state, input or derived value defined "
            f"before it{did_you_mean(name, self.known)}"
        )

    def binary(self, op: str, left: ast.expr, right: ast.expr) -> Expression:
        node = Expression(op, (self.expression(left), self.expression(right)))
        if op == "**":
            power = node.args[1]
            while power.op == "neg":
                power = power.args[0]
            if power.op == "**" and power.args[0].op == "constant":
                raise self.fail("raises to a power of a power; write the exponent as one number")
            if power.op == "constant" and not abs(power.args[0]) <= LARGEST_EXPONENT:
                raise self.fail(f"has the exponent {power.args[0]:g}; at most {LARGEST_EXPONENT} is read")
        return node

    def call(self, name: str, args: list[ast.expr]) -> Expression:
        if name not in FUNCTIONS:
            raise self.fail(f"calls {name!r}, which is not a known function{did_you_mean(name, FUNCTIONS)}")
        if len(args) != FUNCTIONS[name]:
            raise self.fail(f"calls {name} with {len(args)} arguments; it takes {FUNCTIONS[name]}")
        return Expression(name, tuple(self.expression(arg) for arg in args))


def evaluate(expression: Expression, values: Mapping[str, Any], ops: Ops) -> Any:
    """Value of an expression.

    Parameters
    ----------
    expression : Expression
        What to compute.
    values : mapping
        A value (number, array, symbolic variable) for every name it uses.
    ops : mapping
        The array library: `NUMPY`, `SCALAR`, or the sampler's.

    Returns
    -------
    object
        Whatever ``ops`` computes with.

    Examples
    --------
    >>> float(evaluate(parse("2 * x", ["x"], where="demo"), {"x": 3.0}, NUMPY))
    6.0
    """
    if expression.op == "constant":
        return expression.args[0]
    if expression.op == "name":
        return values[expression.args[0]]
    return ops[expression.op](*[evaluate(arg, values, ops) for arg in expression.args])


def _as_number(comparison: Callable[..., Any]) -> Callable[..., Any]:
    """A comparison is 1 or 0, so that sums of comparisons count, which sums of NumPy booleans do not."""
    return lambda a, b: np.asarray(comparison(a, b)).astype(float)


NUMPY: Ops = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "**": np.power, "neg": np.negative,
    "<": _as_number(np.less), "<=": _as_number(np.less_equal), ">": _as_number(np.greater),
    ">=": _as_number(np.greater_equal), "==": _as_number(np.equal), "!=": _as_number(np.not_equal),
    "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "abs": np.abs,
    "where": lambda condition, a, b: np.where(np.asarray(condition) != 0, a, b), "minimum": np.minimum, "maximum": np.maximum,
    "softplus": lambda x: np.logaddexp(0.0, x), "logistic": expit,
}  # fmt: skip


def _float_or_inf(function: Callable[..., float]) -> Callable[..., float]:
    """Overflow to infinity and leave the domain to NaN, as arrays do, instead of raising."""

    def guarded(*args: float) -> float:
        try:
            result = function(*args)
        except OverflowError:
            return math.inf
        except (ValueError, ZeroDivisionError):
            return math.nan
        return math.nan if isinstance(result, complex) else result

    return guarded


# For one step of an ODE solver: NumPy on single numbers costs some twenty times more.
SCALAR: Ops = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b,
    "/": _float_or_inf(lambda a, b: a / b), "**": _float_or_inf(lambda a, b: a**b), "neg": lambda a: -a,
    "<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b, "!=": lambda a, b: a != b,
    "exp": _float_or_inf(math.exp), "log": _float_or_inf(math.log), "sqrt": _float_or_inf(math.sqrt), "abs": abs,
    "where": lambda condition, a, b: a if condition else b, "minimum": min, "maximum": max,
    "softplus": lambda x: max(x, 0.0) + math.log1p(math.exp(-abs(x))),
    "logistic": lambda x: 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x)),
}  # fmt: skip
