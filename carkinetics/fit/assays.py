"""Which assay measures which output of a model."""

from __future__ import annotations

from collections.abc import Mapping

from carkinetics.dataset.table import CAR, Dataset
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
        by its kind if several are; another output is fitted where an assay has its name, or where it and an assay are
        the only ones left in their unit.

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
    found |= asked
    for name, output in model.outputs.items():
        if name not in found and name in _free(data, output.unit, found):
            found[name] = name
    for name, output in model.outputs.items():
        free = _free(data, output.unit, found)
        rivals = [n for n, o in model.outputs.items() if n not in found and o.unit == output.unit]
        if rivals == [name] and len(free) == 1:
            found[name] = free[0]
    found = {name: found[name] for name in model.outputs if name in found}
    for name, chosen in found.items():
        unit = model.outputs[name].unit
        if data.unit(chosen) != unit:
            raise UnitError(
                f"assay {chosen!r} is in {data.unit(chosen)}, model {model.name} in {unit}; see model.in_unit"
            )
    return found


def _free(data: Dataset, unit: str, found: Mapping[str, str]) -> list[str]:
    """Assays in that unit that no output has yet."""
    fitting = data.assays.loc[data.assays["unit"] == unit, "assay"].tolist()
    return [assay for assay in fitting if assay not in found.values()]


def _only_assay(model: Model, data: Dataset) -> str:
    fitting = _free(data, model.value_unit, {})
    if len(fitting) > 1:  # lymphocytes and CAR-T cells are both counted per uL
        fitting = [assay for assay in fitting if data.kind(assay) == CAR] or fitting
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
