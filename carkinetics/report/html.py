"""A document → one HTML page that asks for nothing, and runs only scripts whose hash it names."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from itertools import count

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from carkinetics.report.blocks import Chart, Document
from carkinetics.report.images import data_uri
from carkinetics.report.paper import anchor, entries, without_charts

# The scripts of the page, in the order in which they run.
SCRIPTS = ("tables.js", "charts.js")


@dataclass(frozen=True)
class Scripts:
    """What runs in the page.

    Parameters
    ----------
    own : sequence of markupsafe.Markup
        Scripts that run when the page is opened.
    plotly : str
        The charting library, compressed and in base64, for the script that unpacks it; empty without charts.
    policy : str
        Hashes of all of them, as the Content-Security-Policy wants them.
    """

    own: tuple[Markup, ...] = ()
    plotly: str = ""
    policy: str = ""


def page(document: Document, *, interactive: bool = True) -> str:
    """Write a document as HTML.

    Parameters
    ----------
    document : Document
        What to write.
    interactive : bool
        Whether charts can be explored and tables be sorted; without, there is no script in the page.

    Returns
    -------
    str
        The page.
    """
    if not interactive:
        document = without_charts(document)
    environment = Environment(
        loader=PackageLoader("carkinetics.report", "."), autoescape=True, undefined=StrictUndefined
    )
    environment.filters |= {"data_uri": data_uri, "json_data": json_data}
    numbers = count(1)
    return environment.get_template("page.html.j2").render(
        document=document,
        scripts=_scripts(document) if interactive else Scripts(),
        next_number=lambda: next(numbers),
        anchor=anchor,
        entries=entries,
    )


def json_data(value: object) -> Markup:
    r"""Write data for a script element that holds no script.

    Parameters
    ----------
    value : object
        Lists, dicts, texts, numbers.

    Returns
    -------
    markupsafe.Markup
        JSON in which no text can end the element.

    Examples
    --------
    >>> json_data({"id": "</script>"})
    Markup('{"id":"\\u003c/script>"}')
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))


def _scripts(document: Document) -> Scripts:
    charts = any(isinstance(block, Chart) for section in document.sections for block in section.blocks)
    # Safe as markup: files of this package.
    own = tuple(Markup(_source(name)) for name in (SCRIPTS if charts else SCRIPTS[:1]))
    hashes = [_hash(text) for text in own]
    packed, plotly_hash = _plotly() if charts else ("", "")
    return Scripts(own, packed, " ".join([*hashes, plotly_hash]).strip())


def _source(name: str) -> str:
    return files("carkinetics.report").joinpath(name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _plotly() -> tuple[str, str]:
    """Plotly's script, compressed to three tenths, and the hash of what comes out of it."""
    from plotly.offline import get_plotlyjs  # takes a second, and only here

    source = get_plotlyjs()
    packed = gzip.compress(source.encode(), compresslevel=9, mtime=0)  # without a time: the same bytes again
    return base64.b64encode(packed).decode(), _hash(source)


def _hash(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"
