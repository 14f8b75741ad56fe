"""Payouts on a real devnet: what is owed is paid, once, whatever happens in between."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.runtime.errors import SetupError
from engine.validator.payout_plan import plan_payouts
from engine.validator.payouts import Payer
from engine.validator.store.transfers import Transfers
from node_client.devnet import Chain, DevnetServer, Lie
from node_client.devnet.state import AccountState
from node_client.errors import InsufficientBalance
from node_client.keys import PrivateKey
from node_client.networks import NETWORKS, UNITS_PER_CPC
from node_client.rpc import NodeClient
from node_client.transaction import Transaction, TxType
from tests.blocks import ANY_JSON, strange_transactions
from tests.engine.chain_client import ChainClient
from tests.engine.validator.arena import Worker

CPC = UNITS_PER_CPC
DAY = 86_400.0


@pytest.fixture(scope="module")
def devnet():
    with DevnetServer(block_time=0.2) as server:
        yield server


@pytest.fixture
def key(devnet):
    """A key of the test's own, with coins."""
    one = PrivateKey.generate()
    client = NodeClient([devnet.url])
    draft = Transaction(
        tx_type=TxType.TRANSFER,
        from_address=devnet.faucet.address,
        to_address=one.address,
        amount=100 * CPC,
        nonce=client.nonce(devnet.faucet.address),
        fee=21_000_000,
        gas_price=1000,
        gas_limit=21_000,
    )
    client.send(draft.signed_by(devnet.faucet))
    while client.balance(one.address).balance == 0:
        pass
    return one


def payer(arena, devnet, key, client=None, **more):
    return Payer(
        arena.store,
        client or NodeClient([devnet.url]),
        key,
        NETWORKS["devnet"],
        chain=devnet.chain.block(0).hash(),
        depth=2,
        **more,
    )


def earn(arena, units, worker=None):
    """A worker that has earned so much, a day ago."""
    worker = worker or arena.join(Worker)
    arena.post(reward=units)
    arena.pass_time(DAY + 1)
    return worker


@pytest.fixture
def rich(arena):
    one = arena()
    one.store.customers.add("alice")
    one.store.customers.deposit("alice", 10**24, "test")
    return one


def balance(devnet, worker):
    return devnet.chain.account(worker.key.address).balance


def test_a_reward_is_due_when_it_is_no_longer_withheld(rich):
    worker = rich.join(Worker)
    rich.post(reward=3 * CPC)
    rich.pass_time(DAY - 1)
    assert plan_payouts(rich.store) == []
    rich.pass_time(2)
    (payment,) = plan_payouts(rich.store)
    assert (payment.worker_address, payment.units) == (worker.key.address, 3 * CPC)


def test_the_plan_adds_up_and_leaves_dust_for_later(rich):
    earn(rich, 1_234_567_890_123_456_789)
    (payment,) = plan_payouts(rich.store)
    assert payment.units == 1_234_567_000_000_000_000
    assert sum(payment.parts) == payment.units
    assert all(len(str(part).rstrip("0")) == 1 for part in payment.parts)
    assert plan_payouts(rich.store, least=2 * CPC) == []


