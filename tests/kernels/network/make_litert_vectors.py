"""Record what LiteRT's reference kernels give for random operators: tests/vectors/litert_operators.npz.

python -m tests.kernels.network.make_litert_vectors
"""

import numpy as np

from engine.jobs.models.verification import Oracle
from kernels.network.graph.run import inputs_of, outputs_row
from kernels.network.tflite.importer import import_tflite
from tests.conftest import VECTORS
from tests.kernels.network.tflite_files import KINDS, Cases

SEEDS = (11, 12)
FILE = VECTORS / "litert_operators.npz"


def random_row(graph, random) -> np.ndarray:
    """One sample as a job carries it; numbers of rows of a table are small."""
    parts = [
        random.integers(-128, 128, form.shape, np.int8)
        if form.entry_bytes == 1
        else random.integers(0, graph.nodes[0].operator.rows.shape[0], form.shape, np.int32)
        for form in graph.inputs
    ]
    return np.frombuffer(b"".join(part.tobytes() for part in parts), np.int8)[np.newaxis]


def expected(graph, oracle: Oracle, row: np.ndarray) -> np.ndarray:
    """LiteRT's outputs of a sample as a job's result has them."""
    made = [y.astype(np.int32)[np.newaxis] for y in oracle.run(inputs_of(graph, row))]
    return outputs_row(graph, made, 1)


def main() -> None:
    files, rows, outputs, kinds = [], [], [], []
    for kind in KINDS:
        for seed in SEEDS:
            content = Cases(seed).make(kind)
            graph = import_tflite(content)
            row = random_row(graph, np.random.default_rng(seed))
            files.append(np.frombuffer(content, np.uint8))
            rows.append(row[0])
            outputs.append(expected(graph, Oracle(content, graph), row)[0].astype(np.int32))
            kinds.append(kind)
    arrays = {}
    for name, parts in (("files", files), ("rows", rows), ("outputs", outputs)):
        arrays[name] = np.concatenate(parts)
        arrays[f"{name}_ends"] = np.cumsum([len(part) for part in parts])
    np.savez_compressed(FILE, kinds=np.array(kinds), **arrays)


if __name__ == "__main__":
    main()
