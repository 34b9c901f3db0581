"""The steps of a study, in order, into a folder that a person can read.

``data → nca → individual → fit.NAME → diagnose.NAME, cross_check.NAME, sensitivity.NAME, screen.NAME, stepwise.NAME,
loo_pit.NAME, forest.NAME → compare → exposure → tumour → dose.METRIC, response.NAME, event.NAME → report``

A step whose inputs have the same hashes is kept. Inputs are the data, the model's text, the settings, the
seed, the package's version and its source. A step that fails becomes a finding: what does not need it
still runs, and the report shows it.
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from carkinetics.batch.config import checked_seed, read_study
from carkinetics.batch.folder import Draft, RunFolder, key_of, sha256_of
from carkinetics.batch.steps import WRITERS
from carkinetics.batch.study import Study
from carkinetics.errors import CarkineticsError
from carkinetics.findings import Finding, findings_table
from carkinetics.report import write_report

PACKAGES = ("carkinetics", "pymc", "nutpie", "arviz", "numpy", "scipy", "pandas", "xarray", "matplotlib")
REPORT = "report.html"
_USABLE = ("made", "kept")
_IN_REPORT = (
    "nca", "individual", "fit", "cross_check", "sensitivity", "screen", "stepwise", "loo_pit", "forest", "compare", "exposure", "tumour", "dose",
    "response", "event",
)  # fmt: skip
# What the result of a kind of step depends on, besides the dataset room and the modules beside the rooms.
_ROOMS = {
    "data": (),
    "nca": ("exposure",),
    "individual": ("model", "fit"),
    "fit": ("model", "fit"),
    "diagnose": ("model", "fit", "diagnostics"),
    "cross_check": ("model", "fit", "diagnostics"),
    "sensitivity": ("model", "fit", "diagnostics"),
    "screen": ("model", "fit"),
    "stepwise": ("model", "fit"),
    "loo_pit": ("model", "fit", "diagnostics"),
    "forest": ("model", "fit", "exposure"),
    "compare": ("model", "fit", "exposure", "diagnostics", "response", "plot", "report"),
    "exposure": ("model", "fit", "exposure"),
    "tumour": ("exposure", "diagnostics", "response"),
    "dose": ("exposure", "response"),
    "response": ("exposure", "response"),
    "event": ("model", "fit", "exposure", "response"),
    "report": ("model", "fit", "exposure", "diagnostics", "response", "plot", "report"),
}

ROOMS = tuple(sorted({room for rooms in _ROOMS.values() for room in rooms}))


@dataclass(frozen=True, eq=False)
class StudyResult:
    """Where the results of a study are, and whether they can be used.

    Parameters
    ----------
    folder : pathlib.Path
        The run folder.
    report : pathlib.Path
        The report in it.
    converged : bool or None
        Whether every population fit converged; None when there is none.
    verdict : str
        One sentence: converged or not, because of what.
    steps : pandas.DataFrame
        ``step, status`` (``made``, ``kept``, ``failed``, ``skipped``) and ``message``.
    failures : pandas.DataFrame
        Findings of the steps that failed or were skipped.
    """

    folder: Path
    report: Path
    converged: bool | None
    verdict: str
    steps: pd.DataFrame
    failures: pd.DataFrame

    def __repr__(self) -> str:
        return f"<StudyResult in {self.folder}: {self.verdict}>"


@dataclass(frozen=True)
class _Step:
    """One step, what its result depends on, and the steps that it needs."""

    name: str
    inputs: Mapping[str, Any]
    needs: tuple[str, ...] = ()


def run_study(
    path: str | Path,
    *,
    seed: int | None = None,
    output: str | Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> StudyResult:
    """Run a study file: read, check, fit, diagnose, derive, report.

    Parameters
    ----------
    path : str or pathlib.Path
        A study file; see `carkinetics.batch.config` for its layout.
    seed : int, optional
        Instead of the file's seed.
    output : str or pathlib.Path, optional
        Instead of the file's run folder.
    progress : callable, optional
        Called with one line of text whenever a step starts or ends.

    Returns
    -------
    StudyResult
        The run folder, the report and the verdict.

    Raises
    ------
    ConfigError
        If the study file or a model that it names does not make sense.
    DataError
        If the data cannot be read.

    Notes
    -----
    Steps that are unchanged since the last run in the same folder are not run again, so an interrupted
    run goes on where it stopped.
    """
    config = read_study(path)
    place = config.output if output is None else Path(output)
    study = Study(
        config, config.seed if seed is None else checked_seed(seed), place, talk=progress is not None
    )
    return _Run(study, RunFolder(place), progress or (lambda line: None)).go()


@dataclass
class _Run:
    """One run of a study."""

    study: Study
    folder: RunFolder
    progress: Callable[[str], None]
    status: list[dict[str, str]] = field(default_factory=list)

    def go(self) -> StudyResult:
        self.folder.describe(**_facts(self.study), started=_now(), finished=None, failed=None)
        self.log_start()
        steps = list_steps(self.study)
        for step in steps:
            kind, _, name = step.name.partition(".")
            self.take(step, partial(WRITERS[kind], self.study, name))
        keys = [key_of(step.inputs) for step in steps if step.name != "study"]
        config, failures = self.study.config, self.failures().to_dict("records")
        page = {"title": config.title, "fit": config.report_fit, "failures": failures, "after": keys}
        self.take(_Step("report", _inputs(self.study, "report", **page)), self.write_report)
        # Steps of their own: where Word or a browser is missing, the page is there all the same.
        for ending in config.report_formats[1:]:
            step = _Step(f"report.{ending}", _inputs(self.study, "report", **page))
            self.take(step, partial(self.write_report, name=f"report.{ending}"))
        converged, verdict = self.verdict()
        failed = self.failures()[["where", "message"]].to_dict("records")
        self.folder.describe(finished=_now(), converged=converged, verdict=verdict, failed=failed)
        self.log_warnings()
        self.folder.log("run", f"finished: {verdict}")
        self.folder.seal()
        table = pd.DataFrame(self.status)
        return StudyResult(
            self.folder.path, self.folder.path / REPORT, converged, verdict, table, self.failures()
        )

    def log_start(self) -> None:
        """What the run is made with and from."""
        config, manifest = self.study.config, self.folder.manifest
        self.folder.log("run", f"started: {config.path.name}, seed {self.study.seed}")
        versions = ", ".join(f"{name} {number}" for name, number in manifest["versions"].items())
        self.folder.log("run", f"versions: {versions}; {platform.platform()}")
        for name, entry in manifest["inputs"].items():
            self.folder.log("input", f"{name} at {entry['place']}, SHA-256 {entry['sha256']}")

    def log_warnings(self) -> None:
        """Errors and warnings of the steps made in this run; those of kept steps were told before."""
        made = [row["step"] for row in self.status if row["status"] == "made"]
        for step in made:
            for name in self.folder.manifest["steps"][step]["files"]:
                if name.endswith(("findings.csv", "-diagnosis.csv")):
                    for row in pd.read_csv(self.folder.path / name, keep_default_na=False).itertuples():
                        if row.severity != "note":
                            self.folder.log(step, f"{row.severity} {row.rule}, {row.where}: {row.message}")

    def take(self, step: _Step, write: Callable[[Draft], None]) -> None:
        """Keep, make or skip one step."""
        missing = [need for need in step.needs if need not in self.usable()]
        message = ""
        if missing:
            status, message = "skipped", f"needs {missing[0]}, which is not there"
        elif self.folder.is_done(step.name, step.inputs):
            status, message = "kept", "unchanged since the last run"
        else:
            self.progress(f"{step.name} ...")
            status = "made"
            try:
                with self.folder.making(step.name, step.inputs) as draft:
                    write(draft)
            except CarkineticsError as error:
                status, message = "failed", str(error)
        if status in ("kept", "skipped"):
            self.folder.log(step.name, f"{status}: {message}")
        self.status.append({"step": step.name, "status": status, "message": message})
        self.progress(f"{step.name}: {status}{f' ({message})' if message else ''}")

    def usable(self) -> list[str]:
        return [row["step"] for row in self.status if row["status"] in _USABLE]

    def failures(self) -> pd.DataFrame:
        """Steps that failed or had to be left out, as findings."""
        return findings_table(
            Finding("error", f"step-{row['status']}", row["step"], row["message"])
            for row in self.status
            if row["status"] not in _USABLE
        )

    def verdict(self) -> tuple[bool | None, str]:
        """Whether all fits converged, in one sentence: that of the fits that did not, if there are any."""
        told = []
        for entry in self.study.config.fits:
            step = f"diagnose.{entry.name}"
            made = step in self.usable()
            note = (
                self.folder.note(step)
                if made
                else {"converged": False, "verdict": "not converged: the fit failed"}
            )
            told.append((bool(note["converged"]), f"{entry.name}: {note['verdict']}"))
        if not told:
            return None, "no population fit was asked for"
        bad = [text for converged, text in told if not converged]
        return not bad, "; ".join(bad or [text for _, text in told])

    def write_report(self, draft: Draft, name: str = REPORT) -> None:
        shown = [step for step in self.usable() if step.partition(".")[0] in _IN_REPORT]
        # The first population fit among the parts is the one that the report shows in full.
        shown.sort(key=lambda step: step != f"fit.{self.study.config.report_fit}")
        parts = [self.study[step] for step in shown]
        write_report(
            draft.path(name),
            self.study.all_assays,
            *parts,
            title=self.study.config.title,
            findings=self.failures(),
        )


def list_steps(study: Study) -> list[_Step]:
    """Every step but the report, in order, each with the hash of those before it."""
    config = study.config
    steps = {
        "study": _Step("study", {"text": config.text}),
        "data": _Step("data", _inputs(study, "data", **_data_hashes(study))),
    }

    def add(name: str, needs: tuple[str, ...], **inputs: Any) -> None:
        after = [key_of(steps[need].inputs) for need in needs]
        kind = name.partition(".")[0]
        steps[name] = _Step(name, _inputs(study, kind, after=after, **inputs), needs)

    add("nca", ("data",), settings=config.nca)
    if config.fits:
        add("individual", ("data",), model=study.models[config.fits[0].name].sha256)
    for entry in config.fits:
        add(f"fit.{entry.name}", ("data",), model=study.models[entry.name].sha256, settings=entry.settings)
        add(f"diagnose.{entry.name}", (f"fit.{entry.name}",))
        for key, asked in entry.after.items():
            if asked is not False:  # an empty list of candidates is a step that fails and says so
                add(f"{key}.{entry.name}", (f"fit.{entry.name}",), asked=asked)
    if config.compared:
        add("compare", tuple(f"fit.{name}" for name in config.compared), title=config.title)
    if config.exposure_fit is not None:
        add("exposure", (f"fit.{config.exposure_fit}",), settings=config.exposure)
    if config.tumour is not None:
        add("tumour", ("data",), settings=config.tumour)
    for metric in config.dose_metrics:
        add(f"dose.{metric}", ("data", study.exposure_step), settings=config.dose)
    for name, settings in config.responses.items():
        add(f"response.{name}", ("data", study.exposure_step), settings=settings)
    for name, settings in config.events.items():
        add(f"event.{name}", ("data", study.exposure_step), settings=settings)
    return list(steps.values())


def _inputs(study: Study, kind: str, **inputs: Any) -> dict[str, Any]:
    made_by = {"version": version("carkinetics"), "source": source_sha256(_ROOMS[kind])}
    return {"carkinetics": made_by, "seed": study.seed, **inputs}


def _data_hashes(study: Study) -> dict[str, Any]:
    """Hashes of the files read, of what was read from them, and how."""
    config = study.config.data
    files = {f"path {number}": path for number, path in enumerate(config.paths, 1)}
    files |= {key: value for key, value in config.settings.items() if isinstance(value, Path)}
    return {
        "files": {key: sha256_of(file) for key, file in files.items()},
        "dataset": study.all_assays.sha256,
        "assay": config.assay,
        "settings": {key: value for key, value in config.settings.items() if key not in files},
    }


def _facts(study: Study) -> dict[str, Any]:
    """What the manifest says of the whole run."""
    return {
        "title": study.config.title,
        "seed": study.seed,
        "versions": {name: version(name) for name in PACKAGES} | {"python": platform.python_version()},
        "source_sha256": source_sha256(ROOMS),
        "study_file": study.config.path.name,
        "inputs": _places(study),
        "data": {"names": [path.name for path in study.config.data.paths], **_data_hashes(study)},
        "models": {
            name: {"name": model.name, "sha256": model.sha256} for name, model in study.models.items()
        },
    }


def _places(study: Study) -> dict[str, dict[str, str]]:
    """Hash of every input file, and where it is as seen from the run folder: no path of this machine."""
    data, folder = study.config.data, study.folder
    files = [*data.paths, *(value for value in data.settings.values() if isinstance(value, Path))]
    named = {"study file": study.config.path} | {f"data {_seen_from(folder, file)}": file for file in files}
    return {
        name: {"place": _seen_from(folder, file), "sha256": sha256_of(file)} for name, file in named.items()
    }


def _seen_from(folder: Path, file: Path) -> str:
    try:
        return Path(os.path.relpath(file, folder.resolve())).as_posix()
    except ValueError:  # another drive
        return file.name


@cache
def source_sha256(rooms: tuple[str, ...]) -> str:
    """Hash of the package's source for some rooms: in a checkout, the version alone does not say enough.

    Parameters
    ----------
    rooms : tuple of str
        Which rooms, beside the dataset room and what stands beside the rooms.

    Returns
    -------
    str
        Hexadecimal SHA-256.
    """
    package = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for folder in (package, package / "dataset", *(package / room for room in rooms)):
        for file in sorted(folder.iterdir()):
            if file.suffix in (".py", ".j2", ".css", ".js") and not file.name.startswith("cli"):
                digest.update(file.name.encode() + b"\n" + file.read_bytes())
    return digest.hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
