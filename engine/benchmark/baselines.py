"""Baselines: the same work by other libraries, and the datasheet's peak.

    turns, left_out = start(contenders("cpu", threads=2), Task(bytes(range(32)), 1024))
    turns[0].take()                      # one timed run
    peak("NVIDIA H100 80GB HBM3").tops   # 1979

Nothing here is a dependency: a package that is missing, or a run that fails, is named with its
reason and never ends the bench. A contender on the CPU that would take long is left out likewise.
"""

import hashlib
import importlib
import importlib.util
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from gettext import gettext as _
from statistics import median
from typing import Any, cast

from kernels.devices import open_device
from kernels.task import Task

PRODUCT, TASK = "product", "task"
LONGEST_RUN = 10.0
"""Seconds. A CPU baseline whose single run would take longer is left out."""
LONGEST_TURNS = 60.0
"""Seconds that one baseline may take in all; after that its earlier runs are used."""
_TURN_SECONDS, _MOST_RUNS = 0.1, 10
"""Seconds of a turn: one run, or as many short ones as fit, since a single one says little."""
_PROBE_SIZE, _PROBES, _PROBE_PAUSE = 1024, 4, 0.1
"""Size and number of the small runs, of which the fastest counts, and the pause before each."""
_AHEAD_CYCLES = 1_000_000
"""Cycles (half a millisecond) that keep the GPU busy while torch enqueues its kernels."""


@dataclass(frozen=True, slots=True)
class Peak:
    """A card's dense int8 peak in 10^12 operations a second, with its source."""

    tops: float
    source: str


_PEAKS: tuple[tuple[frozenset[str], Peak], ...] = tuple(
    (frozenset(words.split()), Peak(tops, source))
    for words, tops, source in (
        ("H100 HBM3", 1979.0, "NVIDIA H100 datasheet, SXM: 3,958 with sparsity, half without"),
        ("H100 PCIe", 1513.0, "NVIDIA H100 datasheet, PCIe: 3,026 with sparsity, half without"),
        ("H200", 1979.0, "NVIDIA H200 datasheet, SXM: 3,958 with sparsity, half without"),
        ("A100", 624.0, "NVIDIA A100 datasheet"),
        ("L40S", 733.0, "NVIDIA L40S datasheet: 1,466 with sparsity, half without"),
        ("RTX 4090", 660.6, "NVIDIA Ada architecture whitepaper"),
        ("RTX 5090", 838.0, "NVIDIA: 3,352 AI TOPS (FP4, sparse), a quarter in dense int8"),
    )
)
_OTHER_CARDS = frozenset({"MIG", "NVL", "GRID", "Laptop", "D"})
"""Words in the names of parts and of similarly named cards, whose peak differs."""


def peak(card: str) -> Peak | None:
    """Return a card's peak by the driver's name for it, or None."""
    words = set(card.replace("-", " ").split())
    if words & _OTHER_CARDS:
        return None
    return next((found for wanted, found in _PEAKS if wanted <= words), None)


class Runner(ABC):
    """Something to time, made for one task. It allocates what it needs when it is made."""

    @abstractmethod
    def run(self) -> dict[str, float]:
        """Run once. Return seconds by stage."""

    def close(self) -> None:
        """Give threads and memory back."""
        return


@dataclass(frozen=True, slots=True)
class Contender:
    """A baseline that may run. `why_not` is empty if it can."""

    name: str
    stages: tuple[str, ...]
    make: Callable[[Task], Runner]
    why_not: str = ""
    slow: bool = True
    """Whether a small run is made first, to estimate the time at the task's size."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A baseline that did not run, with a short reason."""

    name: str
    stages: tuple[str, ...]
    why: str


