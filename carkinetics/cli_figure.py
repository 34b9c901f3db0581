"""A picture of an answer: the option, and the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from carkinetics.options import expect_writable


def _writable_figure(figure: Path | None) -> Path | None:
    if figure is not None:
        expect_writable(figure, "--figure")
    return figure


Picture = Annotated[
    Path | None, typer.Option(help="PNG file for a picture of the answer.", callback=_writable_figure)
]


def draw(figure: Path | None, make: Callable[[], Any]) -> None:
    """Save a picture, if one was asked for; matplotlib is loaded only then.

    Parameters
    ----------
    figure : pathlib.Path or None
        A PNG file.
    make : callable
        Gives the Axes, or those of one figure in an array or a list.
    """
    if figure is None:
        return
    import numpy as np

    from carkinetics.plot.axes import png

    (first, *_) = np.ravel(make())
    figure.write_bytes(png(first, dpi=150))
