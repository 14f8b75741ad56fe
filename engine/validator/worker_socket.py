"""A worker's WebSocket: frames to and from the market; bytes of blobs both ways.

One coroutine reads, another writes, and the connection lasts as long as both. A frame that cannot be
used is answered with a `protocol_error`, and the connection stays, unless it is longer than
`frame_limits.py` takes. A worker that sends too many frames is disconnected, its answers to what it was
asked not counted; too many bytes or values are read later. Short frames are decided on in groups: the
next ones are read meanwhile, up to `MOST_UNDECIDED`.
"""

import asyncio
import base64
import binascii
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from starlette.websockets import WebSocket, WebSocketDisconnect

from engine.jobs.blob_fetcher import BlobFetcher, answer
from engine.jobs.blobs import BlobRef
from engine.poc_protocol.constants import INLINE_BYTES
from engine.poc_protocol.decoder import Decoder, Refusal
from engine.poc_protocol.frames import (
    FROM_WORKER,
    BlobChunk,
    BlobRequest,
    Frame,
    Hello,
    JobRequest,
    JobResult,
    Open,
)
from engine.poc_protocol.outbox import Outbox
from engine.poc_protocol.rate_limit import TokenBucket
from engine.poc_protocol.strict_json import FIRST, FULL
from engine.runtime.errors import EngineError
from engine.validator.frame_limits import frame_limits
from engine.validator.market.actions import FetchData
from engine.validator.seats import Seat
from engine.validator.service import OUTBOX_BYTES, OUTBOX_FRAMES, Service
from engine.validator.turns import LineFull

FRAMES_A_SECOND = 50.0
FRAMES_AT_ONCE = 500.0
CHUNK_PATIENCE = 30.0
"""Seconds for each chunk of a worker's result."""
SEND_PATIENCE = 30.0
"""Seconds for each frame to be read by the worker."""
BYTES_A_SECOND = 16 * 2.0**20
BYTES_AT_ONCE = 64 * 2.0**20
VALUES_A_SECOND = 100_000.0
VALUES_AT_ONCE = 2.0**19
LONG_BYTES = 16 * 2**10
"""Frames from here on are decoded beside the event loop."""
LINE_SECONDS = 0.1
MOST_UNDECIDED = 128
"""Short frames that the market has not decided on; a longer one, and a hello, is waited for."""
POLICY_VIOLATION = 1008


class AskingOutbox(Outbox):
    """Counts the answers that it asked for: the worker owes these, and sends them as fast as it can."""

    owed = 0

    def put(self, frame: Frame) -> None:
        """Send the frame when its turn comes; a job or a request is owed an answer."""
        self.owed += isinstance(frame, JobRequest | Open | BlobRequest)
        super().put(frame)

    def settle(self) -> bool:
        """Take note of a frame that came; False where none was owed."""
        self.owed, was_owed = max(0, self.owed - 1), self.owed > 0
        return was_owed


