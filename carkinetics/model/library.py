"""Lists, loads and validates model files.

A model file is TOML and is checked as a whole when it is read. A mistake names the file, the line and
the near match.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import tomli_w

from carkinetics.errors import ConfigError, ModelFileError, did_you_mean
from carkinetics.model.compose import compose
from carkinetics.model.layer import layer_files
from carkinetics.model.place import Place
from carkinetics.model.reader import check_used, read_model
from carkinetics.model.spec import Model
from carkinetics.shipped import shipped_folder


def load_model(name_or_path: str | Path) -> Model:
    """Read a model.

    Parameters
    ----------
    name_or_path : str or pathlib.Path
        A shipped model's name (see `models`), or the path of a ``.toml`` file.

    Returns
    -------
    Model
        The description.

    Raises
    ------
    ConfigError
        If there is no such model.
    ModelFileError
        If the file does not make sense.

    Examples
    --------
    >>> load_model("stein2019").parameters["tmax"].typical
    9.3
    """
    path = Path(name_or_path)
    if path.suffix.lower() != ".toml":
        known = {file.stem: file for file in model_files()}
        if str(name_or_path) not in known:
            raise ConfigError(f"no model {str(name_or_path)!r}{did_you_mean(str(name_or_path), known)}")
        path = known[str(name_or_path)]
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"model file {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ModelFileError(f"{path} is not UTF-8 text; a model is a TOML file") from None
    return model_from_text(text, path.name, folder=path.parent)


def model_files() -> list[Path]:
    """Paths of the shipped model files, in order of name.

    Returns
    -------
    list of pathlib.Path
        One per model.
    """
    return sorted(shipped_folder("models").glob("*.toml"))


def models() -> pd.DataFrame:
    """The shipped models.

    Returns
    -------
    pandas.DataFrame
        Columns ``name, title, purpose, use, data, kind, value_unit, parameters, citation, doi``. ``use`` is ``fit`` or
        ``simulation``; ``data`` is what the model can be compared with, and what it reads (in brackets).
    """
    rows = []
    for path in model_files():
        model = load_model(path)
        rows.append(
            {
                "name": model.name,
                "title": model.title,
                "purpose": model.purpose,
                "use": "simulation" if model.simulation_only else "fit",
                "data": _data_of(model),
                "kind": "closed form" if model.level is not None else "differential equations",
                "value_unit": model.value_unit,
                "parameters": ", ".join(model.parameters),
                "citation": model.citation,
                "doi": model.doi,
            }
        )
    return pd.DataFrame(rows)


def _data_of(model: Model) -> str:
    """Outputs, and in brackets the inputs that come from the data."""
    outputs = [f"{one.meaning} ({one.unit})" for one in model.outputs.values()]
    inputs = [one.assay or one.column or one.event for one in model.inputs.values()]
    read = ", ".join(dict.fromkeys(name for name in inputs if name))
    return ", ".join(outputs) + (f" [{read}]" if read else "")


def layers() -> pd.DataFrame:
    """The shipped layers, which a model file puts on a base model.

    Returns
    -------
    pandas.DataFrame
        Columns ``name, title, prefix, needs, adds, citation``; ``adds`` is what can be measured of it.
    """
    rows = []
    for path in layer_files():
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        rows.append(
            {
                "name": table["layer"],
                "title": table["title"],
                "prefix": table["prefix"],
                "needs": ", ".join(table["needs"]),
                "adds": ", ".join(
                    [*table.get("observations", {}), *(["loss of CAR-T cells"] if "loss" in table else [])]
                ),
                "citation": table.get("citation", ""),
            }
        )
    return pd.DataFrame(rows)


def model_from_text(
    text: str,
    file: str = "model",
    changes: Iterable[tuple[str, dict[str, Any]]] = (),
    folder: str | Path = ".",
) -> Model:
    """Read a model from the text of its file.

    Parameters
    ----------
    text : str
        TOML.
    file : str
        Name for error messages.
    changes : iterable of (str, dict)
        `Model.changes` of a changed copy, made again.
    folder : str or pathlib.Path
        Where the paths of a base and of layers start.

    Returns
    -------
    Model
        The description.

    Raises
    ------
    ModelFileError
        If the text does not make sense.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ModelFileError(f"{file} is not valid TOML: {error}") from None
    try:
        place, whole = compose(Place(text, file), table, Path(folder))
        model = read_model(place, whole)
        check_used(place, model)
    except ConfigError as error:  # a prior that cannot be: the file is at fault here, not a call
        raise ModelFileError(str(error)) from None
    for call, arguments in changes:
        model = getattr(model, call)(**arguments)
    return model


def with_layer(model: Model, layer: str, **parameters: Mapping[str, Any]) -> Model:
    """Put a layer on a model that was read already, with whatever was changed since.

    Parameters
    ----------
    model : Model
        The base.
    layer : str
        Name of a shipped layer (see `layers`) whose needs the base meets by itself.
    **parameters : mapping
        What a file would say of the layer's parameters: ``tumour_half={"typical": 1000}``.

    Returns
    -------
    Model
        Named for both.

    Raises
    ------
    ModelFileError
        If the layer does not go on this model.

    Examples
    --------
    >>> with_layer(load_model("stein2019").fix(fb=0.01), "ada_step").free_parameters
    ['foldx', 'tmax', 'cmax', 'alpha', 'beta', 'ada_loss']
    """
    head = {"schema": 1, "name": f"{model.name}_{layer}", "title": f"{model.title}; with {layer}"}
    text = tomli_w.dumps(head | {"base": "base.toml", "layer": [{"use": layer}], "parameters": parameters})
    with TemporaryDirectory() as folder:
        Path(folder, "base.toml").write_text(model.text, encoding="utf-8")
        return model_from_text(text, f"{layer} on {model.name}", model.changes, folder)
