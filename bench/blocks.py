"""How late blocks are seen, and how many requests that takes.

    python -m bench.blocks                                   # 5 s blocks in time, 40 of them
    python -m bench.blocks --network testnet --blocks 12     # 30 s blocks, 6 minutes
    python -m bench.blocks --late 8                          # every 8th block is a round or more late

A devnet in another process writes down when it had each block; the head watcher of `mine` watches it
here, and both clocks are this machine's. Late is what passes from there to the answer of `/status`
that first names the block; `+block` is until the block itself was fetched and checked, and handed to
the mining loop. Requests are those of HTTP, the block's own among them.
"""

import argparse
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path
from statistics import median

from engine.mining.head_watcher import HeadWatcher, NewTip
from engine.monitor.troubles import Troubles
from node_client.networks import NETWORKS
from node_client.rpc import NodeClient

ROOT = Path(__file__).parents[1]
DEVNET = """
import sys, time
from node_client.devnet import DevnetServer
block_time, offset, late = (float(text) for text in sys.argv[1:4])
with DevnetServer(block_time=block_time, clock=lambda: time.time() + offset) as server:
    print(server.url, server.chain.chain_id, flush=True)
    height = 0
    while True:
        time.sleep(0.0005)
        if server.chain.height > height:
            height = server.chain.height
            print(height, time.time(), flush=True)
            if late and height % late == late - 1:
                server.faults.late_rounds(1)
"""


class CountingClient(NodeClient):
    """Counts its requests, and notes when each tip was first named."""

    def __init__(self, urls):
        super().__init__(urls)
        self.requests = 0
        self.named_at = {}

    def status(self):
        self.requests += 1
        status = super().status()
        self.named_at.setdefault(status.height, time.time())
        return status

    def block(self, height, **expected):
        self.requests += 1
        return super().block(height, **expected)


def watch(url, chain_id, network, blocks):
    """Give (height, named at, fetched at, requests since the tip before) of so many new tips."""
    inbox, client, seen = queue.SimpleQueue(), CountingClient([url]), []
    watcher = HeadWatcher(
        client,
        inbox,
        Troubles(lambda event: print("trouble:", event.fields())),
        chain_id=chain_id,
        block_time=NETWORKS[network].block_time,
    )
    watcher.start()
    before = 0
    while len(seen) < blocks:
        tip = inbox.get()
        if not isinstance(tip, NewTip):
            raise SystemExit(f"the watcher ended: {tip}")
        seen.append(
            (tip.height, client.named_at[tip.height], tip.seen_at, client.requests - before)
        )
        before = client.requests
    watcher.stopping.set()
    watcher.join()
    return seen


def report(seen, made):
    """Print each block, and what holds from the third one on."""
    lines = [(height, named - made[height], at - made[height], n) for height, named, at, n in seen]
    for height, late, fetched, requests in lines:
        times = f"{1e3 * late:7.1f} ms late, {1e3 * fetched:7.1f} ms +block"
        print(f"block {height:4}: {times}, {requests} requests")
    late = sorted(late for _height, late, _fetched, _requests in lines[2:])
    requests = [requests for *_rest, requests in lines[1:]]
    missed = lines[-1][0] - lines[0][0] + 1 - len(lines)
    print(
        f"from the third block on: {1e3 * median(late):.0f} ms late in the median,"
        f" {1e3 * late[-1]:.0f} ms at most; {median(requests):g} requests in the median;"
        f" {missed} blocks missed"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--network", choices=list(NETWORKS), default="devnet", help="names the block time"
    )
    parser.add_argument("--blocks", type=int, default=40)
    parser.add_argument(
        "--offset", type=float, default=0.0, help="seconds that the node's clock is ahead"
    )
    parser.add_argument("--late", type=int, default=0, help="every so many blocks, one is late")
    arguments = parser.parse_args()
    numbers = (NETWORKS[arguments.network].block_time, arguments.offset, arguments.late)
    command = [sys.executable, "-c", DEVNET, *map(str, numbers)]
    made = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as devnet:
        url, chain_id = devnet.stdout.readline().split()

        def note():
            for line in devnet.stdout:
                height, at = line.split()
                made[int(height)] = float(at)

        notes = threading.Thread(target=note)
        notes.start()
        try:
            while not made:  # block 0 was made before anybody looked
                time.sleep(0.01)
            seen = watch(url, chain_id, arguments.network, arguments.blocks)
        finally:
            devnet.terminate()
            notes.join()
    report(seen, made)


if __name__ == "__main__":
    main()
