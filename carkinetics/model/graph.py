"""Equations as one graph: equal parts once, exact derivatives, and Python source for numba.

`Expression` is what a reader wrote; a `Graph` is what a compiler needs. Every node stands once, however often the
equations use it; constants fold; and a few identities keep the code short and safe far from zero: the log of a
product of positive factors is a sum, a rate divided by its own log state cancels, and a ratio of two exponentials
is one exponential.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from carkinetics.model.expression import SCALAR, Expression

Node = tuple[Any, ...]
_COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
_CALLS = {
    "exp": "math.exp({0})", "log": "math.log({0})", "sqrt": "math.sqrt({0})", "abs": "abs({0})",
    "softplus": "softplus({0})", "logistic": "logistic({0})", "neg": "(-{0})",
    "minimum": "min({0}, {1})", "maximum": "max({0}, {1})", "where": "({1} if {0} != 0.0 else {2})",
    "+": "({0} + {1})", "-": "({0} - {1})", "*": "({0} * {1})", "/": "({0} / {1})", "**": "({0} ** {1})",
    **{op: f"(1.0 if {{0}} {op} {{1}} else 0.0)" for op in _COMPARISONS},
}  # fmt: skip
# A power this small is a product, which is exact and several times quicker than pow().
LARGEST_PRODUCT = 8


class Graph:
    """Nodes of all equations of a model, by number; arguments have smaller numbers than their users."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._number: dict[Node, int] = {}
        self._derivatives: dict[tuple[int, int], int] = {}

    def name(self, name: str) -> int:
        """Node of a name that has its value from outside."""
        return self._keep(("name", name))

    def constant(self, value: float) -> int:
        """Node of a number."""
        return self._keep(("constant", float(value)))

    def add(self, expression: Expression, known: Mapping[str, int]) -> int:
        """Node of an expression whose names have the given nodes."""
        if expression.op == "constant":
            return self.constant(expression.args[0])
        if expression.op == "name":
            return known[expression.args[0]]
        return self.make(expression.op, *(self.add(arg, known) for arg in expression.args))

    def make(self, op: str, *args: int) -> int:
        """Node of an operation, simplified."""
        values = [self.value(arg) for arg in args]
        if op not in ("name", "constant") and all(value is not None for value in values):
            return self.constant(float(SCALAR[op](*values)))
        simpler = getattr(self, _RULES[op])(*args) if op in _RULES else None
        return self._keep((op, *args)) if simpler is None else simpler

    def value(self, node: int) -> float | None:
        """The number of a constant node, else None."""
        op, *args = self.nodes[node]
        return args[0] if op == "constant" else None

    def _keep(self, node: Node) -> int:
        if node not in self._number:
            self._number[node] = len(self.nodes)
            self.nodes.append(node)
        return self._number[node]

    # ---- identities -------------------------------------------------------------------------------------------

    def _sum(self, a: int, b: int) -> int | None:
        if self.value(a) == 0:
            return b
        if self.value(b) == 0:
            return a
        if self.nodes[b][0] == "neg":
            return self.make("-", a, self.nodes[b][1])
        if self.nodes[a][0] == "neg":
            return self.make("-", b, self.nodes[a][1])
        return None if a <= b else self.make("+", b, a)

    def _difference(self, a: int, b: int) -> int | None:
        if self.value(b) == 0:
            return a
        if self.value(a) == 0:
            return self.make("neg", b)
        if a == b:
            return self.constant(0.0)
        if self.nodes[b][0] == "neg":
            return self.make("+", a, self.nodes[b][1])
        if self.value(a) == 1 and self.nodes[b][0] == "logistic":
            return self.make("logistic", self.make("neg", self.nodes[b][1]))
        return None

    def _product(self, a: int, b: int) -> int | None:
        for one, other in ((a, b), (b, a)):
            if self.value(one) == 0:
                return self.constant(0.0)
            if self.value(one) == 1:
                return other
            if self.value(one) == -1:
                return self.make("neg", other)
            if self.nodes[one][0] == "neg":
                return self.make("neg", self.make("*", self.nodes[one][1], other))
        return None if a <= b else self.make("*", b, a)

    def _quotient(self, a: int, b: int) -> int | None:
        if self.value(a) == 0:
            return self.constant(0.0)
        if self.value(b) == 1:
            return a
        if a == b:
            return self.constant(1.0)
        op, *args = self.nodes[a]
        if op == "neg":
            return self.make("neg", self.make("/", args[0], b))
        if self.nodes[b][0] != "exp":
            return None
        if op == "exp":
            return self._ratio(args[0], self.nodes[b][1])
        if (
            op == "*"
            and (factor := next((f for f in args if self._contains_exp_factor(f)), None)) is not None
        ):
            other = args[1] if factor == args[0] else args[0]
            return self.make("*", other, self.make("/", factor, b))
        return None

    def _contains_exp_factor(self, node: int) -> bool:
        op, *args = self.nodes[node]
        return op == "exp" or (op == "*" and any(self._contains_exp_factor(arg) for arg in args))

    def _ratio(self, a: int, b: int) -> int:
        """exp(a) / exp(b), one of the two directions serving for both."""
        if a < b:
            return self.make("exp", self.make("-", a, b))
        return self._keep(("/", self.constant(1.0), self.make("exp", self.make("-", b, a))))

    def _negative(self, a: int) -> int | None:
        op, *args = self.nodes[a]
        if op == "neg":
            return args[0]
        return self.make("-", args[1], args[0]) if op == "-" else None

    def _logarithm(self, a: int) -> int | None:
        return self.nodes[a][1] if self.nodes[a][0] == "exp" else None

    def _exponential(self, a: int) -> int | None:
        return self.nodes[a][1] if self.nodes[a][0] == "log" and self.is_positive(self.nodes[a][1]) else None

    def _power(self, a: int, b: int) -> int | None:
        power = self.value(b)
        if power is None or power != int(power) or not 0 <= power <= LARGEST_PRODUCT:
            return None
        result = self.constant(1.0)
        for _ in range(int(power)):
            result = self.make("*", result, a)
        return result

    def _choice(self, condition: int, then: int, otherwise: int) -> int | None:
        if then == otherwise:
            return then
        fixed = self.value(condition)
        return None if fixed is None else (then if fixed else otherwise)

    def is_positive(self, node: int) -> bool:
        """Whether a node is above 0 whatever the names in it."""
        op, *args = self.nodes[node]
        match op:
            case "constant":
                return args[0] > 0
            case "exp" | "logistic" | "softplus":
                return True
            case "+" | "*" | "/" | "minimum":
                return all(self.is_positive(arg) for arg in args)
            case "maximum":
                return any(self.is_positive(arg) for arg in args)
            case "sqrt" | "**":
                return self.is_positive(args[0])
            case "where":
                return self.is_positive(args[1]) and self.is_positive(args[2])
        return False

    def log_of(self, node: int) -> int:
        """Log of a node, as a sum of logs where the factors are positive."""
        op, *args = self.nodes[node]
        if op in ("*", "/") and any(self.is_positive(arg) for arg in args):
            return self.make("+" if op == "*" else "-", self.log_of(args[0]), self.log_of(args[1]))
        if op == "where":
            return self.make("where", args[0], self.log_of(args[1]), self.log_of(args[2]))
        if op in ("minimum", "maximum") and all(self.is_positive(arg) for arg in args):
            return self.make(op, self.log_of(args[0]), self.log_of(args[1]))
        if op == "**" and self.is_positive(args[0]):
            return self.make("*", args[1], self.log_of(args[0]))
        if op == "logistic":
            return self.make("neg", self.make("softplus", self.make("neg", args[0])))
        return self.make("log", node)

    def divide(self, node: int, by: int) -> int:
        """A rate divided by its state, term by term, so that the state cancels where it is a factor."""
        op, *args = self.nodes[node]
        if op in ("+", "-"):
            return self.make(op, self.divide(args[0], by), self.divide(args[1], by))
        if op == "neg":
            return self.make("neg", self.divide(args[0], by))
        if op == "where":
            return self.make("where", args[0], self.divide(args[1], by), self.divide(args[2], by))
        quotient = self._cancelled(node, by)
        return self.make("/", node, by) if quotient is None else quotient

    def _cancelled(self, node: int, by: int) -> int | None:
        """The node without its factor ``by``; None if it has no such factor."""
        if node == by:
            return self.constant(1.0)
        op, *args = self.nodes[node]
        if op == "*":
            for one, other in ((args[0], args[1]), (args[1], args[0])):
                if (left := self._cancelled(one, by)) is not None:
                    return self.make("*", left, other)
        if op == "/" and (left := self._cancelled(args[0], by)) is not None:
            return self.make("/", left, args[1])
        if op in ("+", "-"):
            both = [self._cancelled(arg, by) for arg in args]
            if both[0] is not None and both[1] is not None:
                return self.make(op, both[0], both[1])
        return None

    # ---- derivatives ------------------------------------------------------------------------------------------

    def derivative(self, node: int, by: int) -> int:
        """Partial derivative of a node in a named one. At a kink the right-hand side of a comparison holds."""
        key = (node, by)
        if key not in self._derivatives:
            self._derivatives[key] = self._derive(node, by)
        return self._derivatives[key]

    def _derive(self, node: int, by: int) -> int:
        op, *args = self.nodes[node]
        if op == "name":
            return self.constant(1.0 if node == by else 0.0)
        if op == "constant" or op in _COMPARISONS:
            return self.constant(0.0)
        if op == "where":
            return self.make("where", args[0], self.derivative(args[1], by), self.derivative(args[2], by))
        inner = [self.derivative(arg, by) for arg in args]
        if all(self.value(d) == 0 for d in inner):
            return self.constant(0.0)
        return self._chain(node, op, args, inner)

    def _chain(self, node: int, op: str, a: list[int], d: list[int]) -> int:  # noqa: C901 (a table)
        make, constant = self.make, self.constant
        match op:
            case "+" | "-" | "neg":
                return make(op, *d)
            case "*":
                return make("+", make("*", d[0], a[1]), make("*", a[0], d[1]))
            case "/":
                return make("-", make("/", d[0], a[1]), make("*", node, make("/", d[1], a[1])))
            case "exp":
                return make("*", node, d[0])
            case "log":
                return make("/", d[0], a[0])
            case "sqrt":
                return make("/", make("*", constant(0.5), d[0]), node)
            case "abs":
                return make("where", make("<", a[0], constant(0.0)), make("neg", d[0]), d[0])
            case "softplus":
                return make("*", make("logistic", a[0]), d[0])
            case "logistic":
                return make("*", make("*", node, make("-", constant(1.0), node)), d[0])
            case "minimum" | "maximum":
                first = make("<" if op == "minimum" else ">", a[0], a[1])
                return make("where", first, d[0], d[1])
            case "**":
                by_base = make("*", make("*", a[1], make("**", a[0], make("-", a[1], constant(1.0)))), d[0])
                if self.value(d[1]) == 0:
                    return by_base
                return make("+", by_base, make("*", make("*", node, make("log", a[0])), d[1]))
        raise AssertionError(f"no derivative of {op}")

    # ---- source -----------------------------------------------------------------------------------------------

    def needed(self, roots: Iterable[int], stop: Iterable[int] = ()) -> list[int]:
        """Numbers of all nodes that the roots rest on, in an order of computation; ``stop`` are known already."""
        known, found, open_ = set(stop), set(), list(roots)
        while open_:
            node = open_.pop()
            if node in found or node in known:
                continue
            found.add(node)
            op, *args = self.nodes[node]
            if op not in ("name", "constant"):
                open_ += args
        return sorted(found)

    def depends(self, names: Iterable[str]) -> list[bool]:
        """For every node, whether any of these names is in it."""
        leaves = set(names)
        moving: list[bool] = []
        for op, *args in self.nodes:
            if op in ("name", "constant"):
                moving.append(op == "name" and args[0] in leaves)
            else:
                moving.append(any(moving[arg] for arg in args))
        return moving

    def source(self, roots: Iterable[int], written: Mapping[int, str]) -> tuple[list[str], list[str]]:
        """Assignments that compute the roots, and the text of each root.

        Parameters
        ----------
        roots : iterable of int
            What is wanted.
        written : mapping of int to str
            Text of the nodes that are known already: every name, and what was computed before.

        Returns
        -------
        tuple of (list of str, list of str)
            Lines without indentation; one text per root.
        """
        wanted = list(roots)
        text, lines = dict(written), []
        for node in self.needed(wanted, written):
            op, *args = self.nodes[node]
            if op == "constant":
                text[node] = _literal(args[0])
                continue
            text[node] = f"v{node}"
            lines.append(f"v{node} = {_CALLS[op].format(*(text[arg] for arg in args))}")
        return lines, [text[root] for root in wanted]


def _literal(value: float) -> str:
    if not math.isfinite(value):
        return "math.nan" if math.isnan(value) else f"({'-' if value < 0 else ''}math.inf)"
    return repr(value) if value >= 0 else f"({value!r})"


_RULES = {
    "+": "_sum", "-": "_difference", "*": "_product", "/": "_quotient", "neg": "_negative", "log": "_logarithm",
    "exp": "_exponential", "**": "_power", "where": "_choice",
}  # fmt: skip
