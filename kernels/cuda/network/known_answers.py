"""The known-answer test of networks on a card: a graph with every operator, a tree and a product.

    problem_of(machine, CARD_SIZES)      # "" or a sentence

What is right is computed here by numpy. Sizes for a card have several tiles of each operand, and rows,
columns and entries that no block divides.
"""

from gettext import gettext as _

import numpy as np
import numpy.typing as npt

from kernels.commit.rows import MatrixForm, MatrixTree
from kernels.cuda.network.commitment import commit
from kernels.cuda.network.jobs import product
from kernels.cuda.network.known_graph import Sizes, graph_of_all
from kernels.cuda.network.machine import Machine
from kernels.cuda.network.model import Model
from kernels.cuda.network.replay import Replay
from kernels.cuda.network.run import run
from kernels.device import Integers, ResultTree
from kernels.network.graph.backend import REFERENCE
from kernels.network.graph.graph import Graph
from kernels.network.graph.layers import run_layers
from kernels.network.graph.reference import multiply
from kernels.network.graph.run import run_graph

SAMPLES = 3


def problem_of(machine: Machine, sizes: Sizes) -> str:
    """Return what the machine does otherwise than numpy, in a sentence; "" for nothing. May raise."""
    graph = graph_of_all(sizes)
    bytes_only = Graph(graph.inputs, graph.nodes, graph.outputs[:-1])
    samples = _samples(graph, sizes)
    model = Model(machine)
    rows = run(model, bytes_only, samples, layers=False, group=2)
    if not np.array_equal(rows.to_host(), run_graph(bytes_only, samples, REFERENCE, SAMPLES)):
        return _("the known-answer test of networks failed: outputs differ from the host's")
    layered = run(model, graph, samples, layers=True, group=SAMPLES)
    right = run_layers(graph, samples, REFERENCE, SAMPLES)
    if not np.array_equal(layered.to_host(), right):
        return _("the known-answer test of networks failed: layers differ from the host's")
    random = np.random.default_rng(20)
    m, k, n = sizes.product
    A, B = (random.integers(-128, 128, shape).astype(np.int8) for shape in ((m, k), (k, n)))
    C, tree = product(machine, A, B)
    if not np.array_equal(C, multiply(A, B.T)):
        return _("the known-answer test of networks failed: a product differs from the host's")
    for matrix, found in ((right, commit(layered)), (C, tree)):
        if not _same_tree(matrix, found):
            return _("the known-answer test of networks failed: a commitment differs")
    again, tree = Replay(model, graph, SAMPLES, SAMPLES, layers=True).run(samples[::-1])
    if not (np.array_equal(again, right[::-1]) and _same_tree(right[::-1], tree)):
        return _("the known-answer test of networks failed: a recorded batch differs")
    return ""


def _same_tree(matrix: Integers, found: ResultTree) -> bool:
    form = MatrixForm(len(matrix), matrix.shape[1], 4)
    right = MatrixTree(form, matrix)
    leaves = sorted({0, form.leaf_count - 1})
    return found.result_hash == right.result_hash and (
        found.siblings(leaves) == right.siblings(leaves)
    )


def _samples(graph: Graph, sizes: Sizes) -> npt.NDArray[np.int8]:
    """Images, and numbers of rows, some of them outside of the table."""
    random = np.random.default_rng(21)
    images = random.integers(-128, 128, (SAMPLES, sizes.side**2 * sizes.channels)).astype(np.int8)
    numbers = random.integers(-2, 9, (SAMPLES, 4)).astype("<i4").view(np.int8)
    made = np.concatenate([images, numbers], axis=1)
    assert made.shape[1] == graph.sample_entries
    return made
