"""A TFLite flatbuffer as plain values. It is not trusted: counts are checked before they are used.

The `tflite` package reads fields lazily from the bytes, so a wrong offset gives an exception of
Python's or numpy's, or other bytes of the same file; nothing is allocated that no check has seen.
"""

import math
from dataclasses import dataclass, replace
from gettext import gettext as _
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.errors import InvalidNetwork
from kernels.network.graph.fields import MAX_RANK
from kernels.network.graph.operator import MAX_SIDE
from kernels.network.malformed import MALFORMED

MAX_FILE_BYTES = 512 << 20
MAX_TENSORS = 8192
MAX_OPERATORS = 4096
MAX_INPUTS = 256
MAX_SUBGRAPHS = 64
MAX_CALLED = 4
MAX_SCALES = 1 << 16
_DTYPES = {
    "FLOAT32": "<f4",
    "INT8": "<i1",
    "UINT8": "<u1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
}


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A tensor of the file; `data` is None unless it is constant."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    """As the schema names it: INT8, FLOAT32..."""
    scales: npt.NDArray[np.float32]
    zeros: npt.NDArray[np.int64]
    axis: int
    data: npt.NDArray[Any] | None


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """An operator of the file with its tensors by number (-1: left out) and its options."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    table: Any
    """Where the options lie, or None."""

    def options(self, kind: type[Any]) -> Any:
        """Return the options as this class of the schema."""
        made = kind()
        if self.table is None:
            raise InvalidNetwork(_("{kind} has no options").format(kind=self.kind))
        made.Init(self.table.Bytes, self.table.Pos)
        return made


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """The first subgraph of a file, or one that it calls."""

    tensors: tuple[Tensor, ...]
    operations: tuple[Operation, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    description: str = ""
    called_once: tuple["Model", ...] = ()
    """Subgraphs that CALL_ONCE runs before the first sample."""


def read_model(content: bytes) -> Model:
    """Return the model in these bytes. Raise InvalidNetwork for anything else."""
    try:
        import tflite
    except ImportError as error:
        raise InvalidNetwork(
            _("TFLite files cannot be read: the package tflite is not installed"),
            advice=_("Install it: pip install tflite"),
        ) from error
    if len(content) > MAX_FILE_BYTES:
        raise InvalidNetwork(
            _("the file has more than {most} bytes: {size}").format(
                size=len(content), most=MAX_FILE_BYTES
            )
        )
    if len(content) < 8 or content[4:8] != b"TFL3":
        raise InvalidNetwork(_("this is not a TFLite file"))
    try:
        return _read(tflite, content)
    except MALFORMED as error:
        raise InvalidNetwork(
            _("the TFLite file is damaged: {error}").format(error=str(error)[:80])
        ) from error


def _read(tflite: Any, content: bytes) -> Model:
    model = tflite.Model.GetRootAs(content, 0)
    _count(model.SubgraphsLength(), MAX_SUBGRAPHS, "subgraphs")
    if model.SubgraphsLength() < 1:
        raise InvalidNetwork(_("the TFLite file has no graph"))
    kinds, types = _kinds(tflite, model), _names(tflite.TensorType)
    budget = [len(content) + (1 << 20)]  # what the tensors' data may take together
    main = _subgraph(model, 0, kinds, types, budget)
    calls = [one for one in main.operations if one.kind == "CALL_ONCE"]
    _count(len(calls), MAX_CALLED, "CALL_ONCE")
    called = []
    for one in calls:
        number = one.options(tflite.CallOnceOptions).InitSubgraphIndex()
        called.append(
            _subgraph(model, _index(number, model.SubgraphsLength()), kinds, types, budget)
        )
    description = (model.Description() or b"").decode("utf-8", "replace")[:200]
    return replace(main, description=description, called_once=tuple(called))


def _subgraph(
    model: Any, number: int, kinds: list[str], types: dict[int, str], budget: list[int]
) -> Model:
    graph = model.Subgraphs(number)
    count = _count(graph.TensorsLength(), MAX_TENSORS, "tensors")
    tensors = tuple(_tensor(model, graph.Tensors(i), types, budget) for i in range(count))
    operations = []
    for i in range(_count(graph.OperatorsLength(), MAX_OPERATORS, "operators")):
        one = graph.Operators(i)
        operations.append(
            Operation(
                kinds[_index(one.OpcodeIndex(), len(kinds))],
                _indices(one, "Inputs", count),
                _indices(one, "Outputs", count),
                one.BuiltinOptions(),
            )
        )
    ends = (_indices(graph, "Inputs", count), _indices(graph, "Outputs", count))
    return Model(tensors, tuple(operations), *ends)


def _kinds(tflite: Any, model: Any) -> list[str]:
    names = _names(tflite.BuiltinOperator)
    kinds = []
    for i in range(_count(model.OperatorCodesLength(), MAX_OPERATORS, "operator codes")):
        code = model.OperatorCodes(i)
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        kinds.append(names.get(number, f"operator {number}"))
    return kinds


def _names(enumeration: Any) -> dict[int, str]:
    return {number: name for name, number in vars(enumeration).items() if name[0] != "_"}


def _tensor(model: Any, one: Any, types: dict[int, str], budget: list[int]) -> Tensor:
    rank = _count(one.ShapeLength(), MAX_RANK, "dimensions")
    shape = tuple(one.Shape(i) for i in range(rank))
    if any(not 0 <= side <= MAX_SIDE for side in shape):
        raise InvalidNetwork(_("a tensor of the file has an impossible shape"))
    name = (one.Name() or b"").decode("utf-8", "replace")[:200]
    dtype = types.get(one.Type(), "?")
    scales, zeros, axis = np.zeros(0, np.float32), np.zeros(0, np.int64), 0
    quantised = one.Quantization()
    if quantised is not None:
        _count(quantised.ScaleLength(), MAX_SCALES, "scales")
        _count(quantised.ZeroPointLength(), MAX_SCALES, "zero points")
        if quantised.ScaleLength():
            scales = np.array(quantised.ScaleAsNumpy(), np.float32)
        if quantised.ZeroPointLength():
            zeros = np.array(quantised.ZeroPointAsNumpy(), np.int64)
        axis = quantised.QuantizedDimension()
    data = _data(model, one.Buffer(), shape, dtype, budget)
    return Tensor(name, shape, dtype, scales, zeros, axis, data)


def _data(
    model: Any, number: int, shape: tuple[int, ...], dtype: str, budget: list[int]
) -> npt.NDArray[Any] | None:
    """Return a constant's entries; None for a tensor that is computed."""
    if number == 0:
        return None
    buffer = model.Buffers(_index(number, model.BuffersLength()))
    size = buffer.DataLength()
    if size == 0 or dtype not in _DTYPES:
        return None
    budget[0] -= size
    wanted = np.dtype(_DTYPES[dtype])
    if size != math.prod(shape) * wanted.itemsize or budget[0] < 0:
        raise InvalidNetwork(_("a tensor of the file has another size than its shape"))
    raw = np.asarray(buffer.DataAsNumpy(), np.uint8)
    if raw.size != size:
        raise InvalidNetwork(_("a tensor of the file has another size than its shape"))
    return np.frombuffer(raw.tobytes(), wanted).reshape(shape)


def _indices(one: Any, what: str, count: int) -> tuple[int, ...]:
    length = _count(getattr(one, f"{what}Length")(), MAX_INPUTS, what)
    found = tuple(getattr(one, what)(i) for i in range(length))
    return tuple(i if i == -1 else _index(i, count) for i in found)


def _index(number: int, count: int) -> int:
    if not 0 <= number < count:
        raise InvalidNetwork(_("the TFLite file names something that it does not have"))
    return number


def _count(number: int, most: int, what: str) -> int:
    if not 0 <= number <= most:
        raise InvalidNetwork(
            _("the TFLite file has more than {most} {what}: {number}").format(
                number=number, what=what, most=most
            )
        )
    return number
