"""Payouts against a node that lies, over HTTP: no transfer is paid twice, and none at its word."""

import pytest

from engine.validator.payout_plan import plan_payouts
from engine.validator.payouts import Payer
from engine.validator.store.payout_blocks import PayoutBlocks
from engine.validator.store.transfers import Transfers
from node_client.devnet import DevnetServer
from node_client.errors import BadResponse, NodeError, UnprovenNonce
from node_client.keys import PrivateKey
from node_client.networks import NETWORKS, UNITS_PER_CPC
from node_client.rpc import NodeClient, Retries
from node_client.transaction import Transaction
from tests.engine.validator.arena import Worker
from tests.liar import LyingNode, forged_chain
from tests.processes import wait_until
from tests.variants import quick_and_slow

CPC = UNITS_PER_CPC
DEPTH = 2


@pytest.fixture
def key():
    return PrivateKey.generate()


@pytest.fixture
def devnet(key):
    with DevnetServer(block_time=0.1, balances={key.address: 100 * CPC}) as server:
        yield server


@pytest.fixture
def liar(devnet):
    with LyingNode(devnet.url) as node:
        yield node


@pytest.fixture
def owing(arena):
    """A validator that owes one worker 5 CPC."""
    one = arena()
    one.store.customers.add("alice")
    one.store.customers.deposit("alice", 10**24, "test")
    one.worker = one.join(Worker)
    one.post(reward=5 * CPC)
    one.pass_time(86_401)
    return one


def payer(owing, devnet, key, *nodes, **more):
    client = NodeClient([node.url for node in nodes], retries=Retries(rounds=1))
    chain = devnet.chain.block(0).hash()
    network = NETWORKS["devnet"]

    def until_the_next_block(_seconds):
        height = devnet.chain.height
        wait_until(lambda: devnet.chain.height > height)

    more.setdefault("sleep", until_the_next_block)
    return Payer(owing.store, client, key, network, chain=chain, depth=DEPTH, **more)


def states(owing):
    transfers = Transfers(owing.store.database)
    return [
        state
        for state in ("planned", "signed", "final", "lost")
        for _one in transfers.in_state(state)
    ]


def received(owing, devnet):
    return devnet.chain.account(owing.worker.key.address).balance


def settle(owing, devnet, key, **more):
    """A run through the honest node, and another one for what was owed again."""
    for _run in range(2):
        assert payer(owing, devnet, key, devnet, **more).pay(plan_payouts(owing.store))


def signed_and_dropped(owing, devnet, key, liar):
    """Let a payer sign the transfer, which the node takes and forgets; return the transfer."""
    liar.pass_on = False
    one = payer(owing, devnet, key, liar)
    one.pay(plan_payouts(owing.store), seconds=0)
    (transfer,) = Transfers(owing.store.database).in_state("signed")
    height = devnet.chain.height
    wait_until(lambda: devnet.chain.height > height + DEPTH + 1)
    return transfer


def show(owing, devnet, key, liar, forged, *more_nodes, steps=4):
    """Serve a chain with `forged` in a deep block to payers that run on."""
    height = PayoutBlocks(owing.store.database, owing.store.clock, key.address).position()[0]
    liar.serve(forged_chain(devnet.chain, {height + 1: [forged]}))
    lines = []
    one = payer(owing, devnet, key, liar, *more_nodes, tell=lines.append)
    for _step in range(steps):
        one.step()
    return lines


def test_an_unsigned_foreign_looking_transaction_does_not_pay_twice(owing, devnet, key, liar):
    transfer = signed_and_dropped(owing, devnet, key, liar)
    forged = transfer.transaction.model_copy(
        update={"to_address": key.address, "amount": 1, "signature": "ab" * 64}
    )
    show(owing, devnet, key, liar, forged)
    assert states(owing) == ["signed"]
    devnet.chain.send(transfer.transaction)
    settle(owing, devnet, key)
    assert received(owing, devnet) == 5 * CPC


def test_another_reading_of_the_transfers_own_signature_does_not_pay_twice(
    owing, devnet, key, liar
):
    """The receiver's last character is a digit of the amount then: it fits, and it was never sent."""
    transfer = signed_and_dropped(owing, devnet, key, liar)
    mine = transfer.transaction
    digits = str(mine.amount)
    reading = mine.model_copy(
        update={"to_address": mine.to_address + digits[:-1], "amount": int(digits[-1])}
    )
    assert reading.signature_fits()
    lines = show(owing, devnet, key, liar, reading)
    assert states(owing) == ["signed"]
    assert len([line for line in lines if "not paid again" in line]) == 1
    devnet.chain.send(mine)
    settle(owing, devnet, key)
    assert received(owing, devnet) == 5 * CPC


