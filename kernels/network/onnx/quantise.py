"""A float ONNX file as a graph of integers: its scales come from samples.

Weights are int8, symmetric, with a scale for each output. Activations are int8 with a zero point and
one scale, from the least and largest value that the samples give, or from percentiles of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from gettext import gettext as _
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.errors import InvalidNetwork, NotImportable, Unsupported
from kernels.network.malformed import why_not
from kernels.network.onnx.channels import Channels, Seen
from kernels.network.onnx.context import Context, scale_of
from kernels.network.onnx.evaluate import evaluate
from kernels.network.onnx.evaluate.room import Room
from kernels.network.onnx.importer import Imported, convert, take_input
from kernels.network.onnx.reader import Model, Operation, read_model
from kernels.network.onnx.values import Entries, Float, linear_reals
from kernels.network.tflite.importer import Obstacle

MOST_BYTES = 16 << 30
"""What the evaluation of one sample may make, all tensors together."""
MOST_CHANNELS = 1 << 14
MOST_WHOLE = 1 << 16
"""Most of an int32 input that something is computed from."""
Array = npt.NDArray[Any]
Sample = Mapping[str, Array]
"""An input of the file each, its first side 1."""


@dataclass(slots=True)
class Ranges:
    """Least and largest value of each tensor over all samples, or of these percentiles of each."""

    percentile: float = 100.0
    spans: dict[str, tuple[float, float]] = field(default_factory=dict)
    channels: dict[str, Seen] = field(default_factory=dict)
    """Of what is no image, along its last side."""
    row_most: dict[str, float] = field(default_factory=dict)
    """Of what goes into a softmax: the least that the largest entry of a row was."""
    samples: int = 0

    def see(self, name: str, value: Array) -> None:
        """Widen a tensor's range by this value."""
        if value.dtype.kind not in "fiu" or value.size == 0:
            return
        finite = value if value.dtype.kind != "f" else value[np.isfinite(value)]
        if finite.size == 0:
            return
        if self.percentile < 100:
            low, high = np.percentile(finite, [100 - self.percentile, self.percentile])
        else:
            low, high = finite.min(), finite.max()
        before = self.spans.get(name, (low, high))
        self.spans[name] = min(float(low), before[0]), max(float(high), before[1])
        if value.dtype.kind == "f" and value.ndim in (2, 3) and value.shape[-1] <= MOST_CHANNELS:
            flat = value.reshape(-1, value.shape[-1]).astype(np.float64)
            seen = Seen(flat.min(axis=0), flat.max(axis=0), np.square(flat).mean(axis=0))
            known = self.channels.get(name, seen)
            share = 1 / max(1, self.samples)
            self.channels[name] = Seen(
                np.minimum(seen.low, known.low),
                np.maximum(seen.high, known.high),
                known.squares + (seen.squares - known.squares) * share,
            )

    def see_rows(self, name: str, value: Array) -> None:
        """Remember the least of the rows' largest entries."""
        least = float(value.max(axis=-1).min())
        self.row_most[name] = min(self.row_most.get(name, least), least)


class FloatModel:
    """A float model, computed in numpy."""

    def __init__(self, model: Model) -> None:
        """Compute what depends on constants alone, once."""
        self.model = model
        self._constants: dict[str, Array] = dict(model.constants)
        self._rest: list[tuple[int, Operation]] = []
        for number, operation in enumerate(model.operations):
            if all(name in self._constants for name in operation.inputs if name):
                self._compute(number, operation, self._constants)
            else:
                self._rest.append((number, operation))
        self._last = {
            name: place for place, (_n, one) in enumerate(self._rest) for name in one.inputs
        }

    def run(self, sample: Sample, ranges: Ranges | None = None) -> list[Array]:
        """Return the outputs. Raise NotImportable for an operator that is not known."""
        values = {**self._constants, **sample}
        if ranges is not None:
            ranges.samples += 1
        for name, value in sample.items():
            if ranges is not None:
                ranges.see(name, value)
        kept = {end.name for end in self.model.outputs} | self._constants.keys()
        for place, (number, operation) in enumerate(self._rest):
            self._compute(number, operation, values)
            if ranges is not None:
                if operation.kind == "Softmax":
                    ranges.see_rows(operation.inputs[0], values[operation.inputs[0]])
                for name in operation.outputs:
                    if name in values:
                        ranges.see(name, values[name])
            for name in operation.inputs:
                if self._last.get(name) == place and name not in kept:
                    values.pop(name, None)
        return [values[end.name] for end in self.model.outputs]

    @staticmethod
    def _compute(number: int, operation: Operation, values: dict[str, Array]) -> None:
        def compute() -> None:
            inputs = [values[name] if name else None for name in operation.inputs]
            made = evaluate(operation, inputs, Room(MOST_BYTES))
            values.update(zip(operation.outputs, made, strict=False))

        if (reason := why_not(compute)) is None:
            return
        label = operation.name or (operation.outputs[0] if operation.outputs else "")
        raise NotImportable([Obstacle(number, operation.kind, label[:60], reason)])


