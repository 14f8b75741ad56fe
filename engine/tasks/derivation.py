"""Derive a block's tasks: seed and id, by section 1 of the specification.

    task = BlockTask.derive(block_hash, address, index=0, size=1024, iterations=1)
    task.task_id, task.task.seed

The parent derives; a child sees a seed, never a block or an address.
"""

import hashlib
import re
import uuid
from dataclasses import dataclass
from gettext import gettext as _
from typing import Self

from engine.runtime.errors import BadInput
from engine.tasks.defaults import DEFAULT_ITERATIONS, DEFAULT_SIZE, MAX_TASKS_PER_BLOCK
from kernels.task import Task
from node_client.address import check_address

_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class BlockTask:
    """Task `index` of the block `block_hash` at `height` for one worker."""

    block_hash: str
    height: int
    worker_address: str
    index: int
    task_id: str
    task: Task

    @classmethod
    def derive(
        cls,
        block_hash: str,
        worker_address: str,
        *,
        index: int = 0,
        height: int = 0,
        size: int = DEFAULT_SIZE,
        iterations: int = DEFAULT_ITERATIONS,
    ) -> Self:
        """Derive the task. Raise BadInput, InvalidAddress or InvalidTask."""
        if not _HASH.fullmatch(block_hash):  # gettext looks for files on each call
            check_hash(block_hash, _("block hash"))
        check_address(worker_address)
        if not 0 <= index < MAX_TASKS_PER_BLOCK:
            raise BadInput(
                _("task index {index} is out of range: it must be 0 to 15").format(index=index)
            )
        return cls(
            block_hash=block_hash,
            height=height,
            worker_address=worker_address,
            index=index,
            task_id=derive_task_id(block_hash, worker_address, index),
            task=Task(derive_seed(block_hash, worker_address, index), size, iterations),
        )


def derive_seed(block_hash: str, worker_address: str, index: int) -> bytes:
    """Return 32 bytes: SHA-256 of block hash, address and, unless the index is 0, ":index"."""
    suffix = f":{index}" if index else ""
    return hashlib.sha256(f"{block_hash}{worker_address}{suffix}".encode("ascii")).digest()


def derive_task_id(block_hash: str, worker_address: str, index: int) -> str:
    """Return the task's UUIDv5, hyphenated, in lower case."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"cpc:task:{block_hash}:{worker_address}:{index}"))


def check_hash(text: str, what: str) -> str:
    """Return the text if it is 64 lower-case hex digits. Raise BadInput otherwise."""
    if not _HASH.fullmatch(text):
        raise BadInput(
            _(
                "{text!r} is not a valid {what}: it must be 64 lower-case hex digits, without 0x"
            ).format(text=text[:80], what=what)
        )
    return text


def check_result_hash(text: str) -> str:
    """Return a result's hash without a leading 0x, which the guide writes. Raise BadInput otherwise."""
    digits = text.removeprefix("0x")
    if "..." in digits or "\N{HORIZONTAL ELLIPSIS}" in digits:
        raise BadInput(
            _("{text!r} is the guide's placeholder for a result hash, not a hash").format(
                text=text[:80]
            ),
            advice=_(
                "Put a result's 64 lower-case hex digits there: `cpc-engine compute` prints them, and"
                " `cpc-engine mine` computes and sends results by itself."
            ),
        )
    return check_hash(digits, _("result hash"))


def check_task_id(text: str) -> str:
    """Return the text if it is a lower-case hyphenated UUID. Raise BadInput otherwise."""
    try:
        valid = str(uuid.UUID(text)) == text
    except ValueError:
        valid = False
    if not valid:
        raise BadInput(
            _(
                "{text!r} is not a valid task id: it must be a UUID in lower case with hyphens, such"
                " as 550e8400-e29b-41d4-a716-446655440000"
            ).format(text=text[:80])
        )
    return text
