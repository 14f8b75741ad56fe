"""Check results: a single one, or every result that a block holds.

    verify_block(client, height, size=1024, iterations=1, least_openings=16)

A verifier never trusts what the result says about itself: seed, n and iterations come from the
task, which it derives again from the chain, and the least number of openings is its own.
"""

from dataclasses import dataclass
from gettext import gettext as _

from engine.runtime.errors import WrongClaim
from engine.tasks.defaults import (
    DEFAULT_ITERATIONS,
    DEFAULT_SIZE,
    MAX_TASKS_PER_BLOCK,
    TASK_LIFETIME_BLOCKS,
)
from engine.tasks.derivation import BlockTask, derive_task_id
from kernels.check import check_full, check_proof
from kernels.device import Device
from kernels.errors import KernelError
from kernels.operations import REFERENCE, Operations
from kernels.task import LEAF_BYTES, Task
from node_client.block import Block
from node_client.errors import InvalidTransaction
from node_client.rpc import NodeClient
from node_client.transaction import ComputeResult

ENTRIES_WORTH_COMPILING = 100_000_000
"""numpy expands and multiplies some 300 million entries of B a second; loading Numba takes 0.3 s."""


@dataclass(frozen=True, slots=True)
class ResultVerdict:
    """The verdict on a result. `task_height` is the height of the block that its task comes from."""

    tx_hash: str
    worker_address: str
    task_id: str
    result_hash: str
    task_height: int | None
    task_index: int | None
    right: bool
    reason: str


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
        root = bytes.fromhex(result_hash)
        least = min(least_openings, task.leaf_count)
        if proof or device is None:
            least = least if device is None else 0
            check_proof(task, root, proof, least_openings=least, operations=operations)
        if device is not None:
            check_full(task, root, device)
    except (KernelError, ValueError) as error:
        raise WrongClaim(str(error)) from error


def verify_block(
    client: NodeClient,
    height: int,
    *,
    size: int = DEFAULT_SIZE,
    iterations: int = DEFAULT_ITERATIONS,
    least_openings: int,
    device: Device | None = None,
    operations: Operations = REFERENCE,
) -> list[ResultVerdict]:
    """Return a verdict on each SUBMIT_RESULT of the block at `height`, in block order."""
    block = client.block(height)
    past = _Past(client, block)
    verdicts: list[ResultVerdict] = []
    for tx in block.txs:
        if not tx.is_result:
            continue
        result, found, reason = None, None, ""
        try:
            result = tx.compute_result()
            if result.worker_address != tx.from_address:
                raise WrongClaim(_("worker_address is not the sender's"))
            found = past.find_task(result)
            this = (result.worker_address, result.task_id)
            if any((earlier.worker_address, earlier.task_id) == this for earlier in verdicts):
                raise WrongClaim(_("the block holds a result for this task already"))
            task = BlockTask.derive(
                found.block_hash,
                result.worker_address,
                index=found.index,
                size=size,
                iterations=iterations,
            ).task
            verify_result(
                task,
                result.result_hash,
                result.proof,
                least_openings=least_openings,
                device=device,
                operations=operations,
            )
        except (WrongClaim, InvalidTransaction) as error:
            reason = str(error)
        verdicts.append(
            ResultVerdict(
                tx_hash=tx.hash() or "",
                worker_address=tx.from_address,
                task_id=result.task_id if result else "",
                result_hash=result.result_hash if result else "",
                task_height=found.height if found else None,
                task_index=found.index if found else None,
                right=not reason,
                reason=reason,
            )
        )
    return verdicts


@dataclass(frozen=True, slots=True)
class _Found:
    height: int
    block_hash: str
    index: int


class _Past:
    """The blocks before one, fetched as far back as needed, each checked against its successor."""

    def __init__(self, client: NodeClient, block: Block) -> None:
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
        self._oldest = self._client.block(height, expected_hash=block_hash)
        for tx in self._oldest.txs:
            if tx.is_result and tx.task_id is not None:
                self._answered[tx.from_address, tx.task_id] = height