def samples_of(model: Model, data: Mapping[str, Array]) -> list[Sample]:
    """Return samples from arrays N x shape, one for each input of the file. Raise InvalidNetwork."""
    names = [end.name for end in model.inputs]
    missing = [name for name in names if name not in data]
    if missing:
        raise InvalidNetwork(
            _("the data has no array {name!r}; the model's inputs are {names}").format(
                name=missing[0][:60], names=", ".join(names)[:200]
            ),
            advice=_(
                "Save an array, samples first, for each input: numpy.savez(FILE, NAME=ARRAY)."
            ),
        )
    count = min((len(data[name]) for name in names if data[name].ndim), default=0)
    if count < 1 or any(data[name].shape[:1] != (count,) for name in names):
        raise InvalidNetwork(
            _("each array of the data must have as many samples, and at least one"),
            advice=_(
                "Save an array, samples first, for each input: numpy.savez(FILE, NAME=ARRAY)."
            ),
        )
    wanted = {end.name: np.dtype(end.dtype) for end in model.inputs}
    arrays = {name: as_typed(name, data[name], wanted[name]) for name in names}
    return [{name: arrays[name][i : i + 1] for name in names} for i in range(count)]


def as_typed(name: str, array: Array, dtype: np.dtype[Any]) -> Array:
    """Return an array in an input's type. Raise InvalidNetwork."""
    fits = array.dtype.kind in (
        "iu" if dtype.kind in "iu" else "iufb" if dtype.kind == "f" else "b"
    )
    if not fits or (array.dtype.kind == "f" and not np.isfinite(array).all()):
        raise InvalidNetwork(
            _("the array {name!r} does not hold finite numbers of the type {dtype}").format(
                name=name[:60], dtype=dtype.name
            ),
            advice=_("Correct what the message names."),
        )
    return array.astype(dtype)


def quantise_onnx(
    content: bytes, data: Mapping[str, Array], name: str = "", percentile: float = 100.0
) -> tuple[Imported, list[Sample]]:
    """Return a float ONNX file as a graph of integers, and the samples in `data`.

    Raise NotImportable, or InvalidNetwork for a damaged file or data that do not fit.
    """
    model = read_model(content)
    for end in model.inputs:
        if end.dtype not in ("float32", "float64", "int32", "int64"):
            raise Unsupported(_("an input of {dtype} is not possible").format(dtype=end.dtype))
    samples = samples_of(model, data)
    unknown = _unknown(model)
    if unknown:
        raise NotImportable(unknown)
    ranges = Ranges(percentile)
    floats = FloatModel(model)
    for sample in samples:
        floats.run(sample, ranges)
    context = Context(model, ranges.spans, Channels(ranges.channels), ranges.row_most)
    for end in model.inputs:
        shape = samples[0][end.name].shape
        most = int(max(1, ranges.spans[end.name][1]))
        if end.dtype.startswith("int") and ranges.spans[end.name][0] < 0:
            raise Unsupported(_("an input of whole numbers must not be negative"))
        take_input(context, end, shape, min(most, MOST_WHOLE))
        value = context.values[end.name]
        if isinstance(value, Float):
            scale = scale_of(*ranges.spans[end.name])
            context.borders[end.name] = scale
            made = Entries(value.place, shape, False, linear_reals(scale), scale)
            context.values[end.name] = made
    return convert(context, len(content), name), samples


