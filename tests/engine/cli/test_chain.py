"""Commands against a devnet."""

import json
import re
import subprocess
import time

import pytest

from node_client.devnet import Lie
from node_client.keystore import Keystore
from tests.liar import LyingNode
from tests.variants import quick_and_slow


def wait_for(devnet, blocks=1):
    target = devnet.chain.height + blocks
    while devnet.chain.height < target:
        time.sleep(0.02)


def test_the_guides_path(cli, devnet, keys):
    worker = keys["worker"].address
    before = int(cli(f"query balance {worker} --json").json()["balance"])
    sent = cli(f"tx send {worker} 100 --from faucet --wait 300")
    assert sent.code == 0
    assert f"Sent 100 CPC to {worker}" in sent.out
    assert "Block: " in sent.out
    after = int(cli(f"--node {devnet.url} query balance worker --json").json()["balance"])
    assert after - before == 100 * 10**18
    submitted = cli(
        'tx submit-result --task-id "550e8400-e29b-41d4-a716-446655440000"'
        f' --result-hash "0x{"ab" * 32}" --from worker --node {devnet.url} --wait 300 --json'
    )
    assert submitted.code == 0
    height = submitted.json()["height"]
    block = cli(f"query block {height}").json()
    (tx,) = (tx for tx in block["txs"] if tx["tx_type"] == "SUBMIT_RESULT")
    assert tx["payload"]["result_hash"] == "ab" * 32
    assert len(block["header"]["compute_root"]) == 64
    results = cli(f"query results --height {height} --json").json()
    assert [result["result_hash"] for result in results] == ["ab" * 32]
    # It is no result of any task: verify says so.
    verified = cli(f"verify --height {height} --json")
    assert verified.code == 1
    assert "100 blocks" in verified.json()["results"][0]["reason"]


@pytest.mark.parametrize(
    ("amount", "rest"), [("1.5", "0.5"), ("0.25", "0.05"), ("99.000001", "9.000001")]
)
def test_an_amount_of_several_digits_is_one_transaction_where_its_rest_may_burn(
    cli, devnet, keys, amount, rest
):
    line = f"tx send {keys['worker'].address} {amount} --from faucet --wait 300"
    sent = cli(f"{line} --accept-burn {rest}")
    assert sent.code == 0, sent
    assert "Block: " in sent.out
    assert devnet.chain.account(keys["faucet"].address).nonce == 1
    assert "transactions" not in sent.err


ENDS_IN_A_DIGIT = "cpc1a0qwuze2h85zw7nqpsj3ga0z9geyrgwpugqrh5"


def test_nothing_is_sent_to_an_address_whose_last_digit_could_burn_more(cli, devnet, keys):
    """1 CPC to cpc1...5 is also 51 CPC to cpc1..., with the same signature."""
    line = f"tx send {ENDS_IN_A_DIGIT} 1 --from faucet"
    refused = cli(line)
    assert refused.code == 2, refused
    assert f"burn 51 CPC of {keys['faucet'].address}" in refused.err
    assert "less than 25.5 CPC" in refused.err
    assert "--accept-burn 51" in refused.err
    assert cli(f"{line} --accept-burn 50").code == 2
    assert devnet.chain.account(ENDS_IN_A_DIGIT).balance == 0
    assert devnet.chain.pending_nonce(keys["faucet"].address) == 0
    assert cli(f"{line} --accept-burn 51 --wait 300").code == 0
    assert devnet.chain.account(ENDS_IN_A_DIGIT).balance == 10**18


def test_an_account_that_could_not_pay_for_it_pays_where_two_nodes_say_so(cli, devnet, keys):
    """One node may say less than there is."""
    poor = Keystore().create("poor")
    assert cli(f"tx send {poor.address} 10 --from faucet --wait 300").code == 0
    line = f"tx send {ENDS_IN_A_DIGIT} 1 --from poor"
    assert cli(line).code == 2
    with LyingNode(devnet.url) as other:
        assert cli(f"{line} --wait 300 --node {devnet.url} --node {other.url}").code == 0
        other.alter("/balance/", balance=str(10**20))
        assert cli(f"{line} --node {devnet.url} --node {other.url}").code == 2


def test_the_guides_jq_lines_work(cli, devnet, home):
    wait_for(devnet)
    (home / "block.json").write_text(cli("query block 1").out)
    for program in ('.txs[] | select(.tx_type == "SUBMIT_RESULT")', ".header.compute_root"):
        done = subprocess.run(
            ["jq", program, home / "block.json"], capture_output=True, text=True, check=True
        )
    assert done.stdout.strip() == '""'
    show = cli("keys show worker").out
    line = next(line for line in show.splitlines() if "address" in line)
    assert line.split()[1].strip('",') == json.loads(show)["address"]


def test_status_in_words_and_json(cli, devnet):
    assert "devnet" in cli("query status").out
    assert cli("query status --json").json()["network"] == "devnet"


def test_insufficient_balance_names_the_command_that_mends_it(cli, devnet, keys):
    cli("keys add poor")
    outcome = cli(f"tx send {keys['worker'].address} 1 --from poor")
    assert outcome.code == 3
    assert "insufficient_balance" in outcome.err
    poor = cli("keys show poor").json()["address"]
    assert f"cpc-engine tx send {poor} 10 --from faucet --node {devnet.url}" in outcome.err
    mining = cli("mine --from poor --blocks 1")
    assert mining.code == 2
    assert f"cpc-engine tx send {poor} 10 --from faucet" in mining.err


