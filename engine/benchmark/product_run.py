"""Measure our product beside cuBLASLt's over several sizes: burst, steady state and energy.

    table = measure(0, sizes=(1024, 4096), sustained=(4096,), say=print)

Of one size, everything takes turns in one run, each contender with its fastest variant; where the
steady state is measured, with the thriftiest of those that are as fast (`contender.py`). "Burst": some
15 ms of products as one graph, the median of 7 turns, with a pause before each. "Steady state":
graphs one after the other for 2 s after 0.6 s of warming up, so that a power limit shows; watts, clock
and joules a product are those of the 2 s. A multiply-add counts as two operations.
"""

import importlib.metadata
import multiprocessing
import platform
import time
from collections.abc import Callable, Sequence
from gettext import gettext as _
from statistics import median

from engine.benchmark import product_check, products
from engine.benchmark.contender import PAUSE, Contender, Replay
from engine.benchmark.cublaslt import CublasLt, NotAvailable
from engine.benchmark.product_table import CHECKED, INT32, OURS, OUTPUTS, Cell, Table, line
from engine.benchmark.products import Operands
from engine.runtime.child_entry import ChildEntry
from engine.runtime.safe_path import safe_path
from kernels.cuda.card import Card, driver_version
from kernels.cuda.driver import free_memory
from kernels.cuda.kernel_cache import KernelCache
from kernels.cuda.layout import padded
from kernels.cuda.product.tiers import choose
from kernels.devices import usable_cores
from kernels.energy import UNKNOWN, Draw, Meter

SIZES = (1024, 1536, 2048, 3072, 4096, 6144, 8192, 16384)
STEADY_SIZES = (4096, 8192)
ROUNDS = 7
WARM_UP, STEADY = 0.6, 2.0
"""Seconds."""
STEP, MOST = 16, 32768
"""Sizes are multiples of STEP: row-major int8 is read in 16-byte chunks."""
_BURST_OPERATIONS = 2e13
_FEW, _MANY = 2, 100
"""Products of a burst's graph."""
_MOST_COMPILERS = 8
_PACKAGES = ("numba-cuda", "torch", "triton")


def measure(
    index: int = 0,
    *,
    sizes: Sequence[int] = SIZES,
    steady_sizes: Sequence[int] = STEADY_SIZES,
    steady_seconds: float = STEADY,
    triton: bool = True,
    say: Callable[[str], None] = lambda _line: None,
) -> Table:
    """Measure every size on the card cuda:`index`. Raise KernelError where there is no card.

    `say` is told each size's figures as soon as they are there.
    """
    card = Card.select(index)
    _compile(index, card, sizes)
    kernels = KernelCache(choose(card.capability))
    number = driver_version()
    table = Table(
        card.name,
        card.capability,
        card.multiprocessors,
        f"{number // 1000}.{number % 1000 // 10}",
        {"python": platform.python_version()} | _versions(),
    )
    library = None
    try:
        library = CublasLt()
        table.versions["cuBLASLt"] = library.version
    except NotAvailable as error:
        say(str(error))
    meter = Meter(card.uuid)
    for n in sizes:
        if Operands.bytes_needed(n) > free_memory():
            say(_("n = {n}: the card has too little free memory").format(n=n))
            continue
        with Operands(card, kernels, n) as operands:
            steady = steady_seconds if n in steady_sizes else 0.0
            cells = _one_size(operands, library, meter, steady, triton=triton)
        table.cells.extend(cells)
        for cell in cells:
            say(line(cell))
    return table


def _one_size(
    operands: Operands, library: CublasLt | None, meter: Meter, steady: float, *, triton: bool
) -> list[Cell]:
    n = operands.n
    repeat = max(_FEW, min(_MANY, int(_BURST_OPERATIONS / (2 * n**3))))
    ready: list[tuple[Contender, Replay]] = []
    failed: list[Cell] = []
    for contender in products.contenders(operands, library, triton=triton):
        try:
            ready.append((contender, contender.fastest(repeat, meter=meter if steady else None)))
        except Exception as error:  # another library's failure is a finding
            if contender.name == OURS:
                raise
            why = " ".join(str(error).split())[:100] or type(error).__name__
            failed.append(Cell(n, contender.name, contender.output, "", None, why_not=why))
    verdicts = product_check.compare(operands, ready)
    seconds: list[list[float]] = [[] for _one in ready]
    for _turn in range(ROUNDS):
        for (_contender, replay), runs in zip(ready, seconds, strict=True):
            time.sleep(PAUSE)
            runs.append(replay.seconds())
    cells = []
    for (contender, replay), runs, verdict in zip(ready, seconds, verdicts, strict=True):
        key = (n, contender.name, contender.output, replay.variant)
        lasting, draw = _steady_state(replay, meter, steady) if steady else (None, UNKNOWN)
        cells.append(Cell(*key, median(runs), lasting, draw, *verdict))
        replay.close()
    return cells + failed


def _steady_state(replay: Replay, meter: Meter, seconds: float) -> tuple[float, Draw]:
    """Return median seconds a product, and what the card draws, when it never rests."""
    deadline = time.perf_counter() + WARM_UP
    while time.perf_counter() < deadline:
        replay.seconds()
    meter.begin()
    runs: list[float] = []
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        # Read while the products run: the card never waits for NVML.
        runs.append(replay.seconds(lambda: meter.sample(len(runs) * replay.repeat)))
    return median(runs), meter.end()


def _compile(index: int, card: Card, sizes: Sequence[int]) -> None:
    """Have child processes compile our kernels side by side, into the cache that this one reads.

    One that fails leaves its kernels to this process, which says why.
    """
    tier = choose(card.capability)
    wanted = dict.fromkeys(
        (output, config.name)
        for size in sizes
        for config in tier.configs(padded(size), card.capability)
        for output in OUTPUTS
    )
    count = min(len(wanted), usable_cores(), _MOST_COMPILERS)
    if count < 2:
        return
    context = multiprocessing.get_context("spawn")
    children = [
        context.Process(
            target=ChildEntry(_compile_some), args=(index, list(wanted)[number::count], list(sizes))
        )
        for number in range(count)
    ]
    with safe_path():
        for child in children:
            child.start()
    for child in children:
        child.join()


def _compile_some(index: int, wanted: list[tuple[str, str]], sizes: list[int]) -> None:
    card = Card.select(index)
    tier = choose(card.capability)
    configs = {
        config.name: config
        for size in sizes
        for config in tier.configs(padded(size), card.capability)
    }
    kernels = KernelCache(tier)
    for output, name in wanted:
        kernels.product(INT32 if output == INT32 else "fold", output == CHECKED, configs[name])


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
