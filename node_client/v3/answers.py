"""What a CometBFT node answers, read strictly: its envelope, and the four results asked for.

>>> is_comet({"jsonrpc": "2.0", "id": -1, "result": {"node_info": {"network": "cpc-comet-1"}}})
True

CometBFT writes 64-bit numbers as text ("height": "17"), hashes as upper-case hex, bytes as base64.
"""

import base64
import binascii
import json
from gettext import gettext as _
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from node_client.responses import parse_json

MAX_AMOUNT = 2**256 - 1
"""The largest amount, balance and cost: the application's own bound."""


def _number(value: Any) -> Any:
    """A number that came as decimal text, as CometBFT writes 64-bit integers."""
    if not (isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 19):
        raise ValueError(_("not a number in decimal text"))
    return int(value)


def _bytes(value: Any) -> Any:
    try:
        return base64.b64decode(value or "", validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise ValueError(_("not base64")) from None


Number = Annotated[int, BeforeValidator(_number), Field(ge=0, lt=2**63)]
Hash = Annotated[StrictStr, Field(pattern=r"^([0-9A-F]{64})?$")]
ChainId = Annotated[StrictStr, Field(pattern=r"^[!-~]{1,50}$")]
"""CometBFT's own bound is 50 characters; printable ASCII without spaces is ours."""
Time = Annotated[StrictStr, Field(pattern=r"^[0-9T:.Z-]{1,40}$")]
Bytes = Annotated[bytes, BeforeValidator(_bytes)]
Code = Annotated[StrictInt, Field(ge=0, lt=2**32)]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _NodeInfo(_Answer):
    network: ChainId


class _SyncInfo(_Answer):
    latest_block_hash: Hash
    latest_block_height: Number
    latest_block_time: Time
    catching_up: StrictBool


class StatusResult(_Answer):
    """The result of /status."""

    node_info: _NodeInfo
    sync_info: _SyncInfo


class Header(_Answer):
    """What is read of a block's header. `app_hash` is the state after the block before."""

    chain_id: ChainId
    height: Number
    time: Time
    data_hash: Hash
    app_hash: Annotated[StrictStr, Field(pattern=r"^([0-9A-F]{2}){0,64}$")]
    proposer_address: Annotated[StrictStr, Field(pattern=r"^[0-9A-F]{40}$")]


class _Data(_Answer):
    txs: list[Bytes] | None = None


class _Block(_Answer):
    header: Header
    data: _Data


class _BlockId(_Answer):
    hash: Hash


class BlockResult(_Answer):
    """The result of /block."""

    block_id: _BlockId
    block: _Block


class _Query(_Answer):
    code: Code = 0
    log: StrictStr = ""
    value: Bytes = b""


class QueryResult(_Answer):
    """The result of /abci_query."""

    response: _Query


class BroadcastResult(_Answer):
    """The result of /broadcast_tx_sync. A `code` other than 0 is a refusal, and `log` its reason."""

    code: Code = 0
    log: StrictStr = ""
    hash: Hash


class AccountValue(_Answer):
    """The JSON that /abci_query gives for /account/ADDRESS; zeros for an unknown account."""

    balance: Annotated[StrictInt, Field(ge=0, le=MAX_AMOUNT)]
    nonce: Annotated[StrictInt, Field(ge=0, lt=2**63)]


class RpcError(_Answer):
    """The `error` of a JSON-RPC envelope."""

    code: StrictInt = 0
    message: StrictStr = ""
    data: StrictStr = ""


def is_comet(value: Any) -> bool:
    """Return whether this JSON is what a CometBFT node says to /status."""
    if not isinstance(value, dict) or "jsonrpc" not in value:
        return False
    result = value.get("result")
    return isinstance(result, dict) and isinstance(result.get("node_info"), dict)


def chain_of(value: Any) -> str:
    """Return the chain id in a CometBFT node's /status, "?" where it is not a valid one."""
    try:
        return StatusResult.model_validate(value["result"]).node_info.network
    except ValueError:
        return "?"


def parse_envelope(body: bytes) -> RpcError | Any:
    """Return the `result` of a JSON-RPC answer, or its RpcError. Raises ValueError."""
    value = parse_json(body)
    if not isinstance(value, dict) or "jsonrpc" not in value:
        raise ValueError(_("it is not a JSON-RPC answer"))
    if value.get("error") is not None:
        return RpcError.model_validate(value["error"])
    if "result" not in value:
        raise ValueError(_("it has neither a result nor an error"))
    return value["result"]


def parse_account(value: bytes) -> AccountValue:
    """Return what an /account query's bytes say. Raises ValueError."""
    return AccountValue.model_validate(parse_json(value))


def transaction_json(raw: bytes) -> Any:
    """Return a block's transaction as JSON, or its hex: foreign ones are not judged."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return {"raw": raw.hex()}
