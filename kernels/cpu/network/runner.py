"""A program with its memory: samples through it, by one thread each, or one sample by several."""

import threading
from functools import partial

import numpy as np
import numpy.typing as npt

from kernels.cpu.memory import aligned
from kernels.cpu.network.dots import usable_dots
from kernels.cpu.network.layout import NoProgram
from kernels.cpu.network.plan import plan
from kernels.cpu.network.program import COUNTER_BYTES, Kernels, kernels_of
from kernels.cpu.network.steps import Memory, Program
from kernels.network.graph.graph import Graph
from kernels.team import Team

SHARED_COST = 1 << 26
"""Multiply-adds from which on it is worth to work on one sample together."""
NO_SUMS = np.zeros(0, np.int32)
Bytes = npt.NDArray[np.int8]
Sums = npt.NDArray[np.int32]


def prepare(graph: Graph, tier: str | None, team: Team) -> "Runner | None":
    """Return a runner of this graph in the way of this tier of the product, or None."""
    usable = {dots.name: dots for dots in usable_dots()}
    dots = next(iter(usable.values()), None) if tier == "amx" else usable.get(tier or "")
    if dots is None:
        return None
    try:
        program = plan(graph, dots, team.threads)
    except NoProgram:
        return None
    return Runner(kernels_of(dots), program, graph.sample_cost, team)


class Runner:
    """Runs one program by a team of threads; may be used by one caller at a time."""

    def __init__(self, kernels: Kernels, program: Program, cost: int, team: Team) -> None:
        self._kernels, self.program, self._cost, self._team = kernels, program, cost, team
        self._thread = threading.local()
        self._arena = new_arena(program)

    def run(self, samples: Bytes, sums: Sums | None = None) -> Bytes:
        """Return the outputs, N x columns, of samples, N x sample_bytes.

        `sums`, N x (sums of all product layers), is filled with what a layered result commits to.
        """
        flags, team = samples.flags, self._team
        # np.require takes as long as a small network's layer.
        right = flags.c_contiguous and flags.writeable
        given = samples if right else np.require(samples, requirements=["C", "W"])
        count = len(given)
        out = np.empty((count, self.program.columns), np.int8)
        rows = [NO_SUMS] * count if sums is None else list(sums)
        if team.threads > 1 and count >= team.threads:
            work = partial(self._alone, given, out, rows)
            team.run((work, range(count)))
            return out
        together = team.threads > 1 and self._cost >= SHARED_COST
        for i in range(count):
            if together:
                self._together(given[i], out[i], rows[i])
            else:
                self._alone(given, out, rows, i)
        return out

    def run_steps(self, steps: npt.NDArray[np.int64], sample: Bytes) -> None:
        """Run some steps alone, after a whole run: for a profile."""
        out = np.empty(self.program.columns, np.int8)
        memory = self._own().alone
        self._kernels.run(steps, memory, sample, out, NO_SUMS, _NO_COUNTERS, 0, 1)

    def _alone(self, given: Bytes, out: Bytes, rows: list[Sums], i: int) -> None:
        """Sample i, by this thread."""
        memory = self._own().alone
        self._kernels.run(self.program.steps, memory, given[i], out[i], rows[i], _NO_COUNTERS, 0, 1)

    def _together(self, sample: Bytes, out: Bytes, sums: Sums) -> None:
        steps = self.program.steps
        threads = self._team.threads
        counters = np.zeros(len(steps) * (threads + 1) * COUNTER_BYTES // 8, np.int64)

        def part(number: int) -> None:
            memory = self._own().shared
            self._kernels.run(steps, memory, sample, out, sums, counters, number, threads)

        self._team.run((part, range(threads)))

    def _own(self) -> "_Own":
        """Return this thread's memory."""
        kept = self._thread.__dict__
        if "own" not in kept:
            kept["own"] = _Own(self.program, self._arena)
        own: _Own = kept["own"]
        return own


class _Own:
    """A thread's memory: where its values lie when it works alone, and when all share an arena."""

    def __init__(self, program: Program, shared: npt.NDArray[np.uint8]) -> None:
        self._arena, self._scratch = new_arena(program), aligned((program.scratch,), np.int32)
        self.alone = memory_of(program, self._arena, self._scratch)
        self.shared = memory_of(program, shared, self._scratch)


def new_arena(program: Program) -> npt.NDArray[np.uint8]:
    """Return memory for one sample's values."""
    arena = aligned((program.arena_bytes,), np.uint8)
    arena[:] = 0
    return arena


def memory_of(
    program: Program, arena: npt.NDArray[np.uint8], scratch: Sums
) -> npt.NDArray[np.int64]:
    """Return a table of addresses; the caller keeps what they are of."""
    memory = np.zeros(len(Memory), np.int64)
    memory[Memory.CONSTANTS] = program.constants.ctypes.data
    memory[Memory.ARENA], memory[Memory.SCRATCH] = arena.ctypes.data, scratch.ctypes.data
    return memory


_NO_COUNTERS = np.zeros(1, np.int64)
