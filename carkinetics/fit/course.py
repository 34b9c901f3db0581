"""What happened to each subject of a dataset: its infusions, and the inputs of the model that were measured."""

from __future__ import annotations

import numpy as np

from carkinetics.dataset.table import Dataset
from carkinetics.errors import ConfigError, DataError
from carkinetics.model.course import ONE_INFUSION, Course
from carkinetics.model.parts import Input
from carkinetics.model.series import Series
from carkinetics.model.spec import Model


def subject_courses(model: Model, data: Dataset) -> list[Course]:
    """Infusions and measured inputs of each subject.

    Parameters
    ----------
    model : Model
        Whose infusions and inputs.
    data : Dataset
        Whose doses and assays.

    Returns
    -------
    list of Course
        In the order of ``data.subjects``. An input that was never measured in a subject stays at its default, and
        amounts are those of the doses only where the model asks for them.

    Raises
    ------
    DataError
        If the model needs the infused amount and a subject has none.
    """
    entries = {name: model.inputs[name] for name in model.varying_inputs}
    courses = []
    for subject in data.subject_ids:
        infusions = _doses(model, data, subject) if model.infused else ONE_INFUSION
        series = {name: _measured(data, subject, entry) for name, entry in entries.items()}
        courses.append(Course(infusions, {name: one for name, one in series.items() if one is not None}))
    return courses


def typical_course(model: Model, data: Dataset) -> Course:
    """What happens to a subject of whom nothing is known.

    Parameters
    ----------
    model : Model
        Whose infusions.
    data : Dataset
        Whose doses.

    Returns
    -------
    Course
        One infusion, of the median first dose; measured inputs at their defaults.
    """
    dose = data.first_dose().dropna() if model.infused else None
    return Course() if dose is None or dose.empty else Course(((0.0, float(np.median(dose))),))


def _doses(model: Model, data: Dataset, subject: str) -> tuple[tuple[float, float], ...]:
    """Day and amount, in order of time; what was given before day 0 counts on day 0."""
    table = data.doses[data.doses["subject"] == subject]
    if not (table["amount"] > 0).any():
        raise DataError(
            f"subject {subject}: no infusion with an amount above 0 in the doses; {model.name} starts from the infused cells"
        )
    given: dict[float, float] = {}
    for time, amount in zip(table["time"], table["amount"], strict=True):
        at = max(float(time), 0.0)
        given[at] = given.get(at, 0.0) + float(amount)
    return tuple(sorted(given.items()))


def _measured(data: Dataset, subject: str, entry: Input) -> Series | None:
    rows = data.observations
    rows = rows[(rows["subject"] == subject) & (rows["assay"] == entry.assay) & rows["value"].notna()]
    if not len(rows):
        return None
    try:
        return Series.of(rows["time"], rows["value"], entry.interpolation)
    except ConfigError as error:
        raise DataError(f"subject {subject}, assay {entry.assay!r}: {error}") from None
