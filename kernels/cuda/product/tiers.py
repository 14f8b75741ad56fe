"""The tiers of the product, best first: which a card can run, and with what tile configurations.

tier = choose(card.capability)            # or by_name("mma", card.capability)
spec = tier.build("fold", True, tier.configs(4096, card.capability)[0])
"""

from collections.abc import Callable
from dataclasses import dataclass
from gettext import gettext as _
from typing import Any, Protocol, Self

from kernels.cuda.launch import KernelSpec
from kernels.cuda.product import dp4a, mma, simt, wgmma, wgmma_configs
from kernels.errors import DeviceUnavailable, KernelError

Capability = tuple[int, int]


class TileConfig(Protocol):
    """How a tier cuts C up: its own frozen dataclass. `hashes_leaves`: it can hash R's leaves, too.
    `sums_both_sides`: it can make both sides of its check.
    """

    @property
    def name(self) -> str:
        """Unique in its tier."""

    @property
    def hashes_leaves(self) -> bool:
        """Whether `build` takes `leaves=True`."""

    @property
    def sums_both_sides(self) -> bool:
        """Whether `build` takes `both_sides=True`."""

    def followed(self, size: int) -> Self:
        """The configuration of a task's products but the last one, of this padded size."""


@dataclass(frozen=True, slots=True)
class Tier:
    """One way to multiply.

    `configs(size, capability)`: those worth a try where the result's longer side is `size` (padded);
    what is taken untuned comes first. `build(output, checked, config)` gives the kernel, with
    `leaves=True` one that hashes R's leaves where the configuration can.
    """

    name: str
    least: Capability
    only_major: int | None
    configs: Callable[[int, Capability], tuple[Any, ...]]
    build: Callable[..., KernelSpec]
    for_int32: Callable[[int, int, int, int], Any] | None = None
    """(M, N, K, multiprocessors): the configuration for a product with int32 out; else the task's."""

    def runs_on(self, capability: Capability) -> bool:
        """Whether a card of this compute capability can run it."""
        fits_major = self.only_major in (None, capability[0])
        return fits_major and capability >= self.least


TIERS = (
    Tier(
        wgmma.NAME,
        wgmma.LEAST_CAPABILITY,
        wgmma.ONLY_MAJOR,
        lambda size, _card: wgmma_configs.configs_for(size),
        wgmma.build,
        wgmma_configs.for_int32,
    ),
    Tier(
        mma.NAME, mma.LEAST_CAPABILITY, None, lambda _size, card: mma.configs_for(card), mma.build
    ),
    Tier(
        dp4a.NAME,
        dp4a.LEAST_CAPABILITY,
        None,
        lambda _size, _card: (simt.SimtConfig(2), simt.SimtConfig(1)),
        dp4a.build,
    ),
    Tier(
        simt.NAME,
        simt.LEAST_CAPABILITY,
        None,
        lambda _size, _card: (simt.SimtConfig(1), simt.SimtConfig(2)),
        simt.build,
    ),
)


def choose(capability: Capability) -> Tier:
    """The best tier for a card."""
    return next(tier for tier in TIERS if tier.runs_on(capability))


def by_name(name: str, capability: Capability) -> Tier:
    """The tier of this name. Raises KernelError for none, DeviceUnavailable where it cannot run."""
    for tier in TIERS:
        if tier.name == name:
            if tier.runs_on(capability):
                return tier
            major, minor = capability
            raise DeviceUnavailable(
                _(
                    "the tier {name} does not run on this card (compute capability {major}.{minor})"
                ).format(name=name, major=major, minor=minor),
                advice=_("Leave the tier out: the best one for the card is taken."),
            )
    known = ", ".join(tier.name for tier in TIERS)
    raise KernelError(
        _("there is no tier {name!r}: known are {known}").format(name=name[:40], known=known)
    )
