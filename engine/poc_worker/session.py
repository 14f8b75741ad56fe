"""The worker's side of the protocol with one validator, over as many connections as it takes.

    session.connected(say)      # a connection stands; `say` sends a frame over it
    session.take(read, size)    # a frame came, or was refused
    session.lost()              # the connection is gone

    job --> known? --from the ledger--------------------------------------> say it
            new? --room?--> read, fetch its data --> devices --> write it down --> say it

What is written down is written in groups (`engine/runtime/group_commit.py`), and said afterwards.
Work goes on while the connection is cut: what it comes to is written down, and waits until the job
comes again.
"""

import asyncio
import time
from functools import partial
from gettext import gettext as _

from engine.jobs.blob_fetcher import BlobFetcher
from engine.jobs.blobs import BlobError, BlobRef
from engine.jobs.kind import JobRefused, Unsupported
from engine.jobs.registry import needed_blobs, parse_job
from engine.monitor.events import poc as events
from engine.poc_protocol import frames
from engine.poc_protocol.constants import ErrorCode
from engine.poc_protocol.decoder import Refusal
from engine.poc_protocol.digests import payload_digest
from engine.poc_protocol.frames import one_line
from engine.poc_worker.context import JobSlots, WorkerContext
from engine.poc_worker.forecast import refuse_what_cannot_end, refuse_what_does_not_fit
from engine.poc_worker.job_ledger import Known, Offer, Result
from engine.poc_worker.jobs import Assignment, Spawn, wire_code
from engine.poc_worker.openings import Openings
from engine.poc_worker.replies import Replies, Say, data_ref
from engine.poc_worker.standing import Standing
from engine.pool.messages import Done
from engine.runtime.errors import BadInput, DatabaseError, JobGivenUp
from kernels.data import Data

FRAMES_OF_A_JOB = 3
"""Its `open`, its verdict, and the job that comes after it."""


