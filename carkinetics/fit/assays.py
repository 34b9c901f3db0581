"""Which assay measures which output of a model."""

from __future__ import annotations

from collections.abc import Mapping

from carkinetics.dataset.table import Dataset
from carkinetics.errors import ConfigError, DataError, UnitError, did_you_mean
from carkinetics.model.spec import Model


def choose_assays(
    model: Model, data: Dataset, assay: str | Mapping[str, str] | None = None
) -> dict[str, str]:
    """Which assay measures which output.

    Parameters
    ----------
    model : Model
        Whose outputs.
    data : Dataset
        One or several assays.
    assay : str or mapping, optional
        The first output's assay, or one by output. What is not named is found by its unit: the first output must be,
        another output is fitted where an assay has its name, or is the only one left in its unit.

    Returns
    -------
    dict of str to str
        Assay by output, the first output first.

    Raises
    ------
    ConfigError
        If an output is named that the model does not have.
    DataError
        If there is none, or a choice is needed.
    UnitError
        If the units differ: levels of different assays are never converted in silence.
    """
    first = next(iter(model.outputs))
    asked = {first: assay} if isinstance(assay, str) else dict(assay or {})
    for name in asked:
        if name not in model.outputs:
            raise ConfigError(
                f"assay: {model.name} has no output {name!r}{did_you_mean(name, model.outputs)}"
            )
    found = {first: asked.get(first) or _only_assay(model, data)}
    for name, output in model.outputs.items():
        fitting = data.assays.loc[data.assays["unit"] == output.unit, "assay"].tolist()
        free = [a for a in fitting if a not in found.values()]
        if name in asked:
            found[name] = asked[name]
        elif name != first and (name in free or len(free) == 1):
            found[name] = name if name in free else free[0]
    for name, chosen in found.items():
        unit = model.outputs[name].unit
        if data.unit(chosen) != unit:
            raise UnitError(
                f"assay {chosen!r} is in {data.unit(chosen)}, model {model.name} in {unit}; see model.in_unit"
            )
    return found


def _only_assay(model: Model, data: Dataset) -> str:
    fitting = data.assays.loc[data.assays["unit"] == model.value_unit, "assay"].tolist()
    if len(fitting) > 1:
        raise DataError(f"assays {', '.join(fitting)} are all in {model.value_unit}; choose one by assay=")
    if not fitting:
        units = ", ".join(f"{a.assay} in {a.unit}" for a in data.assays.itertuples())
        raise UnitError(
            f"model {model.name} is in {model.value_unit}, the data hold {units or 'no assay'}; use "
            f'model.in_unit("...", cmax={{"dist": "lognormal", "median": ..., "sigma": ...}}), which asks '
            "for priors in the unit of the data"
        )
    return str(fitting[0])


def choose_assay(model: Model, data: Dataset, assay: str | Mapping[str, str] | None = None) -> Dataset:
    """The part of the data that the model's first output describes.

    Parameters
    ----------
    model : Model
        Whose unit must be met.
    data : Dataset
        One or several assays.
    assay : str or mapping, optional
        As in `choose_assays`.

    Returns
    -------
    Dataset
        One assay.

    Raises
    ------
    DataError
        If there is none, or a choice is needed.
    """
    return data.select(assay=next(iter(choose_assays(model, data, assay).values())))
