"""An imported ONNX file beside ONNX Runtime: by operator, each on ONNX Runtime's own inputs.

ONNX Runtime scales in float32 and rounds halves to even; a graph here scales in fixed point as LiteRT
does. So an entry near the middle between two int8 may come out one off. What is counted for an operator
is only its own: it is given what ONNX Runtime computed before it. The optimizer is off, so that each
node of the file is computed as it stands.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from gettext import gettext as _
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.jobs.models.files import import_onnx_file, read_file
from engine.jobs.models.verification import SEED, from_integers, random_sample
from engine.runtime.errors import BadInput
from kernels.network.graph.backend import REFERENCE
from kernels.network.graph.graph import Node
from kernels.network.graph.operator import Values
from kernels.network.graph.run import run_values
from kernels.network.onnx.context import Trace
from kernels.network.onnx.importer import Imported
from kernels.network.onnx.values import NHWC

PACKAGE = "onnxruntime"
Array = npt.NDArray[Any]


@dataclass(slots=True)
class Compared:
    """What one operator's entries were: how many, how many others, and how many steps off at most."""

    operator: str
    entries: int = 0
    different: int = 0
    most: int = 0

    def count(self, ours: Array, theirs: Array) -> None:
        """Count these entries."""
        apart = np.abs(ours.astype(np.int64) - theirs.astype(np.int64))
        self.entries += apart.size
        self.different += int(np.count_nonzero(apart))
        self.most = max(self.most, int(apart.max(initial=0)))


@dataclass(frozen=True, slots=True)
class RuntimeVerdict:
    """The outputs of whole samples, and each kind of operator by itself."""

    samples: int
    outputs: Compared
    operators: tuple[Compared, ...]
    version: str


class Runtime:
    """ONNX Runtime on one file, every quantised tensor of which can be seen."""

    def __init__(self, content: bytes, imported: Imported) -> None:
        """Raise BadInput where the package is missing, or refuses the file."""
        try:
            import onnx
            import onnxruntime as runtime
        except ImportError as error:
            raise BadInput(
                _("ONNX Runtime is not installed: nothing to compare with"),
                advice=_("Install it: pip install {package}").format(package=PACKAGE),
            ) from error
        proto = onnx.load_model_from_string(content)
        ends = {end.name for end in proto.graph.output}
        self.seen = {one.tensor: one for one in imported.traces}
        computed = {name for node in proto.graph.node for name in node.output}
        proto.graph.output.extend(
            onnx.ValueInfoProto(name=name) for name in self.seen if name in computed - ends
        )
        options = runtime.SessionOptions()
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 3
        try:
            self._session = runtime.InferenceSession(
                proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # what it raises has no common base
            raise BadInput(
                _("ONNX Runtime refuses the file: {error}").format(error=str(error)[:200])
            ) from error
        self._imported = imported

    def run(self, sample: list[Array]) -> dict[str, Array]:
        """Return every tensor that can be seen, of one sample in the graph's own integers."""
        fed = {}
        graph = self._imported.graph
        ends = zip(self._imported.model.inputs, sample, graph.about["inputs"], strict=True)
        for end, value, said in ends:
            dtype = np.dtype(end.dtype)
            part = value.reshape(value.shape[1:])
            if dtype.kind == "f":
                fed[end.name] = from_integers(part, np.float32, said).astype(dtype)
            else:
                fed[end.name] = from_integers(part, dtype.type, said)
        names = [one.name for one in self._session.get_outputs()]
        return dict(zip(names, self._session.run(names, fed), strict=True))


def as_codes(value: Array, trace: Trace) -> Array:
    """Return a tensor of the file as the graph has it."""
    if value.dtype == np.uint8:
        value = (value.astype(np.int16) - 128).astype(np.int8)
    elif value.dtype.kind == "f" and trace.scale is not None:
        codes = np.rint(value / np.float32(trace.scale[0])) + trace.scale[1]
        value = np.clip(codes, -128, 127).astype(np.int8)
    elif value.dtype == np.int64:
        value = value.astype(np.int32)
    return value.transpose(NHWC) if trace.channels_last else value


def compare_runtime(path: Path, samples: int, sizes: Mapping[str, int]) -> RuntimeVerdict:
    """Return how import and ONNX Runtime differ on random samples. Raise BadInput."""
    imported = import_onnx_file(path, sizes)
    oracle = Runtime(read_file(path), imported)
    graph, random = imported.graph, np.random.default_rng(SEED)
    first = len(graph.inputs)
    by_place: dict[int, Trace] = {}
    for one in imported.traces:
        by_place.setdefault(one.place, one)
    ends = imported.traces[-len(graph.outputs) :]
    outputs, operators = Compared("output"), dict[str, Compared]()
    for _sample in range(samples):
        sample = random_sample(graph, random)
        theirs = oracle.run(sample)
        ours = run_values(graph, sample, lambda _place, node, x: node.operator.run(REFERENCE, *x))
        for value, end in zip(ours, ends, strict=True):
            right = as_codes(theirs[end.tensor], end)
            outputs.count(value[0], right.reshape(value[0].shape))

        def step(place: int, node: Node, x: tuple[Values, ...], theirs: Any = theirs) -> Values:
            made = node.operator.run(REFERENCE, *x)
            trace = by_place.get(first + place)
            if trace is None or trace.tensor not in theirs:
                return made
            right = np.ascontiguousarray(as_codes(theirs[trace.tensor], trace))
            counted = operators.setdefault(trace.kind, Compared(trace.kind))
            counted.count(made[0], right.reshape(made[0].shape))
            return right.reshape(made.shape).astype(made.dtype)

        run_values(graph, sample, step)
    kinds = tuple(operators[kind] for kind in sorted(operators))
    return RuntimeVerdict(samples, outputs, kinds, version(PACKAGE))
