"""cuBLASLt as a baseline of `bench`: through its own interface, the fastest of all its answers."""

from gettext import gettext as _

from engine.benchmark.baselines import PRODUCT, Runner
from engine.benchmark.cublaslt import CublasLt, NotAvailable
from engine.benchmark.product_run import STEP
from engine.benchmark.product_table import FOLD, INT32
from engine.benchmark.products import Operands, cublaslt
from kernels.cuda.card import Card
from kernels.cuda.kernel_cache import KernelCache
from kernels.cuda.product.tiers import choose
from kernels.task import Task

_LEAST_REPEAT = 4
"""Products of the graph that is timed."""


class CublasLtProduct(Runner):
    """The task's products; `fold` puts a kernel behind each that folds C at the speed of memory."""

    def __init__(self, device: str, fold: bool, task: Task) -> None:
        """Raise NotAvailable where the library is missing or does not take this size."""
        if task.n % STEP:
            raise NotAvailable(_("it needs a size that is a multiple of {STEP}").format(STEP=STEP))
        card = Card.select(int(device.partition(":")[2] or 0))
        self._iterations = task.iterations
        self._operands = Operands(card, KernelCache(choose(card.capability)), task.n)
        wanted = FOLD if fold else INT32
        found = cublaslt(self._operands, CublasLt())
        contender = next(one for one in found if one.output == wanted)
        self._replay = contender.fastest(max(_LEAST_REPEAT, task.iterations))

    def run(self) -> dict[str, float]:
        """Return seconds of as many products as the task has, replayed by a graph."""
        return {PRODUCT: self._iterations * self._replay.seconds()}

    def close(self) -> None:
        """Give memory back."""
        self._replay.close()
        self._operands.close()
