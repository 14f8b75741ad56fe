"""Work whose result is committed to by a tree, so that any leaf of it can be asked for later.

    outcome = work.run(device)
    work.check(outcome)                                   # cheap, by the process that asked for it
    opening = OpeningWork(work, outcome.result_hash, leaves)  # leaves drawn after the commitment
    work.check_leaves(outcome.result_hash, leaves, opening.run(device).data)

The trees of a device's last results are kept (`TreeCache`), so an opening that is asked for soon costs
almost nothing. If the tree is gone, or the device or process is another one, the opening computes the
work again: the cost is the worker's, never the verifier's.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from gettext import gettext as _
from typing import ClassVar, Protocol
from weakref import WeakKeyDictionary

from kernels.device import Device
from kernels.digest import DIGEST_BYTES
from kernels.errors import WrongResult
from kernels.work import Outcome


class Tree(Protocol):
    """The tree above a result that was just computed."""

    def siblings(self, leaves: Sequence[int]) -> bytes:
        """Return the siblings of these leaves, in the proof's order. Raises InvalidProof."""


KEPT_LEAVES = 2**20
"""Leaves of all trees together that are kept for a device: 64 MiB of digests."""
LEAVES_BESIDE = 64
"""As many leaves more are counted for each tree: 4 KiB of objects that it takes beside its digests."""


class TreeCache:
    """The trees of a device's last results; the oldest go first."""

    def __init__(self, most_leaves: int = KEPT_LEAVES) -> None:
        self._most = most_leaves
        self._leaves = 0
        self._trees: dict[bytes, tuple[CommittedWork, Tree]] = {}

    def keep(self, work: "CommittedWork", result_hash: bytes, tree: Tree) -> None:
        """Keep it, unless it alone is too large."""
        self._drop(result_hash)
        self._trees[result_hash] = (work, tree)
        self._leaves += work.leaf_count + LEAVES_BESIDE
        while self._leaves > self._most:
            self._drop(next(iter(self._trees)))

    def find(self, work: "CommittedWork", result_hash: bytes) -> Tree | None:
        """Return the tree of this work, if it is still kept."""
        kept, tree = self._trees.get(result_hash, (None, None))
        is_kept = kept == work and getattr(tree, "is_kept", True)  # a device may have dropped it
        return tree if is_kept else None

    def _drop(self, result_hash: bytes) -> None:
        work, _tree = self._trees.pop(result_hash, (None, None))
        if work is not None:
            self._leaves -= work.leaf_count + LEAVES_BESIDE


_kept: "WeakKeyDictionary[Device, TreeCache]" = WeakKeyDictionary()


def trees_of(device: Device) -> TreeCache:
    """Return the device's cache of trees, which lives as long as the device."""
    return _kept.setdefault(device, TreeCache())


class CommittedWork(ABC):
    """A `DeviceWork` whose leaves can be opened later."""

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
    def outcome_bytes(self) -> int:
        """Bytes of an outcome, at most: no more than `run` has memory for."""
        return self.bytes_needed

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
        """Raise WrongResult or InvalidProof where the outcome is seen to be wrong."""

    @abstractmethod
    def check_leaves(self, result_hash: bytes, leaves: Sequence[int], siblings: bytes) -> None:
        """Raise unless these leaves, drawn by the caller, are the work's. Shares no fast kernel."""

    def run(self, device: Device) -> Outcome:
        """Do the work, and keep its tree."""
        return self.keep(device, *self.compute(device))

    def keep(self, device: Device, outcome: Outcome, tree: Tree) -> Outcome:
        """Keep the tree of a result; return the result."""
        trees_of(device).keep(self, outcome.result_hash, tree)
        return outcome

    def opening(self, result_hash: bytes, leaves: Sequence[int]) -> "OpeningWork":
        """Return the work of opening these leaves of a result that was submitted."""
        return OpeningWork(self, result_hash, tuple(leaves))


@dataclass(frozen=True, slots=True)
class OpeningWork:
    """Give the siblings of `leaves`, as the outcome's data; compute `work` again if need be."""

    work: CommittedWork
    result_hash: bytes
    leaves: tuple[int, ...]

    may_be_free: ClassVar[bool] = True
    """Its cost is an upper bound: a device's speed cannot be measured by it."""

    @property
    def cost(self) -> int:
        """Multiply-adds, at most: the whole work again."""
        return self.work.cost

    @property
    def bytes_needed(self) -> int:
        """Memory: the work's."""
        return self.work.bytes_needed

    @property
    def outcome_bytes(self) -> int:
        """Bytes: a sibling on each level, for each leaf."""
        return DIGEST_BYTES * len(self.leaves) * self.work.leaf_count.bit_length()

    def run(self, device: Device) -> Outcome:
        """Siblings in `data`. Raises WrongResult where the work now has another result."""
        tree = trees_of(device).find(self.work, self.result_hash)
        if tree is not None:
            return Outcome(self.result_hash, data=tree.siblings(self.leaves))
        outcome, tree = self.work.compute(device)
        if outcome.result_hash != self.result_hash:
            raise WrongResult(_("computed again, the work has a different result"))
        return Outcome(self.result_hash, data=tree.siblings(self.leaves))

    def check(self, outcome: Outcome) -> None:
        """Raise unless the siblings lead from the right leaves to the result that was submitted."""
        if outcome.result_hash != self.result_hash or outcome.data is None:
            raise WrongResult(_("the opening is not of the result that was submitted"))
        self.work.check_leaves(self.result_hash, self.leaves, outcome.data)