def test_a_transaction_under_an_honest_header_does_not_pay_twice(owing, devnet, key, liar):
    """Nodes agree on the header; what one of them shows below it is not what its roots cover."""
    transfer = signed_and_dropped(owing, devnet, key, liar)
    other = transfer.transaction.model_copy(update={"to_address": key.address, "amount": 1})
    height = 1 + PayoutBlocks(owing.store.database, owing.store.clock, key.address).position()[0]
    with LyingNode(devnet.url) as honest:
        honest.pass_on = False
        liar.serve_body(devnet.chain.block(height), [other.signed_by(key).to_json()])
        one = payer(owing, devnet, key, liar, honest)
        for _step in range(4):
            one.step()
    assert states(owing) == ["signed"]
    devnet.chain.send(transfer.transaction)
    settle(owing, devnet, key)
    assert received(owing, devnet) == 5 * CPC


def test_nodes_that_do_not_agree_on_a_block_lose_no_transfer(owing, devnet, key, liar):
    transfer = signed_and_dropped(owing, devnet, key, liar)
    other = transfer.transaction.model_copy(update={"to_address": key.address, "amount": 1})
    lines = show(owing, devnet, key, liar, other.signed_by(key), devnet)
    assert states(owing) == ["signed"]
    assert any("do not agree" in line for line in lines)
    devnet.chain.send(transfer.transaction)
    settle(owing, devnet, key)
    assert received(owing, devnet) == 5 * CPC


@pytest.mark.parametrize("nonce", quick_and_slow([2**63 - 1], [990]))
def test_a_made_up_nonce_signs_nothing(owing, devnet, key, liar, nonce):
    liar.alter("/nonce/", nonce=nonce)
    liar.alter("/balance/", nonce=nonce)
    with pytest.raises(UnprovenNonce, match=str(nonce)):
        payer(owing, devnet, key, liar).pay(plan_payouts(owing.store))
    assert not liar.sent
    assert states(owing) == ["planned"]
    assert payer(owing, devnet, key, liar, nonce=0).pay(plan_payouts(owing.store))
    assert received(owing, devnet) == 5 * CPC


def test_an_honest_second_and_third_node_settle_the_nonce(owing, devnet, key, liar):
    liar.alter("/nonce/", nonce=990)
    liar.alter("/balance/", nonce=990)
    with LyingNode(devnet.url) as honest:
        assert payer(owing, devnet, key, liar, honest, devnet).pay(plan_payouts(owing.store))
    assert received(owing, devnet) == 5 * CPC


def test_an_absurd_tip_stops_nothing_for_good(owing, devnet, key, liar):
    """A database whose first block was made up goes on with the chain as soon as a node shows it."""
    wait_until(lambda: devnet.chain.height > 1)
    liar.alter("/status", height=2**62)
    with pytest.raises(NodeError):
        payer(owing, devnet, key, liar).pay(plan_payouts(owing.store))
    assert not liar.sent
    made_up = PayoutBlocks(owing.store.database, owing.store.clock, key.address)
    made_up.add(2**62, "ab" * 32, [])  # as if it had served a block there
    settle(owing, devnet, key)
    assert received(owing, devnet) == 5 * CPC


def test_a_database_of_a_former_version_goes_on_where_it_was(owing, devnet, key, liar):
    """It has a signed transfer that is in a block, and no table of searched blocks."""
    first = Transaction(
        tx_type="TRANSFER",
        from_address=key.address,
        to_address=devnet.faucet.address,
        amount=1,
        fee=21_000_000,
        nonce=0,
        gas_price=1000,
        gas_limit=21_000,
    )
    assert devnet.chain.send(first.signed_by(key)) is None
    wait_until(lambda: devnet.chain.account(key.address).nonce == 1)
    transfer = signed_and_dropped(owing, devnet, key, liar)
    assert transfer.nonce == 1
    devnet.chain.send(transfer.transaction)
    wait_until(lambda: received(owing, devnet) > 0)
    PayoutBlocks(owing.store.database, owing.store.clock, key.address).take_back(above=-1)
    lines = []
    settle(owing, devnet, key, progress=lines.append)
    assert any("Reading blocks" in line for line in lines)
    assert states(owing) == ["final"]
    assert received(owing, devnet) == 5 * CPC


def test_a_transfer_that_is_rolled_back_is_sent_again(owing, devnet, key):
    one = payer(owing, devnet, key, devnet)
    one.pay(plan_payouts(owing.store), seconds=0)
    wait_until(lambda: received(owing, devnet) > 0)
    one.step()
    devnet.faults.roll_back(1, put_back=False)
    settle(owing, devnet, key)
    assert states(owing) == ["final"]
    assert received(owing, devnet) == 5 * CPC


def test_blocks_that_do_not_link_are_no_proof(owing, devnet, key, liar):
    """Only the forged block itself is served; those above it name another parent."""
    transfer = signed_and_dropped(owing, devnet, key, liar)
    other = transfer.transaction.model_copy(update={"to_address": key.address, "amount": 1})
    height = PayoutBlocks(owing.store.database, owing.store.clock, key.address).position()[0]
    chain = forged_chain(devnet.chain, {height + 1: [other.signed_by(key)]}, last=height + 1)
    liar.serve_only(chain)
    one = payer(owing, devnet, key, liar)
    for _step in range(6):
        try:
            one.step()
        except BadResponse:
            continue
    assert states(owing) == ["signed"]
