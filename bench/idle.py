"""What `mine` takes while it waits for blocks: CPU time, and how often its threads wake.

    python -m bench.idle                      # 60 s, device cpu, no live view
    python -m bench.idle --seconds 20 --root DIR
    python -m bench.idle --block-time 5       # blocks come, and are answered (n = 256)

A devnet in another process makes no block meanwhile, unless one is asked for. The first `--settle`
seconds are left out: there the engine learns when blocks are due. Wakes are voluntary context
switches, as /proc/PID/task/TID/status counts them, of all threads of the engine and of its children.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import psutil

from bench.to_mempool import ROOT, devnet
from node_client.keys import PrivateKey
from node_client.keystore import Keystore

MINE = """
import json, signal, sys, threading
def names(*_):
    found = {thread.native_id: thread.name for thread in threading.enumerate()}
    print(json.dumps(found), file=sys.stderr, flush=True)
signal.signal(signal.SIGUSR1, names)
sys.argv[0] = "cpc-engine"
from engine.cli import main
main()
"""
TICK = os.sysconf("SC_CLK_TCK")


def usage(pids: list[int]) -> dict[tuple[int, int], tuple[int, float]]:
    """(process, thread): voluntary context switches, and seconds of CPU."""
    found = {}
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            status = (thread / "status").read_text()
            switches = int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])
            times = (thread / "stat").read_text().rpartition(")")[2].split()
            found[pid, int(thread.name)] = switches, (int(times[11]) + int(times[12])) / TICK
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--settle", type=float, default=15.0, help="seconds left out at first")
    parser.add_argument("--block-time", type=float, help="the devnet's; as a rule no block comes")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--root", type=Path, default=ROOT, help="another checkout")
    arguments = parser.parse_args()
    root = arguments.root.resolve()
    with tempfile.TemporaryDirectory() as directory:
        home, key = Path(directory), PrivateKey.generate()
        Keystore(home / "keys").add("worker", key)
        command = [sys.executable, "-c", MINE, "mine", "--plain", "--device", arguments.device]
        command += ["--size", "256"]
        command += [*f"--keys-dir {home / 'keys'} --ledger {home / 'ledger.sqlite'}".split()]
        environment = os.environ | {"HOME": directory, "PYTHONPATH": str(root)}
        environment |= {"CPC_STATE": str(home / "state")}
        taken: dict[str, float] = {}
        whole = arguments.settle + arguments.seconds
        with devnet(key.address, arguments.block_time or whole + 60.0, taken) as url:
            engine = psutil.Popen(
                [*command, "--node", url],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                cwd=root,
                env=environment,
            )
            try:
                while not taken:  # it has answered the block that was there
                    time.sleep(0.1)
                time.sleep(arguments.settle)
                processes = [engine, *engine.children(recursive=True)]
                pids = [process.pid for process in processes]
                before = usage(pids)
                time.sleep(arguments.seconds)
                after = usage(pids)
                engine.send_signal(signal.SIGUSR1)
                names = json.loads(engine.stderr.readline())
            finally:
                engine.terminate()
                engine.wait()
        report(before, after, arguments.seconds, {engine.pid: names})


def report(before, after, seconds, names) -> None:
    """Print the wakes of each thread, and the sums."""
    wakes, share = defaultdict(float), defaultdict(float)
    for (pid, tid), (switches, time_) in after.items():
        was, time_was = before.get((pid, tid), (0, 0.0))
        name = names[pid].get(str(tid), "another thread") if pid in names else f"child {pid}, {tid}"
        wakes[name] += (switches - was) / seconds
        share[name] += 100 * (time_ - time_was) / seconds
    for name, often in sorted(wakes.items(), key=lambda pair: -pair[1]):
        print(f"  {name:24} wakes {often:6.2f} times a second, {share[name]:.2f}% of a core")
    print(f"{sum(wakes.values()):.1f} wakes a second, {sum(share.values()):.2f}% of a core")


if __name__ == "__main__":
    main()
