"""Values of a model's declared inputs for every subject."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from carkinetics.dataset.table import Dataset
from carkinetics.errors import DataError
from carkinetics.model.spec import Model


def subject_inputs(model: Model, data: Dataset) -> dict[str, NDArray[np.float64]]:
    """Declared inputs of the model, one value per subject.

    Parameters
    ----------
    model : Model
        Whose inputs.
    data : Dataset
        Whose events and subjects.

    Returns
    -------
    dict of str to ndarray, shape (n_subject,)
        The time of each subject's first such event, its value in the column, or the input's default.

    Raises
    ------
    DataError
        If a column holds something else than numbers.
    """
    found = {}
    for name, entry in model.inputs.items():
        value = pd.Series(np.nan, index=data.subject_ids)
        if entry.event:
            events = data.events[data.events["event"] == entry.event]
            value = events.groupby("subject")["time"].min().reindex(data.subject_ids)
        elif entry.column and entry.column in data.subjects:
            try:
                value = pd.to_numeric(data.subjects.set_index("subject")[entry.column])
            except (ValueError, TypeError):
                raise DataError(
                    f"input {name} of {model.name} reads the column {entry.column!r} of the subjects, which holds "
                    "something else than numbers"
                ) from None
        if not entry.varying:
            found[name] = np.asarray(value.astype(float).fillna(entry.default), dtype=float)
    return found


def known_inputs(model: Model, data: Dataset) -> dict[str, NDArray[np.float64]]:
    """Every declared input of the model, those that change with time at their defaults.

    Parameters
    ----------
    model : Model
        Whose inputs.
    data : Dataset
        Whose events and subjects.

    Returns
    -------
    dict of str to ndarray, shape (n_subject,)
        A value per subject; for a time-varying input the one that counts where it was never measured.
    """
    constant = {
        name: np.full(len(data.subjects), model.inputs[name].default) for name in model.varying_inputs
    }
    return subject_inputs(model, data) | constant
