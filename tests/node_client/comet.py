"""A small CometBFT-shaped HTTP server: the v3 application's rules for TRANSFER, written by hand.

Shapes are those of CometBFT's public RPC description; rules those of ../shared/l1/V3.md. It shares no
code with node_client but the address check, so that a mistake there is not made here, too.
"""

import base64
import contextlib
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from ecdsa import SECP256k1, VerifyingKey

CHAIN_ID = "cpc-comet-staking-devnet-1"
HALF_ORDER = SECP256k1.order // 2
FIELDS = {
    "version", "chain_id", "type", "from", "to", "amount", "nonce", "gas_price", "gas_limit",
    "pub_key", "signature", "payload",
}  # fmt: skip


class Refused(Exception):
    """What the application says no to."""


class CometServer:
    """`balances`: units by address. `next_block()` puts what waits into a block."""

    def __init__(self, balances=(), chain_id=CHAIN_ID):
        self.chain_id = chain_id
        self.accounts = {address: [units, 0] for address, units in dict(balances).items()}
        self.waiting, self.blocks = [], [[]]
        self.asked = []
        self.catching_up = False
        self.says = {}  # a path's whole answer instead: status code and bytes
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                code, body = server.answer(self.path)
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(ConnectionError):  # a client hangs up on what is too long
                    self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def next_block(self):
        """Execute what waits, in its order; what fails is dropped."""
        taken = []
        for raw in self.waiting:
            try:
                tx = self.check(raw)
                sender = self.accounts[tx["from"]]
                if tx["nonce"] != sender[1]:
                    raise Refused("invalid nonce")
            except Refused:
                continue
            sender[0] -= int(tx["amount"]) + 21_000 * int(tx["gas_price"])
            sender[1] += 1
            self.accounts.setdefault(tx["to"], [0, 0])[0] += int(tx["amount"])
            taken.append(raw)
        self.waiting = []
        self.blocks.append(taken)

    def check(self, raw):
        """Return the transaction in these bytes, or raise Refused as V3.md has it."""
        if len(raw) > 4096:
            raise Refused("transaction size limit")
        tx = json.loads(raw)
        text = json.dumps(tx, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        if set(tx) != FIELDS or text.encode() != raw:
            raise Refused("noncanonical transaction or unknown fields")
        if tx["version"] != 3 or tx["chain_id"] != self.chain_id:
            raise Refused("wrong transaction domain")
        if tx["type"] != "TRANSFER" or tx["gas_limit"] != 21_000 or tx["payload"] != {}:
            raise Refused("unsupported transaction type")
        if str(int(tx["amount"])) != tx["amount"] or int(tx["amount"]) <= 0:
            raise Refused("invalid amount or gas price")
        if str(int(tx["gas_price"])) != tx["gas_price"] or int(tx["gas_price"]) < 1000:
            raise Refused("invalid amount or gas price")
        unsigned = {name: value for name, value in tx.items() if name != "signature"}
        text = json.dumps(unsigned, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        digest = hashlib.sha256(b"ComputeChain/tx/v3" + bytes(1) + text.encode()).digest()
        signature = bytes.fromhex(tx["signature"])
        if int.from_bytes(signature[32:]) > HALF_ORDER:
            raise Refused("noncanonical high-S signature")
        key = VerifyingKey.from_string(bytes.fromhex(tx["pub_key"]), curve=SECP256k1)
        if not key.verify_digest(signature, digest):
            raise Refused("invalid transaction signature")
        balance, nonce = self.accounts.get(tx["from"], (0, 0))
        if not nonce <= tx["nonce"] <= nonce + 64:
            raise Refused("invalid nonce")
        if balance < int(tx["amount"]) + 21_000 * int(tx["gas_price"]):
            raise Refused("insufficient balance")
        return tx

    def answer(self, target):
        """Return status code and body for a GET."""
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.asked.append(parts.path)
        if parts.path in self.says:
            return self.says[parts.path]
        match parts.path:
            case "/status":
                return self._result(self._status())
            case "/block":
                return self._block(int(query["height"]))
            case "/abci_query":
                return self._query(unquote(query["path"]).strip('"'))
            case "/broadcast_tx_sync":
                return self._broadcast(bytes.fromhex(query["tx"].removeprefix("0x")))
            case _:
                return 404, b"404 page not found\n"

    def _status(self):
        height = len(self.blocks) - 1
        return {
            "node_info": {
                "protocol_version": {"p2p": "8", "block": "11", "app": "3"},
                "id": "5576458aef205977e18fd50b274e9b5d9014525a",
                "network": self.chain_id,
                "version": "0.39.0",
                "moniker": "node0",
            },
            "sync_info": {
                "latest_block_hash": self._hash(height) if height else "",
                "latest_app_hash": "AB" * 32,
                "latest_block_height": str(height),
                "latest_block_time": "2026-10-07T09:11:22.818762194Z",
                "catching_up": self.catching_up,
            },
            "validator_info": {"address": "CD" * 20, "voting_power": "10000"},
        }

    def _hash(self, height):
        return hashlib.sha256(f"{self.chain_id}/{height}".encode()).hexdigest().upper()

    def _block(self, height):
        if not 1 <= height < len(self.blocks):
            tip = len(self.blocks) - 1
            said = (
                f"height {height} must be less than or equal to the current blockchain height {tip}"
            )
            return self._error(said)
        txs = [base64.b64encode(raw).decode() for raw in self.blocks[height]]
        header = {
            "version": {"block": "11", "app": "3"},
            "chain_id": self.chain_id,
            "height": str(height),
            "time": "2026-10-07T09:11:22.818762194Z",
            "data_hash": "EF" * 32,
            "app_hash": "AB" * 32,
            "proposer_address": "CD" * 20,
        }
        return self._result(
            {
                "block_id": {"hash": self._hash(height), "parts": {"total": 1, "hash": "00" * 32}},
                "block": {"header": header, "data": {"txs": txs}, "evidence": {"evidence": []}},
            }
        )

    def _query(self, path):
        address = path.removeprefix("/account/")
        if address == path:
            response = {"code": 1, "log": "unknown query path", "value": None, "height": "0"}
        else:
            balance, nonce = self.accounts.get(address, (0, 0))
            value = json.dumps({"balance": balance, "nonce": nonce}, separators=(",", ":"))
            encoded = base64.b64encode(value.encode()).decode()
            response = {"code": 0, "log": "", "key": None, "value": encoded, "height": "7"}
        return self._result({"response": response})

    def _broadcast(self, raw):
        if raw in self.waiting:
            return self._error("tx already exists in cache")
        code, log = 0, ""
        try:
            self.check(raw)
            self.waiting.append(raw)
        except Refused as error:
            code, log = 1, str(error)
        tx_hash = hashlib.sha256(raw).hexdigest().upper()
        result = {"code": code, "data": "", "log": log, "codespace": "cpc", "hash": tx_hash}
        return self._result(result)

    @staticmethod
    def _result(value):
        return 200, json.dumps({"jsonrpc": "2.0", "id": -1, "result": value}).encode()

    @staticmethod
    def _error(said):
        error = {"code": -32603, "message": "Internal error", "data": said}
        return 500, json.dumps({"jsonrpc": "2.0", "id": -1, "error": error}).encode()
