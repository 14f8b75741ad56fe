"""Content-addressed data: named by SHA-256 and size, cached in a bounded directory, fetched in chunks.

    cache = BlobCache(directory, max_bytes=1 << 30)
    receiving = cache.receive(ref)               # from a peer, in order
    receiving.add(receiving.next_offset, chunk)  # until .complete, when the hash is verified
    with cache.holding([ref]):                   # in use: not evicted
        cache.data(ref)

Several threads may share a cache, and several processes of one machine a directory, if each knows what
the others hold (`also_held`). What is being received is locked: the rest of a process that died is not.
"""

import fcntl
import hashlib
import os
import re
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from engine.runtime.errors import BadInput, EngineError
from kernels.data import Data

CHUNK_BYTES = 1 << 20
"""The largest chunk on the wire."""
CARRIED_BYTES = 32 << 10
"""Data up to this size is sent with the work: less than a pipe's buffer."""
_DIGITS = re.compile(r"[0-9a-f]{64}")
_PART = ".part"


class BlobError(EngineError):
    """A blob that is missing or has the wrong content."""


class MissingBlob(BlobError):
    """Data that is not in the cache: fetch it first."""

    def __init__(self, ref: "BlobRef") -> None:
        super().__init__(_("the data {sha256} is not here").format(sha256=ref.sha256))
        self.ref = ref


class WrongBlob(BlobError):
    """Received data does not match its name or order."""


class CacheFull(BlobError):
    """No room: everything in the cache is in use, or the blob is larger than the cache."""


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
        """Return the name of these bytes."""
        return cls(hashlib.sha256(content).hexdigest(), len(content))

    def to_json(self) -> dict[str, Any]:
        """Return the form used in payloads and messages."""
        return {"sha256": self.sha256, "size": self.size}


class Blobs(Protocol):
    """A source of data by name, for parsing."""

    def data(self, ref: BlobRef) -> Data:
        """Return the data for a piece of work. Raise MissingBlob."""


class NoBlobs:
    """An empty source, for payloads with inline data only."""

    def data(self, ref: BlobRef) -> Data:
        """Raise MissingBlob."""
        raise MissingBlob(ref)


