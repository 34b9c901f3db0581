"""A model → the source of numba functions that compute its rates, its outputs and all their derivatives.

The generated functions work on plain arrays: ``theta`` holds the free parameters on their free scale in the order
of the file, ``fixed`` the natural values of the fixed ones and of the declared inputs. What depends on these alone
is computed once per subject and kept in ``static``. A state declared ``log`` is carried as its log. Each output
comes on the scale of its residual error: the log of the level, or the level.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from carkinetics.model.graph import Graph
from carkinetics.model.observe import TINY
from carkinetics.model.residual import RESIDUAL_ERRORS
from carkinetics.model.spec import Model

FROM_FREE = {"log": "exp", "logit": "logistic", "identity": ""}


@dataclass(frozen=True)
class Equations:
    """A model as nodes of one graph.

    Parameters
    ----------
    graph : Graph
        All of it.
    theta, fixed, states, varying : tuple of int
        Nodes of the names that have their value from outside.
    initial, rates, jumped, breaks, outputs : tuple of int
        Nodes of the state just after the first infusion, its rates of change, the state just after a later infusion,
        the times of breaks, and the outputs.
    log_states : tuple of bool
        Which states are carried as their log.
    infused : bool
        Whether an infusion adds to a state.
    stiff : bool
        Whether only the implicit method will do.
    """

    graph: Graph
    theta: tuple[int, ...]
    fixed: tuple[int, ...]
    states: tuple[int, ...]
    varying: tuple[int, ...]
    initial: tuple[int, ...]
    rates: tuple[int, ...]
    jumped: tuple[int, ...]
    breaks: tuple[int, ...]
    outputs: tuple[int, ...]
    log_states: tuple[bool, ...]
    infused: bool
    stiff: bool


def fixed_names(model: Model) -> list[str]:
    """Names of the entries of ``fixed``, in order.

    Parameters
    ----------
    model : Model
        Whose fixed parameters and inputs.

    Returns
    -------
    list of str
        Fixed parameters, then inputs that have one value per subject.
    """
    parameters = [name for name, parameter in model.parameters.items() if parameter.fixed]
    return parameters + [name for name, entry in model.inputs.items() if not entry.varying]


def as_graph(model: Model, log_scale: Iterable[bool]) -> Equations:
    """All equations of a model as one graph.

    Parameters
    ----------
    model : Model
        With a closed form or differential equations.
    log_scale : iterable of bool
        For every output, whether its residual error lives on the log of the level.

    Returns
    -------
    Equations
        The nodes.
    """
    graph = Graph()
    theta = tuple(graph.name(f"theta_{k}") for k in range(len(model.free_parameters)))
    fixed = tuple(graph.name(f"fixed_{k}") for k in range(len(fixed_names(model))))
    known = dict(zip(fixed_names(model), fixed, strict=True))
    for name, node in zip(model.free_parameters, theta, strict=True):
        back = FROM_FREE[model.parameters[name].transform]
        known[name] = graph.make(back, node) if back else node
    varying: list[int] = []
    for name in model.varying_inputs:
        varying.append(graph.name(f"varying_{len(varying)}"))
        on_log = model.inputs[name].interpolation == "log"
        known[name] = graph.make("exp", varying[-1]) if on_log else varying[-1]
    known["t"], amount = graph.name("t"), graph.name("amount")
    states = tuple(graph.name(f"state_{k}") for k in range(len(model.states)))
    for state, node in zip(model.states, states, strict=True):
        known[state.name] = graph.make("exp", node) if state.log else node
    for name, expression in model.derived.items():
        known[name] = graph.add(expression, known)
    initial, rates, jumped = [], [], []
    for state, node in zip(model.states, states, strict=True):
        natural = known[state.name]
        rate = graph.add(state.rate, known)
        rates.append(graph.divide(rate, natural) if state.log else rate)
        start, after = graph.add(state.initial, known), natural
        if state.infused is not None:
            added = graph.add(state.infused, known | {"amount": amount})
            start, after = graph.make("+", start, added), graph.make("+", natural, added)
        initial.append(graph.log_of(start) if state.log else start)
        jumped.append((graph.log_of(after) if state.log else after) if after != natural else node)
    if model.level is not None:
        known["level"] = graph.add(model.level, known)
    outputs = []
    for output, on_log in zip(model.outputs.values(), log_scale, strict=True):
        level = graph.add(output.of, known)
        outputs.append(_log_level(graph, level) if on_log else level)
    return Equations(
        graph, theta, fixed, states, tuple(varying), tuple(initial), tuple(rates), tuple(jumped),
        tuple(graph.add(text, known) for text in model.breaks), tuple(outputs),
        tuple(state.log for state in model.states), any(s.infused is not None for s in model.states), model.stiff,
    )  # fmt: skip


def _log_level(graph: Graph, level: int) -> int:
    """Log of a level; one that rounding has made negative counts as none."""
    if not graph.is_positive(level) and graph.log_of(level) == graph.make("log", level):
        level = graph.make("maximum", level, graph.constant(TINY))
    return graph.log_of(level)


def default_scales(model: Model) -> tuple[bool, ...]:
    """For every output, whether the file's residual error lives on the log of the level.

    Parameters
    ----------
    model : Model
        Whose outputs.

    Returns
    -------
    tuple of bool
        In the order of the file.
    """
    return tuple(RESIDUAL_ERRORS[output.error].log_scale for output in model.outputs.values())


class SourceWriter:
    """Writes the functions of one model, for values alone or with derivatives in every free parameter."""

    def __init__(self, equations: Equations, *, gradient: bool) -> None:
        self.e, self.graph, self.gradient = equations, equations.graph, gradient
        self.n_columns = 1 + (len(equations.theta) if gradient else 0)
        self._derive()
        moving_names = ["t", "amount", *(f"state_{k}" for k in range(len(equations.states)))]
        moving_names += [f"varying_{k}" for k in range(len(equations.varying))]
        self.moving = self.graph.depends(moving_names)
        self.static = self._static_nodes()

    def _derive(self) -> None:
        g, e = self.graph, self.e
        by = e.theta if self.gradient else ()

        def partial(nodes: Iterable[int], names: Iterable[int]) -> list[list[int]]:
            return [[g.derivative(node, name) for name in names] for node in nodes]

        self.rates_by_state = partial(e.rates, e.states)
        self.rates_by_theta, self.initial_by_theta = partial(e.rates, by), partial(e.initial, by)
        self.jump_by_state, self.jump_by_theta = partial(e.jumped, e.states), partial(e.jumped, by)
        self.breaks_by_theta = partial(e.breaks, by)
        self.outputs_by_state = partial(e.outputs, e.states if self.gradient else ())
        self.outputs_by_theta = partial(e.outputs, by)

    def _roots(self) -> list[int]:
        e = self.e
        tables = [self.rates_by_state, self.rates_by_theta, self.initial_by_theta, self.breaks_by_theta]
        tables += [self.outputs_by_state, self.outputs_by_theta]
        if e.infused:
            tables += [self.jump_by_state, self.jump_by_theta]
        roots = [*e.initial, *e.rates, *e.breaks, *e.outputs, *(e.jumped if e.infused else ())]
        return roots + [node for table in tables for row in table for node in row]

    def _static_nodes(self) -> list[int]:
        """Nodes that are computed once per subject: not moving, and used by something that moves or as a root."""
        roots = self._roots()
        used = set(roots)
        for node in self.graph.needed(roots):
            if self.moving[node]:
                op, *args = self.graph.nodes[node]
                used.update(args if op not in ("name", "constant") else ())
        return [n for n in sorted(used) if not self.moving[n] and self.graph.value(n) is None]

    # ---- functions --------------------------------------------------------------------------------------------

    def write(self) -> str:
        """All functions and sizes, as the text of a module's body."""
        e = self.e
        parts = [
            f"N_STATES, N_COLUMNS, N_STATIC, N_BREAKS = {len(e.states)}, {self.n_columns}, {len(self.static)}, {len(e.breaks)}",
            f"N_THETA, N_FIXED, N_SCHEDULE = {len(e.theta)}, {len(e.fixed)}, {2 + 2 * len(e.varying)}",
            f"LOG_STATES, INFUSED, STIFF = {(*e.log_states,)!r}, {e.infused}, {e.stiff}",
            self._function("begin", "theta, fixed, static", self._begin()),
            self._function("observe", "t, state, static, schedule, row, output, by_theta", self._observe()),
        ]
        if e.states:
            parts += [
                self._function(
                    "initial", "static, amount, state", self._state_function(e.initial, self.initial_by_theta)
                ),
                self._function("breaks", "static, stops, by_theta", self._breaks()),
                self._function("rates", "t, state, static, schedule, row, change", self._rates()),
                self._function("jump", "static, amount, state", self._jump()),
                self._function(
                    "newton",
                    "t, state, static, schedule, row, change, by_state, by_parameter",
                    self._newton(),
                ),
            ]
        return "\n\n".join(parts) + "\n"

    @staticmethod
    def _function(name: str, arguments: str, lines: list[str]) -> str:
        body = "\n".join(f"    {line}" for line in lines or ["pass"])
        return f"@njit(**JIT)\ndef {name}({arguments}):\n{body}"

    def _written(self) -> dict[int, str]:
        written = {node: f"static[{k}]" for k, node in enumerate(self.static)}
        written |= {node: f"state[{k}, 0]" for k, node in enumerate(self.e.states)}
        for k, node in enumerate(self.e.varying):
            at = f"schedule[row, {2 + 2 * k}]", f"schedule[row, {3 + 2 * k}]"
            written[node] = f"({at[0]} + {at[1]} * (t - schedule[row, 0]))"
        written[self.graph.name("t")] = "t"
        written[self.graph.name("amount")] = "amount"
        return written

    def _begin(self) -> list[str]:
        written = {node: f"theta[{k}]" for k, node in enumerate(self.e.theta)}
        written |= {node: f"fixed[{k}]" for k, node in enumerate(self.e.fixed)}
        lines, texts = self.graph.source(self.static, written)
        return lines + [f"static[{k}] = {text}" for k, text in enumerate(texts)]

    def _compute(self, *tables: Iterable[int]) -> tuple[list[str], list[list[str]]]:
        """Lines that compute several lists of nodes, and the texts of each list."""
        lists = [list(table) for table in tables]
        lines, texts = self.graph.source([node for table in lists for node in table], self._written())
        found, start = [], 0
        for table in lists:
            found.append(texts[start : start + len(table)])
            start += len(table)
        return lines, found

    def _is_zero(self, node: int) -> bool:
        return self.graph.value(node) == 0

    def _state_function(self, nodes: Iterable[int], by_theta: list[list[int]]) -> list[str]:
        lines, (values, *slopes) = self._compute(nodes, *by_theta)
        for i, value in enumerate(values):
            lines.append(f"state[{i}, 0] = {value}")
            lines += [f"state[{i}, {k + 1}] = {slope}" for k, slope in enumerate(slopes[i] if slopes else [])]
        return lines

    def _breaks(self) -> list[str]:
        lines, (values, *slopes) = self._compute(self.e.breaks, *self.breaks_by_theta)
        for i, value in enumerate(values):
            lines.append(f"stops[{i}] = {value}")
            lines += [f"by_theta[{i}, {k}] = {slope}" for k, slope in enumerate(slopes[i] if slopes else [])]
        return lines

    def _rates(self) -> list[str]:
        n = len(self.e.states)
        if not self.gradient:
            lines, (values,) = self._compute(self.e.rates)
            return lines + [f"change[{i}, 0] = {value}" for i, value in enumerate(values)]
        lines, texts = self._compute(self.e.rates, *self.rates_by_state, *self.rates_by_theta)
        values, by_state, by_theta = texts[0], texts[1 : 1 + n], texts[1 + n :]
        lines += [f"change[{i}, 0] = {value}" for i, value in enumerate(values)]
        lines += self._carried("change[{i}, k]", self.rates_by_state, by_state, "state[{j}, k]")
        for i in range(n):
            lines += [
                f"change[{i}, {k + 1}] += {by_theta[i][k]}"
                for k, node in enumerate(self.rates_by_theta[i])
                if not self._is_zero(node)
            ]
        return lines

    def _carried(self, target: str, nodes: list[list[int]], texts: list[list[str]], source: str) -> list[str]:
        """The loop over parameters that multiplies derivatives in the states by those of the states."""
        lines = [f"for k in range(1, {self.n_columns}):"]
        for i, row in enumerate(nodes):
            terms = [
                f"{texts[i][j]} * {source.format(j=j)}"
                for j, node in enumerate(row)
                if not self._is_zero(node)
            ]
            lines.append(f"    {target.format(i=i)} = {' + '.join(terms) or '0.0'}")
        return lines

    def _newton(self) -> list[str]:
        n = len(self.e.states)
        lines, texts = self._compute(self.e.rates, *self.rates_by_state, *self.rates_by_theta)
        lines += [f"change[{i}, 0] = {value}" for i, value in enumerate(texts[0])]
        lines += [f"by_state[{i}, {j}] = {texts[1 + i][j]}" for i in range(n) for j in range(n)]
        if self.gradient:
            lines += [
                f"by_parameter[{i}, {k}] = {texts[1 + n + i][k]}"
                for i in range(n)
                for k in range(self.n_columns - 1)
            ]
        return lines

    def _jump(self) -> list[str]:
        if not self.e.infused:
            return []
        n = len(self.e.states)
        if not self.gradient:
            lines, (values,) = self._compute(self.e.jumped)
            return [
                *lines,
                *(f"new{i} = {v}" for i, v in enumerate(values)),
                *(f"state[{i}, 0] = new{i}" for i in range(n)),
            ]
        lines, texts = self._compute(self.e.jumped, *self.jump_by_state, *self.jump_by_theta)
        lines += [f"new{i} = {value}" for i, value in enumerate(texts[0])]
        for i in range(n):  # every derivative of the jump is computed before a state changes
            lines += [f"s{i}_{j} = {texts[1 + i][j]}" for j in range(n)]
            lines += [f"p{i}_{k} = {texts[1 + n + i][k]}" for k in range(self.n_columns - 1)]
        lines += [f"for k in range(1, {self.n_columns}):"]
        lines += [
            f"    c{i} = " + " + ".join(f"s{i}_{j} * state[{j}, k]" for j in range(n)) for i in range(n)
        ]
        lines += [f"    state[{i}, k] = c{i}" for i in range(n)]
        lines += [f"state[{i}, {k + 1}] += p{i}_{k}" for i in range(n) for k in range(self.n_columns - 1)]
        return lines + [f"state[{i}, 0] = new{i}" for i in range(n)]

    def _observe(self) -> list[str]:
        lines: list[str] = []
        several = len(self.e.outputs) > 1
        for number, node in enumerate(self.e.outputs):
            body = self._observe_one(number, node)
            if several and number < len(self.e.outputs) - 1:
                lines += [f"if output == {number}:", *(f"    {line}" for line in body)]
            else:
                lines += body
        return lines

    def _observe_one(self, number: int, node: int) -> list[str]:
        if not self.gradient:
            lines, ((value,),) = self._compute([node])
            return [*lines, f"return {value}"]
        by_state, by_theta = self.outputs_by_state[number], self.outputs_by_theta[number]
        lines, ((value,), states, thetas) = self._compute([node], by_state, by_theta)
        terms = [
            f"{text} * state[{j}, k + 1]" for j, text in enumerate(states) if not self._is_zero(by_state[j])
        ]
        lines += [f"for k in range({self.n_columns - 1}):", f"    by_theta[k] = {' + '.join(terms) or '0.0'}"]
        lines += [
            f"by_theta[{k}] += {text}" for k, text in enumerate(thetas) if not self._is_zero(by_theta[k])
        ]
        return [*lines, f"return {value}"]


def module_body(model: Model, log_scale: Iterable[bool], *, gradient: bool) -> str:
    """The generated part of a model's module.

    Parameters
    ----------
    model : Model
        What to compute.
    log_scale : iterable of bool
        See `as_graph`.
    gradient : bool
        Whether with derivatives in the free parameters.

    Returns
    -------
    str
        Python source.
    """
    return SourceWriter(as_graph(model, log_scale), gradient=gradient).write()
