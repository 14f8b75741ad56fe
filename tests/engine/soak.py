"""A mine that is shot at: children and the parent are killed while the chain goes on.

    python -m tests.engine.soak --blocks 50 --block-time 1 --kill-children 3 --kill-parents 2

The devnet runs in this process, the engine as its own program, as a user would start it. At the end
every block must be answered once or counted as skipped, and every result on the chain must be right.
"""

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

from engine.verify import verify_block
from node_client.devnet import DevnetServer
from node_client.keystore import Keystore
from node_client.networks import UNITS_PER_CPC
from node_client.rpc import NodeClient
from node_client.transaction import TxType

_ENGINE = [sys.executable, "-c", "from engine.cli import main; main()"]


class Soak:
    """One run; `report` holds what was found."""

    def __init__(self, directory, *, blocks, block_time, kill_children, kill_parents, seed=1):
        self.directory = Path(directory)
        self.blocks = blocks
        self.block_time = block_time
        self.kills = ["child"] * kill_children + ["parent"] * kill_parents
        self.random = random.Random(seed)
        self.random.shuffle(self.kills)
        self.environment = os.environ | {
            "CPC_KEYS": str(self.directory / "keys"),
            "CPC_STATE": str(self.directory / "state"),
        }
        self.log = (self.directory / "mine.log").open("w+", encoding="utf-8")

    def run(self):
        key = Keystore(self.directory / "keys").create("worker")
        server = DevnetServer(
            block_time=self.block_time, balances={key.address: 10 * UNITS_PER_CPC}
        )
        with server, self.log:
            self.client = NodeClient([server.url])
            self._shoot(server)
            return self._judge(key.address)

    def _start(self, url, *more):
        return subprocess.Popen(
            [*_ENGINE, "mine", "--json", "--node", url, "--device", "cpu", "--threads", "1", *more],
            env=self.environment,
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )

    def _shoot(self, server):
        parent = self._start(server.url)
        first = self._wait_for_first_block()
        last = first + self.blocks - 1
        moments = sorted(self.random.sample(range(first + 2, last - 2), len(self.kills)))
        for moment, victim in zip(moments, self.kills, strict=True):
            while self.client.status().height < moment:
                time.sleep(self.block_time / 10)
            time.sleep(self.random.uniform(0, self.block_time))
            assert parent.poll() is None, self._logged()
            if victim == "child":
                for child in _engine_children(parent.pid):
                    child.kill()
            else:
                children = _engine_children(parent.pid)
                os.kill(parent.pid, signal.SIGKILL)
                parent.wait()
                parent = self._start(server.url)
                _, alive = psutil.wait_procs(children, timeout=20)
                assert not alive, "children outlived their parent"
        while self.client.status().height < last:
            time.sleep(self.block_time / 4)
        parent.send_signal(signal.SIGTERM)
        asked = time.monotonic()
        assert parent.wait(timeout=10) == 0, self._logged()
        self.seconds_to_stop = time.monotonic() - asked
        # The last start answers one more block, and stays until every result is final.
        assert self._start(server.url, "--blocks", "1").wait(timeout=60) == 0, self._logged()
        self.first = first

    def _wait_for_first_block(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for event in self._events():
                if event["event"] == "block":
                    return event["height"]
            time.sleep(0.1)
        raise AssertionError(self._logged())

    def _judge(self, address):
        (ledger,) = (self.directory / "state").glob("*.sqlite")
        database = sqlite3.connect(ledger)
        states = dict(database.execute("SELECT task_id, state FROM progress"))
        assert set(states.values()) <= {"final", "given_up"}, states
        skipped = {h for (h,) in database.execute("SELECT height FROM blocks WHERE skipped <> ''")}
        for low, high in database.execute("SELECT first, last FROM gaps"):
            skipped |= set(range(low, high + 1))
        seen = {height for (height,) in database.execute("SELECT height FROM blocks")}
        answers, tip = Counter(), self.client.status().height
        for height in range(1, tip + 1):
            for verdict in verify_block(self.client, height, least_openings=16):
                assert verdict.right, verdict
                answers[verdict.task_height] += 1
        account = self.client.balance(address)
        sent = sum(
            tx.tx_type is TxType.SUBMIT_RESULT
            for height in range(1, tip + 1)
            for tx in self.client.block(height).txs
        )
        assert account.nonce == sent == sum(answers.values())
        heights = range(self.first, max(seen) + 1)
        return {
            "blocks": len(heights),
            "answered": sum(answers[height] == 1 for height in heights),
            "answered_twice": sum(count > 1 for count in answers.values()),
            "skipped": sum(height in skipped for height in heights),
            "neither": [h for h in heights if answers[h] != 1 and h not in skipped],
            "both": [h for h in heights if answers[h] and h in skipped],
            "seconds_to_stop": round(self.seconds_to_stop, 2),
        }

    def _events(self):
        self.log.flush()
        for line in Path(self.log.name).read_text(encoding="utf-8").splitlines():
            if line.startswith('{"event"'):
                yield json.loads(line)

    def _logged(self):
        return Path(self.log.name).read_text(encoding="utf-8")[-4000:]


def _engine_children(pid):
    return [
        child
        for child in psutil.Process(pid).children(recursive=True)
        if "spawn_main" in " ".join(child.cmdline())
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=50)
    parser.add_argument("--block-time", type=float, default=1.0)
    parser.add_argument("--kill-children", type=int, default=3)
    parser.add_argument("--kill-parents", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        print(json.dumps(Soak(directory, **vars(arguments)).run(), indent=2))


if __name__ == "__main__":
    main()
