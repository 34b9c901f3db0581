"""Draws first-look.png, the picture at the top of the README: one fit of the simulated trial.

python notebooks/first_look_picture.py runs/nct05783089/fit/base.nc
"""

import sys
from pathlib import Path

import matplotlib as mpl
from PIL import Image

import carkinetics as ck

SUBJECTS, WIDTH = 8, 1400


def main(path: str) -> None:
    fit = ck.load_fit(path)
    counts = fit.observations[fit.observations["status"] == "quantified"]["subject"].value_counts()
    # Every kind of patient: evenly spaced from the most to the least quantified values.
    chosen = [counts.index[round(i * (len(counts) - 1) / (SUBJECTS - 1))] for i in range(SUBJECTS)]
    panels = ck.plot.individual_fits(fit, subjects=chosen, columns=4)
    target = Path(__file__).with_name("first-look.png")
    with mpl.rc_context({"savefig.dpi": 150}):
        panels[0].figure.savefig(target)
    picture = Image.open(target).convert("RGB")
    picture = picture.resize((WIDTH, round(picture.height * WIDTH / picture.width)), Image.Resampling.LANCZOS)
    # 64 colours are enough for lines and bands, and make the file a third as large.
    picture.quantize(64, dither=Image.Dither.NONE).save(target, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
