"""What the gateway tells the engine, written as JSON, so that the engine unpickles nothing of a farm's.

Whoever unpickles runs what the bytes say, and a farm's machines are not the one that holds the key.
So the gateway, which has no key, exchanges Ray's pickles with them, and hands on what fits these types.

>>> from engine.pool.launcher import Left
>>> read(write(Left("rig7-3fa2/cpu", "its machine left the cluster")))
Left(device='rig7-3fa2/cpu', reason='its machine left the cluster')
"""

from functools import reduce
from gettext import gettext as _
from operator import or_
from types import GenericAlias
from typing import Any, Literal, cast, get_args

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from engine.pool.launcher import ChildEvent, DevicesEvent, Heard
from engine.pool.messages import FromChild

FarmEvent = ChildEvent | DevicesEvent


class NoFarmEvent(ValueError):
    """The bytes are not what a gateway writes."""


def _tagged(*kinds: type) -> tuple[Any, ...]:
    """Types for ("Ready", Ready(...)) and so on: a value behind the name of its class."""
    return tuple(GenericAlias(tuple, (Literal[kind.__name__], kind)) for kind in kinds)


_MESSAGE = reduce(or_, _tagged(*get_args(FromChild)))
_HEARD = GenericAlias(tuple, (Literal["Heard"], str, int, _MESSAGE))
_PLAIN = _tagged(*(kind for kind in get_args(FarmEvent) if kind is not Heard))
_FRAME: TypeAdapter[Any] = TypeAdapter(
    reduce(or_, (*_PLAIN, _HEARD)),
    config=ConfigDict(ser_json_bytes="base64", val_json_bytes="base64", extra="forbid"),
)


def write(event: FarmEvent) -> bytes:
    """The event as bytes. Raises NoFarmEvent where a machine of the farm made it of wrong types."""
    try:
        return _FRAME.dump_json(_framed(event), warnings="error")
    except PydanticSerializationError:
        raise NoFarmEvent(_("a field has the wrong type")) from None


def _framed(event: FarmEvent) -> tuple[Any, ...]:
    if isinstance(event, Heard):
        message = (type(event.message).__name__, event.message)
        return ("Heard", event.device, event.generation, message)
    return (type(event).__name__, event)


def read(frame: bytes) -> FarmEvent:
    """The event that `write` made these bytes of. Raises NoFarmEvent."""
    try:
        name, *fields = _FRAME.validate_json(frame, strict=True)
    except ValidationError:
        raise NoFarmEvent(_("no farm event: {frame!r}").format(frame=frame[:80])) from None
    if name == "Heard":
        device, generation, (_kind, message) = fields
        return Heard(device, generation, message)
    return cast(FarmEvent, fields[0])
