import base64
from io import BytesIO

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from carkinetics.report.images import COLOURS, LARGEST_SVG, MOST_PANELS, SEEN, data_uri, picture, png


def drawn(points: int, panels: int = 1) -> str:
    figure = Figure(figsize=(3 * panels, 3), layout="constrained")
    for ax in figure.subplots(1, panels, squeeze=False).flat:
        ax.scatter(range(points), range(points))
    return data_uri(figure)


def test_a_small_figure_is_svg_and_the_same_bytes_each_time():
    first = drawn(5)
    assert first.startswith("data:image/svg+xml;base64,")
    assert first == drawn(5)
    content = base64.b64decode(first.partition(",")[2])
    assert len(content) <= LARGEST_SVG
    assert b"<dc:date>" not in content


def test_a_figure_of_many_points_or_panels_is_png():
    assert drawn(5000).startswith("data:image/png;base64,")
    assert drawn(5, MOST_PANELS + 1).startswith("data:image/png;base64,")


def test_the_size_on_the_page_is_that_of_the_figure():
    found = picture(Figure(figsize=(10, 5)), "alt", "caption")
    assert (found.width, found.height) == (960, 480)
    assert found.is_wide


def test_a_figure_can_be_drawn_in_both_formats():
    """For Word after the page."""
    figure = Figure(figsize=(3, 3), layout="constrained")
    figure.add_subplot().plot([1, 2])
    assert data_uri(figure).startswith("data:image/svg+xml")
    assert png(figure).startswith(b"\x89PNG")


def test_labels_are_placed_where_matplotlib_places_them():
    """Shortcuts on the way (empty labels, one layout for all formats) move nothing."""

    def panels() -> Figure:
        figure = Figure(figsize=(5, 3), layout="constrained")
        for ax in figure.subplots(1, 2):
            ax.plot([1, 2000], [3, 4])
            ax.set_title("two\nlines")
        figure.axes[0].set_ylabel("level")
        figure.supxlabel("days")
        return figure

    ours, plain = panels(), panels()
    png(ours)
    plain.draw_without_rendering()
    for ax, other in zip(ours.axes, plain.axes, strict=True):
        np.testing.assert_array_equal(ax.get_position().get_points(), other.get_position().get_points())


def test_a_rare_colour_stays_beside_a_thousand_others():
    figure = Figure(figsize=(6, 4))
    ax = figure.add_subplot()
    ax.imshow(np.arange(10_000).reshape(100, 100), cmap="viridis")
    ax.plot(50, 50, "o", color="#D55E00", markersize=4)
    colours = np.asarray(Image.open(BytesIO(png(figure))).convert("RGB"), dtype=int).reshape(-1, 3)
    assert np.abs(colours - (0xD5, 0x5E, 0x00)).max(axis=1).min() <= SEEN


def test_a_picture_with_few_colours_has_a_palette_and_one_with_all_of_them_is_left_alone():
    figure = Figure(figsize=(3, 3))
    figure.add_subplot().plot([1, 2])
    assert Image.open(BytesIO(png(figure))).mode == "P"
    rng = np.random.default_rng(1)
    figure = Figure(figsize=(3, 3))
    figure.add_subplot().imshow(rng.random((90, 90, 3)))
    found = Image.open(BytesIO(png(figure))).convert("RGB")
    assert len(found.getcolors(1_000_000)) > COLOURS
