"""An ONNX file as plain values. It is not trusted: counts and sizes are checked before they are used.

Nothing outside the file is read (external data is refused), and no subgraph is entered.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from gettext import gettext as _
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.errors import InvalidNetwork
from kernels.network.graph.fields import MAX_RANK
from kernels.network.graph.operator import MAX_SIDE
from kernels.network.malformed import MALFORMED
from kernels.network.tflite.reader import MAX_FILE_BYTES

MAX_NODES = 8192
MAX_TENSORS = 8192
MAX_ENDS = 256
MAX_TOUCHED = 64
"""Most inputs, outputs or attributes of a node."""
MAX_LIST = 1 << 16
"""Most numbers in an attribute."""
NAME = 200
DTYPES = {
    1: "<f4", 2: "<u1", 3: "<i1", 4: "<u2", 5: "<i2", 6: "<i4", 7: "<i8", 9: "?", 10: "<f2",
    11: "<f8",
}  # fmt: skip
"""By TensorProto.DataType."""
_FIELDS = {1: "float_data", 7: "int64_data", 11: "double_data"}
_OWN_DOMAINS = {"", "ai.onnx"}


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """A node of the file; a missing input is ""."""

    kind: str
    """Its operator; one of another domain than ONNX's is called domain.operator."""
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    """Numbers, strings, tuples of them, arrays; None for what is nothing of these."""


@dataclass(frozen=True, slots=True)
class End:
    """An input or output: a side is a number, a name, or None."""

    name: str
    dtype: str
    """As numpy names it; "?" where the file says another."""
    shape: tuple[int | str | None, ...] | None


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """The graph of a file."""

    operations: tuple[Operation, ...]
    constants: Mapping[str, npt.NDArray[Any]]
    inputs: tuple[End, ...]
    outputs: tuple[End, ...]
    opset: int


def read_model(content: bytes) -> Model:
    """Return the model in these bytes. Raise InvalidNetwork for anything else."""
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise InvalidNetwork(
            _("ONNX files cannot be read: the package onnx is not installed"),
            advice=_("Install it: pip install onnx"),
        ) from error
    if len(content) > MAX_FILE_BYTES:
        raise InvalidNetwork(
            _("the file has more than {most} bytes: {size}").format(
                size=len(content), most=MAX_FILE_BYTES
            )
        )
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(content)
        return _read(proto, len(content))
    except (DecodeError, RecursionError, *MALFORMED) as error:
        raise InvalidNetwork(
            _("the ONNX file is damaged: {error}").format(error=str(error)[:80])
        ) from error


def _read(proto: Any, size: int) -> Model:
    if not proto.HasField("graph"):
        raise InvalidNetwork(_("the ONNX file has no graph"))
    graph = proto.graph
    versions = [one.version for one in proto.opset_import[:MAX_ENDS] if one.domain in _OWN_DOMAINS]
    _count(len(graph.node), MAX_NODES, "nodes")
    _count(len(graph.initializer), MAX_TENSORS, "initializers")
    _count(len(graph.input), MAX_TENSORS, "inputs")
    _count(len(graph.output), MAX_ENDS, "outputs")
    if len(graph.sparse_initializer):
        raise InvalidNetwork(_("the ONNX file has sparse tensors"))
    room = [size + (1 << 20)]  # what all tensors may take together
    constants = {one.name: _tensor(one, room) for one in graph.initializer}
    operations = tuple(_operation(one, room) for one in graph.node)
    inputs = tuple(_end(one) for one in graph.input if one.name not in constants)
    _count(len(inputs), MAX_ENDS, "inputs")
    outputs = tuple(_end(one) for one in graph.output)
    return Model(operations, constants, inputs, outputs, max(versions, default=0))


def _operation(one: Any, room: list[int]) -> Operation:
    for part, what in (
        (one.input, "inputs"),
        (one.output, "outputs"),
        (one.attribute, "attributes"),
    ):
        _count(len(part), MAX_TOUCHED, what)
    domain = "" if one.domain in _OWN_DOMAINS else f"{one.domain[:NAME]}."
    attributes = {attribute.name: _attribute(attribute, room) for attribute in one.attribute}
    kind = f"{domain}{one.op_type[:NAME]}"
    if kind == "Split":  # what versions before 18 say by the outputs alone
        attributes["num_outputs"] = len(one.output)
    return Operation(kind, one.name[:NAME], tuple(one.input), tuple(one.output), attributes)


def _attribute(one: Any, room: list[int]) -> Any:
    """By AttributeProto.AttributeType; one that refers to a function's attribute is None."""
    match one.type:
        case 1:
            return float(one.f)
        case 2:
            return int(one.i)
        case 3:
            return one.s[:NAME].decode("utf-8", "replace")
        case 4:
            return _tensor(one.t, room)
        case 6:
            _count(len(one.floats), MAX_LIST, "numbers")
            return tuple(one.floats)
        case 7:
            _count(len(one.ints), MAX_LIST, "numbers")
            return tuple(one.ints)
    return None


def _tensor(one: Any, room: list[int]) -> npt.NDArray[Any]:
    """Return a tensor's entries, from raw bytes or from the field of its type."""
    _count(len(one.dims), MAX_RANK, "dimensions")
    shape = tuple(one.dims)
    if one.data_type not in DTYPES or one.data_location or one.HasField("segment"):
        raise InvalidNetwork(
            _(
                "the tensor {name!r} has a type that is not possible, or lies in another file"
            ).format(name=one.name[:60])
        )
    dtype = np.dtype(DTYPES[one.data_type])
    entries = math.prod(shape)
    field = getattr(one, _FIELDS.get(one.data_type, "int32_data"))
    given = len(one.raw_data) // dtype.itemsize if one.HasField("raw_data") else len(field)
    room[0] -= given * dtype.itemsize
    if any(not 0 <= side <= MAX_SIDE for side in shape) or given != entries or room[0] < 0:
        raise InvalidNetwork(_("a tensor of the file has another size than its shape"))
    if one.HasField("raw_data"):
        return np.frombuffer(one.raw_data, dtype).reshape(shape)
    if dtype == np.float16:  # its bits
        return np.array(field, np.uint16).view(np.float16).reshape(shape)
    return np.array(field, dtype).reshape(shape)


def _end(one: Any) -> End:
    kind = one.type.tensor_type
    dtype = DTYPES.get(kind.elem_type, "?") if one.type.HasField("tensor_type") else "?"
    name = np.dtype(dtype).name if dtype != "?" or kind.elem_type == 9 else "?"
    if not kind.HasField("shape"):
        return End(one.name, name, None)
    _count(len(kind.shape.dim), MAX_RANK, "dimensions")
    sides = tuple(
        side.dim_value if side.HasField("dim_value") else side.dim_param[:NAME] or None
        for side in kind.shape.dim
    )
    return End(one.name, name, sides)


def _count(number: int, most: int, what: str) -> None:
    if number > most:
        raise InvalidNetwork(
            _("the ONNX file has more than {most} {what}: {number}").format(
                number=number, what=what, most=most
            )
        )
