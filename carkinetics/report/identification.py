"""What a report rests on, in a few lines: which file, how much of it, which fit, by what and when."""

from __future__ import annotations

from collections.abc import Iterator

from carkinetics.dataset import Dataset
from carkinetics.dataset.table import is_censored
from carkinetics.fit import Fit
from carkinetics.fit.measured import fitted_rows, measured_outputs
from carkinetics.report.blocks import Section, Table
from carkinetics.report.parts import Parts
from carkinetics.report.written import percent

_Row = tuple[str, ...]


def identification_section(parts: Parts) -> Section | None:
    """Data, hashes, rows used and left out, fits, samplers, seeds.

    Parameters
    ----------
    parts : Parts
        What the report shows.

    Returns
    -------
    Section or None
        None without data and without a population fit.
    """
    rows: list[_Row] = [] if parts.data is None else list(_of_data(parts.data))
    for fit, _ in parts.fits:
        if len(parts.fits) > 1:
            rows.append((f"Fit of {fit.name}",))
        rows += _of_fit(fit)
    if not rows:
        return None
    note = "Everything that is needed to get the same numbers again stands under Session."
    table = Table("Identification", ("Item", "Value"), tuple(rows), note=note, align="l", sortable=False)
    return Section("identification", "What this report rests on", (table,))


def _of_data(data: Dataset) -> Iterator[_Row]:
    yield "Data", data.source
    yield "SHA-256 of the data", data.sha256
    yield (
        "Rows of the source",
        f"{len(data.observations)} observations of {len(data.subjects)} subjects and {len(data.doses)} infusions read, {len(data.excluded)} rows left out",
    )


def _of_fit(fit: Fit) -> Iterator[_Row]:
    settings, sizes = fit.settings, fit.tree["posterior"].sizes
    yield "Model", f"{fit.model.name}: {fit.model.title}"
    for one in measured_outputs(fit):
        used = fitted_rows(fit, one.output)
        below = f", {percent(is_censored(used).mean())} of them BLQ ({settings['blq']})" if len(used) else ""
        yield f"Fitted samples ({one.assay})", f"{len(used)} of {used['subject'].nunique()} subjects{below}"
    engine = f"{settings['sampler']}, " if "sampler" in settings else ""
    yield "Draws", f"{engine}{sizes['chain']} chains of {sizes['draw']}, seed {settings['seed']}"
    made = str(settings.get("made", ""))[:16].replace("T", " ")
    seconds = f" in {float(settings['seconds']):.0f} s" if "seconds" in settings else ""
    version = settings.get("versions", {}).get("carkinetics", "")
    yield "Made", f"{made} UTC{seconds}{f' by carkinetics {version}' if version else ''}".strip()
