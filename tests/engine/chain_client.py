"""The devnet's chain behind the methods of NodeClient that the engine uses, without HTTP.

Blocks are not checked again (that costs milliseconds each, and `tests/node_client` has it); what a
node refuses is refused word for word.
"""

from node_client.errors import BadResponse, NodeError, NodeUnreachable, NotFound, Refused
from node_client.refusals import refusal
from node_client.rpc import Account, NodeStatus


class ChainClient:
    """Also counts the blocks that were asked for, and calls `before(name)` ahead of each answer."""

    urls = ("http://devnet",)

    def __init__(self, chain, before=lambda name: None):
        self.chain = chain
        self.before = before
        self.blocks_read = 0
        self.down = False

    def _asked(self, name):
        if self.down:
            raise NodeUnreachable("http://devnet does not answer: connection refused")
        self.before(name)

    def status(self):
        self._asked("status")
        return NodeStatus.model_validate(self.chain.status())

    def block(self, height, *, expected_hash=None):
        self._asked("block")
        assert height >= 0
        self.blocks_read += 1
        block = self.chain.block(height)
        if block is None:
            raise NotFound("Block not found")
        if expected_hash not in (None, block.hash()):
            raise BadResponse(f"block {height} has another hash")
        return block

    def known_block(self, block_hash):
        return None

    def balance(self, address):
        self._asked("balance")
        account = self.chain.account(address)
        return Account(address, account.balance, account.nonce)

    def nonce(self, address, pending=True):
        self._asked("nonce")
        return self.chain.pending_nonce(address) if pending else self.chain.account(address).nonce

    def compare(self):
        return None

    def each_status(self):
        return self._each(self.status)

    def each_first_block(self):
        return self._each(lambda: self.chain.block(0))

    def each_balance(self, address):
        return self._each(lambda: self.balance(address))

    def each_nonce(self, address, pending=True):
        return self._each(lambda: self.nonce(address, pending))

    def each_block_hash(self, height):
        block = self.chain.block(height)
        return self._each(lambda: block and block.hash())

    def _each(self, ask):
        return {} if self.down else {self.urls[0]: ask()}

    def genesis(self):
        return self.block(0).hash()

    def send_all(self, txs):
        said = []
        for tx in txs:
            try:
                said.append(self.send(tx))
            except Refused as refused:
                said.append(refused)
            except NodeError as error:
                return said, error
        return said, None

    def broadcast(self, tx):
        return self.send(tx)

    def send(self, tx):
        self._asked("send")
        reason = self.chain.send(tx)
        if reason is not None:
            raise refusal(reason)
        return tx.hash()
