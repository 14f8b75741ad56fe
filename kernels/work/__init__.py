"""Work for a child process besides a chain's task: a value that knows how to run and how to be checked.

    outcome = work.run(device)  # in the child
    work.check(outcome)         # in the parent

A `DeviceWork` is a frozen value that can be pickled, so it goes to the child as it is. The parent
checks what comes back and trusts no device.
"""

from dataclasses import dataclass
from typing import Protocol

from kernels.device import Device


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a piece of work."""

    result_hash: bytes
    """32 bytes: the commitment to the result."""
    proof: str | None = None
    """Lower-case hex, where this kind of work has a proof."""
    data: bytes | None = None
    """The result itself, where it was asked for."""
    leaves: bytes | None = None
    """The digests of all leaves, joined, where the commitment is their root, and they are few."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check looked at: anybody who has the result can repeat it from the check's seed."""

    what: str
    """One of: hash, samples, layers, product."""
    rows: tuple[int, ...] = ()
    """The rows of the result, where not all of it was checked."""


class DeviceWork(Protocol):
    """Work for one device. Every field of it is a value, none is an open file or a lock."""

    @property
    def cost(self) -> int:
        """Multiply-adds: deadlines are calculated from it."""

    @property
    def bytes_needed(self) -> int:
        """Memory that `run` takes at most, besides the work itself."""

    @property
    def outcome_bytes(self) -> int:
        """Bytes of proof (a character each) and data together that an outcome has at most."""

    def run(self, device: Device) -> Outcome:
        """Do it. Raises TaskTooLarge before anything is allocated, or another KernelError."""

    def check(self, outcome: Outcome) -> None:
        """Raise WrongResult or InvalidProof for a wrong outcome; far cheaper than `run`."""
