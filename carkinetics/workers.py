"""Work in blocks: in this process, or in several once it is seen that this pays."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any

from rich.console import Console
from rich.progress import track

from carkinetics.errors import ConfigError

REMEDY = "in a script, put the call under `if __name__ == '__main__':`, or give workers=1"


def in_blocks[Part](
    here: Callable[..., Part],
    there: Callable[..., Part],
    blocks: Sequence[tuple[Any, ...]],
    *,
    workers: int | None,
    worth: float,
    progress: bool,
    what: str = "trials",
    keep: Callable[[Part], None] = lambda part: None,
) -> list[Part]:
    """The result of every block, in their order.

    Parameters
    ----------
    here, there : callable
        What to do with a block in this process, and in another one.
    blocks : sequence of tuple
        Arguments.
    workers : int or None
        Processes; as many as there are cores, where more than ``worth`` seconds are left, if not given.
    worth : float
        Seconds of work left, below which starting other processes does not pay.
    progress : bool
        Show a bar on stderr.
    what : str
        Name of the bar.
    keep : callable
        Called with every result as soon as it and those before it are there.

    Returns
    -------
    list
        The same whatever the number of processes.

    Raises
    ------
    ConfigError
        If processes that were asked for cannot be started. Those that were not are done without, with a warning.
    """
    began, parts, alone = time.perf_counter(), list[Part](), False
    for block in track(blocks, what, console=Console(stderr=True), disable=not progress, transient=True):
        parts.append(here(*block))
        keep(parts[-1])
        left = (time.perf_counter() - began) / len(parts) * (len(blocks) - len(parts))
        cores = workers or (os.cpu_count() or 1 if left > worth else 1)
        if cores == 1 or alone or len(parts) == len(blocks):
            continue
        try:
            return parts + _pooled(there, blocks[len(parts) :], cores, keep)
        except BrokenProcessPool as problem:
            if workers is not None:
                raise ConfigError(
                    f"workers={workers}: other processes could not be started; {REMEDY}"
                ) from problem
            warnings.warn(
                f"other processes could not be started, this one goes on alone; {REMEDY}", stacklevel=4
            )
            alone = True
    return parts


def _pooled[Part](
    work: Callable[..., Part], blocks: Sequence[tuple[Any, ...]], cores: int, keep: Callable[[Part], None]
) -> list[Part]:
    parts = []
    with ProcessPoolExecutor(cores, mp_context=get_context("forkserver")) as pool:
        for part in pool.map(work, *zip(*blocks, strict=True)):
            keep(part)
            parts.append(part)
    return parts
