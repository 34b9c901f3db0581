"""The example data that come with the package.

Each example is a folder of ``data/`` with its tables and a ``dataset.toml``, which holds the
arguments of `read_nonmem`: ``path`` (one file or a list), ``subjects``, ``value_unit`` and so on.
A table ``[about]`` (title, origin, licence) is for the reader and not an argument.
"""

import inspect
import tomllib
from dataclasses import replace
from pathlib import Path

from carkinetics.dataset.read import read_nonmem
from carkinetics.dataset.table import Dataset
from carkinetics.errors import ConfigError, did_you_mean
from carkinetics.shipped import shipped_folder

SETTINGS = "dataset.toml"


def example(name: str) -> Dataset:
    """Read an example that comes with the package.

    Parameters
    ----------
    name : str
        Name of the example.

    Returns
    -------
    Dataset
        The data, read as its ``dataset.toml`` says.

    Raises
    ------
    ConfigError
        If there is no such example, or its settings are not arguments of `read_nonmem`.
    """
    root = shipped_folder("data")
    known = sorted(path.parent.name for path in root.glob(f"*/{SETTINGS}"))
    if name not in known:
        listed = f" The shipped examples are {', '.join(known)}." if known else " No examples are shipped."
        raise ConfigError(f"no example {name!r}{did_you_mean(name, known)}{listed}")
    folder = root / name
    settings = _settings(folder / SETTINGS)
    paths = settings.pop("path")
    files = [folder / str(path) for path in ([paths] if isinstance(paths, str) else paths)]
    if "subjects" in settings:
        settings["subjects"] = folder / str(settings["subjects"])
    data = read_nonmem(files if len(files) > 1 else files[0], **settings)
    return replace(data, source=f"example {name}: {data.source}")


def _settings(path: Path) -> dict:
    """Arguments of `read_nonmem` in a settings file."""
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise ConfigError(f"{path}: cannot be read: {problem}") from problem
    settings.pop("about", None)
    known = ["path", *list(inspect.signature(read_nonmem).parameters)[1:]]
    for key in settings:
        if key not in known:
            raise ConfigError(f"{path}: {key!r} is not a setting{did_you_mean(key, known)}")
    if "path" not in settings:
        raise ConfigError(f"{path}: 'path' is missing; expected the file name of the long table")
    return settings
