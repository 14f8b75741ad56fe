"""Blobs between worker and validator, chunk by chunk: either side fetches from the other.

The side that lacks a blob asks for each chunk, so no more comes than it wants. A blob counts once its
SHA-256 is right.
"""

import asyncio
import base64
import binascii
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from gettext import gettext as _

from engine.jobs.blobs import BlobCache, BlobError, BlobRef, Receiving
from engine.poc_protocol.constants import CHUNK_BYTES
from engine.poc_protocol.frames import BlobChunk, BlobRequest
from engine.runtime.errors import BadInput


class FetchFailed(BlobError):
    """The peer does not send the data that it named."""


def answer(blobs: BlobCache, request: BlobRequest, ref: BlobRef | None) -> BlobChunk:
    """Return the chunk of `ref` that a peer asks for; without data if it is not available."""
    data = None
    if ref is not None and request.offset < ref.size:
        with suppress(BlobError):
            part = blobs.read(ref, request.offset, request.length)
            data = base64.b64encode(part).decode("ascii")
    return BlobChunk(job_id=request.job_id, sha256=request.sha256, offset=request.offset, data=data)


class BlobFetcher:
    """The fetches over one connection."""

    def __init__(
        self, blobs: BlobCache, ask: Callable[[BlobRequest], None], patience: float = 60.0
    ) -> None:
        """`ask` sends a request; a chunk has `patience` seconds to come."""
        self._blobs = blobs
        self._patience = patience
        self._ask = ask
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._users: dict[str, int] = defaultdict(int)
        self._asked: dict[tuple[str, str, int], asyncio.Future[BlobChunk]] = {}
        self._is_lost = False

    def connected(self) -> None:
        """A new connection stands."""
        self._is_lost = False

    async def fetch(self, job_id: str, ref: BlobRef) -> None:
        """Fetch the blob into the cache, if it is not there. Raises BlobError."""
        self._users[ref.sha256] += 1
        try:
            async with self._locks[ref.sha256]:  # two jobs with one model fetch it once
                if not self._blobs.has(ref):
                    await self._receive(job_id, ref)
        finally:
            self._users[ref.sha256] -= 1
            if not self._users[ref.sha256]:
                del self._users[ref.sha256], self._locks[ref.sha256]

    async def _receive(self, job_id: str, ref: BlobRef) -> None:
        receiving = self._blobs.receive(ref)
        try:
            while not receiving.complete:
                await self._receive_chunk(job_id, receiving)
        except BadInput as error:
            raise FetchFailed(str(error), advice=error.advice) from error
        finally:
            receiving.abandon()

    async def _receive_chunk(self, job_id: str, receiving: Receiving) -> None:
        ref, offset = receiving.ref, receiving.next_offset
        length = min(CHUNK_BYTES, ref.size - offset)
        chunk = await self._ask_for(
            BlobRequest(job_id=job_id, sha256=ref.sha256, offset=offset, length=length)
        )
        if chunk.data is None:
            raise FetchFailed(_("the peer does not have the data that it named"))
        try:
            data = base64.b64decode(chunk.data, validate=True)
        except (binascii.Error, ValueError):
            raise FetchFailed(_("a chunk of data is not valid base64")) from None
        await asyncio.to_thread(receiving.add, offset, data)

    async def _ask_for(self, request: BlobRequest) -> BlobChunk:
        if self._is_lost:
            raise FetchFailed(_("the connection was lost"))
        key = (request.job_id, request.sha256, request.offset)
        future: asyncio.Future[BlobChunk] = asyncio.get_running_loop().create_future()
        self._asked[key] = future
        try:
            self._ask(request)
            async with asyncio.timeout(self._patience) as patience:
                return await future
        except TimeoutError:
            if not patience.expired():
                raise  # the job's own deadline
            raise FetchFailed(_("the data did not arrive in time")) from None
        finally:
            self._asked.pop(key, None)

    def take(self, chunk: BlobChunk) -> None:
        """Take a chunk that came; ignore one that was not asked for."""
        future = self._asked.get((chunk.job_id, chunk.sha256, chunk.offset))
        if future is not None and not future.done():
            future.set_result(chunk)

    def lost(self) -> None:
        """Fail every fetch, also of those who waited for another's: the connection is gone."""
        self._is_lost = True
        for future in self._asked.values():
            if not future.done():
                future.set_exception(FetchFailed(_("the connection was lost")))
