"""Looks at results, in processes of their own: nothing here keeps a customer or a worker waiting.

    finding = await inspector.inspect(job, payload, "leaves", siblings)

What is cheap (the claim, the drawn leaves) runs in a small pool of processes that is made anew when
one of them dies or hangs; a full computation goes to the supervised children of `engine/pool/pool.py`,
on whatever device the validator has. Memory and time are bounded by what a task may ask for at all.
"""

import asyncio
import contextlib
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from engine.jobs.blobs import BlobCache, BlobError, BlobRef
from engine.jobs.kind import Job, JobRefused
from engine.pool.executor import Desk
from engine.pool.messages import Computed, Done
from engine.runtime.child_entry import die_with_parent
from engine.runtime.errors import JobGivenUp
from engine.validator.job_kinds import InstalledKinds
from engine.validator.market.actions import Finding, What
from engine.validator.store.jobs import JobRow
from kernels.data import Data
from kernels.errors import InvalidProof, KernelError, WrongResult
from kernels.work import Outcome

PATIENCE_SECONDS = 60.0
SLOWEST_RATE = 2e8
"""Multiply-adds a second, with which every inspection is reckoned to end."""


class Inspector:
    """Carries out `actions.Inspect`. Close it when nothing is inspected any more."""

    def __init__(
        self, kinds: InstalledKinds, blobs: BlobCache, desk: Desk, *, processes: int = 1
    ) -> None:
        self._kinds = kinds
        self._blobs = blobs
        self._desk = desk
        self._processes = processes
        self._pool = self._new_pool()

    async def inspect(
        self, row: JobRow, payload: dict[str, Any], what: What, siblings: bytes
    ) -> Finding:
        """What the inspection of a result comes to; it does not raise, whatever goes wrong.

        A disk that is full, or a slip of a plug-in's, must not leave a result without a verdict.
        """
        try:
            job = await asyncio.to_thread(self._kinds.job, payload)
            if what == "full":
                return await self._compute(row, job)
            return await self._look(row, job, what, siblings)
        except (JobRefused, BlobError, JobGivenUp) as error:
            return Finding(None, str(error))
        except Exception as error:  # noqa: BLE001 - see above
            return Finding(None, f"{type(error).__name__}: {error}")

    def close(self) -> None:
        """End the processes."""
        _end(self._pool)

    async def _look(self, row: JobRow, job: Job, what: What, siblings: bytes) -> Finding:
        assert row.result_hash is not None
        data = None
        if what == "claim" and row.data is not None and row.data_size is not None:
            data = self._blobs.data(BlobRef(row.data, row.data_size))
        look = self._pool.submit(
            look_at,
            job,
            what,
            bytes.fromhex(row.result_hash),
            row.proof,
            data,
            row.leaves,
            siblings,
        )
        patience = PATIENCE_SECONDS + job.cost / SLOWEST_RATE
        try:
            return await asyncio.wait_for(asyncio.wrap_future(look), patience)
        except TimeoutError:
            self._renew_pool()
            return Finding(None, f"the check took more than {patience:.0f} s")
        except BrokenProcessPool:
            self._renew_pool()
            return Finding(None, "the process that checked it died")

    async def _compute(self, row: JobRow, job: Job) -> Finding:
        # However long the line is: who supervises the device sees whether it hangs.
        future: Future[Computed | Done] = self._desk.submit(job, name=row.job_id)
        done = await asyncio.wrap_future(future)
        assert isinstance(done, Done)
        outcome = done.outcome
        data = None
        if job.returns_data and outcome.data is not None:
            kept = await asyncio.to_thread(self._blobs.put, outcome.data)
            data = (kept.sha256, kept.size)
        found = outcome.result_hash.hex()
        if found == row.result_hash:
            return Finding(True, result_hash=found, data=data)
        # The reason is told to the worker, whose accomplice may have the next try: without the result.
        return Finding(
            False, f"computed again on {done.device}, the result is another one", found, data
        )

    def _new_pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self._processes,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=die_with_parent,  # else `kill -9` of the validator leaves them behind
            initargs=(os.getpid(),),
        )

    def _renew_pool(self) -> None:
        """Another pool; whoever waits at the old one is told that it broke."""
        old, self._pool = self._pool, self._new_pool()
        _end(old)


def look_at(
    job: Job,
    what: What,
    result_hash: bytes,
    proof: str | None,
    data: Data | None,
    leaves: tuple[int, ...],
    siblings: bytes,
) -> Finding:
    """One cheap check; runs in the pool, and in tests by itself."""
    check: Callable[[], None]
    if what == "claim":
        content = None if data is None else data.read()
        check = lambda: job.check(Outcome(result_hash, proof, content))  # noqa: E731
    else:
        check = lambda: job.check_leaves(result_hash, leaves, siblings)  # noqa: E731
    try:
        check()
    except (InvalidProof, WrongResult) as error:
        return Finding(False, str(error))
    except KernelError as error:  # no room, or an input that is gone: nothing is known
        return Finding(None, str(error))
    return Finding(True)


def _end(pool: ProcessPoolExecutor) -> None:
    for process in list((pool._processes or {}).values()):
        with contextlib.suppress(OSError):
            process.kill()
    pool.shutdown(wait=False, cancel_futures=True)
