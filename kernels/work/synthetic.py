"""`matrix_mult_v1` as a piece of work: a task, and how many leaves its proof opens."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from gettext import gettext as _

from kernels.check import check_leaves, check_proof, check_result
from kernels.commit.digest_tree import FEW_LEAVES, tree_of
from kernels.device import Commitment, Device
from kernels.digest import DIGEST_BYTES
from kernels.errors import InvalidProof
from kernels.operations import REFERENCE, Operations
from kernels.proof import Opening, longest_proof, most_openings, parse_proof
from kernels.task import Task
from kernels.work import Outcome
from kernels.work.committed import CommittedWork


@dataclass(frozen=True, slots=True)
class SyntheticWork(CommittedWork):
    """Compute `task`, with a proof of `openings` leaves, or of all where there are fewer."""

    task: Task
    openings: int

    def __reduce__(self) -> tuple[type["SyntheticWork"], tuple[Task, int]]:
        return SyntheticWork, (self.task, self.openings)

    @property
    def cost(self) -> int:
        """Multiply-adds."""
        return self.task.multiply_adds

    @property
    def bytes_needed(self) -> int:
        """Memory of the larger part: both operands and the result, and a tree of digests."""
        return 3 * self.task.n**2 + 2 * 32 * self.task.leaf_count

    @property
    def host_bytes(self) -> int:
        """Of these the host's memory at least, where it computes: B and the tree."""
        return self.task.n**2 + 2 * DIGEST_BYTES * self.task.leaf_count

    @property
    def card_bytes(self) -> int:
        """The card's memory at least, where one computes: B, R twice, the tree."""
        return self.bytes_needed

    @property
    def outcome_bytes(self) -> int:
        """Characters of the proof, and the digests of leaves that are few."""
        few = DIGEST_BYTES * self.leaf_count if self.leaf_count <= FEW_LEAVES else 0
        return longest_proof(self.task, self._openings) + few

    @property
    def leaf_count(self) -> int:
        """L of the specification."""
        return self.task.leaf_count

    def compute(self, device: Device) -> tuple[Outcome, Commitment]:
        """Root and proof, and the device's commitment."""
        return self._outcome(device.compute(self.task))

    def begin(self, device: Device) -> Callable[[], Outcome]:
        """Begin it on the device; what is returned waits for the outcome, and keeps its tree."""
        finish = device.begin(self.task)
        return lambda: self.keep(device, *self._outcome(finish()))

    def _outcome(self, commitment: Commitment) -> tuple[Outcome, Commitment]:
        leaves = commitment.leaf_digests() if self.leaf_count <= FEW_LEAVES else None
        outcome = Outcome(commitment.root, commitment.proof(self._openings), leaves=leaves)
        commitment.may_be_forgotten()  # a card computes it again sooner than it copies its tree
        return outcome, commitment

    def check(self, outcome: Outcome) -> None:
        """Check the proof: the leaves that the root itself draws, computed from the seed."""
        self.check_opened(outcome, (), b"")

    def check_opened(
        self,
        outcome: Outcome,
        leaves: Sequence[int],
        siblings: bytes,
        operations: Operations = REFERENCE,
    ) -> None:
        """Check the proof, and leaves that the caller drew, if any: what both need is computed once."""
        _check_tree(outcome, self.leaf_count)
        if outcome.proof is None:
            raise InvalidProof(_("there is no proof"))
        root, least = outcome.result_hash, self._openings
        if not leaves:
            check_proof(self.task, root, outcome.proof, least_openings=least, operations=operations)
            return
        check_result(
            self.task,
            root,
            outcome.proof,
            leaves,
            siblings,
            least_openings=least,
            operations=operations,
        )

    def proof_opening(self, outcome: Outcome) -> Opening:
        """Return what the proof opens, for whoever has its leaves computed elsewhere.

        Raises InvalidProof, also where the leaves that came along do not lead to the root.
        """
        _check_tree(outcome, self.leaf_count)
        if outcome.proof is None:
            raise InvalidProof(_("there is no proof"))
        root, least = outcome.result_hash, self._openings
        return parse_proof(self.task, root, outcome.proof, least_openings=least)

    def check_leaves(self, result_hash: bytes, leaves: Sequence[int], siblings: bytes) -> None:
        """Raise unless these leaves, computed from the seed, give the root."""
        check_leaves(self.task, result_hash, leaves, siblings)

    @property
    def _openings(self) -> int:
        return min(self.openings, most_openings(self.task))


def _check_tree(outcome: Outcome, leaf_count: int) -> None:
    """Raise InvalidProof where leaves came along, and are not those of the root."""
    if outcome.leaves is not None:
        tree_of(outcome.leaves, leaf_count, outcome.result_hash)
