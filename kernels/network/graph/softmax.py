"""Softmax over the last side, as LiteRT's reference_ops::Softmax for int8: gemmlowp's fixed point."""

from dataclasses import dataclass
from gettext import gettext as _
from typing import ClassVar

import numpy as np

from kernels.network.graph.backend import Backend
from kernels.network.graph.fields import Tensor, array
from kernels.network.graph.operator import Form, Operator, Values, require, require_bytes
from kernels.network.graph.rounding import MOST_INT32

MOST_DEPTH = 4095
"""Sums of exponentials have 12 bits before the point."""


@dataclass(frozen=True, slots=True, eq=False)
class Softmax(Operator):
    """`exps[d]` is exp(-d * scale) in Q0.31; 0 where LiteRT leaves such a difference out."""

    op: ClassVar[str] = "softmax"
    exps: Tensor = array("i4")

    def check(self) -> None:
        """Raise InvalidNetwork unless there is an entry for each difference, and exp(0) is 1."""
        require(
            len(self.exps) == 256 and int(self.exps[0]) == MOST_INT32 and int(self.exps.min()) >= 0,
            _("a softmax needs 256 exponentials, of which the first is 1"),
        )

    def output(self, *inputs: Form) -> Form:
        """The input's."""
        require_bytes(inputs[0], self.op)
        shape = inputs[0].shape
        require(
            len(shape) > 0 and shape[-1] <= MOST_DEPTH,
            _("a softmax is over at most {most} entries").format(most=MOST_DEPTH),
        )
        return inputs[0]

    def cost(self, *inputs: Form) -> int:
        """Return eight for each entry."""
        return 8 * inputs[0].entries

    def scratch_bytes(self, *inputs: Form) -> int:
        """Return that of some int64 for each entry."""
        return 48 * inputs[0].entries

    def run(self, do: Backend, *inputs: Values) -> Values:
        """Row by row."""
        (x,) = inputs
        rows = np.ascontiguousarray(x).reshape(-1, x.shape[-1])
        return do.kernels.softmax(rows, self.exps).reshape(x.shape)
