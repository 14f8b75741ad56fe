"""A mine whose first node lies in every way there is, beside an honest second one.

    python -m tests.engine.node.lying_soak --minutes 30

Both nodes are devnets in this process with one chain; the engine is its own program, which is killed
now and then. One lie follows the other, in a seed's order; between them, and meanwhile, the chain
itself does what the real one does: roll-backs, a lost mempool, blocks that come late, strangers'
transactions. At the end the honest chain and the ledger are looked at: nothing paid beyond what was
asked, nothing signed twice, every result of a block of the chain sent. Prints one JSON summary; exit
code 1 where something does not hold.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

from node_client.devnet import DevnetServer
from node_client.devnet.lies import PLAIN_LIES
from node_client.keystore import Keystore
from node_client.networks import NETWORKS, UNITS_PER_CPC
from node_client.transaction import BASE_GAS, Transaction, TxType
from tests.engine.node.soak.engine import Engine
from tests.engine.node.soak.judge import Judge

BLOCK_TIME = 1.0
BALANCE = 1000 * UNITS_PER_CPC
HONEST_SECONDS = 2.0
"""The pause after each lie."""
LONGEST_SILENCE = 60
"""Blocks in a row of which none was answered: a kill, a slow start and a hold together are fewer."""
FOREIGN = Path(__file__).parents[2] / "vectors" / "foreign_blocks.json"


class Stage:
    """The two nodes, and whatever may be done to them and to the chain."""

    def __init__(self, devnet, liar, address, dice):
        self.devnet, self.liar, self.address, self.dice = devnet, liar, address, dice
        self.rolled_back = set()
        self.forged = set()
        blocks = json.loads(FOREIGN.read_text(encoding="utf-8"))
        self.strangers = [tx for entry in blocks for tx in entry["block"]["txs"]]

    def lies(self):
        """Name and deed of every lie of the first node."""
        faults, chain = self.liar.faults, self.devnet.chain
        account = lambda: chain.account(self.address)  # noqa: E731
        told = {
            "nonce huge": ("nonce", lambda: 2**63 - 1),
            "nonce beyond": ("nonce", lambda: 2**63),
            "nonce some ahead": ("nonce", lambda: account().nonce + 30),
            "nonce one ahead": ("nonce", lambda: account().nonce + 1),
            "nonce 0": ("nonce", lambda: 0),
            "balance 0": ("balance", lambda: 0),
            "balance huge": ("balance", lambda: 10**60),
            "tip huge": ("tip", lambda: 2**63 - 1),
            "tip a few ahead": ("tip", lambda: chain.height + 3),
            "tip 0": ("tip", lambda: 0),
            "tip -1": ("tip", lambda: -1),
            "a block behind": ("behind", lambda: 1),
            "far behind": ("behind", lambda: 20),
            "nothing kept": ("nothing_kept", lambda: None),
            "price huge": ("least_price", lambda: 10**12),
            "price a little more": ("least_price", lambda: 1001),
        }
        told |= {
            f"refusal {words}": ("refusal", lambda words=words: words)
            for words in (
                "insufficient_balance",
                "nonce_too_low",
                "invalid_signature",
                "already_in_pool",
                "mempool_full",
                "never heard of it",
            )
        }
        deeds = {
            name: lambda kind=kind, value=value: faults.lie(kind, value=value())
            for name, (kind, value) in told.items()
        }
        deeds |= {str(kind): lambda kind=kind: faults.lie(kind) for kind in PLAIN_LIES}
        deeds |= {
            "garbage for sends": lambda: faults.lie("garbage", path="/tx/send"),
            "503": lambda: faults.unavailable(3600.0),
            "stall": lambda: faults.stall(8.0),
            "syncing": lambda: faults.syncing(3600.0),
            "gone": self.liar.stop,
            "forged from the tip": lambda: self.forge(depth=0),
            "forged a few below": lambda: self.forge(depth=self.dice.randint(1, 5)),
            "forged deep": lambda: self.forge(depth=min(30, chain.height - 1)),
            "forged, with a transfer from us": lambda: self.forge(self.unsigned(), depth=1),
            "forged far ahead": lambda: [self.forge(depth=0) for _ in range(20)],
        }
        return deeds

    def happenings(self):
        """Name and deed of what the chain itself does."""
        chain = self.devnet.faults
        return {
            "roll-back": lambda: self.roll_back(self.dice.randint(1, 3)),
            "roll-back, put back": lambda: self.roll_back(1, put_back=True),
            "forget": chain.forget,
            "hold": lambda: chain.hold(5.0),
            "late round": lambda: chain.late_rounds(self.dice.randint(1, 3)),
            "strangers": lambda: [chain.include(tx) for tx in self.strangers],
        }

    def end_lie(self):
        self.liar.faults.clear()
        self.liar.stop()  # also where it runs: a node that starts again
        self.liar.start()

    def forge(self, *txs, depth):
        self.forged.add(self.liar.faults.forge(txs, depth=depth).hash())

    def unsigned(self):
        """A transfer that this account never signed, at its next nonce."""
        return Transaction(
            tx_type=TxType.TRANSFER,
            from_address=self.address,
            to_address=self.devnet.faucet.address,
            amount=UNITS_PER_CPC,
            nonce=self.devnet.chain.account(self.address).nonce,
            gas_price=1000,
            gas_limit=BASE_GAS[TxType.TRANSFER],
        )

    def roll_back(self, blocks, **how):
        if self.devnet.chain.height > blocks + 3:
            gone = self.devnet.faults.roll_back(blocks, **how)
            self.rolled_back |= {block.hash() for block in gone}

    def note_forged(self):
        """Remember what the liar serves now, for the verdict."""
        forgery = self.liar.faults.forgery
        if forgery is not None:
            self.forged.add(forgery.tip().hash())


def lying_soak(directory, *, seconds, seed, lie_seconds=8.0, kill_every=60.0):
    """Run it in `directory`; return the judge, with figures and what does not hold."""
    directory, dice = Path(directory), random.Random(seed)
    key = Keystore(directory / "keys").create("worker")
    devnet = DevnetServer(block_time=BLOCK_TIME, balances={key.address: BALANCE})
    with devnet, devnet.follower() as liar:
        stage = Stage(devnet, liar, key.address, dice)
        with Engine(directory, f"{liar.url},{devnet.url}") as engine:
            engine.start()
            engine.wait_for_block()
            done = _play(stage, engine, seconds, lie_seconds, kill_every)
            liar.faults.clear()
            engine.end()
            engine.settle()
            judge = Judge(directory, devnet.chain, key.address)
            judge.figures |= {
                "seed": seed,
                "seconds": round(seconds),
                "done": dict(done),
                "starts of the engine": len(engine.lives),
                "troubles": dict(
                    Counter(
                        event["kind"] for event in engine.events() if event["event"] == "trouble"
                    )
                ),
            }
            judge.look_for_leftovers(engine.left_over(), engine.shared_memory)
        _judge(judge, stage)
    return judge


def _play(stage, engine, seconds, lie_seconds, kill_every):
    """One lie after the other until the time is up; how often each was told."""
    done, lies, happenings = Counter(), [], []
    kill_at = time.monotonic() + kill_every
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        lies = lies or stage.dice.sample(sorted(stage.lies()), len(stage.lies()))
        happenings = happenings or stage.dice.sample(
            sorted(stage.happenings()), len(stage.happenings())
        )
        lie, happening = lies.pop(), happenings.pop() if stage.dice.random() < 0.4 else None
        stage.lies()[lie]()
        done[f"lie: {lie}"] += 1
        _wait(engine, stage, lie_seconds / 2)
        if happening is not None:
            stage.happenings()[happening]()
            done[f"chain: {happening}"] += 1
        if time.monotonic() >= kill_at:
            engine.kill()
            done["kill"] += 1
            kill_at = time.monotonic() + kill_every
        _wait(engine, stage, lie_seconds / 2)
        stage.end_lie()
        _wait(engine, stage, HONEST_SECONDS)
    return done


def _wait(engine, stage, seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        engine.look()
        stage.note_forged()
        time.sleep(0.25)


def _judge(judge, stage):
    """What must hold, whatever the first node said."""
    judge.look_at_chain()
    judge.look_at_ledger()
    chain = stage.devnet.chain
    mine = [tx for block in chain.blocks() for tx in block.txs if tx.from_address == stage.address]
    fee = BASE_GAS[TxType.SUBMIT_RESULT] * NETWORKS["devnet"].min_gas_price
    paid = BALANCE - chain.account(stage.address).balance
    judge.demand(paid == len(mine) * fee, f"{paid} units paid for {len(mine)} results of {fee}")
    judge.demand(all(tx.is_result for tx in mine), "something else than a result was sent")

    signed = {}
    for task, nonce in judge.query("SELECT task_id, nonce FROM transactions"):
        signed.setdefault(task, set()).add(nonce)
    spent_by = {tx.nonce: tx.task_id for tx in mine}
    twice = [
        task
        for task, nonces in signed.items()
        if any(spent_by.get(nonce) in (None, task) for nonce in sorted(nonces)[:-1])
    ]
    judge.demand(not twice, f"signed at a second nonce before the first was spent: {twice}")

    hashes = {block.hash() for block in chain.blocks()}
    rows = judge.query("SELECT block_hash, state, reason, task_id FROM progress")
    unsent = [row for row in rows if row[0] in hashes and row[1] != "final"]
    judge.demand(not unsent, f"results of the chain's blocks that were not sent: {unsent[:5]}")
    made_up = {row[3] for row in rows if row[0] not in hashes | stage.rolled_back}
    paid_for = made_up & {tx.task_id for tx in mine}
    judge.demand(not paid_for, f"results of made-up blocks on the chain: {paid_for}")
    answered = {block.height for block in chain.blocks() if block.hash() in {r[0] for r in rows}}
    heights = sorted(answered | {0, chain.height})
    silence = max(b - a for a, b in pairwise(heights))
    judge.demand(silence <= LONGEST_SILENCE, f"{silence} blocks in a row were not answered")
    judge.figures |= {
        "tasks signed at two nonces": sum(len(nonces) > 1 for nonces in signed.values()),
        "blocks of the chain answered": len(answered),
        "most blocks in a row not answered": silence,
        "results of made-up blocks computed": len(made_up),
        "of those paid for": len(paid_for),
        "forged tips seen by the stage": len(stage.forged),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lie-seconds", type=float, default=8.0)
    parser.add_argument("--kill-every", type=float, default=60.0, help="seconds")
    parser.add_argument(
        "--directory", help="keep ledger and log here [a directory that is removed]"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        judge = lying_soak(
            arguments.directory or scratch,
            seconds=60 * arguments.minutes,
            seed=arguments.seed,
            lie_seconds=arguments.lie_seconds,
            kill_every=arguments.kill_every,
        )
    print(json.dumps(judge.figures | {"broken": judge.broken}, indent=2))
    sys.exit(bool(judge.broken))


if __name__ == "__main__":
    main()
