"""study.toml → a checked StudyConfig: what a whole analysis is asked to do.

Layout
------
====================  ==========================================================================
section               keys
====================  ==========================================================================
(top)                 ``seed, output``
``[data]``            the arguments of `read_nonmem`; ``path``; ``assay`` to analyse. ``value_unit``,
                      ``lloq``, ``lod`` and ``uloq`` are one value or a table by assay
``[nca]``             ``method, blq, metrics``
``[fit.NAME]``        ``model, value_unit, priors, fix`` and the arguments of `fit_hierarchical`; ``cross_check``,
                      ``sensitivity`` (`prior_sensitivity`), ``loo_pit`` and ``forest`` (`covariate_forest`; made for every fit with
                      covariates if not false): true or false; ``screen`` and ``stepwise``: the candidates of
                      `screen_covariates` and `stepwise_covariates`
``[exposure]``        ``fit`` (a ``[fit.NAME]``), ``metrics``
``[tumour]``          ``assay`` and the other arguments of `responses_from`
``[dose]``            ``metrics`` and the arguments of `dose_exposure`
``[response.NAME]``   ``outcome, on`` and the other arguments of `fit_grade`; ``label``: NAME, _ as spaces, if not given
``[event.NAME]``      the arguments of `fit_event`, ``label`` as above; ``days``: exposure that changes with time, on these days
``[report]``          ``title, fit``; ``formats``: of ``html`` (always written), ``docx`` and ``pdf``; ``compare``: two fits or
                      more to be ranked, on a page of their own too
====================  ==========================================================================

Paths are relative to the study file. A key that nobody reads is an error: a misspelt setting would be
ignored in silence. What a key leaves out has the default of the function that reads it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carkinetics.batch.asked import AFTER_A_FIT, REPORT_FORMATS, DataConfig, FitConfig, Settings, StudyConfig
from carkinetics.errors import ConfigError, did_you_mean
from carkinetics.response.recorded import TIME_KEYS, TIMES

# What a value may be: in words for the message, and as a test.
_KINDS: dict[str, Callable[[Any], bool]] = {
    "text": lambda v: isinstance(v, str) and v != "",
    "a number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "a whole number from 0": lambda v: isinstance(v, int) and not isinstance(v, bool) and v >= 0,
    "a whole number from 0 to 2**63 - 1": lambda v: _KINDS["a whole number from 0"](v) and v < 2**63,
    "a whole number above 0": lambda v: isinstance(v, int) and not isinstance(v, bool) and v > 0,
    "true or false": lambda v: isinstance(v, bool),
    "a list of text": lambda v: isinstance(v, list) and bool(v) and all(isinstance(x, str) for x in v),
    "a list of two numbers": lambda v: (
        isinstance(v, list) and len(v) == 2 and all(map(_KINDS["a number"], v))
    ),
    "a list of numbers": lambda v: isinstance(v, list) and bool(v) and all(map(_KINDS["a number"], v)),
    "a table": lambda v: isinstance(v, dict),
    "a table of text": lambda v: isinstance(v, dict) and all(map(_KINDS["text"], v.values())),
    "a table of numbers": lambda v: isinstance(v, dict) and all(map(_KINDS["a number"], v.values())),
    "a table of text or lists of text": lambda v: (
        isinstance(v, dict) and all(_KINDS["text"](x) or _KINDS["a list of text"](x) for x in v.values())
    ),
    "a table of text or tables of text": lambda v: (
        isinstance(v, dict) and all(_KINDS["text"](x) or _KINDS["a table of text"](x) for x in v.values())
    ),
}

SEED = "a whole number from 0 to 2**63 - 1"
_TOP = {
    "seed": SEED,
    "output": "text",
    "data": "a table",
    "nca": "a table",
    "fit": "a table",
    "exposure": "a table",
    "tumour": "a table",
    "dose": "a table",
    "response": "a table",
    "event": "a table",
    "report": "a table",
}
_DATA = {
    "path": "text | a list of text",
    "format": "text",
    "value_unit": "text | a table of text",
    "lloq": "a number | a table of numbers",
    "lod": "a number | a table of numbers",
    "uloq": "a number | a table of numbers",
    "time_unit": "text",
    "dose_unit": "text",
    "columns": "a table of text or tables of text",
    "subjects": "text",
    "event_columns": "a table of text",
    "assay_names": "a table of text",
    "default_assay": "text",
    "markers": "a list of text",
    "sheet": "text | a whole number from 0",
    "assay": "text",
}
_NCA = {"method": "text", "blq": "text", "metrics": "a list of text"}
_FIT = {
    "model": "text",
    "value_unit": "text",
    "priors": "a table",
    "fix": "a table",
    "random": "a list of text",
    "correlated": "true or false | a list of text",
    "mixture": "true or false | a table",
    "covariates": "a table of text or lists of text",
    "blq": "text",
    "error": "text",
    "draws": "a whole number above 0",
    "tune": "a whole number above 0",
    "chains": "a whole number above 0",
    "centred": "a list of text",
    "target_accept": "a number",
    "method": "text",
    "sampler": "text",
    "until": "a table",
    "max_minutes": "a number",
    "cross_check": "true or false",
    "sensitivity": "true or false",
    "loo_pit": "true or false",
    "forest": "true or false",
    "screen": "a list of text | a table of text or lists of text",
    "stepwise": "a list of text | a table of text or lists of text",
}
_EXPOSURE = {"fit": "text", "metrics": "a list of text"}
_TUMOUR = {
    "assay": "text",
    "response": "text",
    "new_lesion": "text",
    "pfs": "a table of text",
    "os": "a table of text",
    "criteria": "text",
    "confirm": "true or false",
    "confirm_days": "a number",
    "minimum_sd_days": "a number",
}
_DOSE = {
    "metrics": "a list of text",
    "limits": "a list of two numbers",
    "reference": "a number",
    "interval": "a number",
    "by": "text",
    "between": "a number",
}
_RESPONSE = {
    "label": "text",
    "outcome": "text",
    "on": "text",
    "adjust": "text | a list of text",
    "onset": "text",
    "family": "text",
    "shape": "text",
    "draws": "a whole number above 0",
    "interval": "a number",
    "prior_slope_sd": "a number",
    "prior_intercept_sd": "a number",
}
_EVENT = {
    "label": "text",
    "duration": "text",
    "event": "text",
    "outcome": "text",
    "onset": "text",
    "window": "a number",
    "on": "text",
    "adjust": "text | a list of text",
    "landmark": "a number",
    "baseline": "text",
    "draws": "a whole number above 0",
    "interval": "a number",
    "prior_slope_sd": "a number",
    "days": "a list of numbers",
}
_REPORT = {"title": "text", "fit": "text", "formats": "a list of text", "compare": "a list of text"}

DEFAULT_SEED = 0
FORMATS = ("nonmem",)


def checked_seed(seed: int) -> int:
    """Seed that every generator takes.

    Parameters
    ----------
    seed : int
        As the caller gave it.

    Returns
    -------
    int
        The same.

    Raises
    ------
    ConfigError
        If it is not a whole number from 0 to 2**63 - 1.
    """
    if not _KINDS[SEED](seed):
        raise ConfigError(f"seed is {seed!r}; expected {SEED}")
    return seed


def read_study(path: str | Path) -> StudyConfig:
    """Read and check a study file.

    Parameters
    ----------
    path : str or pathlib.Path
        A TOML file.

    Returns
    -------
    StudyConfig
        Every key checked, every path absolute.

    Raises
    ------
    ConfigError
        If the file cannot be read, has an unknown or missing key, a value of the wrong kind, or names a
        fit that it does not define.
    """
    file = Path(path).resolve()
    try:
        text = file.read_text(encoding="utf-8")
        table = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(f"study file {path} cannot be read: {reason}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None
    return _Reader(file, text, table).study()


@dataclass(frozen=True)
class _Reader:
    """The parsed file and its name, for messages."""

    file: Path
    text: str
    table: dict[str, Any]

    def error(self, section: str, message: str) -> ConfigError:
        return ConfigError(f"{self.file.name}: {f'[{section}] ' if section else ''}{message}")

    def section(self, name: str, entry: Any, known: Mapping[str, str], *required: str) -> dict[str, Any]:
        """Check the keys and kinds of one section, and return it."""
        if not isinstance(entry, dict):
            raise self.error("", f"{name} is {entry!r}; expected a section [{name}]")
        for key, value in entry.items():
            if key not in known:
                raise self.error(name, f"unknown key {key!r}{did_you_mean(key, known)}")
            kinds = known[key].split(" | ")
            if not any(_KINDS[kind](value) for kind in kinds):
                raise self.error(name, f"{key} is {value!r}; expected {' or '.join(kinds)}")
        for key in required:
            if key not in entry:
                raise self.error(name, f"{key!r} is missing")
        return dict(entry)

    def study(self) -> StudyConfig:
        top = self.section("", self.table, _TOP, "data")
        nca = self.section("nca", top.get("nca", {}), _NCA)
        exposure = self.section("exposure", top.get("exposure", {}), _EXPOSURE)
        dose = self.section("dose", top.get("dose", {}), _DOSE)
        report = self.section("report", top.get("report", {}), _REPORT)
        fits = tuple(self.fit(name, entry) for name, entry in top.get("fit", {}).items())
        only = fits[0].name if len(fits) == 1 else None
        if "exposure" in top and "fit" not in exposure and only is None:
            raise self.error(
                "exposure", f"'fit' is missing; name one of {', '.join(f.name for f in fits) or 'the fits'}"
            )
        exposure_fit = self.known_fit(
            "exposure", exposure.pop("fit", only if "exposure" in top else None), fits
        )
        last = fits[-1].name if fits else None
        metrics = dose.pop("metrics", ["auc_0_28"] if "dose" in top else [])
        return StudyConfig(
            path=self.file,
            text=self.text,
            seed=top.get("seed", DEFAULT_SEED),
            output=self.file.parent / top.get("output", f"runs/{self.file.stem}"),
            data=self.data(top["data"]),
            fits=fits,
            nca=nca,
            exposure_fit=exposure_fit,
            exposure=exposure,
            tumour=self.tumour(top.get("tumour")),
            dose_metrics=tuple(metrics),
            dose=dose,
            responses={
                name: self.named("response", name, entry, _RESPONSE, "outcome", "on")
                for name, entry in top.get("response", {}).items()
            },
            events={
                name: self.named("event", name, entry, _EVENT, "on")
                for name, entry in top.get("event", {}).items()
            },
            title=report.get("title", self.file.stem),
            report_fit=self.known_fit("report", report.get("fit", exposure_fit or last), fits),
            report_formats=self.formats(report.get("formats", [])),
            compared=self.compared(report.get("compare"), fits),
        )

    def tumour(self, entry: Any) -> Settings | None:
        if entry is None:
            return None
        asked = self.section("tumour", entry, _TUMOUR, "assay")
        for endpoint in TIMES:
            if endpoint in asked:
                self.section(
                    f"tumour.{endpoint}", asked[endpoint], dict.fromkeys(TIME_KEYS, "text"), *TIME_KEYS
                )
        return asked

    def formats(self, named: list[str]) -> tuple[str, ...]:
        for name in named:
            if name not in REPORT_FORMATS:
                raise self.error("report", f"formats has {name!r}{did_you_mean(name, REPORT_FORMATS)}")
        return tuple(name for name in REPORT_FORMATS if name in ("html", *named))

    def compared(self, named: list[str] | None, fits: tuple[FitConfig, ...]) -> tuple[str, ...]:
        if named is None:
            return ()
        for name in named:
            self.known_fit("report", name, fits, key="compare")
        if len(set(named)) < max(len(named), 2):
            raise self.error("report", f"compare is {named!r}; expected two fits or more, each once")
        return tuple(named)

    def known_fit(
        self, section: str, name: str | None, fits: tuple[FitConfig, ...], key: str = "fit"
    ) -> str | None:
        names = [fit.name for fit in fits]
        if name is not None and name not in names:
            raise self.error(
                section, f"{key} is {name!r}, but there is no [fit.{name}]{did_you_mean(name, names)}"
            )
        return name

    def data(self, entry: Any) -> DataConfig:
        table = self.section("data", entry, _DATA, "path")
        kind = table.pop("format", FORMATS[0])
        if kind not in FORMATS:
            raise self.error("data", f"format is {kind!r}{did_you_mean(kind, FORMATS)}")
        listed = table.pop("path")
        paths = tuple(
            self.existing("data", "path", text) for text in ([listed] if isinstance(listed, str) else listed)
        )
        if "subjects" in table:
            table["subjects"] = self.existing("data", "subjects", table["subjects"])
        assay = table.pop("assay", None)
        return DataConfig(paths, assay, table)

    def existing(self, section: str, key: str, text: str) -> Path:
        found = self.file.parent / text
        if not found.is_file():
            raise self.error(section, f"{key} is {text!r}; there is no file {found}")
        return found

    def fit(self, name: str, entry: Any) -> FitConfig:
        table = self.section(f"fit.{name}", self.safe_name("fit", name, entry), _FIT, "model")
        model = table.pop("model")
        if model.endswith(".toml"):
            model = str(self.existing(f"fit.{name}", "model", model))
        changes = {key: table.pop(key, {}) for key in ("priors", "fix")}
        after = {key: table.pop(key) for key in AFTER_A_FIT if key in table}
        if table.get("covariates"):
            after.setdefault("forest", True)
        return FitConfig(name, model, table.pop("value_unit", None), settings=table, after=after, **changes)

    def named(self, section: str, name: str, entry: Any, keys: Settings, *required: str) -> Settings:
        entry = self.safe_name(section, name, entry)
        return self.section(f"{section}.{name}", entry, keys, *required)

    def safe_name(self, section: str, name: str, entry: Any) -> Any:
        """Refuse a name that cannot be a file name; a plain key here means that the name was left out."""
        if not isinstance(entry, dict):
            raise self.error(
                section, f"{name} = {entry!r} stands outside a named section; write [{section}.NAME]"
            )
        if not name.replace("-", "_").replace("_", "a").isalnum():
            raise self.error(f"{section}.{name}", "a name of letters, digits, - and _ was expected")
        return entry
