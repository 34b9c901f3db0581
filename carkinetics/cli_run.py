"""Verbs round what was made: whether a run folder is as it was, what to cite, whether inference finds the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import carkinetics as ck
from carkinetics.options import AsJson, Seed, expect_writable, numbers
from carkinetics.terminal import note, say, show

FAILED, NOT_CALIBRATED = 1, 2


def verify(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder that `carkinetics run` made.")],
    everything: Annotated[bool, typer.Option("--all", help="Also what is the same.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compute the hashes of a run folder and its inputs again; exit 1 if something is changed or missing."""
    found = ck.verify_run(folder)
    shown = found if everything else found[found["status"] != "same"]
    if as_json or len(shown):
        show(shown, as_json)
    note(f"{folder}: {found.attrs['verdict']}")
    note(found.attrs["notice"])
    if not found.attrs["intact"]:
        raise typer.Exit(FAILED)


def cite(
    things: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MODEL|FIT]...", help="Models of the library, model files, saved fits."),
    ] = None,
    bibtex: Annotated[bool, typer.Option("--bibtex", help="As BibTeX entries.")] = False,
) -> None:
    """What to cite: this package, models, and the software that fits rest on."""
    parts = [ck.load_fit(one) if one.endswith(".nc") else ck.load_model(one) for one in things or []]
    say(ck.citation(*parts, bibtex=bibtex).rstrip())


def calibrate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model of the library, or a model file.")],
    days: Annotated[str, typer.Option(help="Sampling days, such as 1,4,7,10,14,21,28,60,90.")],
    lloq: Annotated[float, typer.Option(help="Lower limit of quantification, in the model's unit.")],
    subjects: Annotated[int, typer.Option(help="Patients in every simulated data set.")] = 30,
    replicates: Annotated[int, typer.Option("-n", "--replicates", help="Simulated data sets.")] = 100,
    dose: Annotated[str, typer.Option(help="Doses, in turn, in cells/kg.")] = "1e6",
    blq: Annotated[str, typer.Option(help="M1 to M7 of the analysis.")] = "M3",
    keep: Annotated[
        Path | None, typer.Option(help="CSV file of the ranks; an interrupted calibration goes on from it.")
    ] = None,
    figure: Annotated[Path | None, typer.Option(help="Picture of the ranks: .png, .svg or .pdf.")] = None,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """Simulate from the prior, fit, and count how often intervals hold the truth; exit 2 if they do not as often as they say."""
    if figure is not None:
        expect_writable(figure)
    design = {"times": numbers("--days", days), "doses": numbers("--dose", dose), "lloq": lloq}
    found = ck.calibrate(
        ck.load_model(model),
        design,
        n=replicates,
        subjects=subjects,
        analysed={"blq": blq},
        keep=keep,
        seed=seed,
        progress=True,
    )
    show(found.table.reset_index().round(4), as_json)
    note(found.statement)
    if figure is not None:
        from carkinetics.plot.axes import png

        figure.write_bytes(png(ck.plot.calibration(found)[0]))
    if found.calibrated is False:
        raise typer.Exit(NOT_CALIBRATED)
