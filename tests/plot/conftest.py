from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes


def draw(axes: Any) -> int:
    """Render the figure of an Axes or of an array of them; a warning on the way fails the test."""
    first = axes if isinstance(axes, Axes) else np.asarray(axes).ravel()[0]
    figure, buffer = first.get_figure(root=True), BytesIO()
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine(None)  # else savefig draws twice
    figure.savefig(buffer, format="png", dpi=60)
    return len(buffer.getvalue())


@pytest.fixture(scope="session")
def rendered() -> Callable[[Any], int]:
    return draw
