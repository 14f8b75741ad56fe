"""What the worker says to one validator, and whether it may.

    replies.connected(say)        # a connection stands; `say` sends a frame over it
    replies.answer(challenge)     # who we are
    replies.result(offer, result)

Before a hello on this connection only results are said: a validator that knows no more than the
guide's two messages never sees a third. Everything else is for the log.
"""

import base64
from collections.abc import Callable
from gettext import gettext as _

from engine import __version__
from engine.jobs.blobs import BlobRef, MissingBlob
from engine.monitor.events import poc as events
from engine.poc_protocol import frames
from engine.poc_protocol.constants import INLINE_BYTES, PROTOCOL, ErrorCode
from engine.poc_protocol.decoder import Refusal
from engine.poc_protocol.digests import hello_digest, result_digest
from engine.poc_protocol.frames import one_line
from engine.poc_protocol.rate_limit import TokenBucket
from engine.poc_worker.context import WorkerContext
from engine.poc_worker.job_ledger import Offer, Result

MAX_HELLOS = 4
"""Challenges that are answered on one connection: each costs a signature."""

Say = Callable[[frames.Frame], None]


class Replies:
    """See the module. For one event loop."""

    def __init__(self, url: str, context: WorkerContext) -> None:
        self.url = url
        self.connection = 0
        """The number of the connection that stands, or stood last."""
        self._context = context
        self._say: Say | None = None
        self._nonce: str | None = None
        self._hellos = 0
        self._log_rate = TokenBucket(rate=2.0, burst=200)
        self._untold = 0

    @property
    def is_connected(self) -> bool:
        """Whether a connection stands."""
        return self._say is not None

    @property
    def greeted(self) -> bool:
        """Whether a hello was said on the connection that stands."""
        return self._nonce is not None

    def connected(self, say: Say) -> None:
        """A new connection stands."""
        self.connection += 1
        self._say = say
        self._nonce = None
        self._hellos = 0

    def lost(self) -> None:
        """It is gone."""
        self._say = None
        self._nonce = None

    def answer(self, challenge: frames.Challenge) -> None:
        """Say hello, unless the validator is of another network, or asks without end."""
        context = self._context
        if challenge.protocol != PROTOCOL:
            self.tell(
                events.ValidatorRefused(self.url, _("it speaks another version of the protocol"))
            )
            return
        if context.chain_id is not None and challenge.chain_id != context.chain_id:
            reason = _("it belongs to the chain {chain_id}").format(chain_id=challenge.chain_id)
            self.tell(events.ValidatorRefused(self.url, reason))
            return
        if self._hellos == MAX_HELLOS:
            reason = _("it asked for more than {n} on one connection").format(n=MAX_HELLOS)
            self.tell(events.ValidatorRefused(self.url, reason))
            return
        self._hellos += 1
        self._nonce = challenge.nonce
        key = context.key
        digest = hello_digest(challenge.nonce, challenge.chain_id, self.url, key.address)
        self.say(
            frames.Hello(
                worker_address=key.address,
                pub_key=key.public_key,
                signature=key.sign_digest(digest),
                capabilities=context.capabilities(),
                version=__version__,
            )
        )
        self.tell(events.HelloSaid(self.url, challenge.chain_id))

    def result(self, offer: Offer, result: Result) -> None:
        """Say a result: signed, and with its data, after a hello."""
        address, signature, data = self._context.key.address, None, None
        if self._nonce is not None:
            digest = result_digest(
                self._nonce,
                job_id=offer.job_id,
                task_id=offer.task_id,
                payload=offer.payload_digest,
                worker_address=address,
                result_hash=result.result_hash,
                proof=result.proof,
            )
            signature, data = self._context.key.sign_digest(digest), self._data(result)
        self.say(
            frames.JobResult(
                job_id=offer.job_id,
                worker_address=address,
                result_hash=result.result_hash,
                proof=result.proof,
                signature=signature,
                data=data,
            )
        )

    def refuse(self, job_id: str, code: ErrorCode, message: str) -> None:
        """Say that a job has no result, or that something about it is not to be had."""
        message = one_line(message)
        self.tell(events.JobDeclined(self.url, job_id, code, message))
        if self.greeted:
            address = self._context.key.address
            self.say(
                frames.JobError(job_id=job_id, worker_address=address, code=code, message=message)
            )

    def refuse_frame(self, refusal: Refusal) -> None:
        """Say that a frame cannot be used."""
        if refusal.job_id is not None:
            self.refuse(refusal.job_id, "invalid_payload", refusal.detail)
            return
        self.tell(events.FrameRefused(self.url, refusal.detail))
        if self.greeted:
            self.say(frames.ProtocolError(code=refusal.code))

    def say(self, frame: frames.Frame) -> None:
        """Send it, where a connection stands."""
        if self._say is not None:
            self._say(frame)

    def tell(self, event: events.PocEvent | Callable[[], events.PocEvent]) -> None:
        """Report it, or what the call gives, at a rate that no validator can raise."""
        if self._log_rate.take():
            self._untold += 1
            return
        if self._untold:
            self._context.report(events.LinesDropped(self.url, self._untold))
            self._untold = 0
        self._context.report(event() if callable(event) else event)

    def _data(self, result: Result) -> frames.ResultData | None:
        ref = data_ref(result)
        if ref is None:
            return None
        inline = None
        if ref.size <= INLINE_BYTES:
            try:
                raw = self._context.blobs.read(ref, 0, ref.size)
            except MissingBlob:
                return None  # the result stands without it
            inline = base64.b64encode(raw).decode("ascii")
        return frames.ResultData(sha256=ref.sha256, size=ref.size, inline=inline)


def data_ref(result: Result) -> BlobRef | None:
    """The result's data in the cache."""
    if result.data_sha256 is None or result.data_size is None:
        return None
    return BlobRef(result.data_sha256, result.data_size)
