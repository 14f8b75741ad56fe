"""Payouts to workers whose address ends in a digit, and payouts that a node refuses for a while."""

import json

import pytest

from engine.cli.app import run
from engine.validator.payout_plan import plan_payouts
from engine.validator.payouts import Payer
from engine.validator.store.payout_blocks import PayoutBlocks
from engine.validator.store.transfers import Transfers
from node_client.devnet import Chain
from node_client.devnet.state import AccountState
from node_client.errors import Refused
from node_client.keys import PrivateKey
from node_client.networks import NETWORKS, UNITS_PER_CPC
from node_client.nonce_proof import NonceWalk
from node_client.refusals import refusal
from node_client.rpc import Account
from node_client.transaction import Transaction
from tests.engine.chain_client import ChainClient
from tests.engine.validator.arena import Clock, Worker

CPC = UNITS_PER_CPC
PAYER, OTHER = PrivateKey(b"\x0b" * 32), PrivateKey(b"\x0d" * 32)
WITH_DIGIT, OTHER_WITH_DIGIT = (PrivateKey(bytes([n]) * 32) for n in (2, 5))
"""1 CPC to cpc1...5 is also 51 CPC to cpc1..., with the same signature; the other ends in 6."""


class Nodes(ChainClient):
    """`refuses`: by amount in units, the words with which it is refused, so many times."""

    def __init__(self, chain):
        super().__init__(chain)
        self.refuses = {}
        self.sent = []
        self.second_says = None

    def each_balance(self, address):
        said = super().each_balance(address)
        if self.second_says is not None:
            said["http://second"] = Account(address, self.second_says, 0)
        return said

    def send(self, tx):
        self.sent.append(tx)
        words, times = self.refuses.get(tx.amount, ("", 0))
        if times:
            self.refuses[tx.amount] = words, times - 1
            raise refusal(words)
        return super().send(tx)


@pytest.fixture
def rich(arena):
    one = arena()
    one.store.customers.add("alice")
    one.store.customers.deposit("alice", 10**24, "test")
    return one


class Run:
    """A payer on a chain of its own; each wait is a block."""

    def __init__(self, arena, has=1000 * CPC):
        self.store = arena.store
        self.chain = Chain({PAYER.address: AccountState(has)}, clock=lambda: 1_700_000_000.0)
        self.chain.produce()
        self.client = Nodes(self.chain)
        self.lines = []
        self.at_stake = []

    def pay(self, accept_burn=0):
        def produce(_seconds):
            waiting = Transfers(self.store.database).in_state("signed")
            self.at_stake.append(sum(one.worker_address[-1].isdigit() for one in waiting))
            self.chain.produce()

        return Payer(
            self.store,
            self.client,
            PAYER,
            NETWORKS["devnet"],
            chain=self.chain.block(0).hash(),
            depth=2,
            accept_burn=accept_burn,
            progress=self.lines.append,
            sleep=produce,
        ).pay(plan_payouts(self.store))

    def has(self, key):
        return self.chain.account(key.address).balance


def earn(arena, units, *keys):
    for key in keys:
        one = arena.join(Worker, key)
        arena.post(reward=units)
        arena.leave(one)
    arena.pass_time(86_401)


def test_a_worker_whose_payment_could_burn_more_is_withheld_and_the_others_are_paid(rich):
    honest = PrivateKey.generate()
    earn(rich, 3 * CPC, WITH_DIGIT, honest, OTHER_WITH_DIGIT)
    run = Run(rich)
    assert run.pay()
    assert run.has(honest) == 3 * CPC
    assert run.has(WITH_DIGIT) == run.has(OTHER_WITH_DIGIT) == 0
    assert {tx.to_address for tx in run.client.sent} == {honest.address}
    told = [line for line in run.lines if "withheld" in line]
    assert len(told) == 3
    assert "could burn 53 CPC" in next(line for line in told if WITH_DIGIT.address in line)
    assert "withheld: 6 CPC, workers: 2" in told[-1]
    assert "--accept-burn 63" in told[-1]
    assert len(plan_payouts(rich.store)) == 2  # they are still owed


def test_what_the_operator_accepts_bounds_all_that_is_at_stake_at_once(rich):
    earn(rich, 3 * CPC, WITH_DIGIT, OTHER_WITH_DIGIT)
    run = Run(rich)
    assert run.pay(accept_burn=62 * CPC)
    assert run.has(WITH_DIGIT) == 3 * CPC
    assert run.has(OTHER_WITH_DIGIT) == 0
    earn(rich, 3 * CPC, WITH_DIGIT)
    assert run.pay(accept_burn=63 * CPC)
    assert run.has(WITH_DIGIT) == 6 * CPC
    assert run.has(OTHER_WITH_DIGIT) == 3 * CPC
    assert max(run.at_stake) == 1  # one after another


