"""How what children say crosses a pipe: frames of plain data, checked before they are believed.

    write_frame(pipe.fileno(), encode(Beat(2**20)))     # in the child
    frames = Frames(decode_message)
    for message in frames.read(pipe.fileno()): ...      # in the parent; never waits

A frame is the length of its payload (4 bytes, big-endian) and the payload, MessagePack. Nobody who
may hold a key unpickles what a child wrote: unpickling runs what the bytes say.
"""

import os
import struct
from collections.abc import Callable, Mapping
from gettext import gettext as _
from gettext import ngettext
from typing import Annotated

import msgspec

from engine.pool import launcher, messages
from engine.pool.launcher import Heard, LauncherEvent
from engine.pool.messages import Digest, Done, FromChild, Name, Number, Plain, Seconds
from kernels.commit.digest_tree import FEW_LEAVES
from kernels.digest import DIGEST_BYTES
from kernels.work import Outcome

_HEADER = struct.Struct(">I")
SMALL_FRAME = 2**16
"""Bytes of what a child may say at any time: `Ready`, `Beat`, `Failed`."""
_READ_BYTES = 2**18
_encoder = msgspec.msgpack.Encoder()


class BrokenMessage(ValueError):
    """The bytes are not a message; `str()` is one line."""


_Leaves = Annotated[bytes, msgspec.Meta(max_length=DIGEST_BYTES * FEW_LEAVES)]


class _Outcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    result_hash: Digest
    proof: str | None
    data: bytes | None
    leaves: _Leaves | None


class _Done(Plain, frozen=True, tag="Done"):
    ticket: Number
    outcome: _Outcome
    device: Name
    seconds: Seconds


class _Heard(Plain, frozen=True, tag="Heard"):
    device: Name
    generation: Number
    message: msgspec.Raw


_messages = msgspec.msgpack.Decoder(
    messages.Ready
    | messages.Compiling
    | messages.Beat
    | messages.Began
    | messages.Computed
    | messages.Opened
    | messages.Failed
    | _Done
)
_events = msgspec.msgpack.Decoder(
    _Heard
    | launcher.Exited
    | launcher.Joined
    | launcher.Left
    | launcher.Connected
    | launcher.Unreachable
)


def encode(message: Plain) -> bytearray:
    """Return the message as a frame."""
    frame = bytearray(_HEADER.size)
    _encoder.encode_into(message, frame, _HEADER.size)
    _HEADER.pack_into(frame, 0, len(frame) - _HEADER.size)
    return frame


def decode_message(payload: bytes) -> FromChild:
    """Return what a child said. Raises BrokenMessage."""
    message: FromChild | _Done = decode_as(_messages, payload)
    if isinstance(message, _Done):
        plain = message.outcome
        outcome = Outcome(plain.result_hash, plain.proof, plain.data, plain.leaves)
        return Done(message.ticket, outcome, message.device, message.seconds)
    return message


def decode_event(payload: bytes) -> LauncherEvent:
    """Return what a farm's gateway said. Raises BrokenMessage."""
    event: LauncherEvent | _Heard = decode_as(_events, payload)
    if isinstance(event, _Heard):
        return Heard(event.device, event.generation, decode_message(event.message))
    return event


def decode_as[T](decoder: msgspec.msgpack.Decoder[T], payload: bytes) -> T:
    """Return what the decoder's types allow. Raises BrokenMessage."""
    try:
        return decoder.decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BrokenMessage(_broken(error)) from None


def check_event(event: LauncherEvent, owed: dict[int, int]) -> None:
    """Raise BrokenMessage unless `decode_event` reads this as it is, and the jobs there can give it.

    For what another machine made, so that one broken machine does not cost the whole farm.
    """
    try:
        frame = encode(event)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise BrokenMessage(_broken(error)) from None
    if decode_event(bytes(frame[_HEADER.size :])) != event:
        raise BrokenMessage(_("it changes when it is encoded and decoded"))
    _check_size(len(frame) - _HEADER.size, owed)
    owed.pop(_ticket(event), 0)


def one_line(text: str, most: int = 2000) -> str:
    """Return the text as a message may carry it: on one line, printable, not too long."""
    return "".join(c if c.isprintable() else " " for c in text[:most])


def write_frame(fd: int, frame: bytes | bytearray) -> None:
    """Write all of it. Raises OSError where nobody reads."""
    rest = memoryview(frame)
    while rest:
        rest = rest[os.write(fd, rest) :]


class Frames[T]:
    """Reads frames out of a non-blocking pipe, however few bytes of one are there.

    `owed` has the bytes that the writer's open orders may be answered with; a longer frame than the
    largest of them allows is refused before it is read. `error` says what was refused, and `ended`
    that nothing follows.
    """

    def __init__(self, decode: Callable[[bytes], T]) -> None:
        self._decode = decode
        self._buffer = bytearray()
        self.owed: dict[int, int] = {}
        self.ended = False
        self.error = ""

    def read(self, fd: int) -> list[T]:
        """Return the messages that are complete. Reads a bounded number of bytes, and never waits."""
        try:
            chunk = os.read(fd, _READ_BYTES)
        except BlockingIOError:
            return []
        except OSError:
            chunk = b""
        if not chunk:
            self.ended = True
        self._buffer += chunk
        found: list[T] = []
        try:
            self._take(found)
        except BrokenMessage as error:
            self.ended, self.error = True, str(error)
        return found

    def _take(self, found: list[T]) -> None:
        buffer, start, at = self._buffer, _HEADER.size, 0
        while len(buffer) >= at + start:
            (size,) = _HEADER.unpack_from(buffer, at)
            _check_size(size, self.owed)
            if len(buffer) < at + start + size:
                break
            message = self._decode(bytes(memoryview(buffer)[at + start : at + start + size]))
            found.append(message)
            self.owed.pop(_ticket(message), None)
            at += start + size
        del buffer[:at]


def _check_size(size: int, owed: Mapping[int, int]) -> None:
    if size > SMALL_FRAME and size > SMALL_FRAME + max(owed.values(), default=0):
        raise BrokenMessage(
            ngettext(
                "a message of {size} byte is more than its jobs can give",
                "a message of {size} bytes is more than its jobs can give",
                size,
            ).format(size=size)
        )


def _ticket(message: object) -> int:
    """The job that the message answers, 0 for none."""
    said = getattr(message, "message", message)
    return 0 if isinstance(said, messages.Began) else getattr(said, "ticket", None) or 0


def _broken(error: Exception) -> str:
    return one_line(_("not a message: {error}").format(error=error), 300)