def _unknown(model: Model) -> list[Obstacle]:
    from kernels.network.onnx.convert import CONVERTERS
    from kernels.network.onnx.evaluate import FUNCTIONS

    known = {*CONVERTERS, *FUNCTIONS} & FUNCTIONS.keys()
    return [
        Obstacle(
            number, one.kind, (one.name or "".join(one.outputs[:1]))[:60],
            _("there is no such operator here"),
        )
        for number, one in enumerate(model.operations)
        if one.kind not in known
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class OutputError:
    """How far one output is from the float model's, over all samples; real numbers."""

    name: str
    largest: float
    """Largest absolute value of the float model's, to compare with."""
    most: float
    mean: float
    cosine: float
    """Mean over samples; 1 where both are 0."""


@dataclass(frozen=True, slots=True)
class Report:
    """Errors against the float model, and the share of labels that each names first."""

    samples: int
    outputs: tuple[OutputError, ...]
    float_right: float | None = None
    right: float | None = None
    same: float | None = None
    """Share of samples for which both name the same."""


def rows_of(imported: Imported, samples: Sequence[Sample]) -> npt.NDArray[np.int8]:
    """Return samples as the graph takes them: a row of bytes each."""
    ends = list(zip(imported.graph.inputs, imported.graph.about["inputs"], strict=True))
    rows = []
    for sample in samples:
        parts = []
        for form, said in ends:
            value = sample[said["name"]]
            if form.entry_bytes == 1:
                codes = np.rint(value / np.float32(said["scale"])) + said["zero"]
                value = np.clip(codes, -128, 127).astype(np.int8)
            else:
                value = value.astype(np.int32)
            parts.append(np.ascontiguousarray(value).reshape(-1).view(np.int8))
        rows.append(np.concatenate(parts))
    return np.stack(rows)


def real_outputs(imported: Imported, rows: npt.NDArray[Any]) -> Iterator[Array]:
    """Yield each output of the graph's rows as real numbers, N x shape."""
    graph, first = imported.graph, 0
    for place, said in zip(graph.outputs, graph.about["outputs"], strict=True):
        form = graph.forms[place]
        part = rows[:, first : first + form.entries].reshape(len(rows), *form.shape)
        first += form.entries
        if "scale" in said:
            yield (part.astype(np.float64) - said["zero"]) * said["scale"]
        else:
            yield part.astype(np.float64)


def report(
    imported: Imported, rows: npt.NDArray[Any], samples: Sequence[Sample], labels: Array | None
) -> Report:
    """Return how far the graph's rows of these samples are from the float model's outputs."""
    floats = FloatModel(imported.model)
    wanted = [np.stack(part) for part in zip(*(floats.run(one) for one in samples), strict=True)]
    made = list(real_outputs(imported, rows))
    errors = []
    for said, ours, right in zip(imported.graph.about["outputs"], made, wanted, strict=True):
        apart = np.abs(ours - right)
        a, b = (one.reshape(len(samples), -1).astype(np.float64) for one in (ours, right))
        lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        products, alike = (a * b).sum(axis=1), a.any() == b.any()
        cosines = np.where(lengths > 0, products / np.maximum(lengths, 1e-300), alike)
        errors.append(
            OutputError(
                said["name"], float(np.abs(right).max()), float(apart.max()), float(apart.mean()),
                float(cosines.mean()),
            )
        )  # fmt: skip
    if labels is None:
        return Report(len(samples), tuple(errors))
    ours, right = (one[0].reshape(len(samples), -1).argmax(axis=1) for one in (made, wanted))
    flat = labels.reshape(-1)
    return Report(
        len(samples), tuple(errors), float(np.mean(right == flat)), float(np.mean(ours == flat)),
        float(np.mean(ours == right)),
    )  # fmt: skip
