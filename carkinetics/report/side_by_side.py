"""Tables with one column per fit: settings, estimates, exposure; and one row per fit: convergence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from carkinetics.exposure.typical import ASKED_FIRST, typical_exposure
from carkinetics.fit import Fit
from carkinetics.fit.measured import measured_outputs
from carkinetics.fit.result import INTERVAL
from carkinetics.fit.stated_prior import stated_priors
from carkinetics.plot.style import metric_label
from carkinetics.report.blocks import Table
from carkinetics.report.compared import Compared
from carkinetics.report.convergence import convergence_rows
from carkinetics.report.parameters import MEMBERS, parameter_table
from carkinetics.report.verdict import interval
from carkinetics.report.written import MISSING, number

# Blocks of rows; a row is what it is called and what it says of one fit.
Blocks = dict[str, dict[str, str]]
# Different in any two fits, and no choice of anybody.
INCIDENTAL = ("made", "seconds")
ENGINE = ("sampler", "chains", "draws", "tune", "warm_up", "sweeps", "every", "target_accept", "until", "max_minutes",
          "preconditioned", "seed", "seconds", "made")  # fmt: skip
TOO_MANY = ("Accepted", "Log posterior")  # rows of the convergence table that no reader compares


def aligned(caption: str, compared: Compared, blocks_of: Callable[[Fit], Blocks], note: str) -> Table:
    """Put what every fit says of the same thing into one row.

    Parameters
    ----------
    caption : str
        Of the table.
    compared : Compared
        The fits.
    blocks_of : callable
        Rows of one fit, in blocks.
    note : str
        Footnote.

    Returns
    -------
    Table
        One column per fit, a dash where a fit has no such row; columns of fits that did not converge are marked.
    """
    each = {name: blocks_of(fit) for name, fit in compared.fits.items()}
    return _table(caption, compared, each, list(_merged(each.values())), "Quantity", note)


def _merged(each: Iterable[Blocks]) -> Iterator[tuple[str, str]]:
    """Block and label of every row that some fit has, in the order of the fits."""
    fits = list(each)
    for block in _in_order(fits):
        for label in _in_order(blocks[block] for blocks in fits if block in blocks):
            yield block, label


def _in_order(each: Iterable[Iterable[str]]) -> list[str]:
    """Names of all lists, each once; a new one stands after the one that it follows in its own list."""
    known: list[str] = []
    for names in each:
        at = 0
        for name in names:
            if name not in known:
                known.insert(at, name)
            at = known.index(name) + 1
    return known


def _table(
    caption: str,
    compared: Compared,
    each: dict[str, Blocks],
    shown: list[tuple[str, str]],
    first: str,
    note: str = "",
) -> Table:
    rows: list[tuple[str, ...]] = []
    block = ""
    for title, label in shown:
        if title != block:
            block = title
            rows.append((title,))
        rows.append((label, *(blocks.get(title, {}).get(label) or MISSING for blocks in each.values())))
    heads = (first, *(compared.head(name) for name in compared.fits))
    marked = frozenset(i for i, name in enumerate(compared.fits, 1) if name in compared.unusable)
    return Table(caption, heads, tuple(rows), note, compared.warning, align="l", warned_columns=marked)


def settings_tables(compared: Compared) -> tuple[Table | None, Table]:
    """What was asked for: the rows in which fits differ, and all of them.

    Parameters
    ----------
    compared : Compared
        The fits.

    Returns
    -------
    tuple of (Table or None, Table)
        None where nothing differs; the second is folded.
    """
    each = {name: _settings(fit) for name, fit in compared.fits.items()}
    every = list(_merged(each.values()))
    differing = [
        (block, label)
        for block, label in every
        if label not in INCIDENTAL and len({blocks.get(block, {}).get(label) for blocks in each.values()}) > 1
    ]
    full = _table("All settings", compared, each, every, "Setting")
    if not differing:
        return None, _asked(full, folded=True)
    return _asked(_table("What differs between the fits", compared, each, differing, "Setting")), _asked(
        full, folded=True
    )


def _asked(table: Table, *, folded: bool = False) -> Table:
    """Without the mark of a fit that did not converge, but for its head: what was asked for rests on no draw."""
    return replace(table, warning="", warned_columns=None, folded=folded)


def _settings(fit: Fit) -> Blocks:
    settings, model = fit.settings, fit.model
    moved = [f"{one['parameter']} by {one['text']}" for one in settings.get("covariates", [])]
    fixed = [f"{name} = {number(one.typical)}" for name, one in model.parameters.items() if one.fixed]
    mixture = fit.mixture
    return {
        "Model": {
            "model": f"{model.name}: {model.title}",
            "form": "differential equations" if model.states else "closed form",
            "fixed parameters": ", ".join(fixed) or "none",
            "SHA-256 of its text": model.sha256[:12],
        },
        "Population": {
            "random effects": ", ".join(settings.get("random", [])) or "none",
            "correlated": ", ".join(settings.get("correlated") or []) or "none",
            "covariates": ", ".join(moved) or "none",
            "classes of subjects": f"{mixture.name}: {', '.join(mixture.shifts)}" if mixture else "none",
        },
        "Data and their errors": {
            "assays": ", ".join(f"{one.assay} ({one.output})" for one in measured_outputs(fit)),
            "residual error": ", ".join(f"{one.error.name} ({one.output})" for one in measured_outputs(fit)),
            "BLQ values": str(settings["blq"]),
            "subjects": str(len(fit.data.subjects)),
            "observations": str(len(fit.observations)),
            "SHA-256 of the data": fit.data.sha256[:12],
        },
        "Priors": {name: prior.text for name, prior in stated_priors(fit).items()},
        "Sampling": {key: _said(settings[key]) for key in ENGINE if key in settings}
        | {"centred": ", ".join(settings.get("centred") or []) or "none"},
        "Versions at the fit": {name: str(text) for name, text in settings.get("versions", {}).items()},
    }


def _said(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {one}" for key, one in value.items())
    return str(value)


def estimates(fit: Fit) -> Blocks:
    """Estimate and interval of every population quantity, under the blocks of the parameter table.

    Parameters
    ----------
    fit : Fit
        Hierarchical.

    Returns
    -------
    dict of str to dict of str to str
        By block and label.
    """
    found: Blocks = {}
    block = ""
    for row in parameter_table(fit).rows:
        if len(row) == 1:
            block = row[0]
            continue
        label, estimate, sd, interval = row[:4]
        said = f"{estimate} FIX" if sd == "FIX" else f"{estimate} ({interval})"
        found.setdefault(block, {})[label.partition(MEMBERS)[0]] = said
    return found


def exposures(fit: Fit) -> Blocks:
    """What a fit says of the typical subject.

    Parameters
    ----------
    fit : Fit
        Hierarchical.

    Returns
    -------
    dict of str to dict of str to str
        One block.
    """
    found = typical_exposure(fit, len(ASKED_FIRST))
    return {
        "Typical subject": {
            metric_label(row.metric, row.unit): f"{number(row.value)} ({interval(row.lower, row.upper)})"
            for row in found.itertuples()
        }
    }


EXPOSURE_NOTE = (
    "Curve of a subject without random effects, at the centre of the covariates and the median dose: median over the posterior draws, "
    f"and {INTERVAL:.0%} equal-tailed credible interval. Fits whose covariates are centred elsewhere speak of another subject."
)
ESTIMATE_NOTE = (
    f"Posterior median and {INTERVAL:.0%} equal-tailed credible interval, on the natural scale; FIX: not estimated; a dash: the fit has no such "
    "quantity. Quantities of one name have one meaning only where the models give it the same one."
)


def convergence_table(compared: Compared) -> Table:
    """One row per fit: whether chains agree and explore.

    Parameters
    ----------
    compared : Compared
        The fits.

    Returns
    -------
    Table
        Rows of fits that did not converge are marked.
    """
    each: dict[str, Blocks] = {}
    wanted: dict[str, str] = {}
    for name, fit in compared.fits.items():
        rows = [row for row in convergence_rows(fit) if not row[0].startswith(TOO_MANY)]
        each[name] = {"": {quantity: found for quantity, found, _ in rows}}
        wanted |= {quantity: want for quantity, _, want in rows}
    shown = [label for _, label in _merged(each.values())]
    heads = [f"{label} ({wanted[label]})" if wanted[label] != MISSING else label for label in shown]
    rows_of = tuple(
        (
            name,
            "no" if name in compared.unusable else "yes",
            *(each[name][""].get(label, MISSING) for label in shown),
        )
        for name in compared.fits
    )
    warned = frozenset(i for i, name in enumerate(compared.fits) if name in compared.unusable)
    return Table(
        "Did the chains agree, and explore?", ("Fit", "Converged", *heads), rows_of, warning=compared.warning, align="l",
        warned=warned, warned_columns=frozenset(range(1, len(shown) + 2)),
    )  # fmt: skip
