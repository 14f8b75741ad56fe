"""An imported TFLite file beside LiteRT itself, on random samples, bit for bit."""

from dataclasses import dataclass
from gettext import gettext as _
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.jobs.models.files import import_file, read_file
from engine.runtime.errors import BadInput
from kernels.network.graph.backend import REFERENCE
from kernels.network.graph.graph import Graph
from kernels.network.graph.run import run_values
from kernels.network.graph.stream import first_states

PACKAGE = "ai-edge-litert"
SEED = 1
MOST_ID = 1000
"""Random int32 inputs, which are places of a table, are below it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many samples came out otherwise than in this version of LiteRT."""

    samples: int
    different: int
    version: str


class Oracle:
    """LiteRT's interpreter with its reference kernels, on one file."""

    def __init__(self, content: bytes, graph: Graph) -> None:
        """Raise BadInput where the package is missing, or refuses the file."""
        try:
            from ai_edge_litert.interpreter import Interpreter, OpResolverType
        except ImportError as error:
            raise BadInput(
                _("LiteRT is not installed: nothing to compare with"),
                advice=_("Install it: pip install {package}").format(package=PACKAGE),
            ) from error
        try:
            self._interpreter = Interpreter(
                model_content=content,
                num_threads=1,
                experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
                experimental_preserve_all_tensors=bool(graph.states),
            )
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise BadInput(
                _("LiteRT refuses the file: {error}").format(error=str(error)[:200])
            ) from error
        self._graph = graph

    def run(self, sample: list[npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
        """Return the outputs of one sample: each input in the graph's own integers."""
        do = self._interpreter
        ends = zip(do.get_input_details(), sample, self._graph.about["inputs"], strict=True)
        for detail, value, said in ends:
            given = from_integers(value.reshape(detail["shape"]), detail["dtype"], said)
            do.set_tensor(detail["index"], given)
        do.invoke()
        return [do.get_tensor(detail["index"]) for detail in do.get_output_details()]

    def differ(self, states: list[npt.NDArray[Any]]) -> bool:
        """Return whether LiteRT's last sample left other states than these."""
        said = self._graph.about.get("states", [])
        return any(
            not np.array_equal(ours, self._interpreter.get_tensor(one["tensor"])[np.newaxis])
            for ours, one in zip(states, said, strict=True)
            if one["tensor"] >= 0
        )


def from_integers(
    value: npt.NDArray[Any], dtype: type[Any], said: dict[str, Any]
) -> npt.NDArray[Any]:
    """Return a value as the file has it: float32 by its scale, uint8 moved by 128, or as it is."""
    if dtype == np.float32:
        real = np.float32(said["scale"]) * (value.astype(np.float32) - np.float32(said["zero"]))
        return real.astype(np.float32)
    if dtype == np.uint8:
        return (value.astype(np.int16) + 128).astype(np.uint8)
    return value.astype(dtype)


def random_sample(graph: Graph, random: np.random.Generator) -> list[npt.NDArray[Any]]:
    """Return an input of each form that is no state."""
    return [
        random.integers(-128, 128, (1, *form.shape)).astype(np.int8)
        if form.entry_bytes == 1
        else random.integers(0, MOST_ID, (1, *form.shape)).astype(np.int32)
        for form in graph.inputs[: len(graph.inputs) - len(graph.states)]
    ]


def compare(path: Path, samples: int) -> Verdict:
    """Return in how many of these random samples import and LiteRT differ. Raise BadInput.

    Of a model with states they are one stream.
    """
    graph = import_file(path)
    oracle = Oracle(read_file(path), graph)
    random = np.random.default_rng(SEED)
    different, shown = 0, len(graph.outputs) - len(graph.states)
    states = first_states(graph)
    for _sample in range(samples):
        sample = random_sample(graph, random)
        made = run_values(
            graph, [*sample, *states], lambda _place, node, x: node.operator.run(REFERENCE, *x)
        )
        ours, states = made[:shown], made[shown:]
        theirs = oracle.run(sample)
        same = all(
            np.array_equal(from_integers(a[0], b.dtype.type, said), b)
            for a, b, said in zip(ours, theirs, graph.about["outputs"], strict=True)
        )
        different += not same or oracle.differ(states)
    return Verdict(samples, different, version(PACKAGE))
