"""The stages of one task on the device: its buffers, and each kernel with its grid and arguments.

Sizes are padded to P, a multiple of 256; T = P / 128. Stages are put on a stream and not waited
for; what order they need among themselves is `task_graph.py`'s matter.
"""

from collections.abc import Callable
from functools import partial

from kernels.cuda import check as freivalds
from kernels.cuda import expand, layout
from kernels.cuda.card import Card
from kernels.cuda.commit.plan import Launch, plan, plan_tree, tree_bytes
from kernels.cuda.compiled_kernel import CompiledKernel
from kernels.cuda.driver import DeviceBuffer, Stream
from kernels.cuda.kernel_cache import KernelCache
from kernels.cuda.product.tiers import TileConfig
from kernels.task import Task

SEED_WORDS = 7
"""Arguments of the expansion that change with every task."""
_STAYS_IN_CACHE = 4096
"""Padded size up to which both operands stay in a large card's L2 cache: u is made from there, beside
the tree, which leaves most of the card idle."""


def bytes_needed(task: Task) -> int:
    """Device memory of a task's buffers: both operands, one more R, the tree and small things."""
    P = layout.padded(task.n)
    return 3 * P * P + tree_bytes(task.n) + 16 * P + 5 * 2**20


class Stages:
    """Buffers of tasks of one size and number of iterations, and the launches that work on them."""

    def __init__(
        self,
        kernels: KernelCache,
        card: Card,
        task: Task,
        config: TileConfig,
        output: int,
        *,
        checked: bool,
    ) -> None:
        """`output`: address of pinned host memory for the root's 32 bytes, then the check's ticket."""
        self.n, self.iterations, self.checked = task.n, task.iterations, checked
        self._kernels, self._card = kernels, card
        P = self._P = layout.padded(task.n)
        self._tiles = P // layout.TILE
        self._verdict_at = output + 32
        worth_it = task.iterations > 1 or P > _STAYS_IN_CACHE
        self.projects = checked and config.sums_both_sides and worth_it
        self._r = [DeviceBuffer(P * P) for _ in range(2)]
        self._b = DeviceBuffer(P * P)
        # The check's weights, then u, then the rows' sums, then the ticket.
        self._vectors = DeviceBuffer(3 * 4 * P + freivalds.TICKET_BYTES)
        self.tree = DeviceBuffer(tree_bytes(task.n))
        self._expand = kernels.expand_and_project if self.projects else kernels.expand
        self._last_product = kernels.product("fold", checked, config, leaves=config.hashes_leaves)
        self._product = self._last_product
        if task.iterations > 1:
            self._product = kernels.product(
                "fold", checked, config.followed(P), both_sides=self.projects
            )
        launches = plan_tree(task.leaf_count) if config.hashes_leaves else plan(task.n)
        addresses = {
            "r": self._result(task.iterations),
            "tree": self.tree.address,
            "root": output,
            "tables": kernels.tables.address,
        }
        self._commit = [
            (kernels.commit(launch.kernel, len(launch.arguments)), launch, launch.bind(addresses))
            for launch in launches
        ]

    def close(self) -> None:
        """Give every buffer back."""
        for buffer in (*self._r, self._b, self._vectors, self.tree):
            buffer.close()

    def expand(self, stream: Stream, words: tuple[int, ...] = (0,) * SEED_WORDS) -> None:
        """Both operands from the seed; the check's weights, and zeros where it adds up.

        Where it `projects`, u as well, which must be zero (`clear_u`).
        """
        grid = (self._tiles, 2 * self._tiles + self.checked)
        self._expand(stream, grid, expand.THREADS, *self.expansion(words))

    def expansion(self, words: tuple[int, ...]) -> tuple[int, ...]:
        """The expansion's arguments. `words`: of the seed, of the check's seed, and the ticket."""
        r, b, vectors = self._r[0].address, self._b.address, self._vectors.address
        return (r, b, vectors, self.n, self._tiles, *words)

    def product(self, stream: Stream, t: int, *, early: bool = False) -> None:
        """Iteration t = 0, 1, ...; the last one hashes the leaves, too, where its kernel can.

        `early`: it may begin before the stream's last kernel has ended.
        """
        spec, kernel = self._product if t < self.iterations - 1 else self._last_product
        P = self._P
        leaves = (self.tree.address, self.n, self._kernels.tables.address, 1)
        kernel(
            stream,
            spec.grid(P, P, self._card.multiprocessors),
            spec.threads,
            self._result(t),
            self._b.address,
            self._result(t + 1),
            self._weights,
            self._sums,
            P,
            P,
            P,
            *(leaves if spec.leaves else ()),
            early=early and spec.early,
        )

    def commit(self, stream: Stream) -> None:
        """The leaves, unless the product hashed them, and the tree."""
        for launch in self.commit_launches():
            launch(stream)

    def commit_launches(self) -> list[Callable[[Stream], None]]:
        """The same, launch by launch; the last one is a single block's."""

        def put(
            stream: Stream, kernel: CompiledKernel, launch: Launch, arguments: tuple[int, ...]
        ) -> None:
            # Many small blocks would crowd on the few multiprocessors that are idle before the last
            # kernel ends, and stay there.
            kernel(stream, launch.grid, launch.threads, *arguments, early=launch.grid == (1,))

        return [
            partial(put, kernel=kernel, launch=launch, arguments=arguments)
            for kernel, launch, arguments in self._commit
        ]

    def project(self, stream: Stream, *, early: bool = False) -> None:
        """The check: u, the weights times B."""
        b, w, u = self._b.address, self._weights, self._u
        self._check(stream, self._kernels.project, b, w, u, early=early)

    def subtract(self, stream: Stream, t: int, *, early: bool = False) -> None:
        """The check of iteration t: what R times u must be, off the sums of its product."""
        r, u, sums = self._result(t), self._u, self._sums
        self._check(stream, self._kernels.subtract, r, u, sums, early=early)

    def _check(
        self, stream: Stream, kernel: CompiledKernel, *buffers: int, early: bool = False
    ) -> None:
        count = self._tiles * self._tiles // 2
        grid = freivalds.grid_for(count, self._card.multiprocessors)
        threads = freivalds.THREADS * freivalds.GROUPS
        kernel(stream, grid, threads, *buffers, self._tiles, count, early=early)

    def clear_u(self, stream: Stream) -> None:
        """Leave zeros for the next expansion to add to."""
        stream.clear(self._u, self._P)

    def _result(self, t: int) -> int:
        """Where the operand of iteration t is, the result of the one before."""
        return self._r[t % 2].address

    def verdict(self, stream: Stream) -> None:
        """The check's end: the ticket to the host if every sum is zero."""
        self._kernels.verdict(
            stream,
            (1,),
            freivalds.VERDICT_THREADS,
            self._sums,
            self._P,
            self._verdict_at,
            self._ticket,
            early=True,
        )

    @property
    def _weights(self) -> int:
        return self._vectors.address

    @property
    def _u(self) -> int:
        return self._vectors.address + 4 * self._P

    @property
    def _sums(self) -> int:
        return self._vectors.address + 8 * self._P

    @property
    def _ticket(self) -> int:
        return self._vectors.address + 12 * self._P
