"""MathML → Office MathML, so that Word shows a model's equations as equations that can be edited.

The elements are those that `latex2mathml` makes of our expressions; ISO/IEC 29500-1, part 22.1, names Word's.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from carkinetics.errors import ReportError

MATH = "http://schemas.openxmlformats.org/officeDocument/2006/math"
THIN, WIDE = "\u2009", "\u2003"
GROUPS = ("math", "mrow", "mtd", "mstyle")
SCRIPTS = {
    "mfrac": ("f", ("num", "den")),
    "msup": ("sSup", ("e", "sup")),
    "msub": ("sSub", ("e", "sub")),
    "msubsup": ("sSubSup", ("e", "sub", "sup")),
    "mover": ("limUpp", ("e", "lim")),
    "munder": ("limLow", ("e", "lim")),
}


def omml(mathml: str) -> str:
    """Convert one equation.

    Parameters
    ----------
    mathml : str
        A ``<math>`` element.

    Returns
    -------
    str
        An ``<m:oMath>`` element, which a Word paragraph can hold.

    Raises
    ------
    ReportError
        If an element is unknown: an equation is not shown with a part missing.

    Examples
    --------
    >>> omml("<math><mfrac><mi>a</mi><mn>2</mn></mfrac></math>").count("<m:num>")
    1
    """
    root = Element(_name("oMath"))
    root.extend(_converted(ElementTree.fromstring(mathml)))
    ElementTree.register_namespace("m", MATH)
    return ElementTree.tostring(root, encoding="unicode")


def _name(tag: str) -> str:
    return f"{{{MATH}}}{tag}"


def _made(tag: str, *children: Element, **attributes: str) -> Element:
    found = Element(_name(tag), {_name(key): value for key, value in attributes.items()})
    found.extend(children)
    return found


def _tag(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _converted(element: Element) -> list[Element]:
    """Word's elements for one of MathML."""
    tag, children = _tag(element), list(element)
    if tag in GROUPS:
        return _row(children)
    if tag in SCRIPTS:
        name, roles = SCRIPTS[tag]
        return [
            _made(
                name, *(_made(role, *_converted(child)) for role, child in zip(roles, children, strict=True))
            )
        ]
    if tag == "msqrt":
        hidden = _made("radPr", _made("degHide", val="1"))
        return [_made("rad", hidden, _made("deg"), _made("e", *_row(children)))]
    if tag == "mtable":
        return [_cases(children)]
    if tag == "mspace":
        return [_run(WIDE if element.get("width") == "1em" else THIN, "p")]
    if tag in ("mi", "mn", "mo", "mtext"):
        text = element.text or ""
        upright = tag != "mi" or element.get("mathvariant") == "normal" or len(text) > 1
        return [_run(text, "p" if upright else "i")]
    raise ReportError(f"an equation has <{tag}>, which cannot be written for Word")


def _row(children: Sequence[Element]) -> list[Element]:
    """Things side by side; brackets that grow with what they hold are one thing."""
    if len(children) > 1 and children[0].get("form") == "prefix" and children[-1].get("form") == "postfix":
        return [_brackets(children[0].text or "", children[-1].text or "", _row(children[1:-1]))]
    found: list[Element] = []
    for child in children:
        found += _converted(child)
    return _joined(found)


def _brackets(left: str, right: str, inside: list[Element]) -> Element:
    properties = _made("dPr", _made("begChr", val=left), _made("endChr", val=right))
    return _made("d", properties, _made("e", *inside))


def _cases(rows: Sequence[Element]) -> Element:
    """A brace over rows of value and condition."""
    columns = max(len(row) for row in rows)
    left = _made("mcPr", _made("count", val=str(columns)), _made("mcJc", val="left"))
    lines = [_made("mr", *(_made("e", *_converted(cell)) for cell in row)) for row in rows]
    table = _made("m", _made("mPr", _made("mcs", _made("mc", left))), *lines)
    return _brackets("{", "", [table])


def _run(text: str, style: str) -> Element:
    """Letters: ``p`` upright, ``i`` italic."""
    letters = _made("t")
    letters.text = text
    letters.set("{http://www.w3.org/XML/1998/namespace}space", "preserve")
    return _made("r", _made("rPr", _made("sty", val=style)), letters)


def _joined(runs: list[Element]) -> list[Element]:
    """Neighbouring letters of one style as one run: a name is one word and not its letters."""
    found: list[Element] = []
    for run in runs:
        before = found[-1] if found else None
        if before is not None and _style(before) == _style(run) == "p":
            before[-1].text = (before[-1].text or "") + (run[-1].text or "")
        else:
            found.append(run)
    return found


def _style(element: Element) -> str:
    return element[0][0].get(_name("val"), "") if _tag(element) == "r" else ""
