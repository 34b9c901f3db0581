"""What a study asks of a fit once it is there: made, written into the run folder, and read again where its step is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from carkinetics.batch.folder import Draft, write_csv
from carkinetics.diagnostics import LooPit, cross_check, loo_pit, prior_sensitivity
from carkinetics.diagnostics.cross_check import judged, other_engine
from carkinetics.exposure import CovariateForest, covariate_forest
from carkinetics.fit import CovariateScreen, Fit, StepwiseSearch, screen_covariates, stepwise_covariates
from carkinetics.fit.stepwise import refit

if TYPE_CHECKING:
    from carkinetics.batch.study import Study

FOREST_DRAWS = 1000  # a third of a second; all draws of a long fit say the same


def _write_cross_check(study: Study, name: str, draft: Draft) -> None:
    found = cross_check(study[f"fit.{name}"], progress=study.talk)
    write_csv(found.reset_index(), draft.path(f"fit/{name}-cross-check.csv"))
    draft.note |= {"agree": bool(found.attrs["agree"]), "largest_z": round(found.attrs["largest_z"], 2)}


def _write_sensitivity(study: Study, name: str, draft: Draft) -> None:
    found = prior_sensitivity(study[f"fit.{name}"], seed=study.seed)
    write_csv(found.reset_index(), draft.path(f"fit/{name}-sensitivity.csv"))
    _write_facts(draft, f"fit/{name}-sensitivity.json", found.attrs)
    draft.note["words"] = found["words"].to_dict()


def _write_screen(study: Study, name: str, draft: Draft) -> None:
    found = screen_covariates(study[f"fit.{name}"], study.candidates(name, "screen"), seed=study.seed)
    write_csv(found.table, draft.path(f"fit/{name}-screen.csv"))
    facts = {key: getattr(found, key) for key in ("covariates", "statement", "converged", "settings")}
    _write_facts(draft, f"fit/{name}-screen.json", facts)
    draft.note |= {"statement": found.statement, "converged": found.converged}


def _write_stepwise(study: Study, name: str, draft: Draft) -> None:
    found = stepwise_covariates(study[f"fit.{name}"], study.candidates(name, "stepwise"), seed=study.seed)
    write_csv(found.steps, draft.path(f"fit/{name}-stepwise.csv"))
    facts = {key: getattr(found, key) for key in ("covariates", "warning", "settings")}
    _write_facts(draft, f"fit/{name}-stepwise.json", facts)
    draft.note |= {"covariates": found.covariates, "warning": found.warning}


def _write_loo_pit(study: Study, name: str, draft: Draft) -> None:
    found = loo_pit(study[f"fit.{name}"], seed=study.seed)
    parts = {"": found.table, "-k": found.k.reset_index(), "-curve": found.curve}
    for tail, table in parts.items():
        write_csv(table, draft.path(f"fit/{name}-loo-pit{tail}.csv"))
    _write_facts(draft, f"fit/{name}-loo-pit.json", found.settings)
    draft.note["statement"] = found.statement


def _write_forest(study: Study, name: str, draft: Draft) -> None:
    found = covariate_forest(study[f"fit.{name}"], n_draws=FOREST_DRAWS, seed=study.seed)
    write_csv(found.table, draft.path(f"fit/{name}-forest.csv"))
    write_csv(found.draws, draft.path(f"fit/{name}-forest-draws.csv"))
    # The rows again, since a reference is a number in one row and a word in another, which a CSV cannot tell.
    facts = {"statement": found.statement, "settings": found.settings, "rows": found.table.to_dict("records")}
    _write_facts(draft, f"fit/{name}-forest.json", facts)
    draft.note["statement"] = found.statement


def _read_cross_check(folder: Path, fit: Fit, name: str) -> pd.DataFrame:
    table = pd.read_csv(folder / f"fit/{name}-cross-check.csv", index_col="parameter")
    return judged(table, fit.settings["sampler"], other_engine(fit))


def _read_sensitivity(folder: Path, fit: Fit, name: str) -> pd.DataFrame:
    table = pd.read_csv(folder / f"fit/{name}-sensitivity.csv", index_col="parameter")
    table.attrs = _facts(folder / f"fit/{name}-sensitivity.json")
    return table


def _read_screen(folder: Path, fit: Fit, name: str) -> CovariateScreen:
    table = pd.read_csv(folder / f"fit/{name}-screen.csv")
    return CovariateScreen(table, **_facts(folder / f"fit/{name}-screen.json"))


def _read_stepwise(folder: Path, fit: Fit, name: str) -> StepwiseSearch:
    texts = ["direction", "parameter", "covariate"]
    file = folder / f"fit/{name}-stepwise.csv"
    steps = pd.read_csv(file, keep_default_na=False, dtype=dict.fromkeys(texts, str))
    facts = _facts(folder / f"fit/{name}-stepwise.json")
    # Its last fit is not saved: it is made again, by the same numbers.
    return StepwiseSearch(steps, fit=refit(fit, facts["covariates"], facts["settings"]), **facts)


def _read_loo_pit(folder: Path, fit: Fit, name: str) -> LooPit:
    start, text = folder / "fit", {"subject": str}
    table, k, curve = (
        pd.read_csv(start / f"{name}-loo-pit{tail}.csv", dtype=text) for tail in ("", "-k", "-curve")
    )
    return LooPit(table, k.set_index("subject")["k"], curve, _facts(start / f"{name}-loo-pit.json"))


def _read_forest(folder: Path, fit: Fit, name: str) -> CovariateForest:
    facts = _facts(folder / f"fit/{name}-forest.json")
    draws = pd.read_csv(folder / f"fit/{name}-forest-draws.csv", header=[0, 1, 2])
    draws.columns = draws.columns.set_names(["covariate", "level", "metric"])
    return CovariateForest(pd.DataFrame(facts["rows"]), draws, facts["statement"], facts["settings"])


def _write_facts(draft: Draft, name: str, facts: dict[str, Any]) -> None:
    """What a table cannot say of itself, beside it."""
    draft.path(name).write_text(json.dumps(facts, indent=2, default=_plain) + "\n", encoding="utf-8")


def _facts(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be written")


# By the key of [fit.NAME] that asks for it.
AFTER_WRITERS: dict[str, Callable[[Study, str, Draft], None]] = {
    "cross_check": _write_cross_check,
    "sensitivity": _write_sensitivity,
    "screen": _write_screen,
    "stepwise": _write_stepwise,
    "loo_pit": _write_loo_pit,
    "forest": _write_forest,
}
AFTER_READERS: dict[str, Callable[[Path, Fit, str], Any]] = {
    "cross_check": _read_cross_check,
    "sensitivity": _read_sensitivity,
    "screen": _read_screen,
    "stepwise": _read_stepwise,
    "loo_pit": _read_loo_pit,
    "forest": _read_forest,
}
