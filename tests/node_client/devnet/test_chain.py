"""Blocks: their time, their roots, their signature, what fits in; and taking them back."""

import itertools
import threading

import pytest

from node_client.devnet import Chain
from node_client.errors import InvalidData
from node_client.keys import PrivateKey
from tests.blocks import served, transactions

GENESIS = 1_700_000_000


def check_links(chain: Chain) -> None:
    """Every block is sound and follows on the one before."""
    blocks = chain.blocks()
    assert [block.height for block in blocks] == list(range(len(blocks)))
    for block in blocks:
        assert not block.fault
        assert block.signature_fits()
        assert block.header.gas_used == sum(tx.base_gas for tx in transactions(block))
    for before, block in itertools.pairwise(blocks):
        assert block.header.prev_hash == before.hash()
    assert chain.status()["last_hash"] == blocks[-1].hash()


def test_blocks_are_due_on_the_grid(keys, clock) -> None:
    chain = Chain({}, genesis_time=GENESIS, clock=clock)
    assert chain.due() == GENESIS + 5
    clock.now = GENESIS + 4.99
    assert chain.produce_if_due() is None
    clock.now = GENESIS + 5
    block = chain.produce_if_due()
    assert block is not None
    assert (block.height, block.header.timestamp) == (1, GENESIS + 5)
    assert chain.produce_if_due() is None
    clock.now = GENESIS + 17
    while chain.produce_if_due() is not None:
        pass
    assert [block.header.timestamp - GENESIS for block in chain.blocks()] == [0, 5, 10, 15]
    check_links(chain)


@pytest.mark.parametrize("genesis", [0, GENESIS, GENESIS + 0.5])
def test_timestamps_are_the_grid_rounded_down(genesis: float) -> None:
    chain = Chain({}, genesis_time=genesis, block_time=0.2, clock=lambda: 0.0)
    for _ in range(100):
        chain.produce()
    tenths = round(genesis * 10)
    for height, block in enumerate(chain.blocks()):
        assert block.header.timestamp == (tenths + 2 * height) // 10


def test_timestamps_survive_binary_fractions() -> None:
    chain = Chain({}, genesis_time=0.0, block_time=0.29, clock=lambda: 0.0)
    for _ in range(100):
        chain.produce()
    block = chain.block(100)
    assert block is not None
    assert block.header.timestamp == 29


def test_genesis_is_the_current_whole_second() -> None:
    assert Chain({}, clock=lambda: 12.75).genesis_time == 12


@pytest.mark.parametrize("options", [{"network": "x"}, {"block_time": 0}, {"block_time": -1.0}])
def test_nonsense_is_refused(options) -> None:
    with pytest.raises(InvalidData):
        Chain({}, **options)


def test_headers_say_who_and_where(chain, keys, make) -> None:
    assert chain.send(make(keys[0], 0, gas_limit=123_456)) is None
    header = chain.produce().header
    assert header.chain_id == "cpc-devnet-1"
    assert header.proposer_address == chain.proposer.validator_address
    assert (header.round, header.gas_used, header.gas_limit) == (0, 80_000, 50_000_000)
    proposer = PrivateKey.generate()
    other = Chain({}, chain_id="elsewhere", proposer=proposer)
    assert other.produce().header.chain_id == "elsewhere"
    assert other.produce().header.proposer_address == proposer.validator_address
    check_links(other)


def test_a_network_has_its_own_least_price(keys, make) -> None:
    chain = Chain({keys[0].address: 10**18}, network="testnet")
    assert chain.send(make(keys[0], 0)) == "gas_price 1000 < min 5000"
    assert chain.status()["network"] == "testnet"


@pytest.mark.parametrize(
    ("network", "gas"),
    [("devnet", 50_000_000), ("testnet", 15_000_000), ("mainnet", 30_000_000)],
)
def test_a_network_has_its_own_gas_limit(network, gas) -> None:
    assert Chain({}, network=network).produce().header.gas_limit == gas


def test_a_full_block_of_the_testnet(keys, make) -> None:
    chain = Chain({keys[0].address: 10**18}, network="testnet")
    most = 15_000_000 // 80_000
    for nonce in range(most + 1):
        assert chain.send(make(keys[0], nonce, gas_price=5_000, fee=80_000 * 5_000)) is None
    assert len(chain.produce().txs) == most
    assert len(chain.produce().txs) == 1


