"""Whatever is sent, dropped, forgotten and rolled back: money and nonces add up."""

import itertools

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from node_client.devnet import Chain, Faults
from node_client.devnet.state import ChainState, Undo
from node_client.devnet.validators import GENESIS_STAKE, IDLE_VALIDATORS, Validator
from node_client.keys import PrivateKey
from node_client.transaction import BASE_GAS, Transaction, TxType
from tests.blocks import transactions

KEYS = [PrivateKey(bytes([n]) * 32) for n in (1, 2, 3)]
# So little that some transactions cannot be paid for.
BALANCES = {KEYS[0].address: 900_000_000, KEYS[1].address: 300_000_000}

someone = st.sampled_from(KEYS)
ahead = st.integers(0, 3)


class Life(RuleBasedStateMachine):
    """A chain with three accounts, and everything that can befall it."""

    def __init__(self) -> None:
        super().__init__()
        self.chain = Chain(BALANCES, clock=lambda: 1_700_000_000.0)
        self.genesis: list[Validator] = [
            validator.having_proposed(0) for validator in self.chain.validators()
        ]
        self.faults = Faults()
        self.faults.bind(self.chain)
        self.last: Transaction | None = None

    def send(self, key: PrivateKey, kind: TxType, ahead: int, **fields: object) -> None:
        nonce = self.chain.pending_nonce(key.address) + ahead
        draft = {
            "tx_type": kind,
            "from_address": key.address,
            "amount": 0,
            "fee": BASE_GAS[kind] * 1000,
            "nonce": nonce,
            "gas_price": 1000,
            "gas_limit": BASE_GAS[kind],
        }
        tx = Transaction.model_validate({**draft, **fields}).signed_by(key)
        refusal = self.chain.send(tx)
        assert refusal in (None, "insufficient_balance", "nonce_too_low", "already_in_pool")
        if refusal is None:
            self.last = tx

    @rule(key=someone, to=someone, amount=st.integers(1, 400_000_000), ahead=ahead)
    def transfer(self, key: PrivateKey, to: PrivateKey, amount: int, ahead: int) -> None:
        self.send(key, TxType.TRANSFER, ahead, amount=amount, to_address=to.address)

    @rule(key=someone, amount=st.integers(0, 400_000_000), out=st.booleans())
    def stake(self, key: PrivateKey, amount: int, out: bool) -> None:
        kind = TxType.UNSTAKE if out else TxType.STAKE
        self.send(key, kind, 0, amount=amount, payload={"pub_key": KEYS[2].public_key})

    @rule(key=someone, worker=someone, ahead=ahead, extra=st.integers(0, 10**6))
    def result(self, key: PrivateKey, worker: PrivateKey, ahead: int, extra: int) -> None:
        payload = {
            "task_id": "t",
            "worker_address": worker.address,
            "result_hash": "",
            "proof": "",
            "nonce": 0,
            "signature": "Ω",
        }
        fee = 80_000_000 + extra
        self.send(key, TxType.SUBMIT_RESULT, ahead, payload=payload, fee=fee)

    @rule()
    def produce(self) -> None:
        self.chain.produce()

    @rule(blocks=st.integers(0, 3), put_back=st.booleans())
    def roll_back(self, blocks: int, put_back: bool) -> None:
        self.chain.roll_back(min(blocks, self.chain.height), put_back=put_back)

    @rule(everything=st.booleans())
    def forget(self, everything: bool) -> None:
        if self.last is not None:
            self.faults.forget(None if everything else self.last.hash())

    @rule()
    def drop(self) -> None:
        if self.last is not None:
            self.faults.drop(self.last)

    @invariant()
    def money_is_genesis_less_what_was_burned(self) -> None:
        fees = sum(
            tx.base_gas * tx.gas_price for b in self.chain.blocks() for tx in transactions(b)
        )
        assert self.chain.burned() == fees
        stakes = GENESIS_STAKE * (IDLE_VALIDATORS + 1)
        assert self.chain.total() == sum(BALANCES.values()) + stakes - fees

    @invariant()
    def nonces_are_contiguous(self) -> None:
        for key in KEYS:
            mine = [
                tx.nonce
                for block in self.chain.blocks()
                for tx in block.txs
                if tx.from_address == key.address
            ]
            assert mine == list(range(len(mine)))
            account = self.chain.account(key.address)
            assert account.nonce == len(mine)
            assert account.balance >= 0
            assert self.chain.pending_nonce(key.address) >= account.nonce

    def teardown(self) -> None:
        """The blocks alone, carried out again from genesis, give the same roots."""
        state = ChainState(BALANCES, self.genesis)
        blocks = self.chain.blocks()
        for block in blocks:
            for tx in transactions(block):
                assert state.apply(tx, Undo(), block.height) is None
            assert block.header.state_root == state.root()
            state.end_unbonding(block.height, Undo())
            assert not block.fault
        for before, block in itertools.pairwise(blocks):
            assert block.header.prev_hash == before.hash()


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=60,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
