"""A client whose first node lies, and whose further nodes, if any, are honest; without HTTP."""

from node_client.devnet.proposer import Proposer
from node_client.errors import BadResponse, NodeUnreachable, NotFound, Refused
from node_client.keys import PrivateKey
from node_client.refusals import refusal
from node_client.responses import Account
from tests.engine.chain_client import ChainClient

FORGER = PrivateKey(b"\x77" * 32)


class LyingClient(ChainClient):
    """What is None, or empty, is told as it is."""

    def __init__(self, chain, honest_nodes=0):
        super().__init__(chain)
        self.urls = ("http://liar", *(f"http://honest{i}" for i in range(honest_nodes)))
        self.tell_the_truth()
        self.passes_on = []
        """Every transaction that the liar was given."""

    def tell_the_truth(self):
        self.confirmed = self.pending = self.balance_ = self.refuses = None
        self.swallows = False
        self.forged = {}

    def forge(self, first, last, added=None):
        """Blocks `first` to `last` are made up from now on, with these transactions by height."""
        proposer = Proposer(FORGER, self.chain.chain_id, 50_000_000)
        self.forged = {}
        parent = self.chain.block(min(first - 1, self.chain.height))
        for height in range(first, last + 1):
            block = proposer.make_block(
                height,
                prev_hash=parent.hash(),
                timestamp=parent.header.timestamp + 5,
                round_=0,
                state_root="",
                txs=(added or {}).get(height, []),
            )
            parent = self.forged[height] = block

    def status(self):
        true = super().status()
        if not self.forged:
            return true
        tip = max(self.forged)
        return true.model_copy(update={"height": tip, "last_hash": self.forged[tip].hash()})

    def block(self, height, *, expected_hash=None):
        block = self.forged.get(height)
        if block is None:
            if self.forged and height > max(self.forged):
                raise NotFound("Block not found")
            return super().block(height, expected_hash=expected_hash)
        self._asked("block")
        if expected_hash not in (None, block.hash()):
            raise BadResponse(f"block {height} has another hash")
        return block

    def balance(self, address):
        true = super().balance(address)
        balance = true.balance if self.balance_ is None else self.balance_
        return Account(address, balance, true.nonce if self.confirmed is None else self.confirmed)

    def nonce(self, address, pending=True):
        true = super().nonce(address, pending)
        said = self.pending if pending else self.confirmed
        return true if said is None else said

    def each_nonce(self, address, pending=True):
        honest = super().nonce(address, pending)
        return {self.urls[0]: self.nonce(address, pending)} | dict.fromkeys(self.urls[1:], honest)

    def send(self, tx):
        self._asked("send")
        self.passes_on.append(tx)
        if self.refuses is not None:
            raise refusal(self.refuses.format(price=tx.gas_price))
        return tx.hash() if self.swallows else super().send(tx)

    def broadcast(self, tx):
        failures = []
        for node in self.urls:
            try:
                self.send(tx) if node == self.urls[0] else super().send(tx)
            except (Refused, NodeUnreachable) as error:
                failures.append(error)
        if len(failures) == len(self.urls):
            raise failures[0]
        return tx.hash()
