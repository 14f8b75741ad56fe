"""Checks results in other processes, so that no customer or worker waits for a check.

    finding = await checker.check(job, payload, "leaves", siblings)

Cheap checks (the claim, the drawn leaves) run in a process (`checker_thread.py`). A full computation
goes to the supervised children of `engine/pool/pool.py`, on the validator's devices. The limits of
tasks bound memory and time.
"""

import asyncio
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from engine.jobs.blobs import BlobCache, BlobError, BlobRef
from engine.jobs.kind import JobRefused, JobWork
from engine.pool.executor import Executor
from engine.pool.messages import Computed, Done
from engine.runtime.errors import JobGivenUp
from engine.validator.checker_process import Claim, form_of, layers_of
from engine.validator.checker_thread import CheckerThread
from engine.validator.job_kinds import SEEDED, InstalledKinds
from engine.validator.market.actions import CheckKind, Finding, Passed
from engine.validator.store.jobs import JobRow
from kernels.work.inference import SPOT_SAMPLES, InferenceWork

SHORT_SEED = 1000


class ResultChecker:
    """Performs `actions.CheckResult`. Close it when nothing is checked any more."""

    def __init__(
        self,
        kinds: InstalledKinds,
        blobs: BlobCache,
        executor: Executor,
        layer_share: float = 1.0,
        samples: int = SPOT_SAMPLES,
    ) -> None:
        self._kinds = kinds
        self._blobs = blobs
        self._executor = executor
        self._layer_share, self._samples = layer_share, samples
        self._checks = CheckerThread()
        self.warm = self._checks.warm

    async def check(
        self, row: JobRow, payload: dict[str, Any], kind: CheckKind, siblings: bytes
    ) -> Finding:
        """Check a result. Does not raise, whatever goes wrong.

        A full disk or a plug-in's bug must not leave a result without a verdict.
        """
        try:
            job = self._kinds.job(payload) if _is_short(payload) else await self._parse(payload)
            if kind == "full":
                return await self._compute(row, job)
            return await self._check_cheaply(row, job, kind, siblings)
        except (JobRefused, BlobError, JobGivenUp) as error:
            return Finding(None, str(error))
        except Exception as error:  # noqa: BLE001 - see above
            return Finding(None, f"{type(error).__name__}: {error}")

    def close(self) -> None:
        """End the process."""
        self._checks.close()

    async def _parse(self, payload: dict[str, Any]) -> JobWork:
        return await asyncio.to_thread(self._kinds.job, payload)

    async def _check_cheaply(
        self, row: JobRow, job: JobWork, kind: CheckKind, siblings: bytes
    ) -> Finding:
        assert row.result_hash is not None
        data = None
        if kind == "claim" and row.data is not None and row.data_size is not None:
            data = self._blobs.data(BlobRef(row.data, row.data_size))
        if isinstance(job, InferenceWork):
            job = replace(job, layer_share=self._layer_share, samples=self._samples)
        root = bytes.fromhex(row.result_hash)
        return await self._checks.check(
            Claim(job, kind, root, row.proof, data, row.leaves, siblings)
        )

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
        layers = (
            () if outcome.data is None else await asyncio.to_thread(layers_of, job, outcome.data)
        )
        found, form = outcome.result_hash.hex(), form_of(job)
        if found == row.result_hash:
            proved = Finding(True)
            if row.proof is not None:
                proved = await self._check_cheaply(row, job, "claim", b"")
            found_too = replace(proved, passed=Passed("whole"), layers=layers, form=form)
            return replace(found_too, result_hash=found, data=data)
        # The worker gets this reason, and an accomplice may try next: it must not show the result.
        reason = f"computed again on {done.device}, the result is another one"
        return Finding(False, reason, found, data, layers=layers, form=form)


def _is_short(payload: dict[str, Any]) -> bool:
    """Return whether reading it takes no time worth a thread: it holds no data and names none."""
    return payload.get("challenge_type") == SEEDED and len(str(payload.get("seed"))) < SHORT_SEED