class BlobCache:
    """A directory of blobs, one file each, named by SHA-256, `max_bytes` in all."""

    def __init__(
        self,
        directory: Path,
        max_bytes: int,
        also_held: Callable[[], AbstractSet[str]] = frozenset,
    ) -> None:
        """`also_held`: SHA-256 of what is not to be evicted, besides what is held here.

        Raise BadInput if the directory cannot be used.
        """
        self._also_held = also_held
        self._directory = directory
        self._max_bytes = max_bytes
        self._held: Counter[str] = Counter()
        self._lock = threading.RLock()
        self._reserved = 0
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            for leftover in directory.glob(f"*{_PART}"):
                _remove_unless_locked(leftover)
        except OSError as error:
            raise BadInput(
                _("the cache directory {directory} cannot be used: {error}").format(
                    directory=directory, error=error.strerror
                ),
                advice=_("Name another directory, or fix its permissions."),
            ) from error

    def has(self, ref: BlobRef) -> bool:
        """Return whether the blob is here with that size."""
        try:
            return self._path(ref).stat().st_size == ref.size
        except OSError:
            return False

    def data(self, ref: BlobRef) -> Data:
        """Return the data for work, which verifies the hash when it reads. Raise MissingBlob."""
        if ref.size <= CARRIED_BYTES:
            return Data.of_bytes(self.read(ref, 0, ref.size))
        if not self.has(ref):
            raise MissingBlob(ref)
        self._touch(ref)
        return Data.of_file(self._path(ref), bytes.fromhex(ref.sha256), ref.size)

    def read(self, ref: BlobRef, offset: int, length: int) -> bytes:
        """Return part of a blob, at most CHUNK_BYTES. Raise MissingBlob."""
        if not self.has(ref):
            raise MissingBlob(ref)
        try:
            with self._path(ref).open("rb") as file:
                file.seek(max(0, offset))
                return file.read(min(max(0, length), CHUNK_BYTES))
        except OSError:
            raise MissingBlob(ref) from None

    def open(self, ref: BlobRef) -> BinaryIO:
        """Return the blob as a file, to be closed by the caller. Raise MissingBlob."""
        if not self.has(ref):
            raise MissingBlob(ref)
        try:
            return self._path(ref).open("rb")
        except OSError:
            raise MissingBlob(ref) from None

    def put(self, content: bytes) -> BlobRef:
        """Store these bytes. Raise CacheFull, or BadInput if they cannot be written."""
        ref = BlobRef.of(content)
        if not self.has(ref):
            receiving = self.receive(ref)
            for offset in range(0, len(content), CHUNK_BYTES):
                receiving.add(offset, content[offset : offset + CHUNK_BYTES])
        self._touch(ref)
        return ref

    def receive(self, ref: BlobRef) -> "Receiving":
        """Start to receive a blob, after making room for it. Raise CacheFull."""
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
        """Keep these blobs from eviction within the context."""
        refs = tuple(refs)
        self.hold(refs)
        try:
            yield
        finally:
            self.release(refs)

    def hold(self, refs: Collection[BlobRef]) -> None:
        """Keep these blobs from eviction until each hold is released."""
        if not refs:
            return
        with self._lock:
            self._held.update(ref.sha256 for ref in refs)

    def release(self, refs: Collection[BlobRef]) -> None:
        """Release one hold on each of these blobs."""
        if not refs:
            return
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
        """Evict the least recently used blobs until `size` bytes fit."""
        entries = sorted(
            (status.st_mtime_ns, status.st_size, path)
            for path in self._directory.iterdir()
            if _DIGITS.fullmatch(path.name)
            for status in _status(path)
        )
        used = sum(entry_size for _age, entry_size, _path in entries) + self._reserved
        held = self._also_held() if used + size > self._max_bytes else frozenset()
        for _age, entry_size, path in entries:
            if used + size <= self._max_bytes:
                break
            if not self._held[path.name] and path.name not in held:
                path.unlink(missing_ok=True)
                used -= entry_size
        if used + size > self._max_bytes:
            message = _("the cache takes {most} bytes, and has no room for {size}")
            raise CacheFull(message.format(size=size, most=self._max_bytes))


class Receiving:
    """A blob that is being received, chunk by chunk in order; usable once its hash is verified."""

    def __init__(self, cache: BlobCache, ref: BlobRef) -> None:
        self.ref = ref
        self.next_offset = 0
        self.complete = False
        self._cache = cache
        self._hash = hashlib.sha256()
        self._lock = threading.RLock()
        self._closed = False
        descriptor, name = tempfile.mkstemp(suffix=_PART, dir=cache._directory)
        self._part = Path(name)
        self._file = os.fdopen(descriptor, "wb")
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if ref.size == 0:
            self.add(0, b"")

    def add(self, offset: int, chunk: bytes) -> None:
        """Add the next chunk. Raise WrongBlob, which ends this, or BadInput if the disk is full."""
        with self._lock:
            try:
                if self._closed or offset != self.next_offset:
                    raise WrongBlob(_("a chunk of data came out of order"))
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
        """Discard what was received. It may be called twice."""
        with self._lock:  # a chunk may still be written in a thread
            if not self._closed:
                self._closed = True
                with suppress(OSError):
                    self._file.close()
                self._part.unlink(missing_ok=True)
                self._cache._release(self.ref.size)

    def _finish(self) -> None:
        if self._hash.hexdigest() != self.ref.sha256:
            raise WrongBlob(_("the received data does not have the requested hash"))
        self._file.close()
        self._part.replace(self._cache._path(self.ref))
        self.complete = True
        self._closed = True
        self._cache._release(self.ref.size)


def _status(path: Path) -> list[os.stat_result]:
    """Return the file's status, nothing where another process has just removed it."""
    try:
        return [path.stat()]
    except FileNotFoundError:
        return []


def _remove_unless_locked(part: Path) -> None:
    with suppress(FileNotFoundError, BlockingIOError), part.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        part.unlink()
