"""Compares what several nodes say of blocks and account, and tells where they disagree.

    agreement = Agreement(client, address, block_time, troubles, failed)
    agreement.start()
    ...
    agreement.stopping.set()

Which node is followed is the client's to decide (`node_client/comparison.py`); each comparison here
renews that decision for all clients of the chain. Nodes are numbered in what is told, since
`/healthz` is open.
"""

import threading
from collections import Counter
from collections.abc import Callable
from gettext import gettext as _

from engine.monitor.troubles import Troubles
from node_client.errors import NodeClientError
from node_client.rpc import NodeClient

COMPARE_EVERY_BLOCKS = 4


class Agreement(threading.Thread):
    """Start it; set `stopping` to end it."""

    def __init__(
        self,
        client: NodeClient,
        address: str,
        block_time: float,
        troubles: Troubles,
        failed: Callable[[Exception], None],
    ) -> None:
        """`block_time` in seconds; `failed` is told, from this thread, what ended it."""
        super().__init__(name="agreement", daemon=True)
        self.stopping = threading.Event()
        self._client = client
        self._address = address
        self._block_time = block_time
        self._troubles = troubles
        self._failed = failed

    def run(self) -> None:
        """Compare every few blocks, until told to stop."""
        try:
            while not self.stopping.wait(COMPARE_EVERY_BLOCKS * self._block_time):
                self.look()
        except Exception as error:  # noqa: BLE001 - goes on in the main thread
            self._failed(error)

    def look(self) -> None:
        """Compare now; what differs twice, a block apart, is told until the nodes agree again."""
        found = disagreements(self._client, self._address)
        if found and not self.stopping.wait(self._block_time):
            again = disagreements(self._client, self._address)
            found = [sentence for sentence in found if sentence in again]
        if self.stopping.is_set():
            return
        if found:
            self._troubles.begin("nodes_disagree", "; ".join(found), advice(), stops=False)
        else:
            self._troubles.end("nodes_disagree")


def advice() -> str:
    """What to do where nodes disagree."""
    return _("See cpc-engine doctor, and leave out of --node the one that is wrong.")


def disagreements(client: NodeClient, address: str | None) -> list[str]:
    """Return a sentence on each node that differs from the others; none where they agree."""
    try:
        found = client.compare()
        if found is None:
            return []
        return _other_blocks(client, found.differing) + _other_account(client, address)
    except NodeClientError:
        return []  # whoever asks the nodes alone is told


def _other_blocks(client: NodeClient, differing: tuple[str, ...]) -> list[str]:
    return [
        _("node {number} of {count} serves other blocks than the node that is followed").format(
            number=client.urls.index(name) + 1, count=len(client.urls)
        )
        for name in differing
    ]


def _other_account(client: NodeClient, address: str | None) -> list[str]:
    """Of nodes that have the same tip before and after, those that say another balance or nonce."""
    if address is None:
        return []
    before = client.each_status()
    accounts = client.each_balance(address)
    nonces = client.each_nonce(address, pending=False)
    after = client.each_status()
    said = {
        name: (before[name].last_hash, accounts[name].balance, accounts[name].nonce, nonces[name])
        for name in client.urls
        if name in before and name in accounts and name in nonces
        if name in after and before[name].last_hash == after[name].last_hash
    }
    tips = Counter(claim[0] for claim in said.values())
    if not tips or (most := tips.most_common(1)[0])[1] < 2:
        return []
    same_tip = {name: claim for name, claim in said.items() if claim[0] == most[0]}
    usual = Counter(same_tip.values()).most_common(1)[0][0]
    witness = next(name for name, claim in same_tip.items() if claim == usual)
    return [
        _("node {number} of {count} says another balance or nonce than node {other}").format(
            number=client.urls.index(name) + 1,
            count=len(client.urls),
            other=client.urls.index(witness) + 1,
        )
        for name, claim in same_tip.items()
        if claim != usual
    ]
