"""A network as a value, and its file: safetensors, with the layers as JSON in the metadata.

    network = decode_network(content)
    network.input_shape, network.columns, network.sample_cost

What a file may say is in docs/jobs.md. Everything is checked before anything is computed, and what a
sample will cost is known beforehand: a file may come from somebody who means harm.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from gettext import gettext as _
from typing import Any

import numpy as np

from kernels.errors import InvalidNetwork
from kernels.network import Rescale, Window
from kernels.network.graph.file import VERSION as GRAPH_VERSION
from kernels.network.graph.file import describe_graph, graph_of
from kernels.network.graph.graph import Graph
from kernels.network.layers import (
    ArgMax,
    Conv2D,
    Dense,
    Flatten,
    Layer,
    Pool,
    Shape,
)
from kernels.network.safetensors import Tensor, decode, encode, read_json_object

METADATA_KEY = "cpc_network"
VERSION = 1
MAX_LAYERS = 256
MAX_SIDE = 65_536
MAX_WINDOW = 1024
MAX_ENTRIES = 1 << 28
"""Most entries of a sample between two layers."""
_QUANTISED = {"weights": "i1", "bias": "i4", "multiplier": "i4", "shift": "u1"}


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """Layers that fit one another, from samples of `input_shape`. Raises InvalidNetwork."""

    input_shape: Shape
    layers: tuple[Layer, ...]
    about: Mapping[str, Any] = field(default_factory=dict)
    """For people: `name`, `labels` of the outputs, `pixels`. It decides no bit of the output."""
    columns: int = field(init=False)
    """Entries of one sample's output."""
    entry_bytes: int = field(init=False)
    """1: the output is int8; 4: int32."""
    sample_cost: int = field(init=False)
    """Multiply-adds of one sample."""
    sample_bytes: int = field(init=False)
    """Memory that one sample needs at most, input and output of a layer and what is between."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.layers) <= MAX_LAYERS:
            raise InvalidNetwork(
                _("a network has 1 to {MAX_LAYERS} layers").format(MAX_LAYERS=MAX_LAYERS)
            )
        if any(isinstance(layer, ArgMax) for layer in self.layers[:-1]):
            raise InvalidNetwork(_("argmax must be the last layer"))
        shape, cost, most = self.input_shape, 0, 0
        for layer in self.layers:
            before = _entries(shape)
            cost += layer.cost(shape)
            between = layer.scratch_bytes(shape)
            shape = layer.output(shape)
            most = max(most, before + between + 4 * _entries(shape))
        ends_in_argmax = isinstance(self.layers[-1], ArgMax)
        for name, value in (
            ("columns", _entries(shape)),
            ("entry_bytes", 4 if ends_in_argmax else 1),
            ("sample_cost", max(1, cost)),
            ("sample_bytes", most),
        ):
            object.__setattr__(self, name, value)

    @property
    def sample_entries(self) -> int:
        """Entries of one input sample, int8 each."""
        return _entries(self.input_shape)


def decode_network(content: bytes) -> Network | Graph:
    """The network in a file, of version 1 (a chain of layers) or 2 (a graph).

    Raises InvalidNetwork for anything that is not exactly one.
    """
    tensors, metadata = decode(content)
    if set(metadata) != {METADATA_KEY}:
        raise InvalidNetwork(
            _("the metadata must be {METADATA_KEY}, and nothing else").format(
                METADATA_KEY=METADATA_KEY
            )
        )
    described = read_json_object(metadata[METADATA_KEY], METADATA_KEY)
    if described.get("version") == GRAPH_VERSION:
        return graph_of(described, tensors)
    if set(described) != {"version", "input", "layers", "about"}:
        raise InvalidNetwork(
            _("{METADATA_KEY} must have version, input, layers and about").format(
                METADATA_KEY=METADATA_KEY
            )
        )
    if described["version"] != VERSION:
        raise InvalidNetwork(
            _("the network's version is {version}, not 1 or 2").format(
                version=str(described["version"])[:20]
            )
        )
    if not isinstance(described["layers"], list) or len(described["layers"]) > MAX_LAYERS:
        raise InvalidNetwork(
            _("layers must be a list of at most {MAX_LAYERS}").format(MAX_LAYERS=MAX_LAYERS)
        )
    if not isinstance(described["about"], dict):
        raise InvalidNetwork(_("about must be an object"))
    unused = dict(tensors)
    layers = tuple(_layer(entry, unused) for entry in described["layers"])
    if unused:
        raise InvalidNetwork(_("no layer uses the tensor {name!r}").format(name=min(unused)[:60]))
    shape = tuple(_numbers(described, "input", 1, MAX_SIDE, lengths=(1, 3)))
    return Network(shape, layers, described["about"])


def encode_network(network: Network | Graph) -> bytes:
    """The network's file; the same network gives the same bytes."""
    if isinstance(network, Graph):
        described_graph, graph_tensors = describe_graph(network)
        text = json.dumps(described_graph, separators=(",", ":"))
        return encode(graph_tensors, {METADATA_KEY: text})
    tensors: dict[str, Tensor] = {}
    layers = [_describe(layer, f"layer{i}", tensors) for i, layer in enumerate(network.layers)]
    described = {
        "version": VERSION,
        "input": list(network.input_shape),
        "layers": layers,
        "about": dict(network.about),
    }
    return encode(tensors, {METADATA_KEY: json.dumps(described, separators=(",", ":"))})


