"""A matplotlib figure → the bytes of an image: SVG where that is small, PNG where there are many points.

The same figure gives the same bytes: no date, and element names from a fixed salt.
"""

from __future__ import annotations

import base64
from io import BytesIO
from typing import Any, cast

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageChops

from carkinetics.report.blocks import Picture

# 90 patients' panels as SVG paths would make a page of tens of megabytes, so that figures of many panels are
# not even tried as SVG.
LARGEST_SVG, MOST_PANELS = 150_000, 9
PNG_DPI = 144
# Of the palette; and how far a colour may move, of 255: less than the eye sees in a thin line.
COLOURS, SEEN = 255, 24


def picture(drawn: Any, alt: str, caption: str, *, warning: str = "", folded: str = "") -> Picture:
    """Put a figure on the page.

    Parameters
    ----------
    drawn : matplotlib.figure.Figure, matplotlib.axes.Axes or ndarray of them
        What a verb of `carkinetics.plot` returned.
    alt : str
        Text for readers who cannot see it.
    caption : str
        Text below it.
    warning : str
        Stands in red above it.
    folded : str
        Title under which it is shown only when opened; always shown if empty.

    Returns
    -------
    Picture
        Not yet drawn.
    """
    first = drawn if isinstance(drawn, Figure | Axes) else drawn.flat[0]
    figure = first if isinstance(first, Figure) else cast(Figure, first.get_figure(root=True))
    return Picture(figure, alt, caption, warning, folded)


def data_uri(figure: Figure) -> str:
    """Draw a figure for an HTML page.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        What to draw.

    Returns
    -------
    str
        Data URI, SVG or PNG, whichever is smaller.
    """
    kind, content = "svg+xml", _svg(figure) if len(figure.axes) <= MOST_PANELS else b""
    if not content:
        kind, content = "png", png(figure)
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


class _TooLargeError(Exception):
    """The drawing would be larger than an SVG may be."""


class _Bounded(BytesIO):
    """A file that ends a drawing as soon as it is too large, which is long before its last point."""

    def write(self, part: Any) -> int:
        if self.tell() + len(part) > LARGEST_SVG:
            raise _TooLargeError
        return super().write(part)


def _svg(figure: Figure) -> bytes:
    """Nothing if it is too large."""
    try:
        return _drawn(figure, "svg", _Bounded(), metadata={"Date": None, "Creator": None})
    except _TooLargeError:
        return b""


def png(figure: Figure, dpi: int = PNG_DPI) -> bytes:
    """Draw a figure as PNG.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        What to draw.
    dpi : int
        Resolution.

    Returns
    -------
    bytes
        The file.
    """
    content = _drawn(
        figure, "png", BytesIO(), dpi=dpi, pil_kwargs={"compress_level": 1}
    )  # read again at once
    drawn = Image.open(BytesIO(content)).convert("RGB")
    # A palette makes the file a third as large. By coverage and not by frequency: a single red point among a
    # thousand blues must stay red.
    few = drawn.quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    apart = np.asarray(ImageChops.difference(drawn, few.convert("RGB"))).max()
    buffer = BytesIO()
    chosen = few if apart <= SEEN else drawn
    chosen.save(buffer, "png", compress_level=8)  # 9 is 4 % smaller and takes twice as long
    return buffer.getvalue()


def _drawn(figure: Figure, kind: str, buffer: BytesIO, **options: Any) -> bytes:
    settings: dict[Any, Any] = {
        "svg.hashsalt": "carkinetics", "svg.fonttype": "path", "figure.autolayout": False,
        "figure.constrained_layout.use": False,  # or a figure without a layout engine would get one again
    }  # fmt: skip
    with mpl.rc_context(settings):
        _place(figure)
        figure.savefig(buffer, format=kind, **options)
    return buffer.getvalue()


def _place(figure: Figure) -> None:
    """Find room for all labels, which takes longest: once for all formats."""
    engine = figure.get_layout_engine()
    if engine is None:
        return
    # A label without a place of its own is measured against all ticks, again and again, even an empty one.
    for axis in (axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)):
        if not axis.get_label_text():
            axis.set_label_coords(0.5, 0.5)
    engine.execute(figure)
    figure.set_layout_engine(None)  # with one, even "none", `savefig` draws twice
