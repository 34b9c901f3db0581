"""The tables and figures of models/README.md, from the model files: `make models`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

from PIL import Image

from carkinetics.model import layers, load_model, models
from carkinetics.model.library import model_files
from carkinetics.plot import model_course
from carkinetics.plot.axes import png

FOLDER = Path(__file__).resolve().parents[1] / "models"
PAGE, FIGURES = FOLDER / "README.md", FOLDER / "figures"
# How long to draw what is not a patient: a dish, and mice.
DAYS = {"carrgo2020": 4.0, "barros2021": 60.0, "swanson2022": 28.0}
DPI, COLOURS = 80, 32  # a repository is no place for large pictures


def rows(cells: Iterable[Iterable[object]]) -> list[str]:
    """Lines of a Markdown table; the first row is its head."""
    lines = ["| " + " | ".join(str(cell).replace("|", "/") for cell in row) + " |" for row in cells]
    return [lines[0], "|" + "---|" * (lines[0].count("|") - 1), *lines[1:]]


def model_table() -> list[str]:
    """Every model: what it is for, what it can be compared with, and its typical course."""
    table = models()
    body = [
        (
            f"[`{m.name}`]({m.name}.toml)",
            m.purpose.rstrip("."),
            m.use,
            m.data,
            m.kind,
            f"[figure](figures/{m.name}.png)",
        )
        for m in table.itertuples()
    ]
    return rows([("model", "what for", "use", "data [and what it reads]", "kind", ""), *body])


def layer_table() -> list[str]:
    """Every layer."""
    body = [
        (f"[`{one.name}`](layers/{one.name}.toml)", one.title, one.needs or "-", one.adds)
        for one in layers().itertuples()
    ]
    return rows([("layer", "what it is", "needs", "adds"), *body])


def filled(page: str) -> str:
    """The page with its tables as the files are now."""
    for name, lines in (("table", model_table()), ("layers", layer_table())):
        start, end = rf"(<!-- {name}: [^\n]*-->\n)", rf"(<!-- end of {name} -->)"
        found = re.search(f"{start}.*?{end}", page, re.DOTALL)
        assert found is not None, f"the page has no place for {name}"
        page = page[: found.end(1)] + "\n".join(["", *lines, "", ""]) + page[found.start(2) :]
    return page


def main() -> None:
    """Write the page and the figures; names on the command line restrict the figures."""
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    FIGURES.mkdir(exist_ok=True)
    for name in sys.argv[1:] or [path.stem for path in model_files()]:
        axes = model_course(load_model(name), days=DAYS.get(name, 180.0))
        picture = Image.open(BytesIO(png(axes[0], DPI))).convert("RGB").quantize(COLOURS)
        picture.save(FIGURES / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
