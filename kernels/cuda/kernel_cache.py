"""Every kernel of a card, compiled once and kept: those of the product by tier, shape and output."""

from typing import Any

from kernels.cuda import check as freivalds
from kernels.cuda import expand, gather, pack
from kernels.cuda.commit.plan import TABLES
from kernels.cuda.driver import Compiled, DeviceBuffer
from kernels.cuda.product.epilogue import Built
from kernels.cuda.product.tiers import Shape, Tier

Product = tuple[Built, Compiled]


class Kernels:
    """The compiled kernels of the current card. Compiling one takes about a second."""

    def __init__(self, tier: Tier) -> None:
        self._tier = tier
        self._products: dict[Any, Product] = {}
        self._commit: dict[Any, Compiled] = {}
        self._others: dict[str, Compiled] = {}
        self.expand = Compiled(expand.expand_kernel, 12, key="expand")
        self.project = Compiled(freivalds.project_kernel, 5, key="project")
        self.subtract = Compiled(freivalds.subtract_kernel, 5, key="subtract")
        self.verdict = Compiled(freivalds.verdict_kernel, 4, key="verdict")
        self.gather = Compiled(gather.gather_kernel, 4, key="gather")
        self.tables = DeviceBuffer(TABLES.nbytes)
        self.tables.from_host(TABLES)

    def product(self, output: str, checked: bool, shape: Shape, *, leaves: bool = False) -> Product:
        """The product kernel of the card's tier in this shape."""
        key = (output, checked, shape, leaves)
        if key not in self._products:
            options = {"leaves": True} if leaves else {}
            built = self._tier.build(output, checked, shape, **options)
            self._products[key] = (
                built,
                Compiled(
                    built.kernel,
                    built.arguments,
                    shared_bytes=built.shared_bytes,
                    cluster=built.cluster,
                    key=f"{self._tier.name} {key}",
                ),
            )
        return self._products[key]

    def commit(self, kernel: Any, arguments: int) -> Compiled:
        """A kernel of the commitment."""
        if kernel not in self._commit:
            self._commit[kernel] = Compiled(kernel, arguments, key=kernel.py_func.__name__)
        return self._commit[kernel]

    @property
    def weights(self) -> Compiled:
        """For the customers' matrices only: a task's weights are made beside its operands."""
        return self._other("weights", freivalds.weights_kernel, 4)

    @property
    def pack(self) -> Compiled:
        """Puts the customers' matrices into tiles."""
        return self._other("pack", pack.pack_kernel, 6)

    def _other(self, name: str, kernel: Any, arguments: int) -> Compiled:
        if name not in self._others:
            self._others[name] = Compiled(kernel, arguments, key=name)
        return self._others[name]
