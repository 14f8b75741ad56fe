"""Data by content: named by SHA-256 and size, kept in a bounded directory, fetched in chunks.

    cache = BlobCache(directory, max_bytes=1 << 30)
    receiving = cache.receive(ref)               # from a peer, in order
    receiving.add(receiving.next_offset, chunk)  # until .complete: the hash is checked first
    with cache.holding([ref]):                   # in use: it is not thrown out
        cache.data(ref)

Several threads may use one cache; one process a directory.
"""

import hashlib
import os
import re
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path
from typing import Any, Protocol

from engine.runtime.errors import BadInput, EngineError
from kernels.data import Data

CHUNK_BYTES = 1 << 20
"""Most bytes that one chunk on the wire has."""
CARRIED_BYTES = 32 << 10
"""Data up to this size travels with the work: less than a pipe holds."""
_DIGITS = re.compile(r"[0-9a-f]{64}")
_PART = ".part"


class BlobError(EngineError):
    """A blob that is not to be had, or is not what it should be."""


class MissingBlob(BlobError):
    """Data that is not here: fetch it first."""

    def __init__(self, ref: "BlobRef") -> None:
        super().__init__(_("the data {sha256} is not here").format(sha256=ref.sha256))
        self.ref = ref


class WrongBlob(BlobError):
    """What came is not what was asked for."""


class CacheFull(BlobError):
    """There is no room: everything in the cache is in use, or the blob is larger than all of it."""


@dataclass(frozen=True, slots=True)
class BlobRef:
    """`size` bytes with this SHA-256, as 64 lower-case hex digits."""

    sha256: str
    size: int

    def __post_init__(self) -> None:
        if not isinstance(self.sha256, str) or not _DIGITS.fullmatch(self.sha256):
            raise BadInput(_("a blob's sha256 must be 64 lower-case hex digits"))
        if type(self.size) is not int or not 0 <= self.size < 1 << 53:
            raise BadInput(_("a blob's size must be a whole number of bytes"))

    @classmethod
    def of(cls, content: bytes) -> "BlobRef":
        """The name of these bytes."""
        return cls(hashlib.sha256(content).hexdigest(), len(content))

    def to_json(self) -> dict[str, Any]:
        """As it stands in payloads and messages."""
        return {"sha256": self.sha256, "size": self.size}


class Blobs(Protocol):
    """Where parsing finds data by name."""

    def data(self, ref: BlobRef) -> Data:
        """The data, for a piece of work. Raises MissingBlob."""


class NoBlobs:
    """No data at all: for payloads that carry theirs."""

    def data(self, ref: BlobRef) -> Data:
        """Raise MissingBlob."""
        raise MissingBlob(ref)


