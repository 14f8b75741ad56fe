"""Check results: a single one, or every result that a block holds.

    verify_block(client, height, least_openings=16)

A verifier never trusts what the result says about itself: seed and iterations come from the task,
which it derives again from the chain, and the least number of openings is its own. The size is the
verifier's as well, or else the proof's own, within limits: no block says which one was asked for, so
every verdict names it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from gettext import gettext as _

from engine.runtime.errors import BadInput, WrongClaim
from engine.tasks.defaults import (
    DEFAULT_ITERATIONS,
    DEFAULT_SIZE,
    LEAST_SIZE,
    MAX_TASKS_PER_BLOCK,
    MOST_SIZE,
    TASK_LIFETIME_BLOCKS,
)
from engine.tasks.derivation import BlockTask, check_hash, derive_task_id
from kernels.check import check_full, check_proof
from kernels.device import Device
from kernels.errors import InvalidProof, KernelError
from kernels.operations import REFERENCE, Operations
from kernels.proof import stated_size
from kernels.task import LEAF_BYTES, Task
from node_client.block import Block
from node_client.block_transaction import BlockTransaction
from node_client.errors import InvalidData, InvalidTransaction
from node_client.rpc import NodeClient
from node_client.transaction import ComputeResult

ENTRIES_WORTH_COMPILING = 100_000_000
"""numpy expands and multiplies some 300 million entries of B a second; loading Numba takes 0.3 s."""


@dataclass(frozen=True, slots=True)
class ResultVerdict:
    """The verdict on a result. `task_height` is the height of the block that its task comes from.

    `size` is that of the matrices it was judged as, None where it did not get so far.
    """

    tx_hash: str
    worker_address: str
    task_id: str
    result_hash: str = ""
    task_height: int | None = None
    task_index: int | None = None
    size: int | None = None
    right: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class BlockVerdict:
    """The verdicts on a block's results, in block order.

    `fault` says where what the node serves is not proven to be what the block holds. `past_faults`:
    the same of the blocks before, where an earlier result for a task may have been missed.
    """

    results: list[ResultVerdict]
    fault: str = ""
    past_faults: tuple[str, ...] = ()


def worth_compiling(size: int, iterations: int, openings: int) -> bool:
    """Return whether compiled operations save more on one proof than loading Numba costs.

    The entries of B to expand decide: all of B for each iteration but the last, and 256 rows per
    leaf for the last.
    """
    last = min(openings * LEAF_BYTES, size) * size
    return (iterations - 1) * size**2 + last > ENTRIES_WORTH_COMPILING


def verify_result(
    task: Task,
    result_hash: str,
    proof: str,
    *,
    least_openings: int,
    device: Device | None = None,
    operations: Operations = REFERENCE,
) -> None:
    """Raise WrongClaim unless the result is right.

    The proof must open `least_openings` leaves, or all where the result has fewer; `operations`
    compute them. With a `device` the whole result is computed again, and the proof may be empty.
    """
    try:
        root = bytes.fromhex(check_hash(result_hash, _("result hash")))
        least = min(least_openings, task.leaf_count)
        if proof or device is None:
            least = least if device is None else 0
            check_proof(task, root, proof, least_openings=least, operations=operations)
        if device is not None:
            check_full(task, root, device)
    except (KernelError, BadInput) as error:
        raise WrongClaim(str(error)) from error


def verify_block(
    client: NodeClient,
    height: int,
    *,
    size: int | None = None,
    iterations: int = DEFAULT_ITERATIONS,
    least_openings: int,
    device: Device | None = None,
    operations: Callable[[Task], Operations] = lambda _task: REFERENCE,
) -> BlockVerdict:
    """Return a verdict on each SUBMIT_RESULT of the block at `height`, in block order.

    `size` None: that of each proof's own header, where it is one that the network allows. Raises the
    node's errors; whatever a result holds is a verdict.
    """
    block = client.block(height)
    judge = _Judge(_Past(client, block), size, iterations, least_openings, device, operations)
    verdicts = [judge.verdict(tx) for tx in block.txs if tx.is_result]
    return BlockVerdict(verdicts, block.fault, tuple(judge.past.faults))


class _Judge:
    """Judges one result after another of a block."""

    def __init__(
        self,
        past: "_Past",
        size: int | None,
        iterations: int,
        least_openings: int,
        device: Device | None,
        operations: Callable[[Task], Operations],
    ) -> None:
        self.past = past
        self._size = size
        self._iterations = iterations
        self._least_openings = least_openings
        self._device = device
        self._operations = operations
        self._seen: set[tuple[str, str]] = set()

    def verdict(self, tx: BlockTransaction) -> ResultVerdict:
        """Judge this SUBMIT_RESULT."""
        verdict = ResultVerdict(tx.hash() or "", tx.from_address, tx.task_id or "")
        try:
            result = tx.compute_result()
        except InvalidTransaction:
            return replace(verdict, reason=_("it is not a matrix result"))
        verdict = replace(verdict, task_id=result.task_id, result_hash=result.result_hash)
        try:
            if result.worker_address != tx.from_address:
                raise WrongClaim(_("worker_address is not the sender's"))
            if self.past.block.fault and tx.own(tx.from_address) is None:
                raise WrongClaim(_("nothing shows that its sender sent it"))
            found = self.past.find_task(result)
            verdict = replace(verdict, task_height=found.height, task_index=found.index)
            this = (result.worker_address, result.task_id)
            if this in self._seen:
                raise WrongClaim(_("the block holds a result for this task already"))
            self._seen.add(this)
            size = found_size(result.proof) if self._size is None else self._size
            verdict = replace(verdict, size=size)
            self._check(result, found, size)
        except (WrongClaim, InvalidData, KernelError) as error:
            return replace(verdict, reason=str(error))
        return replace(verdict, right=True)

    def _check(self, result: ComputeResult, found: "_Found", size: int) -> None:
        task = BlockTask.derive(
            found.block_hash,
            result.worker_address,
            index=found.index,
            size=size,
            iterations=self._iterations,
        ).task
        verify_result(
            task,
            result.result_hash,
            result.proof,
            least_openings=self._least_openings,
            device=self._device,
            operations=self._operations(task),
        )


def found_size(proof: str) -> int:
    """Return the size that a block's proof states. Raises WrongClaim for one that is not allowed.

    Without a proof it is the network's own.
    """
    if not proof:
        return DEFAULT_SIZE
    try:
        size = stated_size(proof)
    except InvalidProof as error:
        raise WrongClaim(str(error)) from None
    if not LEAST_SIZE <= size <= MOST_SIZE:
        message = _("its proof is for size {size}; without --size it must be {least} to {most}")
        raise WrongClaim(message.format(size=size, least=LEAST_SIZE, most=MOST_SIZE))
    return size


@dataclass(frozen=True, slots=True)
class _Found:
    height: int
    block_hash: str
    index: int


class _Past:
    """The blocks before one, fetched as far back as needed, each checked against its successor."""

    def __init__(self, client: NodeClient, block: Block) -> None:
        self.block = block
        self.faults: list[str] = []
        self._client = client
        self._hashes: list[tuple[int, str]] = []  # newest first
        self._answered: dict[tuple[str, str], int] = {}  # worker, task id -> height
        self._oldest = block

    def find_task(self, result: ComputeResult) -> _Found:
        """Return the block and index that give this task id. Raise WrongClaim if there are none."""
        for depth in range(TASK_LIFETIME_BLOCKS):
            if depth == len(self._hashes) and not self._step_back():
                break
            height, block_hash = self._hashes[depth]
            for index in range(MAX_TASKS_PER_BLOCK):
                if derive_task_id(block_hash, result.worker_address, index) == result.task_id:
                    answered = self._answered.get((result.worker_address, result.task_id))
                    if answered is not None:
                        message = _("block {answered} holds a result for this task")
                        raise WrongClaim(message.format(answered=answered))
                    return _Found(height, block_hash, index)
        raise WrongClaim(_("its task comes from none of the 100 blocks before"))

    def _step_back(self) -> bool:
        if self._hashes:
            if self._hashes[-1][0] == 0:
                return False
            self._read(*self._hashes[-1])
        self._hashes.append((self._oldest.height - 1, self._oldest.header.prev_hash))
        return True

    def _read(self, height: int, block_hash: str) -> None:
        block = self._oldest = self._client.block(height, expected_hash=block_hash)
        if block.fault:
            self.faults.append(block.fault)
        for tx in block.txs:
            # What no root covers is still its sender's where it is signed.
            proven = not block.fault or tx.own(tx.from_address) is not None
            if proven and tx.is_result and tx.task_id is not None:
                self._answered[tx.from_address, tx.task_id] = height
