"""Checks results in other processes, so that no customer or worker waits for a check.

    finding = await checker.check(job, payload, "leaves", siblings)

Cheap checks (the claim, the drawn leaves) run in a small pool of processes, replaced when one of them
dies or hangs; a full computation goes to the supervised children of `engine/pool/pool.py`, on the
validator's devices. The limits of tasks bound memory and time.
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
from engine.jobs.kind import JobRefused, JobWork
from engine.pool.executor import Executor
from engine.pool.messages import Computed, Done
from engine.runtime.child_entry import die_with_parent
from engine.runtime.confinement import confine
from engine.runtime.errors import JobGivenUp
from engine.runtime.safe_path import safe_path
from engine.validator.job_kinds import InstalledKinds
from engine.validator.market.actions import CheckKind, Finding
from engine.validator.store.jobs import JobRow
from kernels.data import Data
from kernels.errors import InvalidProof, KernelError, WrongResult
from kernels.work import Outcome

PATIENCE_SECONDS = 60.0
SLOWEST_RATE = 2e8
"""Multiply-adds per second that every check is expected to reach."""


class ResultChecker:
    """Performs `actions.CheckResult`. Close it when nothing is checked any more."""

    def __init__(
        self, kinds: InstalledKinds, blobs: BlobCache, executor: Executor, *, processes: int = 1
    ) -> None:
        self._kinds = kinds
        self._blobs = blobs
        self._executor = executor
        self._processes = processes
        self._pool = self._new_pool()

    async def check(
        self, row: JobRow, payload: dict[str, Any], kind: CheckKind, siblings: bytes
    ) -> Finding:
        """Check a result. Does not raise, whatever goes wrong.

        A full disk or a plug-in's bug must not leave a result without a verdict.
        """
        try:
            job = await asyncio.to_thread(self._kinds.job, payload)
            if kind == "full":
                return await self._compute(row, job)
            return await self._check_cheaply(row, job, kind, siblings)
        except (JobRefused, BlobError, JobGivenUp) as error:
            return Finding(None, str(error))
        except Exception as error:  # noqa: BLE001 - see above
            return Finding(None, f"{type(error).__name__}: {error}")

    def close(self) -> None:
        """End the processes."""
        _end(self._pool)

    async def _check_cheaply(
        self, row: JobRow, job: JobWork, kind: CheckKind, siblings: bytes
    ) -> Finding:
        assert row.result_hash is not None
        data = None
        if kind == "claim" and row.data is not None and row.data_size is not None:
            data = self._blobs.data(BlobRef(row.data, row.data_size))
        with safe_path():  # the first submission starts a process
            future = self._pool.submit(
                run_check,
                job,
                kind,
                bytes.fromhex(row.result_hash),
                row.proof,
                data,
                row.leaves,
                siblings,
            )
        patience = PATIENCE_SECONDS + job.cost / SLOWEST_RATE
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), patience)
        except TimeoutError:
            self._renew_pool()
            return Finding(None, f"the check took more than {patience:.0f} s")
        except BrokenProcessPool:
            self._renew_pool()
            return Finding(None, "the process that checked it died")

    async def _compute(self, row: JobRow, job: JobWork) -> Finding:
        # No time limit, however long the queue is: the supervisor sees whether the device hangs.
        future: Future[Computed | Done] = self._executor.submit(job, name=row.job_id)
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
        # The worker gets this reason, and an accomplice may try next: it must not show the result.
        return Finding(
            False, f"computed again on {done.device}, the result is another one", found, data
        )

    def _new_pool(self) -> ProcessPoolExecutor:
        with safe_path():  # its queues may start multiprocessing's resource tracker
            return ProcessPoolExecutor(
                self._processes,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_begin,
                initargs=(os.getpid(),),
            )

    def _renew_pool(self) -> None:
        """Replace the pool; futures of the old one raise BrokenProcessPool."""
        old, self._pool = self._pool, self._new_pool()
        _end(old)


def _begin(parent: int) -> None:
    die_with_parent(parent)  # else it outlives a validator that gets `kill -9`
    confine()


def run_check(
    job: JobWork,
    kind: CheckKind,
    result_hash: bytes,
    proof: str | None,
    data: Data | None,
    leaves: tuple[int, ...],
    siblings: bytes,
) -> Finding:
    """Do one cheap check; runs in the pool."""
    check: Callable[[], None]
    if kind == "claim":
        content = None if data is None else data.read()
        check = lambda: job.check(Outcome(result_hash, proof, content))  # noqa: E731
    else:
        check = lambda: job.check_leaves(result_hash, leaves, siblings)  # noqa: E731
    try:
        check()
    except (InvalidProof, WrongResult) as error:
        return Finding(False, str(error))
    except KernelError as error:  # no memory, or an input is gone: nothing is known
        return Finding(None, str(error))
    return Finding(True)


def _end(pool: ProcessPoolExecutor) -> None:
    for process in list((pool._processes or {}).values()):
        with contextlib.suppress(OSError):
            process.kill()
    pool.shutdown(wait=False, cancel_futures=True)