def test_what_is_owed_arrives_and_is_owed_no_more(rich, devnet, key):
    worker = earn(rich, 25 * CPC // 10)
    lines = []
    assert payer(rich, devnet, key, tell=lines.append).pay(plan_payouts(rich.store))
    assert balance(devnet, worker) == 25 * CPC // 10
    assert len(lines) == 2
    assert plan_payouts(rich.store) == []
    assert payer(rich, devnet, key).pay(plan_payouts(rich.store))  # once more: nothing happens
    assert balance(devnet, worker) == 25 * CPC // 10
    earn(rich, CPC, worker)
    assert payer(rich, devnet, key).pay(plan_payouts(rich.store))
    assert balance(devnet, worker) == 35 * CPC // 10


def test_a_transfer_that_may_have_arrived_is_told_of_once_and_paid_once(rich, devnet, key):
    worker, lines = earn(rich, 2 * CPC), []
    devnet.faults.lie(Lie.GARBAGE, path="/tx/send")
    paying = payer(rich, devnet, key, progress=lines.append)
    assert paying.pay(plan_payouts(rich.store))
    devnet.faults.clear()
    (told,) = [line for line in lines if "not known whether a transfer arrived" in line]
    assert "not valid JSON" in told
    assert balance(devnet, worker) == 2 * CPC


def test_a_run_that_is_cut_off_anywhere_is_taken_up(rich, devnet, key):
    """Cut off before it signs, before it sends, and after it has sent: each is paid once."""

    class Cut(Exception):
        pass

    class CutOff(NodeClient):
        def __init__(self, urls, where):
            super().__init__(urls)
            self.where = where

        def nonce(self, address, pending=True):
            if self.where == "before it signs":
                raise Cut
            return super().nonce(address, pending)

        def send(self, tx):
            if self.where == "before it sends":
                raise Cut
            super().send(tx)
            raise Cut

    worker, total = None, 0
    for where in ("before it signs", "before it sends", "after it has sent"):
        worker = earn(rich, 7 * CPC, worker)
        total += 7 * CPC
        one = payer(rich, devnet, key, CutOff([devnet.url], where))
        with pytest.raises(Cut):
            one.pay(plan_payouts(rich.store))
        assert plan_payouts(rich.store) == []
        assert payer(rich, devnet, key).pay(plan_payouts(rich.store))
        assert balance(devnet, worker) == total


def test_a_nonce_that_another_took_is_owed_again_and_paid_once(rich, devnet, key):
    worker = earn(rich, 5 * CPC)
    client = NodeClient([devnet.url])
    client.send = [].append  # signed and written down, but it never arrives
    one = payer(rich, devnet, key, client)
    assert not one.pay(plan_payouts(rich.store), seconds=0)
    (signed,) = Transfers(rich.store.database).in_state("signed")
    foreign = signed.transaction.model_copy(update={"to_address": key.address, "amount": 1})
    NodeClient([devnet.url]).send(foreign.signed_by(key))
    again = payer(rich, devnet, key)
    assert again.pay(plan_payouts(rich.store))
    (lost,) = Transfers(rich.store.database).in_state("lost")
    assert lost.id == signed.id
    assert balance(devnet, worker) == 0
    assert payer(rich, devnet, key).pay(plan_payouts(rich.store))
    assert balance(devnet, worker) == 5 * CPC


def test_too_little_money_and_another_chain_are_said_before_anything_is_written(rich, devnet, key):
    earn(rich, 500 * CPC)
    plan = plan_payouts(rich.store)
    with pytest.raises(InsufficientBalance) as caught:
        payer(rich, devnet, key).pay(plan)
    assert "500" in caught.value.advice
    assert plan_payouts(rich.store) == plan
    with pytest.raises(SetupError):
        Payer(rich.store, NodeClient([devnet.url]), key, NETWORKS["devnet"], chain="ab" * 32)


def test_who_is_caught_keeps_what_was_due_and_loses_the_rest(rich):
    worker = earn(rich, 2 * CPC)
    rich.post(reward=CPC)
    with rich.store.database.write() as db:
        assert rich.store.rewards.forfeit(db, worker.key.address) == CPC
    rich.pass_time(2 * DAY)
    (payment,) = plan_payouts(rich.store)
    assert payment.units == 2 * CPC
    assert rich.store.customers.credit("alice") == 10**24 - 2 * CPC


def test_payouts_go_on_through_blocks_with_anything_in_them(rich, key):
    """Also where it pretends to be a transfer of ours at the nonce in question."""
    chain = Chain({key.address: AccountState(100 * CPC)}, clock=lambda: 1_700_000_000.0)
    pretended = dict.fromkeys(Transaction.model_fields, "") | {
        "tx_type": "TRANSFER",
        "from_address": key.address,
        "nonce": 0,
    }

    def include(raws):
        for raw in raws:
            chain.include(raw)

    def produce(_seconds):
        @settings(max_examples=20, deadline=None, database=None)
        @given(st.sampled_from(list(pretended)), ANY_JSON)
        def strange(field, value):
            include([pretended, pretended | {field: value}])

        strange()
        include(strange_transactions())
        chain.produce()

    worker = earn(rich, 3 * CPC)
    one = Payer(
        rich.store,
        ChainClient(chain),
        key,
        NETWORKS["devnet"],
        chain=chain.block(0).hash(),
        depth=2,
        sleep=produce,
    )
    assert one.pay(plan_payouts(rich.store))
    assert chain.account(worker.key.address).balance == 3 * CPC
    assert Transfers(rich.store.database).in_state("lost") == []
