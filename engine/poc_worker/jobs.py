"""One job of one validator, from its arrival to the verdict, and the shelf where answered ones lie."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, cast

from engine.jobs.blobs import BlobRef
from engine.jobs.kind import JobRefused, JobWork
from engine.poc_protocol import frames
from engine.poc_protocol.constants import OPEN_SECONDS, ErrorCode
from engine.poc_worker.job_ledger import Offer, Result
from engine.runtime.errors import EngineError, JobGivenUp

ANSWERED_BYTES = 64 * 2**20
"""Payloads and leaves of answered jobs that are kept for openings, at most."""

Spawn = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]
"""Starts a coroutine whose error, if any, ends the worker: the disk is full, say."""

_CODES: dict[str, ErrorCode] = {
    "invalid": "invalid_payload",
    "too_large": "too_large",
    "expired": "deadline",
    "cancelled": "cancelled",
}


@dataclass(slots=True, eq=False)
class Assignment:
    """`connection`: the number of the connection on which it was asked for last.

    `size`: bytes of the frame. `refs`: blobs that it needs.
    """

    frame: frames.JobRequest
    offer: Offer
    size: int
    connection: int
    result: Result | None = None
    task: "asyncio.Task[None] | None" = None
    refs: tuple[BlobRef, ...] = ()
    job: JobWork | None = None
    """The payload, read; None as long as the ledger has the answer."""
    leaves: bytes | None = None
    """The digests of all leaves of the result, where they came along with it."""
    opens: int = 0
    answered_at: float = 0.0

    @property
    def kept_bytes(self) -> int:
        """What is kept of it for openings, in bytes."""
        return self.size + len(self.leaves or b"")


class AnsweredJobs:
    """Answered jobs, which may be opened for 60 s or until the verdict. The oldest fall off."""

    def __init__(self, dropped: Callable[[Assignment], None]) -> None:
        """`dropped` is told of each that is forgotten."""
        self._dropped = dropped
        self._lying: dict[str, Assignment] = {}
        self._bytes = 0

    def put(self, assignment: Assignment) -> None:
        """The answer goes out now. One that comes again has been opened as often as before."""
        job_id = assignment.offer.job_id
        if (before := self._lying.get(job_id)) is not None:
            assignment.opens = before.opens
            self.drop(job_id)
        assignment.answered_at = time.monotonic()
        self._lying[job_id] = assignment
        self._bytes += assignment.kept_bytes
        while self._bytes > ANSWERED_BYTES:
            self.drop(next(iter(self._lying)))
        self.drop_old()

    def get(self, job_id: str) -> Assignment | None:
        """The job, where it may still be opened."""
        self.drop_old()
        return self._lying.get(job_id)

    def drop(self, job_id: str) -> None:
        """It will not be opened any more."""
        assignment = self._lying.pop(job_id, None)
        if assignment is not None:
            self._bytes -= assignment.kept_bytes
            self._dropped(assignment)

    def drop_old(self) -> None:
        """Drop those whose time is over."""
        oldest = time.monotonic() - OPEN_SECONDS
        for job_id, assignment in list(self._lying.items()):
            if assignment.answered_at >= oldest:
                break
            self.drop(job_id)


def wire_code(error: EngineError) -> ErrorCode:
    """The protocol's word for why there is no result."""
    if isinstance(error, JobRefused):
        return cast(ErrorCode, error.code)
    if isinstance(error, JobGivenUp):
        return _CODES.get(error.code, "failed")
    return "failed"