class Turn:
    """A running baseline, with the times of its runs."""

    def __init__(self, name: str, stages: Sequence[str], runner: Runner) -> None:
        self.name, self.stages = name, tuple(stages)
        self.runs = 0
        self._runner = runner
        self._seconds: defaultdict[str, list[float]] = defaultdict(list)
        self._spent = 0.0

    def take(self) -> None:
        """Run again, unless its time is used up."""
        if self._spent > LONGEST_TURNS:
            return
        started = time.perf_counter()
        for _run in range(_MOST_RUNS):
            for stage, seconds in self._runner.run().items():
                self._seconds[stage].append(seconds)
            self.runs += 1
            if time.perf_counter() - started > _TURN_SECONDS:
                break
        self._spent += time.perf_counter() - started

    def medians(self) -> dict[str, float]:
        """Return median seconds by stage."""
        return {stage: median(values) for stage, values in self._seconds.items()}

    def fastest(self) -> dict[str, float]:
        """Return the fastest run's seconds by stage: far below the median if something disturbed."""
        return {stage: min(values) for stage, values in self._seconds.items()}

    def close(self) -> None:
        """Give threads and memory back."""
        self._runner.close()


def contenders(device: str, threads: int | None = None) -> list[Contender]:
    """Return the baselines for a device, by its name. `threads` is for torch on the CPU."""
    on_gpu = device.startswith("cuda")
    torch = _missing("torch")
    cupy = _missing("cupy") if on_gpu else _("needs a GPU")
    triton = torch or _missing("triton") if on_gpu else _("needs a GPU")
    product = partial(_TorchProduct, device if on_gpu else "cpu", threads)
    cublaslt = "" if on_gpu else _("needs a GPU")
    return [
        Contender(
            "numpy (float64 BLAS)",
            ("expand", PRODUCT, "commit", TASK),
            _Numpy,
            why_not=_("it is for the CPU") if on_gpu else "",
        ),
        *(
            Contender(name, (PRODUCT,), partial(_cublaslt, device, fold), cublaslt, slow=False)
            for name, fold in (("cuBLASLt int32", False), ("cuBLASLt, then fold", True))
        ),
        Contender("torch _int_mm", (PRODUCT,), partial(product, False), torch, not on_gpu),
        Contender(
            "torch _int_mm, then fold", (PRODUCT,), partial(product, True), torch, not on_gpu
        ),
        Contender("Triton int8", (PRODUCT,), partial(_TritonProduct, device), triton, slow=False),
        Contender("guide's pipeline (cupy)", (TASK,), partial(_Guide, device), cupy, slow=False),
    ]


def start(candidates: Sequence[Contender], task: Task) -> tuple[list[Turn], list[LeftOut]]:
    """Make and warm up the baselines that can run; return the others with their reasons."""
    turns: list[Turn] = []
    left_out: list[LeftOut] = []
    for candidate in candidates:
        why = candidate.why_not or _too_slow(candidate, task)
        if not why:
            try:
                runner = candidate.make(task)
                runner.run()
                turns.append(Turn(candidate.name, candidate.stages, runner))
                continue
            except Exception as error:  # noqa: BLE001 - a library's failure is a finding, not ours
                why = reason(error)
        left_out.append(LeftOut(candidate.name, candidate.stages, why))
    return turns, left_out


def reason(error: Exception) -> str:
    """Return another library's error as one short line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 100 else text[:97] + "..."


def _missing(package: str) -> str:
    return (
        ""
        if importlib.util.find_spec(package)
        else _("{package} is not installed").format(package=package)
    )


def _too_slow(candidate: Contender, task: Task) -> str:
    """Return why it would take too long, estimated from a small run, or an empty string."""
    small = Task(task.seed, min(task.n, _PROBE_SIZE))
    if not candidate.slow or task.multiply_adds <= small.multiply_adds:
        return ""
    try:
        runner = candidate.make(small)
        spent = min(_clocked(runner) for _ in range(_PROBES))
        runner.close()
    except Exception as error:  # noqa: BLE001 - as above
        return reason(error)
    expected = spent * task.multiply_adds / small.multiply_adds
    if expected <= LONGEST_RUN:
        return ""
    return _(
        "one run would take about {expected:.0f} s, and {LONGEST_RUN:.0f} are the limit"
    ).format(expected=expected, LONGEST_RUN=LONGEST_RUN)


def _clocked(runner: Runner) -> float:
    time.sleep(_PROBE_PAUSE)
    started = time.perf_counter()
    runner.run()
    return time.perf_counter() - started


class _Numpy(Runner):
    """The reference in numpy: the same task, its product in float64 by BLAS."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._device = open_device("reference")

    def run(self) -> dict[str, float]:
        """Return seconds of each stage, and of the whole task by the clock."""
        started = time.perf_counter()
        stages = self._device.profile(self._task)
        return stages | {TASK: time.perf_counter() - started}

    def close(self) -> None:
        """End its thread."""
        self._device.close()


