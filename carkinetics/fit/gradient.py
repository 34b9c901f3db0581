"""The solution of a model's equations as a PyTensor operation: value and derivatives from one solve.

A reader of the PyMC model sees priors, effects and likelihood as PyMC writes them; only the kinetics are this
operation. Inside nutpie's compiled density it never returns to Python.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytensor.tensor as pt
from numba import carray, types
from numba.core import cgutils
from numba.extending import intrinsic
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch import basic as numba_dispatch

from carkinetics.fit.layout import TOLERANCE, Layout, predict_each


class Solution(Op):
    """Free parameters of all subjects → predictions of all rows and their derivatives.

    Parameters
    ----------
    layout : Layout
        The data.
    """

    __props__ = ("layout",)
    gufunc_signature = "(n,p)->(r),(r,p)"  # lets PyTensor run it over many sets of parameters

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def make_node(self, theta: Any) -> Apply:
        """Declare ``predicted`` (n_obs,) and ``jacobian`` (n_obs, n_free) from ``theta`` (n_subject, n_free)."""
        n, p = len(self.layout.time), self.layout.gradients.n_theta
        outputs = [pt.TensorType("float64", shape=shape)() for shape in ((n,), (n, p))]
        return Apply(self, [pt.as_tensor_variable(theta)], outputs)

    def perform(self, node: Apply, inputs: list[Any], outputs: list[list[Any]]) -> None:
        """Solve, for PyTensor's other backends."""
        outputs[0][0], outputs[1][0] = self.layout.predict_with_gradient(inputs[0])

    def pullback(self, inputs: list[Any], outputs: list[Any], cotangents: list[Any]) -> list[Any]:
        """Derivatives were solved along: no second solve."""
        return [Carried(self.layout)(outputs[1], cotangents[0])]


class Carried(Op):
    """Slopes in the predictions → slopes in each subject's free parameters.

    Parameters
    ----------
    layout : Layout
        The data.
    """

    __props__ = ("layout",)
    gufunc_signature = "(r,p),(r)->(n,p)"

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def make_node(self, jacobian: Any, slope: Any) -> Apply:
        """Declare (n_subject, n_free)."""
        shape = (len(self.layout.pointer) - 1, self.layout.gradients.n_theta)
        inputs = [pt.as_tensor_variable(jacobian), pt.as_tensor_variable(slope)]
        return Apply(self, inputs, [pt.TensorType("float64", shape=shape)()])

    def perform(self, node: Apply, inputs: list[Any], outputs: list[list[Any]]) -> None:
        """Sum over each subject's rows."""
        jacobian, slope = inputs
        rows = slope[:, None] * jacobian
        sums = np.vstack([np.zeros(rows.shape[1]), np.cumsum(rows, axis=0)])
        outputs[0][0] = np.diff(sums[self.layout.pointer], axis=0)


# Machine code has an address of this process, so PyTensor must not keep what it makes of it on disk (key None).
@numba_dispatch.register_funcify_and_cache_key(Solution)
def _solution(op: Solution, node: Apply | None = None, **kwargs: Any) -> tuple[Any, None]:
    layout = op.layout
    address, p, n_rows = (
        layout.gradients.address,
        layout.gradients.n_theta,
        len(layout.time),
    )
    fixed, pointer, time, output = layout.fixed, layout.pointer, layout.time, layout.output
    schedule, lines, tolerance = layout.schedule, layout.schedule_pointer, TOLERANCE
    # By address: numba would freeze a copy of the array into the code. The layout lives as long as the operation.
    n, notes = len(pointer) - 1, layout.failures.ctypes.data

    @numba_dispatch.numba_njit
    def solution(theta):
        predicted, jacobian = np.empty(n_rows), np.empty((n_rows, p))
        failed = predict_each(
            address, np.ascontiguousarray(theta), fixed, pointer, time, output, schedule, lines, tolerance, predicted,
            jacobian,
        )  # fmt: skip
        if failed > 0:
            note = carray(as_pointer(notes), (n, 1 + p), np.float64)
            for i in range(n):
                if math.isnan(predicted[pointer[i]]):
                    if note[i, 0] == 0.0:
                        note[i, 1:] = theta[i]
                    note[i, 0] += 1.0
        return predicted, jacobian

    return solution, None


@intrinsic
def as_pointer(typingctx: Any, address: Any) -> Any:
    """A number as a pointer to memory, as `numba.carray` takes it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(address), generate


@numba_dispatch.register_funcify_and_cache_key(Carried)
def _carried(op: Carried, node: Apply | None = None, **kwargs: Any) -> tuple[Any, None]:
    pointer, n, p = op.layout.pointer, len(op.layout.pointer) - 1, op.layout.gradients.n_theta

    @numba_dispatch.numba_njit
    def carried(jacobian, slope):
        total = np.zeros((n, p))
        for i in range(n):
            for r in range(pointer[i], pointer[i + 1]):
                if slope[r] != 0.0:
                    for k in range(p):
                        total[i, k] += slope[r] * jacobian[r, k]
        return total

    return carried, None
