"""`compiled`: numba functions whose machine code is kept on disk, and made anew when any code they rest on changes.

numba's own cache looks at the file of the function alone. A function that calls one in another file would go on
using that one's old machine code after an upgrade, so here the stamp is a hash of every file with compiled code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile

# Contraction and reassociation, but infinities and numbers that are none keep their meaning.
QUICK = {"contract", "reassoc", "nsz", "arcp"}


@lru_cache(maxsize=1)
def source_stamp() -> str:
    """Hash of all files with compiled code, and of numba's version.

    Returns
    -------
    str
        Hexadecimal.
    """
    package = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256(numba.__version__.encode())
    for file in sorted([*(package / "model").glob("*.py"), *(package / "fit").glob("*.py")]):
        text = file.read_bytes()
        if b"numba" in text or b"model.jit import" in text:
            digest.update(text)
    return digest.hexdigest()


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Decorate a function that numba compiles, without Python's lock and with its machine code kept.

    Parameters
    ----------
    **options
        Of `numba.njit`, such as ``fastmath``.

    Returns
    -------
    callable
        The decorator.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = numba.njit(error_model="numpy", nogil=True, **options)(function)
        try:
            cache = FunctionCache(function)
            cache._cache_file = IndexDataCacheFile(
                cache_path=cache._cache_path,
                filename_base=cache._impl.filename_base,
                source_stamp=source_stamp(),
            )
            # Compared before the rest is unpickled, which may name classes that an upgrade has moved.
            cache._cache_file._version = f"{numba.__version__} {source_stamp()}"
        except RuntimeError:  # no folder can be written: compile in every process
            return dispatcher
        dispatcher._cache = cache
        return dispatcher

    return decorate