def _layer(entry: object, unused: dict[str, Tensor]) -> Layer:
    if not isinstance(entry, dict):
        raise InvalidNetwork(_("a layer must be an object"))
    fields = dict(entry)
    kind = fields.pop("op", None)
    made: Layer
    match kind:
        case "dense":
            weights, zero, rescale = _quantised(fields, unused, dimensions=2)
            made = Dense(weights, zero, rescale)
        case "conv2d":
            weights, zero, rescale = _quantised(fields, unused, dimensions=4)
            made = Conv2D(weights, zero, rescale, _window(fields, weights.shape[1:3]))
        case "max_pool" | "average_pool":
            sides = _numbers(fields, "window", 1, MAX_WINDOW, lengths=(2,))
            made = Pool(_window(fields, (sides[0], sides[1]), padded=False), kind != "max_pool")
        case "flatten":
            made = Flatten()
        case "argmax":
            made = ArgMax()
        case _:
            raise InvalidNetwork(_("there is no layer {kind!r}").format(kind=str(kind)[:40]))
    if fields:
        raise InvalidNetwork(
            _("a {kind} layer has no field {name!r}").format(kind=kind, name=min(fields)[:40])
        )
    return made


def _describe(layer: Layer, name: str, tensors: dict[str, Tensor]) -> dict[str, Any]:
    match layer:
        case Dense() | Conv2D():
            rescale = layer.rescale
            tensors |= {
                f"{name}.weights": layer.weights,
                f"{name}.bias": rescale.bias,
                f"{name}.multiplier": rescale.multiplier,
                f"{name}.shift": rescale.shift,
            }
            described: dict[str, Any] = {
                "op": "dense",
                "name": name,
                "input_zero": layer.input_zero,
                "output_zero": rescale.zero,
                "low": rescale.low,
                "high": rescale.high,
            }
            if isinstance(layer, Conv2D):
                window = layer.window
                described["op"] = "conv2d"
                described |= {"stride": list(window.stride), "padding": list(window.padding)}
            return described
        case Pool():
            return {
                "op": "average_pool" if layer.mean else "max_pool",
                "window": [layer.window.height, layer.window.width],
                "stride": list(layer.window.stride),
            }
        case Flatten():
            return {"op": "flatten"}
        case ArgMax():
            return {"op": "argmax"}
        case _:
            raise TypeError(type(layer))


def _quantised(
    fields: dict[str, Any], unused: dict[str, Tensor], *, dimensions: int
) -> tuple[Tensor, int, Rescale]:
    """Weights, input zero point and rescaling of a layer; its tensors are taken out of `unused`."""
    name = fields.pop("name", None)
    if not isinstance(name, str):
        raise InvalidNetwork(_("a layer with weights needs a name"))
    found: dict[str, Tensor] = {}
    for part, dtype in _QUANTISED.items():
        tensor = unused.pop(f"{name}.{part}", None)
        if tensor is None or tensor.dtype != np.dtype(f"<{dtype}"):
            raise InvalidNetwork(
                _("tensor {name}.{part} is missing, or of another type").format(
                    name=name[:40], part=part
                )
            )
        found[part] = tensor
    weights = found.pop("weights")
    if weights.ndim != dimensions or max(weights.shape) > MAX_SIDE:
        raise InvalidNetwork(
            _("tensor {name}.weights must have {dimensions} dimensions").format(
                name=name[:40], dimensions=dimensions
            )
        )
    if any(tensor.shape != (len(weights),) for tensor in found.values()):
        raise InvalidNetwork(
            _("{name} needs one bias, multiplier and shift for each output").format(name=name[:40])
        )
    input_zero, zero, low, high = (
        _number(fields.pop(key, None), key, -128, 127)
        for key in ("input_zero", "output_zero", "low", "high")
    )
    return weights, input_zero, Rescale(**found, zero=zero, low=low, high=high)


def _window(fields: dict[str, Any], sides: tuple[int, ...], *, padded: bool = True) -> Window:
    height, width = sides
    if max(sides) > MAX_WINDOW:
        raise InvalidNetwork(
            _("a window of {height} x {width} is too large: {MAX_WINDOW} at most").format(
                height=height, width=width, MAX_WINDOW=MAX_WINDOW
            )
        )
    down, across = _numbers(fields, "stride", 1, MAX_WINDOW, lengths=(2,))
    if not padded:
        return Window(height, width, (down, across))
    top, left, bottom, right = _numbers(fields, "padding", 0, MAX_WINDOW, lengths=(4,))
    if max(top, bottom) >= height or max(left, right) >= width:
        raise InvalidNetwork(_("a window must not lie in the padding altogether"))
    return Window(height, width, (down, across), (top, left, bottom, right))


def _numbers(
    fields: dict[str, Any], name: str, least: int, most: int, *, lengths: tuple[int, ...]
) -> list[int]:
    value = fields.pop(name, None)
    if not isinstance(value, list) or len(value) not in lengths:
        raise InvalidNetwork(
            _("{name} must be a list of {lengths} numbers").format(
                name=name, lengths="/".join(map(str, lengths))
            )
        )
    return [_number(number, name, least, most) for number in value]


def _number(value: object, name: str, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise InvalidNetwork(
            _("{name} must be whole numbers from {least} to {most}").format(
                name=name, least=least, most=most
            )
        )
    return value


def _entries(shape: Shape) -> int:
    count = math.prod(shape)
    if count > MAX_ENTRIES:
        raise InvalidNetwork(
            _("a sample between two layers has too many entries: {count}").format(count=count)
        )
    return count