def test_a_burned_payment_is_not_risked_again_in_the_same_run(rich):
    """The liar hands in the other reading; nodes agree that it is on the chain."""
    earn(rich, 35 * CPC // 10, WITH_DIGIT)
    run = Run(rich)
    run.client.each_block_hash = lambda height: dict.fromkeys(
        ("http://devnet", "http://second"), run.chain.block(height).hash()
    )

    def burn(tx):
        run.client.sent.append(tx)
        reading = tx.model_copy(
            update={"to_address": tx.to_address[:-1], "amount": int(f"5{tx.amount}")}
        )
        assert reading.signature_fits()
        run.chain.send(reading)
        return tx.hash()

    run.client.send = burn
    assert run.pay(accept_burn=55 * CPC)
    assert len({tx.hash() for tx in run.client.sent}) == 1
    assert run.has(PAYER) > 1000 * CPC - 60 * CPC
    assert any("withheld" in line for line in run.lines)


def test_an_account_that_could_not_pay_for_the_other_reading_pays(rich):
    earn(rich, 3 * CPC, WITH_DIGIT)
    run = Run(rich, has=20 * CPC)
    assert run.pay()
    assert run.has(WITH_DIGIT) == 0  # one node may say less than there is
    run.client.second_says = 20 * CPC
    assert run.pay()
    assert run.has(WITH_DIGIT) == 3 * CPC


def test_a_transfer_that_a_former_version_planned_is_taken_back(rich):
    earn(rich, 3 * CPC, WITH_DIGIT)
    Transfers(rich.store.database).plan([(WITH_DIGIT.address, 3 * CPC)])
    run = Run(rich)
    assert run.pay()
    assert not run.client.sent
    assert any("withheld" in line for line in run.lines)
    assert len(plan_payouts(rich.store)) == 1


@pytest.mark.parametrize(
    "words",
    ["sender_limit_exceeded", "queued_limit_exceeded", "mempool_full"],
)
def test_payouts_wait_while_a_node_has_no_room(rich, words):
    worker = PrivateKey.generate()
    earn(rich, 25 * CPC // 10, worker)
    run = Run(rich)
    run.client.refuses = {2 * CPC: (words, 2)}
    assert run.pay()
    assert run.has(worker) == 25 * CPC // 10
    assert len([line for line in run.lines if "waits for room" in line]) == 1


def test_a_refusal_of_one_transfer_keeps_none_of_the_others_back(rich):
    worker = PrivateKey.generate()
    earn(rich, 25 * CPC // 10, worker)
    run = Run(rich)
    run.client.refuses = {2 * CPC: ("something new", 1)}
    with pytest.raises(Refused, match="something new"):
        run.pay()
    assert {tx.amount for tx in run.client.sent} == {2 * CPC, CPC // 2}
    assert run.pay()
    assert run.has(worker) == 25 * CPC // 10


def test_a_nonce_that_a_node_calls_spent_and_no_block_shows_is_told(rich):
    worker = PrivateKey.generate()
    earn(rich, 2 * CPC, worker)
    run = Run(rich)
    run.client.refuses = {2 * CPC: ("nonce_too_low", 3)}
    assert run.pay()
    assert run.has(worker) == 2 * CPC
    assert len([line for line in run.lines if "no block shows what took nonce 0" in line]) == 1


def signed(nonce, amount=1):
    return Transaction(
        tx_type="TRANSFER",
        from_address=PAYER.address,
        to_address=OTHER.address,
        amount=amount,
        fee=21_000_000,
        nonce=nonce,
        gas_price=1000,
        gas_limit=21_000,
    ).signed_by(PAYER)


def test_a_transfer_at_a_nonce_that_a_node_had_named_proves_none_below(rich):
    """A node could else prove any nonce by having a transfer signed there, and showing it."""
    transfers = Transfers(rich.store.database)
    transfers.plan([(OTHER.address, 1), (OTHER.address, 1)])
    blocks = PayoutBlocks(rich.store.database, rich.store.clock, PAYER.address)
    for one, nonce in zip(transfers.in_state("planned"), (64, 0), strict=True):
        tx = signed(nonce)
        transfers.set_signed(one.id, json.dumps(tx.to_json()), tx.hash(), nonce, 1)
        blocks.add(2 + nonce, f"{nonce:064}", [tx])
        assert blocks.first_unspent(100) == (0 if nonce else 1)
    blocks.add(90, "ab" * 32, [signed(63, amount=2)])  # another wallet's
    assert blocks.first_unspent(89) == 1
    assert blocks.first_unspent(90) == 65
    blocks.take_back(above=89)
    blocks.confirm(64, 80)
    assert blocks.first_unspent(79) == 1
    assert blocks.first_unspent(80) == 65
    blocks.take_back(above=79)
    assert blocks.first_unspent(100) == 1


def test_a_walk_is_not_ended_by_what_was_made_here(rich):
    chain = Chain({PAYER.address: AccountState(CPC)}, clock=lambda: 1_700_000_000.0)
    others, mine = signed(0, amount=3), signed(1)
    for tx in (others, mine):
        assert chain.send(tx) is None
        chain.produce()
    tip = chain.block(chain.height)
    walk = NonceWalk(PAYER.address, tip.height, tip.hash(), made_here=frozenset([mine.signature]))
    while walk.proof is None:
        walk.step([chain.block(walk.next_height)])
    assert walk.proof.first_unspent == 1


def test_the_plan_says_what_would_be_withheld_and_asks_no_node(
    arena, place, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("CPC_NODE", "http://127.0.0.1:9")
    one = arena(clock=Clock(1_700_000_000.0))
    one.store.customers.add("alice")
    one.store.customers.deposit("alice", 10**24, "test")
    honest = PrivateKey(b"\x0e" * 32)
    earn(one, 3 * CPC, WITH_DIGIT, honest)
    where = ("--store", place) if isinstance(place, str) else ("--directory", str(tmp_path))
    plan = ["validator", "payouts", *where]
    assert run(plan) == 0
    told = capsys.readouterr().out
    assert f"3 CPC to {WITH_DIGIT.address}: withheld" in told
    assert "could burn 53 CPC" in told
    assert "withheld: 3 CPC, workers: 1" in told
    assert "--accept-burn 53" in told
    assert f"to {honest.address}: withheld" not in told
    assert run([*plan, "--json"]) == 0
    rows = {row["worker_address"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows[WITH_DIGIT.address]["withheld"] is True
    assert rows[WITH_DIGIT.address]["could_burn"] == str(53 * CPC)
    assert rows[honest.address]["withheld"] is False
    assert run([*plan, "--accept-burn", "53"]) == 0
    assert "withheld" not in capsys.readouterr().out
