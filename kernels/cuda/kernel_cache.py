"""Every kernel of a card, compiled once and kept: the product's by tier, output and tile
configuration.
"""

from collections.abc import Sequence
from typing import Any

from kernels.cuda import check as freivalds
from kernels.cuda import expand, gather, pack
from kernels.cuda.commit.plan import TABLES
from kernels.cuda.compiled_kernel import CompiledKernel
from kernels.cuda.driver import DeviceBuffer
from kernels.cuda.launch import KernelSpec
from kernels.cuda.network.kernel import NetworkKernel
from kernels.cuda.product.tiers import Tier, TileConfig

Product = tuple[KernelSpec, CompiledKernel]


class KernelCache:
    """The compiled kernels of the current card. Compiling one takes about a second."""

    def __init__(self, tier: Tier) -> None:
        self._tier = tier
        self._products: dict[Any, Product] = {}
        self._commit: dict[Any, CompiledKernel] = {}
        self._others: dict[str, CompiledKernel] = {}
        self.expand = CompiledKernel(expand.expand_kernel, 12, key="expand")
        self.project = CompiledKernel(freivalds.project_kernel, 5, key="project")
        self.subtract = CompiledKernel(freivalds.subtract_kernel, 5, key="subtract")
        self.verdict = CompiledKernel(freivalds.verdict_kernel, 4, key="verdict")
        self.gather = CompiledKernel(gather.gather_kernel, 4, key="gather")
        self.tables = DeviceBuffer(TABLES.nbytes)
        self.tables.from_host(TABLES)

    def product(
        self,
        output: str,
        checked: bool,
        config: TileConfig,
        *,
        leaves: bool = False,
        both_sides: bool = False,
    ) -> Product:
        """The product kernel of the card's tier with this tile configuration."""
        key = (output, checked, config, leaves, both_sides)
        if key not in self._products:
            asked = {"leaves": leaves, "both_sides": both_sides}
            options = {name: True for name, wanted in asked.items() if wanted}
            spec = self._tier.build(output, checked, config, **options)
            self._products[key] = (
                spec,
                CompiledKernel(
                    spec.kernel,
                    spec.arguments,
                    shared_bytes=spec.shared_bytes,
                    cluster=spec.cluster,
                    key=f"{self._tier.name} {key}",
                ),
            )
        return self._products[key]

    def int32_product(self, config: TileConfig, M: int, N: int, K: int, processors: int) -> Product:
        """The checked product of these padded sizes, with int32 out; `config` is a task's."""
        if self._tier.for_int32 is not None:
            config = self._tier.for_int32(M, N, K, processors)
        return self.product("int32", True, config)

    def commit(self, kernel: Any, arguments: int) -> CompiledKernel:
        """A kernel of the commitment."""
        if kernel not in self._commit:
            self._commit[kernel] = CompiledKernel(kernel, arguments, key=kernel.py_func.__name__)
        return self._commit[kernel]

    @property
    def weights(self) -> CompiledKernel:
        """For the customers' matrices only: a task's weights are made beside its operands."""
        return self._other("weights", freivalds.weights_kernel, 4)

    @property
    def expand_and_project(self) -> CompiledKernel:
        """For tasks whose products make both sides of the check."""
        return self._other("expand and project", expand.expand_and_project_kernel, 12)

    @property
    def pack(self) -> CompiledKernel:
        """Puts the customers' matrices into tiles."""
        return self._other("pack", pack.pack_kernel, 6)

    def network(self, kernel: NetworkKernel) -> CompiledKernel:
        """A kernel of a network on the card."""
        return self._other(f"network {kernel.name}", kernel.kernel, kernel.signature)

    def _other(self, name: str, kernel: Any, arguments: int | Sequence[Any]) -> CompiledKernel:
        if name not in self._others:
            self._others[name] = CompiledKernel(kernel, arguments, key=name)
        return self._others[name]
