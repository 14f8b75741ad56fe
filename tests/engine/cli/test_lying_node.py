"""`tx` against a node that lies, over HTTP: nothing is signed at its word."""

import pytest

from engine.runtime.paths import ledger_path
from engine.txmgr.ledger import Ledger
from node_client.ambiguity import colliding_transactions
from node_client.keystore import Keystore
from node_client.transaction import Transaction
from tests.liar import LyingNode, forged_chain
from tests.processes import wait_until


@pytest.fixture
def liar(devnet, monkeypatch):
    """The only node that the commands know, in front of the devnet."""
    with LyingNode(devnet.url) as node:
        monkeypatch.setenv("CPC_NODE", node.url)
        yield node


def claim(liar, nonce):
    liar.alter("/nonce/", nonce=nonce)
    liar.alter("/balance/", nonce=nonce)


@pytest.mark.parametrize("nonce", [990, 2**63 - 1])
def test_a_made_up_nonce_pays_nothing(cli, devnet, keys, liar, nonce):
    """At nonce 990 the text that pays 5 reads at nonce 0 as one that pays 50."""
    claim(liar, nonce)
    outcome = cli(f"tx send {keys['worker'].address} 5 --from faucet")
    for sent in liar.sent:
        readings = colliding_transactions(
            Transaction.model_validate(sent), first_unspent=0, min_gas_price=1000
        )
        assert not [one for one in readings if one.amount > 5 * 10**18], (
            "the receiver takes this one"
        )
    assert outcome.code == 2
    assert not liar.sent
    assert f"the next nonce is {nonce}" in outcome.err
    assert "--nonce N" in outcome.err
    assert "Reading blocks" in outcome.err


def test_a_forged_block_with_an_unsigned_transaction_proves_no_nonce(cli, devnet, keys, liar):
    wait_until(lambda: devnet.chain.height > 2)
    faucet = keys["faucet"]
    forged = Transaction(
        tx_type="TRANSFER",
        from_address=faucet.address,
        to_address=keys["worker"].address,
        amount=1,
        fee=21_000_000,
        nonce=989,
        pub_key=faucet.public_key,
        signature="ab" * 64,
        gas_price=1000,
        gas_limit=21_000,
    )
    claim(liar, 990)
    liar.serve(forged_chain(devnet.chain, {2: [forged]}))
    outcome = cli(f"tx send {keys['worker'].address} 5 --from faucet")
    assert outcome.code == 2
    assert not liar.sent


def test_an_honest_second_node_settles_it(cli, devnet, keys, liar):
    claim(liar, 990)
    liar.pass_on = False
    with LyingNode(devnet.url) as honest:
        nodes = f"--node {liar.url} --node {honest.url} --node {devnet.url}"
        outcome = cli(f"tx send {keys['worker'].address} 5 --from faucet --wait 300 {nodes} --json")
    assert outcome.code == 0, outcome
    assert outcome.json()["nonce"] == 0
    assert outcome.json()["height"]
    assert "the other nodes say 0" in outcome.err


def test_the_operators_word_counts(cli, devnet, keys, liar):
    claim(liar, 990)
    outcome = cli(f"tx send {keys['worker'].address} 5 --from faucet --nonce 0 --wait 300 --json")
    assert outcome.code == 0, outcome
    assert outcome.json()["nonce"] == 0
    assert outcome.json()["height"]


def test_a_new_account_with_two_digits_of_nonces_is_proven_by_its_blocks(cli, devnet, keys):
    """Nonce 12 reads as nonce 2 at the same cost: blocks show that this one is spent."""
    key = Keystore().load("faucet")
    for nonce in range(12):
        draft = Transaction(
            tx_type="TRANSFER",
            from_address=key.address,
            to_address=keys["worker"].address,
            amount=1,
            fee=21_000_000,
            nonce=nonce,
            gas_price=1000,
            gas_limit=21_000,
        )
        assert devnet.chain.send(draft.signed_by(key)) is None
    wait_until(lambda: devnet.chain.account(key.address).nonce == 12)
    last = cli(f"tx send {keys['worker'].address} 1 --from faucet --wait 300 --json")
    assert last.json()["nonce"] == 12
    assert "Reading blocks" in last.err


def test_the_engines_ledger_is_proof_while_an_engine_has_it_open(cli, devnet, keys):
    """The usual `tx send` of a miner's key reads no blocks."""
    mined = cli("mine --blocks 3 --tasks-per-block 5 --depth 6 --json --device reference --size 32")
    assert mined.code == 0, mined
    wait_until(lambda: devnet.chain.account(keys["worker"].address).nonce > 10)
    chain = devnet.chain
    genesis, address = chain.block(0).hash(), keys["worker"].address
    path = ledger_path(chain.chain_id, genesis, address)
    with Ledger.open(path, chain_id=chain.chain_id, genesis=genesis, address=address):
        sent = cli(f"tx send {keys['faucet'].address} 1 --from worker --wait 300 --json")
    assert sent.code == 0, sent
    assert sent.json()["nonce"] > 10
    assert "Reading blocks" not in sent.err


@pytest.mark.parametrize("height", [2**62, 2**63 - 1])
def test_an_absurd_height_ends_in_a_sentence(cli, devnet, keys, liar, height):
    liar.alter("/status", height=height)
    outcome = cli(f"tx send {keys['worker'].address} 5 --from faucet --wait 5")
    assert outcome.code == 3
    assert not liar.sent
    assert outcome.err.count("\n") <= 2


def test_a_height_that_becomes_absurd_while_a_block_is_waited_for_costs_nothing(
    cli, devnet, keys, liar
):
    liar.on_send = lambda: liar.alter("/status", height=2**62)
    outcome = cli(f"tx send {keys['worker'].address} 5 --from faucet --wait 300 --json")
    assert outcome.code == 0, outcome
    assert outcome.json()["height"]


def test_a_node_that_fails_after_it_took_a_transaction_does_not_hide_that(cli, devnet, keys, liar):
    """A person who reads only of the failure pays a second time."""
    liar.on_send = lambda: liar.alter("/status", height="gone")
    sent = cli(f"tx send {keys['worker'].address} 5 --from faucet --wait 0.5")
    assert sent.code == 0, sent.err
    assert f"Transaction: {Transaction.model_validate(liar.sent[0]).hash()}" in sent.out
    assert "It is in no block yet" in sent.out


def test_the_wish_for_a_higher_price_is_not_passed_on_as_advice(cli, devnet, keys, liar):
    liar.refusal = "gas_price 1000 < min 9000000000000000"
    outcome = cli(f"tx send {keys['worker'].address} 5 --from faucet")
    assert outcome.code == 3
    assert "devnet is known to take 1000 units a gas" in outcome.err
    assert "ask another node" in outcome.err


def test_a_balance_that_is_made_up_pays_nothing_twice_or_more(cli, devnet, keys, liar):
    liar.alter("/balance/", balance=str(10**40))
    outcome = cli(f"tx send {keys['worker'].address} 2000 --from faucet")
    assert outcome.code == 3  # the honest node behind it refuses
    assert "insufficient_balance" in outcome.err


def test_a_devnet_that_says_it_is_the_mainnet_gets_no_mainnet_price(cli, devnet, keys, liar):
    liar.alter("/status", network="mainnet")
    outcome = cli(f"tx send {keys['worker'].address} 5 --from faucet")
    assert outcome.code == 2
    assert not liar.sent
    assert "cpc-devnet-1" in outcome.err