class _TorchProduct(Runner):
    """torch._int_mm of random int8, B transposed like ours; `fold` adds the fold in torch."""

    def __init__(self, device: str, threads: int | None, fold: bool, task: Task) -> None:
        torch = self._torch = importlib.import_module("torch")
        self._on_gpu = device.startswith("cuda")
        if self._on_gpu:
            torch.cuda.set_device(device)
        elif threads is not None:
            torch.set_num_threads(threads)
        self._fold, self._iterations = fold, task.iterations
        shape = (task.n, task.n)
        self._a, b = (
            torch.randint(-128, 128, shape, dtype=torch.int8, device=device) for _ in "ab"
        )
        self._b = b.t()

    def run(self) -> dict[str, float]:
        """Return seconds of the task's products; on the GPU by its events, with a full queue."""
        if self._on_gpu:
            return {PRODUCT: _by_events(self._torch, self._multiply)}
        started = time.perf_counter()
        self._multiply()
        return {PRODUCT: time.perf_counter() - started}

    def _multiply(self) -> None:
        for _once in range(self._iterations):
            c = self._torch._int_mm(self._a, self._b)
            if self._fold:
                ((c ^ (c >> 8)) & 255).to(self._torch.int8)


def _cublaslt(device: str, fold: bool, task: Task) -> Runner:
    baseline = importlib.import_module("engine.benchmark.cublaslt_baseline")
    return cast(Runner, baseline.CublasLtProduct(device, fold, task))


class _TritonProduct(Runner):
    """The product in Triton with int32 output; its first run selects a tile."""

    def __init__(self, device: str, task: Task) -> None:
        if task.n % 256:
            raise ValueError(_("it needs a size that is a multiple of 256"))
        torch = self._torch = importlib.import_module("torch")
        self._multiply = importlib.import_module("engine.benchmark.triton_matmul").multiply
        torch.cuda.set_device(device)
        shape = (task.n, task.n)
        self._a, self._b = (
            torch.randint(-128, 128, shape, dtype=torch.int8, device=device) for _once in "ab"
        )
        self._c = torch.empty(shape, dtype=torch.int32, device=device)
        self._iterations = task.iterations

    def run(self) -> dict[str, float]:
        """Return seconds of the task's products, by events."""
        return {PRODUCT: _by_events(self._torch, self._products)}

    def _products(self) -> None:
        for _once in range(self._iterations):
            self._multiply(self._a, self._b, self._c)


def _by_events(torch: Any, work: Callable[[], None]) -> float:
    first, last = (torch.cuda.Event(enable_timing=True) for _once in "ab")
    torch.cuda.synchronize()
    torch.cuda._sleep(_AHEAD_CYCLES)
    first.record()
    work()
    last.record()
    last.synchronize()
    return float(first.elapsed_time(last)) / 1000


class _Guide(Runner):
    """The pipeline of the chain's guide: random float64 operands, dot, copy to the host, SHA-256."""

    def __init__(self, device: str, task: Task) -> None:
        self._cupy = importlib.import_module("cupy")
        self._index = int(device.partition(":")[2] or 0)
        self._task = task

    def run(self) -> dict[str, float]:
        """Return seconds by the clock, seed to hash."""
        cupy, n = self._cupy, self._task.n
        with cupy.cuda.Device(self._index):
            started = time.perf_counter()
            cupy.random.seed(int.from_bytes(self._task.seed[:4], "big"))
            c = cupy.dot(cupy.random.rand(n, n), cupy.random.rand(n, n))
            hashlib.sha256(c.tobytes()).hexdigest()
            return {TASK: time.perf_counter() - started}
