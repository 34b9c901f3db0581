"""The command line: one verb for each step of an analysis, each a few lines round one public function.

Progress goes to stderr, the answer to stdout. Exit code 0: done; 1: an error, a mistyped option, or a
finding that is an error; 2: finished, but not converged. The package is imported when a verb runs, so that help comes at once.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console

import carkinetics as ck
from carkinetics.cli_figure import Picture, draw
from carkinetics.cli_learn import screen, sensitivity, stepwise
from carkinetics.cli_run import calibrate, cite, compare, index, names_of, verify
from carkinetics.cli_table import (
    Assay,
    Column,
    DataPath,
    DoseUnit,
    Lloq,
    Lod,
    Subjects,
    TimeUnit,
    Uloq,
    ValueUnit,
    pairs_of,
    read_table,
)
from carkinetics.cli_trial import trial
from carkinetics.errors import CarkineticsError
from carkinetics.options import AsJson, Output, Seed, expect_seed, expect_writable
from carkinetics.terminal import _plain, answer, frame, note, say, show

if TYPE_CHECKING:
    import pandas as pd

OK, FAILED, NOT_CONVERGED = 0, 1, 2

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,  # a bug keeps its own traceback; our errors are one line, see main()
)

FitPath = Annotated[Path, typer.Argument(metavar="FIT", help="A fit saved by `carkinetics fit`.")]
Metrics = Annotated[
    list[str] | None, typer.Option("--metric", help="Metric, such as cmax or auc_0_28; repeat for more.")
]

app.add_typer(trial, name="trial")


@app.callback(invoke_without_command=True)
def carkinetics(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and stop.")] = False,
) -> None:
    """CAR-T cellular kinetics: from a qPCR or flow table to exposure with uncertainty."""
    if version:
        say(ck.__version__)
    elif context.invoked_subcommand is None:
        context.get_help()  # which shows it


@app.command()
def models(
    name: Annotated[
        str | None, typer.Argument(help="Show one model: equations, parameters, sources.")
    ] = None,
    layers: Annotated[
        bool,
        typer.Option("--layers", help="List what can be put on a model: cytokines, antibodies, tumours."),
    ] = False,
    toml: Annotated[
        bool, typer.Option("--toml", help="Its file, to copy and change; a composed one written out.")
    ] = False,
    bibtex: Annotated[bool, typer.Option("--bibtex", help="Its BibTeX entry.")] = False,
    figure: Picture = None,
    checks: Annotated[
        bool, typer.Option("--checks", help="The numbers that its file quotes beside what it gives.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the shipped models, or show one."""
    if layers:
        show(ck.layers(), as_json)
    elif name is None:
        show(ck.models()[["name", "purpose", "use", "data", "kind"]], as_json)
    elif checks:
        table = ck.check_values(ck.load_model(name))
        show(table, as_json)
        if not table["holds"].all():
            raise typer.Exit(FAILED)
    else:
        _show_model(ck.load_model(name), toml, bibtex, figure, as_json)


def _show_model(model: ck.Model, toml: bool, bibtex: bool, figure: Path | None, as_json: bool) -> None:
    draw(figure, lambda: ck.plot.model_course(model))
    if toml or bibtex:
        say(
            model.text.strip()
            if toml
            else model.bibtex or f"{model.name} has no BibTeX entry: {model.citation}"
        )
        return
    rows = [
        {"parameter": p.name, "meaning": p.meaning, "unit": p.unit, "typical": p.typical, "omega": p.omega,
         "prior": "fixed" if p.fixed else str(p.prior), "source": p.source}
        for p in model.parameters.values()
    ]  # fmt: skip
    if as_json:
        about = {
            key: getattr(model, key)
            for key in ("name", "title", "purpose", "citation", "doi", "bibtex", "value_unit", "notes", "identifiability",
                        "simulation_only", "sha256")
        }  # fmt: skip
        about["mixture"] = model.mixture.as_entry() if model.mixture else None
        sets = {name: {"meaning": one.meaning, "values": one.numbers} for name, one in model.sets.items()}
        say(json.dumps(about | {"sets": sets, "parameters": rows, "text": model.text}, indent=2))
        return
    parts = [f"{model.name}: {model.title}", model.purpose, model.citation, model.notes]
    parts += [f"For simulation only: {model.simulation_only}"] if model.simulation_only else []
    parts += [f"What data can tell: {model.identifiability}"] if model.identifiability else []
    if model.mixture:
        parts.append(f"Two classes of patients: {model.mixture}")
    parts += [f"Parameter set {one.name}: {one.meaning} ({one.source})" for one in model.sets.values()]
    say("\n".join(part for part in parts if part) + "\n")
    say("\n".join(_equations(model)) + "\n")
    show(frame(rows), False)


