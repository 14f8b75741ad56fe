"""What a validator may ask for after a job's result: leaves of its tree, and its data.

For 60 s or until the verdict, and at most four openings. A small tree came along with the result, and
is opened here. Else an opening is work for a device, which mostly still has the tree, or computes the
job again (`kernels/work/committed.py`).
"""

from gettext import gettext as _
from gettext import ngettext

from engine.jobs.blob_fetcher import answer
from engine.jobs.blobs import BlobError, BlobRef
from engine.jobs.kind import JobRefused
from engine.jobs.registry import parse_job
from engine.poc_protocol import frames
from engine.poc_protocol.constants import MAX_OPENS
from engine.poc_worker.context import WorkerContext
from engine.poc_worker.jobs import AnsweredJobs, Assignment, Spawn, wire_code
from engine.poc_worker.replies import Replies, data_ref
from engine.pool.messages import Done
from engine.runtime.errors import JobGivenUp
from kernels.commit.digest_tree import tree_of
from kernels.errors import InvalidProof

OPENING_PRIORITY = 2
"""Before jobs, which come before blocks: an opening is of use for 60 s only."""


class Openings:
    """The answered jobs of one validator."""

    def __init__(self, replies: Replies, context: WorkerContext, spawn: Spawn) -> None:
        self._replies = replies
        self._context = context
        self._spawn = spawn
        self._answered = AnsweredJobs(self._let_go)
        self._name = _("opening {hex}")

    def begin(self, assignment: Assignment) -> None:
        """Keep the job open: its result is being sent."""
        self._context.blobs.hold(_refs(assignment))
        self._answered.put(assignment)

    def end(self, job_id: str) -> None:
        """Forget the job: its verdict came."""
        self._answered.drop(job_id)

    def tick(self) -> None:
        """Forget jobs whose time is over."""
        self._answered.drop_old()

    def open(self, request: frames.Open) -> None:
        """Open leaves, or refuse with the reason."""
        assignment = self._answered.get(request.job_id)
        if assignment is None:
            message = _("this job has no result that can be opened now")
            self._replies.refuse(request.job_id, "expired", message)
        elif assignment.opens == MAX_OPENS:
            message = _("it was opened four times already")
            self._replies.refuse(request.job_id, "invalid_payload", message)
        else:
            assignment.opens += 1
            if not self._open_here(assignment, request.leaves):
                self._spawn(self._open(assignment, request.leaves))

    def _open_here(self, assignment: Assignment, leaves: tuple[int, ...]) -> bool:
        """Open leaves of a small tree, which came with the result; False where a device has to."""
        result, job = assignment.result, assignment.job
        if assignment.leaves is None or result is None or job is None:
            return False
        try:
            root = bytes.fromhex(result.result_hash)
            siblings = tree_of(assignment.leaves, job.leaf_count, root).siblings(leaves)
        except InvalidProof:  # of an answer that was not checked; or of leaves that are not there
            return False
        self._say(assignment, leaves, siblings)
        return True

    async def _open(self, assignment: Assignment, leaves: tuple[int, ...]) -> None:
        context, offer, result = self._context, assignment.offer, assignment.result
        connection = self._replies.connection
        assert result is not None
        try:
            job = assignment.job = assignment.job or parse_job(
                context.kinds, assignment.frame.payload, context.limits, context.blobs
            )
            if max(leaves) >= job.leaf_count:
                message = ngettext(
                    "the result has {count} leaf", "the result has {count} leaves", job.leaf_count
                ).format(count=job.leaf_count)
                self._replies.refuse(offer.job_id, "invalid_payload", message)
                return
            future = context.executor.submit(
                job.opening(bytes.fromhex(result.result_hash), leaves),
                name=self._name.format(hex=offer.payload_digest.hex()),
                priority=OPENING_PRIORITY,
            )
            done = await context.completions.wrap(future)
        except (JobRefused, JobGivenUp, BlobError) as error:
            self._replies.refuse(offer.job_id, wire_code(error), str(error))
            return
        assert isinstance(done, Done)
        if connection == self._replies.connection:
            self._say(assignment, leaves, done.outcome.data or b"")

    def _say(self, assignment: Assignment, leaves: tuple[int, ...], siblings: bytes) -> None:
        if self._replies.greeted:
            opened = frames.OpenedLeaves(
                job_id=assignment.offer.job_id, leaves=leaves, siblings=siblings.hex()
            )
            self._replies.say(opened)

    def give_data(self, request: frames.BlobRequest) -> None:
        """Send a part of the result's data, or that it is not available."""
        if not self._replies.greeted:
            return
        assignment = self._answered.get(request.job_id)
        result = None if assignment is None else assignment.result
        ref = None if result is None else data_ref(result)
        named = ref if ref is not None and ref.sha256 == request.sha256 else None
        self._replies.say(answer(self._context.blobs, request, named))

    def _let_go(self, assignment: Assignment) -> None:
        self._context.blobs.release(_refs(assignment))


def _refs(assignment: Assignment) -> tuple[BlobRef, ...]:
    """Return the blobs of the job's inputs and of its result."""
    assert assignment.result is not None
    ref = data_ref(assignment.result)
    return assignment.refs if ref is None else (*assignment.refs, ref)
