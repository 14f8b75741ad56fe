"""What takes part in a table of products: replays that can be timed, and who they belong to.

    replay = contender.fastest(repeat=20)
    replay.seconds()

`products.py` makes them.
"""

import importlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from gettext import gettext as _
from statistics import median

from engine.benchmark.cublaslt import NotAvailable
from kernels.cuda import tuning
from kernels.cuda.driver import Stream, timed
from kernels.energy import Meter

AS_GOOD = 1.02
"""So many times the shortest burst, a variant is as good: as much lies between two runs of one."""
PAUSE = 0.02
"""Seconds before a burst, in which the card cools and its clock rises."""
_FINALISTS = 4

Enqueue = Callable[[Stream], None]


class Replay(ABC):
    """One way to multiply, ready to be timed."""

    variant: str
    repeat: int

    @abstractmethod
    def seconds(self, during: Callable[[], None] = lambda: None) -> float:
        """Replay `repeat` products; return device seconds for one. Call `during` while they run."""

    def close(self) -> None:
        """Give memory back."""
        return


class Graph(Replay):
    """`repeat` products as one graph of the CUDA driver."""

    def __init__(self, variant: str, enqueue: Enqueue, repeat: int) -> None:
        self.variant, self.repeat, self._stream = variant, repeat, Stream()
        enqueue(self._stream)  # what is loaded or allocated at first use is, before the capture
        self._stream.wait()
        with self._stream.capture() as self._graph:
            for _once in range(repeat):
                enqueue(self._stream)

    def seconds(self, during: Callable[[], None] = lambda: None) -> float:
        def work() -> None:
            self._stream.launch(self._graph)
            during()

        return timed(self._stream, work) / self.repeat

    def close(self) -> None:
        self._graph.close()
        self._stream.close()


class TorchGraph(Replay):
    """`repeat` products as one graph of PyTorch."""

    def __init__(self, variant: str, once: Callable[[], object], repeat: int) -> None:
        torch = self._torch = importlib.import_module("torch")
        self.variant, self.repeat = variant, repeat
        self._once = once  # holds the operands, which the graph reads
        for _warm in range(3):
            once()
        torch.cuda.synchronize()
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            for _once in range(repeat):
                once()
        self.seconds()

    def seconds(self, during: Callable[[], None] = lambda: None) -> float:
        first, last = (self._torch.cuda.Event(enable_timing=True) for _once in "ab")
        first.record()
        self._graph.replay()
        last.record()
        during()
        last.synchronize()
        return float(first.elapsed_time(last)) / 1000 / self.repeat

    def close(self) -> None:
        del self._graph, self._once
        self._torch.cuda.empty_cache()


Variants = dict[str, Callable[[int], Replay]]
"""By name, what makes a replay of so many products."""


@dataclass(frozen=True)
class Contender:
    """Who multiplies into what, and in which ways."""

    name: str
    output: str
    variants: Variants
    run: Callable[[str, Stream], None] | None = None
    """Put one product of a variant onto a stream, for the comparison of results; None: not checked."""

    def fastest(self, repeat: int, rounds: int = 7, *, meter: Meter | None = None) -> Replay:
        """Return the variant with the least median; those that fail are passed over.

        All have three short turns, then the best four `rounds` with a pause before each: without, the
        clock would be what the one before left. With a `meter`, those as good as the best run without
        pauses as well: where that brings the card to its power limit, the one with the fewest joules
        is returned. Raise NotAvailable if none works.
        """
        few, names = max(1, repeat // 4), list(self.variants)
        if len(names) > _FINALISTS:
            names = list(self._ranked(names, few, 3))[:_FINALISTS]
        if len(names) > 1:
            seconds = self._ranked(names, few, rounds, PAUSE)
            names = [name for name in seconds if seconds[name] <= AS_GOOD * min(seconds.values())]
        if not names:
            raise NotAvailable(_("none of its algorithms works for this product"))
        if meter is not None and len(names) > 1:
            names = [self._thriftiest(names, few, meter)]
        return self.variants[names[0]](repeat)

    def _ranked(
        self, names: list[str], repeat: int, turns: int, pause: float = 0.0
    ) -> dict[str, float]:
        """Return median seconds of those that work, the least first."""
        replays: dict[str, Replay] = {}
        for name in names:
            with suppress(NotAvailable):  # an answer of the heuristics that does not run after all
                replays[name] = self.variants[name](repeat)
        seconds: dict[str, list[float]] = {name: [] for name in replays}
        for _turn in range(turns):
            for name, replay in replays.items():
                time.sleep(pause)
                seconds[name].append(replay.seconds())
        for replay in replays.values():
            replay.close()
        medians = {name: median(runs) for name, runs in seconds.items()}
        return dict(sorted(medians.items(), key=lambda item: item[1]))

    def _thriftiest(self, names: list[str], repeat: int, meter: Meter) -> str:
        """Return the one of these that a warm card does best with (`kernels/cuda/tuning.py`)."""
        trials = {name: _Trial(self.variants[name](repeat)) for name in names}
        try:
            return tuning.best(names, trials.__getitem__, meter)
        finally:
            for trial in trials.values():
                trial.replay.close()


class _Trial:
    """A replay, as `tuning.best` measures it."""

    def __init__(self, replay: Replay) -> None:
        self.replay = replay

    def once(self) -> float:
        return self.replay.seconds() * self.replay.repeat

    def many(self, count: int) -> None:
        for _time in range(count):
            self.replay.seconds()