def test_a_price_that_the_network_does_not_take(cli, devnet, keys):
    outcome = cli(f"tx send {keys['worker'].address} 1 --from faucet --gas-price 999")
    assert outcome.code in (2, 3)
    assert "999" in outcome.err


def test_several_nodes_the_first_of_them_dead(cli, devnet):
    outcome = cli(f"query status --node http://127.0.0.1:9 --node {devnet.url} --json")
    assert outcome.code == 0


def test_a_missing_block(cli, devnet):
    outcome = cli("query block 999999")
    assert outcome.code == 1  # the node answers, and there is none
    assert "Block not found" in outcome.err


@pytest.mark.parametrize(
    "lie", quick_and_slow([Lie.HUGE_BODY], [Lie.GARBAGE, Lie.HALF_BODY, Lie.REDIRECT])
)
def test_a_node_that_answers_nonsense_is_one_clear_error(cli, devnet, lie):
    devnet.faults.lie(lie)
    outcome = cli("query status")
    assert outcome.code == 3
    assert devnet.url in outcome.err
    assert outcome.err.count("\n") <= 3


def test_doctor_finds_nothing_wrong_then_what_is_wrong(cli, devnet, home):
    well = cli("doctor --json")
    assert well.code == 0, well
    assert {check["name"] for check in well.json()} >= {
        "python", "disk", "device", "key", "node", "network", "clock", "balance",
    }  # fmt: skip
    missing = cli("doctor --from nobody --device reference")
    assert missing.code == 2
    assert "cpc-engine keys add nobody" in missing.out
    unreachable = cli("doctor --node http://127.0.0.1:9 --device reference")
    assert unreachable.code == 3


def test_doctor_looks_at_what_mine_would_take_and_bears_a_broken_file(cli, devnet, home):
    file = home / "engine.toml"
    file.write_text("[mine]\nfrom = 'faucet'\ndevice = ['reference']\n")
    found = {check["name"]: check for check in cli(f"doctor --config {file} --json").json()}
    assert found["key"]["found"].startswith("faucet")
    assert "reference" in found["device"]["found"]
    file.write_text("[mine]\nfrmo = 'faucet'\n")
    broken = cli(f"doctor --config {file} --device reference")
    assert broken.code == 2
    assert "mine.frmo" in broken.out
    assert "Did you mean from?" in broken.out
    assert "balance" in broken.out  # and goes on to the rest


def test_mine_ends_after_its_blocks_and_verify_accepts_them(cli, devnet, keys):
    mined = cli("mine --blocks 3 --tasks-per-block 2 --depth 2 --json --device cpu")
    assert mined.code == 0, mined
    *events, summary = [json.loads(line) for line in mined.out.splitlines()]
    assert summary["event"] == "summary"
    # On a busy machine a block may come before the last one's second task was begun.
    skipped = sum(event["event"] == "skipped" for event in events)
    assert summary["confirmed"] == 6 - skipped > 0
    assert len({result["task_id"] for result in summary["results"]}) == 6 - skipped
    assert sum(event["event"] == "confirmed" for event in events) == 6 - skipped
    for height in {result["included_height"] for result in summary["results"]}:
        verified = cli(f"verify --height {height} --json")
        assert verified.code == 0
        assert verified.json()["wrong"] == 0
    again = cli("mine --blocks 1 --depth 1 --device cpu")
    assert again.code == 0
    assert re.search(r"\n[1-9][0-9]* results? confirmed", again.out)


def test_mine_on_its_own_devnet_asks_nothing(cli):
    mined = cli("mine --devnet --block-time 0.3 --blocks 2 --depth 2 --device cpu")
    assert mined.code == 0, mined
    assert re.search(r"\n[1-9] results? confirmed", mined.out)


@pytest.mark.parametrize("altered", ["result_hash", "proof", ""])
def test_verify_refuses_a_result_on_the_chain_that_was_altered_by_a_bit(cli, devnet, keys, altered):
    tip = devnet.chain.block(devnet.chain.height)
    worker = keys["worker"].address
    result = cli(f"compute --block-hash {tip.hash()} --address {worker} --device cpu --json").json()
    if altered:
        text = result[altered]
        result[altered] = f"{int(text, 16) ^ 1:0{len(text)}x}"
    sent = cli(
        f"tx submit-result --task-id {result['task_id']} --result-hash 0x{result['result_hash']}"
        f" --proof {result['proof']} --from worker --wait 300 --json"
    )
    assert sent.code == 0, sent
    verified = cli(f"verify --height {sent.json()['height']}")
    assert verified.code == (1 if altered else 0), verified
    assert ("WRONG" in verified.out) == bool(altered)
    full = cli(f"verify --height {sent.json()['height']} --full --json")
    assert full.code == (1 if altered else 0), full
    assert full.json()["wrong"] == (1 if altered else 0)


def test_a_devnet_of_ones_own_takes_no_node(cli):
    outcome = cli("mine --devnet --node http://127.0.0.1:9")
    assert outcome.code == 2
    assert "--node" in outcome.err
