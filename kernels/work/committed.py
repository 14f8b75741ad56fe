"""Work whose result is committed to by a tree, so that any leaf of it can be asked for later.

    outcome = work.run(device)
    work.check(outcome)                                   # cheap, by whoever asked for the work
    opening = Opening(work, outcome.result_hash, leaves)  # leaves drawn after the commitment
    work.check_leaves(outcome.result_hash, leaves, opening.run(device).data)

No tree is kept between the two: an opening computes the work again. That costs the one who answers,
never the one who asks, and nothing is lost when a process ends in between.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from kernels.device import Device
from kernels.errors import WrongResult
from kernels.work import Outcome


class Tree(Protocol):
    """The tree above a result that was just computed."""

    def siblings(self, leaves: Sequence[int]) -> bytes:
        """What leads from these leaves to the root, in the proof's order. Raises InvalidProof."""


class CommittedWork(ABC):
    """A `DeviceWork` whose leaves can be opened, and which says what returns to whom."""

    __slots__ = ()

    @property
    @abstractmethod
    def cost(self) -> int:
        """Multiply-adds."""

    @property
    @abstractmethod
    def bytes_needed(self) -> int:
        """Memory that `run` takes at most."""

    @property
    @abstractmethod
    def leaf_count(self) -> int:
        """Leaves below the result's root."""

    @property
    def returns_data(self) -> bool:
        """Whether the result itself goes back with its hash."""
        return False

    @abstractmethod
    def compute(self, device: Device) -> tuple[Outcome, Tree]:
        """Do the work: the outcome, and its tree. Raises TaskTooLarge before it allocates anything."""

    @abstractmethod
    def check(self, outcome: Outcome) -> None:
        """Raise WrongResult or InvalidProof where this outcome is none, as far as it can tell."""

    @abstractmethod
    def check_leaves(self, result_hash: bytes, leaves: Sequence[int], siblings: bytes) -> None:
        """Raise unless these leaves, drawn by the caller, are the work's. Shares no fast kernel."""

    def run(self, device: Device) -> Outcome:
        """Do the work."""
        outcome, _ = self.compute(device)
        return outcome

    def opening(self, result_hash: bytes, leaves: Sequence[int]) -> "Opening":
        """The work of opening these leaves of a result that was handed in."""
        return Opening(self, result_hash, tuple(leaves))


@dataclass(frozen=True, slots=True)
class Opening:
    """Compute `work` again and give the siblings of `leaves`, as the outcome's data."""

    work: CommittedWork
    result_hash: bytes
    leaves: tuple[int, ...]

    @property
    def cost(self) -> int:
        """Multiply-adds: the whole work again."""
        return self.work.cost

    @property
    def bytes_needed(self) -> int:
        """Memory: the work's."""
        return self.work.bytes_needed

    def run(self, device: Device) -> Outcome:
        """Siblings in `data`. Raises WrongResult where the work now has another result."""
        outcome, tree = self.work.compute(device)
        if outcome.result_hash != self.result_hash:
            raise WrongResult("computed again, the result is another one")
        return Outcome(self.result_hash, data=tree.siblings(self.leaves))

    def check(self, outcome: Outcome) -> None:
        """Raise unless the siblings lead from the right leaves to the result that was handed in."""
        if outcome.result_hash != self.result_hash or outcome.data is None:
            raise WrongResult("the opening is not of the result that was handed in")
        self.work.check_leaves(self.result_hash, self.leaves, outcome.data)
