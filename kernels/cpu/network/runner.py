"""A program with its memory: samples through it, by one thread each, or one sample by several."""

import numpy as np
import numpy.typing as npt

from kernels.cpu.memory import aligned
from kernels.cpu.network.dots import usable_dots
from kernels.cpu.network.entry import Entry, entry_of
from kernels.cpu.network.layout import NoProgram
from kernels.cpu.network.plan import plan
from kernels.cpu.network.program import COUNTER_BYTES, Kernels, kernels_of
from kernels.cpu.network.steps import Memory, Program
from kernels.network.graph.graph import Graph
from kernels.team import Team

SHARED_COST = 1 << 26
"""Multiply-adds from which on it is worth to work on one sample together."""
TURNS = 8
"""Of each thread that takes samples: a call costs as much as a small sample."""
Bytes = npt.NDArray[np.int8]
Sums = npt.NDArray[np.int32]


def prepare(graph: Graph, tier: str | None, team: Team) -> "Runner | None":
    """Return a runner of this graph in the way of this tier of the product, or None."""
    usable = {dots.name: dots for dots in usable_dots()}
    dots = next(iter(usable.values()), None) if tier == "amx" else usable.get(tier or "")
    if dots is None:
        return None
    left, entry = entry_of(graph)
    try:
        program = plan(left, dots, team.threads)
    except NoProgram:
        return None
    return Runner(kernels_of(dots), program, entry, graph.sample_cost, team)


class Runner:
    """Runs one program by a team of threads; may be used by one caller at a time."""

    def __init__(
        self, kernels: Kernels, program: Program, entry: Entry, cost: int, team: Team
    ) -> None:
        self._run, self.program, self._entry, self._team = kernels.run, program, entry, team
        self._cost = cost
        self._threads, self._columns = team.threads, program.columns
        self._parts: list[_Part | None] = [None] * team.threads
        self._arena, counters = new_arena(program), len(program.steps) * (team.threads + 1)
        self._counters = aligned((counters * COUNTER_BYTES // 8,), np.int64)
        self._first = self._part(0).alone

    def run(self, samples: Bytes, sums: Sums | None = None) -> Bytes:
        """Return the outputs, N x columns, of samples, N x sample_bytes.

        `sums`, N x (sums of all product layers), is filled with what a layered result commits to.
        """
        samples = self._entry(samples)
        # np.require takes as long as a small network's layer.
        given = (
            samples if samples.flags.carray else np.require(samples, requirements=["C", "A", "W"])
        )
        count, threads = len(given), self._threads
        out = np.empty((count, self._columns), np.int8)
        at, pitch = (
            (sums.ctypes.data, sums.strides[0]) if sums is not None and sums.size else (0, 0)
        )
        if threads == 1:
            self._run(self._first, given, out, 0, count, at, pitch)
        elif count >= threads:
            self._apart(given, out, at, pitch)
        else:
            for i in range(count):
                self._together(given, out, i, at + i * pitch)
        return out

    def run_steps(self, steps: npt.NDArray[np.int64], sample: Bytes) -> None:
        """Run some steps alone, after a whole run: for a profile."""
        part, out = self._part(0), np.empty((1, self.program.columns), np.int8)
        memory = memory_of(self.program, part.arena, part.scratch, steps)
        self._run(memory.ctypes.data, sample[np.newaxis], out, 0, 1, 0, 0)

    def _apart(self, given: Bytes, out: Bytes, sums: int, pitch: int) -> None:
        """Each sample by one thread."""
        count, threads = len(given), self._threads
        each = -(-count // (TURNS * threads))
        firsts = iter(range(0, count, each))  # gives each to one thread

        def part(number: int) -> None:
            memory = self._part(number).alone
            for i in firsts:
                last = min(i + each, count)
                self._run(memory, given, out, i, last, sums + i * pitch, pitch)

        self._team.run((part, range(threads)))

    def _together(self, given: Bytes, out: Bytes, i: int, sums: int) -> None:
        """Sample i by all threads, where that is worth it."""
        if self._cost < SHARED_COST:
            self._run(self._first, given, out, i, i + 1, sums, 0)
            return
        self._counters.fill(0)

        def part(number: int) -> None:
            self._run(self._part(number).shared, given, out, i, i + 1, sums, 0)

        self._team.run((part, range(self._threads)))

    def _part(self, number: int) -> "_Part":
        """Return what the thread with this number works in, made when it is first needed."""
        part = self._parts[number]
        if part is None:
            part = self._parts[number] = _Part(self.program, self._arena)
            place = {Memory.COUNTERS: self._counters.ctypes.data, Memory.THREAD: number}
            for name, value in (place | {Memory.THREADS: self._threads}).items():
                part.with_others[name] = value
        return part


class _Part:
    """A thread's memory: where its values lie when it works alone, and when all share an arena."""

    def __init__(self, program: Program, shared: npt.NDArray[np.uint8]) -> None:
        self.arena, self.scratch = new_arena(program), aligned((program.scratch,), np.int32)
        self.by_itself = memory_of(program, self.arena, self.scratch, program.steps)
        self.with_others = memory_of(program, shared, self.scratch, program.steps)
        self.alone, self.shared = (x.ctypes.data for x in (self.by_itself, self.with_others))


def new_arena(program: Program) -> npt.NDArray[np.uint8]:
    """Return memory for one sample's values."""
    arena = aligned((program.arena_bytes,), np.uint8)
    arena[:] = 0
    return arena


def memory_of(
    program: Program,
    arena: npt.NDArray[np.uint8],
    scratch: Sums,
    steps: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """Return a table for a thread alone; the caller keeps what its addresses are of."""
    memory = np.zeros(len(Memory), np.int64)
    memory[Memory.CONSTANTS] = program.constants.ctypes.data
    memory[Memory.ARENA], memory[Memory.SCRATCH] = arena.ctypes.data, scratch.ctypes.data
    memory[Memory.STEPS], memory[Memory.STEP_COUNT] = steps.ctypes.data, len(steps)
    return memory
