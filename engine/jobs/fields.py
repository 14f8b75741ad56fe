"""Read a payload's fields; each possible error has a sentence of its own."""

import base64
import binascii
from collections.abc import Collection, Iterable
from gettext import gettext as _

from engine.jobs.blobs import BlobRef, Blobs
from engine.jobs.kind import InvalidPayload, JobLimits, Payload, TooLarge
from engine.runtime.errors import BadInput
from kernels.data import Data

INLINE_BYTES = 8 << 20
"""The most inline data in a payload: a frame has 16 MiB, and base64 takes 4/3."""


def check_known(payload: Payload, known: Collection[str]) -> None:
    """Raise InvalidPayload for an unknown field, because it might change the result."""
    for name in payload:
        if name != "challenge_type" and name not in known:
            raise InvalidPayload(_("there is no field {name}").format(name=repr(name)[:60]))


def whole_number(
    payload: Payload, name: str, *, most: int, allowed: int, default: int | None = None
) -> int:
    """Return an integer from 1 to `most`. Raise TooLarge above `allowed`, the worker's own limit."""
    value = payload.get(name, default)
    if type(value) is not int or not 1 <= value <= most:
        raise InvalidPayload(
            _("{name} must be a whole number from 1 to {most}").format(name=name, most=most)
        )
    if value > allowed:
        message = _("{name} is {value}, and {allowed} is the most here")
        raise TooLarge(message.format(name=name, value=value, allowed=allowed))
    return value


def flag(payload: Payload, name: str, *, default: bool) -> bool:
    """Return a boolean. Raise InvalidPayload."""
    value = payload.get(name, default)
    if type(value) is not bool:
        raise InvalidPayload(_("{name} must be true or false").format(name=name))
    return value


def named_blob(payload: Payload, name: str, limits: JobLimits) -> BlobRef | None:
    """Return the blob that the field names, or None if its data is inline."""
    source = payload.get(name)
    if isinstance(source, dict) and set(source) == {"inline"}:
        return None
    if isinstance(source, dict) and set(source) == {"sha256", "size"}:
        try:
            ref = BlobRef(source["sha256"], source["size"])
        except BadInput as error:
            raise InvalidPayload(f"{name}: {error}") from error
        limits.check_data(name, ref.size)
        return ref
    message = _('{name} must be {{"inline": base64}} or {{"sha256": hex, "size": bytes}}')
    raise InvalidPayload(message.format(name=name))


def named_blobs(payload: Payload, names: Iterable[str], limits: JobLimits) -> tuple[BlobRef, ...]:
    """Return the blobs that these fields name, each once."""
    refs = (named_blob(payload, name, limits) for name in names)
    return tuple(dict.fromkeys(ref for ref in refs if ref is not None))


def data_of(payload: Payload, name: str, limits: JobLimits, blobs: Blobs) -> Data:
    """Return the data of a field. Raise MissingBlob for a named blob that is not here."""
    ref = named_blob(payload, name, limits)
    if ref is not None:
        return blobs.data(ref)
    text = payload[name]["inline"]
    if not isinstance(text, str) or len(text) > 4 * INLINE_BYTES // 3 + 4:
        message = _("{name}: inline data must be base64, at most {most} bytes of it")
        raise InvalidPayload(message.format(name=name, most=INLINE_BYTES))
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidPayload(
            _("{name}: inline data is not valid base64").format(name=name)
        ) from error
    limits.check_data(name, len(content))
    return Data.of_bytes(content)


def carry(content: bytes) -> dict[str, str]:
    """Return a field with these bytes inline."""
    return {"inline": base64.b64encode(content).decode("ascii")}
