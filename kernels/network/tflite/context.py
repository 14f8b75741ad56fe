"""What a converter works with: the file's tensors, what is known of them, and the graph that grows."""

from collections.abc import Callable
from dataclasses import dataclass, field
from gettext import gettext as _
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.errors import Unsupported
from kernels.network.graph import moves
from kernels.network.graph.graph import Node
from kernels.network.graph.operator import Form, Operator
from kernels.network.tflite.reader import Model, Operation, Tensor

Scale = tuple[np.float32, int]
QUANTISED = {"INT8", "UINT8"}


@dataclass(slots=True)
class Context:
    """The import of one file. Value i of the graph is an input or a node, as in Graph."""

    model: Model
    nodes: list[Node] = field(default_factory=list)
    forms: list[Form] = field(default_factory=list)
    values: dict[int, int] = field(default_factory=dict)
    """Tensors of the file that a value of the graph stands for."""
    constants: dict[int, npt.NDArray[Any]] = field(default_factory=dict)
    """Tensors that are known: of the file, or computed from others."""
    borders: dict[int, Scale] = field(default_factory=dict)
    """Float inputs that are quantised first: the scale."""
    handles: dict[int, str] = field(default_factory=dict)
    """Tensors that stand for a variable: its name."""
    states: dict[str, int] = field(default_factory=dict)
    """Variables in order: the value that each has now."""
    starts: tuple[int, ...] = ()
    assigned: dict[str, int] = field(default_factory=dict)
    """The tensor of the file that each variable was last given."""
    name: str = ""

    def tensor(self, i: int) -> Tensor:
        """Return a tensor by its number."""
        if i < 0:
            raise Unsupported(_("an input is missing"))
        return self.model.tensors[i]

    def scale(self, i: int) -> Scale:
        """Return a tensor's single scale and zero point, as for int8. Raise Unsupported."""
        tensor = self.tensor(i)
        if tensor.dtype not in QUANTISED:
            raise Unsupported(_("it computes in {dtype}, not in int8").format(dtype=tensor.dtype))
        if len(tensor.scales) != 1 or len(tensor.zeros) > 1:
            raise Unsupported(_("an activation must have one scale"))
        scale = tensor.scales[0]
        zero = int(tensor.zeros[0]) if len(tensor.zeros) else 0
        zero -= 128 if tensor.dtype == "UINT8" else 0
        if not (np.isfinite(scale) and scale > 0 and -128 <= zero <= 127):
            raise Unsupported(_("a scale of the file is not a usable number"))
        return scale, zero

    def constant(self, i: int, what: str) -> npt.NDArray[Any]:
        """Return a tensor that must be known. Raise Unsupported."""
        if i < 0 or i not in self.constants:
            raise Unsupported(_("its {what} must be constant").format(what=what))
        return self.constants[i]

    def integers(self, i: int, what: str) -> tuple[int, ...]:
        """Return a known tensor of a few whole numbers."""
        known = self.constant(i, what)
        if known.dtype.kind != "i" or known.size > 64:
            raise Unsupported(_("its {what} must be constant").format(what=what))
        return tuple(known.reshape(-1).tolist())

    def value(self, i: int) -> int:
        """Return the graph's value for a tensor; a constant becomes a node."""
        if i not in self.values:
            known = self.constant(i, _("inputs"))
            if known.dtype != np.int8:
                raise Unsupported(_("a constant must be int8"))
            whole = known if known.ndim else known.reshape(1)
            self.values[i] = self.emit(moves.Constant(value=whole))
        return self.values[i]

    def form(self, i: int) -> Form:
        """Return the form of a tensor's value."""
        return self.forms[self.value(i)]

    def emit(self, operator: Operator, *inputs: int) -> int:
        """Add a node, and return its value."""
        self.forms.append(operator.output(*(self.forms[i] for i in inputs)))
        self.nodes.append(Node(operator, inputs, self.name))
        return len(self.forms) - 1

    def give(self, operation: Operation, value: int) -> None:
        """Say that this value is the operation's only output, if the shape is the file's."""
        (out,) = operation.outputs
        said = self.tensor(out).shape
        if self.forms[value].shape != said:
            raise Unsupported(
                _("its output is {got} by its inputs, and {said} in the file").format(
                    got=self.forms[value].shape, said=said
                )
            )
        self.values[out] = value

    def same_scale(self, operation: Operation) -> None:
        """Raise Unsupported unless inputs (of int8) and output have one scale: nothing is computed."""
        out = self.scale(operation.outputs[0])
        for i in operation.inputs:
            if i in self.values and self.forms[self.values[i]].entry_bytes == 1:
                given = self.scale(i)
                if given != out:
                    raise Unsupported(_("input and output must have the same scale"))


Converter = Callable[[Context, Operation], None]


def positive(axis: int, rank: int) -> int:
    """Return an axis counted from the front. Raise Unsupported."""
    if not -rank <= axis < rank:
        raise Unsupported(_("there is no such dimension"))
    return axis % rank
