"""A model → machine code, kept on disk by the hash of its equations, and the means to call it.

A model's code is a small generated module in a cache folder; numba keeps its machine code beside it, so a second
process starts at once. It is called through its address, so that the compiled loops over subjects are the same
for every model and are themselves compiled once. The folder is ``carkinetics`` in the user's cache, or
``CARKINETICS_CACHE``.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from platformdirs import user_cache_path

from carkinetics.model import equations, explicit, graph, implicit, walk
from carkinetics.model.equations import default_scales, module_body
from carkinetics.model.spec import Model

_HEADER = '''"""Generated from the model {name}; made anew when it is missing."""

import math

from numba import carray, cfunc, njit, types
from carkinetics.model.explicit import JIT
from carkinetics.model.walk import {maker}


@njit(**JIT)
def softplus(x):
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


@njit(**JIT)
def logistic(x):
    return 1.0 / (1.0 + math.exp(-x))


'''
_FOOTER = """

walk = {maker}(globals())
NUMBERS = types.CPointer(types.float64)


@cfunc(
    types.int64(
        NUMBERS, NUMBERS, types.int64, NUMBERS, types.CPointer(types.int64), types.int64, NUMBERS, types.float64,
        NUMBERS, NUMBERS,
    ),
    cache=True, error_model="numpy",
)
def kernel(theta, fixed, n, time, output, n_schedule, schedule, tolerance, predicted, jacobian):
    return walk(
        carray(theta, (N_THETA,)), carray(fixed, (N_FIXED,)), carray(time, (n,)), carray(output, (n,)),
        carray(schedule, (n_schedule, N_SCHEDULE)), tolerance, carray(predicted, (n,)),
        carray(jacobian, (n, N_COLUMNS - 1 if N_STATES else N_JACOBIAN)),
    )
"""


@dataclass(frozen=True)
class Kernel:
    """Compiled solution of one subject.

    Parameters
    ----------
    address : int
        Of the machine code; for `call`.
    n_theta, n_fixed, n_schedule : int
        Lengths of what it takes: free parameters, fixed values, columns of a schedule.
    module : module
        Keeps the machine code alive.
    """

    address: int
    n_theta: int
    n_fixed: int
    n_schedule: int
    module: ModuleType


def compile_model(model: Model, log_scale: Iterable[bool] | None = None, *, gradient: bool = False) -> Kernel:
    """Machine code for a model's predictions.

    Parameters
    ----------
    model : Model
        What to compute. Only its equations and the choice of free parameters matter, not its numbers.
    log_scale : iterable of bool, optional
        For every output, whether it is wanted on the log scale; by the file's residual error if not given.
    gradient : bool
        Whether with derivatives in the free parameters.

    Returns
    -------
    Kernel
        To be handed to the loops that call it.
    """
    scales = default_scales(model) if log_scale is None else tuple(log_scale)
    return _compiled(_source(model, scales, gradient))


def _source(model: Model, scales: tuple[bool, ...], gradient: bool) -> str:
    maker = "make_walk" if model.states else "make_closed_walk"
    body = module_body(model, scales, gradient=gradient)
    columns = len(model.free_parameters) if gradient else 0
    return (
        _HEADER.format(name=model.name, maker=maker)
        + f"# solver {_solver_hash()}\nN_JACOBIAN = {columns}\n"
        + body
        + _FOOTER.format(maker=maker)
    )


@lru_cache(maxsize=1)
def _solver_hash() -> str:
    """The solvers are compiled into every model's code, which must be made anew when they change."""
    files = [Path(module.__file__ or "") for module in (equations, explicit, graph, implicit, walk)]
    return hashlib.sha256(
        b"".join(file.read_bytes() for file in files) + numba.__version__.encode()
    ).hexdigest()[:16]


@lru_cache(maxsize=256)
def _compiled(source: str) -> Kernel:
    name = f"carkinetics_model_{hashlib.sha256(source.encode()).hexdigest()[:20]}"
    module = _load(name, source, cache_folder())
    return Kernel(module.kernel.address, module.N_THETA, module.N_FIXED, module.N_SCHEDULE, module)


def cache_folder() -> Path:
    """Where compiled models are kept.

    Returns
    -------
    pathlib.Path
        An existing folder: ``CARKINETICS_CACHE``, the user's cache, or a temporary one if that cannot be written.
    """
    asked = os.environ.get("CARKINETICS_CACHE")
    folder = Path(asked) if asked else user_cache_path("carkinetics")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="carkinetics"))


def _load(name: str, source: str, folder: Path) -> ModuleType:
    file = folder / f"{name}.py"
    if not file.is_file():
        handle, draft = tempfile.mkstemp(dir=folder, suffix=".part")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(source)
        os.replace(draft, file)  # whole or not at all: another process may be reading
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@intrinsic
def call(typingctx: Any, address: Any, theta: Any, fixed: Any, time: Any, output: Any, schedule: Any, tolerance: Any,
         predicted: Any, jacobian: Any) -> Any:  # fmt: skip
    """Call a kernel by its address from compiled code: 0 or more, or why it gave up (below 0)."""
    signature = types.int64(address, theta, fixed, time, output, schedule, tolerance, predicted, jacobian)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def array(position: int) -> Any:
            return cgutils.create_struct_proxy(signature.args[position])(
                context, builder, value=arguments[position]
            )

        def data(position: int) -> Any:
            return builder.bitcast(array(position).data, ir.IntType(8).as_pointer())

        n = cgutils.unpack_tuple(builder, array(3).shape)[0]
        n_schedule = cgutils.unpack_tuple(builder, array(5).shape)[0]
        passed = [data(1), data(2), n, data(3), data(4), n_schedule, data(5), arguments[6], data(7), data(8)]
        function = ir.FunctionType(ir.IntType(64), [value.type for value in passed])
        pointer = builder.inttoptr(arguments[0], function.as_pointer())
        return builder.call(pointer, passed)

    return signature, generate


@intrinsic
def borrowed(typingctx: Any, value: Any) -> Any:
    """The same array, or tuple of arrays, without a share in its memory.

    Compiled loops that hand arrays on spend more time counting references than computing. Who calls a compiled
    function holds its arguments for as long as it runs, so the function may work on borrowed ones.
    """

    def lend(context: Any, builder: Any, kind: Any, data: Any) -> Any:
        if isinstance(kind, types.Array):
            proxy = cgutils.create_struct_proxy(kind)(context, builder, value=data)
            proxy.meminfo = ir.Constant(proxy.meminfo.type, None)
            return proxy._getvalue()
        if isinstance(kind, types.BaseTuple):
            for k, part in enumerate(kind):
                data = builder.insert_value(
                    data, lend(context, builder, part, builder.extract_value(data, k)), k
                )
        return data

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return lend(context, builder, value, arguments[0])

    return value(value), generate
