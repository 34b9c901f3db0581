"""Whether inference with this model family finds the truth: calibrations that were run, and the one that is shipped."""

from __future__ import annotations

import pandas as pd

from carkinetics import plot
from carkinetics.diagnostics import Calibration
from carkinetics.fit import Fit
from carkinetics.model import load_model
from carkinetics.report.blocks import Block, Section, Table, Text
from carkinetics.report.images import picture
from carkinetics.report.parts import Parts
from carkinetics.report.written import listing, span
from carkinetics.shipped import shipped_folder

COLUMNS = (
    "Quantity",
    "90 % intervals that hold the truth, %",
    "95 % interval of that",
    "50 % intervals, %",
    "χ² p",
    "KS p",
)
NOTE = (
    "Simulation-based calibration: parameters are drawn from the prior, data from them, and the share of posterior intervals that hold "
    "the drawn value is counted. χ² and KS test whether the rank of the truth among posterior draws is uniform."
)


def shipped_calibration(model: str) -> pd.DataFrame:
    """What `tests/calibration.py` found for a model of the library.

    Parameters
    ----------
    model : str
        Its name.

    Returns
    -------
    pandas.DataFrame
        ``model, subjects, replicates, quantity, cover_50, cover_90, low_90, high_90, chi2_p, ks_p``; no rows if it was not run.
    """
    table = pd.read_csv(shipped_folder("data") / "calibration.csv", comment="#")
    return table[table["model"] == model].reset_index(drop=True)


def calibration_section(parts: Parts) -> Section | None:
    """Calibrations among the parts, and that of the fitted model's family.

    Parameters
    ----------
    parts : Parts
        What the report shows.

    Returns
    -------
    Section or None
        None without a population fit and without a calibration.
    """
    blocks: list[Block] = []
    for one in parts.calibrations:
        blocks.append(Text(one.statement, "bad" if one.calibrated is False else ""))
        if one.n:
            blocks += [
                _figure(one),
                _table(one.table.reset_index(), f"Calibration of {one.settings.get('model')}"),
            ]
    if parts.fit is not None:
        blocks += _family(parts)
    return Section("calibration", "Calibration", tuple(blocks)) if blocks else None


def _figure(one: Calibration) -> Block:
    count, wrong = len(one.table), len(one.departures)
    alt = f"Ranks of {count} quantities in {one.n} simulated data sets; {wrong} of them are not uniform."
    caption = (
        "Cumulative distribution of the rank of the truth, less that of uniform ranks. A curve that leaves the grey band upwards first "
        "and downwards then means intervals that are too narrow."
    )
    return picture(plot.calibration(one), alt, caption)


def _family(parts: Parts) -> list[Block]:
    assert parts.fit is not None
    model = parts.fit.model
    found = shipped_calibration(model.name)
    if found.empty or load_model(model.name).text != model.text:  # a name is free to be taken again
        return [
            Text(
                f"No calibration of {model.name} comes with this version; carkinetics.calibrate(model, data) runs one for this very "
                "design.",
                "caution",
            )
        ]
    rows, first = found[found["quantity"] != "log_likelihood"], found.iloc[0]
    text = (
        f"This model family, with {first['subjects']} patients and the schedule of its test: 90 % intervals held "
        f"{100 * rows['cover_90'].mean():.0f} % of the true values of {len(rows)} quantities in {first['replicates']} data sets that were "
        "simulated with the priors of the model file."
    )
    differs = _differences(parts.fit, int(first["subjects"]))
    if differs:
        text += f" This analysis differs from it in {listing(differs, 9)}; carkinetics.calibrate(model, data) runs the test for this very design."
    return [Text(text), _table(found, f"Calibration of {model.name}, from the test suite", folded=True)]


def _differences(fit: Fit, subjects: int) -> list[str]:
    """In what an analysis is another one than that of the model file with its defaults, which was calibrated."""
    library, settings = load_model(fit.model.name), fit.settings
    priors = sorted(fit.model.priors_changed)
    fixed = [name for name in library.free_parameters if fit.model.parameters[name].fixed]
    random = {name for name in library.free_parameters if library.parameters[name].omega}
    few = len(fit.data.subjects)
    said = {
        f"the priors of {', '.join(priors)}": bool(priors),
        f"fixing {', '.join(fixed)}": bool(fixed),
        "which parameters differ between patients": set(settings["random"]) != random - set(fixed),
        "having covariates": bool(settings.get("covariates")),
        "correlated random effects": bool(settings.get("correlated")),
        f"the residual error ({settings['error']})": settings["error"] != library.error,
        f"the treatment of BLQ values ({settings['blq']})": settings["blq"] != "M3",
        f"having {few} patients": few < subjects / 2,
    }
    return [words for words, there in said.items() if there]


def _table(found: pd.DataFrame, caption: str, *, folded: bool = False) -> Table:
    rows = tuple(
        (
            str(row.quantity), f"{100 * row.cover_90:.0f}", span(100 * row.low_90, 100 * row.high_90), f"{100 * row.cover_50:.0f}",
            f"{row.chi2_p:.3f}", f"{row.ks_p:.3f}",
        )
        for row in found.itertuples()
    )  # fmt: skip
    return Table(caption, COLUMNS, rows, note=NOTE, folded=folded)
