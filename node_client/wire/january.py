"""The node of January 2026: joined numbers are hashed, and results are taken."""

from collections.abc import Mapping
from gettext import gettext as _
from typing import Any

from node_client.address import check_address
from node_client.block_body import MAX_BLOCK_BODY
from node_client.queries import get_account, get_block, get_status, post_transaction
from node_client.responses import Account
from node_client.transaction import BASE_GAS, Transaction
from node_client.transport import HttpNode
from node_client.wire.face import Position, Wire


class January:
    """See `Wire`. The text that is hashed: `Transaction.signing_text`, signed by `sign_safely`."""

    name = "january-2026"
    takes_results = True
    base_gas: Mapping[str, int] = {kind.value: gas for kind, gas in BASE_GAS.items()}

    def standing(self) -> str:
        """Return where this network stands."""
        return _(
            "Results are taken. The miners' share of the reward is burned (node of January 2026):"
            " mining costs fees and pays nothing."
        )

    def status(self, node: HttpNode) -> Position:
        """GET /status."""
        status = get_status(node)
        return Position(status.height, status.last_hash, status.model_dump())

    def account(self, node: HttpNode, address: str) -> Account:
        """GET /balance/A."""
        return get_account(node, check_address(address))

    def block(self, node: HttpNode, height: int) -> dict[str, Any]:
        """GET /block/H; what is wrong with the block is in `fault`."""
        block = get_block(node, height, limit=MAX_BLOCK_BODY)
        return block.served | {"hash": block.hash(), "fault": block.fault}

    def send(self, node: HttpNode, tx: Transaction) -> str:
        """POST /tx/send."""
        return post_transaction(node, tx)


JANUARY: Wire[Transaction] = January()
