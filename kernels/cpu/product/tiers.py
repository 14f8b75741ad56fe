"""The microkernels by name, best first, and which of them this CPU can run.

tier = choose()            # or by_name("avx512vnni")
tier.build()               # a Microkernel; nothing is compiled yet
"""

from collections.abc import Callable
from dataclasses import dataclass
from gettext import gettext as _

from kernels.cpu.features import tiles_permitted, usable_features
from kernels.cpu.product import amx, pairs, vnni
from kernels.cpu.product.microkernel import Microkernel
from kernels.errors import DeviceUnavailable, KernelError


@dataclass(frozen=True, slots=True)
class Tier:
    """One way to multiply, by the features that it needs (LLVM's names)."""

    name: str
    features: frozenset[str]
    build: Callable[[], Microkernel]
    permitted: Callable[[], bool] = lambda: True

    def missing(self) -> str:
        """What it lacks here, in words, or nothing."""
        lacking = sorted(self.features - usable_features())
        if lacking:
            return f"this CPU has no {' and no '.join(lacking)}"
        return "" if self.permitted() else _("the system does not give AMX's tiles to this process")


TIERS = (
    Tier("amx", amx.FEATURES, lambda: amx.MICROKERNEL, tiles_permitted),
    Tier("avx512vnni", vnni.FEATURES_512, vnni.build_512),
    Tier("avxvnni", vnni.FEATURES_256, vnni.build_256),
    Tier("avx512", frozenset({"avx512f", "avx512bw"}), lambda: pairs.build(512)),
    Tier("avx2", frozenset({"avx2"}), lambda: pairs.build(256)),
    Tier("simd128", frozenset(), lambda: pairs.build(128)),
)


def usable_tiers() -> list[Tier]:
    """Those that run here, best first; the last one runs everywhere."""
    return [tier for tier in TIERS if not tier.missing()]


def choose() -> Tier:
    """The best tier for this CPU."""
    return usable_tiers()[0]


def by_name(name: str) -> Tier:
    """The tier of this name. Raises KernelError for none, DeviceUnavailable where it cannot run."""
    for tier in TIERS:
        if tier.name == name:
            missing = tier.missing()
            if missing:
                here = ", ".join(tier.name for tier in usable_tiers())
                raise DeviceUnavailable(
                    _("the tier {name} does not run here: {missing}").format(
                        name=name, missing=missing
                    ),
                    advice=_(
                        "Leave the tier out, and the best one is taken. Here run: {here}."
                    ).format(here=here),
                )
            return tier
    known = ", ".join(tier.name for tier in TIERS)
    raise KernelError(
        _("the device cpu has no tier {name!r}: known are {known}").format(
            name=name[:40], known=known
        )
    )
