"""Whether `mine` stays as small as it is: many blocks, one after the other, a hundred times as fast.

    python -m bench.memory_soak                       # 24 hours of blocks of 5 s in about 15 minutes
    python -m bench.memory_soak --hours 12 --jobs 64  # beside a flood of jobs of n = 64

The devnet makes a block every 5 s / --speed; the engine answers those that it sees (n = 32), some 28
ms of CPU time each with the devnet's. The chain waits for an engine that falls behind, as on a busy
machine, and the soak runs until so many blocks are answered. Rows are equally far apart in answered
blocks. Resident memory, descriptors and threads are of engine and children; objects are those that
Python's collector knows in the engine, after a collection. The ledger grows by design, by a row a block
and a transaction; proofs go after 1,000 blocks.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, nullcontext
from pathlib import Path

import psutil

from bench.flood import flood
from bench.to_mempool import ROOT, devnet
from node_client.keys import PrivateKey
from node_client.keystore import Keystore

BLOCK_SECONDS = 5.0
PATIENCE = 600.0
"""Seconds without any block answered after which the soak gives up."""
SHOWN = 40
"""Lines of the engine that are shown then."""
AHEAD = 8
"""Blocks without an answer after which the chain waits for one, but makes one a second."""
DEVNET = """
import sys, threading, time
from node_client.devnet import DevnetServer
block_time, ahead = float(sys.argv[2]), int(sys.argv[3])
server = DevnetServer(block_time=block_time, balances={sys.argv[1]: 10**6 * 10**18})
send, answered_at = server.chain.send, [0]
def admit(tx):
    refusal = send(tx)
    if refusal is None:
        answered_at[0] = server.chain.height
        print(tx.payload.get("task_id"), time.time(), flush=True)
    return refusal
def wait_for_answers():
    height, came_at = 0, time.monotonic()
    while True:
        time.sleep(block_time / 2)
        before, height, now = height, server.chain.height, time.monotonic()
        came_at = came_at if height == before else now
        if height - answered_at[0] > ahead and now < came_at + 1.0:
            server.chain.hold(block_time)
            server.chain.genesis_time += block_time / 2  # else those that are missing come at once
server.chain.send = admit
threading.Thread(target=wait_for_answers, daemon=True).start()
with server:
    print(server.url, flush=True)
    sys.stdin.read()
"""
MINE = """
import gc, signal, sys
def count(*_):
    gc.collect()
    print(len(gc.get_objects()), file=sys.stderr, flush=True)
signal.signal(signal.SIGUSR1, count)
sys.argv[0] = "cpc-engine"
from engine.cli import main
main()
"""


def row(engine: psutil.Popen, home: Path) -> dict[str, float]:
    """What the engine holds now."""
    engine.send_signal(signal.SIGUSR1)
    objects = int(engine.stderr.readline())
    children = engine.children(recursive=True)
    memory = [one.memory_info().rss / 2**20 for one in (engine, *children)]
    return {
        "engine_mib": round(memory[0], 1),
        "children_mib": round(sum(memory[1:]), 1),
        "objects": objects,
        "descriptors": engine.num_fds() + sum(child.num_fds() for child in children),
        "threads": engine.num_threads() + sum(child.num_threads() for child in children),
        "ledger_mib": round(sum(path.stat().st_size for path in home.glob("*.sqlite*")) / 2**20, 2),
    }


def wait_for_answers(taken: dict[str, float], wanted: int) -> bool:
    """Wait until so many blocks are answered; False where no more of them are."""
    answered, since = len(taken), time.monotonic()
    while answered < wanted:
        time.sleep(0.1)
        if len(taken) > answered:
            answered, since = len(taken), time.monotonic()
        elif time.monotonic() > since + PATIENCE:
            return False
    return True


def soak(blocks: int, block_time: float, rows: int, job_size: int | None):
    """Yield (blocks answered, jobs done, what the engine holds), so many times."""
    taken: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as directory:
        home, key = Path(directory), PrivateKey.generate()
        Keystore(home / "keys").add("worker", key)
        command = [sys.executable, "-c", MINE, "mine", "--plain", "--device", "cpu", "--depth", "1"]
        command += [*f"--keys-dir {home / 'keys'} --ledger {home / 'ledger.sqlite'}".split()]
        command += ["--size", "32", "--tasks-per-block", "1", "--threads", "1"]
        environment = os.environ | {"HOME": directory, "CPC_STATE": directory}
        environment |= {"PYTHONPATH": str(ROOT)}
        with ExitStack() as stack:
            url = stack.enter_context(devnet(key.address, block_time, taken, DEVNET, str(AHEAD)))
            jobs = flood(job_size) if job_size else nullcontext((None, int))
            validator, count = stack.enter_context(jobs)
            command += ["--node", url, *(["--validator", validator] if validator else [])]
            log = stack.enter_context((home / "log").open("w+"))
            engine = psutil.Popen(
                command,
                stdout=log,
                stderr=subprocess.PIPE,
                text=True,
                cwd=ROOT,
                env=environment,
            )
            try:
                for number in range(1, rows + 1):
                    if not wait_for_answers(taken, blocks * number // rows):
                        log.seek(0)
                        said = "".join(log.readlines()[-SHOWN:])
                        raise SystemExit(f"no block answered for {PATIENCE:.0f} s:\n{said}")
                    yield len(taken), count(), row(engine, home)
            finally:
                engine.terminate()
                engine.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=24.0, help="of blocks of 5 s")
    parser.add_argument("--speed", type=float, default=100.0, help="times as fast")
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--jobs", type=int, help="n of a flood of jobs beside it [none]")
    arguments = parser.parse_args()
    blocks = round(arguments.hours * 3600 / BLOCK_SECONDS)
    whole = soak(blocks, BLOCK_SECONDS / arguments.speed, arguments.rows, arguments.jobs)
    began = time.monotonic()
    for answered, jobs, held in whole:
        seconds = round(time.monotonic() - began)
        found = {"seconds": seconds, "answered": answered, "jobs": jobs}
        print(json.dumps(found | held), flush=True)


if __name__ == "__main__":
    main()
