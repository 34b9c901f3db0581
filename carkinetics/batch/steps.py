"""How each kind of step writes its files: tables as CSV, fits and draws as NetCDF, the report as HTML."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pandas as pd

from carkinetics.batch.after_fit import AFTER_WRITERS
from carkinetics.batch.folder import Draft, write_csv
from carkinetics.batch.study import COMPARED_SUBJECTS, Study
from carkinetics.dataset import blq_table, check
from carkinetics.diagnostics import compare, monte_carlo_errors, population_correlations, review
from carkinetics.exposure import nca_findings
from carkinetics.exposure.by_dose import dose_groups
from carkinetics.fit import fit_hierarchical, fit_individuals
from carkinetics.report import write_comparison
from carkinetics.response import exposure_response_findings, response_rates, tumour_findings
from carkinetics.response.tumour_outcome import best_responses, median_times, tumour_times


def _study(study: Study, name: str, draft: Draft) -> None:
    draft.path("study.toml").write_text(study.config.text, encoding="utf-8")


def _data(study: Study, name: str, draft: Draft) -> None:
    for table in ("observations", "subjects", "doses", "events", "excluded"):
        write_csv(getattr(study.all_assays, table), draft.path(f"{table}.csv"))
    write_csv(check(study.all_assays), draft.path("findings.csv"))
    write_csv(blq_table(study.all_assays), draft.path("blq.csv"))


def _nca(study: Study, name: str, draft: Draft) -> None:
    write_csv(study["nca"].table, draft.path("nca.csv"))
    write_csv(nca_findings(study["nca"]), draft.path("nca-findings.csv"))


def _individual(study: Study, name: str, draft: Draft) -> None:
    first = study.config.fits[0].name
    fit = fit_individuals(study.models[first], study.data)
    fit.save(draft.path("fit/individual.nc"))
    write_csv(fit.parameters, draft.path("fit/individual-parameters.csv"))


def _fit(study: Study, name: str, draft: Draft) -> None:
    settings = next(entry.settings for entry in study.config.fits if entry.name == name)
    fit = fit_hierarchical(study.models[name], study.data, seed=study.seed, progress=study.talk, **settings)
    fit = replace(fit, settings=fit.settings | {"name": name})
    fit.save(draft.path(f"fit/{name}.nc"))
    write_csv(fit.parameters, draft.path(f"fit/{name}-parameters.csv"))


def _diagnosis(study: Study, name: str, draft: Draft) -> None:
    found = review(study[f"fit.{name}"])
    write_csv(found, draft.path(f"fit/{name}-diagnosis.csv"))
    for title, table in (("convergence", monte_carlo_errors), ("correlations", population_correlations)):
        write_csv(table(study[f"fit.{name}"]).reset_index(), draft.path(f"fit/{name}-{title}.csv"))
    draft.note |= {"converged": bool(found.attrs["converged"]), "adequate": bool(found.attrs["adequate"])}
    draft.note["verdict"] = str(found.attrs["verdict"])


def _compare(study: Study, name: str, draft: Draft) -> None:
    fits = {one: study[f"fit.{one}"] for one in study.config.compared}
    ranking = compare(fits, seed=study.seed, progress=study.talk)
    write_csv(ranking.rename_axis("fit").reset_index(), draft.path("compare.csv"))
    subjects = ranking.attrs["subjects"]
    each = pd.concat({one: subjects[one] for one in fits}, names=["fit"])
    write_csv(each.reset_index(), draft.path(COMPARED_SUBJECTS))
    title = f"{study.config.title}: fits compared"
    write_comparison(draft.path("compare.html"), fits, title=title, ranking=ranking)
    draft.note |= {"best": str(ranking.index[0]), "verdicts": ranking["verdict"].to_dict()}


def _exposure(study: Study, name: str, draft: Draft) -> None:
    exposure = study["exposure"]
    write_csv(exposure.table, draft.path("exposure.csv"))
    if exposure.draws is not None:
        exposure.draws.to_netcdf(draft.path("exposure-draws.nc"), engine="h5netcdf")


def _tumour(study: Study, name: str, draft: Draft) -> None:
    responses, data = study["tumour"], study.all_assays
    best = best_responses(responses, data)
    rates = response_rates(best["best"], dose_groups(data))
    write_csv(responses, draft.path("tumour/responses.csv"))
    write_csv(best.reset_index(), draft.path("tumour/best.csv"))
    write_csv(rates, draft.path("tumour/rates.csv"))
    write_csv(median_times(tumour_times(responses, data)), draft.path("tumour/times.csv"))
    write_csv(tumour_findings(responses, data), draft.path("tumour/findings.csv"))
    draft.note["best"] = best["best"].value_counts().to_dict()


def _dose(study: Study, metric: str, draft: Draft) -> None:
    result = study[f"dose.{metric}"]
    write_csv(result.table, draft.path(f"dose/{metric}.csv"))
    draft.note["statement"] = result.statement


def _response(study: Study, name: str, draft: Draft) -> None:
    result = study[f"response.{name}"]
    write_csv(result.table, draft.path(f"response/{name}.csv"))
    write_csv(result.curve, draft.path(f"response/{name}-curve.csv"))
    write_csv(exposure_response_findings(result), draft.path(f"response/{name}-findings.csv"))
    draft.note["statement"] = result.statement


def _event(study: Study, name: str, draft: Draft) -> None:
    result = study[f"event.{name}"]
    write_csv(result.table, draft.path(f"event/{name}.csv"))
    write_csv(result.excluded, draft.path(f"event/{name}-excluded.csv"))
    if len(result.curve):
        write_csv(result.curve, draft.path(f"event/{name}-curve.csv"))
    draft.note["statement"] = result.statement


WRITERS: dict[str, Callable[[Study, str, Draft], None]] = {
    "study": _study,
    "data": _data,
    "nca": _nca,
    "individual": _individual,
    "fit": _fit,
    "diagnose": _diagnosis,
    **AFTER_WRITERS,
    "compare": _compare,
    "exposure": _exposure,
    "tumour": _tumour,
    "dose": _dose,
    "response": _response,
    "event": _event,
}
