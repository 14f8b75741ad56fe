"""What a converter works with: the file, what is known of its tensors, and the graph that grows."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from gettext import gettext as _
from typing import Any

import numpy as np

from kernels.errors import Unsupported
from kernels.network.graph.elementwise import ChannelTable, Table
from kernels.network.graph.graph import Node
from kernels.network.graph.moves import Constant, Embed, Reshape, Transpose
from kernels.network.graph.operator import Form, Operator
from kernels.network.graph.products import WIDE
from kernels.network.onnx.channels import LEAST_FACTOR, Channels, Factors
from kernels.network.onnx.evaluate.room import Room
from kernels.network.onnx.reader import Model, Operation
from kernels.network.onnx.values import (
    NHWC,
    ONE,
    PLACES,
    Array,
    Codes,
    Entries,
    Float,
    Known,
    Pending,
    Placed,
    Scale,
    Value,
    linear_reals,
)

MASKED = -1e4
"""What is below is a mask's minus infinity."""
LEAST_SCALE = 1e-12
WIDE_MARGIN = 2.0
"""A wide value is given so many times what calibration saw: 16 bits have room."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Which tensor of the file a value of the graph is: for verification and error reports."""

    tensor: str
    place: int
    channels_last: bool
    kind: str
    scale: Scale | None


