"""Decode text from an untrusted peer: a message, a refusal, or nothing. Never raises.

>>> from engine.poc_protocol.frames import FROM_VALIDATOR
>>> decoder = Decoder(FROM_VALIDATOR)
>>> decoder.decode('{"type": "cancel", "job_id": "7", "why": "?"}')
Cancel(job_id='7')
>>> decoder.decode('{"type": "cancel"}')
Refusal(code='invalid_field', job_id=None, detail='job_id: Field required')
>>> decoder.decode('{"type": "weather"}') is None, decoder.unknown_types, decoder.unknown_fields
(True, 1, 1)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from gettext import gettext as _
from typing import Any

from pydantic import TypeAdapter, ValidationError

from engine.poc_protocol.constants import MAX_FRAME_BYTES, RefusalCode
from engine.poc_protocol.frames import Frame, Id, one_line
from engine.poc_protocol.strict_json import FULL, Bounds, NotJson, parse

_ID = TypeAdapter[str](Id)


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
        self._kinds = {kind.kind: kind for kind in kinds}
        self._fields = {kind.kind: {"type", *kind.model_fields} for kind in kinds}
        self.unknown_types = 0
        self.unknown_fields = 0
        self.refused = 0

    def decode(self, message: str | bytes) -> Frame | Refusal | None:
        """Return the frame; None for one of an unknown type."""
        read = self._decode(message)
        if isinstance(read, Refusal):
            self.refused += 1
        return read

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
            return self._kinds[kind].model_validate(value)
        except ValidationError as error:
            return Refusal("invalid_field", _job_id(value), _first(error))


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
        return _ID.validate_python(value.get("job_id"), strict=True)
    except ValidationError:
        return None


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return one_line(f"{place}: {first['msg']}")