def test_a_block_holds_so_many_transactions_and_so_much_gas(keys, clock, make) -> None:
    balances = {key.address: 10**18 for key in keys}
    few = Chain(balances, clock=clock, max_transactions=3)
    little = Chain(balances, clock=clock, gas_limit=200_000)
    for chain in (few, little):
        for nonce in range(4):
            assert chain.send(make(keys[0], nonce)) is None
        transfer = make(keys[1], 0, "TRANSFER", to_address=keys[0].address, amount=1)
        assert chain.send(transfer) is None
    assert [tx.nonce for tx in few.produce().txs] == [0, 1, 2]
    assert {tx.from_address for tx in few.produce().txs} == {keys[0].address, keys[1].address}
    assert [tx.nonce for tx in little.produce().txs] == [0, 1], "the first without room ends it"
    assert [tx.nonce for tx in little.produce().txs] == [2, 3, 0]
    for chain in (few, little):
        assert chain.status()["mempool_size"] == 0
        check_links(chain)


def test_dropped_results_cost_nothing(chain, keys, make) -> None:
    mine, other = keys[0], keys[1]
    foreign = make(other, 0).payload
    assert chain.send(make(mine, 0, payload=foreign)) is None
    assert chain.produce().txs == ()
    account = chain.account(mine.address)
    assert (account.balance, account.nonce) == (10**18, 0)
    assert chain.status()["mempool_size"] == 0


def test_roll_back_restores_and_puts_back(chain, clock, keys, make) -> None:
    chain.produce()
    before = chain.account(keys[0].address)
    for nonce in range(2):
        assert chain.send(make(keys[0], nonce)) is None
        chain.produce()
    old = chain.blocks()
    assert chain.send(make(keys[0], 2)) is None
    removed = chain.roll_back(2, put_back=True)
    assert removed == old[2:]
    assert chain.height == 1
    assert chain.account(keys[0].address) == before
    assert chain.pending_nonce(keys[0].address) == 3
    block = chain.produce()
    assert [tx.nonce for tx in block.txs] == [0, 1, 2]
    assert block.header.round == 1
    assert block.header.timestamp == old[2].header.timestamp
    check_links(chain)


def test_roll_back_may_lose_the_transactions(chain, keys, make) -> None:
    tx = make(keys[0], 0)
    assert chain.send(tx) is None
    chain.produce()
    old = chain.blocks()[1].hash()
    assert chain.send(tx) == "nonce_too_low"
    chain.roll_back(1, put_back=False)
    assert chain.produce().hash() != old
    assert chain.blocks()[1].txs == ()
    assert chain.send(tx) is None
    assert chain.produce().txs == served(tx)


def test_genesis_stays(chain) -> None:
    chain.produce()
    with pytest.raises(InvalidData):
        chain.roll_back(2)
    with pytest.raises(InvalidData):
        chain.roll_back(-1)
    assert len(chain.roll_back(1)) == 1


def test_a_held_chain_makes_no_block_and_catches_up(chain, clock) -> None:
    chain.hold(12)
    clock.now += 11.9
    assert chain.produce_if_due() is None
    clock.now += 0.1
    assert chain.produce_if_due() is not None
    assert chain.produce_if_due() is not None
    assert chain.produce_if_due() is None


def test_threads_may_send_while_blocks_are_made(keys, clock, make) -> None:
    chain = Chain({key.address: 10**18 for key in keys[:4]}, clock=clock)
    txs = {key.address: [make(key, nonce) for nonce in range(25)] for key in keys[:4]}
    refusals: list[object] = []

    def send_all(address: str) -> None:
        refusals.extend(chain.send(tx) for tx in txs[address])

    threads = [threading.Thread(target=send_all, args=(address,)) for address in txs]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        chain.produce()
    for thread in threads:
        thread.join()
    while chain.produce().txs:
        pass
    assert set(refusals) == {None}
    assert all(chain.account(address).nonce == 25 for address in txs)
    check_links(chain)