@dataclass(slots=True)
class Context:
    """The import of one file."""

    model: Model
    ranges: Mapping[str, tuple[float, float]] | None = None
    """Of a float model's tensors, as calibrated; None for a model that says its scales itself."""
    channels: Channels = field(default_factory=Channels)
    row_most: Mapping[str, float] = field(default_factory=dict)
    """Of what goes into a softmax: the least that the largest entry of a row was."""
    nodes: list[Node] = field(default_factory=list)
    forms: list[Form] = field(default_factory=list)
    values: dict[str, Value] = field(default_factory=dict)
    borders: dict[str, Scale] = field(default_factory=dict)
    """Float inputs, and the scale to which they are quantised."""
    traces: list[Trace] = field(default_factory=list)
    room: Room = field(default_factory=lambda: Room(1 << 24))
    uses: Counter[str] = field(default_factory=Counter)
    name: str = ""
    kind: str = ""

    def get(self, operation: Operation, i: int) -> Value:
        """Return input i. Raise Unsupported where it is missing."""
        if i >= len(operation.inputs) or not operation.inputs[i]:
            raise Unsupported(_("an input is missing"))
        return self.values[operation.inputs[i]]

    def known(self, operation: Operation, i: int, what: str) -> Known:
        """Return input i, which must be constant. Raise Unsupported."""
        value = self.get(operation, i)
        if not isinstance(value, Known):
            raise Unsupported(_("its {what} must be constant").format(what=what))
        return value

    def optional(self, operation: Operation, i: int, what: str) -> Array | None:
        """Return a constant input that may be missing."""
        if i >= len(operation.inputs) or not operation.inputs[i]:
            return None
        return self.known(operation, i, what).value

    def known_array(self, name: str) -> Array | None:
        """Return a tensor that is constant, or None."""
        value = self.values.get(name)
        return value.value if isinstance(value, Known) else None

    def constants(self, operation: Operation) -> list[Array | None]:
        """Return the inputs, with None for what is not constant."""
        found = (self.values.get(name) for name in operation.inputs)
        return [one.value if isinstance(one, Known) else None for one in found]

    def emit(self, operator: Operator, *inputs: int) -> int:
        """Add a node, and return its value."""
        self.forms.append(operator.output(*(self.forms[i] for i in inputs)))
        self.nodes.append(Node(operator, inputs, self.name))
        return len(self.forms) - 1

    def give(self, operation: Operation, value: Value) -> None:
        """Say what the operation's first output is; where several need it, compute it at once."""
        target = operation.outputs[0]
        if isinstance(value, Pending):
            value = replace(value, name=target, kind=value.kind or operation.kind)
            if value.linear is not None:  # its parts have the range of the whole
                parts = [one for one in value.terms if isinstance(one, Pending)]
                value = replace(value, terms=tuple(replace(one, name=target) for one in parts))
        self.values[target] = value
        if self.ranges is not None and isinstance(value, Pending) and self.uses[target] > 1:
            self.settled(target, by_channel=True)

    def settled(self, name: str, *, by_channel: bool = False) -> Entries:
        """Return a tensor as int8 with a scale, and keep it so."""
        before = self.values[name]
        value = self.settle(before, name, by_channel=by_channel)
        if isinstance(before, Pending) or (isinstance(before, Entries) and before.reals.ndim == 1):
            self.values[name] = value
        return value

    def entries(self, operation: Operation, i: int, *, by_channel: bool = False) -> Entries:
        """Return input i as int8 with a scale, or one for each channel. Raise Unsupported."""
        self.get(operation, i)
        return self.settled(operation.inputs[i], by_channel=by_channel)

    def settle(self, value: Value, name: str, *, by_channel: bool = False) -> Entries:
        """Return a value as int8 with a scale; or one for each channel, where that may be."""
        match value:
            case Entries() if value.scale is not None and (by_channel or value.factors is None):
                return value
            case Entries():
                own = self.channels.scale(name) if by_channel and not value.whole else None
                if own is not None:
                    return self.looked_up(value, scale_of(*own[:2]), name, own[2])
                return self.looked_up(value, self.scale_for(name, value), name)
            case Pending():
                called = value.name or name
                bounded = np.isfinite(value.low) or np.isfinite(value.high)
                able = by_channel and value.by_channel and not bounded
                own = self.channels.scale(called, value.spans) if able else None
                if own is not None:
                    return self.finished(value, scale_of(*own[:2]), own[2])
                return self.finished(value, self.scale_for(called, value))
            case Known():
                return self.constant(value, by_channel=by_channel)
            case Codes():
                raise Unsupported(_("it takes a quantised value without DequantizeLinear"))
            case Float():
                raise Unsupported(_("it computes in float: its input is not quantised"))

    def finished(self, value: Pending, scale: Scale, factors: Factors | None = None) -> Entries:
        """Return a pending value, computed to this scale, times a factor for each channel."""
        low, high = (code_of(real, scale) for real in (value.low, value.high))
        more = () if factors is None else (factors,)
        place = value.finish(self, scale, low, high, *more)
        reals = linear_reals(scale, factors)
        finer = None if value.wide is None else value
        made = Entries(
            place, value.shape, value.channels_last, reals, scale, factors=factors, finer=finer
        )
        self.trace(value.name, made, scale, value.kind)
        return made

    def wide(self, value: Pending) -> Entries:
        """Return a pending value, computed to 16 bits."""
        assert value.wide is not None
        reach = WIDE_MARGIN * max(abs(end) for end in self.range_of(value.name))
        scale = max(reach / (WIDE - 1), value.least_step, LEAST_SCALE), 0
        return Entries(value.wide(self, scale), value.shape, reals=ONE, scale=scale, whole=True)

    def looked_up(
        self, value: Entries, scale: Scale, name: str = "", factors: Factors | None = None
    ) -> Entries:
        """Return a function of a value's codes as int8 of this scale: a table."""
        by = 1.0 if factors is None else factors[:, np.newaxis]
        with np.errstate(all="ignore"):
            codes = np.rint(value.reals.astype(np.float64) / (scale[0] * by)) + scale[1]
        if np.isnan(codes).any():
            raise Unsupported(_("a function that is not a number for some input"))
        table = np.clip(codes, -128, 127).astype(np.int8)
        if value.whole:
            place = self.emit(Embed(rows=table[:, np.newaxis]), value.place)
            place = self.emit(Reshape(shape=self.forms[value.place].shape), place)
        elif table.ndim == 2:
            place = self.emit(ChannelTable(table=table), value.place)
        else:
            place = self.emit(Table(table=table), value.place)
        reals = linear_reals(scale, factors)
        made = Entries(place, value.shape, value.channels_last, reals, scale, factors=factors)
        self.trace(name, made, scale)
        return made

    def constant(self, value: Known, *, by_channel: bool = False) -> Entries:
        """Return a constant as a value of the graph, by its own codes or to its own range."""
        real, factors = value.value, None
        if by_channel and real.ndim > 1 and value.quantised is None and real.dtype.kind == "f":
            factors = np.abs(real.astype(np.float64)).max(axis=tuple(range(real.ndim - 1)))
            factors = np.maximum(factors / max(factors.max(), LEAST_SCALE), LEAST_FACTOR)
            real = real / factors
        if value.quantised is not None and len(value.quantised.scales) == 1:
            codes, scale = value.quantised.codes, (float(value.quantised.scales[0]), 0)
        elif real.dtype.kind == "f" and real.size and np.isfinite(real).all():
            scale = scale_of(float(real.min()), float(real.max()))
            codes = np.clip(np.rint(real / scale[0]) + scale[1], -128, 127).astype(np.int8)
        else:
            raise Unsupported(_("a constant that cannot be int8"))
        codes = codes if codes.ndim else codes.reshape(1)
        place = self.emit(Constant(value=np.ascontiguousarray(codes)))
        reals = linear_reals(scale, factors)
        return Entries(place, codes.shape, False, reals, scale, factors=factors)

    def scale_for(self, name: str, value: Entries | Pending) -> Scale:
        """Return the scale that calibration found for a tensor. Raise Unsupported without one."""
        span = value.span if isinstance(value, Pending) else None
        if isinstance(value, Entries) and value.whole:
            reals = value.reals[value.reals > MASKED].astype(np.float64)
            span = float(reals.min(initial=0)), float(reals.max(initial=0))
        if span is None:
            if self.ranges is None or name not in self.ranges:
                raise Unsupported(_("it computes in float: no QuantizeLinear says its scale"))
            span = self.ranges[name]
        if isinstance(value, Pending):
            span = max(span[0], value.low), min(span[1], value.high)
        return scale_of(*span)

    def range_of(self, name: str) -> tuple[float, float]:
        """Return a tensor's range. Raise Unsupported."""
        if self.ranges is None or name not in self.ranges:
            raise Unsupported(_("it computes in float: no QuantizeLinear says its scale"))
        return self.ranges[name]

    def trace(self, tensor: str, value: Placed, scale: Scale | None, kind: str = "") -> None:
        """Remember which tensor of the file this is, and which operator made it."""
        if tensor:
            made = Trace(tensor, value.place, value.channels_last, kind or self.kind, scale)
            self.traces.append(made)

    def image(self, value: Entries) -> Entries:
        """Return an image as NHWC."""
        if value.channels_last:
            return value
        if len(value.shape) != 4:
            raise Unsupported(_("a window needs an image of two dimensions"))
        return self.turned(value, NHWC, True)

    def plain(self, value: Placed) -> Any:
        """Return a value with its sides in ONNX's order."""
        return self.turned(value, PLACES, False) if value.channels_last else value

    def turned(self, value: Any, order: tuple[int, ...], channels_last: bool) -> Any:
        """Return a value with its sides in another order; without moving what has one entry a side."""
        shape = self.forms[value.place].shape
        moved = tuple(shape[i] for i in order)
        wide = [i for i in order if shape[i] > 1]
        operator = Reshape(shape=moved) if wide == sorted(wide) else Transpose(order=order)
        return replace(value, place=self.emit(operator, value.place), channels_last=channels_last)


Converter = Callable[[Context, Operation], None]


def scale_of(low: float, high: float) -> Scale:
    """Return scale and zero point that cover this range and 0."""
    low, high = min(low, 0.0), max(high, 0.0)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise Unsupported(_("its values are not finite"))
    scale = max((high - low) / 255, LEAST_SCALE) if high > low else 1 / 256
    return float(np.float32(scale)), int(np.clip(np.rint(-128 - low / scale), -128, 127))


def code_of(real: float, scale: Scale) -> int:
    """Return the int8 nearest to a real number."""
    return int(np.clip(np.rint(np.clip(real / scale[0], -1e6, 1e6)) + scale[1], -128, 127))
