"""Do CAR-T cells disappear faster once anti-drug antibodies are there: the onset as a time, in the kinetic model itself.

Antibodies come in weeks in which the level falls anyway, and only in subjects who are followed long enough. So the
question is put to the kinetics: does a loss that begins at each subject's onset, at once or smoothly, predict the levels
of a subject that was left out better than no such loss?
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from carkinetics.dataset.table import QUANTIFIED, Dataset
from carkinetics.diagnostics import compare, diagnose
from carkinetics.diagnostics.ranking import SEPARATED
from carkinetics.errors import ConfigError, DataError, did_you_mean
from carkinetics.fit import Fit, fit_hierarchical
from carkinetics.fit.pareto import GOOD_K
from carkinetics.model.library import with_layer
from carkinetics.model.spec import Model
from carkinetics.response.timing import refuse_ever_status

EVENT, NONE = "ada", "none"
EFFECTS = {"step": "ada_step", "smooth": "ada_smooth"}
LOSS = "ada_loss"


@dataclass(frozen=True, eq=False)
class AntibodyEffect:
    """Kinetics with and without a loss that begins at the onset of antibodies.

    Parameters
    ----------
    table : pandas.DataFrame
        Indexed by effect (``none`` and those asked): ``elpd`` of subjects that are left out, ``difference`` to none and
        ``difference_se``, ``verdict`` (``"better"``, ``"worse"``, or ``"not separated"`` below 2 standard errors), ``bad_k`` (subjects whose
        elpd is unreliable), ``converged``, and of the additional loss in 1/day ``loss, loss_lower, loss_upper``.
    onset : pandas.Series
        Day by subject, as it was used; infinite where none came.
    informative : int
        Subjects with a quantified level after their onset, from whom alone the loss is known.
    fits : dict of str to Fit
        By effect.
    statement : str
        The result in words.
    settings : dict
        What was asked.
    """

    table: pd.DataFrame
    onset: pd.Series
    informative: int
    fits: dict[str, Fit]
    statement: str
    settings: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        verdicts = ", ".join(
            f"{name} {row['verdict']}" for name, row in self.table.iterrows() if name != NONE
        )
        return f"<AntibodyEffect: {int(np.isfinite(self.onset).sum())} of {len(self.onset)} subjects with an onset; {verdicts}>"


def antibody_effect(
    model: Model,
    data: Dataset,
    onset: pd.Series | Mapping[str, float],
    *,
    effects: Iterable[str] = ("step", "smooth"),
    n_draws: int = 400,
    **settings: Any,
) -> AntibodyEffect:
    """Estimate the loss of CAR-T cells that antibodies add, and ask whether it is there at all.

    Parameters
    ----------
    model : Model
        Kinetics without antibodies.
    data : Dataset
        CAR-T levels.
    onset : pandas.Series or mapping
        Day of each subject's first positive sample, infinite where none came: ``antibody_status(...)["onset"]``. Antibodies that were there
        before the infusion have no onset.
    effects : iterable of {"step", "smooth"}
        A loss from the onset on, or one that rises around it (layers ``ada_step`` and ``ada_smooth``).
    n_draws : int
        Posterior draws for leaving subjects out, as in `carkinetics.compare`.
    **settings : Any
        For `carkinetics.fit_hierarchical`, the same for all fits.

    Returns
    -------
    AntibodyEffect
        Comparison, loss with its interval, and a sentence.

    Raises
    ------
    TimingError
        If ``onset`` says whether subjects were ever positive instead of when.
    ConfigError
        If there is no such effect, or the model has a loss by antibodies already.
    DataError
        If a subject has no onset, or no level was quantified after any.

    Notes
    -----
    The first positive sample is later than the antibodies; where visits are weeks apart, the loss is underrated. An onset in the
    weeks of the fast decline is told from it by subjects without antibodies only, who have to be like the others otherwise.
    """
    chosen = list(dict.fromkeys(effects))
    for name in chosen:
        if name not in EFFECTS:
            raise ConfigError(f"effects: {name!r}{did_you_mean(name, EFFECTS)}")
    if not chosen or LOSS in model.parameters:
        raise ConfigError(
            f"antibody_effect: give effects, and a model without antibodies; found effects {chosen} and {model.name}"
        )
    days = _days(onset, data)
    informative = _informative(data, days, settings.get("assay"))
    events = pd.DataFrame(
        {"subject": days.index, "time": days.to_numpy(), "event": EVENT, "value": np.nan, "row": 0}
    )
    others = data.events[data.events["event"] != EVENT]
    known = replace(data, events=pd.concat([others, events[np.isfinite(days.to_numpy())]], ignore_index=True))
    models = {NONE: model} | {name: with_layer(model, EFFECTS[name]) for name in chosen}
    fits = {name: fit_hierarchical(one, known, **settings) for name, one in models.items()}
    table = _table(fits, n_draws)
    return AntibodyEffect(
        table, days, informative, fits, _statement(table, days, informative),
        {"model": model.name, "effects": chosen, "n_draws": n_draws, "interval": fits[NONE].settings["interval"], **settings},
    )  # fmt: skip


def _days(onset: pd.Series | Mapping[str, float], data: Dataset) -> pd.Series:
    """Onset of every subject of the data."""
    given = pd.Series(onset)
    given.index = given.index.astype(str)
    refuse_ever_status(given, "antibodies", "persistence")
    missing = [s for s in data.subject_ids if s not in given.index or pd.isna(given[s])]
    if missing:
        raise DataError(
            f"onset: subject {missing[0]} has none ({len(missing)} of {len(data.subject_ids)} subjects); give the day of the first positive "
            "sample, or infinity where all were negative, and leave subjects without samples out by data.select(subjects=[...])"
        )
    days = pd.to_numeric(given.reindex(data.subject_ids)).astype(float)
    if (days < 0).any():
        bad = days[days < 0]
        raise DataError(
            f"onset: subject {bad.index[0]} has day {bad.iloc[0]:g}; expected 0 or more: antibodies from before have no onset (infinity)"
        )
    return days.rename("onset").rename_axis("subject")


def _informative(data: Dataset, days: pd.Series, assay: Any) -> int:
    """Number of subjects with a quantified level after their onset."""
    rows = data.observations
    if isinstance(assay, str):
        rows = rows[rows["assay"] == assay]
    else:
        rows = rows[rows["assay"].map(data.kind) == "car"]
    after = (rows["status"] == QUANTIFIED) & (rows["time"] > rows["subject"].map(days))
    found = int(rows.loc[after, "subject"].nunique())
    if not found:
        raise DataError(
            f"antibodies: {int(np.isfinite(days).sum())} of {len(days)} subjects have an onset, and none of them a quantified level after it, so "
            "the data say nothing of a loss by them"
        )
    return found


def _table(fits: Mapping[str, Fit], n_draws: int) -> pd.DataFrame:
    ranking = compare(fits, n_draws=n_draws)
    each = ranking.attrs["subjects"].xs("elpd", axis=1, level=1)
    ahead = each.sub(each[NONE], axis=0)
    table = pd.DataFrame(
        {"elpd": ranking["elpd"], "difference": ahead.sum(), "difference_se": np.sqrt(len(ahead)) * ahead.std(ddof=1)}
    ).loc[list(fits)]  # fmt: skip
    clear = table["difference"].abs() >= SEPARATED * table["difference_se"]
    table["verdict"] = np.where(~clear, "not separated", np.where(table["difference"] > 0, "better", "worse"))
    table.loc[NONE, "verdict"] = "reference"
    table["bad_k"] = ranking["bad_k"]
    table["converged"] = [bool(diagnose(fit).attrs["converged"]) for fit in fits.values()]
    for name in fits:
        row = fits[name].population().reindex([f"{LOSS}_typical"]).iloc[0]
        table.loc[name, ["loss", "loss_lower", "loss_upper"]] = [row["median"], row["lower"], row["upper"]]
    return table.rename_axis("effect")


def _statement(table: pd.DataFrame, days: pd.Series, informative: int) -> str:
    best = table.drop(index=NONE)["elpd"].idxmax()
    row = table.loc[best]
    how = f"by {row['difference']:.1f} (SE {row['difference_se']:.1f})"
    text = f"Antibodies came in {int(np.isfinite(days).sum())} of {len(days)} subjects, {informative} of them with a quantified level afterwards. "
    if row["verdict"] == "better":
        text += (
            f"A loss that begins at the onset ({best}) predicts subjects that are left out better than none, {how}: CAR-T cells are lost at an "
            f"additional {row['loss']:.3g} per day (90% CrI {row['loss_lower']:.3g} to {row['loss_upper']:.3g})."
        )
    else:
        text += (
            f"An effect on the CAR-T level is not shown: a loss that begins at the onset ({best}) is {row['verdict']} {'' if row['verdict'] == 'worse' else 'from none '}"
            f"{how}; if there is one, it is up to {row['loss_upper']:.3g} per day."
        )
    if not table["converged"].all():
        text += f" Not converged: {', '.join(table.index[~table['converged']])}."
    if table["bad_k"].sum():
        text += f" The elpd is unreliable (Pareto k above {GOOD_K}) in up to {int(table['bad_k'].max())} of {len(days)} subjects."
    return text
