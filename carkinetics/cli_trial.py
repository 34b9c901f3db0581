"""The verbs of ``carkinetics trial``: what next, what may come, what a design does, and trials simulated from cells."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import carkinetics as ck
from carkinetics.cli_figure import Picture, draw
from carkinetics.errors import ConfigError
from carkinetics.options import AsJson, Output, Seed, expect_folder, expect_seed, numbers
from carkinetics.terminal import answer, frame, note, say, show

if TYPE_CHECKING:
    pass

trial = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Dose escalation: decide, look ahead, simulate."
)

TrialPath = Annotated[
    str, typer.Argument(metavar="TRIAL", help="TOML file with a design, or a shipped trial: nct05783089.")
]
CohortTexts = Annotated[
    list[str] | None,
    typer.Option(
        "--cohort", help="DOSE:N:DLT[:GRADE2[:PENDING]] in the order of treatment, such as 0.1e6:3:0; repeat."
    ),
]
CohortFile = Annotated[
    Path | None,
    typer.Option("--cohorts", help="Instead: table with columns dose, n, dlt[, grade2, pending]."),
]
Truth = Annotated[
    str | None, typer.Option(help="True DLT probability of every dose, such as 0.05,0.1,0.2,0.3,0.45.")
]
Grade2 = Annotated[
    str | None,
    typer.Option(help="Probability of grade 2 in those without a DLT, by dose, where the design counts it."),
]


@trial.command("list")
def list_trials(as_json: AsJson = False) -> None:
    """List the trials that come with the package."""
    from carkinetics.escalation.cohort import dose_text

    rows = []
    for name in ck.trials():
        design = ck.load_design(name)
        doses = " ".join(dose_text(dose) for dose in design.doses)
        rows.append(
            {
                "name": name,
                "design": design.name,
                "doses": doses,
                "scenarios": " ".join(ck.load_scenarios(name)),
            }
        )
    show(frame(rows), as_json)


@trial.command()
def decide(
    path: TrialPath,
    cohort: CohortTexts = None,
    cohorts: CohortFile = None,
    patients: Annotated[
        Path | None,
        typer.Option(
            help="Instead: table with columns patient, dose, dlt[, planned, grade2, evaluable, days]."
        ),
    ] = None,
    window: Annotated[float, typer.Option(help="Days of the DLT window, with --patients.")] = 28.0,
    tolerance: Annotated[
        float,
        typer.Option(help="Share by which a dose received may differ from a planned one, with --patients."),
    ] = 0.0,
    figure: Picture = None,
    as_json: AsJson = False,
) -> None:
    """Say what comes next and why, from what happened so far; nothing so far if no cohort is given."""
    design = ck.load_design(path)
    so_far: Any
    if patients is None:
        so_far = found = _cohorts(cohort, cohorts)
    elif cohort or cohorts:
        raise ConfigError(
            "--patients is given beside cohorts; expected one of --cohort, --cohorts, --patients"
        )
    else:
        from carkinetics.escalation.cohort_file import read_patients

        so_far = ck.cohorts_from(read_patients(patients), design.doses, window=window, tolerance=tolerance)
        found = so_far.cohorts
        for who, row in so_far.patients.iterrows():
            if row["reason"] != "as planned":
                note(f"patient {who}: {row['status']}; {row['reason']}")
    draw(figure, lambda: ck.plot.escalation(ck.escalation_path(design, so_far)))
    decision = design.decide(found)
    if as_json:
        known = {
            "design": design.name,
            "doses": design.doses,
            "cohorts": [dataclasses.asdict(one) for one in found],
        }
        say(json.dumps(dataclasses.asdict(decision) | known, indent=2))
        return
    what, _, _ = str(decision).partition(f". {decision.reason}")
    say("\n".join([what, f"{decision.reason}.", *decision.notes]))


@trial.command()
def table(
    path: TrialPath,
    n_max: Annotated[int | None, typer.Option(help="The most patients at a dose.")] = None,
    figure: Picture = None,
    output: Output = None,
    as_json: AsJson = False,
) -> None:
    """Tabulate the decision for every count at a dose: E escalate, S stay, D de-escalate, DU and drop the dose."""
    design = ck.load_design(path)
    found = ck.decision_table(design, n_max)
    draw(figure, lambda: ck.plot.decision_table(found))
    answer(found.rename(columns=lambda n: f"n={n}").reset_index(), output, as_json)
    note(f"{design.name}: {'; '.join(f'{key} {words}' for key, words in found.attrs['letters'].items())}")


@trial.command()
def paths(
    path: TrialPath,
    cohorts_ahead: Annotated[int, typer.Option(help="How many cohorts to look ahead.")] = 2,
    cohort: CohortTexts = None,
    cohorts: CohortFile = None,
    truth: Truth = None,
    grade2: Grade2 = None,
    figure: Picture = None,
    output: Output = None,
    as_json: AsJson = False,
) -> None:
    """List every way the next cohorts can go, with probabilities if a truth is given."""
    design = ck.load_design(path)
    found = ck.dose_paths(
        design, cohorts_ahead, truth=_numbers("truth", truth), grade2=_numbers("grade2", grade2), so_far=_cohorts(cohort, cohorts),
    )  # fmt: skip
    draw(figure, lambda: ck.plot.dose_paths(found))
    answer(found, output, as_json)


@trial.command()
def oc(
    path: TrialPath,
    truth: Truth = None,
    grade2: Grade2 = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Simulate trials instead of enumerating them.")
    ] = False,
    trials: Annotated[int, typer.Option(help="How many to simulate.")] = 10_000,
    seed: Seed = 0,
    accrual_days: Annotated[
        float | None, typer.Option(help="Mean days between patients: simulate in calendar time.")
    ] = None,
    overdose: Annotated[
        float | None,
        typer.Option(help="A DLT probability above this is an overdose; the design's target, or 0.33."),
    ] = None,
    figure: Picture = None,
    output: Output = None,
    as_json: AsJson = False,
) -> None:
    """Operating characteristics for a truth, or for the scenarios of the file: P(select), patients and DLTs by dose."""
    expect_seed(seed)
    design = ck.load_design(path)
    scenarios = _scenarios(path, truth, grade2)
    second = {name: one.grade2 for name, one in scenarios.items() if one.grade2 is not None}
    found = ck.compare_designs(
        {design.name: design}, {name: one.truth for name, one in scenarios.items()}, second, exact=not simulate, trials=trials,
        seed=seed, overdose=overdose, accrual_days=accrual_days, progress=True,
    )  # fmt: skip
    draw(figure, lambda: ck.plot.characteristics(found))
    narrow = [name for name in _OC_COLUMNS if name in found]
    answer(found if as_json or output else found[narrow].round(4), output, as_json)
    for name, row in found.drop_duplicates("scenario").set_index("scenario").iterrows():
        note(
            f"{name}: an overdose (above {row['overdose_above']:g}) is selected in {100 * row['p_overdose']:.1f} %; "
            f"{row['expected_n']:.1f} patients, {row['expected_dlt']:.1f} DLTs; {row['how']}"
        )


_OC_COLUMNS = ("scenario", "dose", "truth", "p_select", "p_select_se", "n", "n_se", "dlt", "dlt_se")


@trial.command()
def simulate(
    path: TrialPath,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the files.")],
    trials: Annotated[
        int | None, typer.Option(help="This many trials, counted; one trial with all its files if not given.")
    ] = None,
    seed: Seed = 0,
    figure: Picture = None,
) -> None:
    """Simulate a trial from its cells: one with all its files, or thousands, counted."""
    expect_seed(seed)
    expect_folder(output)
    plan = ck.load_trial(path)
    if trials is None:
        from carkinetics.escalation.cohort import dose_text

        one = ck.simulate_trial(plan, seed=seed)
        draw(figure, lambda: ck.plot.escalation(one))
        one.save(output)
        one.decisions.to_csv(output / "decisions.csv", index=False, lineterminator="\n")
        show(one.decisions.drop(columns=["subjects", "notes"]), False)
        said = f"{len(one.subjects)} patients; selected: {dose_text(one.selected) if one.selected else 'no dose'}"
    else:
        many = ck.simulate_trials(plan, trials, seed, progress=True)
        draw(figure, lambda: ck.plot.trial_power(many))
        many.doses.reset_index().to_csv(output / "doses.csv", index=False, lineterminator="\n")
        many.power.reset_index().to_csv(output / "power.csv", index=False, lineterminator="\n")
        many.summary.reset_index().to_csv(output / "summary.csv", index=False, lineterminator="\n")
        many.trials.to_csv(output / "trials.csv", index=False, lineterminator="\n")
        show(many.power.reset_index(), False)
        said = f"{trials:,} trials, seed {seed}, {many.settings['seconds']:g} s"
    note(f"{said}; saved in {output}")


def _cohorts(texts: list[str] | None, path: Path | None) -> list[ck.Cohort]:
    from carkinetics.escalation.cohort_file import cohort_from_text, read_cohorts

    if texts and path is not None:
        raise ConfigError("--cohort and --cohorts are both given; expected one of them")
    return read_cohorts(path) if path is not None else [cohort_from_text(text) for text in texts or []]


def _scenarios(path: str, truth: str | None, grade2: str | None) -> dict[str, ck.Scenario]:
    """The one that was typed, or those of the file."""
    typed, second = _numbers("truth", truth), _numbers("grade2", grade2)
    if typed is not None:
        return {"truth": ck.Scenario(tuple(typed), None if second is None else tuple(second))}
    if second is not None:
        raise ConfigError("--grade2 is given without --truth")
    found = ck.load_scenarios(path)
    if not found:
        raise ConfigError(
            f"{path} has no [scenarios.NAME] with truth = [...]; give --truth, one DLT probability per dose"
        )
    return found


def _numbers(option: str, text: str | None) -> list[float] | None:
    return None if text is None else numbers(f"--{option}", text)
