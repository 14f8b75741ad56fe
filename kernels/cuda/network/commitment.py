"""The commitment to a result that lies on the card: leaves and tree are hashed there, and stay there.

    tree = commit(rows)      # rows: CardRows
    tree.result_hash, tree.siblings(leaves)

`launch_tree` is what can be recorded of it. The same tree as
`kernels.commit.rows.MatrixTree`'s; only the root and what is opened come to the host.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from kernels.commit.rows import MatrixForm
from kernels.commit.tree import check_leaf_positions, level_sizes, sibling_places
from kernels.cuda.commit.plan import TABLES, level_offsets, plan_tree
from kernels.cuda.commit.rows import row_leaves_kernel
from kernels.cuda.gather import THREADS as GATHERED
from kernels.cuda.gather import gather_kernel
from kernels.cuda.network.machine import Block, Machine
from kernels.cuda.network.run import CardRows
from kernels.digest import DIGEST_BYTES


class CardTree:
    """The tree over a matrix, on the card for as long as the card's memory is."""

    def __init__(self, machine: Machine, form: MatrixForm, tree: Block, root: bytes) -> None:
        self._machine, self._form, self._tree = machine, form, tree
        self.result_hash = form.result_hash(root)

    @property
    def is_kept(self) -> bool:
        """Whether it is there still."""
        return not self._machine.closed

    def siblings(self, leaves: Sequence[int]) -> bytes:
        """Siblings of any distinct leaves, in the proof's order. Raises InvalidProof, DeviceFault."""
        count = self._form.leaf_count
        check_leaf_positions(count, leaves)
        firsts = tuple(accumulate(level_sizes(count)[:-1], initial=0))
        places = [firsts[level] + at for level, at in sibling_places(count, leaves)]
        if not places:
            return b""
        machine = self._machine
        wanted = machine.upload(np.array(places, np.uint32))
        out = machine.empty(DIGEST_BYTES * len(places))
        blocks = (self._tree, wanted.block, out)
        grid = (-(-len(places) // GATHERED),)
        machine.launch_grid(gather_kernel, grid, GATHERED, *blocks, len(places))
        size = DIGEST_BYTES * len(places)
        return machine.read(out, 1, size, size).tobytes()


@dataclass(frozen=True, slots=True)
class Hashed:
    """A tree that was launched: all levels, and 32 bytes of the root."""

    machine: Machine
    form: MatrixForm
    tree: Block
    root: Block

    def fetch(self, *, copied: bool = False) -> CardTree:
        """Wait for it; `copied` where this tree's memory will be used again. Raises DeviceFault."""
        tree = self.tree
        if copied:
            tree = self.machine.copy(tree, _tree_bytes(self.form.leaf_count))
        content = self.machine.read(self.root, 1, DIGEST_BYTES, DIGEST_BYTES).tobytes()
        return CardTree(self.machine, self.form, tree, content)


def commit(rows: CardRows) -> CardTree:
    """Return the commitment to these rows. Raises TaskTooLarge, DeviceFault."""
    tables(rows.machine)
    return launch_tree(rows).fetch()


def tables(machine: Machine) -> Block:
    """Return SHA-256's constants there."""
    if machine.tables is None:
        machine.tables = machine.upload(TABLES).block
    return machine.tables


def launch_tree(rows: CardRows) -> Hashed:
    """Hash these rows; nothing is waited for. Raises TaskTooLarge."""
    machine = rows.machine
    form = MatrixForm(rows.rows, rows.columns, rows.entry_bytes)
    leaves = form.leaf_count
    hashed = Hashed(machine, form, machine.empty(_tree_bytes(leaves)), machine.empty(DIGEST_BYTES))
    buffers = {"tree": hashed.tree, "root": hashed.root, "tables": tables(machine)}
    threads = machine.tree_threads
    row_bytes = rows.columns * rows.entry_bytes
    machine.launch_grid(
        row_leaves_kernel, (-(-leaves // threads),), threads,
        rows.block, hashed.tree, row_bytes, rows.pitch, leaves, buffers["tables"], 1,
    )  # fmt: skip
    for launch in plan_tree(leaves, threads=threads, lanes=machine.tree_lanes):
        bound = launch.bind(buffers)
        machine.launch_grid(launch.kernel, launch.grid, launch.threads, *bound)
    return hashed


def _tree_bytes(leaves: int) -> int:
    return level_offsets(leaves)[-1] + DIGEST_BYTES
