"""The switches of Faults over HTTP, for a devnet that runs in another process.

curl -X POST localhost:8000/devnet/faults/roll_back -H 'content-type: application/json' \
     -d '{"blocks": 2, "put_back": false}'

Only a server made with `fault_routes=True` has them. They answer {} or what the switch gives, and
400 with the reason where it refuses; they work while everything else is unavailable or stalls.
"""

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict

from node_client.devnet.faults import Faults
from node_client.errors import InvalidData
from node_client.transaction import Transaction


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TxHash(_Arguments):
    """One transaction, or all of them."""

    tx_hash: str | None = None


class Seconds(_Arguments):
    """For how long."""

    seconds: float


class Included(_Arguments):
    """What the next block holds as a transaction: any JSON value."""

    tx: Any


class Late(_Arguments):
    """The arguments of Faults.late_rounds."""

    rounds: int


class Jailed(_Arguments):
    """The arguments of Faults.jail."""

    validator: str
    blocks: int = 100


class RollBack(_Arguments):
    """The arguments of Faults.roll_back."""

    blocks: int
    put_back: bool = False
    hold: float = 0.0


class Telling(_Arguments):
    """The arguments of Faults.lie."""

    kind: str
    times: int | None = None
    path: str = ""
    value: Any = None


class Forged(_Arguments):
    """The arguments of Faults.forge."""

    txs: list[Transaction] = []
    depth: int = 0


def fault_router(faults: Faults) -> APIRouter:
    """POST /devnet/faults/NAME for every switch."""
    router = APIRouter(prefix="/devnet/faults")

    @router.post("/forget")
    async def forget(arguments: TxHash) -> dict[str, Any]:
        return {"forgotten": faults.forget(arguments.tx_hash)}

    @router.post("/drop")
    async def drop(arguments: TxHash) -> dict[str, Any]:
        faults.drop(arguments.tx_hash)
        return {}

    @router.post("/include")
    async def include(arguments: Included) -> dict[str, Any]:
        with _refusals_told():
            faults.include(arguments.tx)
        return {}

    @router.post("/roll_back")
    async def roll_back(arguments: RollBack) -> dict[str, Any]:
        with _refusals_told():
            removed = faults.roll_back(
                arguments.blocks, put_back=arguments.put_back, hold=arguments.hold
            )
        return {"removed": [block.hash() for block in removed]}

    @router.post("/late_rounds")
    async def late_rounds(arguments: Late) -> dict[str, Any]:
        faults.late_rounds(arguments.rounds)
        return {}

    @router.post("/jail")
    async def jail(arguments: Jailed) -> dict[str, Any]:
        with _refusals_told():
            faults.jail(arguments.validator, blocks=arguments.blocks)
        return {}

    for switch in (faults.hold, faults.unavailable, faults.stall, faults.syncing):
        router.post(f"/{switch.__name__}", name=switch.__name__)(_for_seconds(switch))

    @router.post("/lie")
    async def lie(arguments: Telling) -> dict[str, Any]:
        with _refusals_told():
            faults.lie(**arguments.model_dump())
        return {}

    @router.post("/forge")
    async def forge(arguments: Forged) -> dict[str, Any]:
        with _refusals_told():
            block = faults.forge(arguments.txs, depth=arguments.depth)
        return {"height": block.height, "hash": block.hash()}

    @router.post("/clear")
    async def clear() -> dict[str, Any]:
        faults.clear()
        return {}

    @router.get("/redirects_followed")
    async def redirects_followed() -> dict[str, Any]:
        return {"redirects_followed": faults.redirects_followed}

    return router


def _for_seconds(
    switch: Callable[[float], None],
) -> Callable[[Seconds], Coroutine[Any, Any, dict[str, Any]]]:
    async def route(arguments: Seconds) -> dict[str, Any]:
        switch(arguments.seconds)
        return {}

    return route


@contextmanager
def _refusals_told() -> Iterator[None]:
    try:
        yield
    except InvalidData as error:
        raise HTTPException(400, str(error)) from None
