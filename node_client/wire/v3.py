"""The v3 network: canonical JSON is hashed, with the chain's id in it; no results are taken yet."""

from collections.abc import Mapping
from dataclasses import asdict
from gettext import gettext as _
from typing import Any

from node_client.responses import Account
from node_client.transport import HttpNode
from node_client.v3 import rpc
from node_client.v3.transfer import TRANSFER_GAS, Transfer
from node_client.wire.face import Position, Wire


class CometBft:
    """See `Wire`. The text that is hashed: `Transfer.digest`."""

    name = "v3"
    takes_results = False
    base_gas: Mapping[str, int] = {"TRANSFER": TRANSFER_GAS}

    def standing(self) -> str:
        """Return where this network stands."""
        return _(
            "A CometBFT node: this network takes no results yet. Transfers work; there is nothing to"
            " mine."
        )

    def status(self, node: HttpNode) -> Position:
        """/status."""
        tip = rpc.status(node)
        return Position(tip.height, tip.last_hash, asdict(tip))

    def account(self, node: HttpNode, address: str) -> Account:
        """/abci_query, path /account/ADDRESS."""
        return rpc.account_of(node, address)

    def block(self, node: HttpNode, height: int) -> dict[str, Any]:
        """/block."""
        return rpc.block_at(node, height).to_json()

    def send(self, node: HttpNode, tx: Transfer) -> str:
        """/broadcast_tx_sync."""
        return rpc.broadcast(node, tx)


V3: Wire[Transfer] = CometBft()
