"""A worker's WebSocket: frames to and from the market; bytes of blobs both ways.

One coroutine reads, another writes, and the connection lasts as long as both. A frame that cannot be
used is answered with a `protocol_error`, and the connection stays, unless it has more than 32 MiB. A
worker that sends too many frames is disconnected.
"""

import asyncio
import base64
import binascii
from contextlib import suppress

from starlette.websockets import WebSocket, WebSocketDisconnect

from engine.jobs.blobs import BlobError, BlobRef, Receiving
from engine.poc_protocol.constants import CHUNK_BYTES, INLINE_BYTES
from engine.poc_protocol.decoder import Decoder, Refusal
from engine.poc_protocol.frames import (
    FROM_WORKER,
    BlobChunk,
    BlobRequest,
    Frame,
    JobResult,
)
from engine.poc_protocol.outbox import Outbox
from engine.poc_protocol.rate_limit import TokenBucket
from engine.runtime.errors import EngineError
from engine.validator.market.actions import FetchData
from engine.validator.service import OUTBOX_BYTES, OUTBOX_FRAMES, Service

FRAMES_A_SECOND = 50.0
FRAMES_AT_ONCE = 500.0
CHUNK_PATIENCE = 30.0
"""Seconds for each chunk of a worker's result."""
POLICY_VIOLATION = 1008


class WorkerSocket:
    """One connection of a worker."""

    def __init__(self, socket: WebSocket, service: Service, most_data: int) -> None:
        """`most_data`: the most bytes of a result's data."""
        self._socket = socket
        self._service = service
        self._most_data = most_data
        self._decoder = Decoder(FROM_WORKER)
        self._frame_rate = TokenBucket(FRAMES_A_SECOND, FRAMES_AT_ONCE)
        self._inline: dict[str, bytes] = {}
        self._chunks: dict[tuple[str, str], asyncio.Queue[BlobChunk]] = {}
        self._outbox = Outbox(frames=OUTBOX_FRAMES, size=OUTBOX_BYTES)
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
            self._service.disconnected(self._connection)

    async def _write(self) -> None:
        with suppress(RuntimeError, WebSocketDisconnect):  # it is gone, as the reader will find
            reason = await self._outbox.run(self._socket.send_text)
            await self._socket.close(POLICY_VIOLATION, reason[:100])

    async def _read(self) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            if self._frame_rate.take() > 0:
                self._outbox.close("it sends too many frames")
                await asyncio.sleep(CHUNK_PATIENCE)  # until the writer has closed
                return
            self._take(self._decoder.decode(message.get("bytes") or b"" if text is None else text))
            await asyncio.sleep(0)  # a worker that floods must not starve the others

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
                queue = self._chunks.get((frame.job_id, frame.sha256))
                if queue is not None and not queue.full():  # one is asked for at a time
                    queue.put_nowait(frame)
            case _:
                if isinstance(frame, JobResult):
                    self._keep_inline(frame)
                self._service.received(self._connection, frame)

    def _send_blob(self, asked: BlobRequest) -> None:
        """Send bytes that a job of this worker names."""
        data = None
        size = self._service.market.size_for(self._connection, asked.job_id, asked.sha256)
        if size is not None:
            with suppress(BlobError):
                part = self._service.blobs.read(
                    BlobRef(asked.sha256, size), asked.offset, asked.length
                )
                data = base64.b64encode(part).decode("ascii")
        chunk = BlobChunk(job_id=asked.job_id, sha256=asked.sha256, offset=asked.offset, data=data)
        self._outbox.put(chunk)

    def _keep_inline(self, result: JobResult) -> None:
        """Keep data that came in the result itself, for the market's FetchData that follows at once."""
        self._inline.clear()
        if result.data is not None and result.data.inline is not None:
            with suppress(binascii.Error, ValueError):
                content = base64.b64decode(result.data.inline, validate=True)
                if len(content) <= INLINE_BYTES:
                    self._inline[result.job_id] = content

    async def _fetch(self, wanted: FetchData) -> bool:
        """Fetch a result's data into the cache. Return False if it does not come, or does not fit."""
        if wanted.size > self._most_data:
            return False
        inline = self._inline.pop(wanted.job_id, None)
        try:
            receiving = self._service.blobs.receive(BlobRef(wanted.sha256, wanted.size))
        except (EngineError, OSError):  # no room in the cache or on the disk
            return False
        try:
            if inline is not None:
                receiving.add(0, inline)
            else:
                await self._fetch_chunks(wanted, receiving)
        except (EngineError, TimeoutError, binascii.Error, ValueError):
            return False
        finally:
            receiving.abandon()
        return receiving.complete

    async def _fetch_chunks(self, wanted: FetchData, receiving: Receiving) -> None:
        key = (wanted.job_id, wanted.sha256)
        queue = self._chunks[key] = asyncio.Queue(maxsize=1)
        try:
            while not receiving.complete:
                offset = receiving.next_offset
                request = BlobRequest(
                    job_id=wanted.job_id,
                    sha256=wanted.sha256,
                    offset=offset,
                    length=min(CHUNK_BYTES, wanted.size - offset),
                )
                self._outbox.put(request)
                chunk = await asyncio.wait_for(queue.get(), CHUNK_PATIENCE)
                if chunk.data is None:
                    raise TimeoutError
                content = base64.b64decode(chunk.data, validate=True)
                await asyncio.to_thread(receiving.add, chunk.offset, content)
        finally:
            del self._chunks[key]
