"""Checks results in other processes, so that no customer or worker waits for a check.

    finding = await checker.check(job, payload, "leaves", siblings)

Cheap checks (the claim, the drawn leaves) run in a process, replaced when it dies or hangs; those that
come while others are under way go together. A full computation goes to the supervised children of
`engine/pool/pool.py`, on the validator's devices. The limits of tasks bound memory and time.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from engine.jobs.blobs import BlobCache, BlobError, BlobRef
from engine.jobs.kind import JobRefused, JobWork
from engine.pool.executor import Executor
from engine.pool.messages import Computed, Done
from engine.runtime.errors import JobGivenUp
from engine.validator.checker_process import Claim, form_of, layers_of
from engine.validator.checker_thread import CheckerDied, CheckerThread
from engine.validator.job_kinds import SEEDED, InstalledKinds
from engine.validator.market.actions import CheckKind, Finding, Passed
from engine.validator.store.jobs import JobRow
from kernels.work.inference import SPOT_SAMPLES, InferenceWork

PATIENCE_SECONDS = 60.0
SLOWEST_RATE = 2e8
"""Multiply-adds per second that every check is expected to reach."""
SHORT_SEED = 1000
MOST_TOGETHER = 64
"""Checks that go to a process together."""
COST_TOGETHER = 2**27
"""Multiply-adds of the jobs that are checked together: beyond it, the first would wait for the last."""


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
        self._waiting: list[tuple[Claim, asyncio.Future[Finding]]] = []
        self._at_work = False
        self._batches: set[asyncio.Task[None]] = set()

    def warm(self) -> None:
        """Start a process, which may have to compile its operations."""
        self._checks.submit(())

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
        claim = Claim(job, kind, root, row.proof, data, row.leaves, siblings)
        future: asyncio.Future[Finding] = asyncio.get_running_loop().create_future()
        self._waiting.append((claim, future))
        if not self._at_work:
            self._at_work = True
            batch = asyncio.ensure_future(self._run_batches())
            self._batches.add(batch)
            batch.add_done_callback(self._batches.discard)
        return await future

    async def _run_batches(self) -> None:
        """Have what waits checked, many at a time, until nothing does."""
        try:
            while batch := self._next_batch():
                claims, futures = zip(*batch, strict=True)
                try:
                    findings = await self._run(claims)
                except Exception as error:  # noqa: BLE001 - no process could be started, for one
                    findings = [Finding(None, f"{type(error).__name__}: {error}")] * len(batch)
                for future, finding in zip(futures, findings, strict=True):
                    if not future.cancelled():
                        future.set_result(finding)
        finally:
            self._at_work = (
                False  # at once: what comes before the task's callbacks would wait for ever
            )

    def _next_batch(self) -> list[tuple[Claim, "asyncio.Future[Finding]"]]:
        count, cost = 0, 0
        for claim, _future in self._waiting[:MOST_TOGETHER]:
            cost += claim.job.cost
            if count and cost > COST_TOGETHER:
                break
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    async def _run(self, claims: Sequence[Claim]) -> Sequence[Finding]:
        """Findings of these. Where a process dies or hangs over several, each is tried by itself."""
        patience = PATIENCE_SECONDS + sum(claim.job.cost for claim in claims) / SLOWEST_RATE
        future = self._checks.submit(claims)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), patience)
        except TimeoutError:
            reason = f"the check took more than {patience:.0f} s"
            self._checks.kill()
        except CheckerDied as error:
            reason = str(error)
        if len(claims) == 1:
            return [Finding(None, reason)]
        return [(await self._run([claim]))[0] for claim in claims]

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
