"""Finds the models and example data that come with the package.

A wheel carries them in ``carkinetics/_shipped``; a checkout has them beside the package.
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped_folder(name: str) -> Path:
    """Folder of shipped files.

    Parameters
    ----------
    name : {"models", "data"}
        Which folder.

    Returns
    -------
    pathlib.Path
        Inside the installed package first, beside it (a checkout) second.
    """
    installed = _PACKAGE / "_shipped" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name
