"""What our figures are set beside: other libraries' products and pipelines, and the datasheet's peak.

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
from typing import Any, Protocol

from kernels.devices import open_device
from kernels.task import Task

PRODUCT, TASK = "product", "task"
LONGEST_RUN = 10.0
"""Seconds: a contender on the CPU whose single run would take longer is left out."""
LONGEST_TURNS = 60.0
"""Seconds that one contender may take in all; after that its earlier runs must do."""
_TURN_SECONDS, _MOST_RUNS = 0.1, 10
"""A turn is one run, or, where runs are short, as many as fit: a lone one says little."""
_PROBE_SIZE, _PROBES, _PROBE_PAUSE = 1024, 4, 0.1
"""A small run's size, how many there are, of which the fastest counts, and seconds before each."""
_AHEAD_CYCLES = 1_000_000
"""The GPU is kept busy this long (half a millisecond) while torch puts its kernels in the queue."""


@dataclass(frozen=True, slots=True)
class Peak:
    """A card's dense int8 peak in 10^12 operations a second, and where the figure is from."""

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
"""Words of parts, and of cards with a like name, whose peak is another one."""


def peak(card: str) -> Peak | None:
    """The peak of a card by the driver's name for it, or None where it is not known."""
    words = set(card.replace("-", " ").split())
    if words & _OTHER_CARDS:
        return None
    return next((found for wanted, found in _PEAKS if wanted <= words), None)


class Runner(ABC):
    """Something to time. Made for one task; what it needs is allocated when it is made."""

    @abstractmethod
    def run(self) -> dict[str, float]:
        """Run once. Gives seconds by stage."""

    def close(self) -> None:
        """Give threads and memory back."""
        return


class _Make(Protocol):
    def __call__(self, task: Task) -> Runner: ...


@dataclass(frozen=True, slots=True)
class Contender:
    """What may run beside us. `why_not` is empty where it can run at all."""

    name: str
    stages: tuple[str, ...]
    make: _Make
    why_not: str = ""
    slow: bool = True
    """Whether a small run is made first, to see how long one of the task's size would take."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A contender that did not run, with a short reason."""

    name: str
    stages: tuple[str, ...]
    why: str


class Turn:
    """A contender at work, with what its runs took."""

    def __init__(self, name: str, stages: Sequence[str], runner: Runner) -> None:
        self.name, self.stages = name, tuple(stages)
        self.runs = 0
        self._runner = runner
        self._seconds: defaultdict[str, list[float]] = defaultdict(list)
        self._spent = 0.0

    def take(self) -> None:
        """Run again, unless it has had its time."""
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
        """Median seconds by stage."""
        return {stage: median(values) for stage, values in self._seconds.items()}

    def fastest(self) -> dict[str, float]:
        """Seconds of the fastest run by stage: far below the median where something disturbed."""
        return {stage: min(values) for stage, values in self._seconds.items()}

    def close(self) -> None:
        """Give threads and memory back."""
        self._runner.close()


def contenders(device: str, threads: int | None = None) -> list[Contender]:
    """What there is to set beside a device, by its name. `threads` is for torch on the CPU."""
    on_gpu = device.startswith("cuda")
    torch = _missing("torch")
    cupy = _missing("cupy") if on_gpu else _("needs a GPU")
    triton = torch or _missing("triton") if on_gpu else _("needs a GPU")
    product = partial(_TorchProduct, device if on_gpu else "cpu", threads)
    return [
        Contender(
            "numpy (float64 BLAS)",
            ("expand", PRODUCT, "commit", TASK),
            _Numpy,
            why_not=_("it is for the CPU") if on_gpu else "",
        ),
        Contender("torch _int_mm", (PRODUCT,), partial(product, False), torch, not on_gpu),
        Contender(
            "torch _int_mm, then fold", (PRODUCT,), partial(product, True), torch, not on_gpu
        ),
        Contender("Triton int8", (PRODUCT,), partial(_TritonProduct, device), triton, slow=False),
        Contender("guide's pipeline (cupy)", (TASK,), partial(_Guide, device), cupy, slow=False),
    ]


def start(candidates: Sequence[Contender], task: Task) -> tuple[list[Turn], list[LeftOut]]:
    """Make and warm up whoever can run; the others come with their reasons."""
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
    """A foreign error in one short line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 100 else text[:97] + "..."


def _missing(package: str) -> str:
    return (
        ""
        if importlib.util.find_spec(package)
        else _("{package} is not installed").format(package=package)
    )


def _too_slow(candidate: Contender, task: Task) -> str:
    """Why it would take too long, by a run at a size that is soon done, or nothing."""
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
    """The reference: the same task, the product through float64 and BLAS."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._device = open_device("reference")

    def run(self) -> dict[str, float]:
        """Seconds of each stage, and of the whole task by the clock."""
        started = time.perf_counter()
        stages = self._device.profile(self._task)
        return stages | {TASK: time.perf_counter() - started}

    def close(self) -> None:
        """End its thread."""
        self._device.close()


class _TorchProduct(Runner):
    """torch._int_mm of random int8, B transposed as ours is; `fold` adds the fold in torch's way."""

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
        """Seconds of the task's products: on the GPU by its own events, its queue never empty."""
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


class _TritonProduct(Runner):
    """The product in Triton, int32 out; its first run chooses a tile."""

    def __init__(self, device: str, task: Task) -> None:
        if task.n % 256:
            raise ValueError(_("it is written for sizes that 256 divides"))
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
        """Seconds of the task's products by events."""
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
    """The chain's guide: random float64 operands, dot, the bytes to the host, SHA-256. Once."""

    def __init__(self, device: str, task: Task) -> None:
        self._cupy = importlib.import_module("cupy")
        self._index = int(device.partition(":")[2] or 0)
        self._task = task

    def run(self) -> dict[str, float]:
        """Seconds by the clock, seed to hash."""
        cupy, n = self._cupy, self._task.n
        with cupy.cuda.Device(self._index):
            started = time.perf_counter()
            cupy.random.seed(int.from_bytes(self._task.seed[:4], "big"))
            c = cupy.dot(cupy.random.rand(n, n), cupy.random.rand(n, n))
            hashlib.sha256(c.tobytes()).hexdigest()
            return {TASK: time.perf_counter() - started}
