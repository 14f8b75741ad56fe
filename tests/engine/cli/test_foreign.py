"""Commands on blocks that hold strangers' transactions of every kind."""

import json

import pytest

from tests.blocks import strange_transactions
from tests.processes import wait_until


@pytest.fixture
def height(devnet):
    """Height of a block that holds all of them."""
    strange = strange_transactions()
    devnet.faults.hold(30)
    before = devnet.chain.height
    for raw in strange:
        devnet.faults.include(raw)
    devnet.faults.hold(0)
    wait_until(lambda: devnet.chain.height > before + 1, "a block of strange transactions")
    return next(b.height for b in devnet.chain.blocks() if len(b.txs) >= len(strange))


def printable(text):
    return all(c.isprintable() or c == "\n" for c in text)


def test_query_block_prints_what_the_node_serves(cli, devnet, height):
    shown = cli(f"query block {height}")
    assert shown.code == 0, shown.err
    assert printable(shown.out)
    block = shown.json()
    assert block["hash"] == devnet.chain.block(height).hash()
    assert block["fault"].startswith(f"block {height}: transaction ")
    assert block["txs"] == devnet.chain.block(height).served["txs"]
    assert any(tx == "text" for tx in block["txs"])
    healthy = cli(f"query block {height - 1}").json()
    assert healthy["fault"] == ""


def test_query_results_lists_what_can_be_read_and_says_why_the_rest_cannot(cli, height):
    rows = cli(f"query results --height {height} --json").json()
    assert [row["nonce"] for row in rows].count(7) == 3
    assert {row["fault"][:7] for row in rows} == {"", "the pay", f"block {height}"}
    signed = {row["nonce"] for row in rows if not row["fault"]}  # by the recorded accounts
    assert signed == {0, 7}
    shown = cli(f"query results --height {height}")
    assert shown.code == 0, shown.err
    assert printable(shown.out)
    assert all(line == line.strip() for line in shown.out.splitlines())


def test_verify_judges_every_result_and_says_that_nothing_is_proven(cli, height):
    judged = cli(f"verify --height {height}")
    assert judged.code == 1
    assert printable(judged.out)
    assert all(line == line.strip() for line in judged.out.splitlines())
    assert f"NOT PROVEN, the chain may hold something else than this: block {height}:" in judged.out
    assert "it is not a matrix result" in judged.out
    told = cli(f"verify --height {height} --json").json()
    assert told["wrong"] == len(told["results"]) > 10
    assert told["fault"].startswith(f"block {height}: ")


@pytest.mark.parametrize("size", [16, 64])
def test_verify_says_the_size_that_it_found(cli, devnet, keys, size):
    mined = cli(f"mine --blocks 1 --depth 1 --json --device reference --size {size}")
    assert mined.code == 0, mined
    height = json.loads(mined.out.splitlines()[-1])["results"][0]["included_height"]
    shown = cli(f"verify --height {height}")
    assert shown.code == 0, shown.out
    assert f"right (size {size})" in shown.out
    assert cli(f"verify --height {height} --size {size} --json").json()["wrong"] == 0
    restricted = cli(f"verify --height {height} --size 32")
    assert restricted.code == 1
    assert f"the proof is for size {size}" in restricted.out
