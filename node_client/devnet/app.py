"""The devnet's routes: the node's, word for word as far as rpc.json shows them.

app = create_app(Node(Chain({}), Faults()))   # an ASGI application; `uvicorn` serves it

A body of the wrong shape is FastAPI's own 422, in the order of Transaction's fields, as with the
node.
"""

import json
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exception_handlers import request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import field_validator
from pydantic_core import PydanticCustomError

from node_client.devnet.more_routes import more_routes
from node_client.devnet.node import Node
from node_client.errors import InvalidTransaction
from node_client.transaction import Transaction, TxType

SYSTEM_TYPE = "POC_REWARD"
"""A type that the node itself would use; it refuses it as `unknown_tx_type`."""


class SentTransaction(Transaction):
    """The body of POST /tx/send. The node knows one type more than it takes."""

    tx_type: Any

    @field_validator("tx_type")
    @classmethod
    def _known(cls, value: object) -> str:
        if value == SYSTEM_TYPE:
            return SYSTEM_TYPE
        if isinstance(value, str) and value in TxType:
            return TxType(value)
        raise PydanticCustomError("enum", "Input should be a type of transaction")


def create_app(node: Node) -> FastAPI:
    """The routes of this node.

    The handlers are coroutines although they wait for a lock: they hold it for milliseconds, and
    no pool of threads is left behind when the server stops.
    """
    app = FastAPI(title="cpc-engine devnet", docs_url=None, redoc_url=None)
    app.add_exception_handler(RequestValidationError, _refuse_shape)

    @app.get("/status")
    async def status() -> dict[str, Any]:
        return node.status()

    @app.get("/block/{height}")
    async def block(height: int) -> Response:
        found = node.block(height)
        if found is None:
            raise HTTPException(404, "Block not found")
        # Escaped: a payload may hold what UTF-8 cannot.
        return Response(json.dumps(found.served), media_type="application/json")

    @app.get("/balance/{address}")
    async def balance(address: str) -> dict[str, Any]:
        account = node.account(address)
        return {"address": address, "balance": str(account.balance), "nonce": account.nonce}

    @app.get("/nonce/{address}")
    async def nonce(address: str, pending: bool = True) -> dict[str, Any]:
        free = node.pending_nonce(address) if pending else node.account(address).nonce
        return {"address": address, "nonce": free, "pending": pending}

    @app.get("/tx/{tx_hash}/receipt")
    async def receipt(tx_hash: str) -> dict[str, Any]:
        found = node.receipt(tx_hash)
        if found is None:
            raise HTTPException(404, "Transaction not found")
        return found

    @app.post("/tx/send")
    async def send(tx: SentTransaction) -> dict[str, Any]:
        try:
            tx_hash = tx.hash()
            refusal = node.send(tx)
        except (InvalidTransaction, ValueError, RecursionError) as error:
            raise HTTPException(400, str(error)) from None
        if refusal is not None:
            return {"tx_hash": tx_hash, "status": "rejected", "error": refusal}
        return {"tx_hash": tx_hash, "status": "received"}

    app.include_router(more_routes(node.chain))
    return app


async def _refuse_shape(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    try:
        return await request_validation_exception_handler(request, error)
    except ValueError:  # the body repeats the input, and not all of Python's JSON is JSON
        return JSONResponse({"detail": "There was an error parsing the body"}, 400)