def _equations(model: ck.Model) -> list[str]:
    """A model's equations as its file writes them, one to a line."""
    lines = [f"{name} = {derived.text}" for name, derived in model.derived.items()]
    lines += [f"{state.name}(0) = {state.initial.text}" for state in model.states]
    lines += [f"{s.name}: an infusion adds {s.infused.text}" for s in model.states if s.infused is not None]
    lines += [f"d {state.name} / dt = {state.rate.text}" for state in model.states]
    lines += [] if model.level is None else [f"level = {model.level.text}"]
    return lines + [f"observed {one.name} ({one.unit}) = {one.of.text}" for one in model.outputs.values()]


@app.command()
def check(
    data: DataPath, value_unit: ValueUnit = None, lloq: Lloq = None, lod: Lod = None, uloq: Uloq = None, time_unit: TimeUnit = "day",
    dose_unit: DoseUnit = "cells/kg", assay: Assay = None, subjects: Subjects = None, column: Column = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """List everything that is wrong, doubtful or worth knowing in a table; exit 1 if any of it is an error."""
    found = ck.check(
        read_table(data, value_unit, lloq, lod, uloq, time_unit, dose_unit, assay, subjects, column)
    )
    show(found, as_json, empty="nothing to remark")
    if (found["severity"] == "error").any():
        raise typer.Exit(FAILED)


@app.command()
def nca(
    data: DataPath, value_unit: ValueUnit = None, lloq: Lloq = None, lod: Lod = None, uloq: Uloq = None, time_unit: TimeUnit = "day",
    dose_unit: DoseUnit = "cells/kg", assay: Assay = None, subjects: Subjects = None, column: Column = None,
    metric: Metrics = None,
    blq: Annotated[str, typer.Option(help="What a BLQ value counts as.")] = "zero-before-then-drop",
    output: Output = None, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Cmax, Tmax, AUC, half-life and the like, straight from the observations."""
    exposure = ck.nca(
        read_table(data, value_unit, lloq, lod, uloq, time_unit, dose_unit, assay, subjects, column),
        metrics=metric or None,
        blq=blq,
    )
    answer(exposure.table, output, as_json)


@app.command()
def fit(
    data: DataPath,
    model: Annotated[str, typer.Option(help="Shipped model, or path of a model file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File for the fit, such as runs/base.nc.")],
    value_unit: ValueUnit = None, lloq: Lloq = None, lod: Lod = None, uloq: Uloq = None, time_unit: TimeUnit = "day",
    dose_unit: DoseUnit = "cells/kg", assay: Assay = None, subjects: Subjects = None, column: Column = None,
    random: Annotated[list[str] | None, typer.Option(help="Parameter that differs between subjects; repeat for more.")] = None,
    covariate: Annotated[list[str] | None, typer.Option(help="PARAMETER=TEXT, such as 'cmax=log(dose / 1e6)'.")] = None,
    blq: Annotated[str, typer.Option(help="BLQ method, M1 to M7.")] = "M3",
    error: Annotated[str | None, typer.Option(help="Residual error; the model file's if not given.")] = None,
    draws: Annotated[int | None, typer.Option(help="Draws per chain; until converged if not given.")] = None,
    tune: int = 1000, chains: int = 4, seed: Seed = 20260101,
    method: Annotated[str, typer.Option(help="mcmc; or an approximation: laplace, pathfinder, advi.")] = "mcmc",
    sampler: Annotated[str, typer.Option(help="auto, structured or nuts.")] = "auto",
    max_minutes: Annotated[float, typer.Option(help="Stop then, converged or not.")] = 15.0,
) -> None:  # fmt: skip
    """Fit a model to all subjects together; exit 2 if it did not converge."""
    expect_seed(seed)
    expect_writable(output)
    table = read_table(data, value_unit, lloq, lod, uloq, time_unit, dose_unit, assay, subjects, column)
    found = ck.fit_hierarchical(
        ck.load_model(model), table, random=random or None, blq=blq, error=error,
        covariates=pairs_of("covariate", covariate, "PARAMETER=TEXT, such as 'cmax=log(dose / 1e6)'"),
        draws=draws, tune=tune, chains=chains, seed=seed, method=method, sampler=sampler, max_minutes=max_minutes,
        progress=True,
    )  # fmt: skip
    found.save(output)
    show(found.population().reset_index(), False)
    _finish(ck.diagnose(found), f"saved {output}")


@app.command()
def diagnose(
    fit: FitPath,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say whether a saved fit converged, what speaks against it, and what the data did not inform; exit 2 if it did not converge."""
    loaded = ck.load_fit(fit)
    found = ck.review(loaded) if loaded.method == "hierarchical" else ck.diagnose(loaded)
    if as_json:
        say(json.dumps({**found.attrs, "findings": found.to_dict("records")}, indent=2))
    else:
        show(found, False, empty="nothing to remark")
    _finish(found, quiet=as_json)
    if strict and (found["severity"] == "warning").any():
        raise typer.Exit(FAILED)


@app.command()
def exposure(fit: FitPath, metric: Metrics = None, output: Output = None, as_json: AsJson = False) -> None:
    """Exposure metrics of every subject from a saved fit, with their uncertainty; exit 2 if it did not converge."""
    found = ck.load_fit(fit)
    answer(ck.exposure_from(found, metrics=metric or None).table, output, as_json)
    _finish(ck.diagnose(found), str(fit))


@app.command()
def forecast(
    fit: FitPath,
    data: DataPath,
    subject: Annotated[str | None, typer.Option(help="Which patient, if there are several.")] = None,
    upto: Annotated[
        list[float] | None, typer.Option(help="Last day whose samples count; repeat for a forecast of each.")
    ] = None,
    metric: Metrics = None,
    value_unit: ValueUnit = None, lloq: Lloq = None, lod: Lod = None, uloq: Uloq = None, time_unit: TimeUnit = "day",
    dose_unit: DoseUnit = "cells/kg", assay: Assay = None, subjects: Subjects = None, column: Column = None,
    draws: Annotated[int, typer.Option(help="Posterior draws of the patient.")] = 1000, seed: Seed = 0,
    figure: Picture = None,
    output: Output = None, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Forecast a new patient's exposure from the samples so far, before a saved fit of others; exit 2 if it did not converge."""
    expect_seed(seed)
    table = read_table(data, value_unit, lloq, lod, uloq, time_unit, dose_unit, assay, subjects, column)
    asked: dict[str, Any] = {"subject": subject, "draws": draws, "seed": seed} | (
        {"metrics": metric} if metric else {}
    )
    found = ck.forecast_updates(ck.load_fit(fit), table, upto=upto or [float("inf")], **asked)
    answer(found.table, output, as_json)
    draw(figure, lambda: ck.plot.forecast(found))
    for one in found.forecasts:
        note(one.statement)
    if not found.converged:
        raise typer.Exit(NOT_CONVERGED)


@app.command()
def respond(
    fit: FitPath,
    outcome: Annotated[str, typer.Option(help="Such as 'crs_grade >= 3', or a column with grades.")] = "",
    duration: Annotated[
        str, typer.Option(help="Instead of an outcome: column with days to an event or to censoring.")
    ] = "",
    event: Annotated[str, typer.Option(help="Column with 1 for the event, 0 for censoring.")] = "",
    on: Annotated[str, typer.Option(help="Metric, or its logarithm: 'log(cmax)'.")] = "log(cmax)",
    label: Annotated[
        str, typer.Option(help="What the outcome is called, such as 'objective response'.")
    ] = "",
    adjust: Annotated[
        list[str] | None,
        typer.Option(help="Column or text to adjust for, such as 'log(base_sum)'; may be repeated."),
    ] = None,
    landmark: Annotated[float | None, typer.Option(help="Day from which on an event counts.")] = None,
    joint: Annotated[bool, typer.Option("--joint", help="Let the outcome speak on the exposures.")] = False,
    seed: Seed = 0,
    output: Output = None,
    as_json: AsJson = False,
) -> None:
    """Relate an outcome or an event to exposure, carrying the uncertainty of a saved fit; exit 2 if it did not converge."""
    expect_seed(seed)
    found = ck.load_fit(fit)
    asked: dict[str, Any] = {"on": on, "label": label, "adjust": adjust or [], "seed": seed}
    timed: dict[str, Any] = {"duration": duration, "event": event, "landmark": landmark}
    bare = on.strip()
    metric = bare[len("log(") : -1].strip() if bare.startswith("log(") and bare.endswith(")") else bare
    metrics = [metric, "tmax"] if metric == "cmax" else [metric]  # the day on which a peak is known
    result: Any
    if joint:
        result = ck.fit_joint(found, outcome=outcome, **timed, **asked)
    elif duration or event:
        result = ck.fit_event(
            ck.exposure_from(found, metrics=metrics), found.data, outcome=outcome, **timed, **asked
        )
    else:
        result = ck.fit_grade(ck.exposure_from(found, metrics=metrics), found.data, outcome=outcome, **asked)
    answer(result.table, output, as_json)
    note(result.statement)
    if joint and not result.converged:
        raise typer.Exit(NOT_CONVERGED)
    _finish(ck.diagnose(found), str(fit))


@app.command()
def report(
    fits: Annotated[
        list[Path], typer.Argument(metavar="FIT...", help="Saved fits; the first is shown in full.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file: .html, .docx or .pdf.")] = Path(
        "report.html"
    ),
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "CAR-T cellular kinetics",
    loo_pit: Annotated[
        bool,
        typer.Option("--loo-pit", help="Also place every sample in what is predicted without its subject."),
    ] = False,
) -> None:
    """Write saved fits, their data and their exposure into one page, Word or PDF file; exit 2 if one did not converge."""
    expect_writable(output)
    loaded = [_named(ck.load_fit(path), name) for name, path in names_of(fits, "report").items()]
    first = loaded[0]
    observed = ck.nca(first.data, assay=first.settings["assay"])
    forest = [ck.covariate_forest(first, n_draws=1000)] if first.settings.get("covariates") else []
    places = [ck.loo_pit(first)] if loo_pit else []
    parts = (*loaded, observed, ck.exposure_from(first), *forest, *places)
    ck.write_report(output, first.data, *parts, title=title)
    say(str(output))
    verdicts = [ck.diagnose(found).attrs for found in loaded]
    for path, verdict in zip(fits, verdicts, strict=True):
        note(f"{path}: {verdict['verdict']}")
    if not all(verdict["converged"] for verdict in verdicts):
        raise typer.Exit(NOT_CONVERGED)


@app.command()
def run(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="Study file, such as study.toml.")],
    seed: Annotated[int | None, typer.Option(help="Instead of the file's seed.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Instead of the file's run folder.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a study file: check, fit, diagnose, derive, report. What is done and unchanged is not done again."""
    result = ck.run_study(study, seed=seed, output=output, progress=note)
    if as_json:
        answer = {
            "report": str(result.report), "folder": str(result.folder), "converged": result.converged,
            "verdict": result.verdict, "steps": result.steps.to_dict("records"),
        }  # fmt: skip
        say(json.dumps(answer, indent=2))
    else:
        say(f"report: {_near(result.report)}\n{result.verdict}")
    if len(result.failures):
        raise typer.Exit(FAILED)
    if result.converged is False:
        raise typer.Exit(NOT_CONVERGED)


for verb in (sensitivity, screen, stepwise, compare, verify, index, cite, calibrate):
    app.command()(verb)


def main() -> None:
    """Run the command line; an error that we raise on purpose is one line and exit code 1."""
    try:
        # Typer itself would leave a mistyped option with 2, which here says that a fit is finished.
        raise SystemExit(app(prog_name="carkinetics", standalone_mode=False))
    except (CarkineticsError, typer.TyperException) as error:
        _fail(error.format_message() if isinstance(error, typer.TyperException) else str(error))
    except typer.Abort:
        _fail("stopped")
    except OSError as error:  # a full disk, a folder without the right to write: not a bug of ours
        _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))


def _named(fit: ck.Fit, name: str) -> ck.Fit:
    """A fit that tells itself from others by the name of its file, unless a study gave it one."""
    return replace(fit, settings={"name": name} | fit.settings)


def _fail(message: str) -> NoReturn:
    """Say an error in one line, and stop."""
    plain = _plain(" ".join(message.split()))
    Console(stderr=True, highlight=False).print(f"[bold red]error:[/] {plain}", soft_wrap=True)
    raise SystemExit(FAILED)


def _finish(found: pd.DataFrame, words: str = "", *, quiet: bool = False) -> None:
    """Say the verdict on stderr; exit 2 if it is a bad one."""
    if not quiet:
        note(f"{words}{': ' if words else ''}{found.attrs['verdict']}")
    if not found.attrs["converged"]:
        raise typer.Exit(NOT_CONVERGED)


def _near(path: Path) -> Path:
    """The path as it is named from the current folder, if it lies below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
