"""What a child can be given besides a chain's task: a piece of work that knows how to run itself.

    outcome = work.run(device)  # in the child
    work.check(outcome)         # in the parent

A `DeviceWork` is a frozen value that can be pickled: it goes to the child as it is. Whatever comes
back is checked by the parent, which trusts no device.
"""

from dataclasses import dataclass
from typing import Protocol

from kernels.device import Device


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the work came to."""

    result_hash: bytes
    """32 bytes: the commitment to the result."""
    proof: str | None = None
    """Lower-case hex, where this kind of work has a proof."""
    data: bytes | None = None
    """The result itself, where somebody may want it."""


class DeviceWork(Protocol):
    """Work for one device. Every field of it is a value, none is an open file or a lock."""

    @property
    def cost(self) -> int:
        """Multiply-adds: what a deadline is reckoned from."""

    @property
    def bytes_needed(self) -> int:
        """Memory that `run` takes at most, besides the work itself."""

    def run(self, device: Device) -> Outcome:
        """Do it. Raises TaskTooLarge before anything is allocated, or another KernelError."""

    def check(self, outcome: Outcome) -> None:
        """Raise WrongResult (or InvalidProof) where this outcome is none; far cheaper than `run`."""
