"""A place to try it all: an embedded devnet, a fresh funded key, a ledger, gone when it is left.

with Sandbox(block_time=1.0, cpc="100", report=report) as sandbox:
    run_node(NodeRequest(urls=[sandbox.url], ledger=sandbox.ledger_path, ...), sandbox.key, report)
"""

import tempfile
import time
from gettext import gettext as _
from pathlib import Path
from typing import Self

from engine.monitor.events.run import AccountFunded, DevnetStarted
from engine.monitor.reporter import Reporter
from engine.runtime.closing import Closing
from engine.runtime.errors import SetupError
from node_client.ambiguity import sign_safely
from node_client.devnet import DevnetServer
from node_client.keys import PrivateKey
from node_client.networks import NETWORKS, parse_cpc
from node_client.rpc import NodeClient
from node_client.transaction import BASE_GAS, Transaction, TxType

_PATIENCE_BLOCKS = 20


class Sandbox(Closing):
    """Context manager; `url`, `key` and `ledger_path` are there while it is open."""

    def __init__(self, block_time: float, cpc: str, report: Reporter) -> None:
        """`cpc`: what the new key is funded with."""
        self._report = report
        self._cpc = cpc
        self._block_time = block_time
        self._devnet = DevnetServer(block_time=block_time)
        self._directory = tempfile.TemporaryDirectory(prefix="cpc-engine-")
        self.key = PrivateKey.generate()

    @property
    def url(self) -> str:
        """Where the devnet listens."""
        return self._devnet.url

    @property
    def ledger_path(self) -> Path:
        """The ledger of this sandbox."""
        return Path(self._directory.name) / "ledger.sqlite"

    def __enter__(self) -> Self:
        self._devnet.start()
        try:
            self._report(DevnetStarted(self.url, self._block_time))
            self._fund()
        except BaseException:
            self._devnet.stop()
            raise
        self._report(AccountFunded(self.key.address, self._cpc))
        return self

    def close(self) -> None:
        """Stop the devnet and delete its files."""
        self._devnet.stop()
        self._directory.cleanup()

    def _fund(self) -> None:
        client, faucet = NodeClient([self.url]), self._devnet.faucet
        price = NETWORKS["devnet"].min_gas_price
        gas = BASE_GAS[TxType.TRANSFER]
        nonce = client.nonce(faucet.address)
        draft = Transaction(
            tx_type=TxType.TRANSFER,
            from_address=faucet.address,
            to_address=self.key.address,
            amount=parse_cpc(self._cpc),
            fee=gas * price,
            nonce=nonce,
            gas_price=price,
            gas_limit=gas,
        )
        client.send(sign_safely(draft, faucet, first_unspent=nonce, min_gas_price=price))
        deadline = time.monotonic() + _PATIENCE_BLOCKS * self._block_time
        while client.balance(self.key.address).balance == 0:
            if time.monotonic() > deadline:
                raise SetupError(_("the embedded devnet made no block in time"))
            time.sleep(min(0.1, self._block_time / 4))