class Session:
    """See the module. For one event loop."""

    def __init__(self, url: str, context: WorkerContext, spawn: Spawn, standing: Standing) -> None:
        self.replies = Replies(url, context)
        self.standing = standing
        self._url = url
        self._context = context
        self._changes = context.ledger.changes
        self._spawn = spawn
        self.earned = 0
        """Frames that the validator may send for work that was done here."""
        self.room = JobSlots(context.jobs)
        self._at_work: dict[str, Assignment] = {}
        self._openings = Openings(self.replies, context, spawn)
        self._fetcher = BlobFetcher(context.blobs, self.replies.say)

    def connected(self, say: Say) -> None:
        """A new connection stands."""
        self.replies.connected(say)
        self._fetcher.connected()

    def lost(self) -> None:
        """It is gone."""
        self.replies.lost()
        self._fetcher.lost()

    def drop_jobs(self) -> None:
        """Cancel what is at work: nobody will be told of it."""
        for assignment in list(self._at_work.values()):
            if assignment.task is not None:
                assignment.task.cancel()

    def tick(self) -> None:
        """Time passed: call this now and then."""
        self._openings.tick()

    def take(self, read: frames.Frame | Refusal, size: int) -> None:
        """A frame of `size` bytes came. Raises DatabaseError."""
        self._context.way.let_pass()
        match read:
            case Refusal():
                self.replies.refuse_frame(read)
            case frames.Challenge():
                self.replies.answer(read)
            case frames.JobRequest():
                self._on_job(read, size)
            case frames.Cancel():
                self._on_cancel(read)
            case frames.Open():
                self._openings.open(read)
            case frames.BlobRequest():
                self._openings.give_data(read)
            case frames.BlobChunk():
                self._fetcher.take(read)
            case frames.Verdict():
                self._on_verdict(read)

    def _on_job(self, frame: frames.JobRequest, size: int) -> None:
        kind = frame.payload.get("challenge_type")
        offer = Offer(
            self._url,
            frame.job_id,
            frame.task_id,
            one_line(kind, 64) if isinstance(kind, str) else "",
            payload_digest(frame.payload),
        )
        known = self._context.ledger.find(self._url, frame.job_id)
        current = self._at_work.get(frame.job_id)
        before = current.offer if current is not None else known.offer if known else offer
        if before != offer:
            message = _("another job came under this id before")
            self.replies.refuse(frame.job_id, "invalid_payload", message)
        elif current is not None:
            current.connection = self.replies.connection
        elif self.room.enter(size, silent=not self.replies.greeted):
            result = known.result if known is not None else None
            assignment = Assignment(frame, offer, size, self.replies.connection, result)
            self._at_work[frame.job_id] = assignment
            assignment.task = self._spawn(self._work(assignment))
            assignment.task.add_done_callback(partial(self._leave, assignment))
        else:
            message = _("as many jobs as this worker takes are at work")
            self.replies.refuse(frame.job_id, "busy", message)

    async def _work(self, assignment: Assignment) -> None:
        """To the end, whatever the end is."""
        deadline = assignment.frame.deadline
        try:
            async with asyncio.timeout(None if deadline is None else deadline - time.time()):
                result = await self._result(assignment)
        except TimeoutError:
            await self._fail(assignment, "deadline", _("its deadline passed"))
        except JobGivenUp as error:
            if error.code != "stopped":  # else it is done after the next start
                await self._fail(assignment, wire_code(error), str(error))
        except (JobRefused, BlobError) as error:
            await self._fail(assignment, wire_code(error), str(error))
        except DatabaseError:
            raise
        except Exception as error:  # noqa: BLE001 - a plug-in's slip must not end the others' work
            detail = one_line(f"{type(error).__name__}: {error}")
            self.replies.tell(events.ValidatorBug(self._url, detail))
            await self._fail(assignment, "failed", _("this worker has a bug"))
        else:
            self._answer(assignment, result)

    def _leave(self, assignment: Assignment, _task: "asyncio.Task[None]") -> None:
        """Called when the task has ended: also where it was cancelled before it began."""
        self.room.leave(assignment.size)
        if self._at_work.get(assignment.offer.job_id) is assignment:
            del self._at_work[assignment.offer.job_id]

    async def _result(self, assignment: Assignment) -> Result:
        """From the ledger, where all of it is there still; else from a device, and written down."""
        context, payload, known = self._context, assignment.frame.payload, assignment.result
        assignment.refs = refs = needed_blobs(context.kinds, payload, context.limits)
        if known is not None and ((ref := data_ref(known)) is None or context.blobs.has(ref)):
            return known
        if not self.replies.greeted and not all(context.blobs.has(ref) for ref in refs):
            raise Unsupported(_("it names data, which only a validator that challenges can send"))
        with context.blobs.holding(refs):
            for ref in refs:
                await self._fetcher.fetch(assignment.offer.job_id, ref)
            job = parse_job(context.kinds, payload, context.limits, context.blobs)
            assignment.job = job
            status = context.executor.status
            refuse_what_does_not_fit(job, status, context.cards)
            refuse_what_cannot_end(job, status, assignment.frame.deadline)
            if isinstance(model := getattr(job, "model", None), Data):
                context.hold(model.sha256.hex())
            taken = self._changes.add(partial(context.ledger.record_taken, assignment.offer))
            kind, digest = assignment.offer.kind, assignment.offer.payload_digest.hex()
            self.replies.tell(events.JobTaken(self._url, assignment.offer.job_id, kind, job.cost))
            context.tally.taken += 1
            future = context.executor.submit(job, name=f"{kind} {digest}")
            done = await context.completions.wrap(future)
            await taken
        assert isinstance(done, Done)
        assignment.leaves = done.outcome.leaves
        data = done.outcome.data if job.returns_data else None
        stored = None if data is None else self._store(data)
        result = Result(
            result_hash=done.outcome.result_hash.hex(),
            proof=done.outcome.proof,
            data_sha256=stored.sha256 if stored else None,
            data_size=stored.size if stored else None,
            device=done.device,
            seconds=done.seconds,
        )
        job_id, ledger = assignment.offer.job_id, context.ledger
        await self._changes.add(partial(ledger.record_result, self._url, job_id, result))
        self.earned += FRAMES_OF_A_JOB
        context.tally.computed(done.device, job.cost, done.seconds)
        return result

    def _store(self, data: bytes) -> BlobRef:
        try:
            return self._context.blobs.put(data)
        except BadInput as error:  # the disk is full: this job fails, others may not
            raise BlobError(str(error), advice=error.advice) from error

    def _answer(self, assignment: Assignment, result: Result) -> None:
        self._context.way.let_pass()
        replies, offer = self.replies, assignment.offer
        assignment.result = result
        asked_here = replies.is_connected and assignment.connection == replies.connection
        replies.tell(
            lambda: events.JobDone(
                self._url,
                offer.job_id,
                result_hash=result.result_hash,
                device=result.device,
                seconds=result.seconds,
                fate=_("sent") if asked_here else _("kept until the job comes again"),
            )
        )
        if asked_here:
            if replies.greeted:
                self._openings.begin(assignment)
            replies.result(offer, result)
        if asked_here and not replies.greeted:  # no verdict will come
            self._context.answered(Known(offer, result, None))

    async def _fail(self, assignment: Assignment, code: ErrorCode, message: str) -> None:
        job_id, ledger = assignment.offer.job_id, self._context.ledger
        self._context.tally.declined += 1
        await self._changes.add(partial(ledger.record_error, self._url, job_id, code, message))
        if assignment.connection == self.replies.connection:
            self.replies.refuse(job_id, code, message)
        else:  # the connection that it came over is gone, and so is who would be told
            self.replies.tell(events.JobDeclined(self._url, job_id, code, one_line(message)))

    def _on_cancel(self, cancel: frames.Cancel) -> None:
        assignment = self._at_work.pop(cancel.job_id, None)
        if assignment is not None:
            assert assignment.task is not None
            assignment.task.cancel()
            self._changes.flush()  # else another payload under its id would not be known as such
            message = _("the validator cancelled it")
            self._spawn(self._fail(assignment, "cancelled", message))

    def _on_verdict(self, verdict: frames.Verdict) -> None:
        self._openings.end(verdict.job_id)
        self._spawn(self._judged(verdict))

    async def _judged(self, verdict: frames.Verdict) -> None:
        if not await self._changes.add(partial(self._record, verdict)):
            return  # none of ours, or the last word on it was said
        reason = one_line(verdict.reason)
        if verdict.accepted:
            self._context.tally.accepted += 1
            self.standing.accepted()
            self.replies.tell(events.ResultAccepted(self._url, verdict.job_id, reason))
        else:
            self._context.tally.rejected += 1
            self.replies.tell(events.ResultRejected(self._url, verdict.job_id, reason))
            self.standing.rejected(reason)

    def _record(self, verdict: frames.Verdict) -> bool:
        ledger, url, job_id = self._context.ledger, self._url, verdict.job_id
        known = ledger.find(url, job_id)
        if known is None or known.result is None or known.accepted is not None:
            return False
        if verdict.accepted:
            self._context.answered(known)  # first: after a crash the verdict is not asked for again
        reason = one_line(verdict.reason)
        ledger.record_verdict(url, job_id, accepted=verdict.accepted, reason=reason)
        return True
