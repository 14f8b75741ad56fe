"""What the node's responses must look like, and how their JSON is read.

>>> NonceResponse.model_validate(parse_json(b'{"address": "cpc1...", "nonce": 3, "pending": true}'))
NonceResponse(address='cpc1...', nonce=3, pending=True)

A node is not trusted: a body is bounded before it gets here, and then read strictly. Integers are
integers, hashes hex, a balance a string of digits; NaN, deep nesting and numbers of thousands of
digits are not accepted as JSON. Every failure is a ValueError with a reason of one line.
"""

import json
import math
from dataclasses import dataclass
from gettext import gettext as _
from typing import Annotated, Any, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, ValidationError

from node_client.refusals import shorten

Counter = Annotated[StrictInt, Field(ge=0, lt=2**63)]
Hash = Annotated[StrictStr, Field(pattern=r"^[0-9a-f]{64}$")]
Word = Annotated[StrictStr, Field(pattern=r"^[!-~]{0,200}$")]
"""A name or another hash: it is printed, so it must not control a terminal."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account as the last block left it. `balance` in units; `nonce` is the next one."""

    address: str
    balance: int
    nonce: int


class _Response(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class NodeStatus(_Response):
    """GET /status: the tip's height and hash, the network's name, ...

    `height` is -1 where the node has no block yet (see `queries.get_status`).
    """

    height: Annotated[StrictInt, Field(ge=-1, lt=2**63)]
    last_hash: Hash
    network: Word
    mempool_size: Counter
    epoch: Counter


class BalanceResponse(_Response):
    """GET /balance/A. The balance is a string, since it may not fit a JSON reader's integers."""

    address: StrictStr
    balance: Annotated[StrictStr, Field(pattern=r"^[0-9]{1,78}$")]
    nonce: Counter


class NonceResponse(_Response):
    """GET /nonce/A."""

    address: StrictStr
    nonce: Counter
    pending: StrictBool


class SendResponse(_Response):
    """POST /tx/send, which answers 200 whether it took the transaction or not."""

    tx_hash: Hash
    status: Literal["received", "rejected"]
    error: StrictStr | None = None


class Receipt(_Response):
    """GET /tx/HASH/receipt. Seen to stay `pending` for ever: only a block proves a transaction."""

    tx_hash: Hash
    status: StrictStr
    block_height: Counter | None = None
    error: StrictStr | None = None


def parse_json(body: bytes, *, strict: bool = True) -> Any:
    """The JSON value in `body`. Raises ValueError with a reason of one line.

    A number that JSON does not have (NaN, or one beyond a float) is refused where `strict`, and else
    None: so the node itself serves it.
    """
    try:
        if strict:
            return json.loads(body.decode(), parse_constant=_refuse_constant)
        return json.loads(body.decode(), parse_constant=_no_number, parse_float=_finite)
    except UnicodeDecodeError:
        raise ValueError(_("it is not valid UTF-8")) from None
    except json.JSONDecodeError as error:
        raise ValueError(
            _("it is not valid JSON ({msg} at character {pos})").format(
                msg=error.msg.removesuffix(" at"), pos=error.pos
            )
        ) from None
    except RecursionError:
        raise ValueError(_("it is nested too deeply")) from None


def reason_of(error: Exception) -> str:
    """One line on why an answer was not accepted."""
    if isinstance(error, RecursionError):
        return _("it is nested too deeply")
    if isinstance(error, ValidationError):
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        said = _said(first["type"]) or first["msg"]
        return shorten(f"{where}: {said}" if where else said)
    return shorten(str(error))


def _said(kind: str) -> str | None:
    """Our words for pydantic's most usual complaints, whose own name Python's classes."""
    return {
        "missing": _("it is not there"),
        "model_type": _("it is not a JSON object"),
        "int_type": _("it is not a whole number"),
        "string_type": _("it is not text"),
        "string_pattern_mismatch": _("it is text of another form"),
        "list_type": _("it is not a list"),
        "less_than": _("it is too large"),
        "greater_than_equal": _("it is too small"),
    }.get(kind)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(_("{name} is not valid JSON").format(name=name))


def _no_number(_name: str) -> None:
    return None


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None