class BlobCache:
    """A directory of blobs, each a file with its SHA-256 for a name, at most so many bytes in all."""

    def __init__(self, directory: Path, max_bytes: int) -> None:
        """Raises BadInput where the directory cannot be used."""
        self._directory = directory
        self._max_bytes = max_bytes
        self._held: Counter[str] = Counter()
        self._lock = threading.RLock()
        self._reserved = 0
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            for leftover in directory.glob(f"*{_PART}"):
                leftover.unlink()
        except OSError as error:
            raise BadInput(
                _("the cache directory {directory} cannot be used: {error}").format(
                    directory=directory, error=error.strerror
                ),
                advice=_("Name another directory, or mend its permissions."),
            ) from error

    def has(self, ref: BlobRef) -> bool:
        """Whether it is here, with that size."""
        try:
            return self._path(ref).stat().st_size == ref.size
        except OSError:
            return False

    def data(self, ref: BlobRef) -> Data:
        """The data for a piece of work, which checks the hash when it reads. Raises MissingBlob."""
        if ref.size <= CARRIED_BYTES:
            return Data.of_bytes(self.read(ref, 0, ref.size))
        if not self.has(ref):
            raise MissingBlob(ref)
        self._touch(ref)
        return Data.of_file(self._path(ref), bytes.fromhex(ref.sha256), ref.size)

    def read(self, ref: BlobRef, offset: int, length: int) -> bytes:
        """A part of a blob, to be sent: at most CHUNK_BYTES of it. Raises MissingBlob."""
        if not self.has(ref):
            raise MissingBlob(ref)
        try:
            with self._path(ref).open("rb") as file:
                file.seek(max(0, offset))
                return file.read(min(max(0, length), CHUNK_BYTES))
        except OSError:
            raise MissingBlob(ref) from None

    def put(self, content: bytes) -> BlobRef:
        """Keep these bytes. Raises CacheFull, or BadInput where the disk does not take them."""
        ref = BlobRef.of(content)
        if not self.has(ref):
            receiving = self.receive(ref)
            for offset in range(0, len(content), CHUNK_BYTES):
                receiving.add(offset, content[offset : offset + CHUNK_BYTES])
        self._touch(ref)
        return ref

    def receive(self, ref: BlobRef) -> "Receiving":
        """Begin to take a blob in. Room for it is made first. Raises CacheFull."""
        with self._lock:
            self._make_room(ref.size)
            self._reserved += ref.size
        try:
            return Receiving(self, ref)
        except BaseException:
            self._release(ref.size)
            raise

    @contextmanager
    def holding(self, refs: Iterable[BlobRef]) -> Iterator[None]:
        """While this lasts, these are not thrown out."""
        refs = tuple(refs)
        self.hold(refs)
        try:
            yield
        finally:
            self.release(refs)

    def hold(self, refs: Iterable[BlobRef]) -> None:
        """Do not throw these out until they are released as often."""
        with self._lock:
            self._held.update(ref.sha256 for ref in refs)

    def release(self, refs: Iterable[BlobRef]) -> None:
        """End one hold of each of these."""
        with self._lock:
            self._held.subtract(ref.sha256 for ref in refs)
            self._held = +self._held

    def _path(self, ref: BlobRef) -> Path:
        return self._directory / ref.sha256

    def _touch(self, ref: BlobRef) -> None:
        with suppress(OSError):
            os.utime(self._path(ref))

    def _release(self, size: int) -> None:
        with self._lock:
            self._reserved -= size

    def _make_room(self, size: int) -> None:
        """Throw out the longest unused until so many bytes fit."""
        entries = sorted(
            (status.st_mtime_ns, status.st_size, path)
            for path in self._directory.iterdir()
            if _DIGITS.fullmatch(path.name)
            for status in [path.stat()]
        )
        used = sum(entry_size for _age, entry_size, _path in entries) + self._reserved
        for _age, entry_size, path in entries:
            if used + size <= self._max_bytes:
                break
            if not self._held[path.name]:
                path.unlink()
                used -= entry_size
        if used + size > self._max_bytes:
            raise CacheFull(
                _("there is no room for {size} bytes of data: the cache takes {most}").format(
                    size=size, most=self._max_bytes
                )
            )


class Receiving:
    """A blob on its way in, chunk by chunk and in order; it counts when its hash was found right."""

    def __init__(self, cache: BlobCache, ref: BlobRef) -> None:
        self.ref = ref
        self.next_offset = 0
        self.complete = False
        self._cache = cache
        self._hash = hashlib.sha256()
        self._closed = False
        descriptor, name = tempfile.mkstemp(suffix=_PART, dir=cache._directory)
        self._part = Path(name)
        self._file = os.fdopen(descriptor, "wb")
        if ref.size == 0:
            self.add(0, b"")

    def add(self, offset: int, chunk: bytes) -> None:
        """The next chunk. Raises WrongBlob, and then this is over; BadInput where the disk is full."""
        try:
            if self._closed or offset != self.next_offset:
                raise WrongBlob(_("a chunk of data came out of turn"))
            if len(chunk) > self.ref.size - self.next_offset or (not chunk and self.ref.size):
                raise WrongBlob(_("a chunk of data is empty, or goes beyond the end"))
            self._file.write(chunk)
            self._hash.update(chunk)
            self.next_offset += len(chunk)
            if self.next_offset == self.ref.size:
                self._finish()
        except OSError as error:
            self.abandon()
            raise BadInput(
                _("data cannot be written to the cache: {error}").format(error=error.strerror),
                advice=_("Make room on the disk, or name another cache directory."),
            ) from error
        except BaseException:
            self.abandon()
            raise

    def abandon(self) -> None:
        """Throw away what has come. Doing so twice is no error."""
        if not self._closed:
            self._closed = True
            with suppress(OSError):
                self._file.close()
            self._part.unlink(missing_ok=True)
            self._cache._release(self.ref.size)

    def _finish(self) -> None:
        if self._hash.hexdigest() != self.ref.sha256:
            raise WrongBlob(_("the data that came does not have the hash that was asked for"))
        self._file.close()
        self._part.replace(self._cache._path(self.ref))
        self.complete = True
        self._closed = True
        self._cache._release(self.ref.size)
