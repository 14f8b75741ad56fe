"""How long from a block that is seen to its results in the node's mempool.

    python -m bench.to_mempool                                       # n = 256, 1 and 16 tasks a block
    python -m bench.to_mempool --before DIR                          # and another checkout, in turns
    python -m bench.to_mempool --device cuda:0 --size 1024,4096

`cpc-engine mine` runs in a process of its own, with the devices that are asked for, and a devnet in
another. Seen is when the engine had fetched the block (its event `block`); taken is when the devnet's
mempool had admitted the result's transaction. Both clocks are this machine's. Figures are of the last
result of each block, medians over blocks and rounds; the first two blocks of a run are warm-up. The
last run of each line is traced (`mine --trace`), and the medians of its spans are printed: how long
they last, and the CPU time of their thread, which other programs disturb less.

With `--before` the devnet is this checkout's in both runs of a pair, so that the engine alone differs.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

from node_client.keys import PrivateKey
from node_client.keystore import Keystore

ROOT = Path(__file__).parents[1]
WARM_UP = 2
DEVNET = """
import sys, time
from node_client.devnet import DevnetServer
account = {sys.argv[1]: 10**6 * 10**18}
server = DevnetServer(block_time=float(sys.argv[2]), balances=account)
send = server.chain.send
def admit(tx):
    refusal = send(tx)
    if refusal is None:
        print(tx.payload.get("task_id"), time.time(), flush=True)
    return refusal
server.chain.send = admit
with server:
    print(server.url, flush=True)
    sys.stdin.read()
"""
MINE = "import sys; sys.argv[0] = 'cpc-engine'; from engine.cli import main; main()"


class Sample(NamedTuple):
    """Of one block, milliseconds from seeing it to its last result: checked, and taken."""

    checked: float
    taken: float


@contextmanager
def devnet(
    address: str, block_time: float, taken: dict[str, float], program: str = DEVNET, *more: str
) -> Iterator[str]:
    """Serve a chain in another process; write down when it first took each task's result."""
    command = [sys.executable, "-c", program, address, str(block_time), *more]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, cwd=ROOT, **pipes) as process:
        url = process.stdout.readline().strip()

        def note() -> None:
            for line in process.stdout:
                task_id, at = line.split()
                taken.setdefault(task_id, float(at))

        notes = threading.Thread(target=note)
        notes.start()
        try:
            yield url
        finally:
            process.stdin.close()  # it ends
            process.wait()
            notes.join()


def mine(
    root: Path,
    options: argparse.Namespace,
    size: int,
    tasks: int,
    trace: Path | None,
    more: Sequence[str] = (),
) -> list[Sample]:
    """Mine with the checkout at `root`, and `more` options; return a sample a block."""
    taken: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        key = PrivateKey.generate()
        Keystore(home / "keys").add("worker", key)
        command = [sys.executable, "-c", MINE, "mine", "--json", "--depth", "1"]
        command += [*f"--keys-dir {home / 'keys'} --ledger {home / 'ledger.sqlite'}".split()]
        command += [*f"--size {size} --tasks-per-block {tasks}".split()]
        command += ["--blocks", str(options.blocks + WARM_UP)]
        command += [word for device in options.device.split(",") for word in ("--device", device)]
        command += [*more, *([] if trace is None else ["--trace", str(trace)])]
        environment = os.environ | {"HOME": directory, "PYTHONPATH": str(root)}
        environment |= {"CPC_STATE": str(home / "state")}
        log = home / "log"
        with devnet(key.address, options.block_time, taken) as url, log.open("w") as out:
            command += ["--node", url]
            if subprocess.run(command, stdout=out, cwd=root, env=environment).returncode:
                sys.exit(f"mine failed:\n{log.read_text()[-2000:]}")
        return samples(log.read_text(), taken, tasks)


def samples(log: str, taken: dict[str, float], tasks: int) -> list[Sample]:
    """Of every block behind the first two that was answered in full."""
    events = [json.loads(line) for line in log.splitlines()]
    seen = {event["height"]: event["seen_at"] for event in events if event["event"] == "block"}
    results = defaultdict(list)
    for event in events:
        if event["event"] == "computed":
            results[event["height"]].append(event)
    found = []
    for height in sorted(results)[WARM_UP:]:
        of_block = results[height]
        if len(of_block) == tasks and all(one["task_id"] in taken for one in of_block):
            checked = max(one["latency"] for one in of_block)
            last = max(taken[one["task_id"]] for one in of_block) - seen[height]
            found.append(Sample(1e3 * checked, 1e3 * last))
    return found


def spans(trace: Path) -> list[str]:
    """A line for each kind of span: medians in milliseconds, and how many there were."""
    found: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for line in trace.read_text().splitlines()[1:]:
        event = json.loads(line.rstrip(","))
        if event["ph"] == "X":
            found[event["name"]].append((event["dur"] / 1e3, event["tdur"] / 1e3))
    lines = []
    for name, each in sorted(found.items()):
        wall, cpu = (median(column) for column in zip(*each, strict=True))
        lines.append(f"    {name:16} {wall:7.2f} ms, CPU {cpu:6.2f} ms, {len(each)} times")
    return lines


def line(name: str, found: list[Sample], wanted: int) -> str:
    """Medians, and the least and the most that was seen."""
    if not found:
        return f"  {name}: no block was answered in full"
    checked, taken = ([getattr(one, field) for one in found] for field in Sample._fields)
    return (
        f"  {name}: checked {median(checked):6.1f} ms, taken {median(taken):6.1f} ms"
        f" (from {min(taken):.1f} to {max(taken):.1f}; {len(found)} of {wanted} blocks in full)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", help="one, or several with commas")
    parser.add_argument("--size", default="256", help="one, or several with commas")
    parser.add_argument("--tasks", default="1,16", help="tasks a block, several with commas")
    parser.add_argument("--blocks", type=int, default=12, help="in each run, beside two of warm-up")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--block-time", type=float, default=1.0)
    parser.add_argument("--before", type=Path, help="another checkout, measured in turns")
    arguments = parser.parse_args()
    roots = {"here": ROOT}
    if arguments.before is not None:
        roots = {"before": arguments.before.resolve(), **roots}
    for size in map(int, arguments.size.split(",")):
        for tasks in map(int, arguments.tasks.split(",")):
            print(f"n = {size}, {tasks} tasks a block, device {arguments.device}", flush=True)
            found = defaultdict(list)
            for _round in range(arguments.rounds):
                for name, root in roots.items():
                    found[name] += mine(root, arguments, size, tasks, None)
            for name in roots:
                print(line(name, found[name], arguments.rounds * arguments.blocks), flush=True)
            with tempfile.TemporaryDirectory() as directory:
                trace = Path(directory) / "trace.json"
                mine(ROOT, arguments, size, tasks, trace)
                print("\n".join(spans(trace)), flush=True)


if __name__ == "__main__":
    main()
