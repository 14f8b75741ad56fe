"""A program with its memory: samples through it, by one thread each, or one sample by several."""

import threading

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
        program, team = self.program, self._team
        given = np.require(samples, requirements=["C", "W"])
        out = np.empty((len(given), program.columns), np.int8)
        rows = [NO_SUMS] * len(given) if sums is None else list(sums)

        def one(i: int) -> None:
            arena, scratch = self._own()
            self._step(given[i], out[i], rows[i], arena, scratch, None)

        if team.threads > 1 and len(given) >= team.threads:
            team.run((one, range(len(given))))
            return out
        for i in range(len(given)):
            if team.threads > 1 and self._cost >= SHARED_COST:
                self._together(given[i], out[i], rows[i])
            else:
                one(i)
        return out

    def run_steps(self, steps: npt.NDArray[np.int64], sample: Bytes) -> None:
        """Run some steps alone, after a whole run: for a profile."""
        arena, scratch = self._own()
        out = np.empty(self.program.columns, np.int8)
        self._kernels.run(
            steps, self.program.constants, NOTHING, arena, sample, out, NO_SUMS, scratch,
            _NO_COUNTERS, False,
        )  # fmt: skip

    def _together(self, sample: Bytes, out: Bytes, sums: Sums) -> None:
        counters = np.zeros(2 * len(self.program.steps), np.int64)

        def part(_number: int) -> None:
            _arena, scratch = self._own()
            self._step(sample, out, sums, self._arena, scratch, counters)

        self._team.run((part, range(self._team.threads)))

    def _step(
        self,
        sample: Bytes,
        out: Bytes,
        sums: Sums,
        arena: npt.NDArray[np.uint8],
        scratch: Sums,
        counters: npt.NDArray[np.int64] | None,
    ) -> None:
        program = self.program
        shared = counters is not None
        self._kernels.run(
            program.steps, program.constants, NOTHING, arena, sample, out, sums, scratch,
            counters if shared else _NO_COUNTERS, shared,
        )  # fmt: skip

    def _own(self) -> tuple[npt.NDArray[np.uint8], Sums]:
        """Return this thread's arena and scratch."""
        kept = self._thread
        if not hasattr(kept, "arena"):
            kept.arena = aligned((self.program.arena_bytes,), np.uint8)
            kept.arena[:] = 0
            kept.scratch = aligned((self.program.scratch,), np.int32)
        return kept.arena, kept.scratch


_NO_COUNTERS = np.zeros(1, np.int64)