class WorkerSocket:
    """One connection of a worker."""

    def __init__(
        self, socket: WebSocket, service: Service, most_data: int, seat: Seat | None = None
    ) -> None:
        """`most_data`: the most bytes of a result's data. `seat`: this connection's."""
        self._socket = socket
        self._service = service
        self._most_data = most_data
        self._seat = seat
        self._limits = frame_limits(socket.scope)
        self._decoder = Decoder(FROM_WORKER, FIRST)
        self._frame_rate = TokenBucket(FRAMES_A_SECOND, FRAMES_AT_ONCE)
        self._byte_rate = TokenBucket(BYTES_A_SECOND, BYTES_AT_ONCE)
        self._value_rate = TokenBucket(VALUES_A_SECOND, VALUES_AT_ONCE)
        self._inline: dict[str, bytes] = {}
        self._undecided: deque[asyncio.Future[None]] = deque()
        self._outbox = AskingOutbox(
            frames=OUTBOX_FRAMES,
            size=OUTBOX_BYTES,
            on_overflow=self._cut,
            on_size=self._unsent,
        )
        if seat is not None:
            seat.leave = self._outbox.close
        self._fetcher = BlobFetcher(service.blobs, self._outbox.put, CHUNK_PATIENCE)
        self._connection = 0

    async def serve(self) -> None:
        """Serve until either side closes."""
        await self._socket.accept()
        self._connection = self._service.connected(self._outbox, self._fetch)
        writer = asyncio.create_task(self._write())
        reader = asyncio.create_task(self._read())
        try:
            await asyncio.wait({writer, reader}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (writer, reader):
                task.cancel()
            await asyncio.gather(writer, reader, return_exceptions=True)
            self._unsent(0)
            self._service.disconnected(self._connection)

    async def _write(self) -> None:
        with suppress(RuntimeError, WebSocketDisconnect, OSError):  # gone, as the reader will find
            reason = await self._outbox.run(self._send, SEND_PATIENCE)
            await self._socket.close(POLICY_VIOLATION, reason[:100])

    async def _send(self, texts: Sequence[str]) -> None:
        if self._limits is not None:
            await self._limits.send_texts(texts)
            return
        for text in texts:
            await self._socket.send_text(text)

    async def _read(self) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            if not self._outbox.settle() and self._frame_rate.take() > 0:
                self._outbox.close("it sends too many frames")
                await asyncio.sleep(CHUNK_PATIENCE)  # until the writer has closed
                return
            if self._seat is not None:
                self._seat.used()
            await self._meter(text or "")
            frame = await self._decode(message.get("bytes") or b"" if text is None else text)
            self._take(frame)
            short = text is not None and len(text) < LONG_BYTES and not isinstance(frame, Hello)
            most = MOST_UNDECIDED if short else 0
            while self._undecided and (self._undecided[0].done() or len(self._undecided) > most):
                await self._undecided.popleft()
            await asyncio.sleep(0)  # a worker that floods must not starve the others

    async def _meter(self, text: str) -> None:
        """Wait until the worker may send so much more; meanwhile nothing is read from it."""
        values = text.count(",") + text.count("[") + text.count("{")
        wait = max(self._byte_rate.reserve(len(text)), self._value_rate.reserve(values))
        if wait:
            await asyncio.sleep(wait)

    async def _decode(self, message: str | bytes) -> Frame | Refusal | None:
        if len(message) < LONG_BYTES:
            return self._decoder.decode(message)
        while True:
            with suppress(LineFull):
                return await self._service.turns.run(
                    f"worker {self._connection}", self._decoder.decode, message
                )
            await asyncio.sleep(LINE_SECONDS)

    def _take(self, frame: Frame | Refusal | None) -> None:
        match frame:
            case None:
                return
            case Refusal(code, job_id):
                if job_id is None:
                    self._service.refuse(self._connection, code)
            case BlobRequest():
                self._send_blob(frame)
            case BlobChunk():
                self._fetcher.take(frame)
            case _:
                decided = self._service.received(self._connection, frame)
                self._undecided.append(decided)
                if isinstance(frame, JobResult) and frame.data is not None:
                    self._keep_inline(frame, decided)
                if isinstance(frame, Hello):
                    decided.add_done_callback(self._greet)

    def _greet(self, _decided: "asyncio.Future[None]") -> None:
        """Take long frames from a worker that has proved its address."""
        connection = self._service.market.connections.find(self._connection)
        if connection is None or connection.address is None:
            return
        self._decoder.bounds = FULL
        if self._limits is not None:
            self._limits.widen()
        if self._seat is not None:
            self._seat.greeted = True

    def _cut(self) -> None:
        if self._limits is not None:
            self._limits.cut()

    def _unsent(self, size: int) -> None:
        address = self._socket.client.host if self._socket.client is not None else ""
        self._service.unsent.set(self, address, size, self._outbox.overflow)

    def _send_blob(self, asked: BlobRequest) -> None:
        """Send bytes that a job of this worker names."""
        size = self._service.market.size_for(self._connection, asked.job_id, asked.sha256)
        ref = None if size is None else BlobRef(asked.sha256, size)
        self._outbox.put(answer(self._service.blobs, asked, ref))

    def _keep_inline(self, result: JobResult, decided: "asyncio.Future[None]") -> None:
        """Keep data that came in the result itself, for the market's FetchData that may follow."""
        if result.data is None or result.data.inline is None:
            return
        with suppress(binascii.Error, ValueError):
            content = base64.b64decode(result.data.inline, validate=True)
            if len(content) <= INLINE_BYTES:
                self._inline[result.job_id] = content
                decided.add_done_callback(lambda _decided: self._inline.pop(result.job_id, None))

    async def _fetch(self, wanted: FetchData) -> bool:
        """Fetch a result's data into the cache. Return False if it does not come, or does not fit."""
        if wanted.size > self._most_data:
            return False
        inline, ref = self._inline.pop(wanted.job_id, None), BlobRef(wanted.sha256, wanted.size)
        try:
            if inline is None:
                await self._fetcher.fetch(wanted.job_id, ref)
            elif BlobRef.of(inline) != ref:
                return False
            else:
                await asyncio.to_thread(self._service.blobs.put, inline)
        except (EngineError, OSError):  # also no room in the cache or on the disk
            return False
        return True
