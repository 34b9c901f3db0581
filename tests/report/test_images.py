import base64

from matplotlib.figure import Figure

from carkinetics.report.images import LARGEST_SVG, MOST_PANELS, data_uri, picture, png


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
