"""A program with its memory: samples through it, by one thread each, or one sample by several."""

import threading
from functools import partial

import numpy as np
import numpy.typing as npt

from kernels.cpu.memory import aligned
from kernels.cpu.network.dots import usable_dots
from kernels.cpu.network.layout import NoProgram
from kernels.cpu.network.plan import plan
from kernels.cpu.network.program import Kernels, kernels_of
from kernels.cpu.network.steps import Program
from kernels.network.graph.graph import Graph
from kernels.team import Team

SHARED_COST = 1 << 26
"""Multiply-adds from which on it is worth to work on one sample together."""
NOTHING = np.zeros(0, np.uint8)
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
        program = plan(graph, dots)
    except NoProgram:
        return None
    return Runner(kernels_of(dots), program, graph.sample_cost, team)


class Runner:
    """Runs one program by a team of threads; may be used by one caller at a time."""

    def __init__(self, kernels: Kernels, program: Program, cost: int, team: Team) -> None:
        self._kernels, self.program, self._cost, self._team = kernels, program, cost, team
        self._thread = threading.local()
        self._arena = aligned((program.arena_bytes,), np.uint8)
        self._arena[:] = 0

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
        arena, scratch = self._own()
        out = np.empty(self.program.columns, np.int8)
        self._kernels.run(
            steps, self.program.constants, NOTHING, arena, sample, out, NO_SUMS, scratch,
            _NO_COUNTERS, False,
        )  # fmt: skip

    def _alone(self, given: Bytes, out: Bytes, rows: list[Sums], i: int) -> None:
        """Sample i, by this thread."""
        arena, scratch = self._own()
        program = self.program
        self._kernels.run(
            program.steps, program.constants, NOTHING, arena, given[i], out[i], rows[i], scratch,
            _NO_COUNTERS, False,
        )  # fmt: skip

    def _together(self, sample: Bytes, out: Bytes, sums: Sums) -> None:
        program = self.program
        counters = np.zeros(2 * len(program.steps), np.int64)

        def part(_number: int) -> None:
            _arena, scratch = self._own()
            self._kernels.run(
                program.steps, program.constants, NOTHING, self._arena, sample, out, sums, scratch,
                counters, True,
            )  # fmt: skip

        self._team.run((part, range(self._team.threads)))

    def _own(self) -> tuple[npt.NDArray[np.uint8], Sums]:
        """Return this thread's arena and scratch."""
        kept = self._thread.__dict__
        if "memory" not in kept:
            arena = aligned((self.program.arena_bytes,), np.uint8)
            arena[:] = 0
            kept["memory"] = arena, aligned((self.program.scratch,), np.int32)
        memory: tuple[npt.NDArray[np.uint8], Sums] = kept["memory"]
        return memory


_NO_COUNTERS = np.zeros(1, np.int64)
