"""Decode text from an untrusted peer: a message, a refusal, or nothing. Never raises.

>>> from engine.poc_protocol.frames import FROM_VALIDATOR
>>> decoder = Decoder(FROM_VALIDATOR)
>>> decoder.decode('{"type": "cancel", "job_id": "7", "why": "?"}')
Cancel(job_id='7')
>>> decoder.decode('{"type": "cancel"}')
Refusal(code='invalid_field', job_id=None, detail='Object missing required field `job_id`')
>>> decoder.decode('{"type": "weather"}') is None, decoder.unknown_types, decoder.unknown_fields
(True, 1, 1)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from gettext import gettext as _
from typing import Any, Union

from msgspec import MsgspecError, ValidationError, convert
from msgspec.json import Decoder as JsonDecoder
from msgspec.json import Encoder

from engine.poc_protocol.constants import FIRST_ITEMS, MAX_DEPTH, MAX_FRAME_BYTES, RefusalCode
from engine.poc_protocol.frames import Cancel, Frame, kind_of, one_line
from engine.poc_protocol.strict_json import FULL, Bounds, NotJson, parse

SHORT = 16 * 2**10
"""Characters of a frame that may be read in one step."""
_encode = Encoder().encode
_FEW_VALUES = FIRST_ITEMS // 2
"""Commas of such a frame: within the bounds of everybody."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A frame that cannot be used, and the job that it names, if that can be read."""

    code: RefusalCode
    job_id: str | None
    detail: str


class Decoder:
    """Reads the frames of one connection in one direction, and counts what it ignores."""

    def __init__(self, kinds: Sequence[type[Frame]], bounds: Bounds = FULL) -> None:
        """`kinds`: `frames.FROM_VALIDATOR` or `frames.FROM_WORKER`."""
        self.bounds = bounds
        self._kinds = {kind_of(kind): kind for kind in kinds}
        self._fields = {kind_of(kind): {"type", *kind.__struct_fields__} for kind in kinds}
        self._read_at_once = _reader(tuple(kinds)).decode
        self.unknown_types = 0
        self.unknown_fields = 0
        self.refused = 0

    def decode(self, message: str | bytes) -> Frame | Refusal | None:
        """Return the frame; None for one of an unknown type."""
        if (known := self._decode_usual(message)) is not None:
            return known
        read = self._decode(message)
        if isinstance(read, Refusal):
            self.refused += 1
        return read

    def _decode_usual(self, message: str | bytes) -> Frame | None:
        """Return a short frame in one step, where it is written in the form that `encode` gives.

        Then every reader reads the same: no key stands twice, and nothing is ignored. None for any
        other, which `_decode` reads, or says why it is refused.
        """
        if not isinstance(message, str) or len(message) > SHORT:
            return None
        if message.count("{") + message.count("[") > MAX_DEPTH or message.count(",") > _FEW_VALUES:
            return None
        try:
            frame = self._read_at_once(message)
            return frame if _encode(frame) == message.encode() else None
        except (MsgspecError, ValueError, OverflowError, RecursionError):
            return None

    def _decode(self, message: str | bytes) -> Frame | Refusal | None:
        if not isinstance(message, str):
            return Refusal("not_text", None, _("a frame must be text"))
        if _is_long(message):
            return refuse_long()
        try:
            value = parse(message, self.bounds)
        except NotJson as error:
            return Refusal("not_json", None, one_line(str(error)))
        if not isinstance(value, dict):
            return Refusal("not_json", None, _("a frame must be a JSON object"))
        kind = value.get("type")
        if not isinstance(kind, str):
            return Refusal("invalid_field", _job_id(value), _("type: it must be text"))
        if kind not in self._kinds:
            self.unknown_types += 1
            return None
        self.unknown_fields += len(value.keys() - self._fields[kind])
        try:
            return convert(value, self._kinds[kind])
        except (ValidationError, OverflowError) as error:
            return Refusal("invalid_field", _job_id(value), one_line(str(error)))


@cache
def _reader(kinds: tuple[type[Frame], ...]) -> JsonDecoder[Frame]:
    return JsonDecoder(Union[kinds])  # noqa: UP007 - of types that are in a tuple


def refuse_long() -> Refusal:
    """Return the refusal of a frame over 16 MiB, which is not decoded."""
    return Refusal(
        "too_large",
        None,
        _("a frame has at most {MAX_FRAME_BYTES} bytes").format(MAX_FRAME_BYTES=MAX_FRAME_BYTES),
    )


def _is_long(text: str) -> bool:
    if len(text) > MAX_FRAME_BYTES:
        return True
    return not text.isascii() and len(text.encode(errors="replace")) > MAX_FRAME_BYTES


def _job_id(value: dict[str, Any]) -> str | None:
    try:
        return convert({"type": "cancel", "job_id": value.get("job_id")}, Cancel).job_id
    except ValidationError:
        return None
