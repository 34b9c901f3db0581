"""Verbs on what a saved fit learnt: what its priors decided, and which covariates may matter."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import carkinetics as ck
from carkinetics.cli_figure import Picture, draw
from carkinetics.options import AsJson, Output, Seed, expect_seed
from carkinetics.terminal import answer, note

NOT_CONVERGED = 2

FitPath = Annotated[
    Path, typer.Argument(metavar="FIT", help="A hierarchical fit saved by `carkinetics fit`.")
]
Candidates = Annotated[
    list[str],
    typer.Argument(
        metavar="COVARIATE...", help="Texts over the subjects' columns, such as 'log(dose)' \"sex == 'F'\"."
    ),
]
On = Annotated[
    list[str] | None,
    typer.Option(
        "--on", help="Parameter that may be moved; repeat for more. All with a random effect if not given."
    ),
]


def sensitivity(
    fit: FitPath,
    likelihood: Annotated[
        str, typer.Option(help="marginal, over the random effects; or conditional: at once, with more noise.")
    ] = "marginal",
    figure: Picture = None,
    seed: Seed = 1,
    output: Output = None,
    as_json: AsJson = False,
) -> None:
    """What the priors of a saved fit decided, and what its data did not tell; exit 2 if it did not converge."""
    expect_seed(seed)
    found = ck.prior_sensitivity(ck.load_fit(fit), likelihood=likelihood, seed=seed)
    answer(found.reset_index(), output, as_json)
    draw(figure, lambda: ck.plot.sensitivity(found))
    for words, rows in found.groupby("words"):
        note(f"{words}: {', '.join(map(str, rows.index))}")
    if not found.attrs["converged"]:
        note(f"{fit}: the fit did not converge; none of this counts")
        raise typer.Exit(NOT_CONVERGED)


def screen(
    fit: FitPath,
    covariates: Candidates,
    on: On = None,
    expected: Annotated[int, typer.Option(help="How many pairs may matter.")] = 2,
    factor: Annotated[float, typer.Option(help="Smallest factor that counts.")] = 1.2,
    figure: Picture = None,
    seed: Seed = 1,
    output: Output = None,
    as_json: AsJson = False,
) -> None:
    """Screen pairs of parameter and covariate by a regularised horseshoe; exit 2 if its chains did not converge."""
    expect_seed(seed)
    found = ck.screen_covariates(
        ck.load_fit(fit), _candidates(covariates, on), expected=expected, factor=factor, seed=seed
    )
    answer(found.table, output, as_json)
    draw(figure, lambda: ck.plot.covariate_screen(found))
    note(found.statement)
    if not found.converged:
        raise typer.Exit(NOT_CONVERGED)


def stepwise(
    fit: FitPath,
    covariates: Candidates,
    on: On = None,
    forward: Annotated[float, typer.Option(help="Fall of -2LL at which a pair comes in.")] = 3.84,
    backward: Annotated[float, typer.Option(help="Rise of -2LL at which a pair stays.")] = 6.63,
    seed: Seed = 1,
    output: Output = None,
    as_json: AsJson = False,
) -> None:
    """Search covariates forward and backward on -2LL by maximum likelihood; exit 2 if the last fit did not converge."""
    expect_seed(seed)
    found = ck.stepwise_covariates(
        ck.load_fit(fit), _candidates(covariates, on), forward=forward, backward=backward, seed=seed, say=note
    )
    answer(found.steps, output, as_json)
    kept = [f"{name} on {text}" for name, texts in found.covariates.items() for text in texts]
    note(f"left: {', '.join(kept) or 'no covariate'}. {found.warning}.")
    if not found.fit.converged:
        raise typer.Exit(NOT_CONVERGED)


def _candidates(covariates: list[str], on: list[str] | None) -> list[str] | dict[str, list[str]]:
    return dict.fromkeys(on, covariates) if on else covariates
