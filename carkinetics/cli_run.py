"""Verbs round what was made: which fit predicts best, whether runs are as they were, what to cite, whether inference finds the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import carkinetics as ck
from carkinetics.cli_figure import Picture, draw
from carkinetics.errors import ConfigError
from carkinetics.options import AsJson, Seed, expect_writable, numbers
from carkinetics.terminal import note, say, show

FAILED, NOT_CONVERGED, NOT_CALIBRATED = 1, 2, 2


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


def compare(
    fits: Annotated[list[Path], typer.Argument(metavar="FIT FIT...", help="Saved fits of the same data.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Page to write too: .html, .docx or .pdf.")
    ] = None,
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "Fits compared",
    criteria: Annotated[str, typer.Option(help="Secondary columns: waic, bic or waic,bic.")] = "",
    refit: Annotated[
        bool, typer.Option("--refit", help="Fit again without each subject whose Pareto k is above 0.7.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Rank saved fits by how well they predict a subject that they have not seen; exit 2 if one did not converge."""
    if output is not None:
        from carkinetics.report.build import document_writer

        expect_writable(output)
        document_writer(output)  # another ending is refused now, and not after the work
    loaded = {name: ck.load_fit(path) for name, path in names_of(fits, "compare").items()}
    asked = [name.strip() for name in criteria.split(",") if name.strip()]
    ranking, refusal = None, None
    try:
        ranking = ck.compare(loaded, criteria=asked, refit=refit, progress=True)
    except ConfigError as error:
        if output is None:
            raise
        refusal = error  # the page shows the fits all the same, and says why they are not ranked
    if output is not None:
        ck.write_comparison(output, loaded, title=title, criteria=asked, refit=refit, ranking=ranking)
        note(f"page: {output}")
    if ranking is None:
        raise refusal or ConfigError("compare: no ranking")
    verdicts = {name: ck.diagnose(fit).attrs for name, fit in loaded.items()}
    converged = [bool(verdicts[str(name)]["converged"]) for name in ranking.index]
    show(ranking.assign(converged=converged).rename_axis("fit").reset_index(), as_json)
    for name, verdict in verdicts.items():
        note(f"{name}: {verdict['verdict']}")
    if not all(converged):
        raise typer.Exit(NOT_CONVERGED)


def names_of(paths: list[Path], verb: str) -> dict[str, Path]:
    """Names of files, with as much of their folders as tells them apart.

    Parameters
    ----------
    paths : list of pathlib.Path
        Files.
    verb : str
        Who asks, for the message.

    Returns
    -------
    dict of str to pathlib.Path
        By name, in order.

    Raises
    ------
    ConfigError
        If a file is there twice.
    """
    whole = [path.resolve().with_suffix("").parts for path in paths]
    if len(set(whole)) < len(whole):
        raise ConfigError(f"{verb}: {', '.join(map(str, paths))}; expected different fits")
    for parts in range(1, max(map(len, whole)) + 1):
        names = ["/".join(one[-parts:]) for one in whole]
        if len(set(names)) == len(names):
            return dict(zip(names, paths, strict=True))
    raise ConfigError(f"{verb}: {', '.join(map(str, paths))}; expected different fits")


def index(
    folder: Annotated[Path, typer.Argument(metavar="RUNS", help="Folder with run folders below it.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The page: .html, .docx or .pdf; RUNS/index.html if not given."),
    ] = None,
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "Runs",
    worst_first: Annotated[bool, typer.Option("--worst-first", help="Instead of the newest first.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a page over many runs; exit 1 if one is unreadable, changed or unfinished, 2 if one did not converge."""
    target = folder / "index.html" if output is None else output
    runs = ck.list_runs(folder, worst_first=worst_first)
    expect_writable(target)
    ck.write_index(folder, target, title=title, runs=runs)
    if as_json:
        show(runs, as_json)
    else:
        say(str(target))
    counts = runs["state"].value_counts(sort=False)
    many = f"{len(runs)} run{'' if len(runs) == 1 else 's'}"
    note(f"{many}: {', '.join(f'{n} {state}' for state, n in counts.items())}")
    if set(runs["state"]) & {"unreadable", "not as it was made", "with failed steps", "not finished"}:
        raise typer.Exit(FAILED)
    if "not converged" in set(runs["state"]):
        raise typer.Exit(NOT_CONVERGED)


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
    figure: Picture = None,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """Simulate from the prior, fit, and count how often intervals hold the truth; exit 2 if they do not as often as they say."""
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
    draw(figure, lambda: ck.plot.calibration(found))
    if found.calibrated is False:
        raise typer.Exit(NOT_CALIBRATED)
