"""A node that lies: an HTTP proxy in front of a devnet, and blocks that it makes up.

with LyingNode(devnet.url) as liar:
    liar.alter("/nonce/", nonce=2**63 - 1)
    liar.serve(forged_chain(devnet.chain, {3: [foreign]}))
"""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from node_client.block import Block
from node_client.devnet.chain import Chain
from node_client.devnet.proposer import Proposer
from node_client.keys import PrivateKey
from node_client.transaction import Transaction


def forged_chain(
    chain: Chain, added: Mapping[int, Sequence[Transaction]], *, last: int | None = None
) -> dict[int, Block]:
    """Blocks from the first of `added` up to the tip (or `last`) with further transactions in them.

    Roots, links and signatures fit: only the state, which nobody sees, and the proposer are wrong.
    """
    proposer = Proposer(PrivateKey(b"\x77" * 32), chain.chain_id, 50_000_000)
    forged: dict[int, Block] = {}
    first = min(added)
    parent = chain.block(first - 1)
    assert parent is not None
    for height in range(first, (chain.height if last is None else last) + 1):
        true = chain.block(height)
        header = (true or parent).header
        parent = forged[height] = proposer.make_block(
            height,
            prev_hash=parent.hash(),
            timestamp=header.timestamp,
            round_=0,
            state_root=header.state_root,
            txs=[*(tx.raw for tx in (true.txs if true else ())), *added.get(height, [])],
        )
    return forged


class LyingNode:
    """Passes everything on to an honest node, and alters the answers it was told to alter."""

    def __init__(self, upstream: str) -> None:
        self.sent: list[dict[str, Any]] = []
        """Every transaction that was handed in here."""
        self.pass_on = True
        """Whether transactions reach the honest node; else they are `received` and forgotten."""
        self.refusal = ""
        """Why transactions are rejected, if they are."""
        self.on_send: Callable[[], None] = lambda: None
        """Called when a transaction was handed in."""
        self._altered: dict[str, dict[str, Any]] = {}
        self._blocks: dict[int, Block] = {}
        liar = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer(*liar._get(upstream, self.path))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                self._answer(*liar._post(upstream, self.path, body))

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: Any) -> None:
                """Be quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def alter(self, path: str, **fields: Any) -> None:
        """From now on answers to paths that begin with `path` have these fields."""
        self._altered[path] = fields

    def serve(self, blocks: Mapping[int, Block]) -> None:
        """From now on these blocks are the chain's newest."""
        self._blocks = dict(blocks)
        tip = max(blocks)
        self.alter("/status", height=tip, last_hash=blocks[tip].hash())

    def serve_only(self, blocks: Mapping[int, Block]) -> None:
        """From now on these blocks stand in place of the honest ones, which do not link to them."""
        self._blocks = dict(blocks)

    def serve_body(self, block: Block, txs: list[Any]) -> None:
        """From now on this block has an honest header over these transactions."""
        self._blocks = {block.height: Block.read({**block.served, "txs": txs})}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_raised: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _get(self, upstream: str, path: str) -> tuple[int, bytes]:
        if path.startswith("/block/") and int(path.removeprefix("/block/")) in self._blocks:
            block = self._blocks[int(path.removeprefix("/block/"))]
            return 200, json.dumps(block.served).encode()
        status, body = _ask(Request(upstream + path))
        for prefix, fields in self._altered.items():
            if status == 200 and path.startswith(prefix):
                body = json.dumps(json.loads(body) | fields).encode()
        return status, body

    def _post(self, upstream: str, path: str, body: bytes) -> tuple[int, bytes]:
        tx = json.loads(body)
        self.sent.append(tx)
        self.on_send()
        if self.pass_on and not self.refusal:
            headers = {"content-type": "application/json"}
            return _ask(Request(upstream + path, data=body, headers=headers))
        tx_hash = Transaction.model_validate(tx).hash()
        status = "rejected" if self.refusal else "received"
        answer = {"tx_hash": tx_hash, "status": status, "error": self.refusal or None}
        return 200, json.dumps(answer).encode()


def _ask(request: Request) -> tuple[int, bytes]:
    try:
        with urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        return error.code, error.read()
