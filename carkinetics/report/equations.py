"""A model's equations as MathML, which every browser draws without a script or a font."""

from __future__ import annotations

from latex2mathml.converter import convert
from markupsafe import Markup

from carkinetics.model import Model
from carkinetics.model.formula import latex, symbol
from carkinetics.report.blocks import Equations

_BRACE = '<mo stretchy="true" fence="true" form="prefix">&#x0007B;</mo><mtable>'


def model_equations(model: Model) -> Equations:
    """Derived values, states or closed form, what an infusion adds, and what is observed.

    A state that is solved as its log is shown as the plain equation that it is.

    Parameters
    ----------
    model : Model
        The description.

    Returns
    -------
    Equations
        In the order in which they are computed.
    """
    lines = [f"{symbol(name)} = {latex(expression)}" for name, expression in model.derived.items()]
    lines += [rf"{symbol(state.name)}(0) = {latex(state.initial)}" for state in model.states]
    lines += [
        rf"\Delta\,{symbol(state.name)} = {latex(state.infused)} \quad \text{{at every infusion}}"
        for state in model.states
        if state.infused is not None
    ]
    lines += [rf"\frac{{d\,{symbol(state.name)}}}{{d\,t}} = {latex(state.rate)}" for state in model.states]
    if model.level is not None:
        lines.append(rf"\mathrm{{level}}(t) = {latex(model.level)}")
    several = len(model.outputs) > 1
    for name, output in model.outputs.items():
        if several or latex(output.of) != symbol("level"):
            what = f"observed {name.replace('_', ' ')}" if several else "observed"
            lines.append(rf"\text{{{what}}}(t) = {latex(output.of)}")
    return Equations(tuple(mathml(line) for line in lines))


def mathml(text: str) -> Markup:
    """MathML of one LaTeX equation.

    Parameters
    ----------
    text : str
        LaTeX without dollar signs.

    Returns
    -------
    markupsafe.Markup
        A ``<math>`` element.
    """
    # Safe as markup: the LaTeX comes from expressions that were parsed against a closed list of names.
    # Without a mathematical font a browser does not stretch the brace of cases: the style sheet draws it.
    return Markup(convert(text, display="block").replace(_BRACE, '<mtable class="cases">'))
