"""The tiers of the product, best first, and which of them a card can run.

tier = choose(card.capability)            # or by_name("mma")
built = tier.build("fold", True, 4096, card.capability)
"""

from collections.abc import Callable
from dataclasses import dataclass

from kernels.cuda.product import dp4a, mma, simt, wgmma
from kernels.cuda.product.fold import Built
from kernels.errors import DeviceUnavailable, KernelError

Capability = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Tier:
    """One way to multiply. `build(output, checked, P, capability)` gives the kernel for this
    padded size on this card.
    """

    name: str
    least: Capability
    only_major: int | None
    build: Callable[[str, bool, int, Capability], Built]

    def runs_on(self, capability: Capability) -> bool:
        """Whether a card of this compute capability can run it."""
        fits_major = self.only_major in (None, capability[0])
        return fits_major and capability >= self.least


TIERS = (
    Tier(
        wgmma.NAME,
        wgmma.LEAST_CAPABILITY,
        wgmma.ONLY_MAJOR,
        lambda output, checked, P, _card: wgmma.build(output, checked, wgmma.default_shape(P)),
    ),
    Tier(
        mma.NAME,
        mma.LEAST_CAPABILITY_OF_ANY,
        None,
        lambda output, checked, _P, card: mma.build(output, checked, **mma.options_for(card)),
    ),
    Tier(
        dp4a.NAME,
        dp4a.LEAST_CAPABILITY,
        None,
        lambda output, checked, _P, _card: dp4a.build(output, checked),
    ),
    Tier(
        simt.NAME,
        simt.LEAST_CAPABILITY,
        None,
        lambda output, checked, _P, _card: simt.build(output, checked),
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
                f"the tier {name} does not run on this card (compute capability {major}.{minor})",
                advice="Leave the tier out: the best one for the card is taken.",
            )
    known = ", ".join(tier.name for tier in TIERS)
    raise KernelError(f"there is no tier {name[:40]!r}: known are {known}")
