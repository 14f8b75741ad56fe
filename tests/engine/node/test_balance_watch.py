"""What was earned, by a node that is asked for the balance now and then."""

import queue

from engine.monitor.events.sending import BalanceChanged, BalanceRose
from engine.node.balance_watch import BalanceWatch
from node_client.devnet import DevnetServer
from node_client.keystore import Keystore
from node_client.networks import UNITS_PER_CPC
from node_client.rpc import NodeClient
from node_client.transaction import BASE_GAS, Transaction, TxType
from tests.processes import PATIENCE_SECONDS, free_port, wait_until


def watch(url, address, told):
    failures = queue.SimpleQueue()
    return BalanceWatch([url], address, told.put, failures.put, every=0.05)


def pay(devnet, key, to, amount):
    gas = BASE_GAS[TxType.TRANSFER]
    draft = Transaction(
        tx_type=TxType.TRANSFER,
        from_address=key.address,
        to_address=to,
        amount=amount * UNITS_PER_CPC,
        fee=gas * 1000,
        nonce=0,
        gas_price=1000,
        gas_limit=gas,
    )
    NodeClient([devnet.url]).send(draft.signed_by(key))


def test_a_rise_is_told_and_a_fall_is_no_loss_of_earnings(tmp_path):
    store = Keystore(tmp_path)
    ours, theirs = store.create("ours"), store.create("theirs")
    told = queue.SimpleQueue()
    coins = {one.address: 100 * UNITS_PER_CPC for one in (ours, theirs)}
    with DevnetServer(block_time=0.2, balances=coins) as devnet:
        seen = watch(devnet.url, ours.address, told)
        assert seen.received is None
        seen.start()
        assert told.get(timeout=PATIENCE_SECONDS) == BalanceChanged(100 * UNITS_PER_CPC)
        assert seen.received == 0
        pay(devnet, store.load("ours"), theirs.address, 7)
        assert isinstance(told.get(timeout=PATIENCE_SECONDS), BalanceChanged)
        assert seen.received == 0
        pay(devnet, store.load("theirs"), ours.address, 5)
        assert told.get(timeout=PATIENCE_SECONDS) == BalanceRose(5 * UNITS_PER_CPC)
        assert seen.received == 5 * UNITS_PER_CPC
        seen.stop()


def test_a_node_that_comes_later_is_asked_then(tmp_path):
    ours = Keystore(tmp_path).create("ours")
    told, port = queue.SimpleQueue(), free_port()
    seen = watch(f"http://127.0.0.1:{port}", ours.address, told)
    seen.start()
    with DevnetServer(port=port, balances={ours.address: 3}):
        wait_until(lambda: seen.received == 0, "the node's answer")
        assert told.get_nowait() == BalanceChanged(3)
    seen.stop()
