"""The tiers of the product, best first: which of them a card can run, and in what shapes.

tier = choose(card.capability)            # or by_name("mma", card.capability)
built = tier.build("fold", True, tier.shapes(4096, card.capability)[0])
"""

from collections.abc import Callable
from dataclasses import dataclass
from gettext import gettext as _
from typing import Any, Protocol

from kernels.cuda.product import dp4a, mma, simt, wgmma
from kernels.cuda.product.epilogue import Built
from kernels.errors import DeviceUnavailable, KernelError

Capability = tuple[int, int]


class Shape(Protocol):
    """How a tier cuts C up: its own frozen dataclass. `hashes_leaves`: it can hash R's leaves, too."""

    @property
    def name(self) -> str:
        """Unique in its tier."""

    @property
    def hashes_leaves(self) -> bool:
        """Whether `build` takes `leaves=True`."""


@dataclass(frozen=True, slots=True)
class Tier:
    """One way to multiply.

    `shapes(size, capability)`: those worth a try where the result's longer side is `size` (padded);
    what is taken untuned comes first. `build(output, checked, shape)` gives the kernel, with
    `leaves=True` one that hashes R's leaves where the shape can.
    """

    name: str
    least: Capability
    only_major: int | None
    shapes: Callable[[int, Capability], tuple[Any, ...]]
    build: Callable[..., Built]

    def runs_on(self, capability: Capability) -> bool:
        """Whether a card of this compute capability can run it."""
        fits_major = self.only_major in (None, capability[0])
        return fits_major and capability >= self.least


TIERS = (
    Tier(
        wgmma.NAME,
        wgmma.LEAST_CAPABILITY,
        wgmma.ONLY_MAJOR,
        lambda size, _card: wgmma.shapes_for(size),
        wgmma.build,
    ),
    Tier(mma.NAME, mma.LEAST_CAPABILITY, None, lambda _size, card: mma.shapes_for(card), mma.build),
    Tier(
        dp4a.NAME,
        dp4a.LEAST_CAPABILITY,
        None,
        lambda _size, _card: (simt.Shape(2), simt.Shape(1)),
        dp4a.build,
    ),
    Tier(
        simt.NAME,
        simt.LEAST_CAPABILITY,
        None,
        lambda _size, _card: (simt.Shape(1), simt.Shape(2)),
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
