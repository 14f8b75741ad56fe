"""Count the files, and the changes of file, on a block's way from tip to accepted result.

    python -m bench.path                    # both counts, for three blocks
    python -m bench.path --hops             # also which files follow one another, and how often

A reader who follows a block through the parent opens so many files, and turns from one to another so
many times. One run mines on a devnet in another process with the device `reference`; every call of a
Python function of this repository is recorded (sys.setprofile, threading.setprofile). Counted are the
calls on the threads of the main path (`--threads`), from the loop's `_on_tip` to the event "computed",
which is told when the result was checked and written down. The child's work is not in it, nor is what
C code calls in C.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
WINGS = tuple(f"{ROOT}/{wing}/" for wing in ("engine", "kernels", "node_client"))
DEVNET = """
import sys
from node_client.devnet import DevnetServer
with DevnetServer(block_time=1.5, balances={sys.argv[1]: 1000 * 10**18}) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""


class Call(NamedTuple):
    thread: str
    file: str
    function: str


class Recorder:
    """Every call into this repository, in order, over all threads."""

    def __init__(self):
        self.calls = []

    def __call__(self, frame, event, _argument):
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(WINGS):
            name = threading.current_thread().name
            self.calls.append(Call(name, file.removeprefix(f"{ROOT}/"), frame.f_code.co_name))

    def __enter__(self):
        threading.setprofile(self)
        sys.setprofile(self)
        return self

    def __exit__(self, *_):
        sys.setprofile(None)
        threading.setprofile(None)


def mine(url, key, ledger, blocks, size, report):
    """Mine so many blocks with the device `reference`."""
    from engine.mining.config import MiningConfig
    from engine.node.node import run_node
    from engine.node.request import NodeRequest

    mining = MiningConfig(size=size, blocks=blocks)
    request = NodeRequest([url], mining, devices=("reference",), depth=1, ledger=ledger)
    run_node(request, key, report)


def record(blocks, size):
    """All calls of a run, and how many there were at each event "computed"."""
    from node_client.keys import PrivateKey

    key, recorder, ends = PrivateKey.generate(), Recorder(), []

    def report(event):
        if event.event == "computed":
            ends.append(len(recorder.calls))

    command = [sys.executable, "-c", DEVNET, key.address]
    with (
        tempfile.TemporaryDirectory() as directory,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        ) as devnet,
    ):
        url = devnet.stdout.readline().strip()
        try:
            with recorder:
                mine(url, key, Path(directory) / "ledger.sqlite", blocks, size, report)
        finally:
            devnet.stdin.close()  # it ends
    return recorder.calls, ends


def path(calls, end, threads):
    """The calls of the main path that end there."""
    main = [call for call in calls[:end] if call.thread in threads]
    start = max(i for i, call in enumerate(main) if call.function == "_on_tip")
    return main[start:]


def hops(calls):
    """(file, next file): how often, where they differ."""
    return Counter((a.file, b.file) for a, b in pairwise(calls) if a.file != b.file)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--blocks", type=int, default=4, help="blocks to mine; the first is warm-up"
    )
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--threads", nargs="+", default=["MainThread", "pool"])
    parser.add_argument("--hops", action="store_true", help="list the changes of file")
    arguments = parser.parse_args()
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    calls, ends = record(arguments.blocks, arguments.size)
    for number, end in enumerate(ends[1:], 2):
        found = path(calls, end, arguments.threads)
        changes = hops(found)
        files = {call.file for call in found}
        print(f"block {number}: {len(files)} files, {changes.total()} changes, {len(found)} calls")
    if arguments.hops:
        for file, count in Counter(call.file for call in found).most_common():
            print(f"{count:6} calls in {file}")
        for (before, after), count in changes.most_common():
            print(f"{count:6} {before} -> {after}")


if __name__ == "__main__":
    main()
